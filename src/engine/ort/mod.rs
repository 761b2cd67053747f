//! ONNX Runtime as an engine: the network becomes one of its graphs in memory, with the weights handed over
//! and not copied.

#![allow(unsafe_code, reason = "ONNX Runtime is a C library; its safe wrapper copies weights and results")]

mod file;
mod graph;
mod lower;
mod normalize;
mod window_attention;

use std::sync::Arc;

use ort::AsPointer;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{TensorRef, TensorRefMut};

pub(super) use file::FileEngine;

use super::Engine;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::plan::Precision;
use crate::runtime::Runtime;

/// Names of the graph's input and output.
const INPUT: &std::ffi::CStr = c"image";
const OUTPUT: &std::ffi::CStr = c"scores";

/// A network compiled by ONNX Runtime for the CPU.
pub(super) struct OrtEngine {
    // The session reads the weights where they are, so it goes first.
    session: Session,
    _weights: graph::Weights,
    runtime: &'static Runtime,
    input: [usize; 5],
    output: [usize; 5],
    workspace: u64,
}

/// An error of ONNX Runtime in our words.
fn failed<T>(action: &str) -> impl FnOnce(ort::Error<T>) -> Error {
    move |error| Error::Runtime { action: action.into(), reason: error.to_string() }
}

/// How sessions are set up.
fn options(runtime: &'static Runtime, threads: usize) -> Result<SessionBuilder> {
    Session::builder(runtime.environment())
        .map_err(failed("set up a session"))?
        .with_intra_threads(threads)
        .map_err(failed("set its threads"))?
        .with_inter_threads(1)
        .map_err(failed("set its threads"))?
        .with_intra_op_spinning(false)
        .map_err(failed("set its threads"))?
        .with_optimization_level(GraphOptimizationLevel::Level3)
        .map_err(failed("set its optimisation level"))?
        // One arena that tiles reuse. Blocks that are allocated and freed for each tile leave the C
        // library's heap twice as large; planned patterns come on top of the arena.
        .with_memory_pattern(false)
        .map_err(failed("plan its memory"))?
        .with_execution_providers([ort::ep::CPU::default().with_arena_allocator(true).build()])
        .map_err(failed("choose the CPU"))
}

impl OrtEngine {
    pub(super) fn new(
        runtime: &'static Runtime,
        network: &Arc<Network>,
        tile: [usize; 3],
        precision: Precision,
        threads: usize,
    ) -> Result<Self> {
        let (graph, weights) = lower::lower(network, tile, precision)?;
        let session =
            graph.into_session(&options(runtime, threads)?).map_err(failed("compile the network"))?;
        let width = if precision == Precision::F16 { 2 + 4 } else { 4 };
        // The arena grows in steps that leave some of it unused, about a quarter as measured. What it took for
        // attention is in pieces too small for the decoder, so that adds up.
        let activations = network.peak_activation_bytes(tile, width)? * 5 / 4;
        let workspace = activations + lower::scratch_bytes(network, tile, width)? + weights.derived_bytes;
        Ok(OrtEngine {
            session,
            _weights: weights,
            runtime,
            input: [1, network.input_channels(), tile[0], tile[1], tile[2]],
            output: [1, network.output_channels(), tile[0], tile[1], tile[2]],
            workspace,
        })
    }
}

impl Engine for OrtEngine {
    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let input = TensorRef::from_array_view((self.input, input)).map_err(failed("take a tile"))?;
        let output =
            TensorRefMut::from_array_view_mut((self.output, output)).map_err(failed("take a buffer"))?;
        let (inputs, mut outputs) = ([input.ptr()], [output.ptr().cast_mut()]);
        // The safe `run` would allocate the output and have us copy it.
        // SAFETY: one name and one live value each for the graph's only input and only output, whose types and
        // shapes the graph was built with; `&mut self` keeps other runs of this session away.
        let result = unsafe {
            let status = (ort::api().Run)(
                self.session.ptr().cast_mut(),
                std::ptr::null(),
                [INPUT.as_ptr()].as_ptr(),
                inputs.as_ptr(),
                1,
                [OUTPUT.as_ptr()].as_ptr(),
                1,
                outputs.as_mut_ptr(),
            );
            ort::Error::result_from_status(status)
        };
        result.map_err(failed("run the network"))
    }

    fn name(&self) -> String {
        format!("ONNX Runtime {} (CPU)", self.runtime.version())
    }

    fn workspace_bytes(&self) -> u64 {
        self.workspace
    }
}
