//! What comes out: label values with their names, the caller's buffer that receives them, and numbers about them:
//! how two label maps agree, what a label map says about an image and a dose.

mod buffer;
mod by_label;
pub(crate) mod coded;
mod compare;
mod distance;
mod dose;
mod map;
mod on_grid;
mod pairs;
mod placement;
mod room;
mod statistics;
mod surface;
mod surfels;
mod table;
mod terms;

#[cfg(test)]
mod tests;

pub use buffer::LabelBuffer;
pub use coded::label_table;
pub use compare::{CompareOptions, Comparison, Pair, Summary, compare, summary};
pub use distance::distance_transform;
pub use dose::{LabelDose, dose};
pub use on_grid::{labels_on_grid, write_labels_on_grid};
pub use pairs::{pairs_by_name, pairs_by_terms};
pub use statistics::{Intensities, LabelStatistics, statistics};
pub use surface::SurfaceDistances;
pub use table::{Label, colors};
pub use terms::{Term, Terms};
