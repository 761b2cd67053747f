//! Boxes that may reach beyond the image, and what fills them there: MONAI's `Pad` after `Crop`, and the way
//! back.

use crate::recipe::{Frame, Padding, SpatialPad};
use ndarray::{Array3, ArrayView3, Axis, Zip, s};

use crate::error::Result;
use crate::volume::AxisMap;
use crate::{buffer, parallel};

/// A half-open box of voxels that may reach beyond the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first voxel inside.
    pub start: [i64; 3],
    /// One beyond the last voxel inside.
    pub end: [i64; 3],
}

impl SpatialPad {
    /// The box of an image with its padding.
    pub fn window(&self, image: [usize; 3]) -> Window {
        let missing = [0, 1, 2].map(|axis| self.shape[axis].saturating_sub(image[axis]) as i64);
        let below = missing.map(|missing| if self.end { 0 } else { missing / 2 });
        let end = [0, 1, 2].map(|axis| image[axis] as i64 + missing[axis] - below[axis]);
        Window { start: below.map(|below| -below), end }
    }
}

impl Frame {
    /// The box that becomes the image.
    pub fn window(&self, image: [usize; 3]) -> Window {
        match *self {
            Frame::AtLeast(pad) => pad.window(image),
            Frame::Divisible { k, end } => {
                let shape = [0, 1, 2].map(|axis| image[axis].next_multiple_of(k[axis].max(1)));
                SpatialPad { shape, end }.window(image)
            }
            Frame::Border { below, above } => Window {
                start: below.map(|below| -(below as i64)),
                end: [0, 1, 2].map(|axis| (image[axis] + above[axis]) as i64),
            },
            Frame::Center(shape) => {
                let size = |axis: usize| if shape[axis] == 0 { image[axis] } else { shape[axis] };
                let start = [0, 1, 2].map(|axis| (image[axis] / 2).saturating_sub(size(axis) / 2));
                let end = [0, 1, 2].map(|axis| (start[axis] + size(axis)).min(image[axis]) as i64);
                Window { start: start.map(|start| start as i64), end }
            }
            Frame::Part { start, end } => {
                let inside = |at: [usize; 3]| [0, 1, 2].map(|axis| at[axis].min(image[axis]) as i64);
                let start = inside(start);
                let end = inside(end);
                Window { start, end: [0, 1, 2].map(|axis| end[axis].max(start[axis])) }
            }
        }
    }
}

impl Window {
    /// The box of all voxels of an image.
    pub fn whole(shape: [usize; 3]) -> Self {
        Window { start: [0; 3], end: shape.map(|length| length as i64) }
    }

    /// Its extent in voxels.
    pub fn shape(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| (self.end[axis] - self.start[axis]).max(0) as usize)
    }

    /// The same box of an image of shape `from` with other axes.
    pub fn turned(&self, from: [usize; 3], turn: &AxisMap) -> Window {
        let ends = |axis: usize, flip: bool| match (from[axis] as i64, flip) {
            (_, false) => [self.start[axis], self.end[axis]],
            (length, true) => [length - self.end[axis], length - self.start[axis]],
        };
        let ends = [0, 1, 2].map(|n: usize| ends(turn.axis[n], turn.flip[n]));
        Window { start: ends.map(|[start, _]| start), end: ends.map(|[_, end]| end) }
    }

    /// The ranges of the image, and of the box, in which both lie over each other.
    fn common(&self, image: [usize; 3]) -> [[std::ops::Range<usize>; 2]; 3] {
        [0, 1, 2].map(|axis| {
            let (start, length) = (self.start[axis], image[axis] as i64);
            let low = start.clamp(0, length);
            let high = self.end[axis].clamp(low, length);
            let inside = self.shape()[axis] as i64;
            let place = |at: i64| (at - start).clamp(0, inside) as usize;
            [low as usize..high as usize, place(low)..place(high)]
        })
    }

    /// Cuts the box out of an image, padded where it reaches beyond.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn cut(&self, image: ArrayView3<f32>, padding: Padding, threads: usize) -> Result<Array3<f32>> {
        let value = if let Padding::Constant(value) = padding { value } else { 0.0 };
        let [[z, to_z], [y, to_y], [x, to_x]] = self.common(image.dim().into());
        let mut out = buffer::array("a part of an image", self.shape(), value)?;
        let source = image.slice(s![z, y, x]);
        let inside = [to_z, to_y, to_x];
        let target = out.slice_mut(s![inside[0].clone(), inside[1].clone(), inside[2].clone()]);
        copy(source, target, threads);
        if source.is_empty() || matches!(padding, Padding::Constant(_)) {
            return Ok(out);
        }
        // Axis by axis, each over what the axes before have filled.
        for (axis, inside) in inside.iter().enumerate() {
            extend(&mut out, axis, inside.clone(), padding)?;
        }
        Ok(out)
    }

    /// Puts the box back into an image of that shape; voxels outside of it become `outside`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn restore<T: Copy + Send + Sync>(
        &self,
        cut: ArrayView3<T>,
        image: [usize; 3],
        outside: T,
        threads: usize,
    ) -> Result<Array3<T>> {
        let [[z, from_z], [y, from_y], [x, from_x]] = self.common(image);
        let mut out = buffer::array("the whole of an image", image, outside)?;
        copy(cut.slice(s![from_z, from_y, from_x]), out.slice_mut(s![z, y, x]), threads);
        Ok(out)
    }
}

fn copy<T: Copy + Send + Sync>(source: ArrayView3<T>, mut target: ndarray::ArrayViewMut3<T>, threads: usize) {
    let planes = target.outer_iter_mut().zip(source.outer_iter());
    parallel::for_each(threads, planes, |(mut target, source)| target.assign(&source));
}

/// What its memory is for, in errors.
const BORDER: &str = "the border of an image";

/// Fills what lies before and after `inside` along one axis.
fn extend(
    image: &mut Array3<f32>,
    axis: usize,
    inside: std::ops::Range<usize>,
    padding: Padding,
) -> Result<()> {
    let axis = Axis(axis);
    let length = image.len_of(axis);
    let (low, high) = match padding {
        Padding::Minimum => {
            let mut least = buffer::copy(BORDER, &image.index_axis(axis, inside.start))?;
            for at in inside.clone() {
                Zip::from(&mut least).and(image.index_axis(axis, at)).for_each(|least, &value| {
                    *least = if value < *least || value.is_nan() { value } else { *least };
                });
            }
            (buffer::copy(BORDER, &least)?, least)
        }
        _ => (
            buffer::copy(BORDER, &image.index_axis(axis, inside.start))?,
            buffer::copy(BORDER, &image.index_axis(axis, inside.end - 1))?,
        ),
    };
    (0..inside.start).for_each(|at| image.index_axis_mut(axis, at).assign(&low));
    (inside.end..length).for_each(|at| image.index_axis_mut(axis, at).assign(&high));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Array3<f32> {
        Array3::from_shape_vec((1, 2, 3), vec![4.0, 2.0, 3.0, 1.0, 5.0, 6.0]).unwrap()
    }

    #[test]
    fn padding_equals_numpy() {
        // numpy.pad(image[0], ((1, 0), (1, 2)), mode)
        let window = Window { start: [0, -1, -1], end: [1, 2, 5] };
        let cut = |padding| window.cut(image().view(), padding, 2).unwrap().into_raw_vec_and_offset().0;
        let minimum = [1., 1., 2., 3., 1., 1., 2., 4., 2., 3., 2., 2., 1., 1., 5., 6., 1., 1.];
        assert_eq!(cut(Padding::Minimum), minimum);
        let edge = [4., 4., 2., 3., 3., 3., 4., 4., 2., 3., 3., 3., 1., 1., 5., 6., 6., 6.];
        assert_eq!(cut(Padding::Edge), edge);
        let constant = [7., 7., 7., 7., 7., 7., 7., 4., 2., 3., 7., 7., 7., 1., 5., 6., 7., 7.];
        assert_eq!(cut(Padding::Constant(7.0)), constant);
    }

    #[test]
    fn a_cut_goes_back() {
        let window = Window { start: [-1, 1, 0], end: [1, 3, 2] };
        let cut = window.cut(image().view(), Padding::Edge, 1).unwrap();
        assert_eq!(cut.dim(), (2, 2, 2));
        let back = window.restore(cut.view(), [1, 2, 3], 9.0, 1).unwrap();
        assert_eq!(back.into_raw_vec_and_offset().0, [9., 9., 9., 1., 5., 9.]);
        let beyond = Window { start: [3; 3], end: [4; 3] };
        assert_eq!(beyond.cut(image().view(), Padding::Minimum, 1).unwrap(), Array3::<f32>::zeros((1, 1, 1)));
        let whole = Window::whole([1, 2, 3]);
        assert_eq!(
            (whole.shape(), whole.cut(image().view(), Padding::Edge, 1).unwrap()),
            ([1, 2, 3], image())
        );
    }

    #[test]
    fn frames_equal_monai() {
        // monai.transforms.CenterSpatialCrop, SpatialCrop, DivisiblePad, BorderPad, MONAI 1.6.1, on images of 5 × 8 × 9
        let window = |frame: Frame| frame.window([5, 8, 9]);
        let of = |start, end| Window { start, end };
        assert_eq!(window(Frame::Center([4, 0, 20])), of([0, 0, 0], [4, 8, 9]));
        assert_eq!(window(Frame::Center([3, 3, 4])), of([1, 3, 2], [4, 6, 6]));
        assert_eq!(window(Frame::Part { start: [1, 9, 2], end: [3, 12, 40] }), of([1, 8, 2], [3, 8, 9]));
        assert_eq!(window(Frame::Divisible { k: [4, 4, 0], end: false }), of([-1, 0, 0], [7, 8, 9]));
        assert_eq!(window(Frame::Divisible { k: [4, 3, 1], end: true }), of([0, 0, 0], [8, 9, 9]));
        assert_eq!(
            window(Frame::Border { below: [1, 0, 2], above: [0, 3, 2] }),
            of([-1, 0, -2], [5, 11, 11])
        );
    }

    #[test]
    fn spatial_pad_splits_what_is_missing() {
        let window = |end| SpatialPad { shape: [4, 0, 8], end }.window([1, 5, 6]);
        assert_eq!(window(false), Window { start: [-1, 0, -1], end: [3, 5, 7] });
        assert_eq!(window(true), Window { start: [0; 3], end: [4, 5, 8] });
    }
}
