//! Resampling of images between voxel grids that cover the same extent.
//!
//! The results are those of nnU-Net v2's default function, which is built on scikit-image's `resize` and
//! SciPy's spline interpolation. Those evaluate each output voxel from its 4×4×4 neighbours; the same tensor
//! product is computed here one axis after the other, in `f64`, with differences of about 1e-13 before the
//! final rounding.

pub(crate) mod corners;
mod labels;
mod linear;
mod nearest;
mod pass;
mod smooth;
mod spline;
#[cfg(test)]
mod tests;
pub(crate) mod torch;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, ArrayViewMut2, Axis};

pub use labels::resample_labels;
pub use nearest::resample_nearest;
use pass::{LANES, Pass, Range, Sample, Scratch};
pub(crate) use smooth::smooth_labels;

use crate::recipe::{Orders, Resampler};
use crate::{Result, buffer, parallel};

/// How many planes or blocks of columns each thread gets, so that threads that start late don't delay the
/// end.
const SHARES: usize = 8;

/// What its memory is for, in errors.
const IMAGE: &str = "a resampled image";

/// Resamples an image as a recipe says; [`Resampler::None`] keeps it.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn resample_with(
    resampler: &Resampler,
    image: ArrayView3<f32>,
    new_shape: [usize; 3],
    separate: Option<usize>,
    threads: usize,
) -> Result<Array3<f32>> {
    match resampler {
        Resampler::Spline(spline) => resample(image, new_shape, spline.orders, separate, threads),
        Resampler::Torch { .. } => torch::interpolate(image, new_shape, separate, threads),
        Resampler::None => buffer::copy(IMAGE, &image),
    }
}

/// Resamples `image` to `new_shape`, on up to `threads` threads; the result doesn't depend on their number.
///
/// Without a separate axis, results are clipped to the range of the image. With one, every slice across it is
/// resampled in its plane and clipped to its own range, then the axis is resampled with `orders.order_z`, not
/// clipped. `image` must have at least one voxel.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn resample(
    image: ArrayView3<f32>,
    new_shape: [usize; 3],
    orders: Orders,
    separate: Option<usize>,
    threads: usize,
) -> Result<Array3<f32>> {
    let nearest = orders.order == 0 && (separate.is_none() || orders.order_z == 0);
    match image.shape() == new_shape {
        _ if new_shape.contains(&0) => Ok(Array3::zeros(new_shape)),
        true => buffer::copy(IMAGE, &image),
        false if nearest => resample_nearest(image, new_shape),
        false => resample_as(image, new_shape, orders, separate, threads),
    }
}

/// The coordinate in a line of `from` samples of sample `index` of `to`, where both lines have the same
/// extent.
fn coordinate(from: usize, to: usize, index: usize) -> f64 {
    (index as f64 + 0.5) * (from as f64 / to as f64) - 0.5
}

fn resample_as<S: Sample, D: Sample>(
    image: ArrayView3<S>,
    new_shape: [usize; 3],
    orders: Orders,
    separate: Option<usize>,
    threads: usize,
) -> Result<Array3<D>> {
    if let Some(axis @ 1..) = separate {
        let (mut image, mut permuted) = (image, new_shape);
        image.swap_axes(0, axis);
        permuted.swap(0, axis);
        let mut result = resample_as(image, permuted, orders, Some(0), threads)?;
        result.swap_axes(0, axis);
        return if result.is_standard_layout() { Ok(result) } else { buffer::copy(IMAGE, &result) };
    }
    let image = buffer::row_major(IMAGE, image)?;
    let shape: [usize; 3] = image.dim().into();
    let volume = Volume { planes: InPlane::new(shape, new_shape, orders.order)?, threads };
    let [from, to] = [shape[0], new_shape[0]];
    if separate.is_some() {
        let every = buffer::collect(IMAGE, 0..from)?;
        if orders.order_z == 0 || from == to {
            return volume.slices(image.view(), &nearest::indices(from, to)?, Clip::Slice);
        }
        let slices: Array3<f64> = volume.slices(image.view(), &every, Clip::Slice)?;
        return volume.columns(slices.view(), &Pass::new(from, to, orders.order_z)?, Range::ALL);
    }
    let range = volume.range(image.view())?;
    let InPlane { down, across } = volume.planes;
    let along = Pass::new(from, to, orders.order)?;
    resample_by([along, down, across], image.view(), range, threads)
}

/// Resamples along all three axes; results are clipped to `range`.
fn resample_by<S: Sample, D: Sample>(
    [along, down, across]: [Pass; 3],
    image: ArrayView3<S>,
    range: Range,
    threads: usize,
) -> Result<Array3<D>> {
    let ([from, to], rows, columns) = ([along.from, along.to], down.from, across.to);
    let every = buffer::collect(IMAGE, 0..from)?;
    // The smaller of the two possible intermediate volumes takes less memory and less time.
    let slices_first = from * down.to * columns <= to * rows * across.from;
    let volume = Volume { planes: InPlane { down, across }, threads };
    if along.is_identity() {
        volume.slices(image, &every, Clip::Volume(range))
    } else if volume.planes.are_identity() {
        volume.columns(image, &along, range)
    } else if slices_first {
        let slices: Array3<f64> = volume.slices(image, &every, Clip::Volume(Range::ALL))?;
        volume.columns(slices.view(), &along, range)
    } else {
        let columns: Array3<f64> = volume.columns(image, &along, Range::ALL)?;
        let every = buffer::collect(IMAGE, 0..to)?;
        volume.slices(columns.view(), &every, Clip::Volume(range))
    }
}

/// What the results of a slice are clipped to.
#[derive(Clone, Copy)]
enum Clip {
    /// The range of the slice before resampling.
    Slice,
    /// One range for all.
    Volume(Range),
}

/// The two axes of a slice.
struct InPlane {
    down: Pass,
    across: Pass,
}

impl InPlane {
    fn new(from: [usize; 3], to: [usize; 3], order: u8) -> Result<InPlane> {
        Ok(InPlane { down: Pass::new(from[1], to[1], order)?, across: Pass::new(from[2], to[2], order)? })
    }

    fn are_identity(&self) -> bool {
        self.down.is_identity() && self.across.is_identity()
    }

    fn run<S: Sample, D: Sample>(
        &self,
        source: ArrayView2<S>,
        target: ArrayViewMut2<D>,
        range: Range,
        (between, scratch): &mut (Array2<f64>, Scratch),
    ) -> Result<()> {
        let InPlane { down, across } = self;
        if across.is_identity() {
            down.run(source, target, range, scratch)
        } else if down.is_identity() {
            across.run(source.reversed_axes(), target.reversed_axes(), range, scratch)
        } else if down.to <= down.from {
            down.run(source, between.view_mut(), Range::ALL, scratch)?;
            across.run(between.t(), target.reversed_axes(), range, scratch)
        } else {
            across.run(source.reversed_axes(), between.view_mut().reversed_axes(), Range::ALL, scratch)?;
            down.run(between.view(), target, range, scratch)
        }
    }

    /// Memory for [`InPlane::run`]. An axis that shrinks is resampled before the other one.
    fn scratch(&self) -> Result<(Array2<f64>, Scratch)> {
        let InPlane { down, across } = self;
        let between = match (self.are_identity(), down.to <= down.from) {
            (true, _) => (0, 0),
            (_, true) => (down.to, across.from),
            (_, false) => (down.from, across.to),
        };
        Ok((buffer::zeros(IMAGE, between)?, Scratch::default()))
    }
}

/// Passes over whole volumes.
struct Volume {
    planes: InPlane,
    threads: usize,
}

impl Volume {
    /// Output slice `i` is slice `sources[i]` of `image`, resampled in its plane. `sources` must be
    /// ascending.
    fn slices<S: Sample, D: Sample>(
        &self,
        image: ArrayView3<S>,
        sources: &[usize],
        clip: Clip,
    ) -> Result<Array3<D>> {
        let shape = [sources.len(), self.planes.down.to, self.planes.across.to];
        let mut result = buffer::zeros(IMAGE, shape)?;
        let share = sources.len().div_ceil(self.threads.max(1) * SHARES).max(1);
        let items = result.axis_chunks_iter_mut(Axis(0), share).zip(sources.chunks(share));
        parallel::try_for_each(self.threads, items, |(mut targets, sources)| {
            let mut scratch = self.planes.scratch()?;
            for (index, &source) in sources.iter().enumerate() {
                let (before, mut rest) = targets.view_mut().split_at(Axis(0), index);
                let mut target = rest.index_axis_mut(Axis(0), 0);
                if index > 0 && sources[index - 1] == source {
                    target.assign(&before.index_axis(Axis(0), index - 1));
                    continue;
                }
                let source = image.index_axis(Axis(0), source);
                let range = match clip {
                    Clip::Slice => Range::of(source.as_slice().unwrap_or_default()),
                    Clip::Volume(range) => range,
                };
                self.planes.run(source, target, range, &mut scratch)?;
            }
            Ok(())
        })?;
        Ok(result)
    }

    /// Resamples along the first axis.
    fn columns<S: Sample, D: Sample>(
        &self,
        image: ArrayView3<S>,
        pass: &Pass,
        range: Range,
    ) -> Result<Array3<D>> {
        let (_, rows, columns) = image.dim();
        let width = rows * columns;
        let mut result = buffer::zeros(IMAGE, (pass.to, width))?;
        let share = width.div_ceil(self.threads.max(1) * SHARES).next_multiple_of(LANES);
        let source = flat(image.into_shape_with_order((pass.from, width)));
        let items = source.axis_chunks_iter(Axis(1), share).zip(result.axis_chunks_iter_mut(Axis(1), share));
        parallel::try_for_each(self.threads, items, |(source, target)| {
            pass.run(source, target, range, &mut Scratch::default())
        })?;
        Ok(flat(result.into_shape_with_order((pass.to, rows, columns))))
    }

    fn range<S: Sample>(&self, image: ArrayView3<S>) -> Result<Range> {
        let mut ranges = buffer::filled(IMAGE, image.dim().0, Range::ALL)?;
        parallel::for_each(self.threads, ranges.iter_mut().zip(image.outer_iter()), |(range, slice)| {
            *range = Range::of(slice.as_slice().unwrap_or_default());
        });
        Ok(ranges.into_iter().reduce(Range::union).unwrap_or(Range::ALL))
    }
}

/// The result of changing the shape of an array in standard layout, which can't fail.
fn flat<T>(reshaped: std::result::Result<T, ndarray::ShapeError>) -> T {
    reshaped.unwrap_or_else(|_| unreachable!("contiguous arrays take any shape of the same size"))
}
