//! Attention within shifted windows. Voxels are gathered into the order of the windows, slab after slab of
//! windows along axis 0, since the scores of all windows together would need many times the memory.

use std::sync::Arc;

use super::graph::{Builder, attribute};
use super::lower::Step;
use crate::engine::lowering::{APART, RelativePlaces, Windows};
use crate::error::Result;
use crate::network::Weight;

/// Numbers that are alive at the worst moment beside the input and the result.
pub(super) fn scratch_values(channels: usize, heads: usize, window: [usize; 3], size: [usize; 3]) -> u64 {
    let windows = Windows::new(size, window, [0; 3]);
    let (slab, tokens) = (per_slab(&windows) as u64, windows.tokens() as u64);
    let scores = 2 * slab * heads as u64 * tokens * tokens;
    let voxels = size.iter().product::<usize>() as u64;
    // Queries, keys and values of all voxels, and of a slab twice; the slabs' results.
    scores + channels as u64 * (4 * voxels + 6 * slab * tokens)
}

/// Index in the volume of each voxel of a slab's windows, window by window.
fn of_slab(windows: &Windows, slab: usize) -> impl Iterator<Item = usize> {
    slab_windows(windows, slab).flat_map(|window| windows.indices(window))
}

/// The windows of a slab.
fn slab_windows(windows: &Windows, slab: usize) -> std::ops::Range<usize> {
    slab * per_slab(windows)..(slab + 1) * per_slab(windows)
}

fn per_slab(windows: &Windows) -> usize {
    windows.count[1] * windows.count[2]
}

/// What is added to the scores of a slab, [windows, 1, tokens, tokens].
fn mask(windows: &Windows, slab: usize) -> Vec<f32> {
    let mut mask = Vec::with_capacity(per_slab(windows) * windows.tokens() * windows.tokens());
    for window in slab_windows(windows, slab) {
        let stretches: Vec<u8> = windows.stretches(window).collect();
        for query in &stretches {
            mask.extend(stretches.iter().map(|key| if key == query { 0.0 } else { APART }));
        }
    }
    mask
}

/// The bias of each pair of tokens, [heads, tokens, tokens], from the table of their relative places.
fn relative_bias(table: &Weight, heads: usize, window: [usize; 3], tokens: usize) -> Vec<f32> {
    let places = RelativePlaces::new(window);
    let mut bias = vec![0.0; heads * tokens * tokens];
    for query in 0..tokens {
        for key in 0..tokens {
            let row = places.of(query) + places.centre() - places.of(key);
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
    let (tokens, per_slab, channels) = (windows.tokens(), per_slab(&windows), step.channels / 3);
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
            of_slab(&windows, slab).map(|index| index as i64).collect()
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
                builder.values(&format!("mask {last} of {windows:?}"), &shape, || mask(&windows, slab))?;
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
        let order = (0..windows.count[0]).flat_map(|slab| of_slab(&windows, slab));
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
