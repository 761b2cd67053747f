//! What is done around a network in a device's own memory: tiles are cut, blended and decided there by kernels of our
//! own, on NVIDIA GPUs through CUDA's driver and on any GPU through Vulkan's.

#![allow(unsafe_code, reason = "CUDA's driver is a C library")]

mod arguments;
#[cfg(test)]
pub(super) mod beside;
mod check;
mod cuda;
mod job;
mod machine;
mod memory;
mod resident;
#[cfg(test)]
mod tests;
mod vulkan;

use std::sync::Arc;

pub(super) use check::scores;
pub use job::Job;
pub use machine::Machine;
pub(crate) use machine::during;
pub use memory::{Extent, Memory};
pub use resident::Resident;
#[cfg(test)]
pub(crate) use tests::host as host_machine;

use crate::engine::{DeviceMemory, Engine};
use crate::log::{self, Level};
use cuda::CudaMachine;
use vulkan::VulkanMachine;

/// What works in the memory that an engine's arrays lie in. Without it the host cuts and blends.
pub(super) fn machine_of(engine: &dyn Engine) -> Option<Arc<dyn Machine>> {
    let told = |reason: &String| {
        log::write(Level::Warning, || format!("tiles are cut and blended on the host: {reason}"));
    };
    match engine.device()?.memory() {
        DeviceMemory::Cuda(index) => CudaMachine::machine(index).inspect_err(told).ok(),
        DeviceMemory::Gpu(opened) => VulkanMachine::machine(&opened).inspect_err(told).ok(),
        #[cfg(test)]
        DeviceMemory::Host => Some(host_machine().clone()),
    }
}
