//! What a plan needs, told from shapes alone before anything large is made, and held against what there is.

use std::sync::Arc;

use half::f16;

use super::{ENGINE_BYTES, Plan, PlanOptions};
use crate::engine::Order;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::network::Network;
use crate::plan::Precision;
use crate::platform;
use crate::preprocess::normalize::Normalization;
use crate::recipe::{Back, Cleanup, Step, Sums};
use crate::restore::{Restorer, components};
use crate::segment::RELEASED_AT_ONCE;
use crate::segment::ahead::IN_FLIGHT;
use crate::tiling::Blend;
use crate::volume::Geometry;

/// Refuses a need beyond the caller's budget, or beyond what the process may still take (see docs/memory.md); so much of the
/// need is there already.
pub(crate) fn check_budget(budget: Option<u64>, needed: u64, there: u64) -> Result<()> {
    let budget = budget.unwrap_or(u64::MAX);
    let all = |left: Option<u64>| left.map_or(u64::MAX, |left| left.saturating_add(there));
    let mut available = all(platform::memory_left());
    if needed > available && needed <= budget {
        // What the C library keeps of freed memory counts as used.
        platform::return_freed_memory();
        available = all(platform::memory_left());
    }
    let budget = budget.min(available);
    if needed > budget { Err(Error::MemoryBudget { budget, needed }) } else { Ok(()) }
}

/// Bytes of a network's weights.
pub(super) fn weight_bytes(network: &Arc<Network>, precision: Precision) -> u64 {
    (network.parameters() * if precision == Precision::F16 { 2 } else { 4 }) as u64
}

/// Refuses to make a plan whose every run would need more than there is.
pub(super) fn check_plan(model: &Model, options: &PlanOptions, threads: usize) -> Result<()> {
    let least = Least::of(model, options, threads)?;
    check_budget(options.memory_budget, least.kept.saturating_add(least.tile), least.weights)
}

/// What any run needs at least.
#[derive(Default)]
struct Least {
    /// Weights as they were read, which are there.
    weights: u64,
    /// What all stages and members keep from run to run, weights included.
    kept: u64,
    /// The largest need for a tile.
    tile: u64,
}

impl Least {
    fn of(model: &Model, options: &PlanOptions, threads: usize) -> Result<Self> {
        let (tiling, device) = (&model.recipe.tiling, options.device.resolve_for(&model.networks));
        let precision = match options.precision {
            Precision::Auto => device.precision_for(&model.networks),
            chosen => chosen,
        };
        let order =
            Order::new(device, tiling.patch, precision, threads, &options.device_options, &options.cancel);
        let patch = tiling.patch.iter().map(|&length| length as u64).fold(1, u64::saturating_mul);
        let weights = model.networks.iter().map(|network| weight_bytes(network, precision)).sum::<u64>();
        let network = &model.networks[0];
        let channels = (network.input_channels() + network.output_channels()) as u64;
        let mirrored = if options.mirroring && !tiling.mirror.is_empty() { 2 } else { 1 };
        let own = Least {
            weights,
            kept: weights
                .saturating_add(order.least_bytes(&model.networks)?)
                .saturating_add(patch.saturating_mul(4)),
            tile: patch.saturating_mul(4 * channels * mirrored),
        };
        let earlier = model.previous.iter().map(|stage| &**stage).chain(model.others());
        earlier.map(|model| Least::of(model, options, threads)).try_fold(own, |all, one| {
            let one = one?;
            Ok(Least {
                weights: all.weights.saturating_add(one.weights),
                kept: all.kept.saturating_add(one.kept),
                tile: all.tile.max(one.tile),
            })
        })
    }
}

impl Plan {
    /// The part of the needs that is there now: weights, and what engines keep.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.weight_bytes + self.held_beside_weights()
    }

    /// As [`Plan::held_bytes`], without the weights as they were read.
    pub(crate) fn held_beside_weights(&self) -> u64 {
        let earlier = self.previous.as_deref().into_iter().chain(&self.others);
        let own = self.engines.iter().map(|engine| engine.held_bytes()).sum::<u64>();
        let window = (self.window.len() * size_of::<f32>()) as u64;
        own + window + earlier.map(Plan::held_beside_weights).sum::<u64>()
    }

    /// What maps need beside the caller's buffers, on this grid.
    pub(super) fn map_bytes(&self, geometry: &Geometry, maps: usize) -> u64 {
        let shape = self.recipe.axes(geometry).apply(geometry.shape);
        Restorer::<f16>::bytes(self.classes, shape, maps, self.threads)
            - Restorer::<f16>::bytes(self.classes, shape, 0, self.threads)
    }

    /// The largest of the needs of the stages; weights and the window stay all the time.
    pub(super) fn peak_bytes(&self, shape: [usize; 3], network: [usize; 3]) -> u64 {
        let count = |shape: [usize; 3]| shape.iter().map(|&n| n as u64).product::<u64>();
        let (voxels, image, patch) = (count(shape), count(network), count(self.recipe.tiling.patch));
        let (channels, classes) = (self.channels.len() as u64, self.classes as u64);
        let masked = |rule: &Normalization| matches!(rule, Normalization::ZScore { masked: true });
        let masks = self.recipe.steps.iter().any(|step| match step {
            Step::Normalize(rules) => rules.iter().any(masked) || self.previous.is_some(),
            _ => false,
        });
        // nnU-Net's resampling holds one channel at a time in f64, resampled along the first axis or along the
        // others; MONAI's holds none.
        let partly = count([shape[0], network[1], network[2]]).min(count([network[0], shape[1], shape[2]]));
        let wide = if self.recipe.resample().is_some() { 8 * partly } else { 0 };
        let copies = channels + u64::from(channels > 1);
        let resampling = if shape == network { 0 } else { 4 * copies * image + wide };
        let preprocess = 4 * channels * voxels + u64::from(masks) * 2 * voxels + resampling;
        let size = self.recipe.tiling.patch;
        let sums = |planes: usize| {
            let image = [planes.min(network[0]), network[1], network[2]];
            match self.recipe.tiling.sums {
                Sums::Half => Blend::<f16>::bytes(self.classes, image, size),
                Sums::Single => Blend::<f32>::bytes(self.classes, image, size),
            }
        };
        // The planes that leave the sums are a copy for the time of their restoring, and for several folds one more.
        let folds = self.engines.len() as u64;
        let field = folds * sums(network[0]) + folds.min(2) * sums(RELEASED_AT_ONCE);
        let inputs = self.inputs as u64;
        let tiles = patch * self.tile_batch() as u64;
        let overlapped = self.engines.iter().any(|engine| engine.runs_elsewhere());
        let in_flight = if overlapped { IN_FLIGHT as u64 * tiles * (inputs + classes) } else { 0 };
        let tile = 4 * (in_flight + tiles * (inputs + classes) * if self.mirror.is_empty() { 1 } else { 2 });
        // Each engine keeps its memory from tile to tile.
        let workspace = ENGINE_BYTES * self.engines.len() as u64
            + self.engines.iter().map(|engine| engine.workspace_bytes()).sum::<u64>();
        let decided_there = matches!(self.recipe.back, Back::Labels | Back::InterpolatedLabels);
        let decided = if decided_there { network } else { shape };
        let labels = Restorer::<f16>::bytes(self.classes, decided, 0, self.threads);
        // Labels with a mark for near ties, on both grids at once.
        let back = if decided_there { 3 * (image + voxels) } else { 0 };
        let run = 4 * inputs * image + field + labels + tile + workspace;
        let of_rule = |cleanup: &Cleanup| {
            let shape = if cleanup.on_network_grid { network } else { shape };
            cleanup.rule.bytes(shape) + 2 * count(shape)
        };
        let cleanup = self.recipe.cleanup.iter().map(of_rule).max().unwrap_or(0);
        let postprocess = if self.postprocess { 2 * voxels + components::bytes(shape) } else { 0 };
        let end = back.max(cleanup).max(postprocess);
        self.weight_bytes + 4 * patch + preprocess.max(run).max(end + workspace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::memory_left;
    use crate::recipe::Recipe;

    #[test]
    fn a_budget_is_looked_at_before_a_large_tile_is_made() {
        // Its window alone has hundreds of gigabytes, so that making anything first would end this test.
        let model = Model::for_tests(Recipe::for_tests([1 << 12, 1 << 12, 1 << 11]), 2);
        for memory_budget in [Some(64 << 20), None] {
            let options = PlanOptions { memory_budget, ..PlanOptions::default() };
            let (budget, needed) = match Plan::new(&model, &options) {
                Err(Error::MemoryBudget { budget, needed }) => (budget, needed),
                Err(other) => panic!("{other}"),
                Ok(_) => panic!("a plan of that size was made"),
            };
            assert!(needed > 1 << 37);
            assert!(budget <= memory_budget.unwrap_or(u64::MAX));
        }
    }

    #[test]
    fn what_is_there_already_needs_no_room() {
        assert!(check_budget(Some(10), 10, 0).is_ok());
        assert!(matches!(check_budget(Some(10), 11, 5), Err(Error::MemoryBudget { budget: 10, needed: 11 })));
        if let Some(left) = memory_left() {
            assert!(check_budget(None, left + (1 << 40), 2 << 40).is_ok());
            assert!(check_budget(None, left + (2 << 40), 1 << 40).is_err());
        }
    }
}
