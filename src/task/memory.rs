//! What a run of a task needs, before it runs.

use super::{TaskPlan, image};
use crate::error::{Error, Result};
use crate::plan::{ENGINE_BYTES, PlanReport};
use crate::volume::Geometry;

impl TaskPlan {
    /// What a segmentation of a volume on this grid needs at most: what a crop will leave is known only when it
    /// runs. Weights are those of the two models that are in memory at once.
    ///
    /// # Errors
    /// As [`Plan::report`].
    pub fn report(&self, geometry: &Geometry) -> Result<PlanReport> {
        let mut all: Option<PlanReport> = None;
        let voxels = geometry.voxels() as u64;
        for (index, slots) in self.ranges().enumerate() {
            let (spacing, resampling) = self.resampling(index);
            let grid = image::network_grid(geometry, spacing)?;
            // The merged labels, and those of one model.
            let here = image::bytes(geometry, spacing, resampling)? + 4 * grid.voxels() as u64;
            // Those that a link before found stay while labels outside of them have to go.
            let before = if index > 0 { 2 * voxels } else { 0 };
            for slot in slots {
                let next = self.slots.get(slot + 1).map_or(0, |next| next.plan.weight_bytes());
                // What engines leave behind when their weights go.
                let left = slot as u64 * ENGINE_BYTES;
                for (start, end) in self.pieces(index, grid.shape) {
                    let shape = [grid.shape[0], grid.shape[1], end - start];
                    let one = self.slots[slot].plan.report(&Geometry { shape, ..grid.clone() })?;
                    let peak = before + here + left + next + one.host_peak_bytes;
                    // A next model's weights are on the device by then, too.
                    let device_peak =
                        one.device_peak_bytes + if one.device_peak_bytes > 0 { next } else { 0 };
                    let weights = one.weight_bytes + next;
                    let one = PlanReport { device_peak_bytes: device_peak, weight_bytes: weights, ..one };
                    all = Some(match all {
                        None => PlanReport { host_peak_bytes: peak, ..one },
                        Some(all) => PlanReport {
                            tiles: all.tiles + one.tiles,
                            network_runs: all.network_runs + one.network_runs,
                            host_peak_bytes: all.host_peak_bytes.max(peak),
                            device_peak_bytes: all.device_peak_bytes.max(one.device_peak_bytes),
                            weight_bytes: all.weight_bytes.max(one.weight_bytes),
                            ..one
                        },
                    });
                }
            }
            // On both grids at once.
            let end = before + here + 4 * voxels;
            all = all.map(|all| PlanReport { host_peak_bytes: all.host_peak_bytes.max(end), ..all });
        }
        all.ok_or_else(|| Error::unsupported("a task without models"))
    }
}
