//! Merging the outputs of overlapping tiles, with the roundings of the reference implementations on a CPU:
//! nnU-Net's in half precision, MONAI's in single.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array, Array3, Array4, ArrayBase, Data, Dimension};

use super::grid::{Overlap, TileGrid};
use super::score::Score;
use crate::{Error, Result, buffer, parallel};

/// What its memory is for, in errors.
const SUMS: &str = "the sums of tiles' scores";

/// The weighted sum of tiles' class scores, and the sum of the weights, for the planes of an image that tiles
/// are being added to; planes that are finished leave it.
///
/// Both are kept in the reference's type. Half precision rounds scores where few tiles overlap and decides which
/// classes tie there, so more exact sums would give other labels.
pub struct Blend<S> {
    grid: TileGrid,
    window: Arc<Array3<f32>>,
    /// The image's first plane that is held. Plane p is in slot p modulo their number.
    first: usize,
    /// Scores times weights, [class, slot, row, column].
    scores: Array4<S>,
    /// Weights, [slot, row, column].
    weights: Array3<S>,
    threads: usize,
}

impl<S: Score> Blend<S> {
    /// Empty sums for `classes` scores of each voxel of the grid's image, with `window` as the weights of a
    /// tile.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    ///
    /// # Panics
    ///
    /// When `window` hasn't the shape of the grid's tiles.
    pub fn new(classes: usize, grid: &TileGrid, window: &Arc<Array3<f32>>, threads: usize) -> Result<Self> {
        let [depth, rows, columns] = held(grid.image(), grid.patch());
        assert_eq!(window.shape(), grid.patch(), "shape of the window");
        // Written here rather than left to the system's lazy zeros, whose first touch by several threads is
        // slow.
        Ok(Blend {
            grid: grid.clone(),
            window: window.clone(),
            first: 0,
            scores: buffer::array(SUMS, (classes, depth, rows, columns), S::default())?,
            weights: buffer::array(SUMS, (depth, rows, columns), S::default())?,
            threads,
        })
    }

    /// The memory in bytes that the sums take for an image of that shape.
    pub fn bytes(classes: usize, image: [usize; 3], patch: [usize; 3]) -> u64 {
        let voxels =
            held(image, patch).iter().fold(1, |count: u64, &length| count.saturating_mul(length as u64));
        voxels.saturating_mul(classes as u64 + 1).saturating_mul(size_of::<S>() as u64)
    }

    /// Adds the scores [class, patch] of the tile at `start` (in the padded image); what lies in padding is
    /// ignored.
    ///
    /// Tiles must be added in the grid's order to get the reference's roundings, and those that begin in a
    /// plane before it is taken by [`Blend::take`].
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`], for the planes' rows.
    ///
    /// # Panics
    ///
    /// When `logits` hasn't that size.
    pub fn add(&mut self, start: [usize; 3], logits: &[f32]) -> Result<()> {
        let (classes, held, ..) = self.scores.dim();
        assert_eq!(logits.len(), classes * self.window.len(), "size of the scores");
        let [_, patch_rows, patch_columns] = self.grid.patch();
        let columns_of_image = self.grid.image()[2];
        let Overlap { image: [z, y, x], tile: [tz, ty, tx], shape: [depth, rows, columns] } =
            self.grid.overlap(start);
        let first = self.first;
        let plane = |slice: usize| first + (slice % held + held - first % held) % held;
        // The rows of a slice, each with its position in the tile.
        let rows_of = |slice: usize, class: usize| {
            let first = ((plane(slice) - z + tz) * patch_rows + ty) * patch_columns + tx;
            let size = patch_columns * patch_rows * self.grid.patch()[0];
            (0..rows).map(move |row| {
                let (row_in_image, row_in_tile) =
                    ((y + row) * columns_of_image + x, first + row * patch_columns);
                (row_in_image..row_in_image + columns, row_in_tile, class * size + row_in_tile)
            })
        };
        let inside = |slice: &usize| (z..z + depth).contains(&plane(*slice));
        let window = flat(&self.window);
        let mut wide = buffer::zeroed(SUMS, columns)?;
        for (slice, sums) in slices(&mut self.weights).filter(|(slice, _)| inside(slice)) {
            for (row, at, _) in rows_of(slice, 0) {
                S::update(&mut sums[row], &mut wide, |sums| {
                    sums.iter_mut().zip(&window[at..]).for_each(|(sum, weight)| *sum += weight);
                });
            }
        }
        let slices = slices(&mut self.scores).filter(|(slice, _)| inside(slice));
        parallel::try_for_each(self.threads, slices, |(slice, sums)| {
            let mut wide = buffer::zeroed(SUMS, columns)?;
            for (row, at, score) in rows_of(slice, slice / held) {
                S::update(&mut sums[row], &mut wide, |sums| {
                    let terms = logits[score..].iter().zip(&window[at..]);
                    sums.iter_mut().zip(terms).for_each(|(sum, (logit, weight))| *sum += logit * weight);
                });
            }
            Ok(())
        })
    }

    /// Takes out the planes before `end` (in the image), which no further tile touches: the weighted means of
    /// their scores, [class, plane, row, column].
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] when the type overflowed, or a voxel lies in no tile that was added;
    /// [`Error::OutOfMemory`].
    pub fn take(&mut self, end: usize) -> Result<Array4<S>> {
        let (classes, held, rows, columns) = self.scores.dim();
        let count = end.saturating_sub(self.first).min(held);
        let mut taken = buffer::array("planes of scores", (classes, count, rows, columns), S::default())?;
        let not_finite = AtomicUsize::new(0);
        let plane = rows * columns;
        let (sums, weights, first) = (flat(&self.scores), flat(&self.weights), self.first);
        parallel::try_for_each(self.threads, slices(&mut taken), |(slice, means)| {
            let slot = (first + slice % count) % held;
            let start = (slice / count * held + slot) * plane;
            let [mut wide, mut divisors] = [buffer::zeroed(SUMS, plane)?, buffer::zeroed(SUMS, plane)?];
            S::widen(&sums[start..start + plane], &mut wide);
            S::widen(&weights[slot * plane..][..plane], &mut divisors);
            wide.iter_mut().zip(&divisors).for_each(|(sum, divisor)| *sum /= divisor);
            S::narrow(&wide, means);
            let lost = means.iter().filter(|mean| !mean.to_f32().is_finite()).count();
            not_finite.fetch_add(lost, Ordering::Relaxed);
            Ok(())
        })?;
        // Their slots are for the planes behind those that stay.
        let left = |slot: usize| (slot + held - first % held) % held < count;
        for sums in slices(&mut self.scores).chain(slices(&mut self.weights)) {
            if left(sums.0 % held) {
                sums.1.fill(S::default());
            }
        }
        self.first = end;
        match not_finite.into_inner() {
            0 => Ok(taken),
            count => Err(Error::NotFinite { count }),
        }
    }
}

/// The finished planes of all folds before `end`, summed and divided in their type as the reference does it.
///
/// # Errors
///
/// As [`Blend::take`].
pub fn average<S: Score>(fields: &mut [Blend<S>], end: usize) -> Result<Array4<S>> {
    let folds = fields.len() as f32;
    let mut sum: Option<Array4<S>> = None;
    for field in fields {
        let planes = field.take(end)?;
        match &mut sum {
            None => sum = Some(planes),
            Some(sum) => {
                sum.zip_mut_with(&planes, |sum, score| *sum = S::from_f32(sum.to_f32() + score.to_f32()))
            }
        }
    }
    let mut sum = sum.ok_or_else(|| Error::unsupported("a model without networks"))?;
    if folds > 1.0 {
        sum.mapv_inplace(|score| S::from_f32(score.to_f32() / folds));
    }
    Ok(sum)
}

/// The planes that tiles in one row along the first axis touch.
fn held(image: [usize; 3], patch: [usize; 3]) -> [usize; 3] {
    [image[0].min(patch[0]), image[1], image[2]]
}

/// The slices [rows, columns] of an array in standard layout, with their numbers.
fn slices<T, D: Dimension>(array: &mut Array<T, D>) -> impl Iterator<Item = (usize, &mut [T])> {
    let size = array.shape()[array.ndim() - 2..].iter().product();
    array.as_slice_mut().unwrap_or_default().chunks_exact_mut(size).enumerate()
}

/// The elements of an array in standard layout.
fn flat<T, S: Data<Elem = T>, D: Dimension>(array: &ArrayBase<S, D>) -> &[T] {
    array.as_slice().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use half::f16;
    use proptest::prelude::*;

    use super::*;
    use crate::recipe::Fill;
    use crate::tiling::{grid::cut, window};

    /// Adds every tile of `field`, then the quotient.
    fn blended(field: &Array4<f32>, grid: &TileGrid, window: Array3<f16>, threads: usize) -> Array4<f16> {
        let window = Arc::new(window.mapv(f16::to_f32));
        let mut blend = Blend::<f16>::new(field.dim().0, grid, &window, threads).unwrap();
        let mut tile = vec![0.0; field.dim().0 * grid.patch().iter().product::<usize>()];
        let mut parts = Vec::new();
        for row in grid.rows().map(Result::unwrap) {
            for start in row.tiles {
                cut(field.view(), grid, start, Fill::Constant(0.0), &mut tile);
                blend.add(start, &tile).unwrap();
            }
            parts.push(blend.take(row.finished).unwrap());
        }
        let parts: Vec<_> = parts.iter().map(|part| part.view()).collect();
        ndarray::concatenate(ndarray::Axis(1), &parts).unwrap()
    }

    /// One voxel at a time, with the conversions of `half` alone.
    fn reference(field: &Array4<f32>, grid: &TileGrid, window: &Array3<f16>) -> Array4<f16> {
        let below = grid.pad_below();
        Array4::from_shape_fn(field.dim(), |(c, z, y, x)| {
            let (mut sum, mut weights) = (f16::ZERO, f16::ZERO);
            let at = [z + below[0], y + below[1], x + below[2]];
            for start in grid.iter() {
                let inside = [0, 1, 2].map(|axis| at[axis].wrapping_sub(start[axis]));
                if let Some(&weight) = window.get(inside) {
                    let term = field[(c, z, y, x)] * weight.to_f32();
                    sum = f16::from_f32(sum.to_f32() + term);
                    weights += weight;
                }
            }
            f16::from_f32(sum.to_f32() / weights.to_f32())
        })
    }

    fn field(classes: usize, [depth, rows, columns]: [usize; 3]) -> Array4<f32> {
        Array4::from_shape_fn((classes, depth, rows, columns), |(c, z, y, x)| {
            ((z * 31 + y * 17 + x * 7 + c * 101) % 97) as f32 * 0.317 - 12.0
        })
    }

    proptest! {
        #[test]
        fn equals_the_reference(image in [1..9usize, 1..9, 1..20], patch in [1..7usize, 1..7, 1..17], classes in 1..4usize) {
            let grid = TileGrid::new(image, patch, 0.5).unwrap();
            let field = field(classes, image);
            let window = window::gaussian(patch).unwrap();
            let expected = reference(&field, &grid, &window);
            for threads in 1..4 {
                prop_assert_eq!(&blended(&field, &grid, window.clone(), threads), &expected);
            }
        }

        #[test]
        fn keeps_a_constant(image in [1..9usize, 1..9, 1..9], patch in [1..7usize, 1..7, 1..7]) {
            let grid = TileGrid::new(image, patch, 0.5).unwrap();
            let field = Array4::from_elem((1, image[0], image[1], image[2]), 3.0);
            let result = blended(&field, &grid, Array3::from_elem(patch, f16::ONE), 1);
            prop_assert!(result.iter().all(|&value| value == f16::from_f32(3.0)));
        }
    }

    #[test]
    fn what_is_not_finite_is_counted() {
        let grid = TileGrid::new([2, 2, 4], [2, 2, 2], 0.5).unwrap();
        let window = Arc::new(Array3::ones([2; 3]));
        let mut blend = Blend::<f16>::new(2, &grid, &window, 2).unwrap();
        let mut tile = [1.0; 16];
        tile[3] = 1e6;
        tile[9] = f32::NAN;
        for start in grid.iter() {
            blend.add(start, &tile).unwrap();
        }
        // The voxel at the tile's second column in each of the three tiles, and the next in the overlap.
        assert!(matches!(blend.take(2), Err(Error::NotFinite { count: 6 })));
        let mut uncovered = Blend::<f16>::new(1, &grid, &window, 1).unwrap();
        assert!(matches!(uncovered.take(2), Err(Error::NotFinite { count: 16 })));
        assert_eq!(Blend::<f16>::bytes(25, [9, 3, 4], [2, 2, 2]), 26 * 24 * 2);
    }
}
