//! A network that comes as an ONNX file, run as it is.

use std::sync::{Arc, Mutex, PoisonError};

use ort::session::Session;
use ort::value::{TensorRef, ValueType};

use super::device::left_to_cpu;
use super::{Target, failed};
use crate::engine::{DeviceEngine, Engine, EngineInfo, Workspace};
use crate::error::{Error, Result};
use crate::network::Network;

/// An ONNX file compiled by ONNX Runtime.
pub(in crate::engine) struct FileEngine {
    /// One run at a time: see [`super::OrtEngine`].
    session: Mutex<Session>,
    info: EngineInfo,
    input: [usize; 5],
}

impl FileEngine {
    /// The file must have one input and one output in single precision, [batch, channels, axis 0, axis 1, axis 2],
    /// whose sizes are the tile's or free.
    pub(in crate::engine) fn new(
        target: &Target,
        network: &Arc<Network>,
        file: &[u8],
        tile: [usize; 3],
    ) -> Result<Self> {
        let session =
            target.session_options()?.commit_from_memory(file).map_err(failed("load the ONNX file"))?;
        let [input, output] = [network.input_channels(), network.output_channels()]
            .map(|channels| [1, channels, tile[0], tile[1], tile[2]]);
        let one = |outlets: &[ort::value::Outlet], what: &str, expected: [usize; 5]| match outlets {
            [one] => fits(one.dtype(), what, expected),
            many => {
                Err(Error::unsupported(format!("an ONNX file with {} {what}s; one is expected", many.len())))
            }
        };
        one(session.inputs(), "input", input)?;
        one(session.outputs(), "output", output)?;
        let info = EngineInfo {
            name: format!("{}, ONNX file", target.engine_name()),
            left_to_cpu: left_to_cpu(target, &session)?,
            runs_elsewhere: target.device.is_beside_the_host(),
            // What a file's network needs beside its weights isn't known; of the file only its size is.
            loaded_bytes: file.len() as u64,
            ..EngineInfo::default()
        };
        Ok(FileEngine { session: Mutex::new(session), info, input })
    }
}

fn fits(dtype: &ValueType, what: &str, expected: [usize; 5]) -> Result<()> {
    let wrong = || {
        let text = format!("an ONNX file whose {what} is {dtype}, where float32 of {expected:?} is needed");
        Error::unsupported(text)
    };
    let ValueType::Tensor { ty: ort::value::TensorElementType::Float32, shape, .. } = dtype else {
        return Err(wrong());
    };
    let free_or = |(&size, &expected): (&i64, &usize)| size < 0 || size as usize == expected;
    if shape.len() == 5 && shape.iter().zip(&expected).all(free_or) { Ok(()) } else { Err(wrong()) }
}

impl Engine for FileEngine {
    fn info(&self) -> EngineInfo {
        self.info.clone()
    }

    fn run(&self, _: &mut Workspace, input: &[f32], output: &mut [f32]) -> Result<()> {
        let input = TensorRef::from_array_view((self.input, input)).map_err(failed("take a tile"))?;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(ort::inputs![input]).map_err(failed("run the network"))?;
        let (_, scores) = outputs[0].try_extract_tensor::<f32>().map_err(failed("read the scores"))?;
        if scores.len() != output.len() {
            let reason = format!("{} scores, expected {}", scores.len(), output.len());
            return Err(Error::Runtime { action: "run the network".into(), reason });
        }
        output.copy_from_slice(scores);
        Ok(())
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
