//! Cubic B-spline interpolation as SciPy's `zoom` and `map_coordinates` do it with mode `nearest`.

use super::pass::{HALO, LANES, Row, Taps};
use super::{IMAGE, coordinate};
use crate::buffer;
use crate::error::Result;

/// The pole of the cubic B-spline's inverse filter, √3 − 2.
const POLE: f64 = -0.267_949_192_431_122_7;

/// The inverse filter's gain, (1 − pole)·(1 − 1/pole).
const GAIN: f64 = 6.0;

/// Turns the samples of a line, extended by [`HALO`] edge values, into spline coefficients without [`GAIN`].
///
/// SciPy repeats the edge value 12 times and then mirrors. With the edge value repeated for ever, the
/// filter's states at both ends have closed forms, and the coefficients differ by less than 24 powers of the
/// pole (1e-13).
pub(super) fn prefilter(line: &mut [Row]) {
    let (Some(first), Some((last, body))) = (line.first().copied(), line.split_last_mut()) else { return };
    let mut state = first.map(|value| value / (1.0 - POLE));
    for row in body.iter_mut() {
        for lane in 0..LANES {
            state[lane] = row[lane] + POLE * state[lane];
        }
        *row = state;
    }
    for lane in 0..LANES {
        let causal = last[lane] + POLE * state[lane];
        let steady = last[lane] / (1.0 - POLE);
        state[lane] = -POLE * (steady / (1.0 - POLE) + (causal - steady) / (1.0 - POLE * POLE));
    }
    *last = state;
    for row in body.iter_mut().rev() {
        for lane in 0..LANES {
            state[lane] = POLE * (state[lane] - row[lane]);
        }
        *row = state;
    }
}

/// The four weights, [`GAIN`] included, of each output sample. Coordinates beyond the outermost voxel centres
/// are not clamped: there the spline of the extended line is evaluated.
pub(super) fn taps(from: usize, to: usize) -> Result<Taps<4>> {
    taps_at((0..to).map(|index| coordinate(from, to, index)))
}

/// As [`taps`], for output samples at these coordinates.
pub(super) fn taps_at(positions: impl Iterator<Item = f64>) -> Result<Taps<4>> {
    let tap = |at: f64| {
        let floor = at.floor();
        let (y, z) = (at - floor, 1.0 - (at - floor));
        let w0 = z * z * z / 6.0;
        let w1 = (y * y * (y - 2.0) * 3.0 + 4.0) / 6.0;
        let w2 = (z * z * (z - 2.0) * 3.0 + 4.0) / 6.0;
        let weights = [w0, w1, w2, 1.0 - w0 - w1 - w2].map(|weight| GAIN * weight);
        ((floor + HALO as f64) as usize - 1, weights)
    };
    buffer::collect(IMAGE, positions.map(tap))
}
