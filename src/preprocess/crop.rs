//! The region of an image that isn't zero.

use ndarray::{Array3, ArrayView2, ArrayView4, Axis};

use crate::error::Result;
use crate::volume::Box3;
use crate::{buffer, parallel};

/// What its memory is for, in errors.
const SLICES: &str = "measuring an image";
const MASK: &str = "the mask of an image";

/// The smallest box with every voxel of `image` [c, z, y, x] that isn't zero in some channel; NaN isn't zero.
///
/// For an image of zeros it is the whole image, as in nnU-Net. Each slice is searched from its edges inwards,
/// so that only the margins are read.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn nonzero_box(image: ArrayView4<f32>, threads: usize) -> Result<Box3> {
    let (_, depth, rows, columns) = image.dim();
    let mut found: Vec<Option<Rectangle>> = buffer::filled(SLICES, depth, None)?;
    parallel::try_for_each(threads, found.iter_mut().zip(image.axis_iter(Axis(1))), |(found, slice)| {
        for channel in slice.outer_iter() {
            let inside = Rectangle::of(buffer::row_major(SLICES, channel)?.view());
            *found = [*found, inside].into_iter().flatten().reduce(Rectangle::union);
        }
        Ok(())
    })?;
    let first = found.iter().position(Option::is_some);
    let last = found.iter().rposition(Option::is_some);
    Ok(match (first, last, found.into_iter().flatten().reduce(Rectangle::union)) {
        (Some(first), Some(last), Some(Rectangle { start: [top, left], end: [bottom, right] })) => {
            Box3 { start: [first, top, left], end: [last + 1, bottom, right] }
        }
        _ => Box3::whole([depth, rows, columns]),
    })
}

/// The part of a slice that isn't zero, half-open.
#[derive(Clone, Copy)]
struct Rectangle {
    start: [usize; 2],
    end: [usize; 2],
}

impl Rectangle {
    /// Of a slice in row-major order.
    fn of(slice: ArrayView2<f32>) -> Option<Rectangle> {
        let row = |index: usize| slice.row(index).to_slice().unwrap_or_default();
        let top = (0..slice.nrows()).find(|&index| row(index).iter().any(|&value| value != 0.0))?;
        let bottom = (top..slice.nrows()).rfind(|&index| row(index).iter().any(|&value| value != 0.0))?;
        let (mut left, mut right) = (slice.ncols(), 0);
        for values in (top..=bottom).map(row) {
            left = values[..left].iter().position(|&value| value != 0.0).unwrap_or(left);
            right += values[right..].iter().rposition(|&value| value != 0.0).map_or(0, |last| last + 1);
        }
        Some(Rectangle { start: [top, left], end: [bottom + 1, right] })
    }

    fn union(self, other: Rectangle) -> Rectangle {
        Rectangle {
            start: [0, 1].map(|axis| self.start[axis].min(other.start[axis])),
            end: [0, 1].map(|axis| self.end[axis].max(other.end[axis])),
        }
    }
}

/// What is known of a voxel while the outside is filled.
#[derive(Clone, Copy, PartialEq)]
enum Voxel {
    Object,
    Background,
    Outside,
}

/// The voxels of `image` [c, z, y, x] that aren't zero in some channel, with their cavities filled.
///
/// A cavity is background that no path over voxel faces joins to the outside of the image: SciPy's
/// `binary_fill_holes`. The background is filled from the image's faces inwards, a run of voxels at a time.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn nonzero_mask(image: ArrayView4<f32>, threads: usize) -> Result<Array3<bool>> {
    let (_, depth, rows, columns) = image.dim();
    let mut voxels = buffer::array(MASK, (depth, rows, columns), Voxel::Background)?;
    parallel::for_each(
        threads,
        voxels.outer_iter_mut().zip(image.axis_iter(Axis(1))),
        |(mut voxels, slice)| {
            for channel in slice.outer_iter() {
                voxels.zip_mut_with(&channel, |voxel, &value| {
                    if value != 0.0 {
                        *voxel = Voxel::Object;
                    }
                });
            }
        },
    );
    // Seeds: on the four outer faces whole rows, elsewhere the two ends of each row.
    let mut seeds = Vec::new();
    for (z, y) in (0..depth).flat_map(|z| (0..rows).map(move |y| (z, y))) {
        let outer = z == 0 || z + 1 == depth || y == 0 || y + 1 == rows;
        let step = if outer { 1 } else { columns.saturating_sub(1).max(1) };
        for x in (0..columns).step_by(step) {
            buffer::push(&mut seeds, MASK, (z, y, x))?;
        }
        while let Some(seed) = seeds.pop() {
            fill_run(&mut voxels, seed, &mut seeds)?;
        }
    }
    buffer::map(MASK, &voxels, |voxel| voxel != Voxel::Outside)
}

/// Marks the run of background around `seed` along the last axis as outside, and adds a seed for each run of
/// background that touches it in a neighbouring row.
fn fill_run(
    voxels: &mut Array3<Voxel>,
    (z, y, x): (usize, usize, usize),
    seeds: &mut Vec<(usize, usize, usize)>,
) -> Result<()> {
    if voxels[(z, y, x)] != Voxel::Background {
        return Ok(());
    }
    let (depth, rows, _) = voxels.dim();
    let row = voxels.slice(ndarray::s![z, y, ..]);
    let start =
        row.iter().take(x).rposition(|&voxel| voxel != Voxel::Background).map_or(0, |before| before + 1);
    let length = row.iter().skip(start).take_while(|&&voxel| voxel == Voxel::Background).count();
    voxels.slice_mut(ndarray::s![z, y, start..start + length]).fill(Voxel::Outside);
    let neighbours = [
        (z > 0).then(|| (z - 1, y)),
        (z + 1 < depth).then_some((z + 1, y)),
        (y > 0).then(|| (z, y - 1)),
        (y + 1 < rows).then_some((z, y + 1)),
    ];
    for (z, y) in neighbours.into_iter().flatten() {
        let mut previous = Voxel::Object;
        for (x, &voxel) in voxels.slice(ndarray::s![z, y, start..start + length]).indexed_iter() {
            if voxel == Voxel::Background && previous != Voxel::Background {
                buffer::push(seeds, MASK, (z, y, start + x))?;
            }
            previous = voxel;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array4, s};
    use proptest::prelude::*;

    use super::*;

    fn image() -> impl Strategy<Value = Array4<f32>> {
        let value = prop_oneof![6 => Just(0.0f32), 1 => Just(-0.0), 2 => Just(1.5), 1 => Just(f32::NAN)];
        (1..3usize, 1..6usize, 1..6usize, 1..6usize).prop_flat_map(move |shape| {
            let count = shape.0 * shape.1 * shape.2 * shape.3;
            prop::collection::vec(value.clone(), count)
                .prop_map(move |values| Array4::from_shape_vec(shape, values).unwrap())
        })
    }

    fn mask(image: &Array4<f32>) -> Array3<bool> {
        image.map_axis(Axis(0), |values| values.iter().any(|&value| value != 0.0))
    }

    /// Erodes the padded background's complement until nothing changes.
    fn filled(mask: &Array3<bool>) -> Array3<bool> {
        let (depth, rows, columns) = mask.dim();
        let mut outside = Array3::from_elem((depth + 2, rows + 2, columns + 2), true);
        outside.slice_mut(s![1..=depth, 1..=rows, 1..=columns]).fill(false);
        loop {
            let before = outside.clone();
            for ((z, y, x), &object) in mask.indexed_iter() {
                let (z, y, x) = (z + 1, y + 1, x + 1);
                let near = [
                    (z - 1, y, x),
                    (z + 1, y, x),
                    (z, y - 1, x),
                    (z, y + 1, x),
                    (z, y, x - 1),
                    (z, y, x + 1),
                ];
                outside[(z, y, x)] = !object && near.iter().any(|&near| before[near]);
            }
            if outside == before {
                return outside.slice(s![1..=depth, 1..=rows, 1..=columns]).mapv(|outside| !outside);
            }
        }
    }

    proptest! {
        #[test]
        fn box_is_tight(image in image(), threads in 1..4usize) {
            let mask = mask(&image);
            let found = nonzero_box(image.view(), threads).unwrap();
            let inside: Vec<_> = mask.indexed_iter().filter(|(_, inside)| **inside).map(|(at, _)| [at.0, at.1, at.2]).collect();
            let expected = match inside.is_empty() {
                true => Box3::whole(mask.dim().into()),
                false => Box3 {
                    start: [0, 1, 2].map(|axis| inside.iter().map(|at| at[axis]).min().unwrap()),
                    end: [0, 1, 2].map(|axis| inside.iter().map(|at| at[axis]).max().unwrap() + 1),
                },
            };
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn mask_is_filled(image in image(), threads in 1..4usize) {
            prop_assert_eq!(nonzero_mask(image.view(), threads).unwrap(), filled(&mask(&image)));
        }

        #[test]
        fn views_may_be_strided(image in image()) {
            let copy = image.slice(s![.., .., ..;-1, ..;-1]).as_standard_layout().into_owned();
            let view = image.slice(s![.., .., ..;-1, ..;-1]);
            prop_assert_eq!(nonzero_box(view, 1).unwrap(), nonzero_box(copy.view(), 1).unwrap());
        }
    }

    #[test]
    fn cavities_are_filled_but_tunnels_are_not() {
        let mut image = Array4::zeros((1, 5, 5, 5));
        image.slice_mut(s![0, 1..4, 1..4, 1..4]).fill(1.0);
        image[(0, 2, 2, 2)] = 0.0;
        assert!(nonzero_mask(image.view(), 1).unwrap()[(2, 2, 2)]);
        image[(0, 1, 2, 2)] = 0.0;
        assert!(!nonzero_mask(image.view(), 1).unwrap()[(2, 2, 2)]);
        assert_eq!(nonzero_box(image.view(), 2).unwrap().shape(), [3; 3]);
        assert!(nonzero_box(Array4::zeros((1, 2, 3, 4)).view(), 2).unwrap().is_whole([2, 3, 4]));
    }
}
