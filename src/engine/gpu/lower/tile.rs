//! How a convolution is shared out: the voxels of a group, what it brings to shared memory at a time, and where each
//! place of the kernel is there.

use crate::engine::lowering::{Kind, Reach};

/// Results that a group computes, and its invocations.
pub(in crate::engine::gpu) const VOXELS: usize = 256;

/// How a group works. Triples are along axes 0, 1 and 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine::gpu) struct Tile {
    /// Results of a group.
    pub voxels: [usize; 3],
    /// Voxels of the input that it brings at a time.
    pub brought: [usize; 3],
    /// How far apart those are in the input.
    pub bring: [usize; 3],
    /// From a result's voxel to the next one's, among those that were brought.
    pub near: [usize; 3],
}

/// How the input is staged in shared memory, the one with the most places of the kernel at a time first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Staging {
    Whole,
    ByRow,
    ByTap,
}

const SHAPES: [[usize; 3]; 14] = [
    [4, 4, 16],
    [1, 16, 16],
    [4, 8, 8],
    [8, 8, 4],
    [2, 8, 16],
    [16, 4, 4],
    [4, 16, 4],
    [1, 8, 32],
    [1, 32, 8],
    [16, 16, 1],
    [16, 1, 16],
    [1, 1, 256],
    [1, 256, 1],
    [256, 1, 1],
];

impl Tile {
    fn new(voxels: [usize; 3], reach: &Reach, staging: Staging) -> Self {
        let whole = |axis: usize| staging == Staging::Whole || staging == Staging::ByRow && axis == 2;
        let each = |of: &dyn Fn(usize) -> usize| -> [usize; 3] { std::array::from_fn(of) };
        let (step, span) = (reach.step, reach.span);
        Tile {
            voxels,
            brought: each(&|axis| match whole(axis) {
                true => (voxels[axis] - 1) * step[axis] + span[axis],
                false => voxels[axis],
            }),
            bring: each(&|axis| if whole(axis) { 1 } else { step[axis] }),
            near: each(&|axis| if whole(axis) { step[axis] } else { 1 }),
        }
    }

    /// The part that a tap belongs to, from the tile's first voxel, and where it is in what that part brings.
    fn part(&self, staging: Staging, tap: [usize; 3]) -> ([usize; 3], usize) {
        let [_, rows, columns] = self.brought;
        match staging {
            Staging::Whole => ([0; 3], (tap[0] * rows + tap[1]) * columns + tap[2]),
            Staging::ByRow => ([tap[0], tap[1], 0], tap[2]),
            Staging::ByTap => (tap, 0),
        }
    }
}

/// A tile and the words that tell its kernel what to bring and where places are: see `shaders/conv.comp`. Taps are put
/// in the order in which the kernel meets them. `room`: voxels that shared memory has room for. `along`: results, in
/// the order of the tile, that must lie as far apart as their voxels do along axis 2. The starts of the kinds' weights
/// are left to the caller, in word 8 · kind + 6.
pub(super) fn tile(
    size: [usize; 3],
    reach: &Reach,
    kinds: &mut [Kind],
    room: usize,
    along: usize,
) -> (Tile, Vec<u32>) {
    let fits = |tile: &Tile| {
        let in_order = tile.voxels[2].is_multiple_of(along) || tile.brought == tile.voxels;
        in_order && tile.brought.iter().product::<usize>() <= room
    };
    let most = kinds.iter().map(|kind| kind.taps.len()).max().unwrap_or(1).max(1);
    let candidates = SHAPES.iter().map(|&shape| {
        let stagings = [Staging::Whole, Staging::ByRow, Staging::ByTap];
        let all = stagings.map(|staging| (staging, Tile::new(shape, reach, staging)));
        let [_, _, last] = &all;
        let found = all.iter().find(|(_, tile)| fits(tile)).unwrap_or(last).clone();
        let parts = match found.0 {
            Staging::Whole => 1,
            Staging::ByRow => reach.span[0] * reach.span[1],
            Staging::ByTap => most,
        };
        let tiles: usize = (0..3).map(|axis| size[axis].div_ceil(shape[axis])).product();
        // Bringing a voxel costs about as much as computing with it four times.
        let cost = tiles * (VOXELS * most + 4 * parts.min(most) * found.1.brought.iter().product::<usize>());
        (cost, found)
    });
    let (staging, tile) = candidates
        .min_by_key(|(cost, _)| *cost)
        .map_or_else(|| (Staging::ByTap, Tile::new(SHAPES[0], reach, Staging::ByTap)), |(_, found)| found);
    let words = words(staging, &tile, kinds);
    (tile, words)
}

fn words(staging: Staging, tile: &Tile, kinds: &mut [Kind]) -> Vec<u32> {
    let mut words = vec![0; 8 * kinds.len()];
    let xyz = |place: [usize; 3]| [place[2] as u32, place[1] as u32, place[0] as u32];
    for (index, kind) in kinds.iter_mut().enumerate() {
        kind.taps.sort_by_key(|&(_, tap)| tile.part(staging, tap));
        let mut parts: Vec<([usize; 3], Vec<u32>)> = Vec::new();
        for &(_, tap) in &kind.taps {
            let (part, near) = tile.part(staging, tap);
            match parts.last_mut() {
                Some((last, places)) if *last == part => places.push(near as u32),
                _ => parts.push((part, vec![near as u32])),
            }
        }
        let own = index * 8;
        if parts.is_empty() {
            parts.push(([0; 3], Vec::new()));
        }
        words[own..own + 3].copy_from_slice(&xyz(kind.start));
        words[own + 3] = words.len() as u32;
        words[own + 4] = parts.len() as u32;
        words[own + 5] = kind.taps.len() as u32;
        let (mut places, mut number) = (words.len() + 6 * parts.len(), 0);
        for (part, nears) in &parts {
            words.extend(xyz(*part));
            words.extend([places as u32, nears.len() as u32, number]);
            places += nears.len();
            number += nears.len() as u32;
        }
        parts.iter().for_each(|(_, nears)| words.extend(nears));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::lowering::Tap;

    fn cube(span: [usize; 3]) -> Vec<Tap> {
        let [_, rows, columns] = span;
        (0..span.iter().product())
            .map(|index| [index / (rows * columns), index / columns % rows, index % columns])
            .map(|place| (place, place))
            .collect()
    }

    fn reach(step: usize, span: [usize; 3]) -> Reach {
        Reach { step: [step; 3], first: [-1; 3], span, out_step: [1; 3] }
    }

    #[test]
    fn shapes_are_of_a_group() {
        assert!(SHAPES.iter().all(|shape| shape.iter().product::<usize>() == VOXELS));
    }

    #[test]
    fn every_place_is_where_the_words_say() {
        for (step, span, size, room, along) in [
            (1, [3; 3], [20, 20, 40], 900, 1),
            (1, [3; 3], [8; 3], 900, 16),
            (2, [3; 3], [8; 3], 900, 8),
            (1, [7; 3], [8; 3], 300, 1),
            (1, [1; 3], [5, 1, 7], 900, 16),
            (1, [1, 3, 3], [1, 40, 40], 900, 16),
        ] {
            let mut kinds = [Kind { start: [0; 3], taps: cube(span) }];
            let (tile, words) = tile(size, &reach(step, span), &mut kinds, room, along);
            assert!(tile.brought.iter().product::<usize>() <= room);
            assert!(tile.voxels[2].is_multiple_of(along) || tile.brought == tile.voxels);
            let [_, rows, columns] = tile.brought;
            let mut met = 0;
            for part in 0..words[4] as usize {
                let at = words[3] as usize + part * 6;
                let [x, y, z, start, count, number] = words[at..at + 6] else { panic!("six words") };
                assert_eq!(number, met);
                for index in 0..count {
                    let near = words[(start + index) as usize] as usize;
                    let inner = [near / (rows * columns), near / columns % rows, near % columns];
                    // Voxels of the input: those that were brought lie `bring` apart, behind the part's own offset.
                    let of_part = [z as usize, y as usize, x as usize];
                    let found: [usize; 3] =
                        std::array::from_fn(|axis| of_part[axis] + inner[axis] * tile.bring[axis]);
                    assert_eq!(found, kinds[0].taps[met as usize].1);
                    // The tile's last voxel has it too.
                    for (axis, inner) in inner.into_iter().enumerate() {
                        let last = (tile.voxels[axis] - 1) * tile.near[axis] + inner;
                        assert!(last < tile.brought[axis]);
                        assert_eq!(tile.near[axis] * tile.bring[axis], step);
                    }
                    met += 1;
                }
            }
            assert_eq!((met as usize, words[5]), (kinds[0].taps.len(), met));
        }
    }
}
