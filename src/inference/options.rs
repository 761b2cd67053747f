//! How a model is run, and what its plan tells.

use std::sync::Arc;

use super::Blending;
use crate::engine::{Device, DeviceOptions, Precision};
use crate::parallel::Executor;
use crate::progress::{Cancel, Watch};

/// What becomes of a run that a plan has no place for: see [`PlanOptions::concurrent_runs`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenBusy {
    /// It fails at once with [`Error::Busy`](crate::Error::Busy).
    #[default]
    Fail,
    /// It waits until a run ends, or it is cancelled itself.
    Wait,
}

/// How to run a model.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// What runs the network.
    pub device: Device,
    /// How the device is used, when it isn't the CPU.
    pub device_options: DeviceOptions,
    /// The type that it computes in.
    pub precision: Precision,
    /// Threads that a run may use, the calling one included; 0: all processors of this process.
    pub threads: usize,
    /// Distance between tiles as a share of the tile's size; `None`: the model's own.
    pub step: Option<f64>,
    /// Whether to mirror tiles along the axes that the model was trained with.
    pub mirroring: bool,
    /// How overlapping tiles are weighed.
    pub blending: Blending,
    /// Bytes that a run may need beside the caller's buffers; `None`: what the process may still take, which
    /// counts in any case.
    pub memory_budget: Option<u64>,
    /// Whether to apply the postprocessing that comes with the model; where none does, nothing happens.
    /// nnU-Net's own predictions are without it.
    pub postprocess: bool,
    /// Stops the compiling of networks, between two of them or, where ONNX Runtime lets it, within one.
    pub cancel: Cancel,
    /// Is told of each network that was compiled.
    pub watch: Watch,
    /// Runs that may be under way at the same time, each with up to `threads` threads and memory of its own beside the
    /// weights, up to 1024; 0: one.
    pub concurrent_runs: usize,
    /// What becomes of a further run.
    pub when_busy: WhenBusy,
    /// The host's threads, for all that would run on the library's; `None`: each run has threads of the library. The
    /// threads of ONNX Runtime stay its own.
    pub executor: Option<Arc<dyn Executor>>,
}

impl Default for PlanOptions {
    fn default() -> Self {
        PlanOptions {
            device: Device::default(),
            device_options: DeviceOptions::default(),
            precision: Precision::default(),
            threads: 0,
            step: None,
            mirroring: true,
            blending: Blending::default(),
            memory_budget: None,
            postprocess: false,
            cancel: Cancel::new(),
            watch: Watch::default(),
            concurrent_runs: 1,
            when_busy: WhenBusy::default(),
            executor: None,
        }
    }
}

/// What a plan will do to a volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanReport {
    /// The device that runs the network: another than was asked for only with [`DeviceOptions::fallback`].
    pub device: Device,
    /// The precision, never `Auto`.
    pub precision: Precision,
    /// Threads.
    pub threads: usize,
    /// Size of the image that the network sees, in the order of the volume's axes. A margin of zeros that is
    /// cut off later makes it smaller.
    pub network_shape: [usize; 3],
    /// Tiles, those of all folds, stages and members included.
    pub tiles: usize,
    /// Tiles of the whole volume; more than `tiles` for a region.
    pub tiles_in_all: usize,
    /// Times that the network runs: tiles times mirrorings.
    pub network_runs: usize,
    /// Bytes that one run needs at its peak, weights included, the caller's buffers not: `shared_bytes` and
    /// `run_bytes`.
    pub host_peak_bytes: u64,
    /// The part of them that all runs of the plan share: weights, the forms that engines have them in, weights of a
    /// tile's voxels.
    pub shared_bytes: u64,
    /// The part that each run under way needs for itself.
    pub run_bytes: u64,
    /// Bytes of one run in the device's own memory, weights included; 0 for a CPU.
    pub device_peak_bytes: u64,
    /// Tiles that the network computes at once.
    pub tile_batch: usize,
    /// Bytes of weights, all folds, stages and members together.
    pub weight_bytes: u64,
}
