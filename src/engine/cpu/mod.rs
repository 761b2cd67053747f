//! Our own engine for CPUs: it needs no library beside this one.
//!
//! A network is lowered once (`lower`) to steps over one arena (`program`). Convolutions of three along an axis run by
//! Winograd's algorithm (`winograd`), others as sums over kernel positions (`direct`), attention among the voxels of
//! windows (`attention`), all through one matrix kernel (`product`); normalisations are gathered while values are
//! written (`statistics`) and applied when they are read. Everything is written over sixteen lanes (`simd`) and
//! compiled for each instruction set. Results don't depend on the number of threads: tasks are cut the same way for any
//! (`team`).

#![allow(
    clippy::needless_range_loop,
    reason = "counted loops over registers and lanes are unrolled; iterators over them aren't always"
)]
#![allow(
    unsafe_code,
    reason = "kernels that address memory by themselves and need SIMD; each block says why it may"
)]

mod attention;
mod constant;
mod depthwise;
mod direct;
mod exponential;
mod layer_norm;
mod lower;
mod map;
mod memory;
mod product;
mod profile;
mod program;
mod sample;
mod simd;
mod statistics;
mod team;
#[cfg(test)]
mod tests;
mod winograd;

use std::sync::Arc;

use super::{DeviceEngine, Engine, EngineInfo, Workspace};
use crate::error::{Error, Result};
use crate::network::{Network, Op};
pub(super) use memory::Memory;
pub use profile::{Layer, multiply_add_peak};
use program::Program;
pub use simd::{Isa, widest};

/// How convolutions are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// By Winograd's algorithm where it is faster; rounding errors are a few times those of the plain sum.
    #[default]
    Winograd,
    /// By the plain sum.
    Direct,
}

/// How to compute on a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuOptions {
    /// How convolutions are computed.
    pub convolution: Algorithm,
    /// Which instructions are used.
    pub isa: Isa,
}

/// How a network is lowered.
#[derive(Clone, Copy, Debug)]
struct Settings {
    convolution: Algorithm,
    threads: usize,
    /// Floats of a tensor whose memory is worth sharing.
    large: usize,
}

/// Each thread has scratch memory of its own, so that their number is bounded.
const MOST_THREADS: usize = 1024;

/// As measured: smaller tensors cost more in waiting threads than they save.
const LARGE: usize = 6 << 20;

/// A network lowered for tiles of one size.
pub struct CpuEngine {
    program: Program,
    tile: [usize; 3],
    threads: usize,
    options: CpuOptions,
    /// Lengths of the image and the scores.
    ends: [usize; 2],
}

impl CpuEngine {
    /// Lowers a network.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an ONNX file; [`Error::Device`] for instructions that the machine lacks; as
    /// [`Network::sizes`].
    pub fn new(
        network: &Arc<Network>,
        tile: [usize; 3],
        threads: usize,
        options: CpuOptions,
    ) -> Result<Self> {
        let settings =
            Settings { convolution: options.convolution, threads: threads.min(MOST_THREADS), large: LARGE };
        Self::with(network, tile, options, settings)
    }

    /// What such an engine would need: bytes of weights in its own forms, and of a run's workspace. Nothing is
    /// allocated for it.
    ///
    /// # Errors
    /// As [`CpuEngine::new`].
    pub(super) fn planned_bytes(
        network: &Arc<Network>,
        tile: [usize; 3],
        threads: usize,
        options: CpuOptions,
    ) -> Result<[u64; 2]> {
        let settings = Settings { convolution: options.convolution, threads, large: LARGE };
        let program = lower::lower(network, tile, options.isa.resolve()?, &settings, true)?;
        Ok([program.weight_bytes(), program.working_bytes()])
    }

    fn with(
        network: &Arc<Network>,
        tile: [usize; 3],
        options: CpuOptions,
        settings: Settings,
    ) -> Result<Self> {
        let program = lower::lower(network, tile, options.isa.resolve()?, &settings, false)?;
        let voxels = tile.iter().product::<usize>();
        let ends = [network.input_channels() * voxels, network.output_channels() * voxels];
        Ok(CpuEngine { program, tile, threads: settings.threads, options, ends })
    }

    /// Whether it was made for this.
    pub(super) fn is_for(&self, tile: [usize; 3], threads: usize, options: CpuOptions) -> bool {
        (self.tile, self.threads, self.options) == (tile, threads.min(MOST_THREADS), options)
    }

    /// Whether the engine has all operators of a network: all but ONNX files.
    pub(super) fn supports(network: &Network) -> bool {
        !network.nodes().iter().any(|node| matches!(node.op, Op::Onnx { .. }))
    }

    /// Runs a tile and tells what each step took.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn profile(
        &self,
        workspace: &mut Workspace,
        input: &[f32],
        output: &mut [f32],
    ) -> Result<Vec<Layer>> {
        self.check(input, output)?;
        self.program.profile(workspace, input, output)
    }

    fn check(&self, input: &[f32], output: &[f32]) -> Result<()> {
        let found = [input.len(), output.len()];
        match found == self.ends {
            true => Ok(()),
            false => Err(Error::argument("tile", format!("{found:?} values"), format!("{:?}", self.ends))),
        }
    }
}

impl Engine for CpuEngine {
    fn info(&self) -> EngineInfo {
        let direct = if self.options.convolution == Algorithm::Direct { ", direct" } else { "" };
        let isa = self.program.isa.name();
        EngineInfo {
            name: format!("voxseg {} (CPU, {isa}{direct})", env!("CARGO_PKG_VERSION")),
            loaded_bytes: self.program.weight_bytes(),
            workspace_bytes: self.program.working_bytes(),
            ..EngineInfo::default()
        }
    }

    fn run(&self, workspace: &mut Workspace, input: &[f32], output: &mut [f32]) -> Result<()> {
        self.check(input, output)?;
        self.program.run(workspace, input, output)
    }

    fn one_tile_at_a_time(&self) -> Result<bool> {
        Ok(true)
    }

    fn trim(&self) -> Result<()> {
        Ok(())
    }

    fn device(&self) -> Option<&dyn DeviceEngine> {
        None
    }
}
