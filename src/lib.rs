//! **A model folder becomes a plan, a volume flows through the plan tile by tile, labels come back on the
//! volume's own grid.**
//!
//! voxseg runs published 3-D medical segmentation models inside other people's programs. A [`model`] is opened from
//! its published files; [`inference`] makes it ready for one of the [`devices`] and takes a [`volume`] to [`labels`],
//! with [`progress`] on the way; a [`session`] answers to a user's prompts; a [`task`] does so with several models;
//! [`metrics`] compares and measures label maps. The C interface is a thin layer over the same types; how the inside is
//! built is told in docs/architecture.md.
//!
//! ```no_run
//! use voxseg::labels::LabelBuffer;
//! use voxseg::model::{Model, ModelOptions};
//! use voxseg::inference::{Plan, PlanOptions};
//! use voxseg::progress::Run;
//! use voxseg::volume::{DType, Geometry, Layout, Volume};
//!
//! # fn main() -> voxseg::Result<()> {
//! # let (voxels, shape) = (vec![0_u8; 2 * 122 * 101 * 112], [122, 101, 112]);
//! let folder = "Dataset901_TorsoCT/nnUNetTrainer__nnUNetPlans__3d_fullres";
//! let model = Model::open(folder.as_ref(), &ModelOptions::default())?;
//! let plan = Plan::new(&model, &PlanOptions::default())?;
//! let grid = Geometry { spacing: [3.0; 3], ..Geometry::with_shape(shape) };
//! let volume = Volume::new(grid.clone(), DType::I16, Layout::dense(shape, DType::I16), vec![&voxels])?;
//! let mut bytes = vec![0; grid.voxels()];
//! let mut labels = LabelBuffer::new(&grid, DType::U8, Layout::dense(shape, DType::U8), &mut bytes)?;
//! let report = plan.segment(&volume, &mut labels, &mut [], &mut Run::default())?;
//! assert_eq!(report.voxels, grid.voxels());
//! # Ok(())
//! # }
//! ```

#![deny(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests may compare with the system's own functions")
)]
#![warn(missing_docs)]

pub mod error;
pub mod inference;
pub mod labels;
pub mod log;
pub mod metrics;
pub mod model;
pub mod nifti;
pub mod progress;
pub mod record;
pub mod session;
pub mod task;
pub mod volume;

/// What a plan can run on, and how.
pub mod devices {
    pub use crate::engine::cpu::{Algorithm, CpuOptions, Isa};
    pub use crate::engine::{Device, DeviceInfo, DeviceOptions, Precision, Provider, devices};
}

// The inside. What is `pub` here is so for this repository's own tests, benchmarks and fuzz targets: it may change with
// every version.
mod buffer;
#[doc(hidden)]
pub mod checkpoint;
#[doc(hidden)]
pub mod engine;
#[doc(hidden)]
pub mod ffi;
mod file;
mod floating_point;
#[doc(hidden)]
pub mod network;
mod parallel;
mod platform;
#[doc(hidden)]
pub mod preprocess;
#[doc(hidden)]
pub mod recipe;
#[cfg(test)]
mod reference;
#[doc(hidden)]
pub mod restore;
#[doc(hidden)]
#[cfg(feature = "ort")]
pub mod runtime;
#[cfg(not(feature = "ort"))]
#[path = "runtime/absent.rs"]
mod runtime;
mod threads;
#[doc(hidden)]
pub mod tiling;

pub use error::{Error, Result};
