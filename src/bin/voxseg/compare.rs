//! `voxseg compare`: two label maps on one grid, voxel by voxel.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::counts::thousands;
use crate::failure::{Failure, Outcome};
use crate::image_file::ImageFile;

/// What to compare.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A label map
    a: PathBuf,
    /// Another one with the same shape, for example of a reference
    b: PathBuf,
    /// How sure the reference is of each voxel: best minus second-best probability, in thousandths
    #[arg(long, value_name = "FILE")]
    margin: Option<PathBuf>,
    /// The largest margin at which the reference may as well have decided otherwise
    #[arg(long, value_name = "THOUSANDTHS", default_value_t = 10.0)]
    tie: f64,
}

/// Voxels of one label: in the first map, in the second, in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Overlap {
    first: usize,
    second: usize,
    both: usize,
}

impl Overlap {
    fn dice(self) -> f64 {
        2.0 * self.both as f64 / (self.first + self.second) as f64
    }
}

/// Overlaps by label and the indices of voxels that differ.
fn compare_labels(a: &[u32], b: &[u32]) -> (BTreeMap<u32, Overlap>, Vec<usize>) {
    let mut overlaps = BTreeMap::<u32, Overlap>::new();
    let mut differing = Vec::new();
    for (n, (&first, &second)) in a.iter().zip(b).enumerate() {
        if first == second {
            if first != 0 {
                let overlap = overlaps.entry(first).or_default();
                *overlap =
                    Overlap { first: overlap.first + 1, second: overlap.second + 1, both: overlap.both + 1 };
            }
        } else {
            overlaps.entry(first).or_default().first += 1;
            overlaps.entry(second).or_default().second += 1;
            differing.push(n);
        }
    }
    overlaps.remove(&0);
    (overlaps, differing)
}

/// Writes how two label maps differ. Maps of different shapes are an error, other differences are not.
pub fn compare(out: &mut impl Write, arguments: &Arguments) -> Outcome<()> {
    let (a, b) = (ImageFile::read(&arguments.a)?, ImageFile::read(&arguments.b)?);
    same_shape(&a, &b, &arguments.a)?;
    let (first, second) = (a.labels(&arguments.a)?, b.labels(&arguments.b)?);
    let margins = match &arguments.margin {
        None => None,
        Some(path) => {
            let image = ImageFile::read(path)?;
            same_shape(&image, &b, path)?;
            Some(image.values().collect::<Vec<_>>())
        }
    };
    let (overlaps, differing) = compare_labels(&first, &second);
    let foreground = second.iter().filter(|&&label| label != 0).count();

    let grid =
        a.grid_difference(&b).map_or_else(|| "same".into(), |difference| format!("differs: {difference}"));
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
    writeln!(out, "\n{:>5}  {:>12}  {:>12}  {:>8}", "label", "first", "second", "Dice")?;
    for (label, overlap) in overlaps {
        let (first, second) = (thousands(overlap.first as u64), thousands(overlap.second as u64));
        writeln!(out, "{label:>5}  {first:>12}  {second:>12}  {:>8.5}", overlap.dice())?;
    }
    Ok(())
}

fn same_shape(image: &ImageFile, other: &ImageFile, path: &Path) -> Outcome<()> {
    let (found, expected) = (image.geometry.shape, other.geometry.shape);
    if found == expected && image.channels == other.channels {
        return Ok(());
    }
    Err(Failure::image(path, format!("shape {found:?}, but the other map's is {expected:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_file::tests::{Folder, example};
    use voxseg::volume::DType;

    #[test]
    fn overlaps() {
        let (overlaps, differing) = compare_labels(&[0, 1, 1, 2, 0], &[0, 1, 2, 2, 2]);
        assert_eq!(differing, [2, 4]);
        assert_eq!(overlaps[&1], Overlap { first: 2, second: 1, both: 1 });
        assert_eq!(overlaps[&2], Overlap { first: 1, second: 3, both: 1 });
        assert_eq!(overlaps[&2].dice(), 0.5);
    }

    #[test]
    fn margins_split_the_differences() {
        let folder = Folder::new("compare");
        let write = |name: &str, bytes: Vec<u8>| {
            let path = folder.file(name);
            example(DType::U8).sibling(DType::U8, bytes).write(&path).unwrap();
            path
        };
        let mut second = vec![1; 60];
        (second[3], second[7]) = (2, 0);
        let mut margin = vec![200; 60];
        margin[3] = 10;
        let (a, b) = (write("a.nii.gz", vec![1; 60]), write("b.mhd", second));
        let margin = Some(write("margin.nii", margin));
        let mut out = Vec::new();
        compare(&mut out, &Arguments { a, b, margin, tie: 10.0 }).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("near ties           1 (margin up to 10)"), "{text}");
        assert!(text.contains("beyond              1 (largest margin 200)"), "{text}");
    }

    #[test]
    fn other_shapes_fail() {
        let folder = Folder::new("compare-shapes");
        let mut other = example(DType::U8);
        other.geometry.shape = [5, 4, 3];
        let (a, b) = (folder.file("a.nii"), folder.file("b.nii"));
        example(DType::U8).write(&a).unwrap();
        other.write(&b).unwrap();
        let failure = compare(&mut Vec::new(), &Arguments { a, b, margin: None, tie: 1.0 }).unwrap_err();
        assert_eq!(failure.exit_code(), 1);
    }
}
