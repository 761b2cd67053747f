//! Vulkan 1.3 with nothing between: the loader opened by name when a device is asked for, buffers by address, kernels
//! from SPIR-V, work in submissions that are waited for without spinning.

mod cache;
#[cfg(test)]
mod crossing;
mod failure;
mod gpu;
mod library;
mod memory;
mod pipeline;
mod spirv;
mod submit;

#[cfg(test)]
pub(crate) use ash::vk::Result as Answer;
#[cfg(test)]
pub(crate) use crossing::crossed;
pub(crate) use failure::injected;
pub(super) use gpu::{Gpu, Matrix};
pub(super) use library::Library;
pub(super) use memory::{Buffer, Kind, Stage};
pub(crate) use pipeline::Module;
pub(super) use pipeline::Pipeline;
pub(super) use submit::{Command, Dispatch, Submitter};
