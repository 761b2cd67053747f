//! What a task does to its labels, by TotalSegmentator 2.18's conventions. Arrays are [z, y, x] along the patient's
//! axes: to the right, to the front, to the head. Voxels are neighbours by their faces. Where pieces have the same
//! size, order matters; it is that of voxels with x slowest and z fastest.

mod blobs;
mod outside;
mod vertebrae;

use ndarray::Array3;

use crate::model::task::Rule;

pub(super) use blobs::remove_small;
pub(super) use outside::remove_outside;

/// Volume of a voxel in cubic millimetres, in single precision as TotalSegmentator has it.
fn voxel_volume(spacing: [f64; 3]) -> f32 {
    spacing.iter().fold(1.0, |product, &length| product * length as f32)
}

/// Applies a rule on the networks' grid of that spacing along x, y and z. `labels` are the task's values but 0.
pub(super) fn apply(rule: &Rule, array: &mut Array3<u16>, spacing: [f64; 3], labels: &[u32]) {
    match rule {
        Rule::KeepLargest(labels) => blobs::keep_largest(array, labels),
        Rule::RemoveSmall { labels, volume } => remove_small(array, labels, *volume, spacing),
        Rule::SeparateVertebrae { smallest } => vertebrae::separate(array, labels, *smallest, spacing),
        Rule::Dilate(distance) => vertebrae::dilate(array, labels, *distance, spacing),
        // On the volume's own grid, later.
        Rule::RemoveOutside { .. } => {}
    }
}
