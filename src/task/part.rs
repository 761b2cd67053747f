//! The part of a volume that a task looks at.

use ndarray::{Array3, ArrayView3, s};

use super::image::reversed;
use crate::buffer;
use crate::error::Result;
use crate::volume::{AxisMap, Box3, Geometry};

/// The box of a volume around some labels [z, y, x], with a margin in millimetres along the volume's axes, cut down to
/// whole voxels; `None` where there are none.
pub(super) fn around(
    found: ArrayView3<u16>,
    labels: &[u32],
    margin: [f64; 3],
    axes: &AxisMap,
    volume: &Geometry,
) -> Option<Box3> {
    let (mut start, mut end) = ([usize::MAX; 3], [0; 3]);
    for ((z, y, x), &label) in found.indexed_iter() {
        if label > 0 && labels.contains(&label.into()) {
            for (axis, at) in [x, y, z].into_iter().enumerate() {
                start[axis] = start[axis].min(at);
                end[axis] = end[axis].max(at + 1);
            }
        }
    }
    if start[0] == usize::MAX {
        return None;
    }
    let part = Box3 { start, end };
    // Flipping is its own inverse.
    let flipped = along(&AxisMap { axis: [0, 1, 2], ..*axes }, axes.apply(volume.shape), part);
    let length = part.shape();
    let (start, length) = (axes.undo(flipped), axes.undo(length));
    let wide = |axis: usize| (margin[axis] / f64::from(volume.spacing[axis] as f32)) as usize;
    Some(Box3 {
        start: [0, 1, 2].map(|axis| start[axis].saturating_sub(wide(axis))),
        end: [0, 1, 2]
            .map(|axis| (start[axis] + length[axis]).saturating_add(wide(axis)).min(volume.shape[axis])),
    })
}

/// Where a box of a volume of that shape begins, along the axes of the array that `map` makes.
pub(super) fn along(map: &AxisMap, shape: [usize; 3], part: Box3) -> [usize; 3] {
    [0, 1, 2].map(|n| {
        let axis = map.axis[n];
        if map.flip[n] { shape[axis] - part.end[axis] } else { part.start[axis] }
    })
}

/// Labels [z, y, x] of a part of a volume, on the whole of it, along the axes of the array that `map` makes.
pub(super) fn paste(
    labels: &Array3<u16>,
    map: &AxisMap,
    volume: &Geometry,
    part: Box3,
) -> Result<Array3<u16>> {
    let mut whole = buffer::zeros("a label map", reversed(map.apply(volume.shape)))?;
    let ([z, y, x], shape) = (reversed(along(map, volume.shape, part)), labels.dim());
    whole.slice_mut(s![z..z + shape.0, y..y + shape.1, x..x + shape.2]).assign(labels);
    Ok(whole)
}
