//! ONNX Runtime as an engine: the network becomes one of its graphs in memory, with the weights handed over
//! and not copied.

#![allow(unsafe_code, reason = "ONNX Runtime is a C library; its safe wrapper copies weights and results")]

mod device;
mod file;
mod graph;
mod lower;
mod normalize;
mod session;
mod transpose;
mod window_attention;

use std::sync::Arc;

use ort::AsPointer;
use ort::session::Session;
use ort::value::{TensorRef, TensorRefMut};

pub(super) use device::{Target, devices};
pub(super) use file::FileEngine;

use super::{Device, DeviceOptions, Engine};
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
        let (inputs, mut outputs) = ([input.ptr()], [output.ptr().cast_mut()]);
        // The safe `run` would allocate the output and have us copy it.
        let run = |session: &mut Session| {
            // SAFETY: one name and one live value each for the graph's only input and only output, whose types and
            // shapes the graph was built with; `&mut` keeps other runs of this session away.
            unsafe {
                let status = (ort::api().Run)(
                    session.ptr().cast_mut(),
                    std::ptr::null(),
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
        Target { runtime, device, precision, threads, options: &self.options }
    }

    /// A tile whose scores left half precision's range, in single precision.
    fn run_in_single(&mut self, input: &[f32], output: &mut [f32]) -> Result<()> {
        if self.options.strict_half {
            let reason = "scores overflow half precision".to_owned();
            return Err(Error::Runtime { action: "run the network".into(), reason });
        }
        if self.single.is_none() {
            let (single, _) = Compiled::new(&self.target(Precision::F32), &self.network, self.tile)?;
            self.single = Some(single);
        }
        self.tiles_in_single += 1;
        self.single.as_mut().map_or(Ok(()), |single| single.run(input, output))
    }
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
            return self.run_in_single(input, output);
        }
        Ok(())
    }

    fn name(&self) -> String {
        self.target(self.precision).engine_name()
    }

    fn workspace_bytes(&self) -> u64 {
        if self.target(self.precision).provider().is_some() { 0 } else { self.workspace }
    }

    fn device_bytes(&self) -> u64 {
        if self.target(self.precision).provider().is_some() { self.device_bytes } else { 0 }
    }

    fn runs_elsewhere(&self) -> bool {
        self.target(self.precision).provider().is_some()
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
