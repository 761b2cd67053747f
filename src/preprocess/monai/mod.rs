//! The numbers behind MONAI's preprocessing transforms and those that Auto3DSeg builds from them (MONAI 1.6.1).
//!
//! Arrays are `[channel, axis 0, axis 1, axis 2]`, grids along the array's axes.

pub mod clicks;
pub mod foreground;
pub mod grid;
pub mod intensity;
mod matrix;
pub mod pad;
mod percentile;
pub mod resample;
pub mod resize;
pub mod sampling;
mod sigmoid;
mod smooth;
pub mod spacing;
mod statistics;

pub use grid::Grid;
pub use pad::Window;
pub use resample::{resample_linear, resample_nearest};
pub use sampling::{AxisTaps, Sampling};
pub use spacing::{InverseSpacing, Spaced};
