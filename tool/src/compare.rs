//! `voxseg compare`: two label maps, voxel by voxel and label by label.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use voxseg::labels::Label;
use voxseg::metrics::{
    CompareOptions, Comparison, Pair, compare as compare_labels, labels_on_grid, pairs_by_name,
    pairs_by_terms, summary,
};
use voxseg::progress::Run;

use crate::counts::thousands;
use crate::failure::{Failure, Outcome};
use crate::image_file::ImageFile;
use crate::options::threads;
use crate::tasks::labels_of;

/// What to compare.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A label map
    a: PathBuf,
    /// Another one, for example of a reference; on another grid it is brought to the first one's
    b: PathBuf,
    /// How sure the reference is of each voxel: best minus second-best probability, in thousandths
    #[arg(long, value_name = "FILE")]
    margin: Option<PathBuf>,
    /// The largest margin at which the reference may as well have decided otherwise
    #[arg(long, value_name = "THOUSANDTHS", default_value_t = 10.0)]
    tie: f64,
    /// Compare surfaces too: 95 % Hausdorff distance, mean distance, surface Dice
    #[arg(long)]
    surface: bool,
    /// Distance that surface Dice tolerates
    #[arg(long, value_name = "MM", default_value_t = 3.0)]
    tolerance: f64,
    /// What makes a label of the first map and one of the second the same
    #[arg(long = "match", value_enum, value_name = "HOW", default_value_t = Matching::Value)]
    matching: Matching,
    /// The model's folder, a task's name (or total_v1) or a table of labels (.csv) that tells what the maps hold; twice
    /// for one of each map
    #[arg(long, value_name = "FOLDER", required_if_eq_any([("matching", "name"), ("matching", "term")]))]
    model: Vec<PathBuf>,
}

/// What makes two labels the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Matching {
    /// Their values
    Value,
    /// Their names in the models
    Name,
    /// Their coded terms in the models: type and side
    Term,
}

/// The labels of the models of both maps; none without models.
fn tables(models: &[PathBuf]) -> Outcome<[Vec<Label>; 2]> {
    let table = |model: &PathBuf| labels_of(model);
    match models {
        [] => Ok([Vec::new(), Vec::new()]),
        [both] => table(both).map(|labels| [labels.clone(), labels]),
        [first, second] => Ok([table(first)?, table(second)?]),
        [_, _, third, ..] => {
            Err(voxseg::Error::argument("model", third.display(), "one or two models").into())
        }
    }
}

/// The indices of voxels whose labels aren't the same.
fn differing(first: &[u32], second: &[u32], pairs: Option<&[Pair]>) -> Vec<usize> {
    let pairs: Option<BTreeSet<Pair>> = pairs.map(|pairs| pairs.iter().copied().collect());
    let same = |first: u32, second: u32| match &pairs {
        Some(pairs) if (first, second) != (0, 0) => pairs.contains(&Pair { first, second }),
        _ => first == second,
    };
    let voxels = first.iter().zip(second).enumerate();
    voxels.filter(|&(_, (&first, &second))| !same(first, second)).map(|(n, _)| n).collect()
}

/// Writes how two label maps differ. Differences are no error.
pub fn compare(out: &mut impl Write, arguments: &Arguments) -> Outcome<()> {
    let (a, b) = (ImageFile::read(&arguments.a)?, ImageFile::read(&arguments.b)?);
    let (a, mut b) = (a.label_map(&arguments.a)?, b.label_map(&arguments.b)?);
    let margins = match &arguments.margin {
        None => None,
        Some(path) => {
            let image = ImageFile::read(path)?;
            same_shape(&image, &b, path)?;
            same_shape(&image, &a, path)?;
            Some(image.values().collect::<Vec<_>>())
        }
    };
    let difference = a.grid_difference(&b);
    if difference.is_some() {
        b = a.sibling(b.dtype, labels_on_grid(&b.volume()?, &a.geometry, threads(), &mut Run::default())?);
    }
    let names = tables(&arguments.model)?;
    let pairs = match arguments.matching {
        Matching::Value => None,
        Matching::Name => Some(pairs_by_name(&names[0], &names[1])),
        Matching::Term => Some(pairs_by_terms(&names[0], &names[1])),
    };
    let (first, second) = (a.labels(&arguments.a)?, b.labels(&arguments.b)?);
    let differing = differing(&first, &second, pairs.as_deref());
    let foreground = second.iter().filter(|&&label| label != 0).count();

    let grid = difference.map_or_else(
        || "same".into(),
        |difference| format!("differs: {difference}; the second map is brought to the first one's"),
    );
    writeln!(out, "{:<22}{grid}", "grid")?;
    writeln!(out, "{:<22}{}", "voxels", thousands(first.len() as u64))?;
    writeln!(out, "{:<22}{} (of the second map)", "foreground voxels", thousands(foreground as u64))?;
    let share = differing.len() as f64 / foreground.max(1) as f64;
    writeln!(
        out,
        "{:<22}{} ({share:.2e} of foreground)",
        "differing voxels",
        thousands(differing.len() as u64)
    )?;
    if let Some(margins) = margins {
        let ties = differing.iter().filter(|&&n| margins[n] <= arguments.tie).count();
        let largest = differing.iter().map(|&n| margins[n]).fold(0.0, f64::max);
        writeln!(out, "{:<22}{} (margin up to {})", "  near ties", thousands(ties as u64), arguments.tie)?;
        let beyond = thousands((differing.len() - ties) as u64);
        writeln!(out, "{:<22}{beyond} (largest margin {largest})", "  beyond")?;
    }
    let tolerance = arguments.surface.then_some(arguments.tolerance);
    let options = CompareOptions { pairs, tolerance, threads: threads() };
    let mut comparisons = compare_labels(&a.volume()?, &b.volume()?, &options, &mut Run::default())?;
    comparisons.retain(|one| one.voxels != [0; 2]);
    table(out, &comparisons, &names[0], arguments)
}

/// Writes a line for each label, and the means where there is more than the Dice coefficient.
fn table(
    out: &mut impl Write,
    comparisons: &[Comparison],
    names: &[Label],
    arguments: &Arguments,
) -> Outcome<()> {
    let surface_heads = format!("  {:>8}  {:>8}  {:>8}", "HD95 mm", "mean mm", "surface");
    let surfaces = if arguments.surface { &surface_heads } else { "" };
    let name_head = if names.is_empty() { "" } else { "  name" };
    writeln!(out, "\n{:>5}  {:>12}  {:>12}  {:>8}{surfaces}{name_head}", "label", "first", "second", "Dice")?;
    for one in comparisons {
        let Pair { first, second } = one.pair;
        let label = if first == second { first.to_string() } else { format!("{first}={second}") };
        let [first_voxels, second_voxels] = one.voxels.map(thousands);
        let dice = one.dice().unwrap_or(f64::NAN);
        write!(out, "{label:>5}  {first_voxels:>12}  {second_voxels:>12}  {dice:>8.5}")?;
        if let Some(surface) = one.surface {
            let (farthest, mean) = (surface.hausdorff_95, surface.mean);
            write!(out, "  {farthest:>8.3}  {mean:>8.3}  {:>8.5}", surface.dice)?;
        }
        match names.iter().find(|label| label.value == first) {
            Some(label) => writeln!(out, "  {}", label.name)?,
            None => writeln!(out)?,
        }
    }
    let means = summary(comparisons);
    if let (Some(dice), Some(farthest), Some(mean), Some(surface)) =
        (means.dice, means.hausdorff_95, means.mean_distance, means.surface_dice)
    {
        write!(out, "{:>5}  {:>12}  {:>12}  {dice:>8.5}", "mean", "", "")?;
        writeln!(out, "  {farthest:>8.3}  {mean:>8.3}  {surface:>8.5}")?;
        writeln!(
            out,
            "\nMeans over the {} labels in both maps; {} are in one only. Surface Dice tolerates {} mm.",
            means.labels, means.unmatched, arguments.tolerance
        )?;
    }
    Ok(())
}

fn same_shape(image: &ImageFile, other: &ImageFile, path: &Path) -> Outcome<()> {
    let (found, expected) = (image.geometry.shape, other.geometry.shape);
    if found == expected && image.channels == other.channels {
        return Ok(());
    }
    Err(Failure::image(path, format!("shape {found:?}, but a label map's is {expected:?}")))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use voxseg::volume::DType;

    use super::*;
    use crate::image_file::tests::{Folder, example};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn output(folder: &Folder, line: &str) -> Outcome<String> {
        let words = line.split(' ').map(|word| match word.split_once(':') {
            Some(("file", name)) => folder.file(name).display().to_string(),
            _ => word.to_owned(),
        });
        let line = Line::try_parse_from(std::iter::once("compare".to_owned()).chain(words)).unwrap();
        let mut out = Vec::new();
        compare(&mut out, &line.arguments)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn write(folder: &Folder, name: &str, bytes: Vec<u8>) {
        example(DType::U8).sibling(DType::U8, bytes).write(&folder.file(name)).unwrap();
    }

    #[test]
    fn voxels_differ_by_value_or_by_pair() {
        let (first, second) = ([0, 1, 1, 2, 0], [0, 1, 2, 2, 2]);
        assert_eq!(differing(&first, &second, None), [2, 4]);
        let pairs = [Pair { first: 1, second: 2 }];
        assert_eq!(differing(&first, &second, Some(&pairs)), [1, 3, 4]);
    }

    #[test]
    fn margins_split_the_differences() {
        let folder = Folder::new("compare");
        let mut second = vec![1; 60];
        (second[3], second[7]) = (2, 0);
        let mut margin = vec![200; 60];
        margin[3] = 10;
        write(&folder, "a.nii.gz", vec![1; 60]);
        write(&folder, "b.mhd", second);
        write(&folder, "margin.nii", margin);
        let text = output(&folder, "file:a.nii.gz file:b.mhd --margin file:margin.nii").unwrap();
        assert!(text.contains("near ties           1 (margin up to 10)"), "{text}");
        assert!(text.contains("beyond              1 (largest margin 200)"), "{text}");
        assert!(
            text.ends_with(
                "\n    1            60            58   0.98305\n    2             0             1   0.00000\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn surfaces_have_columns_and_means() {
        let folder = Folder::new("compare-surface");
        write(&folder, "a.nii", vec![1; 60]);
        let text = output(&folder, "file:a.nii file:a.nii --surface --tolerance 1.5").unwrap();
        assert!(
            text.contains("    1            60            60   1.00000     0.000     0.000   1.00000\n"),
            "{text}"
        );
        assert!(
            text.contains("over the 1 labels in both maps; 0 are in one only. Surface Dice tolerates 1.5 mm"),
            "{text}"
        );
    }

    #[test]
    fn another_grid_is_brought_to_the_first() {
        let folder = Folder::new("compare-grids");
        write(&folder, "a.nii", (0..60).map(|n| u8::from(n % 3 > 0)).collect());
        // Without the first plane along axis 0.
        let mut smaller = example(DType::U8);
        smaller.geometry.shape = [2, 4, 5];
        for row in 0..3 {
            smaller.geometry.origin[row] += smaller.geometry.direction[row][0] * smaller.geometry.spacing[0];
        }
        smaller.bytes = vec![1; 40];
        smaller.write(&folder.file("b.nii")).unwrap();
        let text = output(&folder, "file:a.nii file:b.nii").unwrap();
        assert!(
            text.contains("grid                  differs: shape [3, 4, 5] instead of [2, 4, 5]; the second"),
            "{text}"
        );
        assert!(text.contains("differing voxels      0 "), "{text}");
    }

    #[test]
    fn margins_of_another_shape_fail() {
        let folder = Folder::new("compare-shapes");
        let mut other = example(DType::U8);
        other.geometry.shape = [5, 4, 3];
        write(&folder, "a.nii", vec![1; 60]);
        other.write(&folder.file("margin.nii")).unwrap();
        let failure = output(&folder, "file:a.nii file:a.nii --margin file:margin.nii").unwrap_err();
        assert_eq!(failure.exit_code(), 1);
    }

    #[test]
    fn names_need_a_model() {
        assert!(Line::try_parse_from(["compare", "a", "b", "--match", "name"]).is_err());
        assert!(Line::try_parse_from(["compare", "a", "b", "--match", "name", "--model", "m"]).is_ok());
    }
}
