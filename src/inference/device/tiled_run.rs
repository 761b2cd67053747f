//! What is asked of a device beside a network.

use ndarray::{Array4, ArrayView3};

use super::memory::Sizes;
use crate::recipe::Fill;
use crate::restore::Labelling;
use crate::tiling::TileGrid;

/// What is done around a network.
#[derive(Clone, Copy)]
pub struct TiledRun<'a> {
    /// [channels, planes, rows, columns].
    pub image: &'a Array4<f32>,
    /// Where tiles lie.
    pub tiles: &'a TileGrid,
    /// The weights of a tile's voxels.
    pub window: ArrayView3<'a, f32>,
    /// What is outside of the image.
    pub fill: Fill,
    /// The axes that each further run of a tile is mirrored along, as bits.
    pub mirror: &'a [i32],
    /// Channels of the scores.
    pub classes: usize,
    /// Networks whose scores are averaged.
    pub folds: usize,
    /// Tiles that a network computes at once.
    pub batch: usize,
    /// Whether scores are summed in half precision.
    pub half: bool,
    /// How scores become labels there; `None`: scores are wanted.
    pub labelling: Option<&'a Labelling>,
}

impl TiledRun<'_> {
    /// What decides how much memory it needs.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            channels: self.image.dim().0,
            classes: self.classes,
            image: self.tiles.image(),
            patch: self.tiles.patch(),
            folds: self.folds,
            batch: self.batch,
            mirrored: !self.mirror.is_empty(),
            half: self.half,
            labels: self.labelling.map(|labelling| labelling.to),
        }
    }
}
