//! What a run did.

use super::Warning;
use crate::volume::{Box3, NonFiniteVoxels};

/// What was asked of the device's memory and couldn't be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryStep {
    /// Nothing.
    #[default]
    None,
    /// Several tiles at once: it was one.
    OneTile,
    /// The sums of scores: the host cut and blended.
    HostBlends,
}

impl MemoryStep {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            MemoryStep::None => "none",
            MemoryStep::OneTile => "one-tile",
            MemoryStep::HostBlends => "host-blends",
        }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunReport {
    /// Tiles that the network computed, folds included.
    pub tiles: usize,
    /// Tiles that a run over the whole volume computes; more than `tiles` where a region was asked for.
    pub tiles_in_all: usize,
    /// Runs of the network that overflowed half precision and were repeated in single.
    pub tiles_in_single: usize,
    /// Tiles that were cut and blended in the device's memory, beside their computing.
    pub tiles_on_device: usize,
    /// Tiles that the network computed at once.
    pub tile_batch: usize,
    /// What the device's memory wasn't enough for.
    pub memory_step: MemoryStep,
    /// Voxels of the label map, or of the region's boxes.
    pub voxels: usize,
    /// Voxels whose two best classes differ in probability by at most 0.01: only there may another
    /// implementation of the same model decide otherwise. With a region: of the voxels that were computed with it.
    pub near_ties: usize,
    /// Seconds spent on reading, cropping, normalising and resampling the volume.
    pub preprocess_seconds: f64,
    /// Seconds spent in the network, or waiting for it where it runs beside the host.
    pub network_seconds: f64,
    /// Seconds spent on cutting and blending tiles.
    pub blend_seconds: f64,
    /// Seconds spent on bringing the labels onto the volume's grid.
    pub restore_seconds: f64,
    /// Seconds in all.
    pub total_seconds: f64,
    /// Most memory that the whole process ever had resident, in bytes; 0 where the system doesn't tell.
    pub process_peak_bytes: u64,
    /// Voxels of the volume that aren't finite, which were read as
    /// [`Run::with_non_finite`](crate::progress::Run::with_non_finite) asks for.
    pub non_finite: Option<NonFiniteVoxels>,
    /// The boxes that were asked for; none for the whole volume.
    pub regions: Vec<Box3>,
    /// What may make the labels wrong.
    pub warnings: Vec<Warning>,
}

impl RunReport {
    /// Adds what a part of the run did: a model of a task, a stage, a member of an ensemble. What is about the whole
    /// run stays as it is.
    pub(crate) fn add(&mut self, part: RunReport) {
        // Without `..`, so that a new field can't be forgotten.
        let RunReport {
            tiles,
            tiles_in_all,
            tiles_in_single,
            tiles_on_device,
            tile_batch,
            memory_step,
            voxels: _,
            near_ties,
            preprocess_seconds,
            network_seconds,
            blend_seconds,
            restore_seconds,
            total_seconds: _,
            process_peak_bytes: _,
            non_finite: _,
            regions: _,
            warnings: _,
        } = part;
        self.tiles += tiles;
        self.tiles_in_all += tiles_in_all;
        self.tiles_in_single += tiles_in_single;
        self.tiles_on_device += tiles_on_device;
        self.tile_batch = self.tile_batch.max(tile_batch);
        self.memory_step = self.memory_step.max(memory_step);
        self.near_ties += near_ties;
        self.preprocess_seconds += preprocess_seconds;
        self.network_seconds += network_seconds;
        self.blend_seconds += blend_seconds;
        self.restore_seconds += restore_seconds;
    }
}
