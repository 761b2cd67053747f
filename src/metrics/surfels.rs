//! Surface elements: where a label's surface crosses the cells between voxel centres, and how large it is there.
//!
//! A cell has a voxel at each of its eight corners; its code has a bit for each corner that is inside, bit
//! `4·z + 2·y + x`. The surface crosses the cell's edges at their midpoints (marching cubes, Lorensen and Cline
//! 1987). The areas are those of `surface-distance` 0.1 (Nikolov and others 2018) for all codes and spacings.

use ndarray::{Array3, ArrayViewMut3, Axis};

use super::map::{BoundingBox, LabelMap, PLANES};
use crate::error::Result;
use crate::progress::Cancel;
use crate::{buffer, parallel};

/// What its memory is for, in errors.
const CELLS: &str = "the cells of a label's surface";

/// Whether the surface crosses cells with this code.
pub(super) fn is_surface(code: u8) -> bool {
    code != 0 && code != u8::MAX
}

/// The area in a cell by its code, for spacings along the axes z, y and x.
pub(super) fn areas(spacing: [f64; 3]) -> [f64; 256] {
    std::array::from_fn(|code| polygons(code as u8).iter().map(|polygon| area(polygon, spacing)).sum())
}

type Point = [f64; 3];

fn corner(n: usize) -> Point {
    [n >> 2, n >> 1 & 1, n & 1].map(|coordinate| coordinate as f64)
}

/// The surface's polygons in a cell. On faces with two opposite corners inside, those corners are cut off that the
/// cell has fewer of.
fn polygons(code: u8) -> Vec<Vec<Point>> {
    let inside = |corner: usize| code >> corner & 1 == 1;
    let cut_off = code.count_ones() <= 4;
    let middle = |a: usize, b: usize| [0, 1, 2].map(|axis| (corner(a)[axis] + corner(b)[axis]) / 2.0);
    let mut segments: Vec<[Point; 2]> = Vec::new();
    for axis in [1, 2, 4] {
        let [u, v] = [[2, 4], [1, 4], [1, 2]][axis / 2];
        for first in [0, axis] {
            let ring = [first, first + u, first + u + v, first + v];
            let crossed: Vec<usize> =
                (0..4).filter(|&n| inside(ring[n]) != inside(ring[(n + 1) % 4])).collect();
            let on = |n: usize| middle(ring[n], ring[(n + 1) % 4]);
            match crossed[..] {
                [a, b] => segments.push([on(a), on(b)]),
                [_, _, _, _] => {
                    let kept = (0..4).filter(|&n| inside(ring[n]) == cut_off);
                    segments.extend(kept.map(|n| [on((n + 3) % 4), on(n)]));
                }
                _ => {}
            }
        }
    }
    let mut polygons = Vec::new();
    while let Some([first, mut last]) = segments.pop() {
        let mut polygon = vec![first];
        while last != first {
            polygon.push(last);
            // Each point ends exactly two segments.
            let Some(next) = segments.iter().position(|segment| segment.contains(&last)) else { break };
            let [a, b] = segments.swap_remove(next);
            last = if a == last { b } else { a };
        }
        polygons.push(polygon);
    }
    polygons
}

/// The area of a polygon that may not be flat: of the fan of triangles that is the largest in a cube.
fn area(polygon: &[Point], spacing: [f64; 3]) -> f64 {
    let fan = |apex: usize, spacing: [f64; 3]| -> f64 {
        let point = |n: usize| polygon[(apex + n) % polygon.len()];
        (2..polygon.len()).map(|n| triangle([point(0), point(n - 1), point(n)], spacing)).sum()
    };
    let largest = (0..polygon.len()).max_by(|&a, &b| fan(a, [1.0; 3]).total_cmp(&fan(b, [1.0; 3])));
    largest.map_or(0.0, |apex| fan(apex, spacing))
}

fn triangle([a, b, c]: [Point; 3], spacing: [f64; 3]) -> f64 {
    let side = |to: Point| [0, 1, 2].map(|axis| (to[axis] - a[axis]) * spacing[axis]);
    let (u, v) = (side(b), side(c));
    let normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    normal.iter().map(|length| length * length).sum::<f64>().sqrt() / 2.0
}

/// The codes of all cells that touch a box of voxels: one more than voxels along each axis. What lies outside the
/// box isn't inside. Once cancelled they are left as they are.
pub(super) fn codes(
    map: &LabelMap,
    label: u32,
    bounds: &BoundingBox,
    threads: usize,
    cancel: &Cancel,
) -> Result<Array3<u8>> {
    let [planes, rows, columns] = bounds.shape();
    let mut codes = buffer::zeros(CELLS, (planes + 1, rows + 1, columns + 1))?;
    let pieces = codes.axis_chunks_iter_mut(Axis(0), 2 * PLANES).enumerate();
    parallel::try_for_each(threads, pieces, |(n, piece)| {
        if cancel.requested() { Ok(()) } else { fill(map, label, bounds, n * 2 * PLANES, piece) }
    })?;
    Ok(codes)
}

/// Fills planes of cells, the first of which lies before the plane of voxels `first`.
fn fill(
    map: &LabelMap,
    label: u32,
    bounds: &BoundingBox,
    first: usize,
    mut cells: ArrayViewMut3<u8>,
) -> Result<()> {
    let [planes, rows, columns] = bounds.shape();
    let mut labels = buffer::zeroed(CELLS, rows * columns)?;
    // The four corners of each cell that lie in one plane.
    let mut quarter = |z: Option<usize>, corners: &mut [u8]| {
        corners.fill(0);
        if let Some(z) = z.filter(|&z| z < planes) {
            let [start_z, start_y, start_x] = bounds.start;
            map.read([start_z + z, start_y, start_x], [1, rows, columns], &mut labels);
            for (y, row) in labels.chunks_exact(columns).enumerate() {
                let (before, after) =
                    corners[y * (columns + 1)..][..2 * (columns + 1)].split_at_mut(columns + 1);
                for (x, &found) in row.iter().enumerate() {
                    let inside = u8::from(found == label);
                    before[x] |= inside << 3;
                    before[x + 1] |= inside << 2;
                    after[x] |= inside << 1;
                    after[x + 1] |= inside;
                }
            }
        }
    };
    let size = (rows + 1) * (columns + 1);
    let (mut before, mut after) = (buffer::zeroed(CELLS, size)?, buffer::zeroed(CELLS, size)?);
    quarter(first.checked_sub(1), &mut before);
    for (z, mut plane) in cells.axis_iter_mut(Axis(0)).enumerate() {
        quarter(Some(first + z), &mut after);
        for (code, (before, after)) in plane.iter_mut().zip(before.iter().zip(&after)) {
            *code = before | after << 4;
        }
        std::mem::swap(&mut before, &mut after);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_has_the_area_of_a_face() {
        let areas = areas([2.0, 3.0, 5.0]);
        assert_eq!((areas[0b0000_1111], areas[0b0011_0011], areas[0b0101_0101]), (15.0, 10.0, 6.0));
        assert_eq!((areas[0], areas[255]), (0.0, 0.0));
    }

    #[test]
    fn inside_and_outside_have_one_surface() {
        let areas = areas([0.7, 1.1, 2.3]);
        for code in 0..128 {
            assert!((areas[code] - areas[255 - code]).abs() < 1e-12, "{code}");
        }
    }

    /// `create_table_neighbour_code_to_surface_area([0.7, 1.1, 2.3])` of `surface-distance` 0.1: its sum, and codes
    /// of every kind, in the order of bits here.
    #[test]
    fn areas_are_those_of_surface_distance() {
        let areas = areas([0.7, 1.1, 2.3]);
        assert!((areas.iter().sum::<f64>() - SUM).abs() < 1e-9, "{}", areas.iter().sum::<f64>());
        for (code, expected) in CODES {
            assert!((areas[code] - expected).abs() < 1e-12, "{code}: {} instead of {expected}", areas[code]);
        }
    }

    const SUM: f64 = 422.26909024353233;
    const CODES: [(usize, f64); 17] = [
        (1, 0.38701380789320683),
        (3, 1.499416553196609),
        (6, 0.7740276157864137),
        (7, 2.4260414236796204),
        (11, 2.426041423679621),
        (21, 1.5460414236796205),
        (22, 1.1610414236796205),
        (25, 1.2793422227719442),
        (23, 2.322082847359241),
        (27, 2.655364279421618),
        (29, 2.7439277156105004),
        (30, 2.813055231572828),
        (45, 2.813055231572828),
        (105, 1.5480552315728273),
        (106, 1.9330552315728273),
        (86, 1.9330552315728273),
        (60, 2.998833106393218),
    ];
}
