//! What is done around a network in a device's own memory: tiles are cut, blended and decided there by kernels of our
//! own, on NVIDIA GPUs without a toolkit.

#![allow(unsafe_code, reason = "the driver is a C library")]

#[cfg(test)]
pub(super) mod beside;
mod check;
mod gpu;
mod job;
mod machine;
mod memory;
mod resident;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(super) use check::scores;
pub use job::Job;
pub use machine::Machine;
pub use memory::{Extent, Memory};
pub use resident::Resident;
#[cfg(test)]
pub(crate) use tests::host as host_machine;

use crate::engine::{DeviceMemory, Engine};
use crate::log::{self, Level};
use gpu::GpuMachine;

/// What works in the memory that an engine's arrays lie in. Without it the host cuts and blends.
pub(super) fn machine_of(engine: &dyn Engine) -> Option<Arc<dyn Machine>> {
    let told = |reason: &String| {
        log::write(Level::Warning, || format!("tiles are cut and blended on the host: {reason}"));
    };
    match engine.device()?.memory() {
        DeviceMemory::Cuda(index) => GpuMachine::machine(index).inspect_err(told).ok(),
        #[cfg(test)]
        DeviceMemory::Host => Some(host_machine().clone()),
    }
}
