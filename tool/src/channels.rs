//! The image for a model: the volume of a series that is wanted, or one channel from each of several files.

use std::path::{Path, PathBuf};

use voxseg::nifti::Reader;
use voxseg::volume::Geometry;

use crate::failure::{Failure, Outcome};
use crate::image_file::ImageFile;
use crate::resample::resampled;

/// How far voxels of two channels may be apart, in voxels of the first: so far each one is nearest to its own.
pub const TOLERANCE: f64 = 0.5;
/// Distance in voxels that isn't worth a word: numbers in files are rounded.
const ROUNDING: f64 = 1e-3;

/// How the files become one image.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// How many channels the model takes.
    pub channels: usize,
    /// The volume to take of a series, from 0.
    pub volume: Option<usize>,
    /// Whether the first volume of a series is taken when nobody says which.
    pub first_of_series: bool,
    /// Whether channels on other grids are resampled.
    pub resample: bool,
    /// What reads the headers of NIfTI files.
    pub reader: Reader,
}

/// The image, and what its user should know about it.
#[derive(Debug)]
pub struct Channels {
    /// It.
    pub image: ImageFile,
    /// What may be wrong with it.
    pub warnings: Vec<String>,
    /// What was done to it.
    pub notes: Vec<String>,
}

/// The image of one file, or one channel from each of several, on the first one's grid.
pub fn read(paths: &[PathBuf], wanted: &Wanted) -> Outcome<Channels> {
    let Some((first, rest)) = paths.split_first() else {
        return Err(voxseg::Error::argument("--image", "nothing", "a file").into());
    };
    let (mut warnings, mut notes) = (Vec::new(), Vec::new());
    let mut image = ImageFile::read_as(first, wanted.reader)?;
    note(first, &image, &mut warnings);
    image = pick(first, image, wanted, rest.is_empty(), &mut warnings)?;
    let mut others = Vec::new();
    for path in rest {
        let other = ImageFile::read_as(path, wanted.reader)?;
        note(path, &other, &mut warnings);
        let other = pick(path, other, wanted, false, &mut warnings)?;
        others.push(on_grid(path, other, first, &image, wanted, &mut warnings, &mut notes)?);
    }
    // A volume has one type and one scaling; channels that differ in them meet as floats.
    let kind = |image: &ImageFile| (image.dtype, image.slope, image.intercept);
    if others.iter().any(|other| kind(other) != kind(&image)) {
        image = image.to_f32();
        others = others.iter().map(ImageFile::to_f32).collect();
    }
    for other in others {
        image.bytes.extend(other.bytes);
        image.channels += 1;
    }
    Ok(Channels { image, warnings, notes })
}

/// What a file's header contradicts itself in is a warning.
fn note(path: &Path, image: &ImageFile, warnings: &mut Vec<String>) {
    warnings.extend(image.note.iter().map(|note| format!("{}: {note}", path.display())));
}

/// The volume of a series that is asked for. `alone` says that no other file gives a channel.
fn pick(
    path: &Path,
    image: ImageFile,
    wanted: &Wanted,
    alone: bool,
    warnings: &mut Vec<String>,
) -> Outcome<ImageFile> {
    let (count, name) = (image.channels, path.display());
    let refused = |reason: String| Err(Failure::image(path, reason));
    match wanted.volume {
        Some(volume) if volume < count => Ok(image.only(volume)),
        Some(volume) => refused(format!("--volume {volume} of {count} volumes, which are counted from 0")),
        None if count == 1 || alone && wanted.channels > 1 => Ok(image),
        None if alone && wanted.first_of_series => {
            warnings.push(format!(
                "{name} holds {count} volumes; the first one is segmented (--volume 0 to {} picks one)",
                count - 1
            ));
            Ok(image.only(0))
        }
        None if alone => refused(format!(
            "holds {count} volumes, but the model takes one; --volume 0 to {} picks it",
            count - 1
        )),
        None => refused(format!(
            "holds {count} volumes, but several files give one channel each; --volume 0 to {} picks one of each",
            count - 1
        )),
    }
}

/// A channel on the grid of the first one, if it is near enough or may be resampled.
fn on_grid(
    path: &Path,
    other: ImageFile,
    first: &Path,
    image: &ImageFile,
    wanted: &Wanted,
    warnings: &mut Vec<String>,
    notes: &mut Vec<String>,
) -> Outcome<ImageFile> {
    let same_shape = other.geometry.shape == image.geometry.shape;
    let distance = distance(&image.geometry, &other.geometry);
    if same_shape && distance <= ROUNDING {
        return Ok(other);
    }
    let (name, first) = (path.display(), first.display());
    if wanted.resample {
        notes.push(format!("{name} resampled linearly onto the grid of {first}"));
        return Ok(resampled(&other, &image.geometry));
    }
    let difference = other.grid_difference(image).unwrap_or_else(|| "by less than its numbers show".into());
    if same_shape && distance <= TOLERANCE {
        warnings.push(format!(
            "{name} is not quite on the grid of {first}, which is used for it: its voxels lie up to {distance:.3} \
             voxels away ({difference})"
        ));
        return Ok(other);
    }
    let reason = match same_shape {
        true => format!(
            "{difference}; its voxels lie up to {distance:.3} voxels away, at most {TOLERANCE} is taken"
        ),
        false => difference,
    };
    let help = "--resample-channels brings it there";
    Err(Failure::image(path, format!("not on the grid of {first}: {reason}; {help}")))
}

/// How far a voxel of one grid is at most from the same voxel of another, along any axis, in voxels of the first: a
/// corner is the farthest.
fn distance(first: &Geometry, other: &Geometry) -> f64 {
    let last = other.shape.map(|count| count.saturating_sub(1) as f64);
    let corners = (0..8)
        .map(|corner| std::array::from_fn(|axis| if corner >> axis & 1 == 1 { last[axis] } else { 0.0 }));
    let apart = corners.map(|corner: [f64; 3]| {
        let place = index(first, &position(other, corner));
        (0..3).map(|axis| (place[axis] - corner[axis]).abs()).fold(0.0, f64::max)
    });
    apart.fold(0.0, f64::max)
}

/// Where a voxel lies.
pub fn position(grid: &Geometry, index: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|row| {
        let steps = (0..3).map(|axis| grid.direction[row][axis] * grid.spacing[axis] * index[axis]);
        grid.origin[row] + steps.sum::<f64>()
    })
}

/// The voxel that lies somewhere; axes are at right angles.
pub fn index(grid: &Geometry, position: &[f64; 3]) -> [f64; 3] {
    let d = &grid.direction;
    let cofactor = |row: usize, column: usize| {
        let [a, b] = [(row + 1) % 3, (row + 2) % 3];
        let [p, q] = [(column + 1) % 3, (column + 2) % 3];
        d[a][p] * d[b][q] - d[a][q] * d[b][p]
    };
    let determinant: f64 = (0..3).map(|column| d[0][column] * cofactor(0, column)).sum();
    std::array::from_fn(|axis| {
        let along: f64 = (0..3).map(|row| cofactor(row, axis) * (position[row] - grid.origin[row])).sum();
        along / (determinant * grid.spacing[axis])
    })
}

#[cfg(test)]
mod tests {
    use voxseg::volume::DType;

    use super::*;
    use crate::image_file::tests::{Folder, example};

    type Change<'a> = &'a dyn Fn(&mut Geometry);

    const TWO: Wanted =
        Wanted { channels: 2, volume: None, first_of_series: false, resample: false, reader: Reader::Itk };

    #[test]
    fn a_sheared_grid_is_on_itself() {
        let sine = 0.9_f64.to_radians().sin();
        let direction = [[1.0, sine, 0.0], [0.0, (1.0 - sine * sine).sqrt(), 0.0], [0.0, 0.0, 1.0]];
        let grid = Geometry { direction, origin: [3.0, -5.0, 7.0], ..Geometry::with_shape([512; 3]) };
        assert!(grid.check().is_ok());
        assert!(distance(&grid, &grid) < 1e-9);
    }

    #[test]
    fn channels_of_several_files() {
        let folder = Folder::new("channels");
        let (a, b) = (folder.file("a.nii"), folder.file("b.nii.gz"));
        example(DType::I16).write(&a).unwrap();
        example(DType::I16).write(&b).unwrap();
        let Channels { image, warnings, notes } = read(&[a.clone(), b.clone()], &TWO).unwrap();
        assert_eq!((image.channels, image.dtype, image.channel(1)), (2, DType::I16, image.channel(0)));
        assert!(warnings.is_empty() && notes.is_empty());

        example(DType::U8).write(&b).unwrap();
        let image = read(&[a, b], &TWO).unwrap().image;
        assert_eq!((image.channels, image.dtype), (2, DType::F32));
        assert_eq!(image.values().nth(60), example(DType::U8).values().next());
    }

    #[test]
    fn grids_of_channels_may_differ_a_little() {
        let folder = Folder::new("channels-grids");
        let paths = [folder.file("a.mhd"), folder.file("b.mhd")];
        example(DType::U8).write(&paths[0]).unwrap();
        let moved = |change: Change| {
            let mut other = example(DType::U8);
            change(&mut other.geometry);
            other.write(&paths[1]).unwrap();
            read(&paths, &TWO)
        };
        // Spacings are 0.78125, 1.5 and 2.75 mm.
        let rounded = moved(&|grid| grid.origin[2] += 1e-4).unwrap();
        assert!(rounded.warnings.is_empty());
        let near: [&dyn Fn(&mut Geometry); 3] =
            [&|grid| grid.origin[0] += 0.3, &|grid| grid.spacing[2] = 2.8, &|grid| {
                grid.direction = [[0.0, 0.601, 0.799_249], [-1.0, 0.0, 0.0], [0.0, 0.799_249, -0.601]]
            }];
        for change in near {
            let Channels { image, warnings, notes } = moved(change).unwrap();
            assert_eq!(image.geometry, example(DType::U8).geometry);
            assert_eq!(image.channel(1), example(DType::U8).bytes);
            assert_eq!((warnings.len(), notes.len()), (1, 0));
            assert!(warnings[0].contains("b.mhd") && warnings[0].contains("voxels away"), "{}", warnings[0]);
        }
        let far: [(Change, &str); 4] = [
            (&|grid| grid.origin[1] += 0.5, "0.640 voxels away"),
            (&|grid| grid.spacing[2] = 3.2, "0.655 voxels away"),
            (&|grid| grid.direction = [[0.0, -0.6, 0.8], [-1.0, 0.0, 0.0], [0.0, -0.8, -0.6]], "direction"),
            (&|grid| grid.shape = [4, 3, 5], "shape"),
        ];
        for (change, expected) in far {
            let failure = moved(change).unwrap_err().to_string();
            assert!(failure.contains(expected) && failure.contains("--resample-channels"), "{failure}");
        }
    }

    #[test]
    fn a_channel_on_another_grid_is_resampled_on_request() {
        let folder = Folder::new("channels-resampled");
        let paths = [folder.file("a.mhd"), folder.file("b.mhd")];
        example(DType::U8).write(&paths[0]).unwrap();
        let mut other = example(DType::U8);
        // One voxel farther along axis 1.
        let first = example(DType::U8).geometry;
        other.geometry.origin = position(&first, [0.0, 1.0, 0.0]);
        other.write(&paths[1]).unwrap();
        let Channels { image, warnings, notes } = read(&paths, &Wanted { resample: true, ..TWO }).unwrap();
        assert_eq!((image.channels, image.dtype, warnings.len(), notes.len()), (2, DType::F32, 0, 1));
        assert!(notes[0].contains("b.mhd resampled linearly onto the grid of"));
        let values: Vec<f64> = image.values().collect();
        let expected = |voxel: usize| if (voxel / 3).is_multiple_of(4) { 0.0 } else { values[voxel - 3] };
        for voxel in 0..60 {
            assert!((values[60 + voxel] - expected(voxel)).abs() < 1e-4, "{voxel}");
        }
    }

    #[test]
    fn a_volume_of_a_series() {
        let folder = Folder::new("series");
        let path = [folder.file("series.nii.gz")];
        let mut series = example(DType::I16);
        series.bytes.extend(vec![1; 120]);
        series.bytes.extend(vec![2; 120]);
        series.channels = 3;
        series.write(&path[0]).unwrap();
        let one = Wanted { channels: 1, ..Wanted::default() };
        let failure = read(&path, &one).unwrap_err().to_string();
        assert!(failure.contains("3 volumes") && failure.contains("--volume 0 to 2"), "{failure}");
        let last = read(&path, &Wanted { volume: Some(2), ..one }).unwrap();
        assert_eq!((last.image.channels, last.image.bytes, last.warnings.len()), (1, vec![2; 120], 0));
        assert!(read(&path, &Wanted { volume: Some(3), ..one }).unwrap_err().to_string().contains("from 0"));
        let first = read(&path, &Wanted { first_of_series: true, ..one }).unwrap();
        assert_eq!((first.image.channels, first.image.bytes), (1, example(DType::I16).bytes));
        assert!(first.warnings[0].contains("3 volumes"));
        // A model of several channels takes them as such.
        assert_eq!(read(&path, &Wanted { channels: 3, ..one }).unwrap().image.channels, 3);
        let both = [path[0].clone(), path[0].clone()];
        assert!(read(&both, &TWO).unwrap_err().to_string().contains("picks one of each"));
        assert_eq!(read(&both, &Wanted { volume: Some(1), ..TWO }).unwrap().image.bytes, [1; 240]);
    }
}
