//! Numbers about label maps: how two of them agree, what one says about an image and a dose, and a label map on another
//! grid.

mod by_label;
mod compare;
mod distance;
mod dose;
mod grid_transform;
mod map;
mod on_grid;
mod pairs;
mod room;
mod statistics;
mod surface;
mod surfels;

#[cfg(test)]
mod tests;

pub use compare::{CompareOptions, Comparison, Pair, Summary, compare, summary};
pub use distance::distance_transform;
pub use dose::{LabelDose, dose};
pub use on_grid::{labels_on_grid, write_labels_on_grid};
pub use pairs::{pairs_by_name, pairs_by_terms};
pub use statistics::{Intensities, LabelStatistics, statistics};
pub use surface::SurfaceDistances;
