//! The image that the networks of a task share: the volume along the patient's axes, at the task's spacing.
//!
//! TotalSegmentator 2.18's `nnUNet_predict_image` up to its networks. Spacings pass through NIfTI headers there, so
//! they have single precision. Where the spacing is the task's already, nothing is done at all; a part that is cut
//! out is rounded towards zero in any case.

use crate::buffer;
use crate::error::{Error, Result};
use crate::model::task::TaskResampling;
use ndarray::{Array3, ArrayView3};

use crate::preprocess::resample::{corners, smooth_labels};
use crate::volume::{AxisMap, Box3, DType, Geometry, LOWEST, Layout, Volume};

/// What its memory is for, in errors.
const IMAGE: &str = "a task's image";

/// An image along the patient's axes: x to the right, y to the front, z to the head.
pub(super) struct Image<'a> {
    /// The part of the volume that it shows, along those axes.
    part: Volume<'a>,
    /// What the networks see, where that is another grid or other values.
    made: Option<Made>,
}

struct Made {
    grid: Geometry,
    dtype: DType,
    bytes: Vec<u8>,
}

/// The part of a volume's grid along the patient's axes, with spacings of single precision.
pub(super) fn canonical(part: &Geometry) -> Geometry {
    let mut grid = AxisMap::closest_canonical(part).grid(part);
    grid.spacing = grid.spacing.map(single);
    grid
}

/// Refuses more voxels than memory holds; what is counted of fewer doesn't overflow.
fn check_count(shape: [usize; 3], what: &str) -> Result<()> {
    // As floats, since the product may not fit.
    if shape.iter().map(|&size| size as f64).product::<f64>() <= 2_f64.powi(40) {
        return Ok(());
    }
    let found = format!("{shape:?} {what}");
    Err(Error::VolumeMismatch { expected: "a grid of at most 2^40 voxels".into(), found })
}

fn single(length: f64) -> f64 {
    f64::from(length as f32)
}

/// The grid that the networks see, for a part of a volume.
pub(super) fn network_grid(part: &Geometry, spacing: Option<[f64; 3]>) -> Result<Geometry> {
    if !part.spacing.iter().all(|&length| single(length).is_normal()) {
        let reason = format!("spacing is {:?}, expected numbers that single precision holds", part.spacing);
        return Err(Error::Geometry { reason });
    }
    check_count(part.shape, "voxels of a volume")?;
    let mut grid = canonical(part);
    let Some(target) = spacing.filter(|target| *target != grid.spacing) else { return Ok(grid) };
    let (shape, before) = (grid.shape, grid.spacing);
    grid.shape = corners::shape(shape, before, target);
    if grid.shape.contains(&0) {
        let found = format!("{shape:?} voxels of {before:?} mm");
        return Err(Error::VolumeMismatch {
            expected: format!("at least half a voxel of {target:?} mm"),
            found,
        });
    }
    check_count(
        grid.shape,
        &format!("voxels of {target:?} mm for a volume of {shape:?} voxels of {before:?} mm"),
    )?;
    let exact = AxisMap::closest_canonical(part).apply(part.spacing);
    grid.spacing = [0, 1, 2].map(|axis| single(exact[axis] / (before[axis] / target[axis])));
    Ok(grid)
}

/// Bytes that the image needs at most beside the volume, of all of it or of a part.
pub(super) fn bytes(
    whole: &Geometry,
    spacing: Option<[f64; 3]>,
    resampling: TaskResampling,
    is_part: bool,
) -> Result<u64> {
    let (grid, before) = (network_grid(whole, spacing)?, canonical(whole));
    let (to, from) = (grid.voxels() as u64, before.voxels() as u64);
    let changed = grid.shape != before.shape || grid.spacing != before.spacing;
    Ok(match resampling {
        // With both arrays in double precision on the way.
        TaskResampling::Cubic if changed => 4 * to + 8 * to.max(from) + 4 * from,
        _ if changed || is_part => 4 * to,
        _ => 0,
    })
}

impl<'a> Image<'a> {
    /// Of the voxels of a box of the volume, `None` for all.
    pub(super) fn new(
        volume: &Volume<'a>,
        part: Option<Box3>,
        spacing: Option<[f64; 3]>,
        resampling: TaskResampling,
        threads: usize,
    ) -> Result<Self> {
        let cut = match part {
            Some(Box3 { start, end }) => volume.part(start, end),
            None => volume.clone(),
        };
        let grid = network_grid(cut.geometry(), spacing)?;
        let canonical = canonical(cut.geometry());
        let whole = whole_numbers(&cut);
        let seen = cut.along(&AxisMap::closest_canonical(cut.geometry())).with_spacing(canonical.spacing);
        let changed = grid.shape != canonical.shape || grid.spacing != canonical.spacing;
        let made = match resampling {
            _ if !changed && (part.is_none() || whole.is_some()) => None,
            TaskResampling::Cubic if changed => Some((DType::I32, cubic(&seen, grid.shape, threads)?)),
            _ => Some(match whole {
                Some(DType::I16) => {
                    (DType::I16, linear(&seen, grid.shape, threads, |v| (v as i16).to_ne_bytes())?)
                }
                _ => {
                    // A part is rounded before it is interpolated, all else after.
                    let read = if part.is_none() { seen.clone().without_lowest() } else { seen.clone() };
                    (DType::I32, linear(&read, grid.shape, threads, |v| rounded(v).to_ne_bytes())?)
                }
            }),
        };
        let made = made.map(|(dtype, bytes)| Made { grid, dtype, bytes });
        Ok(Image { part: seen, made })
    }

    /// As a volume.
    pub(super) fn volume(&self) -> Result<Volume<'_>> {
        match &self.made {
            None => Ok(self.part.clone()),
            Some(Made { grid, dtype, bytes }) => {
                Volume::new(grid.clone(), *dtype, Layout::dense(grid.shape, *dtype), vec![bytes])
            }
        }
    }

    /// Labels [z, y, x] of the networks' grid on that of the part: those of the nearest voxels, or
    /// smoothly by so many threads.
    pub(super) fn back(&self, labels: Array3<u16>, smooth: Option<usize>) -> Result<Array3<u16>> {
        let shape = reversed(self.part.geometry().shape);
        match &self.made {
            None => Ok(labels),
            Some(_) => match smooth {
                Some(threads) => smooth_labels(labels.view(), shape, threads),
                None => corners::nearest(labels.view(), shape),
            },
        }
    }
}

/// The type that holds all intensities where those are whole numbers.
fn whole_numbers(volume: &Volume) -> Option<DType> {
    match volume.dtype() {
        _ if !volume.is_unscaled() => None,
        DType::I8 | DType::U8 | DType::I16 => Some(DType::I16),
        DType::U16 | DType::I32 | DType::U32 => Some(DType::I32),
        DType::F16 | DType::F32 | DType::F64 => None,
    }
}

pub(super) fn reversed<T: Copy>([x, y, z]: [T; 3]) -> [T; 3] {
    [z, y, x]
}

fn linear<const N: usize>(
    volume: &Volume,
    to: [usize; 3],
    threads: usize,
    store: impl Fn(f64) -> [u8; N] + Sync,
) -> Result<Vec<u8>> {
    let axes = AxisMap::identity().transposed([2, 1, 0]);
    let from = reversed(volume.geometry().shape);
    let plane = |z: usize, out: &mut [f32]| volume.read(0, &axes, [z, 0, 0], [1, from[1], from[2]], out, 1);
    corners::linear(from, reversed(to), threads, plane, store)
}

fn cubic(volume: &Volume, to: [usize; 3], threads: usize) -> Result<Vec<u8>> {
    let axes = AxisMap::identity().transposed([2, 1, 0]);
    let from = reversed(volume.geometry().shape);
    let mut values = buffer::zeroed(IMAGE, volume.geometry().voxels())?;
    volume.read(0, &axes, [0; 3], from, &mut values, threads);
    let image = ArrayView3::from_shape(from, &values).unwrap_or_else(|_| unreachable!("made for this shape"));
    let resampled = corners::cubic(image, reversed(to), threads)?;
    let mut bytes = buffer::with_room(IMAGE, resampled.len().saturating_mul(size_of::<i32>()))?;
    bytes.extend(resampled.iter().flat_map(|&value| rounded(value).to_ne_bytes()));
    Ok(bytes)
}

/// Towards zero, as NumPy does it on x86-64: what no 32-bit integer holds, NaN too, becomes the lowest.
fn rounded(value: f64) -> i32 {
    if value > f64::from(i32::MIN) - 1.0 && value < f64::from(i32::MAX) + 1.0 { value as i32 } else { LOWEST }
}
