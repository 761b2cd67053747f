//! Where the network looks again at what it first saw from far away: boxes of its patch that cover a map.

use ndarray::{Array3, s};

use super::region::Region;
use crate::buffer;
use crate::error::Result;

/// Voxels at a box's sides that don't count as covered.
const MARGIN: i64 = 24;
/// How often the grid of candidates is made finer.
const ATTEMPTS: usize = 4;

/// Centres of boxes whose inner parts cover all ones of a map, in the order that they are to be looked at. Those on a
/// grid that cover most come first. The reference draws what is left over by chance; here the first voxel left gets the
/// box that has it at its near side.
pub(super) fn centers(mut map: Array3<u8>, patch: [usize; 3]) -> Result<Vec<[i64; 3]>> {
    let shape = [map.dim().0, map.dim().1, map.dim().2];
    let whole = Region::of_shape(shape);
    let mut found = Vec::new();
    let inner = |center: [i64; 3]| {
        let inner = Region::around(center, patch);
        let inner = inner.grown(-MARGIN.min(patch.iter().min().map_or(0, |&least| (least as i64 - 1) / 2)));
        inner.clip(&whole)
    };
    let mut candidates = candidates(&map)?;
    // Counts only fall, so an old one that isn't over the best needs no counting again.
    let mut counts = buffer::filled("candidates for boxes", candidates.len(), usize::MAX)?;
    while !candidates.is_empty() {
        let mut best = (0, 0);
        for (index, center) in candidates.iter().enumerate() {
            if counts[index] > best.0 {
                counts[index] = part(&map, &inner(*center)).iter().map(|&one| usize::from(one)).sum();
                if counts[index] > best.0 {
                    best = (counts[index], index);
                }
            }
        }
        if best.0 == 0 {
            break;
        }
        let center = candidates[best.1];
        clear(&mut map, &inner(center));
        buffer::push(&mut found, "boxes to look at again", center)?;
        let mut left = candidates.iter().map(|center| map[center.map(|index| index as usize)] != 0);
        let keep: Vec<bool> = buffer::collect("candidates for boxes", &mut left)?;
        let mut kept = keep.iter();
        candidates.retain(|_| *kept.next().unwrap_or(&false));
        let mut kept = keep.iter();
        counts.retain(|_| *kept.next().unwrap_or(&false));
    }
    while let Some(first) = first(&map) {
        let reach = patch[0] as i64 / 2 - MARGIN.min((patch[0] as i64 - 1) / 2);
        let center = [(first[0] + reach).min(shape[0] as i64 - 1), first[1], first[2]];
        clear(&mut map, &inner(center));
        // Whatever the sizes are, this voxel is done.
        map[first.map(|index| index as usize)] = 0;
        buffer::push(&mut found, "boxes to look at again", center)?;
    }
    Ok(found)
}

fn part<'a>(map: &'a Array3<u8>, region: &Region) -> ndarray::ArrayView3<'a, u8> {
    let ([z, y, x], [planes, rows, columns]) = (region.start.map(|index| index as usize), region.shape());
    map.slice(s![z..z + planes, y..y + rows, x..x + columns])
}

fn clear(map: &mut Array3<u8>, region: &Region) {
    let ([z, y, x], [planes, rows, columns]) = (region.start.map(|index| index as usize), region.shape());
    map.slice_mut(s![z..z + planes, y..y + rows, x..x + columns]).fill(0);
}

fn first(map: &Array3<u8>) -> Option<[i64; 3]> {
    let at = map.indexed_iter().find(|(_, value)| **value != 0);
    at.map(|((z, y, x), _)| [z, y, x].map(|index| index as i64))
}

/// Ones of the map on a grid, fine enough to meet some.
fn candidates(map: &Array3<u8>) -> Result<Vec<[i64; 3]>> {
    let mut extent: Option<Region> = None;
    for ((z, y, x), _) in map.indexed_iter().filter(|(_, value)| **value != 0) {
        let start = [z, y, x].map(|index| index as i64);
        let voxel = Region { start, end: start.map(|index| index + 1) };
        extent = Some(extent.map_or(voxel, |extent| extent.union(&voxel)));
    }
    let Some(Region { start, end }) = extent else { return Ok(Vec::new()) };
    let mut step =
        [0, 1, 2].map(|axis| (((end[axis] - 1 - start[axis]) as f64 / 4.0).round_ties_even() as i64).max(1));
    let mut found = Vec::new();
    for _ in 0..ATTEMPTS {
        let along = |axis: usize| (start[axis]..end[axis]).step_by(step[axis] as usize);
        for z in along(0) {
            for y in along(1) {
                for x in along(2).filter(|&x| map[[z as usize, y as usize, x as usize]] != 0) {
                    buffer::push(&mut found, "candidates for boxes", [z, y, x])?;
                }
            }
        }
        if !found.is_empty() {
            break;
        }
        step = step.map(|step| (step / 2).max(1));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: [usize; 3] = [64; 3];

    fn uncovered(map: &Array3<u8>, centers: &[[i64; 3]]) -> usize {
        let mut left = map.clone();
        for center in centers {
            let whole = Region::of_shape([map.dim().0, map.dim().1, map.dim().2]);
            clear(&mut left, &Region::around(*center, PATCH).grown(-MARGIN).clip(&whole));
        }
        left.iter().filter(|&&value| value != 0).count()
    }

    #[test]
    fn boxes_cover_all_of_a_map() {
        let mut map = Array3::<u8>::zeros((70, 40, 50));
        assert!(centers(map.clone(), PATCH).unwrap().is_empty());
        map[[69, 0, 49]] = 1;
        assert_eq!(centers(map.clone(), PATCH).unwrap(), [[69, 0, 49]]);
        map.slice_mut(s![10..60, 5..8, 20..40]).fill(1);
        let found = centers(map.clone(), PATCH).unwrap();
        assert_eq!(uncovered(&map, &found), 0);
        assert!(found.len() < 30, "{found:?}");
        map.fill(1);
        let found = centers(map.clone(), PATCH).unwrap();
        assert_eq!(uncovered(&map, &found), 0);
    }

    #[test]
    fn what_covers_most_comes_first_and_the_first_of_equals() {
        let mut map = Array3::<u8>::zeros((16, 16, 50));
        map.slice_mut(s![.., .., 0..16]).fill(1);
        map.slice_mut(s![.., .., 40..50]).fill(1);
        let found = centers(map, PATCH).unwrap();
        // Steps of 4, 4 and 12 voxels: the middle of the larger block isn't on the grid, its third plane of four is.
        assert_eq!(found[0], [8, 8, 12]);
    }
}
