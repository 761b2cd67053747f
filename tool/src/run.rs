//! `voxseg run`: an image and a model in, labels out.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::builder::{OsStringValueParser, TypedValueParser};
use voxseg::devices::Precision;
use voxseg::devices::{Algorithm, CpuOptions, Isa};
use voxseg::devices::{Device, DeviceOptions};
use voxseg::inference::{Blending, PlanOptions, PlanReport, RunReport};
use voxseg::inference::{Map, MapBuffer};
use voxseg::labels::LabelBuffer;
use voxseg::metrics::labels_on_grid;
use voxseg::model::Model;
use voxseg::nifti::Reader;
use voxseg::progress::Run;
use voxseg::record::record;
use voxseg::task::AnyModel;
use voxseg::volume::{Box3, DType, Layout, NonFinite, Region, WhenGlobal};

use crate::channels::{self, Channels, Wanted};
use crate::counts::{self, Count, count, size, thousands};
use crate::failure::{Failure, Outcome};
use crate::image_file::{check_readable, files, is_nifti, open_output};
use crate::info::Weights;
use crate::output::Outputs;
use crate::picture::{self, Caption};
use crate::progress::Bar;
use crate::stop::Cancellable;
use crate::tasks::TaskArguments;
use crate::{options, report, warnings};

/// What to segment with what, and where results go.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The model's folder, or its zip archive; several models of one dataset are averaged
    #[arg(long, value_name = "PATH", required_unless_present = "task", conflicts_with = "task")]
    model: Vec<PathBuf>,
    #[command(flatten)]
    task: TaskArguments,
    /// The image (.nii, .nii.gz, .mhd, .mha, .nrrd, .nhdr); once for each of the model's channels, in its order. All
    /// are on the first one's grid: within half a voxel with a warning, farther off is an error
    #[arg(long, value_name = "FILE", required = true)]
    image: Vec<PathBuf>,
    /// Which volume of a series to segment, from 0; tasks take the first one with a warning, for models it must be said
    #[arg(long, value_name = "N")]
    volume: Option<usize>,
    /// Bring channels on another grid to the first one's by linear interpolation, 0 outside of them
    #[arg(long)]
    resample_channels: bool,
    /// Where the labels go (.nii, .nii.gz, .mhd)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    weights: Weights,
    /// Distance between tiles as a share of a tile [default: the model's own]
    #[arg(long, value_name = "SHARE")]
    step: Option<f64>,
    /// Don't average over mirrored tiles
    #[arg(long)]
    no_mirror: bool,
    /// Weigh overlapping tiles equally
    #[arg(long)]
    no_gaussian: bool,
    /// Apply the postprocessing that comes with the model, if one does
    #[arg(long)]
    postprocess: bool,
    /// What runs the network; `voxseg devices` lists the names
    #[arg(long, value_name = "NAME", value_parser = options::device, default_value = "cpu")]
    device: Device,
    /// Let the CPU compute what the device can't
    #[arg(long)]
    fallback: bool,
    /// Memory of the device's own that the run may need, for example 4GiB
    #[arg(long, value_name = "SIZE", value_parser = options::bytes)]
    device_memory: Option<u64>,
    /// Tiles that a GPU computes at once, as far as its memory is enough
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    tile_batch: usize,
    /// Existing folder for what the device's compiler makes
    #[arg(long, value_name = "FOLDER")]
    device_cache: Option<PathBuf>,
    /// What the network computes in: auto, f32 or f16
    #[arg(long, value_name = "TYPE", value_parser = options::precision, default_value = "auto")]
    precision: Precision,
    /// How the CPU computes convolutions: winograd, or direct, which is slower and rounds less
    #[arg(long, value_name = "ALGORITHM", value_parser = options::convolution, default_value = "winograd")]
    convolution: Algorithm,
    /// Instructions to use on the CPU: auto, avx512, avx2, neon or portable
    #[arg(long, value_name = "NAME", value_parser = options::instructions, default_value = "auto")]
    instructions: Isa,
    /// Threads to use; 0: all processors
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Memory that the run may need, for example 4GiB; a run that needs more isn't started
    #[arg(long, value_name = "SIZE", value_parser = options::bytes)]
    memory_budget: Option<u64>,
    /// Write a report as JSON (.json)
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Draw the labels over the image (.png)
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    #[command(flatten)]
    caption: Caption,
    /// Write the probability of a label (.nii, .nii.gz, .mhd); once for each that is wanted
    #[arg(long, value_name = "LABEL=FILE", value_parser = OsStringValueParser::new().try_map(options::probability))]
    probability: Vec<(u16, PathBuf)>,
    /// Write by how many thousandths the highest probability is over the second highest, at most 255
    #[arg(long, value_name = "FILE")]
    margin: Option<PathBuf>,
    /// Write the entropy of the probabilities in nats
    #[arg(long, value_name = "FILE")]
    entropy: Option<PathBuf>,
    /// What voxels are that are NaN or infinite: error, zero or lowest [default: as the model's own reader]
    #[arg(long, value_name = "VALUE", value_parser = options::non_finite)]
    non_finite: Option<NonFinite>,
    /// Label only the voxels of a box: from and to before along the image's axes, as 10:70,20:80,5:65. Once for each
    /// box; labels are those of the whole run, only the tiles that touch a box are computed
    #[arg(long, value_name = "BOX", value_parser = options::region)]
    region: Vec<Box3>,
    /// Refuse regions where labels depend on the whole image, in place of computing it
    #[arg(long, requires = "region")]
    refuse_global: bool,
    /// Print nothing but warnings and errors
    #[arg(long)]
    quiet: bool,
}

impl Arguments {
    /// The maps that are asked for, their types and files.
    fn maps(&self) -> Vec<(Map, DType, &Path)> {
        let probabilities =
            self.probability.iter().map(|(label, path)| (Map::Probability(*label), DType::F32, path));
        let margin = self.margin.iter().map(|path| (Map::Margin, DType::U8, path));
        let entropy = self.entropy.iter().map(|path| (Map::Entropy, DType::F32, path));
        probabilities.chain(margin).chain(entropy).map(|(map, dtype, path)| (map, dtype, &**path)).collect()
    }

    /// Opens all that will be written, after a look at what will be read.
    fn outputs(&self) -> Outcome<Outputs> {
        self.image.iter().try_for_each(|path| check_readable(path))?;
        let models = || self.model.iter().map(PathBuf::as_path).chain(self.task.paths());
        let images = self.image.iter().flat_map(|path| files(path));
        let inputs = images.chain(models().map(PathBuf::from));
        let mut outputs = Outputs::new(inputs).with_models(models().filter(|path| path.is_dir()));
        open_output(&mut outputs, &self.out)?;
        self.maps().iter().try_for_each(|(_, _, path)| open_output(&mut outputs, path))?;
        if let Some(path) = &self.report {
            if !path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
                return Err(Failure::write(path, "the name must end with .json"));
            }
            outputs.open_beside_models(path)?;
        }
        self.picture.iter().try_for_each(|path| picture::open_output(&mut outputs, path))?;
        Ok(outputs)
    }
}

/// Seconds that the tool itself spends, beside those of the run.
struct Times {
    read: f64,
    model: f64,
    plan: f64,
    write: f64,
}

/// Segments an image.
pub fn run(out: &mut impl Write, arguments: &Arguments) -> Outcome<()> {
    let mut outputs = arguments.outputs()?;
    let wanted = arguments.maps();
    let mut clock = Instant::now();
    let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();
    let model = match arguments.task.open()? {
        Some(task) => AnyModel::Task(task),
        None => {
            let open = |path: &PathBuf| Model::open(path, &(&arguments.weights).into());
            let members: Vec<Model> = arguments.model.iter().map(open).collect::<voxseg::Result<_>>()?;
            AnyModel::Model(Model::ensemble(&members)?)
        }
    };
    let opened = lap();
    let Channels { image, warnings, notes } = channels::read(
        &arguments.image,
        &Wanted {
            channels: model.channels().len(),
            volume: arguments.volume,
            first_of_series: model.model().is_none(),
            resample: arguments.resample_channels,
            reader: model.reader(),
        },
    )?;
    warnings.iter().for_each(|warning| warnings::say(warning));
    let warned = warnings::said();
    let read = lap();
    let options = PlanOptions {
        device: arguments.device,
        device_options: DeviceOptions {
            fallback: arguments.fallback,
            memory_budget: arguments.device_memory,
            tile_batch: arguments.tile_batch,
            cache: arguments.device_cache.clone(),
            cpu: CpuOptions { convolution: arguments.convolution, isa: arguments.instructions },
            ..DeviceOptions::default()
        },
        precision: arguments.precision,
        threads: arguments.threads,
        step: arguments.step,
        mirroring: !arguments.no_mirror,
        blending: if arguments.no_gaussian { Blending::Constant } else { Blending::Model },
        memory_budget: arguments.memory_budget,
        postprocess: arguments.postprocess,
        ..PlanOptions::default()
    };
    let plan = model.plan(&options)?;
    let non_finite = arguments.non_finite.unwrap_or_else(|| non_finite_of(&model, &arguments.image[0]));
    let (name, identity) = (model.name().to_owned(), model.describe());
    let labels_of = model.labels().to_vec();
    // The plan has weights of its own.
    drop(model);
    let when_global = if arguments.refuse_global { WhenGlobal::Refuse } else { WhenGlobal::Compute };
    let region = Region { boxes: arguments.region.clone(), when_global };
    let planned = plan.report_for(&image.geometry, &region)?;
    if planned.device == Device::Cpu {
        // Elsewhere it takes the time of a tile.
        plan.trim()?;
    }
    let mut times = Times { read, model: opened, plan: lap(), write: 0.0 };

    let volume = image.volume()?;
    let largest = labels_of.iter().map(|label| label.value).max().unwrap_or(0);
    let dtype = if largest < 256 { DType::U8 } else { DType::U16 };
    let grid = plan.label_grid(&image.geometry)?;
    let mut bytes = vec![0; grid.voxels() * dtype.size()];
    let mut buffer = LabelBuffer::new(&grid, dtype, Layout::dense(grid.shape, dtype), &mut bytes)?;
    let mut map_bytes: Vec<Vec<u8>> =
        wanted.iter().map(|(_, dtype, _)| vec![0; image.geometry.voxels() * dtype.size()]).collect();
    let mut maps: Vec<MapBuffer> = wanted
        .iter()
        .zip(&mut map_bytes)
        .map(|(&(map, dtype, _), bytes)| {
            let layout = Layout::dense(image.geometry.shape, dtype);
            MapBuffer::new(map, &image.geometry, dtype, layout, bytes)
        })
        .collect::<voxseg::Result<_>>()?;
    let mut bar = Bar::new(arguments.quiet);
    let watch = |progress: &_| {
        bar.show(progress);
        true
    };
    let stoppable = Cancellable::new();
    let run = Run::new(stoppable.cancel()).with_non_finite(non_finite).with_region(region);
    let mut run = run.with_progress(watch);
    warnings::ignore();
    let result = plan.segment(&volume, &mut buffer, &mut maps, &mut run);
    drop(run);
    bar.clear();
    let result = result?;
    drop(stoppable);
    result.warnings.iter().for_each(|warning| warnings::say(&warning.to_string()));
    let record = match &arguments.report {
        Some(_) => record(&identity, &plan, &volume, &buffer, &result)?,
        None => serde_json::Value::Null,
    };

    lap();
    let mut labels = image.on_grid(&grid).sibling(dtype, bytes);
    if let Some(header) = &mut labels.header {
        header.describe(concat!("voxseg ", env!("CARGO_PKG_VERSION")));
    }
    labels.write_to(&mut outputs, &arguments.out)?;
    for ((_, dtype, path), bytes) in wanted.iter().zip(map_bytes) {
        image.sibling(*dtype, bytes).write_to(&mut outputs, path)?;
    }
    let values = labels.labels(&arguments.out)?;
    let counts = count(&values, &labels_of, grid.voxel_volume());
    if let Some(path) = &arguments.report {
        let report = report::report(record, &counts, &warned);
        outputs.write(path, |file| writeln!(file, "{report:#}"))?;
    }
    if let Some(path) = &arguments.picture {
        let shown = if grid == image.geometry {
            values
        } else {
            let bytes =
                labels_on_grid(&labels.volume()?, &image.geometry, planned.threads, &mut Run::default())?;
            image.sibling(dtype, bytes).labels(path)?
        };
        let canvas = picture::draw(&image, &shown, &counts, &name, &arguments.caption);
        outputs.write(path, |file| canvas.write(file))?;
    }
    outputs.commit()?;
    times.write = lap();
    if !arguments.quiet {
        summary(out, &counts, &planned, &result, &times)?;
        notes.iter().try_for_each(|note| writeln!(out, "{:<14}{note}", "channels"))?;
    }
    Ok(())
}

/// What the reader that a model was made with takes voxels for that are NaN or infinite. ITK mends NIfTI files only.
fn non_finite_of(model: &AnyModel, image: &Path) -> NonFinite {
    match (model, model.reader()) {
        (AnyModel::Task(_), _) => NonFinite::Lowest,
        (AnyModel::Model(_), Reader::Itk) if is_nifti(image) => NonFinite::Zero,
        _ => NonFinite::Refuse,
    }
}

fn summary(
    out: &mut impl Write,
    counts: &[Count],
    planned: &PlanReport,
    run: &RunReport,
    times: &Times,
) -> Outcome<()> {
    counts::table(out, counts)?;
    writeln!(out)?;
    let tiles = match run.tiles == run.tiles_in_all {
        true => format!("{} tiles", run.tiles),
        false => format!("{} of {} tiles", run.tiles, run.tiles_in_all),
    };
    let runs = if planned.network_runs == planned.tiles {
        tiles
    } else {
        format!("{tiles}, {} network runs", planned.network_runs)
    };
    let stages = [
        ("read image", times.read, String::new()),
        ("open model", times.model, String::new()),
        ("make plan", times.plan, String::new()),
        ("prepare", run.preprocess_seconds, String::new()),
        ("network", run.network_seconds, runs),
        ("blend tiles", run.blend_seconds, String::new()),
        ("restore", run.restore_seconds, String::new()),
        ("write labels", times.write, String::new()),
    ];
    for (stage, seconds, note) in &stages {
        writeln!(out, "{}", format!("{stage:<14}{seconds:>8.2} s  {note}").trim_end())?;
    }
    writeln!(out, "{:<14}{:>8.2} s", "all", stages.iter().map(|stage| stage.1).sum::<f64>())?;
    writeln!(out)?;
    let share = run.near_ties as f64 / run.voxels.max(1) as f64;
    writeln!(out, "{:<14}{} voxels ({share:.1e} of all)", "near ties", thousands(run.near_ties as u64))?;
    if run.process_peak_bytes > 0 {
        let (peak, planned) = (size(run.process_peak_bytes), size(planned.host_peak_bytes));
        writeln!(out, "{:<14}{peak} (run planned with {planned})", "peak memory")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::image_file::tests::{Folder, example};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    /// Before the model, which isn't there, is opened.
    #[test]
    fn outputs_are_checked_first() {
        let folder = Folder::new("run");
        let [image, voxels, plans] = ["a.mhd", "a.raw", "plans.json"].map(|name| folder.file(name));
        example(DType::I16).write(&image).unwrap();
        std::fs::write(&plans, "{}").unwrap();
        let failure = |words: &[&str]| {
            let paths = words.iter().map(|word| match word.split_once(':') {
                Some((start, name)) => format!("{start}{}", folder.file(name).display()),
                None => (*word).to_owned(),
            });
            let usual = ["run", "--model", ":", "--image", ":a.mhd"].map(|word| match word.split_once(':') {
                Some((_, name)) => folder.file(name).display().to_string(),
                None => word.to_owned(),
            });
            let line = Line::try_parse_from(usual.into_iter().chain(paths)).unwrap();
            run(&mut Vec::new(), &line.arguments).unwrap_err().to_string()
        };
        assert!(failure(&["--out", ":a.mhd"]).contains("that is read"));
        assert!(failure(&["--out", ":b.nii", "--margin", ":b.nii"]).contains("same file"));
        assert!(failure(&["--out", ":b.nii", "--probability", "1=:b.nii"]).contains("same file"));
        assert!(failure(&["--out", ":b.nii", "--report", ":plans.json"]).contains("of a model"));
        assert!(failure(&["--out", ":b.nii", "--report", ":a.raw"]).contains(".json"));
        assert!(failure(&["--out", ":b.nii", "--picture", ":b.jpg"]).contains(".png"));
        assert!(failure(&["--out", ":b.nii", "--image", ":"]).contains("must end"));
        assert_eq!(std::fs::read(voxels).unwrap(), example(DType::I16).bytes);
        assert_eq!(std::fs::read_dir(folder.file("")).unwrap().count(), 3);
    }
}
