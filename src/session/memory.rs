//! What a session needs, told before it begins.

use super::STEPS;
use super::answer::FARTHEST;
use super::input::seen;
use crate::error::Result;
use crate::inference::{Plan, PlanReport};
use crate::volume::{Geometry, Region};

/// What runs of the whole volume need, with the image that is kept, the mask and what can be taken back.
pub(super) fn of_whole_runs(plan: &Plan, geometry: &Geometry) -> Result<PlanReport> {
    let mut report = plan.report_for(geometry, &Region::whole())?;
    let product = |sizes: [usize; 3]| sizes.iter().fold(1_u64, |all, &one| all.saturating_mul(one as u64));
    let image = product(report.network_shape).saturating_mul(4 * plan.inputs as u64);
    let masks = product(geometry.shape).saturating_mul(2 + STEPS as u64);
    let held = image.saturating_add(masks);
    report.run_bytes = report.run_bytes.saturating_add(held);
    report.host_peak_bytes = report.host_peak_bytes.saturating_add(held);
    Ok(report)
}

/// Bytes of the image, the masks, what can be taken back, and of a run that looks from as far away as it can.
pub(super) fn bytes(plan: &Plan, shape: [usize; 3]) -> u64 {
    let product = |sizes: [usize; 3]| sizes.iter().fold(1_u64, |all, &one| all.saturating_mul(one as u64));
    let patch = plan.recipe.tiling.patch;
    let (voxels, tile) = (product(shape), product(patch));
    let image = voxels.saturating_mul(4 * plan.channels.len() as u64 + 2);
    let steps = tile.min(voxels).saturating_mul(2 * STEPS as u64);
    let network = tile.saturating_mul(4 * (plan.inputs + plan.classes) as u64 + 2);
    // From far away: the mask, what differs, the map of it, what is overwritten, and boxes around it.
    let far = seen(patch, FARTHEST);
    let around = [0, 1, 2].map(|axis| far[axis].min(shape[axis]) + 2 * patch[axis]);
    let again = product([0, 1, 2].map(|axis| far[axis].min(shape[axis]))).saturating_mul(6);
    image.saturating_add(steps).saturating_add(network).saturating_add(again).saturating_add(product(around))
}
