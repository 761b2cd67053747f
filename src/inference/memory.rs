//! What a plan needs, told from shapes alone before anything large is made, and held against what there is.

use std::sync::Arc;

use half::f16;

use super::device::Sizes;
use super::network::Fold;
use super::region::Group;
use super::{Plan, PlanOptions, PlanReport, finish, prepare, rows};
use crate::engine::{EngineRequest, Precision};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::network::Network;
use crate::platform;
use crate::recipe::ScorePrecision;
use crate::restore::Restorer;
use crate::volume::{Geometry, Region};

/// More voxels than any machine's memory holds scores of; counting bytes stays exact below it.
const MOST_VOXELS: f64 = (1_u64 << 40) as f64;

/// What the first run of an engine touches beside its tensors: code and the stacks of threads, as measured.
pub(crate) const ENGINE_BYTES: u64 = 12 << 20;

/// Refuses a need beyond the caller's budget, or beyond what the process may still take (see docs/memory.md); so much
/// of the need is there already.
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
        let request = EngineRequest::new(
            device,
            tiling.network_tile(),
            precision,
            threads,
            &options.device_options,
            &options.cancel,
        );
        let patch = tiling.patch.iter().map(|&length| length as u64).fold(1, u64::saturating_mul);
        let weights = model.networks.iter().map(|network| weight_bytes(network, precision)).sum::<u64>();
        let network = &model.networks[0];
        let channels = (network.input_channels() + network.output_channels()) as u64;
        let mirrored = if options.mirroring && !tiling.mirror.is_empty() { 2 } else { 1 };
        let own = Least {
            weights,
            kept: weights
                .saturating_add(request.least_bytes(&model.networks)?)
                .saturating_add(patch.saturating_mul(4)),
            tile: patch.saturating_mul(4 * channels * mirrored),
        };
        let earlier = model.previous.iter().map(|stage| &**stage).chain(model.members());
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

/// Host memory of a plan for a volume, in bytes: what its runs share, and what each has for itself.
#[derive(Clone, Copy, Default)]
struct Needs {
    shared: u64,
    run: u64,
}

impl Plan {
    /// What a segmentation of a volume on this grid will need.
    ///
    /// # Errors
    /// [`Error::Geometry`] or [`Error::VolumeMismatch`] for a grid that can't be segmented.
    pub fn report(&self, geometry: &Geometry) -> Result<PlanReport> {
        self.report_for(geometry, &Region::whole())
    }

    /// What a segmentation of a region of a volume on this grid will need.
    ///
    /// # Errors
    /// As [`Plan::report`]; [`Error::InvalidArgument`] for boxes that aren't on the grid, [`Error::Unsupported`] where
    /// labels depend on the whole image and the region doesn't want that computed.
    pub fn report_for(&self, geometry: &Geometry, region: &Region) -> Result<PlanReport> {
        geometry.check()?;
        let map = self.recipe.network_axes(geometry);
        let shape = map.apply(geometry.shape);
        let network = self.recipe.network_shape(geometry)?;
        if network.contains(&0) {
            let (shape, spacing) = (geometry.shape, geometry.spacing);
            let reason =
                format!("{shape:?} voxels of {spacing:?} mm are less than one voxel for the network");
            return Err(Error::Geometry { reason });
        }
        if (self.postprocess || !self.recipe.cleanup.is_empty())
            && geometry.voxels() as u64 > u64::from(u32::MAX)
        {
            let reason = format!("{shape:?} voxels are more than 2^32, too many to find components in");
            return Err(Error::Geometry { reason });
        }
        let voxels = network.iter().fold(1.0, |product, &size| product * size as f64);
        if voxels > MOST_VOXELS {
            let reason = format!("spacing {:?} mm gives the network {voxels:.1e} voxels", geometry.spacing);
            return Err(Error::Geometry { reason });
        }
        let groups = self.groups(geometry, region)?;
        let needs = self.needs(geometry, &groups)?;
        let (mut tiles, mut tiles_in_all, mut network_runs) = (0, 0, 0);
        // What is around one stage's networks on the device goes before the next one's comes.
        let mut around = 0;
        for group in &groups {
            let labels = map.apply(group.around.shape());
            around = around.max(self.bytes_around(labels, self.covered(geometry, &group.around)?));
        }
        let earlier_region = self.earlier_region(geometry, region, &groups)?;
        for earlier in self.earlier() {
            let report = earlier.report_for(geometry, &earlier_region)?;
            around = around.max(report.device_peak_bytes - earlier.device_bytes());
            tiles += report.tiles;
            tiles_in_all += report.tiles_in_all;
            network_runs += report.network_runs;
        }
        let mut own = 0;
        for group in &groups {
            own += self.tiles_around(geometry, &group.around)? * self.folds.len();
        }
        Ok(PlanReport {
            device: self.device,
            precision: self.precision,
            threads: self.threads,
            network_shape: map.undo(network),
            tiles: tiles + own,
            tiles_in_all: tiles_in_all + self.tiles(network)?.len() * self.folds.len(),
            network_runs: network_runs + (own << self.mirror.len()),
            host_peak_bytes: needs.shared + needs.run,
            shared_bytes: needs.shared,
            run_bytes: needs.run,
            device_peak_bytes: self.device_bytes() + around,
            tile_batch: self.tile_batch(),
            weight_bytes: self.weight_bytes,
        })
    }

    /// The largest of the needs of the stages; what is shared stays all the time.
    fn needs(&self, geometry: &Geometry, groups: &[Group]) -> Result<Needs> {
        let shape = self.recipe.network_axes(geometry).apply(geometry.shape);
        let network = self.recipe.network_shape(geometry)?;
        // A previous stage and other members run first; of them labels and scores stay.
        let (mut peak, mut kept) = (0, 0);
        for earlier in self.earlier() {
            kept += if self.members.is_empty() {
                2 * geometry.voxels() as u64
            } else {
                let of_group = |group: &Group| {
                    let covered = earlier.covered(geometry, &group.around)?;
                    Ok((2 * earlier.classes * covered.iter().product::<usize>()) as u64)
                };
                groups.iter().map(of_group).sum::<Result<u64>>()?
            };
            let own = if self.members.is_empty() { Some(self.seen_by(geometry, groups)?) } else { None };
            peak = peak.max(earlier.needs(geometry, own.as_deref().unwrap_or(groups))?.run + kept);
            // ONNX Runtime's arenas stay too.
            kept += earlier.arena_bytes();
        }
        let infos: Vec<_> = self.folds.iter().map(Fold::info).collect();
        let workspace = infos.iter().map(|info| info.workspace_bytes).max().unwrap_or(0);
        let arenas = infos.iter().map(|info| info.arena_bytes).sum::<u64>();
        let engines = ENGINE_BYTES * infos.len() as u64 + workspace + arenas;
        let image = network.iter().map(|&n| n as u64).product::<u64>() * self.inputs as u64 * 4;
        let mut own = prepare::bytes(self, shape, network).max(finish::bytes(self, shape, network) + engines);
        for group in groups {
            let covered = self.covered(geometry, &group.around)?;
            let labels = self.recipe.network_axes(geometry).apply(group.around.shape());
            // The whole image stays until the last part is taken out of it.
            let image = if group.around.is_whole(geometry.shape) { 0 } else { image };
            own = own.max(rows::bytes(self, labels, covered) + image + engines);
        }
        Ok(Needs { shared: self.weight_bytes + self.loaded_bytes(), run: peak.max(kept + own) })
    }

    /// The part of the needs that is there now: weights, and what engines keep; not what waits for a next run.
    pub(super) fn held_bytes(&self) -> u64 {
        self.weight_bytes + self.held_beside_weights()
    }

    /// As [`Plan::held_bytes`], without the weights as they were read.
    pub(crate) fn held_beside_weights(&self) -> u64 {
        let arenas = self.sum(&|plan| plan.folds.iter().map(|fold| fold.info().held_bytes).sum());
        self.loaded_bytes() + arenas
    }

    /// What there is before a run beside the weights as they were read: the engines' own forms of them, the weights of
    /// a tile's voxels.
    pub(crate) fn loaded_bytes(&self) -> u64 {
        self.sum(&|plan| {
            let own = plan.folds.iter().map(|fold| fold.info().loaded_bytes).sum::<u64>();
            own + (plan.window.len() * size_of::<f32>()) as u64
        })
    }

    /// What the engines keep by themselves once they ran.
    pub(crate) fn arena_bytes(&self) -> u64 {
        self.sum(&|plan| plan.folds.iter().map(|fold| fold.info().arena_bytes).sum())
    }

    /// What the engines need of the device's memory.
    pub(crate) fn device_bytes(&self) -> u64 {
        self.sum(&|plan| plan.folds.iter().map(|fold| fold.info().device_bytes).sum())
    }

    /// Bytes of weights, all folds, stages and members together.
    pub(crate) fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }

    /// Of the plan itself, its earlier stages and members.
    fn sum(&self, bytes: &dyn Fn(&Plan) -> u64) -> u64 {
        bytes(self) + self.earlier().map(|plan| plan.sum(bytes)).sum::<u64>()
    }

    /// What maps need beside the caller's buffers, on this grid.
    pub(super) fn map_bytes(&self, geometry: &Geometry, maps: usize) -> u64 {
        let shape = self.recipe.network_axes(geometry).apply(geometry.shape);
        Restorer::<f16>::bytes(self.classes, shape, maps, self.threads)
            - Restorer::<f16>::bytes(self.classes, shape, 0, self.threads)
    }

    /// What is done around the networks in the device's memory, where the budget allows that; labels may have either
    /// shape.
    fn bytes_around(&self, shape: [usize; 3], network: [usize; 3]) -> u64 {
        if !self.on_device {
            return 0;
        }
        let sizes = |labels: [usize; 3]| Sizes {
            channels: self.inputs,
            classes: self.classes,
            image: network,
            patch: self.recipe.tiling.patch,
            folds: self.folds.len(),
            batch: self.tile_batch(),
            mirrored: !self.mirror.is_empty(),
            half: self.recipe.tiling.score_precision == ScorePrecision::Half,
            labels: Some(labels),
        };
        let needed = sizes(shape).bytes().max(sizes(network).bytes());
        let fits = self.device_budget.is_none_or(|budget| self.device_bytes() + needed <= budget);
        if fits { needed } else { 0 }
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
