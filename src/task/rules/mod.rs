//! What a task does to its labels, by TotalSegmentator 2.18's conventions. Arrays are [z, y, x] along the patient's
//! axes: to the right, to the front, to the head. Voxels are neighbours by their faces. Where pieces have the same
//! size, order matters; it is that of voxels with x slowest and z fastest.

mod blobs;
mod outside;
mod skin;
#[cfg(test)]
mod tests;
mod vertebrae;

use ndarray::Array3;

use super::image;
use crate::buffer;
use crate::error::Result;
use crate::model::task::Rule;
use crate::restore::components;
use crate::volume::{AxisMap, Volume};

pub(super) use blobs::remove_small;

/// Volume of a voxel in cubic millimetres, in single precision as TotalSegmentator has it.
fn voxel_volume(spacing: [f64; 3]) -> f32 {
    spacing.iter().fold(1.0, |product, &length| product * length as f32)
}

/// Bytes that a rule needs at most beside the labels, on the networks' grid or the volume's, whichever it works on.
pub(super) fn bytes(rule: &Rule, network: [usize; 3], volume: [usize; 3]) -> u64 {
    let [network_voxels, voxels] = [network, volume].map(|shape| shape.iter().product::<usize>() as u64);
    match rule {
        Rule::KeepLargest(_) | Rule::RemoveSmall { .. } | Rule::SeparateVertebrae { .. } => {
            bytes_of_components(network)
        }
        Rule::Dilate(_) => 2 * network_voxels,
        Rule::ClipTo { .. } => 2 * voxels,
        Rule::RemoveOutside { .. } => 3 * voxels,
        Rule::Skin(_) => (6 * voxels).max(bytes_of_components(volume)),
    }
}

/// Bytes that finding pieces of labels [x, y, z] needs at most, along rows of any axis.
pub(super) fn bytes_of_components(shape: [usize; 3]) -> u64 {
    components::bytes(shape).max(components::bytes(image::reversed(shape)))
}

/// Applies a rule on the networks' grid of that spacing along x, y and z. `labels` are the task's values but 0.
pub(super) fn apply(rule: &Rule, array: &mut Array3<u16>, spacing: [f64; 3], labels: &[u32]) -> Result<()> {
    match rule {
        Rule::KeepLargest(labels) => blobs::keep_largest(array, labels),
        Rule::RemoveSmall { labels, volume } => remove_small(array, labels, *volume, spacing),
        Rule::SeparateVertebrae { smallest } => vertebrae::separate(array, labels, *smallest, spacing),
        Rule::Dilate(distance) => vertebrae::dilate(array, *distance, spacing, [false; 3]),
        // On the volume's own grid, later.
        Rule::RemoveOutside { .. } | Rule::ClipTo { .. } | Rule::Skin(_) => Ok(()),
    }
}

/// Applies a rule on the volume's own grid, with the labels that another task found there.
pub(super) fn apply_on_volume(
    rule: &Rule,
    array: &mut Array3<u16>,
    beside: &Array3<u16>,
    volume: &Volume,
) -> Result<()> {
    let grid = volume.geometry();
    let is_among =
        |labels: &[u32]| buffer::map("the labels beside", beside, |label| labels.contains(&label.into()));
    match rule {
        Rule::RemoveOutside { labels, distance } => {
            let spacing = image::canonical(grid).spacing.map(|length| length as f32);
            let steps = *distance as f32 / (spacing.iter().sum::<f32>() / 3.0);
            outside::remove_outside(array, &is_among(labels)?, steps as usize)
        }
        Rule::ClipTo { labels, distance, .. } => {
            let axes = AxisMap::closest_canonical(grid);
            vertebrae::dilate(array, *distance, axes.apply(grid.spacing), axes.flip)?;
            array.zip_mut_with(beside, |label, &there| {
                if !labels.contains(&there.into()) {
                    *label = 0;
                }
            });
            Ok(())
        }
        Rule::Skin(labels) => skin::skin(array, &is_among(labels)?, volume),
        Rule::KeepLargest(_)
        | Rule::RemoveSmall { .. }
        | Rule::SeparateVertebrae { .. }
        | Rule::Dilate(_) => Ok(()),
    }
}
