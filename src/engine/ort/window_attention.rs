//! Attention within shifted windows. Voxels are gathered into the order of the windows, slab after slab of
//! windows along axis 0, since the scores of all windows together would need many times the memory.

use std::sync::Arc;

use super::graph::{Builder, attribute};
use super::lower::Step;
use crate::error::Result;
use crate::network::Weight;

/// Subtracted from the scores of voxels that only meet in a window because the last one continues at the origin.
const APART: f32 = -100.0;

/// The windows of one volume.
#[derive(Debug)]
struct Windows {
    size: [usize; 3],
    window: [usize; 3],
    shift: [usize; 3],
    /// Windows per axis.
    count: [usize; 3],
}

/// Numbers that are alive at the worst moment beside the input and the result.
pub(super) fn scratch_values(channels: usize, heads: usize, window: [usize; 3], size: [usize; 3]) -> u64 {
    let windows = Windows::new(size, window, [0; 3]);
    let (slab, tokens) = (windows.per_slab() as u64, windows.tokens() as u64);
    let scores = 2 * slab * heads as u64 * tokens * tokens;
    let voxels = size.iter().product::<usize>() as u64;
    // Queries, keys and values of all voxels, and of a slab twice; the slabs' results.
    scores + channels as u64 * (4 * voxels + 6 * slab * tokens)
}

impl Windows {
    fn new(size: [usize; 3], window: [usize; 3], shift: [usize; 3]) -> Self {
        let whole = |axis: usize| size[axis] <= window[axis];
        let window: [usize; 3] = std::array::from_fn(|axis| window[axis].min(size[axis]));
        Windows {
            size,
            window,
            shift: std::array::from_fn(|axis| if whole(axis) { 0 } else { shift[axis] }),
            count: std::array::from_fn(|axis| size[axis] / window[axis]),
        }
    }

    /// Voxels of a window.
    fn tokens(&self) -> usize {
        self.window.iter().product()
    }

    /// Windows of a slab.
    fn per_slab(&self) -> usize {
        self.count[1] * self.count[2]
    }

    /// Where the voxels of a slab's windows lie in the shifted volume, window by window.
    fn places(&self, slab: usize) -> impl Iterator<Item = [usize; 3]> {
        let (tokens, count, size) = (self.tokens(), self.count, self.window);
        (0..self.per_slab() * tokens).map(move |index| {
            let (window, token) = (index / tokens, unravel(index % tokens, size));
            let window = [slab, window / count[2], window % count[2]];
            std::array::from_fn(|axis| window[axis] * size[axis] + token[axis])
        })
    }

    /// Index in the volume of each voxel of a slab's windows.
    fn indices(&self, slab: usize) -> impl Iterator<Item = usize> {
        self.places(slab).map(|place| {
            let at = |axis: usize| (place[axis] + self.shift[axis]) % self.size[axis];
            (at(0) * self.size[1] + at(1)) * self.size[2] + at(2)
        })
    }

    /// Which stretch of an axis a place belongs to: of the last window, the part before the volume's end and
    /// the part that continues at its origin are stretches of their own.
    fn stretch(&self, axis: usize, place: usize) -> u8 {
        let (size, shift) = (self.size[axis], self.shift[axis]);
        match place {
            _ if shift == 0 => 0,
            place if place < size - self.window[axis] => 0,
            place if place < size - shift => 1,
            _ => 2,
        }
    }

    /// What is added to the scores of a slab, [windows, 1, tokens, tokens].
    fn mask(&self, slab: usize) -> Vec<f32> {
        let stretches: Vec<[u8; 3]> = self
            .places(slab)
            .map(|place| std::array::from_fn(|axis| self.stretch(axis, place[axis])))
            .collect();
        let tokens = self.tokens();
        let mut mask = Vec::with_capacity(stretches.len() * tokens);
        for window in stretches.chunks(tokens) {
            for query in window {
                mask.extend(window.iter().map(|key| if key == query { 0.0 } else { APART }));
            }
        }
        mask
    }
}

/// The place of a row-major index.
fn unravel(index: usize, size: [usize; 3]) -> [usize; 3] {
    [index / size[2] / size[1], index / size[2] % size[1], index % size[2]]
}

/// The bias of each pair of tokens, [heads, tokens, tokens], from the table of their relative places.
fn relative_bias(table: &Weight, heads: usize, window: [usize; 3], tokens: usize) -> Vec<f32> {
    let mut bias = vec![0.0; heads * tokens * tokens];
    for query in 0..tokens {
        for key in 0..tokens {
            let (a, b) = (unravel(query, window), unravel(key, window));
            let row = (0..3)
                .fold(0, |row, axis| row * (2 * window[axis] - 1) + (a[axis] + window[axis] - 1 - b[axis]));
            for head in 0..heads {
                bias[(head * tokens + query) * tokens + key] = table.data[row * heads + head];
            }
        }
    }
    bias
}

pub(super) fn lower(
    builder: &mut Builder,
    step: &Step,
    table: Option<&Arc<Weight>>,
    heads: usize,
    window: [usize; 3],
    shift: [usize; 3],
) -> Result<()> {
    let windows = Windows::new(step.size, window, shift);
    let (tokens, per_slab, channels) = (windows.tokens(), windows.per_slab(), step.channels / 3);
    let width = channels / heads;
    let voxels: usize = step.size.iter().product();
    let shifted = windows.shift != [0; 3];

    let (flat, rows) = (step.part("flat"), step.part("rows"));
    builder.reshape(&step.inputs[0], &flat, &[step.channels, voxels])?;
    builder.transpose(&flat, &rows, &[1, 0])?;
    let biased = |table: &Arc<Weight>| {
        let make = || relative_bias(table, heads, window, tokens);
        builder.values(&step.part("bias"), &[heads, tokens, tokens], make)
    };
    let bias = table.map(biased).transpose()?;
    let scale = builder.values(&format!("scale {width}"), &[1], || vec![libm::powf(width as f32, -0.5)])?;
    let slabs: Vec<String> = (0..windows.count[0]).map(|slab| step.part(&format!("slab{slab}"))).collect();
    for (slab, name) in slabs.iter().enumerate() {
        let part = |part: &str| format!("{name}.{part}");
        let indices = builder.integers(&format!("slab {slab} of {windows:?}"), || {
            windows.indices(slab).map(|index| index as i64).collect()
        })?;
        let axis = || attribute("axis", 0_i64);
        builder.node("Gather", &[rows.clone(), indices], &part("rows"), vec![axis()?])?;
        builder.reshape(&part("rows"), &part("heads"), &[per_slab, tokens, 3, heads, width])?;
        builder.transpose(&part("heads"), &part("qkv"), &[2, 0, 3, 1, 4])?;
        let three = [part("q"), part("k"), part("v")];
        builder.split("Split", &[part("qkv")], &three, vec![axis()?, attribute("num_outputs", 3_i64)?])?;
        builder.node("Mul", &[part("q"), scale.clone()], &part("scaled"), Vec::new())?;
        builder.transpose(&part("k"), &part("keys"), &[0, 1, 2, 4, 3])?;
        builder.node("MatMul", &[part("scaled"), part("keys")], &part("products"), Vec::new())?;
        let mut scores = part("products");
        if let Some(bias) = &bias {
            builder.node("Add", &[scores, bias.clone()], &part("scores"), Vec::new())?;
            scores = part("scores");
        }
        if shifted {
            // All slabs but the last have the same mask.
            let last = slab + 1 == windows.count[0];
            let shape = [per_slab, 1, tokens, tokens];
            let mask =
                builder.values(&format!("mask {last} of {windows:?}"), &shape, || windows.mask(slab))?;
            let masked = part("masked");
            builder.node("Add", &[scores, mask], &masked, Vec::new())?;
            scores = masked;
        }
        builder.node("Softmax", &[scores], &part("shares"), vec![attribute("axis", -1_i64)?])?;
        builder.node("MatMul", &[part("shares"), part("v")], &part("attended"), Vec::new())?;
        builder.transpose(&part("attended"), &part("tokens"), &[0, 1, 3, 2, 4])?;
        builder.reshape(&part("tokens"), name, &[per_slab * tokens, channels])?;
    }
    let back = builder.integers(&format!("back from {windows:?}"), || {
        let mut back = vec![0; voxels];
        let order = (0..windows.count[0]).flat_map(|slab| windows.indices(slab));
        order.enumerate().for_each(|(row, voxel)| back[voxel] = row as i64);
        back
    })?;
    let (joined, ordered, result) = (step.part("joined"), step.part("ordered"), step.part("channels"));
    builder.node("Concat", &slabs, &joined, vec![attribute("axis", 0_i64)?])?;
    builder.node("Gather", &[joined, back], &ordered, vec![attribute("axis", 0_i64)?])?;
    builder.transpose(&ordered, &result, &[1, 0])?;
    builder.reshape(&result, &step.result, &[1, channels, step.size[0], step.size[1], step.size[2]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_voxel_is_in_one_window() {
        for (size, shift) in [([6, 8, 10], [0, 0, 0]), ([6, 8, 10], [1, 2, 2]), ([2, 8, 3], [1, 2, 2])] {
            let windows = Windows::new(size, [3, 4, 5], shift);
            let mut indices: Vec<usize> =
                (0..windows.count[0]).flat_map(|slab| windows.indices(slab)).collect();
            indices.sort_unstable();
            assert!(indices.into_iter().eq(0..size.iter().product()), "{windows:?}");
        }
    }

    /// Attention is masked exactly between voxels of a window that are further apart than a window reaches.
    #[test]
    fn only_voxels_that_are_far_apart_are_masked() {
        for size in [[6, 8, 10], [6, 4, 15], [2, 8, 10]] {
            let windows = Windows::new(size, [3, 4, 5], [1, 2, 2]);
            let (tokens, mut masked) = (windows.tokens(), 0);
            for slab in 0..windows.count[0] {
                let places: Vec<[usize; 3]> =
                    windows.indices(slab).map(|index| unravel(index, size)).collect();
                let pairs = places.chunks(tokens).flat_map(|window| {
                    window.iter().flat_map(move |query| window.iter().map(move |key| (query, key)))
                });
                let mask = windows.mask(slab);
                assert_eq!(mask.len(), places.len() * tokens);
                for ((query, key), &added) in pairs.zip(&mask) {
                    let near = (0..3).all(|axis| query[axis].abs_diff(key[axis]) < windows.window[axis]);
                    assert_eq!(added, if near { 0.0 } else { APART }, "{query:?} {key:?}");
                    masked += usize::from(!near);
                }
            }
            assert!(masked > 0);
        }
    }

    #[test]
    fn a_smaller_window_reads_the_table_by_places_of_a_whole_one() {
        let (window, heads) = ([2, 2, 3], 2);
        let rows = 3 * 3 * 5;
        let data = (0..rows * heads).map(|value| value as f32).collect();
        let table = Weight { name: "table".into(), shape: vec![rows, heads], data };
        let bias = relative_bias(&table, heads, window, 4);
        // Tokens 0 and 3 are at [0, 0, 0] and [0, 1, 0] of the whole window.
        let row = |places: [usize; 3]| ((places[0] * 3 + places[1]) * 5 + places[2]) * heads;
        assert_eq!(bias[3], table.data[row([1, 0, 2])]);
        assert_eq!(bias[4 * 3], table.data[row([1, 2, 2])]);
        assert_eq!(bias[16 + 4 * 3 + 1], table.data[row([1, 2, 1]) + 1]);
    }
}
