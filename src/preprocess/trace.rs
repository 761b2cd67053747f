//! What preprocessing did to a volume's grid, so that it can be undone.

use super::monai::{InverseSpacing, Window};
use crate::recipe::ResizeMode;
use crate::volume::{AxisMap, Box3, Geometry};

/// How an image came from a volume: all that undoing it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The network's axes in the volume.
    pub map: AxisMap,
    /// The volume's grid along the network's axes.
    pub grid: Geometry,
    /// What became of it, in order.
    pub changes: Vec<GridChange>,
}

/// A change of an image's grid.
#[derive(Clone, Debug, PartialEq)]
pub enum GridChange {
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
    Spaced(Option<Box<InverseSpacing>>),
    /// MONAI's change of the shape alone.
    Resized {
        /// The image's shape before.
        from: [usize; 3],
        /// Its shape then.
        to: [usize; 3],
        /// How the image was found, and how scores are on the way back.
        mode: ResizeMode,
    },
    /// Other axes, from those of the image before.
    Turned(AxisMap),
}

impl Trace {
    /// For an image that is a volume on this grid as the network's axes see it.
    pub fn new(map: AxisMap, volume: &Geometry) -> Self {
        Trace { map, grid: map.grid(volume), changes: Vec::new() }
    }

    /// The same way as if the volume had been read along other axes from the beginning: those that `turn` makes of the
    /// present ones.
    pub(super) fn turn(&mut self, turn: &AxisMap, volume: &Geometry) {
        self.map = self.map.then(turn);
        self.grid = self.map.grid(volume);
        for change in &mut self.changes {
            match change {
                GridChange::Cut { from, window } => {
                    *window = window.turned(*from, turn);
                    *from = turn.apply(*from);
                }
                GridChange::Resampled(from) => *from = turn.apply(*from),
                GridChange::Resized { from, to, .. } => (*from, *to) = (turn.apply(*from), turn.apply(*to)),
                // Spacings are found again from their grids, which turn too.
                GridChange::Spaced(_) | GridChange::Turned(_) => {}
            }
        }
    }

    /// The part of the volume that the network saw, along its axes.
    pub fn kept(&self) -> Box3 {
        match self.changes.first() {
            Some(GridChange::Cut { from, window }) => Box3 {
                start: [0, 1, 2].map(|axis| window.start[axis].clamp(0, from[axis] as i64) as usize),
                end: [0, 1, 2].map(|axis| window.end[axis].clamp(0, from[axis] as i64) as usize),
            },
            _ => Box3::whole(self.grid.shape),
        }
    }
}
