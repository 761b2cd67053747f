//! What an engine is asked for, and which one answers.

use std::sync::Arc;

use super::cpu::CpuEngine;
use super::gpu::{self, GpuEngine};
use super::{Device, DeviceOptions, Engine, ort};
use crate::error::Result;
use crate::network::Network;
use crate::progress::Cancel;

/// The type that a network computes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// What suits the device: single precision on a CPU and for ONNX files, else half.
    #[default]
    Auto,
    /// IEEE single precision, as the reference implementations compute on a CPU.
    F32,
    /// IEEE half precision.
    F16,
}

impl Precision {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Auto => "auto",
            Precision::F32 => "f32",
            Precision::F16 => "f16",
        }
    }
}

/// What the engines of a plan are made for.
pub(crate) struct EngineRequest<'a> {
    pub(super) device: Device,
    pub(super) tile: [usize; 3],
    pub(super) precision: Precision,
    pub(super) threads: usize,
    pub(super) options: &'a DeviceOptions,
    /// Stops compiling.
    pub(super) cancel: &'a Cancel,
    /// What the plan's engines share of a GPU's memory, since one runs after another.
    on_gpu: gpu::Arena,
}

impl<'a> EngineRequest<'a> {
    pub(crate) fn new(
        device: Device,
        tile: [usize; 3],
        precision: Precision,
        threads: usize,
        options: &'a DeviceOptions,
        cancel: &'a Cancel,
    ) -> Self {
        let device = device.resolve();
        EngineRequest { device, tile, precision, threads, options, cancel, on_gpu: gpu::Arena::default() }
    }

    /// What the engines of these networks need at least of the host's memory while they run one after another, as far
    /// as it is known before they are made: that of our own, weights in their forms included.
    pub(crate) fn least_bytes(&self, networks: &[Arc<Network>]) -> Result<u64> {
        let (mut weights, mut workspace) = (0_u64, 0);
        for network in networks.iter().filter(|network| self.is_own(network)) {
            let [loaded, working] =
                CpuEngine::planned_bytes(network, self.tile, self.threads, self.options.cpu)?;
            weights = weights.saturating_add(loaded);
            workspace = workspace.max(working);
        }
        Ok(weights.saturating_add(workspace))
    }

    /// Whether our own engine runs a network.
    fn is_own(&self, network: &Network) -> bool {
        self.device == Device::Cpu && self.precision != Precision::F16 && CpuEngine::supports(network)
    }

    /// Makes an engine. `taken`: bytes of the device's memory that the plan has already.
    pub(crate) fn engine(&self, network: &Arc<Network>, taken: u64) -> Result<Arc<dyn Engine>> {
        let &EngineRequest { device, tile, precision, threads, options, .. } = self;
        if let Device::Gpu(index) = device {
            let (half, strict, budget) =
                (precision != Precision::F32, options.strict_half, options.memory_budget);
            let cache = options.cache.as_deref();
            let settings = gpu::Settings { half, strict, taken, budget, arena: &self.on_gpu, cache };
            return Ok(Arc::new(GpuEngine::new(index, network, tile, settings)?));
        }
        if self.is_own(network) {
            // Plans of one model have its weights in this engine's form once.
            let fits = |engine: &CpuEngine| engine.is_for(tile, threads, options.cpu);
            return Ok(network.derived(fits, || CpuEngine::new(network, tile, threads, options.cpu))?);
        }
        ort::engine(self, network, taken)
    }
}
