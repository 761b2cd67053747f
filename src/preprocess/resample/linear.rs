//! Linear interpolation with coordinates clamped to the outermost voxel centres.

use super::pass::{HALO, Taps};
use super::{IMAGE, coordinate};
use crate::buffer;
use crate::error::Result;

/// The two weights of each output sample.
pub(super) fn taps(from: usize, to: usize) -> Result<Taps<2>> {
    let tap = |index| {
        let at = coordinate(from, to, index).clamp(0.0, (from - 1) as f64);
        let fraction = at - at.floor();
        (at as usize + HALO, [1.0 - fraction, fraction])
    };
    buffer::collect(IMAGE, (0..to).map(tap))
}
