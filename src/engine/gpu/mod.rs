//! Our own engine for GPUs: half precision on any vendor's, through Vulkan's driver alone.
//!
//! A network is lowered once (`lower`) to steps over one arena on the device (`program`); each is a run of a kernel of
//! `shaders`. Tensors hold halves, sums and statistics are in single precision, and so are the operands of the
//! convolution that reads the image. A tile in which a number is too large for a half runs again with tensors of single
//! numbers, and so does everything where single precision is asked for.

#![allow(unsafe_code, reason = "Vulkan's functions; each block says why it may")]

mod arena;
mod arguments;
mod bind;
mod class;
mod fixed;
mod kernel;
mod lower;
mod place;
mod program;
mod queue;
mod shaders;
mod step;
#[cfg(test)]
mod tests;
mod vulkan;
mod work;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use arena::Arena;
pub use queue::OpenedGpu;
pub(crate) use queue::{Launch, Queue};
pub(crate) use vulkan::Module;
#[cfg(test)]
pub(crate) use vulkan::{Answer, crossed, injected};

use self::program::{Budget, Program};
use self::vulkan::{Gpu, Library, Submitter};
use super::{DeviceEngine, DeviceMemory, Engine, EngineInfo, Workspace, room};
use crate::error::{Error, Result};
use crate::network::Network;

/// What is known of a device before it is opened.
pub(super) struct Found {
    /// Its number in the loader's order.
    pub index: u32,
    pub name: String,
    /// The driver and its version.
    pub driver: String,
    /// Bytes of its own memory.
    pub memory: u64,
    /// Whether it is hardware, not a CPU that emulates a GPU.
    pub hardware: bool,
    /// Why it can't be used.
    pub reason: Option<String>,
}

/// A device's name, as plans take it.
pub(super) fn name(index: u32) -> String {
    if index == 0 { "gpu".into() } else { format!("gpu:{index}") }
}

/// The devices of the system's Vulkan loader, which is opened for that.
///
/// # Errors
/// Why there are none, for people.
pub(super) fn devices() -> std::result::Result<Vec<Found>, String> {
    let found = Library::open()?.devices()?;
    Ok(found
        .into_iter()
        .map(|device| Found {
            index: device.index,
            name: device.name,
            driver: device.driver,
            memory: device.memory,
            hardware: device.hardware,
            reason: device.lacks,
        })
        .collect())
}

/// How an engine is made.
pub(crate) struct Settings<'a> {
    /// Whether tensors hold halves as far as their range is enough.
    pub half: bool,
    /// Whether an overflow of halves is an error.
    pub strict: bool,
    /// Bytes of the device's memory that the plan has already.
    pub taken: u64,
    /// Bytes of the device's memory that the plan may need.
    pub budget: Option<u64>,
    /// What the plan's engines share.
    pub arena: &'a Arena,
    /// Where compiled kernels are kept; `None`: nowhere.
    pub cache: Option<&'a Path>,
}

/// A network on a device of Vulkan's.
pub(crate) struct GpuEngine {
    gpu: Arc<Gpu>,
    network: Arc<Network>,
    tile: [usize; 3],
    half: bool,
    strict: bool,
    budget: Budget,
    arena: Arena,
    info: EngineInfo,
    /// Where compiled kernels are kept.
    cache: Option<PathBuf>,
    /// One run at a time: the networks of a plan share the arena.
    state: Mutex<State>,
}

struct State {
    program: Program,
    /// The same network with tensors of single numbers, once a tile needed that.
    single: Option<Program>,
    // Behind the programs, whose memory its submissions use.
    submitter: Submitter,
}

impl GpuEngine {
    /// Whether the engine has all operators of a network: all but ONNX files.
    pub(crate) fn supports(network: &Network) -> bool {
        network.onnx_file().is_none()
    }

    /// Brings a network to the device of that number, for tiles of one size.
    ///
    /// # Errors
    /// [`Error::Device`] when there is no such device or it can't be used, [`Error::MemoryBudget`] when its memory is
    /// too little, [`Error::Unsupported`] for an operator that this engine lacks, [`Error::DeviceLost`].
    pub(crate) fn new(
        index: u32,
        network: &Arc<Network>,
        tile: [usize; 3],
        settings: Settings,
    ) -> Result<Self> {
        let Settings { half, strict, taken, budget, arena, cache } = settings;
        let gpu = Gpu::open(index)?;
        if let Some(folder) = cache {
            gpu.recall(folder);
        }
        let mut submitter = Submitter::new(&gpu)?;
        let budget = Budget { taken, most: budget };
        let target = class::target(&gpu, half)?;
        let program = Program::new(&gpu, network, tile, target, arena, budget, &mut submitter)?;
        let info = EngineInfo {
            name: format!("voxseg {} (Vulkan, {})", env!("CARGO_PKG_VERSION"), gpu.physical.name),
            device_bytes: program.device_bytes(),
            runs_elsewhere: true,
            dispatches: program.dispatches_in_numbers().into(),
            ..EngineInfo::default()
        };
        let engine = GpuEngine {
            gpu,
            network: network.clone(),
            tile,
            half,
            strict,
            budget,
            arena: arena.clone(),
            info,
            cache: cache.map(Path::to_owned),
            state: Mutex::new(State { program, single: None, submitter }),
        };
        engine.keep();
        Ok(engine)
    }

    /// As [`Engine::run`]; `check` is asked at least every tenth of a second on a GPU.
    ///
    /// # Errors
    /// That of `check`, and those of [`Engine::run`].
    pub(crate) fn run_checked(
        &self,
        workspace: &mut Workspace,
        input: &[f32],
        output: &mut [f32],
        check: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let voxels = self.tile.iter().product::<usize>();
        let expected =
            [self.network.input_channels(), self.network.output_channels()].map(|channels| channels * voxels);
        let found = [input.len(), output.len()];
        if found != expected {
            return Err(Error::argument("tile", format!("{found:?} values"), format!("{expected:?}")));
        }
        let run =
            |program: &mut Program, submitter: &mut Submitter| program.run(input, output, submitter, check);
        self.with_program(workspace, run)
    }

    /// Keeps what was compiled since the last time: kernels around networks, or a network in single precision.
    fn keep(&self) {
        if let Some(folder) = &self.cache {
            self.gpu.keep(folder);
        }
    }

    /// Runs with tensors of halves where they are asked for, and again with single numbers where a tile needs that.
    /// `run` says whether a number was too large.
    fn with_program(
        &self,
        workspace: &mut Workspace,
        mut run: impl FnMut(&mut Program, &mut Submitter) -> Result<bool>,
    ) -> Result<()> {
        let mut state = self.state();
        let State { program, single, submitter } = &mut *state;
        let overflowed = run(program, submitter)?;
        self.keep();
        if !self.half || !overflowed {
            return Ok(());
        }
        if self.strict {
            let reason = "a number overflows half precision".to_owned();
            return Err(Error::Device { device: self.gpu.physical.name.clone(), reason });
        }
        workspace.count_single();
        if single.is_none() {
            let budget = Budget { taken: self.budget.taken + program.device_bytes(), ..self.budget };
            let target = class::target(&self.gpu, false)?;
            *single = Some(Program::new(
                &self.gpu,
                &self.network,
                self.tile,
                target,
                &self.arena,
                budget,
                submitter,
            )?);
        }
        match single {
            Some(single) => run(single, submitter).map(drop),
            None => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for GpuEngine {
    fn info(&self) -> EngineInfo {
        self.info.clone()
    }

    fn run(&self, workspace: &mut Workspace, input: &[f32], output: &mut [f32]) -> Result<()> {
        let check = workspace.check();
        self.run_checked(workspace, input, output, &check)
    }

    fn one_tile_at_a_time(&self) -> Result<bool> {
        Ok(true)
    }

    fn trim(&self) -> Result<()> {
        self.state().single = None;
        self.arena.trim();
        Ok(())
    }

    fn device(&self) -> Option<&dyn DeviceEngine> {
        Some(self)
    }
}

impl DeviceEngine for GpuEngine {
    fn memory(&self) -> DeviceMemory {
        DeviceMemory::Gpu(OpenedGpu(self.gpu.clone()))
    }

    fn room(&self, bytes: u64, taken: u64) -> Result<()> {
        room(bytes, taken, self.budget.most, None)?;
        // The arena comes with the first tile.
        room(bytes + self.arena.coming(), 0, None, self.gpu.free_memory())
    }

    /// It sees by itself that a number in between overflows, and runs the tile again.
    fn may_overflow(&self) -> bool {
        false
    }

    fn run_at(
        &self,
        workspace: &mut Workspace,
        _tiles: usize,
        input: u64,
        output: u64,
        _single: bool,
    ) -> Result<()> {
        let check = workspace.check();
        self.with_program(workspace, |program, submitter| program.run_at(input, output, submitter, &check))
    }
}
