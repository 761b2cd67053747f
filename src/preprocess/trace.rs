//! What preprocessing did to a volume's grid, so that it can be undone.

use super::crop::Box3;
use super::monai::{Back, Window};
use crate::volume::{AxisMap, Geometry};

/// How an image came from a volume: all that undoing it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// The network's axes in the volume.
    pub map: AxisMap,
    /// The volume's grid along the network's axes.
    pub grid: Geometry,
    /// What became of it, in order.
    pub changes: Vec<Change>,
}

/// A change of an image's grid.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A part was kept, or the image was padded.
    Cut {
        /// The image's shape before.
        from: [usize; 3],
        /// What became the image.
        window: Window,
    },
    /// nnU-Net's resampling, from this shape.
    Resampled([usize; 3]),
    /// MONAI's, with the way back; `None` where nothing changed.
    Spaced(Option<Box<Back>>),
}

impl Way {
    /// For an image that is a volume on this grid as the network's axes see it.
    pub fn new(map: AxisMap, volume: &Geometry) -> Self {
        Way { map, grid: map.grid(volume), changes: Vec::new() }
    }

    /// The part of the volume that the network saw, along its axes.
    pub fn kept(&self) -> Box3 {
        match self.changes.first() {
            Some(Change::Cut { from, window }) => Box3 {
                start: [0, 1, 2].map(|axis| window.start[axis].clamp(0, from[axis] as i64) as usize),
                end: [0, 1, 2].map(|axis| window.end[axis].clamp(0, from[axis] as i64) as usize),
            },
            _ => Box3::whole(self.grid.shape),
        }
    }
}
