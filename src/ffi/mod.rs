//! The C interface: all of its unsafe code and nothing else. One file per C noun; the rules that they share
//! are in `docs/abi.md`, the header in `include/voxseg.h` is generated from here.

#![allow(unsafe_code, reason = "pointers come from C; every block states what the caller guarantees")]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]
#![allow(non_camel_case_types, reason = "the names are the C interface's")]

mod args;
mod boundary;
mod cancel;
mod compare;
mod device;
mod dose;
mod error;
mod executor;
mod inspect;
mod label;
mod labels;
mod log;
mod map;
mod measure;
mod model;
mod nifti;
mod on_device;
mod plan;
mod progress;
mod prompt;
mod record;
mod region;
mod runtime;
mod segment;
mod session;
mod statistics;
mod task;
mod version;
mod volume;

pub use crate::platform::return_freed_memory;
pub use cancel::*;
pub use compare::*;
pub use device::*;
pub use dose::*;
pub use error::*;
pub use executor::*;
pub use inspect::*;
pub use label::*;
pub use labels::*;
pub use log::*;
pub use map::*;
pub use measure::*;
pub use model::*;
pub use nifti::*;
pub use plan::*;
pub use progress::*;
pub use prompt::*;
pub use record::*;
pub use region::*;
pub use runtime::*;
pub use segment::*;
pub use session::*;
pub use statistics::*;
pub use task::*;
pub use version::*;
pub use volume::*;
