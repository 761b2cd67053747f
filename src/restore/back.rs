//! From the network's grid back to the volume's, one step after the other: for labels that were decided there, and
//! what goes with them.

use ndarray::Array3;

use crate::buffer;
use crate::error::Result;
use crate::preprocess::monai::resize;
use crate::preprocess::{GridChange, Trace};
use crate::volume::AxisMap;

/// Brings values back, each to the nearest; what the network didn't see becomes `outside`. The result has the whole
/// volume's shape, along the network's axes.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn nearest<T: Copy + Default + Send + Sync>(
    values: Array3<T>,
    trace: &Trace,
    outside: T,
    threads: usize,
) -> Result<Array3<T>> {
    trace.changes.iter().rev().try_fold(values, |values, change| match change {
        GridChange::Cut { from, window } => window.restore(values.view(), *from, outside, threads),
        GridChange::Spaced(Some(back)) => back.nearest.nearest(values.view(), outside, threads),
        GridChange::Resized { from, .. } => resize::resize_nearest(values.view(), *from, threads),
        GridChange::Turned(turn) => turned_back(values, turn),
        GridChange::Spaced(None) | GridChange::Resampled(_) => Ok(values),
    })
}

/// Brings numbers back by linear interpolation, as [`nearest`] otherwise.
///
/// # Errors
/// As [`nearest`].
pub fn linear(values: Array3<f32>, trace: &Trace, threads: usize) -> Result<Array3<f32>> {
    trace.changes.iter().rev().try_fold(values, |values, change| match change {
        GridChange::Cut { from, window } => window.restore(values.view(), *from, 0.0, threads),
        GridChange::Spaced(Some(back)) => back.linear.linear(values.view(), threads),
        GridChange::Resized { from, mode, .. } => resize::resize(values.view(), *from, *mode, threads),
        GridChange::Turned(turn) => turned_back(values, turn),
        GridChange::Spaced(None) | GridChange::Resampled(_) => Ok(values),
    })
}

fn turned_back<T: Copy>(values: Array3<T>, turn: &AxisMap) -> Result<Array3<T>> {
    buffer::copy("a label map", &turn.inverse().turned(values.view()))
}
