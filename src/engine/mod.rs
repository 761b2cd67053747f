//! What runs a network on one tile. An engine is made for one network, one tile size and one device.

mod asleep;
#[cfg(test)]
pub(crate) mod beside;
pub mod cpu;
mod cuda;
#[cfg(test)]
pub(crate) mod fake;
mod gpu;
mod ort;
mod provider;
mod room;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use cpu::{CpuEngine, CpuOptions};
use ndarray::{Array4, ArrayView3};

use crate::error::{Error, Result};
use crate::network::Network;
use crate::plan::Precision;
use crate::progress::Cancel;
use crate::recipe::Fill;
use crate::restore::Labelling;
use crate::runtime;
use crate::tiling::TileGrid;

pub(crate) use asleep::Asleep;
#[cfg(test)]
pub(crate) use cuda::host_machine;
pub(crate) use cuda::scores;
pub use cuda::{Extent, Machine, Memory, Resident};
use gpu::GpuEngine;
pub use provider::Provider;

/// What is done around a network, for engines that do it in their device's own memory.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// [channels, planes, rows, columns].
    pub image: &'a Array4<f32>,
    /// Where tiles lie.
    pub tiles: &'a TileGrid,
    /// The weights of a tile's voxels.
    pub window: ArrayView3<'a, f32>,
    /// What is outside of the image.
    pub fill: Fill,
    /// The axes that each further run of a tile is mirrored along, as bits.
    pub mirror: &'a [i32],
    /// Channels of the scores.
    pub classes: usize,
    /// Networks whose scores are averaged.
    pub folds: usize,
    /// Tiles that a network computes at once.
    pub batch: usize,
    /// Bytes of the device's memory that the plan has already.
    pub taken: u64,
    /// Whether scores are summed in half precision.
    pub half: bool,
    /// How scores become labels there; `None`: scores are wanted.
    pub labelling: Option<&'a Labelling>,
}

impl Job<'_> {
    /// What decides how much memory it needs.
    pub fn extent(&self) -> Extent {
        Extent {
            channels: self.image.dim().0,
            classes: self.classes,
            image: self.tiles.image(),
            patch: self.tiles.patch(),
            folds: self.folds,
            batch: self.batch,
            mirrored: !self.mirror.is_empty(),
            half: self.half,
            labels: self.labelling.map(|labelling| labelling.to),
        }
    }
}

/// Runs one network on tiles of one size. Not shared between threads: a plan owns its engines.
pub trait Engine: Send {
    /// Computes the class scores of [`Engine::batch`] tiles: `input` is [tile, channels, patch…], `output`
    /// [tile, classes, patch…], both row-major.
    ///
    /// # Errors
    /// [`Error::Runtime`] with the engine's reason.
    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<()>;

    /// The engine's name and version.
    fn name(&self) -> String;

    /// Bytes that a run needs beside the weights, the input and the output.
    fn workspace_bytes(&self) -> u64;

    /// The part of them that is there before a run: weights in the engine's own forms.
    fn loaded_bytes(&self) -> u64 {
        0
    }

    /// The part of them that is there now: what a run before has left too.
    fn held_bytes(&self) -> u64 {
        self.loaded_bytes()
    }

    /// Bytes that a run needs in the device's own memory, weights included; 0 for a CPU.
    fn device_bytes(&self) -> u64 {
        0
    }

    /// Gives back what it only keeps to be faster the next time.
    ///
    /// # Errors
    /// [`Error::Runtime`] with the engine's reason; it can still be used.
    fn trim(&mut self) -> Result<()> {
        Ok(())
    }

    /// Whether it computes elsewhere than on the processors of the host, which has time for other tiles meanwhile.
    fn runs_elsewhere(&self) -> bool {
        false
    }

    /// Tiles that it computes at once.
    fn batch(&self) -> usize {
        1
    }

    /// From now on computes one tile at a time, which needs less of the device's memory. Returns whether that is so.
    ///
    /// # Errors
    /// [`Error::Runtime`] with the engine's reason; it can't be used then.
    fn one_tile_at_a_time(&mut self) -> Result<bool> {
        Ok(self.batch() == 1)
    }

    /// Whether tiles ran fewer at once than was asked for because the device has too little memory.
    fn narrowed(&self) -> bool {
        false
    }

    /// Whether all that is around the network can be done in the device's memory, by [`Engine::memory_for`].
    fn cuts_and_blends(&self) -> bool {
        false
    }

    /// The device's memory, where a caller's buffers may lie in it.
    fn machine(&self) -> Option<Arc<dyn Machine>> {
        None
    }

    /// Memory of the device for all that is around the network, where [`Engine::run_at`] must work; `None` where that is
    /// the host's work.
    ///
    /// # Errors
    /// Why the device has no room for it.
    fn memory_for(&self, _job: &Job) -> std::result::Result<Option<Memory>, String> {
        Ok(None)
    }

    /// As [`Engine::run`], on arrays at addresses of the device; in single precision throughout when `single`.
    ///
    /// # Errors
    /// [`Error::Runtime`] with the engine's reason.
    fn run_at(&mut self, _input: u64, _output: u64, _single: bool) -> Result<()> {
        let reason = "it has no memory of its own".to_owned();
        Err(Error::Runtime { action: "run on a device's memory".into(), reason })
    }

    /// Operators that run on the CPU although the device was asked for, by name and number.
    fn left_to_cpu(&self) -> &[(String, usize)] {
        &[]
    }

    /// Runs so far that overflowed half precision and were repeated in single.
    fn tiles_in_single(&self) -> usize {
        0
    }
}

/// What a plan can run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// Our own engine, which needs no other library. Networks with operators that it lacks (attention, ONNX files) and
    /// half precision are left to ONNX Runtime.
    #[default]
    Cpu,
    /// ONNX Runtime on the CPU.
    OrtCpu,
    /// Our own engine on any vendor's GPU, which needs nothing but its Vulkan driver: the device of that number in the order
    /// of Vulkan's loader. It lacks what [`Device::Cpu`] lacks.
    Vulkan(u32),
    /// ONNX Runtime with a provider, on the device of that number among the provider's.
    Gpu(Provider, u32),
    /// The first GPU that can be used: our own engine's, if it has all that the networks need, then those of the providers
    /// in the order of [`Provider::ALL`] but TensorRT, whose compiling takes minutes, and without software that plays a GPU;
    /// else the fastest CPU engine.
    Best,
}

impl Device {
    /// Its name, as the tool takes it: the number follows a colon unless it is 0.
    pub fn name(self) -> String {
        match self {
            Device::Cpu => "cpu".into(),
            Device::OrtCpu => "ort-cpu".into(),
            Device::Vulkan(index) => gpu::name(index),
            Device::Gpu(provider, 0) => provider.name().into(),
            Device::Gpu(provider, index) => format!("{}:{index}", provider.name()),
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
        let plain = [Device::Cpu, Device::OrtCpu, Device::Best, Device::Vulkan(0)];
        let gpus = Provider::ALL.map(|provider| Device::Gpu(provider, 0));
        let all = || plain.into_iter().chain(gpus);
        match (all().find(|device| device.name() == word), index) {
            (Some(Device::Gpu(provider, _)), Some(index)) => Ok(Device::Gpu(provider, index)),
            (Some(Device::Vulkan(_)), Some(index)) => Ok(Device::Vulkan(index)),
            (Some(device), _) if word == name => Ok(device),
            _ => {
                let names: Vec<String> = all().map(|device| device.name()).collect();
                let expected =
                    format!("{}, or one of a GPU with its number, as in vulkan:1", names.join(", "));
                Err(Error::argument("device", name, expected))
            }
        }
    }

    /// Whether it has memory and processors of its own, beside the host's. OpenVINO's first device is the CPU.
    pub(crate) fn is_beside_the_host(self) -> bool {
        matches!(self, Device::Gpu(..) | Device::Vulkan(_)) && self != Device::Gpu(Provider::OpenVino, 0)
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
                Device::Vulkan(_) => networks.iter().all(|network| GpuEngine::supports(network)),
                Device::Gpu(provider, _) => provider != Provider::TensorRt,
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
    /// Folder for what the provider compiles; `None`: nothing is kept. It must exist.
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
    /// Whether it is hardware of its own, as far as is known; not a CPU, nor software that plays a GPU.
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
    all.extend(of_vulkan());
    for provider in Provider::ALL {
        match &runtime {
            Ok(runtime) => all.extend(ort::devices(runtime, provider)),
            Err(_) => all.push(DeviceInfo {
                name: provider.title().into(),
                ..through_runtime(Device::Gpu(provider, 0))
            }),
        }
    }
    all
}

/// The devices of our own engine; one with the reason where there are none.
fn of_vulkan() -> Vec<DeviceInfo> {
    let none = |reason: String| DeviceInfo {
        device: Device::Vulkan(0),
        name: "Vulkan".into(),
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
                device: Device::Vulkan(device.index),
                name: format!("Vulkan ({})", device.name),
                hardware: device.hardware,
                driver: device.driver,
                memory: Some(device.memory),
                reason: device.reason,
            })
            .collect(),
    }
}

/// What the engines of a plan are made for.
pub(crate) struct Order<'a> {
    device: Device,
    tile: [usize; 3],
    precision: Precision,
    threads: usize,
    options: &'a DeviceOptions,
    /// Stops compiling.
    cancel: &'a Cancel,
    /// A plan's networks run one after the other, so that our own engines need memory for one of them.
    workspace: cpu::Workspace,
    /// As above, of the device's memory.
    on_device: gpu::Workspace,
}

impl<'a> Order<'a> {
    pub(crate) fn new(
        device: Device,
        tile: [usize; 3],
        precision: Precision,
        threads: usize,
        options: &'a DeviceOptions,
        cancel: &'a Cancel,
    ) -> Self {
        let (workspace, on_device) = (cpu::Workspace::default(), gpu::Workspace::default());
        let device = device.resolve();
        Order { device, tile, precision, threads, options, cancel, workspace, on_device }
    }

    /// What the engines of these networks need at least of the host's memory while they run, as far as it is known before
    /// they are made: that of our own, weights in their forms included.
    pub(crate) fn least_bytes(&self, networks: &[Arc<Network>]) -> Result<u64> {
        let workspace = cpu::Workspace::default();
        let own = |network: &&Arc<Network>| self.is_own(network);
        let of = |network: &Arc<Network>| {
            CpuEngine::planned_bytes(network, self.tile, self.threads, self.options.cpu, &workspace)
        };
        networks.iter().filter(own).try_fold(0_u64, |all, network| Ok(all.saturating_add(of(network)?)))
    }

    /// Whether our own engine runs a network.
    fn is_own(&self, network: &Network) -> bool {
        self.device == Device::Cpu && self.precision != Precision::F16 && CpuEngine::supports(network)
    }

    /// Makes an engine. `taken`: bytes of the device's memory that the plan has already.
    pub(crate) fn engine(&self, network: &Arc<Network>, taken: u64) -> Result<Box<dyn Engine>> {
        let &Order { device, tile, precision, threads, options, cancel, ref workspace, .. } = self;
        if let Device::Vulkan(index) = device {
            let settings = gpu::Settings {
                half: precision != Precision::F32,
                strict: options.strict_half,
                taken,
                budget: options.memory_budget,
                workspace: &self.on_device,
            };
            return Ok(Box::new(GpuEngine::new(index, network, tile, settings)?));
        }
        if self.is_own(network) {
            return Ok(Box::new(CpuEngine::sharing(network, tile, threads, options.cpu, workspace)?));
        }
        let runtime = runtime::open(None)?;
        let target =
            ort::Target { runtime, device, precision, threads, options, taken, cancel, cache_name: "" };
        Ok(match network.onnx_file() {
            Some(file) => Box::new(ort::FileEngine::new(&target, network, file, tile)?),
            None => Box::new(ort::OrtEngine::new(&target, network, tile)?),
        })
    }
}
