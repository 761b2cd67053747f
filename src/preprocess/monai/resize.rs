//! MONAI's `Resize` without anti-aliasing, which is PyTorch's `interpolate`.

use ndarray::{Array3, ArrayView3};

use super::resample::{resample_linear, resample_nearest};
use super::sampling::AxisTaps;
use crate::error::Result;
use crate::preprocess::resample::torch;
use crate::recipe::{Resize, ResizeMode, Size};
use crate::{buffer, parallel};

/// What its memory is for, in errors.
const IMAGE: &str = "a resized image";

impl Resize {
    /// The shape that an image gets.
    pub fn shape(&self, image: [usize; 3]) -> [usize; 3] {
        match self.size {
            Size::All(shape) => {
                [0, 1, 2].map(|axis| if shape[axis] == 0 { image[axis] } else { shape[axis] })
            }
            Size::Longest(length) => {
                let scale = length as f64 / image.into_iter().max().unwrap_or(1) as f64;
                image.map(|side| (side as f64 * scale).round_ties_even() as usize)
            }
        }
    }
}

/// An image of another shape, in any mode.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn resize(
    image: ArrayView3<f32>,
    to: [usize; 3],
    mode: ResizeMode,
    threads: usize,
) -> Result<Array3<f32>> {
    match mode {
        ResizeMode::Area => area(image, to, threads),
        ResizeMode::Nearest => resize_nearest(image, to, threads),
        ResizeMode::Linear { align_corners: false } => resize_linear(image, to, threads),
        ResizeMode::Linear { align_corners: true } => {
            let from: [usize; 3] = image.dim().into();
            let [planes, rows, columns] = [0, 1, 2].map(|axis| aligned(from[axis], to[axis]));
            resample_linear(image, &[planes?, rows?, columns?], true, threads)
        }
    }
}

/// Along an axis the two inputs that each output lies between; `None` where it has more.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn taps(mode: ResizeMode, from: usize, to: usize) -> Result<Option<AxisTaps>> {
    let pairs: Vec<([usize; 2], [f64; 2])> = match mode {
        ResizeMode::Area => {
            let covered = |index: usize| covered(index, from, to);
            if (0..to).any(|index| covered(index).len() > 2) {
                return Ok(None);
            }
            let pair = |index: usize| {
                let covered = covered(index);
                let share = if covered.len() == 2 { 0.5 } else { 0.0 };
                ([covered.start, covered.end - 1], [1.0 - share, share])
            };
            buffer::collect(IMAGE, (0..to).map(pair))?
        }
        ResizeMode::Nearest => {
            buffer::collect(IMAGE, indices(from, to).map(|index| ([index; 2], [1.0, 0.0])))?
        }
        ResizeMode::Linear { align_corners: false } => {
            let wide = |(between, weights): ([usize; 2], [f32; 2])| (between, weights.map(f64::from));
            buffer::collect(IMAGE, torch::linear(from, to)?.into_iter().map(wide))?
        }
        ResizeMode::Linear { align_corners: true } => return aligned(from, to).map(Some),
    };
    Ok(Some(AxisTaps {
        between: buffer::collect(IMAGE, pairs.iter().map(|(between, _)| *between))?,
        weights: buffer::collect(IMAGE, pairs.iter().map(|(_, weights)| *weights))?,
    }))
}

/// The inputs of which an output is the mean.
fn covered(index: usize, from: usize, to: usize) -> std::ops::Range<usize> {
    index * from / to..((index + 1) * from).div_ceil(to)
}

/// Mode `area`: means of boxes.
fn area(image: ArrayView3<f32>, to: [usize; 3], threads: usize) -> Result<Array3<f32>> {
    let from: [usize; 3] = image.dim().into();
    let image = buffer::row_major(IMAGE, image)?;
    let mut out: Array3<f32> = buffer::zeros(IMAGE, to)?;
    parallel::for_each(threads, out.outer_iter_mut().enumerate(), |(z, mut plane)| {
        for ((y, x), value) in plane.indexed_iter_mut() {
            let [zs, ys, xs] = [(0, z), (1, y), (2, x)].map(|(axis, at)| covered(at, from[axis], to[axis]));
            let count = zs.len() * ys.len() * xs.len();
            let part = image.slice(ndarray::s![zs, ys, xs]);
            *value = part.iter().sum::<f32>() / count as f32;
        }
    });
    Ok(out)
}

/// Linear with the outermost centres together.
fn aligned(from: usize, to: usize) -> Result<AxisTaps> {
    let scale = if to > 1 { (from - 1) as f32 / (to - 1) as f32 } else { 0.0 };
    let place = |index: usize| {
        let at = scale * index as f32;
        let low = (at as usize).min(from - 1);
        (low, (at - low as f32).clamp(0.0, 1.0))
    };
    let between = |index: usize| [place(index).0, (place(index).0 + 1).min(from - 1)];
    let weights = |index: usize| [f64::from(1.0 - place(index).1), f64::from(place(index).1)];
    Ok(AxisTaps {
        between: buffer::collect(IMAGE, (0..to).map(between))?,
        weights: buffer::collect(IMAGE, (0..to).map(weights))?,
    })
}

/// Mode `trilinear`, with `align_corners` false or not given.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn resize_linear(image: ArrayView3<f32>, to: [usize; 3], threads: usize) -> Result<Array3<f32>> {
    torch::interpolate(image, to, None, threads)
}

/// Mode `nearest`, which takes the voxel below, not the closer one.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn resize_nearest<T: Copy + Default + Send + Sync>(
    labels: ArrayView3<T>,
    to: [usize; 3],
    threads: usize,
) -> Result<Array3<T>> {
    let from: [usize; 3] = labels.dim().into();
    let nearest =
        [0, 1, 2].map(|axis| buffer::collect("a label map", indices(from[axis], to[axis]).map(Some)));
    let [planes, rows, columns] = nearest;
    resample_nearest(labels, &[planes?, rows?, columns?], T::default(), threads)
}

/// The input of each output along an axis; the scale has single precision in PyTorch.
fn indices(from: usize, to: usize) -> impl Iterator<Item = usize> {
    let scale = from as f32 / to as f32;
    (0..to).map(move |index| ((index as f32 * scale) as usize).min(from - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_equal_pytorch() {
        // torch.nn.functional.interpolate(torch.tensor([[[0., 1., 4., 9.]]]), size, mode="nearest" and "linear")
        let image = Array3::from_shape_vec((1, 1, 4), vec![0.0, 1.0, 4.0, 9.0]).unwrap();
        let nearest =
            |size| resize_nearest(image.view(), [1, 1, size], 1).unwrap().into_raw_vec_and_offset().0;
        assert_eq!(nearest(3), [0.0, 1.0, 4.0]);
        assert_eq!(nearest(6), [0.0, 0.0, 1.0, 4.0, 4.0, 9.0]);
        let linear = resize_linear(image.view(), [1, 1, 2], 1).unwrap().into_raw_vec_and_offset().0;
        assert_eq!(linear, [0.5, 6.5]);
    }

    #[test]
    fn areas_and_corners_equal_pytorch() {
        // torch.nn.functional.interpolate of [0, 1, 4, 9], size, mode="area"; "trilinear" with align_corners
        let image = Array3::from_shape_vec((1, 1, 4), vec![0.0, 1.0, 4.0, 9.0]).unwrap();
        let resized = |mode, size| {
            let taps = taps(mode, 4, size).unwrap();
            let found = resize(image.view(), [1, 1, size], mode, 2).unwrap().into_raw_vec_and_offset().0;
            if let Some(taps) = taps {
                let line = [0.0_f32, 1.0, 4.0, 9.0];
                let mixed = |([a, b], [first, second]): (&[usize; 2], &[f64; 2])| {
                    line[*a] * *first as f32 + line[*b] * *second as f32
                };
                let mixed: Vec<f32> =
                    taps.between.iter().zip(&taps.weights).map(|(b, w)| mixed((b, w))).collect();
                assert!(mixed.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-6), "{mixed:?} {found:?}");
            }
            found
        };
        assert_eq!(resized(ResizeMode::Area, 3), [0.5, 2.5, 6.5]);
        assert_eq!(resized(ResizeMode::Area, 1), [3.5]);
        assert_eq!(resized(ResizeMode::Area, 6), [0.0, 0.5, 1.0, 4.0, 6.5, 9.0]);
        let corners = ResizeMode::Linear { align_corners: true };
        assert_eq!(resized(corners, 7), [0.0, 0.5, 1.0, 2.5, 4.0, 6.5, 9.0]);
        assert_eq!(resized(ResizeMode::Linear { align_corners: false }, 2), [0.5, 6.5]);
        assert_eq!(resized(ResizeMode::Nearest, 3), [0.0, 1.0, 4.0]);
        assert!(taps(ResizeMode::Area, 4, 1).unwrap().is_none());
    }

    #[test]
    fn shapes_follow_the_longest_side() {
        let shape = |size| Resize { size, mode: ResizeMode::Area }.shape([20, 33, 64]);
        assert_eq!(shape(Size::Longest(32)), [10, 16, 32]);
        assert_eq!(shape(Size::All([8, 0, 16])), [8, 33, 16]);
    }
}
