//! Where the tiles of a sliding window lie.

use std::sync::Arc;

use ndarray::{ArrayView4, s};

use super::sliding;
use crate::recipe::Fill;
use crate::volume::Box3;
use crate::{Error, Result, buffer};

/// No image needs as many: a step that gives more is a mistake.
const MOST_TILES: f64 = 1e7;

/// Overlapping tiles of one shape that cover an image, placed as nnU-Net places them.
///
/// An image smaller than a tile is padded on both sides of an axis; positions are in the padded image.
#[derive(Clone, Debug, PartialEq)]
pub struct TileGrid {
    image: [usize; 3],
    patch: [usize; 3],
    starts: Arc<[Vec<usize>; 3]>,
}

impl TileGrid {
    /// Tiles of shape `patch` for an image of shape `image`, at most `step` of a tile apart (0 < `step` ≤ 1).
    ///
    /// Along each axis they are spread evenly from the first to the last voxel, positions rounded half to
    /// even. Tiles one voxel thick along the first axis, those of two-dimensional networks, take every slice
    /// once.
    pub fn new(image: [usize; 3], patch: [usize; 3], step: f64) -> Result<Self> {
        if !(step > 0.0 && step <= 1.0) {
            return Err(Error::argument("tile_step", step, "a number above 0 and up to 1"));
        }
        if image.contains(&0) || patch.contains(&0) {
            let found = format!("an image of {image:?} and tiles of {patch:?} voxels");
            return Err(Error::argument("tile grid", found, "at least one voxel along each axis"));
        }
        let count = |axis: usize| {
            let room = image[axis].saturating_sub(patch[axis]) as f64;
            let flat = axis == 0 && patch[axis] == 1;
            if flat { room + 1.0 } else { (room / (patch[axis] as f64 * step)).ceil() + 1.0 }
        };
        if (0..3).map(count).product::<f64>() > MOST_TILES {
            let found = format!("{step}, for an image of {image:?} and tiles of {patch:?} voxels");
            return Err(Error::argument("step", found, format!("one that gives at most {MOST_TILES} tiles")));
        }
        let [planes, rows, columns] = [0, 1, 2].map(|axis| {
            let room = (image[axis].max(patch[axis]) - patch[axis]) as f64;
            // Half a slice is no distance: a two-dimensional network sees each slice once.
            let flat = axis == 0 && patch[axis] == 1;
            let intervals = if flat { room } else { (room / (patch[axis] as f64 * step)).ceil() };
            let distance = room / intervals.max(1.0);
            let place = |index: usize| (distance * index as f64).round_ties_even() as usize;
            buffer::collect("the places of tiles", (0..=intervals as usize).map(place))
        });
        Ok(TileGrid { image, patch, starts: Arc::new([planes?, rows?, columns?]) })
    }

    /// Tiles as MONAI's sliding window places them, at least these shares of a tile overlapping.
    ///
    /// # Errors
    /// As [`sliding::starts`].
    pub fn overlapping(image: [usize; 3], patch: [usize; 3], overlap: [f64; 3]) -> Result<Self> {
        Ok(TileGrid { image, patch, starts: Arc::new(sliding::starts(image, patch, overlap)?) })
    }

    /// The image's own shape.
    pub fn image(&self) -> [usize; 3] {
        self.image
    }

    /// The shape of each tile.
    pub fn patch(&self) -> [usize; 3] {
        self.patch
    }

    /// The image's shape with padding.
    pub fn padded_shape(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.image[axis].max(self.patch[axis]))
    }

    /// How many of the padding voxels come before the image; when their number is odd, one more comes after
    /// it.
    pub fn pad_below(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.patch[axis].saturating_sub(self.image[axis]) / 2)
    }

    /// The number of tiles.
    #[allow(clippy::len_without_is_empty, reason = "there is always at least one tile")]
    pub fn len(&self) -> usize {
        self.starts.iter().map(Vec::len).product()
    }

    /// The ascending first positions of tiles along one axis, in the padded image.
    pub fn starts(&self, axis: usize) -> &[usize] {
        &self.starts[axis]
    }

    /// The first voxel of a tile in the padded image. The last axis varies fastest.
    pub fn tile(&self, index: usize) -> [usize; 3] {
        let [planes, rows, columns] = &*self.starts;
        let (rest, column) = (index / columns.len(), index % columns.len());
        [planes[rest / rows.len()], rows[rest % rows.len()], columns[column]]
    }

    /// The first voxels of all tiles, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = [usize; 3]> + '_ {
        (0..self.len()).map(|index| self.tile(index))
    }

    /// The tiles in order, in rows that share their position along the first axis.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], for each row.
    pub fn rows(&self) -> impl Iterator<Item = Result<TileRow>> + '_ {
        let size = self.starts[1].len() * self.starts[2].len();
        (0..self.starts[0].len()).map(move |row| {
            let next = self.starts[0].get(row + 1);
            let tiles = (row * size..(row + 1) * size).map(|index| self.tile(index));
            Ok(TileRow {
                tiles: buffer::collect("the places of tiles", tiles)?,
                finished: next.map_or(self.image[0], |next| next.saturating_sub(self.pad_below()[0])),
            })
        })
    }

    /// The tiles that touch a box of the image, as the grid of the part of the image that they cover, and that part.
    ///
    /// Voxels of the box lie in the same tiles, in the same order, as in the whole grid; others may lie in fewer.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn touching(&self, part: &Box3) -> Result<(TileGrid, Box3)> {
        let below = self.pad_below();
        let touched = |axis: usize| {
            let (first, end) = (part.start[axis] + below[axis], part.end[axis] + below[axis]);
            let starts = &self.starts[axis];
            let from = starts.partition_point(|start| start + self.patch[axis] <= first);
            &starts[from..starts.partition_point(|&start| start < end).max(from)]
        };
        let axes = [0, 1, 2].map(touched);
        // Where tiles reach beyond the image there is one along that axis, which covers all of it.
        let start =
            [0, 1, 2].map(|axis| axes[axis].first().map_or(0, |start| start.saturating_sub(below[axis])));
        let end = [0, 1, 2].map(|axis| {
            let end = axes[axis].last().map_or(0, |start| start + self.patch[axis]);
            end.saturating_sub(below[axis]).min(self.image[axis])
        });
        let cover = Box3 { start, end };
        let moved = |axis: usize| {
            buffer::collect("the places of tiles", axes[axis].iter().map(|at| at - axes[axis][0]))
        };
        let starts = Arc::new([moved(0)?, moved(1)?, moved(2)?]);
        Ok((TileGrid { image: cover.shape(), patch: self.patch, starts }, cover))
    }

    /// The part of the tile at `start` that lies in the image.
    pub(super) fn overlap(&self, start: [usize; 3]) -> Overlap {
        let below = self.pad_below();
        let image = [0, 1, 2].map(|axis| start[axis].saturating_sub(below[axis]));
        let tile = [0, 1, 2].map(|axis| below[axis].saturating_sub(start[axis]));
        let shape = [0, 1, 2].map(|axis| {
            self.patch[axis].saturating_sub(tile[axis]).min(self.image[axis].saturating_sub(image[axis]))
        });
        Overlap { image, tile, shape }
    }
}

/// Tiles that share their position along the first axis.
pub struct TileRow {
    /// First voxels in the padded image.
    pub tiles: Vec<[usize; 3]>,
    /// Planes of the image before this one are in no later row.
    pub finished: usize,
}

/// The common part of a tile and the image.
pub(super) struct Overlap {
    /// Its first voxel in the image.
    pub image: [usize; 3],
    /// Its first voxel in the tile.
    pub tile: [usize; 3],
    /// Its extent.
    pub shape: [usize; 3],
}

/// Copies the tile at `start` from `image` [c, z, y, x] to `out` [c, patch], filled where the padded image is
/// padding.
///
/// # Panics
///
/// When `image` hasn't the grid's shape or `out` hasn't the tile's size.
pub fn cut(image: ArrayView4<f32>, grid: &TileGrid, start: [usize; 3], fill: Fill, out: &mut [f32]) {
    let [depth, rows, columns] = grid.patch;
    assert_eq!(image.shape()[1..], grid.image, "the grid is for another image");
    assert_eq!(out.len(), image.dim().0 * depth * rows * columns, "size of the tile");
    let Overlap { image: [z, y, x], tile, shape } = grid.overlap(start);
    if shape != grid.patch {
        match fill {
            Fill::Constant(value) => out.fill(value),
            Fill::Edge => return cut_clamped(image, grid, start, out),
        }
    }
    for (channel, out) in image.outer_iter().zip(out.chunks_exact_mut(depth * rows * columns)) {
        for (dz, dy) in (0..shape[0]).flat_map(|dz| (0..shape[1]).map(move |dy| (dz, dy))) {
            let at = ((tile[0] + dz) * rows + tile[1] + dy) * columns + tile[2];
            let source = channel.slice(s![z + dz, y + dy, x..x + shape[2]]);
            match source.to_slice() {
                Some(source) => out[at..at + shape[2]].copy_from_slice(source),
                None => out[at..at + shape[2]].iter_mut().zip(source).for_each(|(out, value)| *out = *value),
            }
        }
    }
}

/// As [`cut`], with the image's border going on.
fn cut_clamped(image: ArrayView4<f32>, grid: &TileGrid, start: [usize; 3], out: &mut [f32]) {
    let below = grid.pad_below();
    let inside =
        |axis: usize, at: usize| (start[axis] + at).saturating_sub(below[axis]).min(grid.image[axis] - 1);
    let size = grid.patch.iter().product();
    for (channel, out) in image.outer_iter().zip(out.chunks_exact_mut(size)) {
        for (index, row) in out.chunks_exact_mut(grid.patch[2]).enumerate() {
            let (z, y) = (inside(0, index / grid.patch[1]), inside(1, index % grid.patch[1]));
            row.iter_mut().enumerate().for_each(|(x, out)| *out = channel[(z, y, inside(2, x))]);
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array4, Axis};
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{golden, numbers};

    #[test]
    fn starts_equal_the_reference() {
        let Some(golden) = golden("sliding.json") else { return };
        for case in golden["steps"].as_array().unwrap() {
            let shape = |key: &str| <[usize; 3]>::try_from(numbers(&case[key])).unwrap();
            let grid = TileGrid::new(shape("image"), shape("tile"), case["step"].as_f64().unwrap()).unwrap();
            for axis in 0..3 {
                assert_eq!(grid.starts(axis), numbers(&case["starts"][axis]));
            }
        }
    }

    #[test]
    fn bad_arguments_are_refused() {
        for step in [0.0, -0.5, 1.1, f64::NAN, 1e-9, 5e-324] {
            assert!(matches!(TileGrid::new([4; 3], [2; 3], step), Err(Error::InvalidArgument { .. })));
        }
        assert!(
            TileGrid::new([4, 0, 4], [2; 3], 0.5).is_err() && TileGrid::new([4; 3], [2, 2, 0], 0.5).is_err()
        );
    }

    #[test]
    fn order_is_last_axis_fastest() {
        let grid = TileGrid::new([5, 2, 5], [4, 3, 4], 0.5).unwrap();
        assert_eq!(grid.iter().collect::<Vec<_>>(), [[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]]);
        assert_eq!((grid.padded_shape(), grid.pad_below()), ([5, 3, 5], [0, 0, 0]));
        assert_eq!(TileGrid::new([2; 3], [7, 4, 2], 0.5).unwrap().pad_below(), [2, 1, 0]);
    }

    #[test]
    fn flat_tiles_take_each_slice_once() {
        let grid = TileGrid::new([4, 3, 5], [1, 3, 4], 0.5).unwrap();
        assert_eq!(grid.starts(0), [0, 1, 2, 3]);
        assert_eq!(grid.len(), 8);
    }

    proptest! {
        #[test]
        fn tiles_cover_the_image(image in [1..40usize, 1..40, 1..40], patch in [1..12usize, 1..12, 1..12], step in 0.2..=1.0f64) {
            let grid = TileGrid::new(image, patch, step).unwrap();
            prop_assert_eq!(grid.len(), grid.iter().count());
            for (axis, &length) in patch.iter().enumerate() {
                let starts = grid.starts(axis);
                prop_assert_eq!((starts[0], starts[starts.len() - 1] + length), (0, grid.padded_shape()[axis]));
                for pair in starts.windows(2) {
                    prop_assert!(pair[0] <= pair[1] && pair[1] <= pair[0] + length);
                }
            }
        }

        #[test]
        fn tiles_that_touch_a_box_are_those_of_the_whole_grid(
            image in [1..30usize, 1..30, 1..30], patch in [1..12usize, 1..12, 1..12], step in 0.2..=1.0f64,
            place in [0.0..1.0f64, 0.0..1.0, 0.0..1.0], size in [1..8usize, 1..8, 1..8],
        ) {
            let grid = TileGrid::new(image, patch, step).unwrap();
            let start = [0, 1, 2].map(|axis| (image[axis] as f64 * place[axis]) as usize);
            let end = [0, 1, 2].map(|axis| (start[axis] + size[axis]).min(image[axis]));
            let (part, cover) = grid.touching(&Box3 { start, end }).unwrap();
            let below = grid.pad_below();
            prop_assert_eq!(part.pad_below(), below);
            let touches = |tile: &[usize; 3]| (0..3).all(|axis| {
                tile[axis] < end[axis] + below[axis] && tile[axis] + patch[axis] > start[axis] + below[axis]
            });
            let expected: Vec<[usize; 3]> = grid.iter().filter(touches).collect();
            let found: Vec<[usize; 3]> =
                part.iter().map(|tile| [0, 1, 2].map(|axis| tile[axis] + cover.start[axis])).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(part.image(), cover.shape());
            prop_assert!((0..3).all(|axis| cover.start[axis] <= start[axis] && end[axis] <= cover.end[axis]));
            let [first, last] = [part.tile(0), part.tile(part.len() - 1)];
            for axis in 0..3 {
                prop_assert_eq!((first[axis], last[axis] + patch[axis]), (0, part.padded_shape()[axis]));
            }
        }

        #[test]
        fn cut_is_a_slice_of_the_padded_image(image in [1..9usize, 1..9, 1..9], patch in [1..7usize, 1..7, 1..7], channels in 1..3usize) {
            let grid = TileGrid::new(image, patch, 0.5).unwrap();
            let field = Array4::from_shape_fn((channels, image[0], image[1], image[2]), |(c, z, y, x)| {
                (1 + x + 10 * (y + 10 * (z + 10 * c))) as f32
            });
            let ([pz, py, px], [bz, by, bx]) = (grid.padded_shape(), grid.pad_below());
            let mut padded = Array4::zeros((channels, pz, py, px));
            padded.slice_mut(s![.., bz..bz + image[0], by..by + image[1], bx..bx + image[2]]).assign(&field);
            for [z, y, x] in grid.iter() {
                let expected = padded.slice(s![.., z..z + patch[0], y..y + patch[1], x..x + patch[2]]);
                let mut out = vec![f32::NAN; expected.len()];
                cut(field.view(), &grid, [z, y, x], Fill::Constant(0.0), &mut out);
                prop_assert!(out.iter().eq(expected.iter()));
                cut(field.view(), &grid, [z, y, x], Fill::Edge, &mut out);
                let near = |at: usize, below: usize, length: usize| at.saturating_sub(below).min(length - 1);
                for (index, value) in out.iter().enumerate() {
                    let size = expected.len() / channels;
                    let (channel, rest) = (index / size, index % size);
                    let at = [rest / (patch[1] * patch[2]), rest / patch[2] % patch[1], rest % patch[2]];
                    let at = [z + at[0], y + at[1], x + at[2]];
                    let source = (channel, near(at[0], bz, image[0]), near(at[1], by, image[1]), near(at[2], bx, image[2]));
                    prop_assert_eq!(*value, field[source]);
                }
                let mut flipped = field.clone();
                flipped.invert_axis(Axis(3));
                let standard = flipped.as_standard_layout();
                let mut copy = out.clone();
                cut(flipped.view(), &grid, [z, y, x], Fill::Constant(0.0), &mut out);
                cut(standard.view(), &grid, [z, y, x], Fill::Constant(0.0), &mut copy);
                prop_assert_eq!(&out, &copy);
            }
        }
    }
}
