//! One axis of a separable resampling, for a block of neighbouring lines at a time.

use ndarray::{ArrayView2, ArrayViewMut2};

use super::{IMAGE, linear, nearest, spline};
use crate::error::Result;
use crate::{buffer, platform::Plain};

/// How many lines are worked on together: wide enough to fill vector registers, small enough that a block of
/// lines stays in the first-level cache.
pub(super) const LANES: usize = 16;

/// How many samples a line is extended by on both sides: the reach of a cubic spline beyond the last voxel.
pub(super) const HALO: usize = 2;

/// One sample of each line of a block.
pub(super) type Row = [f64; LANES];

/// A voxel type that arithmetic in `f64` starts from or ends in.
pub(super) trait Sample: Plain + Send + Sync {
    /// Widens exactly.
    fn widen(self) -> f64;
    /// Rounds to nearest, ties to even.
    fn narrow(value: f64) -> Self;
}

impl Sample for f32 {
    fn widen(self) -> f64 {
        self.into()
    }
    fn narrow(value: f64) -> Self {
        value as f32
    }
}

impl Sample for f64 {
    fn widen(self) -> f64 {
        self
    }
    fn narrow(value: f64) -> Self {
        value
    }
}

/// An inclusive range that results are clipped to. NaN passes through, as it does through NumPy's `clip`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub low: f64,
    pub high: f64,
}

impl Range {
    /// The range that changes nothing.
    pub const ALL: Range = Range { low: f64::NEG_INFINITY, high: f64::INFINITY };

    /// The range of all values, without NaN.
    pub fn of<S: Sample>(values: &[S]) -> Range {
        // Independent lanes, so that the loop isn't one long chain of dependent comparisons.
        let mut low = [f64::INFINITY; LANES];
        let mut high = [f64::NEG_INFINITY; LANES];
        for chunk in values.chunks(LANES) {
            for ((low, high), value) in low.iter_mut().zip(&mut high).zip(chunk) {
                let value = value.widen();
                *low = if value < *low { value } else { *low };
                *high = if value > *high { value } else { *high };
            }
        }
        Range {
            low: low.into_iter().fold(f64::INFINITY, f64::min),
            high: high.into_iter().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// The smallest range that includes both.
    pub fn union(self, other: Range) -> Range {
        Range { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    fn clip(self, value: f64) -> f64 {
        let value = if value < self.low { self.low } else { value };
        if value > self.high { self.high } else { value }
    }
}

/// For each output sample, the first input sample (of the extended line) and the weights from there on.
pub(super) type Taps<const N: usize> = Vec<(usize, [f64; N])>;

enum Kernel {
    Identity,
    Nearest(Taps<1>),
    Linear(Taps<2>),
    Cubic(Taps<4>),
}

/// Memory that passes reuse.
#[derive(Default)]
pub(super) struct Scratch {
    line: Vec<Row>,
    result: Vec<Row>,
}

/// The resampling of one axis from `from` to `to` samples.
pub(super) struct Pass {
    pub from: usize,
    pub to: usize,
    kernel: Kernel,
}

impl Pass {
    /// A pass of spline order 0, 1 or 3.
    pub fn new(from: usize, to: usize, order: u8) -> Result<Pass> {
        let kernel = match order {
            _ if from == to => Kernel::Identity,
            0 => {
                let taps = nearest::indices(from, to)?.into_iter().map(|i| (i + HALO, [1.0]));
                Kernel::Nearest(buffer::collect(IMAGE, taps)?)
            }
            1 => Kernel::Linear(linear::taps(from, to)?),
            _ => Kernel::Cubic(spline::taps(from, to)?),
        };
        Ok(Pass { from, to, kernel })
    }

    /// A pass of cubic splines to samples at these coordinates.
    pub fn through(from: usize, positions: impl Iterator<Item = f64>) -> Result<Pass> {
        let taps = spline::taps_at(positions)?;
        Ok(Pass { from, to: taps.len(), kernel: Kernel::Cubic(taps) })
    }

    /// Whether the axis keeps its length, in which case every order returns the samples themselves.
    pub fn is_identity(&self) -> bool {
        matches!(self.kernel, Kernel::Identity)
    }

    /// Resamples each column of `source` [from, n] into the same column of `target` [to, n].
    pub fn run<S: Sample, D: Sample>(
        &self,
        source: ArrayView2<S>,
        mut target: ArrayViewMut2<D>,
        range: Range,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Scratch { line, result } = scratch;
        let width = source.ncols();
        if self.is_identity() {
            target.zip_mut_with(&source, |target, source| *target = D::narrow(range.clip(source.widen())));
            return Ok(());
        }
        let length = self.from + 2 * HALO;
        buffer::reserve(line, IMAGE, length.saturating_sub(line.len()))?;
        line.resize(length, [0.0; LANES]);
        buffer::reserve(result, IMAGE, self.to.saturating_sub(result.len()))?;
        for start in (0..width).step_by(LANES) {
            let lanes = LANES.min(width - start);
            load(&source, start, lanes, line);
            let mut store = Store { target: &mut target, result, start, lanes, range };
            match &self.kernel {
                Kernel::Identity => {}
                Kernel::Nearest(taps) => store.weigh(taps, line),
                Kernel::Linear(taps) => store.weigh(taps, line),
                Kernel::Cubic(taps) => {
                    spline::prefilter(line);
                    store.weigh(taps, line);
                }
            }
        }
        Ok(())
    }
}

/// Fills `line` with `lanes` columns of `source`, edge values repeated in the halo.
fn load<S: Sample>(source: &ArrayView2<S>, start: usize, lanes: usize, line: &mut [Row]) {
    let last = line.len() - 1;
    let inner = &mut line[HALO..=last - HALO];
    if source.row(0).to_slice().is_some() {
        for (row, source) in inner.iter_mut().zip(source.rows()) {
            let source = source.to_slice().map_or(&[][..], |source| &source[start..start + lanes]);
            match <&[S; LANES]>::try_from(source) {
                Ok(source) => *row = source.map(S::widen),
                Err(_) => row.iter_mut().zip(source).for_each(|(value, source)| *value = source.widen()),
            }
        }
    } else {
        for lane in 0..lanes {
            for (row, source) in inner.iter_mut().zip(source.column(start + lane)) {
                row[lane] = source.widen();
            }
        }
    }
    let (first, end) = (line[HALO], line[last - HALO]);
    line[..HALO].fill(first);
    line[last - HALO + 1..].fill(end);
}

/// Where the results of one block of columns go.
struct Store<'a, 'b, D> {
    target: &'a mut ArrayViewMut2<'b, D>,
    result: &'a mut Vec<Row>,
    start: usize,
    lanes: usize,
    range: Range,
}

impl<D: Sample> Store<'_, '_, D> {
    fn weigh<const N: usize>(&mut self, taps: &[(usize, [f64; N])], line: &[Row]) {
        let rows = taps.iter().map(|(first, weights)| {
            let samples: &[Row; N] = line[*first..].first_chunk().unwrap_or(&[[0.0; LANES]; N]);
            let mut sum = [0.0; LANES];
            for lane in 0..LANES {
                let mut value = samples[0][lane] * weights[0];
                for tap in 1..N {
                    value += samples[tap][lane] * weights[tap];
                }
                sum[lane] = self.range.clip(value);
            }
            sum
        });
        let columns = self.start..self.start + self.lanes;
        if self.target.row(0).to_slice().is_some() {
            for (row, mut target) in rows.zip(self.target.rows_mut()) {
                let target = target.as_slice_mut().map_or(&mut [][..], |target| &mut target[columns.clone()]);
                match <&mut [D; LANES]>::try_from(&mut *target) {
                    Ok(target) => *target = row.map(D::narrow),
                    Err(_) => {
                        target.iter_mut().zip(row).for_each(|(target, value)| *target = D::narrow(value))
                    }
                }
            }
        } else {
            self.result.clear();
            self.result.extend(rows);
            for (lane, column) in columns.enumerate() {
                for (target, row) in self.target.column_mut(column).iter_mut().zip(&*self.result) {
                    *target = D::narrow(row[lane]);
                }
            }
        }
    }
}
