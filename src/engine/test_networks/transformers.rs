//! Small networks of transformers and depthwise convolutions, and the tiles that they are for.

use super::Builder;
use crate::network::{Network, NodeId, Op};

type Case = (Network, [usize; 3]);

fn layer_norm(builder: &mut Builder, input: NodeId) -> NodeId {
    let channels = builder.network.channels(input);
    let [scale, shift] = [1.0, 0.0].map(|offset| builder.random.weight(&[channels], 0.5, offset));
    builder.add(Op::LayerNorm { scale, shift, epsilon: 1e-5 }, &[input])
}

/// Queries, keys and values, attention and what follows, as in a block of Swin Transformer.
fn block(
    builder: &mut Builder,
    input: NodeId,
    heads: usize,
    window: [usize; 3],
    shift: Option<[usize; 3]>,
) -> NodeId {
    let channels = builder.network.channels(input);
    let normal = layer_norm(builder, input);
    let padded = builder.add(Op::PadToWindows { window }, &[normal]);
    let qkv = builder.conv(padded, 3 * channels, [1; 3], [1; 3]);
    let attended = match shift {
        Some(shift) => {
            let rows = window.iter().map(|size| 2 * size - 1).product();
            let bias = builder.random.weight(&[rows, heads], 1.0, 0.0);
            builder.add(Op::WindowAttention { bias, heads, window, shift }, &[qkv])
        }
        None => builder.add(Op::Attention { heads, window }, &[qkv]),
    };
    let cropped = builder.add(Op::CropLike, &[attended, input]);
    let projected = builder.conv(cropped, channels, [1; 3], [1; 3]);
    let sum = builder.add(Op::Add, &[input, projected]);
    let normal = layer_norm(builder, sum);
    let wide = builder.conv(normal, 2 * channels, [1; 3], [1; 3]);
    let active = builder.add(Op::Gelu, &[wide]);
    let narrow = builder.conv(active, channels, [1; 3], [1; 3]);
    builder.add(Op::Add, &[sum, narrow])
}

/// Heads in whole blocks, across blocks and within one; windows that fit, that are padded and that are larger.
pub(in crate::engine) fn windows_of_every_kind() -> Vec<Case> {
    let mut cases = Vec::new();
    for (channels, heads) in [(32, 2), (30, 3), (66, 1), (24, 6)] {
        for (window, shift) in [([2, 2, 3], [0; 3]), ([2, 2, 3], [1, 1, 1]), ([4, 3, 5], [2, 1, 2])] {
            let mut builder = Builder::new(2);
            let first = builder.conv(0, channels, [1; 3], [1; 3]);
            let last = block(&mut builder, first, heads, window, Some(shift));
            builder.conv(last, 2, [1; 3], [1; 3]);
            cases.push((builder.network, [4, 5, 6]));
        }
    }
    cases
}

/// Attention among all voxels, with numbers for each of them.
pub(in crate::engine) fn attention_of_a_whole_image() -> Vec<Case> {
    let mut cases = Vec::new();
    for (channels, heads, size) in [(12, 1, [1, 1, 1]), (66, 2, [2, 3, 5]), (20, 5, [4, 4, 4])] {
        let mut builder = Builder::new(1);
        let first = builder.conv(0, channels, [1; 3], [1; 3]);
        let value = builder.random.weight(&[channels, size[0], size[1], size[2]], 1.0, 0.0);
        let places = builder.add(Op::Constant { value }, &[]);
        let first = builder.add(Op::Add, &[first, places]);
        let last = block(&mut builder, first, heads, size, None);
        builder.conv(last, 3, [1; 3], [1; 3]);
        cases.push((builder.network, size));
    }
    cases
}

/// Swin Transformer's order, and another with a place twice, for channels that fill blocks and that don't.
pub(in crate::engine) fn patches_merge() -> Vec<Case> {
    let mut cases = Vec::new();
    let order = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 0], [0, 0, 1], [1, 1, 1]];
    for channels in [16, 20] {
        let mut builder = Builder::new(1);
        let first = builder.conv(0, channels, [3; 3], [1; 3]);
        let first = builder.instance(first);
        let merged = builder.add(Op::PatchMerge { places: order }, &[first]);
        let normal = layer_norm(&mut builder, merged);
        let last = builder.conv(normal, 24, [1; 3], [1; 3]);
        builder.transposed(last, 2, [2; 3], [2; 3]);
        cases.push((builder.network, [4, 6, 8]));
    }
    cases
}

/// Forward, then transposed, with a normalisation between.
pub(in crate::engine) fn depthwise_convolutions() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kernel, stride, size) in
        [([3; 3], [1; 3], [3, 8, 13]), ([5; 3], [2; 3], [6, 8, 10]), ([1, 3, 7], [1, 2, 1], [2, 6, 11])]
    {
        for channels in [16, 37] {
            let mut builder = Builder::new(1);
            let first = builder.conv(0, channels, [1; 3], [1; 3]);
            let padding = kernel.map(|size| size / 2);
            let weights = |builder: &mut Builder| {
                let weight = builder.random.weight(&[channels, 1, kernel[0], kernel[1], kernel[2]], 0.5, 0.0);
                (weight, builder.random.weight(&[channels], 0.5, 0.0))
            };
            let (weight, bias) = weights(&mut builder);
            let down = builder.add(Op::Depthwise { weight, bias, kernel, stride, padding }, &[first]);
            let down = builder.group(down, channels);
            let down = builder.leaky(down);
            let (weight, bias) = weights(&mut builder);
            let up = builder.add(Op::DepthwiseTranspose { weight, bias, kernel, stride, padding }, &[down]);
            let planes = stride.map(|step| step - 1);
            let up = builder.add(Op::PadFront { planes }, &[up]);
            let up = builder.add(Op::CropLike, &[up, 0]);
            builder.conv(up, 2, [1; 3], [1; 3]);
            cases.push((builder.network, size));
        }
    }
    cases
}

/// Fewer voxels and as many again, the outermost ones together.
pub(in crate::engine) fn downsampling() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut builder = Builder::new(1);
    let first = builder.conv(0, 20, [3; 3], [1; 3]);
    let first = builder.instance(first);
    let down = builder.add(Op::Downsample { factor: [1, 2, 2] }, &[first]);
    let up = builder.add(Op::Upsample { factor: [1, 2, 2], align_corners: true }, &[down]);
    builder.conv(up, 2, [1; 3], [1; 3]);
    cases.push((builder.network, [3, 6, 10]));
    cases
}
