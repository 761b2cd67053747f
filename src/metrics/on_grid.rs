//! A label map on another grid.

use super::grid_transform::{GridTransform, nearest};
use super::map::LabelMap;
use super::room::zeros;
use crate::error::{Error, Result};
use crate::floating_point::Ours;
use crate::labels::LabelBuffer;
use crate::parallel;
use crate::volume::{Geometry, Volume};

/// The labels of a map on another grid, in patient space: each voxel of `grid` gets the label of the voxel that its
/// centre lies in, 0 outside. A centre half-way between two voxels lies in the one with the higher index. Labels have
/// the map's type and byte order, and lie densely, axis 0 the fastest.
///
/// # Errors
/// [`Error::InvalidArgument`] for a volume that isn't a label map or a grid that no memory holds,
/// [`Error::Geometry`] for an impossible grid.
pub fn labels_on_grid(labels: &Volume, grid: &Geometry, threads: usize) -> Result<Vec<u8>> {
    let _ours = Ours::enter();
    LabelMap::new(labels, "labels")?;
    grid.check()?;
    let transform = GridTransform::new(grid, labels.geometry());
    let (size, [columns, rows, planes]) = (labels.dtype().size(), grid.shape);
    let mut bytes = zeros(&[planes, rows, columns, size], "grid")?;
    let planes = bytes.chunks_exact_mut(columns * rows * size).enumerate();
    parallel::for_each(threads, planes, |(k, plane)| {
        for (n, label) in plane.chunks_exact_mut(size).enumerate() {
            let position = transform.continuous_index([n % columns, n / columns, k]);
            if let Some(voxel) = nearest(position, labels.geometry().shape) {
                label.copy_from_slice(labels.stored(voxel));
            }
        }
    });
    Ok(bytes)
}

/// As [`labels_on_grid`], into a buffer on `grid` of the map's own type. On an error it is untouched.
///
/// # Errors
/// As [`labels_on_grid`]; [`Error::InvalidArgument`] for a buffer of another type or shape.
pub fn write_labels_on_grid(
    labels: &Volume,
    grid: &Geometry,
    out: &mut LabelBuffer,
    threads: usize,
) -> Result<()> {
    LabelMap::new(labels, "labels")?;
    if out.dtype() != labels.dtype() {
        let expected = format!("{:?}, the type of the labels", labels.dtype());
        return Err(Error::argument("out.dtype", format!("{:?}", out.dtype()), expected));
    }
    if out.shape() != grid.shape {
        let expected = format!("the grid's {:?}", grid.shape);
        return Err(Error::argument("out.shape", format!("{:?}", out.shape()), expected));
    }
    let mut bytes = labels_on_grid(labels, grid, threads)?;
    if labels.is_swapped() {
        bytes.chunks_exact_mut(labels.dtype().size()).for_each(<[u8]>::reverse);
    }
    out.copy_from(&bytes);
    Ok(())
}
