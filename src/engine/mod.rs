//! What runs a network on tiles. An engine is made for one network, one tile size and one device; it knows tensors and
//! nothing of what happens around a network.

#![cfg_attr(
    not(feature = "ort"),
    allow(dead_code, unused_imports, reason = "what only ONNX Runtime's engines use")
)]

pub mod cpu;
#[cfg(test)]
pub(crate) mod fake;
mod gpu;
mod info;
mod lowering;
pub(crate) mod nvidia;
#[cfg(feature = "ort")]
mod ort;
#[cfg(not(feature = "ort"))]
#[path = "no_ort.rs"]
mod ort;
mod provider;
mod request;
mod room;
#[cfg(test)]
pub(crate) mod test_networks;
mod workspace;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use cpu::CpuOptions;

use crate::error::{Error, Result};
use crate::network::Network;
use crate::runtime;

use gpu::GpuEngine;
pub use gpu::OpenedGpu;
#[cfg(test)]
pub(crate) use gpu::{Answer, crossed, injected};
pub(crate) use gpu::{Launch, Module, Queue};
pub use info::{DispatchInfo, EngineInfo};
pub use provider::Provider;
pub(crate) use request::EngineRequest;
pub use request::Precision;
pub(crate) use room::room;
pub use workspace::Workspace;

/// Runs one network on tiles of one size. Any number of threads may use one, each with a workspace of its own.
pub trait Engine: Send + Sync {
    /// Its settings and needs.
    fn info(&self) -> EngineInfo;

    /// Computes the class scores of tiles: `input` is [tile, channels, patch…], `output` [tile, classes, patch…], both
    /// row-major, with as many tiles as [`EngineInfo::batch`] says, or said before it was narrowed.
    ///
    /// # Errors
    /// [`Error::Runtime`] with the engine's reason, [`Error::OutOfMemory`].
    fn run(&self, workspace: &mut Workspace, input: &[f32], output: &mut [f32]) -> Result<()>;

    /// From now on computes one tile at a time, which needs less of the device's memory. Returns whether that is so.
    ///
    /// # Errors
    /// [`Error::Runtime`] with the engine's reason; it can't be used then.
    fn one_tile_at_a_time(&self) -> Result<bool>;

    /// Gives back what it only keeps to be faster the next time.
    ///
    /// # Errors
    /// [`Error::Runtime`] with the engine's reason; it can still be used.
    fn trim(&self) -> Result<()>;

    /// The engine on arrays in its device's memory, where it can work on such.
    fn device(&self) -> Option<&dyn DeviceEngine>;
}

/// Whose memory addresses belong to.
#[derive(Clone)]
pub enum DeviceMemory {
    /// The CUDA device's of that number, in its primary context.
    Cuda(u32),
    /// Of the device that our own engine for GPUs has opened.
    Gpu(OpenedGpu),
    /// In tests, the host's own.
    #[cfg(test)]
    Host,
}

/// An engine that works on arrays in a device's memory.
pub trait DeviceEngine {
    /// Where its arrays lie.
    fn memory(&self) -> DeviceMemory;

    /// Whether the device has room for so many bytes more than those that the plan has `taken`.
    ///
    /// # Errors
    /// [`Error::MemoryBudget`] when not.
    fn room(&self, bytes: u64, taken: u64) -> Result<()>;

    /// Whether scores may leave the range of the precision, so that [`DeviceEngine::run_at`] must be asked again for
    /// single.
    fn may_overflow(&self) -> bool;

    /// As [`Engine::run`] for so many tiles, on arrays at addresses of the device; in single precision throughout when
    /// `single`.
    ///
    /// # Errors
    /// [`Error::Runtime`] with the engine's reason.
    fn run_at(
        &self,
        workspace: &mut Workspace,
        tiles: usize,
        input: u64,
        output: u64,
        single: bool,
    ) -> Result<()>;
}

/// What a plan can run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// Our own engine, which needs no other library. ONNX files and half precision are left to ONNX Runtime.
    #[default]
    Cpu,
    /// ONNX Runtime on the CPU.
    OrtCpu,
    /// Our own engine on any vendor's GPU, which needs nothing but its Vulkan driver: the device of that number in the
    /// order of Vulkan's loader. It lacks ONNX files.
    Gpu(u32),
    /// ONNX Runtime with a provider, on the device of that number among the provider's.
    Provider(Provider, u32),
    /// The first GPU that can be used: our own engine's, if it has all that the networks need, then those of the
    /// providers in the order of [`Provider::ALL`] but TensorRT, whose compiling takes minutes, and without software
    /// that emulates a GPU; else the fastest CPU engine.
    Best,
}

impl Device {
    /// Its name, as the tool takes it: the number follows a colon unless it is 0.
    pub fn name(self) -> String {
        match self {
            Device::Cpu => "cpu".into(),
            Device::OrtCpu => "ort-cpu".into(),
            Device::Gpu(index) => gpu::name(index),
            Device::Provider(provider, 0) => provider.name().into(),
            Device::Provider(provider, index) => format!("{}:{index}", provider.name()),
            Device::Best => "best".into(),
        }
    }

    /// The device of that name.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] that lists the names.
    pub fn from_name(name: &str) -> Result<Self> {
        let (word, index) =
            name.split_once(':').map_or((name, Some(0)), |(word, index)| (word, index.parse().ok()));
        let plain = [Device::Cpu, Device::OrtCpu, Device::Best, Device::Gpu(0)];
        let gpus = Provider::ALL.map(|provider| Device::Provider(provider, 0));
        let all = || plain.into_iter().chain(gpus);
        match (all().find(|device| device.name() == word), index) {
            (Some(Device::Provider(provider, _)), Some(index)) => Ok(Device::Provider(provider, index)),
            (Some(Device::Gpu(_)), Some(index)) => Ok(Device::Gpu(index)),
            (Some(device), _) if word == name => Ok(device),
            _ => {
                let names: Vec<String> = all().map(|device| device.name()).collect();
                let expected = format!("{}, or one of a GPU with its number, as in gpu:1", names.join(", "));
                Err(Error::argument("device", name, expected))
            }
        }
    }

    /// Whether it has memory and processors of its own, beside the host's. OpenVINO's first device is the CPU.
    pub(crate) fn is_beside_the_host(self) -> bool {
        matches!(self, Device::Provider(..) | Device::Gpu(_))
            && self != Device::Provider(Provider::OpenVino, 0)
    }

    /// The precision that suits it and these networks.
    pub(crate) fn precision_for(self, networks: &[Arc<Network>]) -> Precision {
        let files = networks.iter().any(|network| network.onnx_file().is_some());
        if self.is_beside_the_host() && !files { Precision::F16 } else { Precision::F32 }
    }

    /// What can run instead of [`Device::Best`]; others are what they are.
    pub fn resolve(self) -> Self {
        self.resolve_for(&[])
    }

    /// As [`Device::resolve`], for these networks.
    pub(crate) fn resolve_for(self, networks: &[Arc<Network>]) -> Self {
        let good = |info: &DeviceInfo| {
            let gpu = match info.device {
                Device::Gpu(_) => networks.iter().all(|network| GpuEngine::supports(network)),
                Device::Provider(provider, _) => provider != Provider::TensorRt,
                _ => false,
            };
            gpu && info.hardware && info.reason.is_none()
        };
        match self {
            Device::Best => devices().into_iter().find(good).map_or(Device::Cpu, |info| info.device),
            device => device,
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// How a plan uses its device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Whether the CPU may compute what the device can't, or everything when the device can't be used. Otherwise
    /// that is an error.
    pub fallback: bool,
    /// Whether scores that overflow half precision are an error; otherwise such a tile runs again in single.
    pub strict_half: bool,
    /// Bytes of the device's memory that the plan may need; `None`: what is free.
    pub memory_budget: Option<u64>,
    /// Tiles that a GPU computes at once, as far as its memory is enough; 0: one. A CPU always computes one.
    pub tile_batch: usize,
    /// Folder for what the provider or our own engine for GPUs compiles; `None`: nothing is kept. It must exist.
    pub cache: Option<PathBuf>,
    /// The caller's CUDA stream (a `cudaStream_t`), for CUDA and TensorRT; 0: one of the provider's own.
    pub stream: usize,
    /// How our own CPU engine computes.
    pub cpu: CpuOptions,
}

/// A device and whether it can be used here.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    /// The device.
    pub device: Device,
    /// Its name for people.
    pub name: String,
    /// Whether it is hardware of its own, as far as is known; not a CPU, nor software that emulates a GPU.
    pub hardware: bool,
    /// Its driver and the driver's version; empty when unknown.
    pub driver: String,
    /// Bytes of its own memory; `None` when unknown or it has none.
    pub memory: Option<u64>,
    /// Why it can't be used; `None` when it can.
    pub reason: Option<String>,
}

/// All devices that this build knows. Opens Vulkan's loader and ONNX Runtime when they can be found.
pub fn devices() -> Vec<DeviceInfo> {
    let runtime = runtime::open(None);
    let (name, reason) = match &runtime {
        Ok(runtime) => (format!("CPU (ONNX Runtime {})", runtime.version()), None),
        Err(error) => ("CPU (ONNX Runtime)".into(), Some(error.to_string())),
    };
    let own = DeviceInfo {
        device: Device::Cpu,
        name: format!("CPU ({})", cpu::widest().name()),
        hardware: false,
        driver: String::new(),
        memory: None,
        reason: None,
    };
    let through_runtime = |device| DeviceInfo {
        device,
        name: name.clone(),
        hardware: false,
        driver: String::new(),
        memory: None,
        reason: reason.clone(),
    };
    let mut all = vec![own, through_runtime(Device::OrtCpu)];
    all.extend(gpus());
    for provider in Provider::ALL {
        match &runtime {
            Ok(runtime) => all.extend(ort::devices(runtime, provider)),
            Err(_) => all.push(DeviceInfo {
                name: provider.title().into(),
                ..through_runtime(Device::Provider(provider, 0))
            }),
        }
    }
    all
}

/// The devices of our own engine; one with the reason where there are none.
fn gpus() -> Vec<DeviceInfo> {
    let none = |reason: String| DeviceInfo {
        device: Device::Gpu(0),
        name: "GPU".into(),
        hardware: false,
        driver: String::new(),
        memory: None,
        reason: Some(reason),
    };
    match gpu::devices() {
        Err(reason) => vec![none(reason)],
        Ok(found) if found.is_empty() => vec![none("Vulkan's loader knows no device".into())],
        Ok(found) => found
            .into_iter()
            .map(|device| DeviceInfo {
                device: Device::Gpu(device.index),
                name: format!("GPU ({})", device.name),
                hardware: device.hardware,
                driver: device.driver,
                memory: Some(device.memory),
                reason: device.reason,
            })
            .collect(),
    }
}
