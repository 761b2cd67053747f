//! Merging the outputs of overlapping tiles in half precision, with the roundings of nnU-Net's CPU path.

use std::sync::atomic::{AtomicUsize, Ordering};

use half::f16;
use half::slice::HalfFloatSliceExt;
use ndarray::{Array, Array3, Array4, ArrayBase, Data, Dimension};

use super::grid::{Overlap, TileGrid};
use crate::{Error, Result, parallel};

/// The weighted sum of all tiles' class scores, and the sum of the weights.
///
/// Both are kept in half precision. The reference does so too, which rounds scores where few tiles overlap
/// and decides which classes tie there, so more exact sums would give other labels.
pub struct Blend {
    grid: TileGrid,
    /// The window, widened.
    window: Array3<f32>,
    /// Scores times weights, [class, image].
    scores: Array4<f16>,
    /// Weights, [image].
    weights: Array3<f16>,
    threads: usize,
}

impl Blend {
    /// Empty sums for `classes` scores of each voxel of the grid's image, with `window` as the weights of a
    /// tile.
    ///
    /// # Panics
    ///
    /// When `window` hasn't the shape of the grid's tiles.
    pub fn new(classes: usize, grid: &TileGrid, window: Array3<f16>, threads: usize) -> Self {
        let [depth, rows, columns] = grid.image();
        assert_eq!(window.shape(), grid.patch(), "shape of the window");
        // Written here rather than left to the system's lazy zeros, whose first touch by several threads is
        // slow.
        Blend {
            grid: grid.clone(),
            window: window.mapv(f16::to_f32).as_standard_layout().into_owned(),
            scores: Array4::from_elem((classes, depth, rows, columns), f16::ZERO),
            weights: Array3::from_elem((depth, rows, columns), f16::ZERO),
            threads,
        }
    }

    /// The memory in bytes that the sums take for an image of that shape.
    pub fn bytes(classes: usize, image_shape: [usize; 3]) -> u64 {
        let voxels = image_shape.iter().fold(1, |count: u64, &length| count.saturating_mul(length as u64));
        voxels.saturating_mul(classes as u64 + 1).saturating_mul(size_of::<f16>() as u64)
    }

    /// Adds the scores [class, patch] of the tile at `start` (in the padded image); what lies in padding is
    /// ignored.
    ///
    /// Tiles must be added in the grid's order to get the reference's roundings.
    ///
    /// # Panics
    ///
    /// When `logits` hasn't that size.
    pub fn add(&mut self, start: [usize; 3], logits: &[f32]) {
        let classes = self.scores.dim().0;
        assert_eq!(logits.len(), classes * self.window.len(), "size of the scores");
        let [_, patch_rows, patch_columns] = self.grid.patch();
        let [image_depth, _, image_columns] = self.grid.image();
        let Overlap { image: [z, y, x], tile: [tz, ty, tx], shape: [depth, rows, columns] } =
            self.grid.overlap(start);
        // The rows of a slice, each with its position in the tile.
        let rows_of = |slice: usize, class: usize| {
            let first = ((slice % image_depth - z + tz) * patch_rows + ty) * patch_columns + tx;
            let size = patch_columns * patch_rows * self.grid.patch()[0];
            (0..rows).map(move |row| {
                let (row_in_image, row_in_tile) =
                    ((y + row) * image_columns + x, first + row * patch_columns);
                (row_in_image..row_in_image + columns, row_in_tile, class * size + row_in_tile)
            })
        };
        let inside = |slice: &usize| (z..z + depth).contains(&(slice % image_depth));
        let window = flat(&self.window);
        for (slice, sums) in slices(&mut self.weights).filter(|(slice, _)| inside(slice)) {
            let mut wide = vec![0.0; columns];
            for (row, at, _) in rows_of(slice, 0) {
                update(&mut sums[row], &mut wide, |sums| {
                    sums.iter_mut().zip(&window[at..]).for_each(|(sum, weight)| *sum += weight);
                });
            }
        }
        let slices = slices(&mut self.scores).filter(|(slice, _)| inside(slice));
        parallel::for_each(self.threads, slices, |(slice, sums)| {
            let mut wide = vec![0.0; columns];
            for (row, at, score) in rows_of(slice, slice / image_depth) {
                update(&mut sums[row], &mut wide, |sums| {
                    let terms = logits[score..].iter().zip(&window[at..]);
                    sums.iter_mut().zip(terms).for_each(|(sum, (logit, weight))| *sum += logit * weight);
                });
            }
        });
    }

    /// The weighted mean of the scores, [class, image].
    ///
    /// Fails when a score isn't finite: half precision overflowed, or a voxel lies in no tile that was added.
    pub fn finish(mut self) -> Result<Array4<f16>> {
        let count = AtomicUsize::new(0);
        let weights: Vec<_> = self.weights.outer_iter().collect();
        parallel::for_each(self.threads, slices(&mut self.scores), |(slice, scores)| {
            let mut wide = vec![0.0; scores.len()];
            let divisors = flat(&weights[slice % weights.len()]).to_f32_vec();
            update(scores, &mut wide, |sums| {
                sums.iter_mut().zip(&divisors).for_each(|(sum, divisor)| *sum /= divisor);
            });
            count.fetch_add(scores.iter().filter(|score| !score.is_finite()).count(), Ordering::Relaxed);
        });
        match count.into_inner() {
            0 => Ok(self.scores),
            count => Err(Error::NotFinite { count }),
        }
    }
}

/// The slices [rows, columns] of an array in standard layout, with their numbers.
fn slices<D: Dimension>(array: &mut Array<f16, D>) -> impl Iterator<Item = (usize, &mut [f16])> {
    let size = array.shape()[array.ndim() - 2..].iter().product();
    array.as_slice_mut().unwrap_or_default().chunks_exact_mut(size).enumerate()
}

/// The elements of an array in standard layout.
fn flat<T, S: Data<Elem = T>, D: Dimension>(array: &ArrayBase<S, D>) -> &[T] {
    array.as_slice().unwrap_or_default()
}

/// Widens `halves` into `wide`, lets `change` work on them, and rounds the results.
///
/// For one addition or division of halves this gives the correctly rounded result, since single precision has
/// more than twice as many digits.
fn update(halves: &mut [f16], wide: &mut [f32], change: impl FnOnce(&mut [f32])) {
    halves.convert_to_f32_slice(wide);
    change(wide);
    halves.convert_from_f32_slice(wide);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tiling::{grid::cut, window};

    /// Adds every tile of `field`, then the quotient.
    fn blended(field: &Array4<f32>, grid: &TileGrid, window: Array3<f16>, threads: usize) -> Array4<f16> {
        let mut blend = Blend::new(field.dim().0, grid, window, threads);
        let mut tile = vec![0.0; field.dim().0 * grid.patch().iter().product::<usize>()];
        for start in grid.iter() {
            cut(field.view(), grid, start, &mut tile);
            blend.add(start, &tile);
        }
        blend.finish().unwrap()
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
            let window = window::gaussian(patch);
            let expected = reference(&field, &grid, &window);
            for threads in 1..4 {
                prop_assert_eq!(&blended(&field, &grid, window.clone(), threads), &expected);
            }
        }

        #[test]
        fn keeps_a_constant(image in [1..9usize, 1..9, 1..9], patch in [1..7usize, 1..7, 1..7]) {
            let grid = TileGrid::new(image, patch, 0.5).unwrap();
            let field = Array4::from_elem((1, image[0], image[1], image[2]), 3.0);
            let result = blended(&field, &grid, window::constant(patch), 1);
            prop_assert!(result.iter().all(|&value| value == f16::from_f32(3.0)));
        }
    }

    #[test]
    fn what_is_not_finite_is_counted() {
        let grid = TileGrid::new([2, 2, 4], [2, 2, 2], 0.5).unwrap();
        let mut blend = Blend::new(2, &grid, window::constant([2; 3]), 2);
        let mut tile = [1.0; 16];
        tile[3] = 1e6;
        tile[9] = f32::NAN;
        for start in grid.iter() {
            blend.add(start, &tile);
        }
        // The voxel at the tile's second column in each of the three tiles, and the next in the overlap.
        assert!(matches!(blend.finish(), Err(Error::NotFinite { count: 6 })));
        let uncovered = Blend::new(1, &grid, window::constant([2; 3]), 1);
        assert!(matches!(uncovered.finish(), Err(Error::NotFinite { count: 16 })));
        assert_eq!(Blend::bytes(25, [2, 3, 4]), 26 * 24 * 2);
    }
}
