//! Networks of transformers and depthwise convolutions.

use super::*;
use crate::engine::test_networks::transformers;

fn check_all(cases: Vec<(Network, [usize; 3])>) {
    cases.into_iter().for_each(|(network, size)| check(network, size));
}

#[test]
fn windows_of_every_kind() {
    check_all(transformers::windows_of_every_kind());
}

#[test]
fn attention_of_a_whole_image() {
    check_all(transformers::attention_of_a_whole_image());
}

#[test]
fn patches_merge() {
    check_all(transformers::patches_merge());
}

#[test]
fn depthwise_convolutions() {
    check_all(transformers::depthwise_convolutions());
}

#[test]
fn downsampling() {
    check_all(transformers::downsampling());
}

/// Images that take several groups of queries, and more keys than are looked at together.
#[test]
fn attention_of_many_voxels() {
    let mut builder = Builder::new(1);
    let first = builder.conv(0, 3 * 40, [1; 3], [1; 3]);
    let attended = builder.add(Op::Attention { heads: 2, window: [5, 6, 7] }, &[first]);
    builder.conv(attended, 2, [1; 3], [1; 3]);
    check(builder.network, [5, 6, 14]);
}

/// Heads so wide that a group looks at a few queries only.
#[test]
fn attention_with_wide_heads() {
    for width in [100, 200] {
        let mut builder = Builder::new(1);
        let first = builder.conv(0, 3 * width, [1; 3], [1; 3]);
        let attended = builder.add(Op::Attention { heads: 1, window: [3; 3] }, &[first]);
        builder.conv(attended, 2, [1; 3], [1; 3]);
        check(builder.network, [3; 3]);
    }
}

/// Statistics that a depthwise convolution gathers in several groups.
#[test]
fn depthwise_convolutions_of_large_images() {
    let mut builder = Builder::new(1);
    let first = builder.conv(0, 20, [1; 3], [1; 3]);
    let weight = builder.random.weight(&[20, 1, 3, 3, 3], 0.5, 0.0);
    let bias = builder.random.weight(&[20], 0.5, 0.0);
    let (kernel, stride, padding) = ([3; 3], [1; 3], [1; 3]);
    let deep = builder.add(Op::Depthwise { weight, bias, kernel, stride, padding }, &[first]);
    let norm = builder.instance(deep);
    builder.conv(norm, 2, [1; 3], [1; 3]);
    check(builder.network, [9, 11, 13]);
}
