//! What a run of a task needs, before it runs.

use super::region::in_piece;
use super::{TaskPlan, chain, image, rules};
use crate::error::{Error, Result};
use crate::inference::{ENGINE_BYTES, Plan, PlanReport};
use crate::volume::{Geometry, Region};

impl TaskPlan {
    /// What a segmentation of a volume on this grid needs at most: what a crop will leave is known only when it
    /// runs. Weights are those of the two models that are in memory at once.
    ///
    /// # Errors
    /// As [`Plan::report`](crate::inference::Plan::report).
    pub fn report(&self, geometry: &Geometry) -> Result<PlanReport> {
        self.report_for(geometry, &Region::whole())
    }

    /// As [`TaskPlan::report`], for a region.
    ///
    /// # Errors
    /// As [`Plan::report_for`](crate::inference::Plan::report_for).
    pub fn report_for(&self, geometry: &Geometry, region: &Region) -> Result<PlanReport> {
        let asked = self.boxes(geometry, region)?;
        let mut all: Option<PlanReport> = None;
        let (mut peak, mut shared) = (0, 0);
        image::network_grid(geometry, None)?;
        let voxels = geometry.voxels() as u64;
        for (index, slots) in self.ranges().enumerate() {
            let link = &self.task.links[index];
            let (spacing, resampling) = self.resampling(index);
            let grid = image::network_grid(geometry, spacing)?;
            let kept = self.found_before(index) * LABEL * voxels;
            // The image and the merged labels.
            let image_bytes = image::bytes(geometry, spacing, resampling, link.crop.is_some())?
                + LABEL * grid.voxels() as u64;
            let pieces = self.pieces(index, grid.shape);
            let asked_here = match asked.filter(|_| index + 1 == self.task.links.len()) {
                Some(boxes) => Some(self.in_image(boxes, geometry, None, grid.shape)?),
                None => None,
            };
            for slot in slots {
                for (n, &(start, end)) in pieces.iter().enumerate() {
                    let shape = [grid.shape[0], grid.shape[1], end - start];
                    let piece = Geometry { shape, ..grid.clone() };
                    let inside =
                        asked_here.as_ref().map(|boxes| in_piece(boxes, chain::kept(&pieces, n), start));
                    let told = &self.slots[slot].told;
                    let one = match inside {
                        Some(boxes) if boxes.is_empty() => {
                            PlanReport { tiles: 0, network_runs: 0, ..told.report(&piece)? }
                        }
                        Some(boxes) => told.report_for(&piece, &Region { boxes, ..Region::default() })?,
                        None => told.report(&piece)?,
                    };
                    // The labels of this model, one byte each.
                    let labels = piece.voxels() as u64;
                    // The model's weights as read are gone by then.
                    let running = one.host_peak_bytes - one.weight_bytes + self.beside(slot);
                    shared = shared.max(self.shared(slot, &one));
                    peak = peak.max(kept + image_bytes + labels + running);
                    all = Some(self.with(all, slot, one));
                }
            }
            // What engines leave behind when their weights go.
            let left = ENGINE_BYTES * self.slots.len().min(2) as u64;
            let options = &self.task.options;
            let pieces_of_labels = if index == self.main_link() && options.remove_small.is_some() {
                rules::bytes_of_components(grid.shape)
            } else {
                0
            };
            let rules = link.task.rules.iter().map(|rule| rules::bytes(rule, grid.shape, geometry.shape));
            let rules = rules.fold(pieces_of_labels, u64::max);
            // A part of the volume, and the whole with it.
            let back = if link.crop.is_some() { 2 * LABEL * voxels } else { LABEL * voxels };
            peak = peak
                .max(kept + left + image_bytes + rules)
                .max(kept + left + image_bytes + back)
                .max(kept + left + LABEL * voxels + rules);
        }
        let (shared_bytes, run_bytes) = (shared, peak.saturating_sub(shared));
        let all = all.map(|all| PlanReport { host_peak_bytes: peak, shared_bytes, run_bytes, ..all });
        all.ok_or_else(|| Error::unsupported("a task without models"))
    }

    /// What runs that are at the same model share: the engines' forms of its weights, and the other model's where two
    /// stay.
    fn shared(&self, slot: usize, one: &PlanReport) -> u64 {
        let others =
            self.slots.iter().enumerate().filter(|(other, _)| *other != slot && self.slots.len() <= 2);
        let beside: u64 = others.map(|(_, other)| other.told.loaded_bytes()).sum();
        one.shared_bytes - one.weight_bytes + beside
    }

    /// The label maps of earlier links that are still there while a link runs.
    fn found_before(&self, index: usize) -> u64 {
        let later = &self.task.links[index..];
        let needed = |earlier: &usize| {
            later.iter().any(|link| {
                link.beside == Some(*earlier) || link.crop.as_ref().is_some_and(|crop| crop.link == *earlier)
            })
        };
        (0..index).filter(needed).count() as u64
    }

    /// What other models have in memory while one runs: two alone stay there both, of more the next one is loaded, by a
    /// thread that reads its weights and makes the engine's own of them.
    fn beside(&self, slot: usize) -> u64 {
        if self.slots.len() <= 2 {
            let others = self.slots.iter().enumerate().filter(|(other, _)| *other != slot);
            let kept = |plan: &Plan| plan.loaded_bytes() + plan.arena_bytes() + ENGINE_BYTES;
            return others.map(|(_, other)| kept(&other.told)).sum();
        }
        let next = self.slots.get(slot + 1);
        next.map_or(0, |next| next.told.weight_bytes() + next.told.loaded_bytes()) + ENGINE_BYTES
    }

    /// The report of a slot's run with those before it.
    fn with(&self, all: Option<PlanReport>, slot: usize, one: PlanReport) -> PlanReport {
        let next = self.slots.get(slot + 1).map_or(0, |next| next.told.weight_bytes());
        // A next model's weights are on the device by then, too.
        let device_peak_bytes = one.device_peak_bytes + if one.device_peak_bytes > 0 { next } else { 0 };
        let one = PlanReport { device_peak_bytes, weight_bytes: one.weight_bytes + next, ..one };
        match all {
            None => one,
            Some(all) => PlanReport {
                tiles: all.tiles + one.tiles,
                tiles_in_all: all.tiles_in_all + one.tiles_in_all,
                network_runs: all.network_runs + one.network_runs,
                device_peak_bytes: all.device_peak_bytes.max(one.device_peak_bytes),
                weight_bytes: all.weight_bytes.max(one.weight_bytes),
                ..one
            },
        }
    }
}

/// Bytes of a voxel's label.
const LABEL: u64 = size_of::<u16>() as u64;
