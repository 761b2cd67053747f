//! ONNX Runtime as an engine: the network becomes one of its graphs in memory, with the weights handed over
//! and not copied.

#![allow(unsafe_code, reason = "ONNX Runtime is a C library; its safe wrapper copies weights and results")]

mod compiling;
mod device;
mod engine_cache;
mod file;
mod graph;
mod lower;
mod normalize;
mod window_attention;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ort::AsPointer;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{RunOptions, Session};
use ort::value::{Shape, TensorRef, TensorRefMut};

pub(super) use device::devices;
use device::{Target, left_to_cpu};
use file::FileEngine;

use super::{
    Device, DeviceEngine, DeviceMemory, DeviceOptions, Engine, EngineInfo, EngineRequest, Precision,
    Provider, Workspace,
};
use crate::buffer;
use crate::error::{Error, Result};
use crate::log::{self, Level};
use crate::network::Network;
use crate::progress::Cancel;
use crate::runtime::{self, Runtime};
use lower::Dialect;

/// Names of the graph's input and output.
const INPUT: &std::ffi::CStr = c"image";
const OUTPUT: &std::ffi::CStr = c"scores";

/// Makes an engine for a network. `taken`: bytes of the device's memory that the plan has already.
pub(super) fn engine(request: &EngineRequest, network: &Arc<Network>, taken: u64) -> Result<Arc<dyn Engine>> {
    let runtime = runtime::open(None)?;
    let &EngineRequest { device, tile, precision, threads, options, cancel, .. } = request;
    let target = Target { runtime, device, precision, threads, options, taken, cancel, cache_name: "" };
    Ok(match network.onnx_file() {
        Some(file) => Arc::new(FileEngine::new(&target, network, file, tile)?),
        None => Arc::new(OrtEngine::new(&target, network, tile)?),
    })
}

/// An error of ONNX Runtime in our words.
fn failed<T>(action: &str) -> impl FnOnce(ort::Error<T>) -> Error {
    move |error| Error::Runtime { action: action.into(), reason: error.to_string() }
}

/// A network compiled by ONNX Runtime. One run at a time computes on it, others wait: some providers' allocators aren't
/// safe to use from two threads (the wrapper `ort` says so of its sessions), and a session's threads are busy with one
/// run.
pub(super) struct OrtEngine {
    state: Mutex<State>,
    /// What it tells, which nobody waits for.
    info: Mutex<EngineInfo>,
    network: Arc<Network>,
    runtime: &'static Runtime,
    device: Device,
    precision: Precision,
    threads: usize,
    options: DeviceOptions,
    /// For what is compiled while a run, which has a flag of its own, waits for it.
    never: Cancel,
    tile: [usize; 3],
}

/// What is compiled.
struct State {
    compiled: Compiled,
    /// The same in single precision, made when a tile first overflows half precision.
    single: Option<Compiled>,
    /// Tiles that both compute at once.
    batch: usize,
}

/// A session with what it reads.
struct Compiled {
    // The session reads the weights where they are, so it goes first.
    session: Session,
    _weights: graph::Weights,
    input: [usize; 5],
    output: [usize; 5],
}

impl Compiled {
    /// The network for a target, and bytes of weights that the network itself doesn't hold.
    fn new(target: &Target, network: &Arc<Network>, tile: [usize; 3], batch: usize) -> Result<(Self, u64)> {
        let Some(name) = engine_cache::name(target, network, tile, batch) else {
            return Self::compile(target, network, tile, batch);
        };
        let target = Target { cache_name: &name, ..*target };
        let folder = target.options.cache.as_deref().unwrap_or_else(|| Path::new("."));
        let compiled = Self::compile(&target, network, tile, batch);
        if let Err(Error::Cancelled) = compiled {
            return compiled;
        }
        compiled.or_else(|error| match engine_cache::remove(folder, &name) {
            0 => Err(error),
            count => {
                log::write(Level::Warning, || {
                    format!("{count} damaged files of TensorRT's are made anew: {error}")
                });
                Self::compile(&target, network, tile, batch)
            }
        })
    }

    fn compile(
        target: &Target,
        network: &Arc<Network>,
        tile: [usize; 3],
        batch: usize,
    ) -> Result<(Self, u64)> {
        let (graph, weights) = lower::lower(network, tile, batch, Dialect::of(target))?;
        let derived = weights.derived_bytes;
        let builder = target.session_options()?;
        let compile = || graph.into_session(&builder).map_err(failed("compile the network"));
        let session = compiling::watched(target, builder.canceler(), compile)?;
        let shape = |channels: usize| [batch, channels, tile[0], tile[1], tile[2]];
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
        let input = buffer::zeroed::<f32>("an empty tile", self.input.iter().product())?;
        let mut output = buffer::zeroed::<f32>("an empty tile", self.output.iter().product())?;
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
        // SAFETY: one name and one live value each for the graph's only input and only output, whose types and shapes
        // the graph was built with; `&mut self` keeps other runs of this session away.
        let ran = unsafe {
            let status = (ort::api().Run)(
                self.session.ptr().cast_mut(),
                options.map_or(std::ptr::null(), AsPointer::ptr),
                [INPUT.as_ptr()].as_ptr(),
                inputs.as_ptr(),
                1,
                [OUTPUT.as_ptr()].as_ptr(),
                1,
                outputs.as_mut_ptr(),
            );
            ort::Error::result_from_status(status)
        };
        ran.map_err(failed("run the network"))
    }
}

impl OrtEngine {
    /// With as many tiles at once as the options ask for and the device's memory allows.
    pub(super) fn new(target: &Target, network: &Arc<Network>, tile: [usize; 3]) -> Result<Self> {
        let wanted = if lower::takes_several(network) { target.options.tile_batch.max(1) } else { 1 };
        match Self::with_batch(target, network, tile, wanted) {
            Err(error) if wanted > 1 && is_lack_of_memory(&error) => {
                log::write(Level::Warning, || format!("tiles run one at a time: {error}"));
                let engine = Self::with_batch(target, network, tile, 1)?;
                engine.told().narrowed = true;
                Ok(engine)
            }
            outcome => outcome,
        }
    }

    fn with_batch(target: &Target, network: &Arc<Network>, tile: [usize; 3], batch: usize) -> Result<Self> {
        let [activations, on_device] = Self::estimate(Dialect::of(target), network, tile, batch)?;
        target.check_memory(on_device)?;
        let _context = target.hold();
        let before = target.free_memory();
        let (compiled, derived) = Compiled::new(target, network, tile, batch)
            .map_err(|error| explain(target, network, tile, batch, error))?;
        let info = EngineInfo {
            name: target.engine_name(),
            batch,
            runs_elsewhere: target.device.is_beside_the_host(),
            left_to_cpu: left_to_cpu(target, &compiled.session)?,
            ..EngineInfo::default()
        };
        let engine = OrtEngine {
            state: Mutex::new(State { compiled, single: None, batch }),
            info: Mutex::new(info),
            network: network.clone(),
            runtime: target.runtime,
            device: target.device,
            precision: target.precision,
            threads: target.threads,
            options: target.options.clone(),
            never: Cancel::new(),
            tile,
        };
        engine.tell_needs(activations, derived, on_device);
        if target.provider().is_some() {
            engine.warm_up()?;
        }
        // What algorithms need as workspace only shows once they ran.
        if target.device.is_beside_the_host()
            && let (Some(before), Some(after)) = (before, target.free_memory())
        {
            let mut told = engine.told();
            told.device_bytes = told.device_bytes.max(before.saturating_sub(after));
        }
        Ok(engine)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, EngineInfo> {
        self.info.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells bytes of activations, of weights that the network doesn't hold, and of the device.
    fn tell_needs(&self, activations: u64, derived: u64, on_device: u64) {
        let mut told = self.told();
        match self.device.is_beside_the_host() {
            true => told.device_bytes = on_device + derived,
            false => (told.loaded_bytes, told.arena_bytes) = (derived, activations),
        }
    }

    /// Bytes of activations, and of all that the network needs of the device.
    fn estimate(dialect: Dialect, network: &Network, tile: [usize; 3], batch: usize) -> Result<[u64; 2]> {
        // In half precision norms are computed in single, so some activations exist in both.
        let width = if dialect.half { 2 + 4 } else { 4 };
        let weight = if dialect.half { 2 } else { 4 };
        // The arena grows in steps that leave some of it unused, about a quarter as measured. What it took for
        // attention is in pieces too small for the decoder, so that adds up.
        let activations = batch as u64
            * (network.peak_activation_bytes(tile, width)? * 5 / 4
                + lower::scratch_bytes(network, tile, width)?);
        let channels = network.input_channels() + network.output_channels();
        let tiles = batch * channels * tile.iter().product::<usize>() * size_of::<f32>();
        Ok([activations, activations + (network.parameters() * weight + tiles) as u64])
    }

    /// Runs an empty tile: providers choose algorithms, compile shaders and find out what they can't do when they
    /// first run, and a plan shall know before a volume comes.
    fn warm_up(&self) -> Result<()> {
        let compiled = &mut self.state().compiled;
        let input = vec![0.0; compiled.input.iter().product()];
        let mut output = vec![0.0; compiled.output.iter().product()];
        compiled.run(&input, &mut output).map_err(|error| match error {
            Error::Runtime { reason, .. } => Error::Device { device: self.device.name(), reason },
            other => other,
        })
    }

    fn target(&self, precision: Precision) -> Target<'_> {
        let (runtime, device, threads) = (self.runtime, self.device, self.threads);
        let (options, cancel) = (&self.options, &self.never);
        Target { runtime, device, precision, threads, options, taken: 0, cancel, cache_name: "" }
    }

    /// The network in single precision, for tiles whose scores left half precision's range; made when first needed.
    fn in_single<'a>(&self, state: &'a mut State, workspace: &mut Workspace) -> Result<&'a mut Compiled> {
        if self.options.strict_half {
            let reason = "scores overflow half precision".to_owned();
            return Err(Error::Runtime { action: "run the network".into(), reason });
        }
        workspace.count_single();
        let single = match state.single.take() {
            Some(single) => single,
            None => Compiled::new(&self.target(Precision::F32), &self.network, self.tile, state.batch)?.0,
        };
        Ok(state.single.insert(single))
    }

    /// The device's number among its provider's.
    fn index(&self) -> u32 {
        match self.device {
            Device::Provider(_, index) => index,
            _ => 0,
        }
    }

    /// As many tiles as are computed at once.
    fn run_batch(
        &self,
        state: &mut State,
        workspace: &mut Workspace,
        input: &[f32],
        output: &mut [f32],
    ) -> Result<()> {
        state.compiled.run(input, output)?;
        if self.precision == Precision::F16 && !output.iter().all(|score| score.is_finite()) {
            log::write(Level::Info, || "scores overflow half precision: the tile runs in single".into());
            return self.in_single(state, workspace)?.run(input, output);
        }
        Ok(())
    }

    /// Numbers of a tile's input and of its scores.
    fn tile_sizes(&self) -> [usize; 2] {
        let voxels = self.tile.iter().product::<usize>();
        [self.network.input_channels() * voxels, self.network.output_channels() * voxels]
    }
}

/// Whether an error says that memory, the device's too, was too little. ONNX Runtime and its providers have no code for
/// it.
fn is_lack_of_memory(error: &Error) -> bool {
    let words =
        ["out of memory", "outofmemory", "out_of_memory", "failed to allocate memory", "allocation failed"];
    match error {
        Error::MemoryBudget { .. } => true,
        Error::Device { reason, .. } | Error::Runtime { reason, .. } => {
            let reason = reason.to_lowercase();
            words.iter().any(|word| reason.contains(word))
        }
        _ => false,
    }
}

/// A strict session that can't be made: says which operators the provider lacks, if that is the reason.
fn explain(target: &Target, network: &Arc<Network>, tile: [usize; 3], batch: usize, error: Error) -> Error {
    if target.provider().is_none() || matches!(error, Error::Device { .. } | Error::Cancelled) {
        return error;
    }
    let relaxed = DeviceOptions { fallback: true, ..target.options.clone() };
    let relaxed = Target { options: &relaxed, ..*target };
    let left = Compiled::new(&relaxed, network, tile, batch)
        .and_then(|(compiled, _)| left_to_cpu(&relaxed, &compiled.session));
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
    fn info(&self) -> EngineInfo {
        self.told().clone()
    }

    fn run(&self, workspace: &mut Workspace, input: &[f32], output: &mut [f32]) -> Result<()> {
        let mut state = self.state();
        let [of_input, of_output] = self.tile_sizes().map(|size| size * state.batch);
        for (input, output) in input.chunks(of_input).zip(output.chunks_mut(of_output)) {
            self.run_batch(&mut state, workspace, input, output)?;
        }
        let mut told = self.told();
        told.held_bytes = told.arena_bytes;
        Ok(())
    }

    fn one_tile_at_a_time(&self) -> Result<bool> {
        let mut state = self.state();
        // TensorRT would compile the network anew for minutes.
        if state.batch == 1 || matches!(self.device, Device::Provider(Provider::TensorRt, _)) {
            return Ok(state.batch == 1);
        }
        state.single = None;
        let target = self.target(self.precision);
        let [activations, on_device] = Self::estimate(Dialect::of(&target), &self.network, self.tile, 1)?;
        let (compiled, derived) = match Compiled::new(&target, &self.network, self.tile, 1) {
            Ok(made) => made,
            // The old one is still there.
            Err(error) if is_lack_of_memory(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        (state.compiled, state.batch) = (compiled, 1);
        self.tell_needs(activations, derived, on_device);
        let mut told = self.told();
        (told.batch, told.narrowed) = (1, true);
        Ok(true)
    }

    fn trim(&self) -> Result<()> {
        let mut state = self.state();
        state.single = None;
        self.told().held_bytes = 0;
        let arena = match self.device {
            Device::Provider(Provider::Cuda, index) => format!("gpu:{index}"),
            // The others' arenas aren't ONNX Runtime's.
            Device::Provider(..) => return Ok(()),
            _ => "cpu:0".to_owned(),
        };
        state.compiled.shrink(&arena)
    }

    fn device(&self) -> Option<&dyn DeviceEngine> {
        matches!(self.device, Device::Provider(Provider::Cuda | Provider::TensorRt, _)).then_some(self)
    }
}

impl DeviceEngine for OrtEngine {
    fn memory(&self) -> DeviceMemory {
        DeviceMemory::Cuda(self.index())
    }

    fn room(&self, bytes: u64, taken: u64) -> Result<()> {
        Target { taken, ..self.target(self.precision) }.check_memory(bytes)
    }

    fn may_overflow(&self) -> bool {
        self.precision == Precision::F16
    }

    fn run_at(
        &self,
        workspace: &mut Workspace,
        tiles: usize,
        input: u64,
        output: u64,
        single: bool,
    ) -> Result<()> {
        let mut state = self.state();
        let step = self.tile_sizes().map(|size| (size * size_of::<f32>()) as u64);
        for first in (0..tiles).step_by(state.batch) {
            let [input, output] = [input + first as u64 * step[0], output + first as u64 * step[1]];
            let network = if single { self.in_single(&mut state, workspace)? } else { &mut state.compiled };
            network.run_at(self.index(), input, output)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
