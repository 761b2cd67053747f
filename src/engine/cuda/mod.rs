//! NVIDIA GPUs without a toolkit: the driver that the system has, opened when it is asked for, and kernels for what is done
//! around a network.

#![allow(unsafe_code, reason = "the driver is a C library")]

mod check;
mod driver;
mod gpu;
mod machine;
mod memory;
mod resident;
#[cfg(test)]
mod tests;

pub(crate) use check::scores;
pub(super) use driver::Driver;
pub(super) use gpu::GpuMachine;
pub use machine::Machine;
pub use memory::{Extent, Memory};
pub use resident::Resident;
#[cfg(test)]
pub(crate) use tests::host as host_machine;
