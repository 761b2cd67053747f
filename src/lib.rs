//! **A model folder becomes a plan, a volume flows through the plan tile by tile, labels come back on the
//! volume's own grid.**
//!
//! voxseg runs published 3-D medical segmentation models inside other people's programs. The modules stand in
//! the order that the data flows: a [`model`] is read from a [`checkpoint`] into a [`network`] and a
//! [`recipe`]; [`inference`] makes it ready for an [`engine`] and takes a [`volume`]
//! through [`preprocess`], [`tiling`] and [`restore`] to [`labels`]; a [`task`] does so with several models. The C
//! interface in [`ffi`] is a thin layer over the same types.
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

pub mod checkpoint;
pub mod engine;
pub mod error;
pub mod ffi;
pub mod file;
pub mod inference;
pub mod labels;
pub mod log;
pub mod metrics;
pub mod model;
pub mod network;
pub mod nifti;
pub mod preprocess;
pub mod progress;
pub mod recipe;
pub mod record;
pub mod restore;
#[cfg(feature = "ort")]
pub mod runtime;
#[cfg(not(feature = "ort"))]
#[path = "runtime/absent.rs"]
pub mod runtime;
pub mod task;
pub mod tiling;
pub mod volume;

mod buffer;
mod floating_point;
pub mod parallel;
mod platform;
#[cfg(test)]
mod reference;
mod threads;

pub use error::{Error, Result};
