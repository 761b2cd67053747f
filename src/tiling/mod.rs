//! The sliding window: where tiles lie, how they are weighted, and how their outputs are merged.

pub mod blend;
pub mod grid;
pub mod mirror;
pub mod score;
pub mod sliding;
pub mod window;

pub use blend::{Blend, average};
pub use grid::{TileGrid, cut};
pub use mirror::Mirrored;
pub use score::Score;
