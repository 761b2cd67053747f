//! Resampling as PyTorch's `affine_grid` and `grid_sample` do it behind MONAI's `AffineTransform`, with their
//! rounding: it decides which of two equally near voxels is the nearest.

use std::ops::{Add, Div, Mul, Sub};

use ndarray::{Array3, ArrayView3};

use super::resample::{resample_linear, resample_nearest};
use crate::error::Result;
use crate::recipe::PaddingMode;
use crate::{buffer, parallel};

/// A distance in voxels that axes at right angles may seem to be skewed by, from rounding; no intensity feels it.
const NEGLIGIBLE: f64 = 1e-9;

/// PyTorch multiplies a grid's coordinates by twelve numbers each; from so many products on it leaves that to MKL,
/// which fuses multiplications and additions.
const FUSED_FROM: usize = 400;

/// What its memory is for, in errors.
const LINE: &str = "where voxels lie along an axis";

/// For each output along an axis, the two inputs that it lies between.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisTaps {
    /// The inputs; both the same at the image's border.
    pub between: Vec<[usize; 2]>,
    /// Their weights, with the value of an `f32` where resampling is in single precision; zero for an input
    /// outside of an image that zeros surround.
    pub weights: Vec<[f64; 2]>,
}

/// Where the voxels of a new grid lie in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    from: [usize; 3],
    to: [usize; 3],
    /// Normalised input coordinates from normalised output coordinates, each row with its shift.
    theta: [[f64; 4]; 3],
    align_corners: bool,
    outside: PaddingMode,
    single: bool,
}

/// The precision that coordinates are computed in.
pub(super) trait Real:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Send
    + Sync
{
    fn of(value: f64) -> Self;
    fn wide(self) -> f64;
    fn fused(self, factor: Self, term: Self) -> Self;
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }
    fn wide(self) -> f64 {
        self.into()
    }
    fn fused(self, factor: Self, term: Self) -> Self {
        self.mul_add(factor, term)
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }
    fn wide(self) -> f64 {
        self
    }
    fn fused(self, factor: Self, term: Self) -> Self {
        self.mul_add(factor, term)
    }
}

impl Sampling {
    /// A grid of shape `to` whose voxel o lies at index `scale · o + shift` of an image of shape `from`, both
    /// with at least one voxel.
    pub fn new(
        from: [usize; 3],
        to: [usize; 3],
        scale: &[[f64; 3]; 3],
        shift: &[f64; 3],
        align_corners: bool,
        outside: PaddingMode,
        single: bool,
    ) -> Self {
        let theta = if single { normalised::<f32> } else { normalised::<f64> };
        let theta = theta(from, to, scale, shift, align_corners);
        Sampling { from, to, theta, align_corners, outside, single }
    }

    /// The image's shape.
    pub fn from(&self) -> [usize; 3] {
        self.from
    }

    /// The new grid's shape.
    pub fn to(&self) -> [usize; 3] {
        self.to
    }

    /// The largest distance in voxels, of all outputs, that [`Sampling::taps`] leave out since an input index
    /// along one axis depends on more than one output index. It is zero for axes at right angles.
    pub fn skew(&self) -> f64 {
        let reach = |row: usize| {
            let others = (0..3).filter(|&axis| axis != row).map(|axis| self.theta[row][axis].abs());
            others.sum::<f64>() * self.from[row] as f64 / 2.0
        };
        (0..3).map(reach).fold(0.0, f64::max)
    }

    /// Linear interpolation, one axis after the other.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn taps(&self) -> Result<[AxisTaps; 3]> {
        let axis = |axis| if self.single { self.axis_taps::<f32>(axis) } else { self.axis_taps::<f64>(axis) };
        Ok([axis(0)?, axis(1)?, axis(2)?])
    }

    /// The nearest input of each output along each axis, halves to even; `None` outside of an image that zeros
    /// surround. As [`Sampling::taps`], it leaves out the [`Sampling::skew`].
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn nearest_taps(&self) -> Result<[Vec<Option<usize>>; 3]> {
        let axis =
            |axis| if self.single { self.axis_nearest::<f32>(axis) } else { self.axis_nearest::<f64>(axis) };
        Ok([axis(0)?, axis(1)?, axis(2)?])
    }

    /// Resamples an image by linear interpolation, on up to `threads` threads; the result doesn't depend on
    /// their number.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn linear(&self, image: ArrayView3<f32>, threads: usize) -> Result<Array3<f32>> {
        match (self.skew() > NEGLIGIBLE, self.single) {
            (false, _) => resample_linear(image, &self.taps()?, self.single, threads),
            (true, true) => self.skewed_linear::<f32>(image, threads),
            (true, false) => self.skewed_linear::<f64>(image, threads),
        }
    }

    /// Resamples labels to the nearest. Voxels outside become `outside` where zeros surround the image.
    ///
    /// However little axes are skewed, it may decide where an output lies half-way between two inputs.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn nearest<T: Copy + Send + Sync>(
        &self,
        labels: ArrayView3<T>,
        outside: T,
        threads: usize,
    ) -> Result<Array3<T>> {
        match (self.skew() > 0.0, self.single) {
            (false, _) => resample_nearest(labels, &self.nearest_taps()?, outside, threads),
            (true, true) => self.skewed_nearest::<T, f32>(labels, outside, threads),
            (true, false) => self.skewed_nearest::<T, f64>(labels, outside, threads),
        }
    }

    fn axis_taps<R: Real>(&self, axis: usize) -> Result<AxisTaps> {
        let line = self.line::<R>(axis)?;
        let taps = || line.iter().map(|&at| self.tap(axis, at));
        Ok(AxisTaps {
            between: buffer::collect(LINE, taps().map(|(between, _)| between))?,
            weights: buffer::collect(LINE, taps().map(|(_, weights)| weights.map(Real::wide)))?,
        })
    }

    /// The two inputs around a coordinate, and their weights.
    #[inline]
    fn tap<R: Real>(&self, axis: usize, at: R) -> ([usize; 2], [R; 2]) {
        let last = self.from[axis] as f64 - 1.0;
        let at = if self.outside == PaddingMode::Border { at.wide().clamp(0.0, last) } else { at.wide() };
        // Without `floor`, which is a call where the processor isn't known to have it.
        let whole = at as i64 as f64;
        let low = if whole > at { whole - 1.0 } else { whole };
        let weight = |near: f64, value: f64| R::of(if (0.0..=last).contains(&near) { value } else { 0.0 });
        let between = [low, low + 1.0].map(|near| near.clamp(0.0, last) as usize);
        (between, [weight(low, low + 1.0 - at), weight(low + 1.0, at - low)])
    }

    fn axis_nearest<R: Real>(&self, axis: usize) -> Result<Vec<Option<usize>>> {
        let line = self.line::<R>(axis)?;
        buffer::collect(LINE, line.into_iter().map(|at| self.nearest_index(axis, at)))
    }

    #[inline]
    fn nearest_index<R: Real>(&self, axis: usize, at: R) -> Option<usize> {
        let last = self.from[axis] as f64 - 1.0;
        let at = if self.outside == PaddingMode::Border { at.wide().clamp(0.0, last) } else { at.wide() };
        let index = at.round_ties_even();
        (0.0..=last).contains(&index).then_some(index as usize)
    }

    /// The coordinates along an axis, as they are where the other axes don't matter.
    fn line<R: Real>(&self, axis: usize) -> Result<Vec<R>> {
        let [theta, shift] = [self.theta[axis][axis], self.theta[axis][3]].map(R::of);
        let base = base::<R>(self.to[axis], self.align_corners)?;
        buffer::collect(LINE, base.into_iter().map(|base| self.index(axis, base * theta + shift)))
    }

    /// An input index from a normalised coordinate.
    #[inline]
    fn index<R: Real>(&self, axis: usize, normalised: R) -> R {
        let size = self.from[axis] as f64;
        let raised = normalised + R::of(1.0);
        if self.align_corners {
            raised / R::of(2.0) * R::of(size - 1.0)
        } else {
            (raised * R::of(size) - R::of(1.0)) / R::of(2.0)
        }
    }

    fn skewed_linear<R: Real>(&self, image: ArrayView3<f32>, threads: usize) -> Result<Array3<f32>> {
        let image = buffer::row_major("an image", image)?;
        let values = image.as_slice().unwrap_or_default();
        let [_, rows, columns] = self.from;
        self.each_skewed(0.0, threads, |at: [R; 3], out| {
            let [(z, front), (y, down), (x, across)] = [0, 1, 2].map(|axis| self.tap(axis, at[axis]));
            let mut sum = R::of(0.0);
            for (plane, row) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let line = (z[plane] * rows + y[row]) * columns;
                for side in 0..2 {
                    let value = R::of(values[line + x[side]].into());
                    sum = sum + value * (across[side] * down[row] * front[plane]);
                }
            }
            *out = sum.wide() as f32;
        })
    }

    fn skewed_nearest<T: Copy + Send + Sync, R: Real>(
        &self,
        labels: ArrayView3<T>,
        outside: T,
        threads: usize,
    ) -> Result<Array3<T>> {
        self.each_skewed(outside, threads, |at: [R; 3], out| {
            let near = |axis: usize| self.nearest_index(axis, at[axis]);
            if let (Some(z), Some(y), Some(x)) = (near(0), near(1), near(2)) {
                *out = labels[(z, y, x)];
            }
        })
    }

    /// Calls with the coordinate of each output, and the output.
    fn each_skewed<T: Copy + Send + Sync, R: Real>(
        &self,
        initial: T,
        threads: usize,
        set: impl Fn([R; 3], &mut T) + Sync,
    ) -> Result<Array3<T>> {
        let base = |axis: usize| base::<R>(self.to[axis], self.align_corners);
        let (planes, rows, columns) = (base(0)?, base(1)?, base(2)?);
        let theta = self.theta.map(|row| row.map(R::of));
        let fused = self.to.iter().product::<usize>() * 12 >= FUSED_FROM;
        let mut out = buffer::array("a resampled image", self.to, initial)?;
        parallel::for_each(threads, out.outer_iter_mut().zip(&planes), |(mut plane, &z)| {
            for (mut row, &y) in plane.outer_iter_mut().zip(&rows) {
                for (out, &x) in row.iter_mut().zip(&columns) {
                    // The last axis first, as PyTorch orders its coordinates.
                    let along = |theta: &[R; 4]| {
                        if fused {
                            z.fused(theta[0], y.fused(theta[1], x * theta[2])) + theta[3]
                        } else {
                            x * theta[2] + y * theta[1] + z * theta[0] + theta[3]
                        }
                    };
                    set([0, 1, 2].map(|axis| self.index(axis, along(&theta[axis]))), out);
                }
            }
        });
        Ok(out)
    }
}

/// `to_norm_affine`: an affine of indices as one of coordinates from −1 to 1.
fn normalised<R: Real>(
    from: [usize; 3],
    to: [usize; 3],
    scale: &[[f64; 3]; 3],
    shift: &[f64; 3],
    align_corners: bool,
) -> [[f64; 4]; 3] {
    // Factor and shift of normalising indices of an axis, rounded once from double precision.
    let ends = |length: usize| {
        let length = length as f64;
        match align_corners {
            true if length <= 1.0 => [2.0, -1.0],
            true => [2.0 / (length - 1.0), -1.0],
            false => [2.0 / length, 1.0 / length - 1.0],
        }
        .map(R::of)
    };
    let back = to.map(|length| {
        let [factor, shift] = ends(length);
        let reciprocal = R::of(1.0) / factor;
        // What LAPACK's two precisions make of the inverse.
        let shift = R::of(0.0) - shift;
        [reciprocal, if size_of::<R>() == 4 { shift / factor } else { shift * reciprocal }]
    });
    std::array::from_fn(|row| {
        let [factor, offset] = ends(from[row]);
        let scaled = scale[row].map(|scale| factor * R::of(scale));
        let moved = factor * R::of(shift[row]) + offset;
        let mut theta = [0.0; 4];
        let mut sum = R::of(0.0);
        for axis in 0..3 {
            theta[axis] = (scaled[axis] * back[axis][0]).wide();
            sum = sum + scaled[axis] * back[axis][1];
        }
        theta[3] = (sum + moved).wide();
        theta
    })
}

/// `affine_grid`'s coordinates of an axis's voxels, from −1 to 1.
fn base<R: Real>(length: usize, align_corners: bool) -> Result<Vec<R>> {
    let number = |index: usize| R::of(index as f64);
    if length <= 1 {
        return buffer::filled(LINE, length, R::of(0.0));
    }
    let step = R::of(2.0) / number(length - 1);
    let place = |index: usize| match index < length / 2 {
        true => step.fused(number(index), R::of(-1.0)),
        false => (R::of(0.0) - step).fused(number(length - 1 - index), R::of(1.0)),
    };
    let inside = |value: R| if align_corners { value } else { value * number(length - 1) / number(length) };
    buffer::collect(LINE, (0..length).map(|index| inside(place(index))))
}

#[cfg(test)]
mod tests {
    use ndarray::Axis;

    use super::*;

    fn doubled(outside: PaddingMode) -> Sampling {
        let scale = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.5]];
        Sampling::new([2, 1, 3], [2, 1, 8], &scale, &[0.0, 0.0, -0.5], false, outside, false)
    }

    #[test]
    fn taps_end_at_the_border_or_fade() {
        let near = |a: &[[f64; 2]], b: &[[f64; 2]]| {
            a.as_flattened().iter().zip(b.as_flattened()).all(|(a, b)| (a - b).abs() < 1e-12)
        };
        let [_, _, border] = doubled(PaddingMode::Border).taps().unwrap();
        assert_eq!(border.between[0], [0, 1]);
        assert_eq!(border.between[7], [2, 2]);
        assert!(near(&border.weights[..3], &[[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]]));
        let [_, _, zeros] = doubled(PaddingMode::Zeros).taps().unwrap();
        assert!(near(
            &[zeros.weights[0], zeros.weights[6], zeros.weights[7]],
            &[[0.0, 0.5], [0.5, 0.0], [0.0, 0.0]]
        ));
    }

    #[test]
    fn outside_is_told_apart() {
        let labels = Array3::from_shape_fn((2, 1, 3), |(z, _, x)| 1 + z * 3 + x);
        let found = doubled(PaddingMode::Zeros).nearest(labels.view(), 9, 2).unwrap();
        assert_eq!(found.into_raw_vec_and_offset().0, [1, 1, 1, 2, 3, 3, 3, 9, 4, 4, 4, 5, 6, 6, 6, 9]);
        let found = doubled(PaddingMode::Border).nearest(labels.view(), 9, 2).unwrap();
        assert_eq!(found.into_raw_vec_and_offset().0[7], 3);
    }

    #[test]
    fn skew_moves_the_nearest() {
        let scale = [[1.0, 0.0, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        for single in [false, true] {
            let sampling = Sampling::new(
                [5, 1, 5],
                [5, 1, 5],
                &scale,
                &[0.1, 0.0, 0.0],
                true,
                PaddingMode::Border,
                single,
            );
            let labels = Array3::from_shape_fn((5, 1, 5), |(z, _, x)| 10 * z + x);
            let expected = Array3::from_shape_fn((5, 1, 5), |(z, _, x)| {
                10 * ((z as f64 + 0.1 + 0.5 * x as f64).round() as usize).min(4) + x
            });
            assert_eq!(sampling.nearest(labels.view(), 0, 2).unwrap(), expected);
            assert!(sampling.skew() >= 1.0);
        }
    }

    #[test]
    fn threads_do_not_matter() {
        let image = Array3::from_shape_fn((2, 1, 3), |(z, _, x)| (z * 3 + x) as f32 * 0.37);
        let sampling = doubled(PaddingMode::Border);
        let linear = |image, threads| sampling.linear(image, threads).unwrap();
        assert_eq!(linear(image.view(), 1), linear(image.view(), 3));
        let mut flipped = image.view();
        flipped.invert_axis(Axis(2));
        assert_eq!(linear(flipped, 1), linear(flipped.to_owned().view(), 1));
    }
}
