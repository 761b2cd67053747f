//! `voxseg prompt`: an image and a user's prompts in, the mask of one object out; once, or line by line for a program
//! that drives it.

use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use voxseg::inference::{Plan, PlanOptions};
use voxseg::labels::{Label, LabelBuffer};
use voxseg::model::Model;
use voxseg::progress::Run;
use voxseg::session::{Prompt, PromptKind, Session, SessionOptions, SessionReport};
use voxseg::volume::{DType, Layout, NonFinite};

use crate::channels::{self, Wanted};
use crate::failure::{Failure, Outcome};
use crate::image_file::{ImageFile, check_readable, files, is_nifti, open_output};
use crate::info::Weights;
use crate::output::Outputs;
use crate::progress::Bar;
use crate::stop::Cancellable;
use crate::{options, warnings};

/// The longest line that a program may send: more than a mask of any volume has in runs.
const LINE: u64 = 1 << 28;

/// What to segment, and by which prompts.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The model's folder, or its zip archive
    model: PathBuf,
    /// The image (.nii, .nii.gz, .mhd, .mha, .nrrd, .nhdr); once for each of the model's channels, in its order
    #[arg(required = true)]
    image: Vec<PathBuf>,
    /// A voxel of the object: its indices x,y,z in the file
    #[arg(long, value_name = "X,Y,Z", value_parser = options::place, allow_hyphen_values = true)]
    point: Vec<[f64; 3]>,
    /// A voxel of what isn't the object; after the points of the object
    #[arg(long, value_name = "X,Y,Z", value_parser = options::place, allow_hyphen_values = true)]
    not_point: Vec<[f64; 3]>,
    /// A voxel of one of the model's labels, its number or name, for a model that takes points by label; after all
    /// others
    #[arg(long, value_name = "LABEL:X,Y,Z", value_parser = options::labelled_place, allow_hyphen_values = true)]
    label_point: Vec<(String, [f64; 3])>,
    /// A box around the object: its first voxel, and the voxel behind its last; before all points
    #[arg(long, value_name = "X,Y,Z,X,Y,Z", value_parser = options::corners, allow_hyphen_values = true)]
    r#box: Vec<[[i64; 3]; 2]>,
    /// Then read prompts and commands as JSON from standard input, a line each, and answer each with a line
    /// (docs/tool.md)
    #[arg(long)]
    lines: bool,
    /// Where the mask goes (.nii, .nii.gz, .mhd)
    #[arg(long, value_name = "FILE", required_unless_present = "lines")]
    out: Option<PathBuf>,
    /// Write the record of the session as JSON, which replays it
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Don't look from further away at an object that goes on beyond the network's patch
    #[arg(long)]
    no_autozoom: bool,
    #[command(flatten)]
    weights: Weights,
    /// Threads to use; 0: all processors
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Memory that the session may need, for example 4GiB
    #[arg(long, value_name = "SIZE", value_parser = options::bytes)]
    memory_budget: Option<u64>,
    /// What voxels are that are NaN or infinite: error, zero or lowest [default: zero in NIfTI files, else error]
    #[arg(long, value_name = "VALUE", value_parser = options::non_finite)]
    non_finite: Option<NonFinite>,
    /// Print nothing but warnings, errors and answers
    #[arg(long)]
    quiet: bool,
}

impl Arguments {
    /// The prompts, for a model with these labels.
    fn prompts(&self, labels: &[Label]) -> Outcome<Vec<Prompt>> {
        let boxes = self.r#box.iter().map(|&[start, end]| Prompt::Box { start, end, label: 1 });
        let points = self.point.iter().map(|&at| Prompt::Point { at, label: 1 });
        let others = self.not_point.iter().map(|&at| Prompt::Point { at, label: 0 });
        let of_label = |(label, at): &(String, [f64; 3])| {
            let named = labels.iter().find(|known| known.name.eq_ignore_ascii_case(label));
            let label = label.parse().ok().or(named.map(|known| known.value)).ok_or_else(|| {
                let names: Vec<&str> = labels.iter().map(|known| known.name.as_str()).collect();
                voxseg::Error::argument("label", label, names.join(", "))
            })?;
            Ok(Prompt::Point { at: *at, label })
        };
        let by_label = self.label_point.iter().map(of_label);
        boxes.chain(points).chain(others).map(Ok).chain(by_label).collect()
    }

    fn outputs(&self) -> Outcome<Outputs> {
        self.image.iter().try_for_each(|path| check_readable(path))?;
        let inputs = self.image.iter().flat_map(|path| files(path)).chain([self.model.clone()]);
        let mut outputs = Outputs::new(inputs).with_models(self.model.is_dir().then_some(&self.model));
        self.out.iter().try_for_each(|path| open_output(&mut outputs, path))?;
        self.record.iter().try_for_each(|path| outputs.open_beside_models(path))?;
        Ok(outputs)
    }
}

/// Segments one object.
pub fn prompt(out: &mut impl Write, arguments: &Arguments) -> Outcome<()> {
    let mut outputs = arguments.outputs()?;
    let model = Model::open(&arguments.model, &(&arguments.weights).into())?;
    let wanted = Wanted {
        channels: model.channels().len(),
        volume: None,
        first_of_series: false,
        resample: false,
        reader: model.reader(),
    };
    let read = channels::read(&arguments.image, &wanted)?;
    read.warnings.iter().for_each(|warning| warnings::say(warning));
    let image = read.image;
    let about = model.describe();
    let prompts = arguments.prompts(model.labels())?;
    // Such a model answers without clicks, too.
    let alone =
        prompts.is_empty() && !arguments.lines && model.prompts().contains(&PromptKind::PointPerLabel);
    let plan = PlanOptions {
        threads: arguments.threads,
        memory_budget: arguments.memory_budget,
        ..PlanOptions::default()
    };
    let plan = Plan::new(&model, &plan)?;
    drop(model);
    // As ITK mends NIfTI files.
    let usual = if is_nifti(&arguments.image[0]) { NonFinite::Zero } else { NonFinite::Refuse };
    let options = SessionOptions { autozoom: !arguments.no_autozoom };
    let stoppable = Cancellable::new();
    let mut run = Run::new(stoppable.cancel()).with_non_finite(arguments.non_finite.unwrap_or(usual));
    let mut session = Session::new(&plan, &image.volume()?, options, &mut run)?;
    drop(stoppable);
    for prompt in prompts.into_iter().map(Some).chain(alone.then_some(None)) {
        prompt.map_or(Ok(()), |prompt| session.add(prompt))?;
        let report = answer(&mut session, arguments.quiet)?;
        if !arguments.quiet && !arguments.lines {
            say(out, &session, &report)?;
        }
    }
    if arguments.lines {
        let mut input = std::io::stdin().lock();
        while let Some(line) = next(&mut input)? {
            let answer = command(&mut session, &about, &image, &line).unwrap_or_else(|failure| {
                let status = failure.exit_code();
                json!({"error": failure.to_string(), "status": status})
            });
            writeln!(out, "{answer}")?;
            out.flush()?;
        }
    }
    if let Some(path) = &arguments.out {
        mask(&session, &image)?.write_to(&mut outputs, path)?;
    }
    if let Some(path) = &arguments.record {
        outputs.write(path, |file| writeln!(file, "{}", session.record(&about)))?;
    }
    outputs.commit()
}

/// Answers what was asked, in a run that Ctrl-C stops.
fn answer(session: &mut Session, quiet: bool) -> Outcome<SessionReport> {
    let mut bar = Bar::new(quiet);
    let stoppable = Cancellable::new();
    let mut run = Run::new(stoppable.cancel()).with_progress(|progress| {
        bar.show(progress);
        true
    });
    let report = session.run(&mut run);
    drop(run);
    bar.clear();
    Ok(report?)
}

fn say(out: &mut impl Write, session: &Session, report: &SessionReport) -> Outcome<()> {
    let voxels = bytes(session)?.iter().filter(|&&label| label != 0).count();
    let SessionReport { network_runs, zoom, total_seconds, .. } = report;
    let runs =
        if *network_runs == 1 { "1 network run".into() } else { format!("{network_runs} network runs") };
    let milliliters = voxels as f64 * session.geometry().voxel_volume() / 1000.0;
    writeln!(out, "{voxels} voxels, {milliliters:.1} ml; {runs} at zoom {zoom}, {total_seconds:.2} s")?;
    Ok(())
}

/// The mask of the whole volume, axis 0 the fastest.
fn bytes(session: &Session) -> Outcome<Vec<u8>> {
    let grid = session.geometry();
    let mut bytes = vec![0; grid.voxels()];
    let mut labels = LabelBuffer::new(grid, DType::U8, Layout::dense(grid.shape, DType::U8), &mut bytes)?;
    session.labels([[0; 3], grid.shape.map(|length| length as u64)], &mut labels)?;
    Ok(bytes)
}

fn mask(session: &Session, image: &ImageFile) -> Outcome<ImageFile> {
    let mut mask = image.on_grid(session.geometry()).sibling(DType::U8, bytes(session)?);
    if let Some(header) = &mut mask.header {
        header.describe(concat!("voxseg ", env!("CARGO_PKG_VERSION")));
    }
    Ok(mask)
}

/// The next line that isn't empty.
fn next(input: &mut impl BufRead) -> Outcome<Option<Vec<u8>>> {
    loop {
        let mut line = Vec::new();
        input
            .take(LINE)
            .read_until(b'\n', &mut line)
            .map_err(|error| Failure::image(Path::new("standard input"), error))?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.len() as u64 == LINE {
            return Err(Failure::image(Path::new("standard input"), "a line has no end"));
        }
        if !line.trim_ascii().is_empty() {
            return Ok(Some(line));
        }
    }
}

/// The answer to one line.
fn command(session: &mut Session, about: &Value, image: &ImageFile, line: &[u8]) -> Outcome<Value> {
    let refused = |found: &str| {
        let expected = "an object with one of prompt, run, undo, reset, mask, write, record and replay";
        Failure::Library(voxseg::Error::argument("line", found, expected))
    };
    let request: Value = serde_json::from_slice(line).map_err(|error| refused(&error.to_string()))?;
    let has = |key: &str| request.get(key).is_some();
    let changed = |[start, end]: [[u64; 3]; 2]| json!({"start": start, "end": end});
    if has("prompt") {
        session.add(Prompt::from_json(&request)?)?;
        return Ok(json!({"added": request["prompt"]}));
    }
    if has("run") {
        let report = answer(session, true)?;
        return Ok(json!({
            "changed": changed(report.changed),
            "network_runs": report.network_runs,
            "zoom": report.zoom,
            "near_ties": report.near_ties,
            "seconds": report.total_seconds,
        }));
    }
    if has("undo") {
        return Ok(json!({"changed": changed(session.undo()?)}));
    }
    if has("reset") {
        session.reset();
        return Ok(json!({"reset": true}));
    }
    if let Some(wanted) = request.get("mask") {
        let whole = [[0; 3], session.geometry().shape.map(|length| length as u64)];
        let corner = |key: &str, whole: [u64; 3]| match wanted.get(key) {
            None => Ok(whole),
            Some(corner) => {
                serde_json::from_value(corner.clone()).map_err(|error| refused(&error.to_string()))
            }
        };
        let region = [corner("start", whole[0])?, corner("end", whole[1])?];
        return Ok(Prompt::Mask(session.mask(region)?).to_json());
    }
    if let Some(path) = request.get("write") {
        let path = PathBuf::from(path.as_str().ok_or_else(|| refused("write without the name of a file"))?);
        let mut outputs = Outputs::new(std::iter::empty::<&Path>());
        open_output(&mut outputs, &path)?;
        mask(session, image)?.write_to(&mut outputs, &path)?;
        outputs.commit()?;
        return Ok(json!({"written": path}));
    }
    if has("record") {
        return Ok(json!({"record": session.record(about)}));
    }
    if let Some(record) = request.get("replay") {
        let stoppable = Cancellable::new();
        session.replay(record, about, &mut Run::new(stoppable.cancel()))?;
        return Ok(json!({"replayed": true}));
    }
    Err(refused("none of them"))
}
