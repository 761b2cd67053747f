//! `voxseg statistics`: what labels measure, over an image and a dose.

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};
use voxseg::labels::Label;
use voxseg::metrics::{LabelDose, LabelStatistics, dose as measure_dose, statistics as measure};
use voxseg::progress::Run;

use crate::counts::thousands;
use crate::failure::Outcome;
use crate::image_file::ImageFile;
use crate::options::threads;
use crate::tasks::labels_of;

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The label map
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// An image on its grid; of several channels the first counts
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// A dose, on any grid
    #[arg(long, value_name = "FILE")]
    dose: Option<PathBuf>,
    /// A dose to give the share for that receives at least as much; as often as needed
    #[arg(long, value_name = "DOSE", requires = "dose")]
    level: Vec<f64>,
    /// The model's folder, a task's name (or total_v1) or a table of labels (.csv), for names of labels
    #[arg(long, value_name = "FOLDER")]
    model: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Steps of the dose-volume histograms in JSON.
const STEPS: u32 = 100;

/// What is known about a label.
struct Measured {
    name: String,
    statistics: LabelStatistics,
    dose: Option<LabelDose>,
}

/// Writes what each label measures.
pub fn statistics(out: &mut impl Write, arguments: &Arguments) -> Outcome<()> {
    let labels = ImageFile::read(&arguments.labels)?.label_map(&arguments.labels)?;
    let image = arguments.image.as_deref().map(ImageFile::read).transpose()?;
    let dose = arguments.dose.as_deref().map(ImageFile::read).transpose()?;
    let names = match &arguments.model {
        Some(model) => labels_of(model)?,
        None => Vec::new(),
    };
    let map = labels.volume()?;
    let image = image.as_ref().map(ImageFile::volume).transpose()?;
    let found = measure(&map, image.as_ref().map(|image| (image, 0)), threads(), &mut Run::default())?;
    let mut doses = match &dose {
        Some(dose) => measure_dose(&map, &dose.volume()?, threads(), &mut Run::default())?,
        None => Vec::new(),
    }
    .into_iter();
    let measured = found.into_iter().map(|statistics| {
        let name = name(&names, statistics.label);
        // Both are in the order of labels.
        Measured { name, statistics, dose: doses.next() }
    });
    let measured: Vec<Measured> = measured.collect();
    if arguments.json {
        let labels: Vec<Value> = measured.iter().map(|one| one.json(&arguments.level)).collect();
        writeln!(out, "{:#}", json!({ "labels": labels }))?;
        return Ok(());
    }
    sizes(out, &measured)?;
    if dose.is_some() {
        doses_table(out, &measured, &arguments.level)?;
    }
    Ok(())
}

fn name(names: &[Label], value: u32) -> String {
    let label = names.iter().find(|label| label.value == value);
    label.map_or_else(|| format!("label {value}"), |label| label.name.clone())
}

impl Measured {
    fn json(&self, levels: &[f64]) -> Value {
        let one = &self.statistics;
        let mut all = json!({
            "value": one.label,
            "name": self.name,
            "voxels": one.voxels,
            "milliliters": one.milliliters,
            "surface_area": one.surface_area,
            "first": one.first,
            "last": one.last,
            "centroid_index": one.centroid_index,
            "centroid": one.centroid,
            "margin": one.margin,
            "cut": one.is_cut(),
        });
        if let Some(intensities) = one.intensities {
            all["intensities"] = json!({
                "mean": intensities.mean,
                "std": intensities.std,
                "median": intensities.median,
                "min": intensities.min,
                "max": intensities.max,
            });
        }
        if let Some(dose) = &self.dose {
            let steps: Vec<f64> = (0..=STEPS).map(|n| dose.max() * f64::from(n) / f64::from(STEPS)).collect();
            let levels: Vec<Value> =
                levels.iter().map(|&level| json!({ "dose": level, "share": dose.share_at(level) })).collect();
            all["dose"] = json!({
                "mean": dose.mean,
                "min": dose.min(),
                "max": dose.max(),
                "d95": dose.dose_to(95.0),
                "d2": dose.dose_to(2.0),
                "voxels_outside": dose.outside,
                "levels": levels,
                "histogram": { "doses": steps, "shares": dose.histogram(steps.iter().copied()) },
            });
        }
        all
    }
}

fn width(measured: &[Measured]) -> usize {
    measured.iter().map(|one| one.name.chars().count()).max().unwrap_or(0).max(4)
}

fn sizes(out: &mut impl Write, measured: &[Measured]) -> Outcome<()> {
    let width = width(measured);
    write!(out, "{:>5}  {:<width$}  {:>12}  {:>10}  {:>10}", "label", "name", "voxels", "mL", "cm2")?;
    let intensities = measured.iter().any(|one| one.statistics.intensities.is_some());
    if intensities {
        write!(out, "  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}", "mean", "std", "median", "min", "max")?;
    }
    writeln!(out, "  cut")?;
    for Measured { name, statistics: one, .. } in measured {
        let (voxels, area) = (thousands(one.voxels), one.surface_area / 100.0);
        let milliliters = one.milliliters;
        write!(out, "{:>5}  {name:<width$}  {voxels:>12}  {milliliters:>10.1}  {area:>10.1}", one.label)?;
        if let Some(found) = one.intensities {
            for number in [found.mean, found.std, found.median, found.min, found.max] {
                write!(out, "  {number:>9.1}")?;
            }
        }
        writeln!(out, "  {}", if one.is_cut() { "yes" } else { "no" })?;
    }
    Ok(())
}

fn doses_table(out: &mut impl Write, measured: &[Measured], levels: &[f64]) -> Outcome<()> {
    let width = width(measured);
    write!(out, "\n{:>5}  {:<width$}", "label", "name")?;
    for head in ["mean", "min", "max", "D95", "D2"] {
        write!(out, "  {head:>9}")?;
    }
    for level in levels {
        write!(out, "  {:>9}", format!("V{level} %"))?;
    }
    writeln!(out, "  {:>12}", "outside")?;
    for Measured { name, statistics, dose } in measured {
        let Some(dose) = dose else { continue };
        write!(out, "{:>5}  {name:<width$}", statistics.label)?;
        for number in [dose.mean, dose.min(), dose.max(), dose.dose_to(95.0), dose.dose_to(2.0)] {
            write!(out, "  {number:>9.3}")?;
        }
        for &level in levels {
            write!(out, "  {:>9.2}", 100.0 * dose.share_at(level))?;
        }
        writeln!(out, "  {:>12}", thousands(dose.outside))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use voxseg::volume::DType;

    use super::*;
    use crate::image_file::tests::{Folder, example};

    fn arguments(labels: PathBuf, image: Option<PathBuf>, dose: Option<PathBuf>, json: bool) -> Arguments {
        Arguments { labels, image, dose, level: vec![50.0], model: None, json }
    }

    fn output(arguments: &Arguments) -> String {
        let mut out = Vec::new();
        statistics(&mut out, arguments).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tables_and_json_say_the_same() {
        let folder = Folder::new("statistics");
        let paths = ["labels.nii.gz", "image.nii", "dose.mhd"].map(|name| folder.file(name));
        let half = |n: usize| u8::from(n >= 30);
        example(DType::U8).sibling(DType::U8, (0..60).map(half).collect()).write(&paths[0]).unwrap();
        example(DType::U8).sibling(DType::U8, (0..60).collect()).write(&paths[1]).unwrap();
        example(DType::U8).sibling(DType::U8, (0..60).map(|n| 2 * n).collect()).write(&paths[2]).unwrap();
        let [labels, image, dose] = paths;
        let text = output(&arguments(labels.clone(), Some(image.clone()), Some(dose.clone()), false));
        assert!(text.contains("label 1            30         0.1"), "{text}");
        assert!(text.contains("44.5        8.7       44.5       30.0       59.0  yes"), "{text}");
        let json: Value =
            serde_json::from_str(&output(&arguments(labels, Some(image), Some(dose), true))).unwrap();
        let one = &json["labels"][0];
        assert_eq!((&one["value"], &one["voxels"], &one["cut"]), (&json!(1), &json!(30), &json!(true)));
        assert_eq!(one["intensities"]["mean"], 44.5);
        assert!((one["dose"]["mean"].as_f64().unwrap() - 89.0).abs() < 1e-4);
        assert_eq!(one["dose"]["levels"][0]["share"], 1.0);
        assert_eq!(one["dose"]["histogram"]["shares"].as_array().unwrap().len(), 101);
    }

    /// A case of TotalSegmentator 2.18's `statistics_extra`, without exclusion of labels at the border.
    #[test]
    fn matches_totalsegmentator() {
        let Some(folder) = voxseg_reference::path("totalseg") else { return };
        let case = folder.join("cases/e2_statistics_native");
        let expected = std::fs::read(case.join("statistics.json")).unwrap();
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        let about: Value = serde_json::from_slice(&std::fs::read(case.join("case.json")).unwrap()).unwrap();
        let image = folder.join("images/ct_lps_aniso.nii.gz");
        let found: Value = serde_json::from_str(&output(&arguments(
            case.join("segmentation.nii.gz"),
            Some(image),
            None,
            true,
        )))
        .unwrap();
        let found = found["labels"].as_array().unwrap();
        let number = |value: &Value| value.as_f64().unwrap();
        let near = |found: f64, expected: f64, step: f64| {
            assert!((found - expected).abs() <= 0.5001 * step + 1e-6 * expected.abs(), "{found} {expected}");
        };
        let mut compared = 0;
        for (name, expected) in expected.as_object().unwrap() {
            let names = about["label_names_present"].as_object().unwrap();
            let Some((value, _)) = names.iter().find(|(_, other)| other.as_str() == Some(name)) else {
                assert_eq!(expected["n_voxels"], 0);
                continue;
            };
            let value: u64 = value.parse().unwrap();
            let one = found.iter().find(|one| one["value"] == value).unwrap();
            assert_eq!(one["voxels"], expected["n_voxels"]);
            near(number(&one["milliliters"]) * 1000.0, number(&expected["volume"]), 0.0);
            // They are rounded to so many digits there.
            near(number(&one["intensities"]["mean"]), number(&expected["intensity"]), 1e-5);
            near(number(&one["intensities"]["std"]), number(&expected["intensity_std"]), 1e-5);
            near(number(&one["intensities"]["min"]), number(&expected["intensity_min"]), 0.0);
            near(number(&one["intensities"]["max"]), number(&expected["intensity_max"]), 0.0);
            for axis in 0..3 {
                near(number(&one["centroid_index"][axis]), number(&expected["centroid_vox"][axis]), 1e-2);
                assert_eq!(one["first"][axis], expected["bbox_vox"][axis][0]);
                assert_eq!(one["last"][axis], expected["bbox_vox"][axis][1]);
            }
            compared += 1;
        }
        assert_eq!(compared, found.len());
        assert!(compared > 40);
    }
}
