//! What runs a network on one tile. An engine is made for one network, one tile size and one device.

mod asleep;
#[cfg(test)]
pub(crate) mod fake;
mod ort;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::network::Network;
use crate::plan::Precision;
use crate::runtime;

pub(crate) use asleep::Asleep;

/// Runs one network on tiles of one size. Not shared between threads: a plan owns its engines.
pub trait Engine: Send {
    /// Computes the class scores of a tile: `input` is [channels, patch…], `output` [classes, patch…], both
    /// row-major.
    ///
    /// # Errors
    /// [`Error::Runtime`] with the engine's reason.
    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<()>;

    /// The engine's name and version.
    fn name(&self) -> String;

    /// Bytes that a run needs beside the weights, the input and the output.
    fn workspace_bytes(&self) -> u64;
}

/// What a plan can run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The fastest CPU engine of this build.
    #[default]
    Cpu,
    /// ONNX Runtime on the CPU.
    OrtCpu,
}

impl Device {
    /// Its name, as the tool takes it.
    pub fn name(self) -> &'static str {
        match self {
            Device::Cpu => "cpu",
            Device::OrtCpu => "ort-cpu",
        }
    }

    /// The device of that name.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] that lists the names.
    pub fn from_name(name: &str) -> Result<Self> {
        let all = [Device::Cpu, Device::OrtCpu];
        let names: Vec<&str> = all.iter().map(|device| device.name()).collect();
        let found = all.into_iter().find(|device| device.name() == name);
        found.ok_or_else(|| Error::argument("device", name, names.join(" or ")))
    }
}

/// A device and whether it can be used here.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    /// The device.
    pub device: Device,
    /// Its name for people.
    pub name: String,
    /// Why it can't be used; `None` when it can.
    pub reason: Option<String>,
}

/// All devices that this build knows. Opens ONNX Runtime when it can be found.
pub fn devices() -> Vec<DeviceInfo> {
    let (name, reason) = match runtime::open(None) {
        Ok(runtime) => (format!("CPU (ONNX Runtime {})", runtime.version()), None),
        Err(error) => ("CPU (ONNX Runtime)".into(), Some(error.to_string())),
    };
    let info = |device| DeviceInfo { device, name: name.clone(), reason: reason.clone() };
    vec![info(Device::Cpu), info(Device::OrtCpu)]
}

/// Makes an engine.
pub(crate) fn create(
    device: Device,
    network: &Arc<Network>,
    tile: [usize; 3],
    precision: Precision,
    threads: usize,
) -> Result<Box<dyn Engine>> {
    match device {
        Device::Cpu | Device::OrtCpu => {
            let runtime = runtime::open(None)?;
            Ok(match network.onnx_file() {
                Some(file) => Box::new(ort::FileEngine::new(runtime, network, file, tile, threads)?),
                None => Box::new(ort::OrtEngine::new(runtime, network, tile, precision, threads)?),
            })
        }
    }
}
