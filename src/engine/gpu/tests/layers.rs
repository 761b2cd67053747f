//! Each operator by itself, between convolutions of one that read and write the ends.

use super::*;

/// A convolution between two others, so that it reads and writes tensors.
#[track_caller]
fn check_conv(channels: [usize; 2], kernel: [usize; 3], stride: [usize; 3], size: [usize; 3]) {
    let mut builder = Builder::new(1);
    let first = builder.conv(0, channels[0], [1; 3], [1; 3]);
    let second = builder.conv(first, channels[1], kernel, stride);
    let last = builder.transposed(second, 3, stride, stride);
    let last = builder.add(Op::CropLike, &[last, 0]);
    builder.add(Op::Relu, &[last]);
    check(builder.network, size);
}

#[test]
fn convolutions_of_three() {
    for size in [[1, 1, 1], [5, 6, 17]] {
        check_conv([16, 16], [3; 3], [1; 3], size);
    }
    check_conv([33, 7], [3; 3], [1; 3], [9, 7, 35]);
    check_conv([48, 80], [3; 3], [1; 3], [6, 9, 10]);
}

#[test]
fn convolutions_along_some_axes() {
    check_conv([16, 17], [1, 3, 3], [1; 3], [1, 17, 33]);
    check_conv([5, 32], [3, 1, 3], [1; 3], [5, 4, 17]);
    check_conv([20, 40], [3, 1, 1], [1; 3], [5, 4, 7]);
}

#[test]
fn strided_convolutions() {
    check_conv([16, 33], [3; 3], [2; 3], [16, 8, 18]);
    check_conv([5, 16], [2; 3], [2; 3], [4, 6, 10]);
    check_conv([5, 16], [1; 3], [2; 3], [4, 6, 10]);
    check_conv([20, 16], [1, 3, 3], [1, 2, 2], [1, 34, 36]);
    check_conv([20, 16], [3, 3, 3], [2, 1, 2], [4, 6, 10]);
}

#[test]
fn other_kernels() {
    check_conv([16, 16], [5; 3], [1; 3], [7, 5, 9]);
    check_conv([2, 19], [5, 3, 7], [2, 3, 1], [4, 9, 5]);
}

#[test]
fn transposed_convolutions() {
    for (kernel, stride) in
        [([2; 3], [2; 3]), ([1, 2, 2], [1, 2, 2]), ([3; 3], [2; 3]), ([4, 2, 3], [2, 1, 3]), ([1; 3], [2; 3])]
    {
        let size = std::array::from_fn(|axis| [4, 3, 5][axis] * stride[axis]);
        let mut builder = Builder::new(2);
        let first = builder.block(0, 19, stride, stride);
        let second = builder.transposed(first, 21, kernel, stride);
        let norm = builder.instance(second);
        builder.conv(norm, 2, [1; 3], [1; 3]);
        let last = builder.network.nodes().len() - 1;
        builder.add(Op::CropLike, &[last, 0]);
        check(builder.network, size);
    }
}

#[test]
fn the_image_is_read_as_it_is() {
    for (channels, kernel, stride) in [(1, 3, 1), (3, 7, 2), (18, 1, 1), (9, 3, 1)] {
        let mut builder = Builder::new(channels);
        let first = builder.conv(0, 17, [kernel; 3], [stride; 3]);
        let last = builder.transposed(first, 2, [stride; 3], [stride; 3]);
        builder.add(Op::CropLike, &[last, 0]);
        check(builder.network, [6, 6, 8]);
    }
}

#[test]
fn normalisations_and_activations() {
    check(test_networks::normalisations_and_activations(), [6, 9, 7]);
}

#[test]
fn statistics_of_many_groups() {
    let mut builder = Builder::new(1);
    let first = builder.conv(0, 20, [3; 3], [1; 3]);
    let norm = builder.instance(first);
    let active = builder.add(Op::Sigmoid, &[norm]);
    let norm = builder.group(active, 5);
    builder.conv(norm, 2, [1; 3], [1; 3]);
    check(builder.network, [13, 20, 36]);
}

#[test]
fn a_large_mean_costs_no_digits() {
    let mut builder = Builder::new(1);
    let weight = builder.random.weight(&[16, 1, 3, 3, 3], 0.2, 0.0);
    let bias = Some(builder.random.weight(&[16], 0.0, 1000.0));
    let conv = Op::Conv { weight, bias, kernel: [3; 3], stride: [1; 3], padding: [1; 3] };
    let last = builder.add(conv, &[0]);
    let last = builder.instance(last);
    builder.conv(last, 2, [1; 3], [1; 3]);
    // Values near 1000 are stored as halves that are 0.5 apart, beside a deviation of about 0.3; as single numbers
    // 6e-5.
    check_within(builder.network, [24; 3], [2.0, 1e-3]);
}

#[test]
fn values_with_several_readers() {
    // A normalised value is read with and without its activation, and concatenated with itself and others.
    let mut builder = Builder::new(1);
    let first = builder.conv(0, 20, [3; 3], [1; 3]);
    let norm = builder.instance(first);
    let active = builder.leaky(norm);
    let side = builder.conv(norm, 20, [3; 3], [1; 3]);
    let sum = builder.add(Op::Add, &[side, active]);
    let pooled = builder.add(Op::MaxPool { size: [2; 3] }, &[active]);
    let low = builder.conv(pooled, 8, [3; 3], [1; 3]);
    let up = builder.add(Op::Upsample { factor: [2; 3], align_corners: false }, &[low]);
    let all = builder.add(Op::Concat, &[sum, up, norm, 0]);
    let last = builder.conv(all, 18, [3; 3], [1; 3]);
    let last = builder.instance(last);
    builder.conv(last, 4, [1; 3], [1; 3]);
    check(builder.network, [6, 8, 10]);
}

#[test]
fn pools_interpolation_and_means() {
    for align_corners in [false, true] {
        let mut builder = Builder::new(3);
        let first = builder.block(0, 20, [3; 3], [1; 3]);
        let pooled = builder.add(Op::AveragePool { size: [2, 1, 3] }, &[first]);
        let up = builder.add(Op::Upsample { factor: [2, 1, 3], align_corners }, &[pooled]);
        let up = builder.add(Op::PadLike, &[up, first]);
        let mean = builder.add(Op::Mean { axes: [true; 3] }, &[up]);
        let gate = builder.conv(mean, 20, [1; 3], [1; 3]);
        let gate = builder.add(Op::Sigmoid, &[gate]);
        let gated = builder.add(Op::Multiply, &[up, gate]);
        let rows = builder.add(Op::Mean { axes: [false, true, false] }, &[gated]);
        let gated = builder.add(Op::Multiply, &[gated, rows]);
        let sum = builder.add(Op::Add, &[gated, first]);
        builder.conv(sum, 2, [1; 3], [1; 3]);
        check(builder.network, [5, 6, 10]);
    }
}

#[test]
fn the_image_as_a_residual() {
    let mut builder = Builder::new(4);
    let first = builder.conv(0, 4, [3; 3], [1; 3]);
    let norm = builder.instance(first);
    let sum = builder.add(Op::Add, &[norm, 0]);
    builder.add(Op::Relu, &[sum]);
    check(builder.network, [4, 5, 6]);
}
