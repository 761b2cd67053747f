//! MONAI's `CropForeground` with its default `select_fn`.

use crate::recipe::CropForeground;
use ndarray::{ArrayView2, ArrayView4, Axis};

use super::pad::Window;
use crate::{Error, Result, buffer, parallel};

impl CropForeground {
    /// The box in an image `[channel, axis 0, axis 1, axis 2]`.
    ///
    /// # Errors
    /// [`Error::VolumeMismatch`] when no intensity is above zero, [`Error::OutOfMemory`].
    pub fn window(&self, image: ArrayView4<f32>, threads: usize) -> Result<Window> {
        let Some([start, end]) = positive_box(image, threads)? else {
            return Err(Error::VolumeMismatch {
                expected: "an intensity above zero, to crop to the foreground".into(),
                found: "none".into(),
            });
        };
        let mut window = Window { start: [0; 3], end: [0; 3] };
        for axis in 0..3 {
            let margin = i64::from(self.margin[axis]);
            let (mut low, mut high) = (start[axis] as i64 - margin, end[axis] as i64 + margin);
            if self.allow_smaller {
                (low, high) = (low.max(0), high.min(image.shape()[axis + 1] as i64));
            }
            let length = high - low;
            let wanted = (length as u64).next_multiple_of(u64::from(self.k_divisible[axis].max(1))) as i64;
            // The odd voxel comes after the box.
            low -= (wanted - length) / 2;
            (window.start[axis], window.end[axis]) = (low, low + wanted);
        }
        Ok(window)
    }
}

/// First and last voxel (half-open) along each axis with an intensity above zero.
fn positive_box(image: ArrayView4<f32>, threads: usize) -> Result<Option<[[usize; 3]; 2]>> {
    let depth = image.dim().1;
    let mut found: Vec<Option<[[usize; 2]; 2]>> = buffer::filled("measuring an image", depth, None)?;
    parallel::for_each(threads, found.iter_mut().zip(image.axis_iter(Axis(1))), |(found, slice)| {
        *found = slice.outer_iter().filter_map(rectangle).reduce(union);
    });
    let (first, last) = (found.iter().position(Option::is_some), found.iter().rposition(Option::is_some));
    let around = found.into_iter().flatten().reduce(union);
    Ok(match (first, last, around) {
        (Some(first), Some(last), Some([[top, left], [bottom, right]])) => {
            Some([[first, top, left], [last + 1, bottom, right]])
        }
        _ => None,
    })
}

fn rectangle(slice: ArrayView2<f32>) -> Option<[[usize; 2]; 2]> {
    let mut found = None;
    for (y, row) in slice.rows().into_iter().enumerate() {
        let positive = |&value: &f32| value > 0.0;
        let Some(left) = row.iter().position(positive) else { continue };
        let right = row.iter().rposition(positive).unwrap_or(left);
        let line = [[y, left], [y + 1, right + 1]];
        found = Some(found.map_or(line, |found| union(found, line)));
    }
    found
}

fn union(a: [[usize; 2]; 2], b: [[usize; 2]; 2]) -> [[usize; 2]; 2] {
    [[a[0][0].min(b[0][0]), a[0][1].min(b[0][1])], [a[1][0].max(b[1][0]), a[1][1].max(b[1][1])]]
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn boxes_equal_monai() {
        // monai.transforms.CropForeground(...).compute_bounding_box, MONAI 1.6.1
        let mut image = Array4::from_elem((2, 6, 7, 8), -1.0);
        image[(0, 1, 2, 3)] = 0.5;
        image[(1, 2, 2, 6)] = 2.0;
        let rule = |margin, allow_smaller, k_divisible| CropForeground { margin, allow_smaller, k_divisible };
        let window = |rule: CropForeground| rule.window(image.view(), 2).unwrap();
        assert_eq!(window(rule([0; 3], false, [1; 3])), Window { start: [1, 2, 3], end: [3, 3, 7] });
        assert_eq!(window(rule([2, 3, 4], false, [1; 3])), Window { start: [-1, -1, -1], end: [5, 6, 11] });
        assert_eq!(window(rule([2, 3, 4], true, [1; 3])), Window { start: [0, 0, 0], end: [5, 6, 8] });
        assert_eq!(window(rule([0; 3], false, [3, 4, 0])), Window { start: [1, 1, 3], end: [4, 5, 7] });
        image.fill(0.0);
        assert!(matches!(
            rule([0; 3], true, [1; 3]).window(image.view(), 1),
            Err(Error::VolumeMismatch { .. })
        ));
    }

    proptest! {
        #[test]
        fn boxes_are_tight(shape in prop::array::uniform3(1..7usize), positive in prop::collection::vec(any::<prop::sample::Index>(), 1..5)) {
            let mut image = Array4::from_elem((1, shape[0], shape[1], shape[2]), f32::NAN);
            let voxels = image.len();
            let values = image.as_slice_mut().unwrap();
            positive.iter().for_each(|at| values[at.index(voxels)] = 1.0);
            let rule = CropForeground { margin: [0; 3], allow_smaller: false, k_divisible: [1; 3] };
            let inside: Vec<[usize; 3]> = image.indexed_iter().filter(|(_, value)| **value > 0.0).map(|((_, z, y, x), _)| [z, y, x]).collect();
            let expected = Window {
                start: [0, 1, 2].map(|axis: usize| inside.iter().map(|at| at[axis] as i64).min().unwrap()),
                end: [0, 1, 2].map(|axis: usize| inside.iter().map(|at| at[axis] as i64 + 1).max().unwrap()),
            };
            prop_assert_eq!(rule.window(image.view(), 2).unwrap(), expected);
        }
    }
}
