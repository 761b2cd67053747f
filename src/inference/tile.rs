//! Parts of a run for sessions: single tiles through a plan's network, and the stages after an image was prepared.

use super::memory::{ENGINE_BYTES, check_budget};
use super::run::segment_prepared;
use super::{Plan, PlanReport, RunReport, Turn};
use crate::error::{Error, Result};
use crate::labels::LabelBuffer;
use crate::preprocess::Prepared;
use crate::progress::Run;
use crate::volume::Geometry;

impl Plan {
    /// Computes the scores of one tile.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::OutOfMemory`], [`Error::Inference`] with the engine's reason.
    pub(crate) fn score_tile(
        &self,
        turn: &mut Turn,
        input: &[f32],
        scores: &mut [f32],
        run: &Run,
    ) -> Result<()> {
        turn.workspace.stop_by(run.cancel());
        let fold = self.folds.first().ok_or_else(|| Error::unsupported("a model without a network"))?;
        fold.engine()?.run(&mut turn.workspace, input, scores).map_err(|error| match error {
            Error::Cancelled | Error::OutOfMemory { .. } => error,
            other => Error::Inference { tile: 0, reason: other.to_string() },
        })
    }

    /// Segments the whole of an image that was prepared by the plan's recipe from a volume on this grid. On any error
    /// the labels are untouched.
    ///
    /// # Errors
    /// Those of [`Plan::segment`] after its checks.
    pub(crate) fn segment_prepared(
        &self,
        turn: &mut Turn,
        prepared: Prepared,
        geometry: &Geometry,
        labels: &mut LabelBuffer,
        run: &mut Run,
    ) -> Result<RunReport> {
        labels.check(geometry, self.largest_label)?;
        segment_prepared(self, prepared, geometry, labels, &mut turn.workspace, run)
    }

    /// Makes the networks compute one tile at a time.
    ///
    /// # Errors
    /// Those of the engine.
    pub(crate) fn tile_by_tile(&self) -> Result<()> {
        self.one_tile_at_a_time().map(drop)
    }

    /// What `bytes` beside the network make of the plan's report.
    pub(crate) fn report_with(&self, geometry: &Geometry, bytes: u64) -> PlanReport {
        let infos = self.folds.iter().map(super::network::Fold::info);
        let engine = infos.map(|info| info.workspace_bytes + info.arena_bytes).max().unwrap_or(0);
        let (shared, own) = (self.weight_bytes + self.loaded_bytes(), ENGINE_BYTES + engine + bytes);
        PlanReport {
            device: self.device,
            precision: self.precision,
            threads: self.threads,
            network_shape: geometry.shape,
            tiles: 1,
            tiles_in_all: 1,
            network_runs: 1,
            host_peak_bytes: shared.saturating_add(own),
            shared_bytes: shared,
            run_bytes: own,
            device_peak_bytes: self.device_bytes(),
            tile_batch: 1,
            weight_bytes: self.weight_bytes,
        }
    }

    /// Refuses a need beyond the budget.
    ///
    /// # Errors
    /// [`Error::MemoryBudget`].
    pub(crate) fn check_need(&self, needed: u64) -> Result<()> {
        check_budget(self.memory_budget, needed, self.held_bytes())
    }
}
