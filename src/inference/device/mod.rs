//! What is done around a network in a device's own memory: tiles are cut, blended and decided there by kernels of our
//! own, on NVIDIA GPUs through CUDA's driver and on any GPU through Vulkan's.

#![allow(unsafe_code, reason = "CUDA's driver is a C library")]

mod arguments;
mod backend;
#[cfg(test)]
pub(super) mod beside;
mod check;
mod cuda;
mod device_tiles;
mod memory;
#[cfg(test)]
mod tests;
mod tiled_run;
mod vulkan;

use std::sync::Arc;

pub use backend::Backend;
pub(crate) use backend::during;
pub(super) use check::scores;
pub use device_tiles::DeviceTiles;
pub use memory::{Memory, Sizes};
#[cfg(test)]
pub(crate) use tests::host as host_backend;
pub use tiled_run::TiledRun;

use crate::engine::{DeviceMemory, Engine};
use crate::log::{self, Level};
use cuda::CudaBackend;
use vulkan::VulkanBackend;

/// What works in the memory that an engine's arrays lie in. Without it the host cuts and blends.
pub(super) fn backend_of(engine: &dyn Engine) -> Option<Arc<dyn Backend>> {
    let told = |reason: &String| {
        log::write(Level::Warning, || format!("tiles are cut and blended on the host: {reason}"));
    };
    match engine.device()?.memory() {
        DeviceMemory::Cuda(index) => CudaBackend::backend(index).inspect_err(told).ok(),
        DeviceMemory::Gpu(opened) => VulkanBackend::backend(&opened).inspect_err(told).ok(),
        #[cfg(test)]
        DeviceMemory::Host => Some(host_backend().clone()),
    }
}
