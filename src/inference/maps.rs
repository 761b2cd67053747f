//! Where maps go as their values come.

use ndarray::Array3;

use crate::buffer;
use crate::error::Result;
use crate::preprocess::Trace;
use crate::recipe::{Recipe, RestoreMode};
use crate::restore::{MapBuffer, back};

/// What their memory is for, in errors.
const MAP: &str = "a map on the network's grid";

/// Where maps go as their values come: into the caller's buffers, or, while the network's grid is another, first
/// into an array on it.
pub(super) struct MapsHere<'a, 'b> {
    buffers: &'a mut [MapBuffer<'b>],
    trace: &'a Trace,
    /// On the network's grid, one for each buffer; empty when values go straight to the buffers.
    arrays: Vec<Array3<f32>>,
}

impl<'a, 'b> MapsHere<'a, 'b> {
    pub(super) fn new(
        recipe: &Recipe,
        trace: &'a Trace,
        shape: [usize; 3],
        buffers: &'a mut [MapBuffer<'b>],
    ) -> Result<Self> {
        let arrays = match recipe.restore {
            RestoreMode::Scores | RestoreMode::Probabilities => Vec::new(),
            _ => buffers.iter().map(|_| buffer::zeros(MAP, shape)).collect::<Result<_>>()?,
        };
        Ok(MapsHere { buffers, trace, arrays })
    }

    pub(super) fn receive(&mut self, map: usize, plane: usize, values: &[f32]) {
        match self.arrays.get_mut(map) {
            Some(array) => {
                let (_, rows, columns) = array.dim();
                let at = plane * rows * columns;
                array.as_slice_mut().unwrap_or_default()[at..at + values.len()].copy_from_slice(values);
            }
            None => {
                let (kept, map_of) = (self.trace.kept(), &self.trace.map);
                let [_, rows, columns] = kept.shape();
                let start = [kept.start[0] + plane, kept.start[1], kept.start[2]];
                let shape = [values.len() / (rows * columns).max(1), rows, columns];
                self.buffers[map].write(values, map_of, start, shape);
            }
        }
    }

    /// Brings what waits on the network's grid to the buffers.
    pub(super) fn finish(self, threads: usize) -> Result<()> {
        for (array, buffer) in self.arrays.into_iter().zip(self.buffers) {
            let outside = buffer.map().outside();
            let array = back::nearest(array, self.trace, outside, threads)?;
            let shape = array.dim().into();
            buffer.write(array.as_slice().unwrap_or_default(), &self.trace.map, [0; 3], shape);
        }
        Ok(())
    }
}
