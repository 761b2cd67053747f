//! Where maps go as their values come.

use ndarray::{Array3, s};

use super::region::Group;
use crate::buffer;
use crate::error::Result;
use crate::preprocess::Trace;
use crate::recipe::{Recipe, RestoreMode};
use crate::restore::{MapBuffer, Part, back};
use crate::volume::Box3;

/// What their memory is for, in errors.
const MAP: &str = "a map on the network's grid";

/// Where maps go as their values come: into the caller's buffers, or, while the network's grid is another, first
/// into an array on it.
pub(super) struct RunMaps<'a, 'b> {
    buffers: &'a mut [MapBuffer<'b>],
    trace: &'a Trace,
    /// On the network's grid, one for each buffer; empty when values go straight to the buffers.
    arrays: Vec<Array3<f32>>,
    /// What the values are of: the part of the volume's voxels along the network's axes, or of the network's grid.
    part: Box3,
    /// The voxels that are wanted.
    boxes: &'a [Box3],
}

impl<'a, 'b> RunMaps<'a, 'b> {
    pub(super) fn new(
        recipe: &Recipe,
        trace: &'a Trace,
        shape: [usize; 3],
        part: &Part,
        group: &'a Group,
        buffers: &'a mut [MapBuffer<'b>],
    ) -> Result<Self> {
        let (arrays, part) = match recipe.restore {
            RestoreMode::Scores | RestoreMode::Probabilities => {
                (Vec::new(), part.labels.within(trace.kept().start))
            }
            _ => {
                let array = |_| buffer::zeros(MAP, shape);
                ((0..buffers.len()).map(array).collect::<Result<_>>()?, part.labels)
            }
        };
        Ok(RunMaps { buffers, trace, arrays, part, boxes: &group.boxes })
    }

    pub(super) fn receive(&mut self, map: usize, plane: usize, values: &[f32]) {
        let [_, rows, columns] = self.part.shape();
        let first = self.part.start[0] + plane;
        let end = first + values.len() / (rows * columns).max(1);
        let [_, y, x] = self.part.start;
        let [_, to_y, to_x] = self.part.end;
        match self.arrays.get_mut(map) {
            Some(array) => {
                let place = array.slice_mut(s![first..end, y..to_y, x..to_x]);
                place.into_iter().zip(values).for_each(|(place, &value)| *place = value);
            }
            None => {
                let there = Box3 { start: [first, y, x], end: [end, to_y, to_x] };
                self.buffers[map].write(values, &self.trace.map, &there, self.boxes);
            }
        }
    }

    /// Brings what waits on the network's grid to the buffers.
    pub(super) fn finish(self, threads: usize) -> Result<()> {
        for (array, buffer) in self.arrays.into_iter().zip(self.buffers) {
            let outside = buffer.map().outside();
            let array = back::nearest(array, self.trace, outside, threads)?;
            let there = Box3::whole(array.dim().into());
            buffer.write(array.as_slice().unwrap_or_default(), &self.trace.map, &there, self.boxes);
        }
        Ok(())
    }
}
