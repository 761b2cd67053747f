//! The transforms of whole tiles, axis by axis: from image voxels to factors, from products to results.

use super::super::program::{Load, Plain};
use super::super::simd::Simd;
use super::axis::{Axis, F23, F43, Filter, One, S22, S42, with_filter};
use crate::engine::lowering::LANES;

/// Floats that a tile of any axes needs on the way.
pub(super) const TILE: usize = 9 * 9 * 9 * LANES;
/// Floats of its results.
pub(super) const RESULTS: usize = 4 * 4 * 4 * LANES;
/// Floats of a line of it.
pub(super) const LINE: usize = 9 * LANES;

/// A block of the image that is cut into tiles.
#[derive(Clone, Copy)]
pub(super) struct Image {
    pub values: *const f32,
    pub size: [usize; 3],
    /// Planes of the buffer that holds it: fewer than the image has when it is written just ahead of the reader.
    pub ring: usize,
}

/// Factors of one tile: `to[point · plane]`, sixteen channels each. Voxels outside the image are zeros.
///
/// # Safety
/// As [`Simd`]; the image is good for its size, `tile` for [`TILE`] floats, `line` for [`LINE`], `to` for as many
/// points as the axes have.
#[inline(always)]
pub(super) unsafe fn image<S: Simd, L: Load<S>>(
    axes: [Axis; 3],
    load: L,
    image: Image,
    start: [isize; 3],
    (tile, line): (*mut f32, *mut f32),
    (to, plane): (*mut f32, usize),
) {
    let [planes, rows, columns] = [axes[0].points(), axes[1].points(), axes[2].points()];
    let (depth, height, width) = (image.size[0] as isize, image.size[1] as isize, image.size[2] as isize);
    let from = (-start[2]).clamp(0, columns as isize);
    let until = (width - start[2]).clamp(from, columns as isize);
    let whole = from == 0 && until == columns as isize;
    let step = axes[2].step();
    // SAFETY: voxels within the image's size are read; what is written lies in `tile`, `line` and `to`.
    unsafe {
        with_filter!(axes[2], F => {
            for z in 0..planes as isize {
                for y in 0..rows as isize {
                    let to = tile.add((z as usize * rows + y as usize) * columns * LANES);
                    let (at_z, at_y) = (start[0] + z, start[1] + y);
                    if at_z < 0 || at_z >= depth || at_y < 0 || at_y >= height || from == until {
                        for x in 0..columns {
                            S::store(to.add(x * LANES), S::zero());
                        }
                        continue;
                    }
                    let plane = if image.ring < image.size[0] { at_z % image.ring as isize } else { at_z };
                    let row =
                        image.values.offset(((plane * height + at_y) * width + start[2]) * LANES as isize);
                    // The next tile's voxels, while this one's are worked on.
                    for x in columns..columns + step {
                        S::prefetch(row.wrapping_add(x * LANES));
                    }
                    if whole {
                        F::image::<S, L>(load, row, LANES, to, LANES);
                        continue;
                    }
                    for x in 0..columns {
                        let inside = x as isize >= from && (x as isize) < until;
                        let value = if inside { load.get(row.add(x * LANES)) } else { S::zero() };
                        S::store(line.add(x * LANES), value);
                    }
                    F::image::<S, Plain>(Plain, line, LANES, to, LANES);
                }
            }
        });
        if axes[1] != Axis::One {
            with_filter!(axes[1], F => {
                for z in 0..planes {
                    for x in 0..columns {
                        let line = tile.add((z * rows * columns + x) * LANES);
                        F::image::<S, Plain>(Plain, line, columns * LANES, line, columns * LANES);
                    }
                }
            });
        }
        let area = rows * columns;
        with_filter!(axes[0], F => {
            for at in 0..area {
                F::image::<S, Plain>(Plain, tile.add(at * LANES), area * LANES, to.add(at * plane), area * plane);
            }
        });
    }
}

/// Results of one tile, on the way along the last axis: afterwards row (z, y) of the tile holds the products of its
/// results. `from[point · plane]` are the products; those of the tile that follows are `next` floats away.
///
/// # Safety
/// As [`image`].
#[inline(always)]
pub(super) unsafe fn products<S: Simd>(
    axes: [Axis; 3],
    (from, plane, next): (*const f32, usize, usize),
    tile: *mut f32,
) {
    let [planes, rows, columns] = [axes[0].points(), axes[1].points(), axes[2].points()];
    let area = rows * columns;
    // SAFETY: passed on.
    unsafe {
        with_filter!(axes[0], F => {
            for at in 0..area {
                for z in 0..planes {
                    S::prefetch(from.wrapping_add((z * area + at) * plane + next));
                }
                F::results::<S>(from.add(at * plane), area * plane, tile.add(at * LANES), area * LANES);
            }
        });
        if axes[1] != Axis::One {
            with_filter!(axes[1], F => {
                for z in 0..axes[0].results() {
                    for x in 0..columns {
                        let line = tile.add((z * area + x) * LANES);
                        F::results::<S>(line, columns * LANES, line, columns * LANES);
                    }
                }
            });
        }
    }
}

/// The results of a row of the tile.
///
/// # Safety
/// As [`image`].
#[inline(always)]
pub(super) unsafe fn row<S: Simd>(axes: [Axis; 3], tile: *const f32, z: usize, y: usize, line: *mut f32) {
    let (rows, columns) = (axes[1].points(), axes[2].points());
    // SAFETY: passed on.
    unsafe {
        let row = tile.add((z * rows + y) * columns * LANES);
        with_filter!(axes[2], F => F::results::<S>(row, LANES, line, LANES));
    }
}
