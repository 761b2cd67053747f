//! ONNX Runtime as an engine: the network becomes one of its graphs in memory, with the weights handed over
//! and not copied.

#![allow(unsafe_code, reason = "ONNX Runtime is a C library; its safe wrapper copies weights and results")]

mod device;
mod engine_cache;
mod file;
mod graph;
mod lower;
mod normalize;
mod session;
mod transpose;
mod window_attention;

use std::path::Path;
use std::sync::Arc;

use ort::AsPointer;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{RunOptions, Session};
use ort::value::{Shape, TensorRef, TensorRefMut};

pub(super) use device::{Target, devices};
pub(super) use file::FileEngine;

use super::cuda::{GpuMachine, Machine, Memory, resident_bytes};
use super::{Device, DeviceOptions, Engine, Job, Provider};
use crate::error::{Error, Result};
use crate::log::{self, Level};
use crate::network::Network;
use crate::plan::Precision;
use crate::runtime::Runtime;
use session::Turned;

/// Names of the graph's input and output.
const INPUT: &std::ffi::CStr = c"image";
const OUTPUT: &std::ffi::CStr = c"scores";

/// An error of ONNX Runtime in our words.
fn failed<T>(action: &str) -> impl FnOnce(ort::Error<T>) -> Error {
    move |error| Error::Runtime { action: action.into(), reason: error.to_string() }
}

/// A network compiled by ONNX Runtime.
pub(super) struct OrtEngine {
    compiled: Compiled,
    /// The same in single precision, made when a tile first overflows half precision.
    single: Option<Compiled>,
    tiles_in_single: usize,
    left_to_cpu: Vec<(String, usize)>,
    network: Arc<Network>,
    runtime: &'static Runtime,
    device: Device,
    precision: Precision,
    threads: usize,
    options: DeviceOptions,
    tile: [usize; 3],
    /// Bytes of activations and of weights that the network doesn't hold.
    workspace: u64,
    /// Bytes of the device's memory.
    device_bytes: u64,
    /// The device for what is done around the network; NVIDIA's only.
    machine: Option<Arc<dyn Machine>>,
}

/// A session with what it reads.
struct Compiled {
    // The session reads the weights where they are, so it goes first.
    session: Turned,
    _weights: graph::Weights,
    input: [usize; 5],
    output: [usize; 5],
}

impl Compiled {
    /// The network for a target, and bytes of weights that the network itself doesn't hold.
    fn new(target: &Target, network: &Arc<Network>, tile: [usize; 3]) -> Result<(Self, u64)> {
        let Some(name) = engine_cache::name(target, network, tile) else {
            return Self::compile(target, network, tile);
        };
        let target = Target { cache_name: &name, ..*target };
        let folder = target.options.cache.as_deref().unwrap_or_else(|| Path::new("."));
        Self::compile(&target, network, tile).or_else(|error| match engine_cache::remove(folder, &name) {
            0 => Err(error),
            count => {
                log::write(Level::Warning, || {
                    format!("{count} damaged files of TensorRT's are made anew: {error}")
                });
                Self::compile(&target, network, tile)
            }
        })
    }

    fn compile(target: &Target, network: &Arc<Network>, tile: [usize; 3]) -> Result<(Self, u64)> {
        let (graph, weights) = lower::lower(network, tile, lower::Dialect::of(target))?;
        let derived = weights.derived_bytes;
        let session = Turned::new(target.provider(), || {
            graph.into_session(&target.session_options()?).map_err(failed("compile the network"))
        })?;
        let shape = |channels: usize| [1, channels, tile[0], tile[1], tile[2]];
        let (input, output) = (shape(network.input_channels()), shape(network.output_channels()));
        Ok((Compiled { session, _weights: weights, input, output }, derived))
    }

    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let input = TensorRef::from_array_view((self.input, input)).map_err(failed("take a tile"))?;
        let output =
            TensorRefMut::from_array_view_mut((self.output, output)).map_err(failed("take a buffer"))?;
        self.run_on(input.ptr(), output.ptr().cast_mut(), None)
    }

    /// Runs an empty tile, since arenas only shrink after a run; `arena` is ONNX Runtime's name of the device.
    fn shrink(&mut self, arena: &str) -> Result<()> {
        let mut options = RunOptions::new().map_err(failed("set up a run"))?;
        options.set("memory.enable_memory_arena_shrinkage", arena).map_err(failed("shrink its memory"))?;
        let input = vec![0.0_f32; self.input.iter().product()];
        let mut output = vec![0.0_f32; self.output.iter().product()];
        let input = TensorRef::from_array_view((self.input, &input[..])).map_err(failed("take a tile"))?;
        let output = TensorRefMut::from_array_view_mut((self.output, &mut output[..]));
        let output = output.map_err(failed("take a buffer"))?;
        self.run_on(input.ptr(), output.ptr().cast_mut(), Some(&options))
    }

    /// As [`Compiled::run`], on arrays in the memory of the CUDA device of that number.
    fn run_at(&mut self, index: u32, input: u64, output: u64) -> Result<()> {
        let tensor = |shape: [usize; 5], address: u64| {
            let memory = MemoryInfo::new(
                AllocationDevice::CUDA,
                index as i32,
                AllocatorType::Device,
                MemoryType::Default,
            );
            let shape = Shape::new(shape.map(|size| size as i64));
            // SAFETY: the caller's arrays have the sizes that this network was compiled for, in that device's memory,
            // and live until the run is over.
            memory.and_then(|memory| unsafe {
                TensorRefMut::<f32>::from_raw(memory, address as *mut std::ffi::c_void, shape)
            })
        };
        let input = tensor(self.input, input).map_err(failed("take a tile"))?;
        let output = tensor(self.output, output).map_err(failed("take a buffer"))?;
        self.run_on(input.ptr(), output.ptr().cast_mut(), None)
    }

    fn run_on(
        &mut self,
        input: *const ort::sys::OrtValue,
        output: *mut ort::sys::OrtValue,
        options: Option<&RunOptions>,
    ) -> Result<()> {
        let (inputs, mut outputs) = ([input], [output]);
        // The safe `run` would allocate the output and have us copy it.
        let run = |session: &mut Session| {
            // SAFETY: one name and one live value each for the graph's only input and only output, whose types and
            // shapes the graph was built with; `&mut` keeps other runs of this session away.
            unsafe {
                let status = (ort::api().Run)(
                    session.ptr().cast_mut(),
                    options.map_or(std::ptr::null(), AsPointer::ptr),
                    [INPUT.as_ptr()].as_ptr(),
                    inputs.as_ptr(),
                    1,
                    [OUTPUT.as_ptr()].as_ptr(),
                    1,
                    outputs.as_mut_ptr(),
                );
                ort::Error::result_from_status(status)
            }
        };
        self.session.with(run).map_err(failed("run the network"))
    }
}

impl OrtEngine {
    pub(super) fn new(target: &Target, network: &Arc<Network>, tile: [usize; 3]) -> Result<Self> {
        // In half precision norms are computed in single, so some activations exist in both.
        let (width, weight) = if target.precision == Precision::F16 { (2 + 4, 2) } else { (4, 4) };
        // The arena grows in steps that leave some of it unused, about a quarter as measured. What it took for
        // attention is in pieces too small for the decoder, so that adds up.
        let activations =
            network.peak_activation_bytes(tile, width)? * 5 / 4 + lower::scratch_bytes(network, tile, width)?;
        let channels = network.input_channels() + network.output_channels();
        let tiles = channels * tile.iter().product::<usize>() * size_of::<f32>();
        let on_device = activations + (network.parameters() * weight + tiles) as u64;
        target.check_memory(on_device)?;
        let (compiled, derived) =
            Compiled::new(target, network, tile).map_err(|error| explain(target, network, tile, error))?;
        let mut engine = OrtEngine {
            left_to_cpu: compiled.session.left_to_cpu()?,
            compiled,
            single: None,
            tiles_in_single: 0,
            network: network.clone(),
            runtime: target.runtime,
            device: target.device,
            precision: target.precision,
            threads: target.threads,
            options: target.options.clone(),
            tile,
            workspace: activations + derived,
            device_bytes: on_device + derived,
            machine: machine_of(target.device),
        };
        if target.provider().is_some() {
            engine.warm_up()?;
        }
        Ok(engine)
    }

    /// Runs an empty tile: providers choose algorithms, compile shaders and find out what they can't do when they
    /// first run, and a plan shall know before a volume comes.
    fn warm_up(&mut self) -> Result<()> {
        let input = vec![0.0; self.compiled.input.iter().product()];
        let mut output = vec![0.0; self.compiled.output.iter().product()];
        self.compiled.run(&input, &mut output).map_err(|error| match error {
            Error::Runtime { reason, .. } => Error::Device { device: self.device.name(), reason },
            other => other,
        })
    }

    fn target(&self, precision: Precision) -> Target<'_> {
        let (runtime, device, threads) = (self.runtime, self.device, self.threads);
        Target { runtime, device, precision, threads, options: &self.options, cache_name: "" }
    }

    /// The network in single precision, for tiles whose scores left half precision's range; made when first needed.
    fn in_single(&mut self) -> Result<&mut Compiled> {
        if self.options.strict_half {
            let reason = "scores overflow half precision".to_owned();
            return Err(Error::Runtime { action: "run the network".into(), reason });
        }
        self.tiles_in_single += 1;
        let single = match self.single.take() {
            Some(single) => single,
            None => Compiled::new(&self.target(Precision::F32), &self.network, self.tile)?.0,
        };
        Ok(self.single.insert(single))
    }
}

/// The GPU for our own kernels, where the provider's memory is CUDA's. Without it the host cuts and blends.
fn machine_of(device: Device) -> Option<Arc<dyn Machine>> {
    let Device::Gpu(Provider::Cuda | Provider::TensorRt, index) = device else { return None };
    let told = |reason: &String| {
        log::write(Level::Warning, || format!("tiles are cut and blended on the host: {reason}"));
    };
    GpuMachine::machine(index).inspect_err(told).ok()
}

/// A strict session that can't be made: says which operators the provider lacks, if that is the reason.
fn explain(target: &Target, network: &Arc<Network>, tile: [usize; 3], error: Error) -> Error {
    if target.provider().is_none() || matches!(error, Error::Device { .. }) {
        return error;
    }
    let relaxed = DeviceOptions { fallback: true, ..target.options.clone() };
    let relaxed = Target { options: &relaxed, ..*target };
    let left =
        Compiled::new(&relaxed, network, tile).and_then(|(compiled, _)| compiled.session.left_to_cpu());
    let reason = match left {
        Ok(left) if !left.is_empty() && !target.options.fallback => {
            let list: Vec<String> = left.iter().map(|(name, count)| format!("{name} ({count})")).collect();
            format!("operators would have to run on the CPU, which needs fallback: {}", list.join(", "))
        }
        _ => error.to_string(),
    };
    Error::Device { device: target.device.name(), reason }
}

impl Engine for OrtEngine {
    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<()> {
        self.compiled.run(input, output)?;
        if self.precision == Precision::F16 && !output.iter().all(|score| score.is_finite()) {
            log::write(Level::Info, || "scores overflow half precision: the tile runs in single".into());
            return self.in_single()?.run(input, output);
        }
        Ok(())
    }

    fn name(&self) -> String {
        self.target(self.precision).engine_name()
    }

    fn workspace_bytes(&self) -> u64 {
        if self.device.is_beside_the_host() { 0 } else { self.workspace }
    }

    fn device_bytes(&self) -> u64 {
        if self.device.is_beside_the_host() { self.device_bytes } else { 0 }
    }

    fn trim(&mut self) -> Result<()> {
        self.single = None;
        let arena = match self.device {
            Device::Gpu(Provider::Cuda, index) => format!("gpu:{index}"),
            // The others' arenas aren't ONNX Runtime's.
            Device::Gpu(..) => return Ok(()),
            _ => "cpu:0".to_owned(),
        };
        self.compiled.shrink(&arena)
    }

    fn runs_elsewhere(&self) -> bool {
        self.device.is_beside_the_host()
    }

    fn memory_for(&self, job: &Job) -> Option<Memory> {
        let machine = self.machine.as_ref()?;
        let enough = self.target(self.precision).check_memory(self.device_bytes + resident_bytes(job));
        let half = self.precision == Precision::F16;
        let memory = enough.map_err(|error| error.to_string()).and_then(|()| Memory::new(machine, job, half));
        let told = |reason: &String| {
            log::write(Level::Warning, || format!("tiles are cut and blended on the host: {reason}"));
        };
        memory.inspect_err(told).ok()
    }

    fn run_at(&mut self, input: u64, output: u64, single: bool) -> Result<()> {
        let Device::Gpu(_, index) = self.device else {
            return Err(Error::unsupported("addresses of a device that has none"));
        };
        let network = if single { self.in_single()? } else { &mut self.compiled };
        network.run_at(index, input, output)
    }

    fn left_to_cpu(&self) -> &[(String, usize)] {
        &self.left_to_cpu
    }

    fn tiles_in_single(&self) -> usize {
        self.tiles_in_single
    }
}

#[cfg(test)]
mod tests;
