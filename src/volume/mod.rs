//! The caller's image: voxels of any type and layout on a grid in patient space. Nothing is copied here.

mod dtype;
mod finite;
mod geometry;
mod orientation;
mod region;
mod view;

pub use dtype::DType;
pub use finite::{NonFinite, NonFiniteVoxels};
pub use geometry::Geometry;
pub use orientation::AxisMap;
pub use region::{Box3, Region, WhenGlobal};
pub use view::{Layout, Volume};

pub(crate) use dtype::Element;
pub(crate) use finite::LOWEST;
pub(crate) use view::Walk;
