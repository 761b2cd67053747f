//! Layers and networks beside their definitions in double precision, for every instruction set of the machine.

mod double;
mod transformers;

use std::sync::Arc;

use double::Tensor;

use super::{Algorithm, CpuEngine, CpuOptions, Isa, LARGE, Settings};
use crate::engine::test_networks::{self, Builder, Random};
use crate::engine::{Engine, Workspace};
use crate::network::{Network, OnnxFile, Op};

fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.available())
}

fn run(network: &Arc<Network>, image: &Tensor, settings: Settings, isa: Isa) -> Vec<f32> {
    let options = CpuOptions { convolution: settings.convolution, isa };
    let mut workspace = Workspace::default();
    let engine = CpuEngine::with(network, image.size, options, settings).unwrap();
    let input: Vec<f32> = image.values.iter().map(|&x| x as f32).collect();
    let mut output = vec![f32::NAN; network.output_channels() * image.size.iter().product::<usize>()];
    engine.run(&mut workspace, &input, &mut output).unwrap();
    let first = output.clone();
    // A second run finds the memory as the first one left it, a third one as another network may leave it.
    engine.run(&mut workspace, &input, &mut output).unwrap();
    assert!(first.iter().zip(&output).all(|(a, b)| a.to_bits() == b.to_bits()));
    workspace.poison();
    let mut elsewhere = vec![f32::NAN; first.len() + 3];
    engine.run(&mut workspace, &input, &mut elsewhere[3..]).unwrap();
    assert!(first.iter().zip(&elsewhere[3..]).all(|(a, b)| a.to_bits() == b.to_bits()));
    output
}

fn image(channels: usize, size: [usize; 3]) -> Tensor {
    let mut random = Random(1);
    let mut image = Tensor::zeros(channels, size);
    image.values.iter_mut().for_each(|value| *value = f64::from(random.next()));
    image
}

/// The root of the mean squared error, in terms of the expected values' own.
fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let errors: f64 = found.iter().zip(expected).map(|(&a, b)| (f64::from(a) - b).powi(2)).sum();
    let values: f64 = expected.iter().map(|b| b.powi(2)).sum();
    // Everything may be zero behind an activation.
    (errors / values.max(1e-30)).sqrt()
}

/// Checks a network in both modes on all instruction sets, with one to three threads.
#[track_caller]
fn check(network: Network, size: [usize; 3]) {
    let network = Arc::new(network);
    let image = image(network.input_channels(), size);
    let expected = double::run(&network, &image).pop().unwrap().values;
    for isa in isas() {
        // Sharing memory is tried on tensors of any size too.
        for (convolution, large, bound) in [
            (Algorithm::Direct, LARGE, 5e-6),
            (Algorithm::Winograd, LARGE, 1e-5),
            (Algorithm::Winograd, 0, 1e-5),
        ] {
            let found = run(&network, &image, Settings { convolution, threads: 1, large }, isa);
            let error = error(&found, &expected);
            assert!(error < bound, "{isa:?} {convolution:?} {size:?}: {error:e}");
            for threads in [2, 3] {
                let again = run(&network, &image, Settings { convolution, threads, large }, isa);
                let same = found.iter().zip(&again).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{isa:?} {convolution:?} with {threads} threads");
            }
        }
    }
}

/// A convolution between two others, so that it reads and writes blocks.
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

const SIZES: [[usize; 3]; 7] =
    [[1, 1, 1], [1, 2, 5], [2, 7, 5], [4, 4, 4], [5, 1, 17], [7, 9, 3], [3, 8, 13]];

#[test]
fn convolutions_of_three() {
    for size in SIZES {
        for channels in [[16, 16], [3, 20], [33, 7]] {
            check_conv(channels, [3; 3], [1; 3], size);
        }
    }
    check_conv([48, 80], [3; 3], [1; 3], [12, 9, 10]);
}

#[test]
fn convolutions_along_two_axes() {
    for size in [[1, 1, 1], [1, 7, 5], [5, 4, 17]] {
        check_conv([16, 17], [1, 3, 3], [1; 3], size);
        check_conv([5, 32], [3, 1, 3], [1; 3], size);
        check_conv([5, 32], [3, 3, 1], [1; 3], size);
    }
}

#[test]
fn strided_convolutions() {
    for size in [[2, 2, 2], [4, 6, 10], [16, 8, 18]] {
        check_conv([16, 33], [3; 3], [2; 3], size);
        check_conv([5, 16], [2; 3], [2; 3], size);
        check_conv([5, 16], [1; 3], [2; 3], size);
        check_conv([20, 16], [3; 3], [1, 2, 2], size);
        check_conv([20, 16], [1, 3, 3], [1, 2, 2], size);
        check_conv([20, 16], [3, 3, 3], [2, 1, 2], size);
    }
}

#[test]
fn other_kernels() {
    for size in [[1, 1, 1], [7, 5, 9]] {
        check_conv([16, 16], [5; 3], [1; 3], size);
        check_conv([2, 3], [7, 1, 5], [1; 3], size);
    }
    check_conv([2, 19], [5, 3, 7], [2, 3, 1], [4, 9, 5]);
}

#[test]
fn transposed_convolutions() {
    for (kernel, stride) in
        [([2; 3], [2; 3]), ([1, 2, 2], [1, 2, 2]), ([3; 3], [2; 3]), ([4, 2, 3], [2, 1, 3]), ([1; 3], [2; 3])]
    {
        for size in [[2, 2, 2], [4, 6, 12], [8, 4, 6]] {
            let small = std::array::from_fn(|axis| size[axis] * stride[axis]);
            let mut builder = Builder::new(2);
            let first = builder.conv_padded(0, 19, stride, stride, [0; 3], false);
            let norm = builder.instance(first);
            let first = builder.leaky(norm);
            let second = builder.transposed(first, 21, kernel, stride);
            let norm = builder.instance(second);
            builder.conv(norm, 2, [1; 3], [1; 3]);
            check(builder.network, small);
        }
    }
}

#[test]
fn the_image_is_read_as_it_is() {
    for channels in [1, 3, 18] {
        for (kernel, stride) in [([3; 3], [1; 3]), ([1, 3, 3], [1; 3]), ([7; 3], [2; 3]), ([1; 3], [1; 3])] {
            let mut builder = Builder::new(channels);
            let first = builder.conv(0, 17, kernel, stride);
            let last = builder.transposed(first, 2, stride, stride);
            builder.add(Op::CropLike, &[last, 0]);
            check(builder.network, [5, 6, 7]);
        }
    }
}

#[test]
fn normalisations_and_activations() {
    check(test_networks::normalisations_and_activations(), [6, 9, 7]);
}

#[test]
fn a_large_mean_costs_no_digits() {
    let mut builder = Builder::new(1);
    let channels = 16;
    let weight = builder.random.weight(&[channels, 1, 3, 3, 3], 0.2, 0.0);
    let bias = Some(builder.random.weight(&[channels], 0.0, 1000.0));
    let conv = Op::Conv { weight, bias, kernel: [3; 3], stride: [1; 3], padding: [1; 3] };
    let last = builder.add(conv, &[0]);
    let last = builder.instance(last);
    builder.conv(last, 2, [1; 3], [1; 3]);
    let network = Arc::new(builder.network);
    let image = image(1, [24, 24, 24]);
    let expected = double::run(&network, &image).pop().unwrap().values;
    for isa in isas() {
        // Values near 1000 are rounded by up to 3e-5 for each of 27 terms, beside a deviation of about 0.3.
        let error = error(
            &run(
                &network,
                &image,
                Settings { convolution: Algorithm::Winograd, threads: 2, large: LARGE },
                isa,
            ),
            &expected,
        );
        assert!(error < 1e-3, "{isa:?}: {error:e}");
    }
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
        let first = builder.conv(0, 20, [3; 3], [1; 3]);
        let norm = builder.instance(first);
        let first = builder.leaky(norm);
        let pooled = builder.add(Op::AveragePool { size: [2, 1, 2] }, &[first]);
        let up = builder.add(Op::Upsample { factor: [2, 1, 2], align_corners }, &[pooled]);
        let up = builder.add(Op::PadLike, &[up, first]);
        let mean = builder.add(Op::Mean { axes: [true; 3] }, &[up]);
        let gate = builder.conv(mean, 20, [1; 3], [1; 3]);
        let gate = builder.add(Op::Sigmoid, &[gate]);
        let gated = builder.add(Op::Multiply, &[up, gate]);
        let sum = builder.add(Op::Add, &[gated, first]);
        builder.conv(sum, 2, [1; 3], [1; 3]);
        check(builder.network, [5, 6, 9]);
    }
}

#[test]
fn memory_is_shared_along_a_small_unet() {
    for (strides, size) in [([[2; 3], [1, 2, 2]], [20, 24, 12]), ([[1, 2, 2], [2; 3]], [6, 28, 20])] {
        let mut builder = Builder::new(1);
        let block = |builder: &mut Builder, input, out, kernel, stride| {
            let conv = builder.conv(input, out, kernel, stride);
            let norm = builder.instance(conv);
            builder.leaky(norm)
        };
        let mut last = block(&mut builder, 0, 17, [3; 3], [1; 3]);
        let top = block(&mut builder, last, 17, [3; 3], [1; 3]);
        last = block(&mut builder, top, 30, [3; 3], strides[0]);
        let middle = block(&mut builder, last, 30, [1, 3, 3], [1; 3]);
        last = block(&mut builder, middle, 40, [3; 3], strides[1]);
        last = block(&mut builder, last, 40, [3; 3], [1; 3]);
        for (skip, stride) in [(middle, strides[1]), (top, strides[0])] {
            let out = builder.network.channels(skip);
            last = builder.transposed(last, out, stride, stride);
            last = builder.add(Op::Concat, &[last, skip]);
            last = block(&mut builder, last, out, [3; 3], [1; 3]);
            last = block(&mut builder, last, out, [3; 3], [1; 3]);
        }
        builder.conv(last, 5, [1; 3], [1; 3]);
        let network = Arc::new(builder.network);
        let engine = |large| {
            let settings = Settings { convolution: Algorithm::Winograd, threads: 1, large };
            let (size, options) = (size.map(|size| 4 * size), CpuOptions::default());
            CpuEngine::with(&network, size, options, settings).unwrap()
        };
        let bytes = |large| engine(large).program.working_bytes();
        assert!(bytes(0) < bytes(usize::MAX), "{} {}", bytes(0), bytes(usize::MAX));
        check(Arc::unwrap_or_clone(network), size);
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

#[test]
fn networks_that_share_their_memory() {
    let network = |width| {
        let mut builder = Builder::new(1);
        let first = builder.conv(0, width, [3; 3], [1; 3]);
        builder.conv(first, 2, [1; 3], [1; 3]);
        Arc::new(builder.network)
    };
    let (mut workspace, options) = (Workspace::default(), CpuOptions::default());
    let engines = [16, 48, 16].map(|width| CpuEngine::new(&network(width), [8; 3], 1, options).unwrap());
    let needs = engines.each_ref().map(|engine| engine.info().workspace_bytes);
    assert!(needs[0] < needs[1]);
    let image: Vec<f32> = (0..512).map(|k| (k % 7) as f32).collect();
    let mut scores = [(); 3].map(|()| vec![0.0; 1024]);
    for (engine, scores) in engines.iter().zip(&mut scores) {
        engine.run(&mut workspace, &image, scores).unwrap();
    }
    assert_eq!(workspace.bytes(), needs[1]);
    let mut again = vec![0.0; 1024];
    engines[0].run(&mut workspace, &image, &mut again).unwrap();
    assert!(scores[0] == scores[2] && scores[0] == again && scores[0] != scores[1]);
}

/// Statistics that runs find out while they run are each run's own.
#[test]
fn threads_run_one_engine_at_once() {
    let mut builder = Builder::new(1);
    let first = builder.conv(0, 16, [3; 3], [1; 3]);
    let first = builder.instance(first);
    let first = builder.leaky(first);
    builder.conv(first, 2, [1; 3], [1; 3]);
    let engine = CpuEngine::new(&Arc::new(builder.network), [8; 3], 2, CpuOptions::default()).unwrap();
    let scores = |seed: usize| {
        let image: Vec<f32> = (0..512).map(|k| (k * (seed + 3) % 11) as f32).collect();
        let mut scores = vec![0.0; 1024];
        engine.run(&mut Workspace::default(), &image, &mut scores).unwrap();
        scores
    };
    let expected: Vec<Vec<f32>> = (0..4).map(scores).collect();
    std::thread::scope(|scope| {
        for (seed, expected) in expected.iter().enumerate() {
            let scores = &scores;
            scope.spawn(move || (0..20).for_each(|_| assert!(scores(seed) == *expected)));
        }
    });
}

#[test]
fn onnx_files_are_refused() {
    let mut builder = Builder::new(3);
    let file = OnnxFile(crate::file::Bytes::from(vec![0]));
    builder.add(Op::Onnx { file, classes: 2 }, &[0]);
    assert!(!CpuEngine::supports(&builder.network));
    let result = CpuEngine::new(&Arc::new(builder.network), [4; 3], 1, CpuOptions::default());
    assert!(result.err().unwrap().to_string().to_lowercase().contains("onnx"));
}

#[test]
fn channels_that_are_constant_but_for_their_borders() {
    // As in tiles of nothing but air: variances are tiny, and normalisation magnifies what the sums have lost.
    let mut builder = Builder::new(1);
    let mut last = 0;
    for _ in 0..3 {
        last = builder.conv(last, 16, [3; 3], [1; 3]);
        last = builder.instance(last);
        last = builder.leaky(last);
    }
    builder.conv(last, 2, [1; 3], [1; 3]);
    let network = Arc::new(builder.network);
    let mut image = Tensor::zeros(1, [24, 20, 28]);
    image.values.fill(-1.5);
    let expected = double::run(&network, &image).pop().unwrap().values;
    for isa in isas() {
        for (convolution, bound) in [(Algorithm::Direct, 1e-5), (Algorithm::Winograd, 1e-4)] {
            let settings = Settings { convolution, threads: 2, large: LARGE };
            let error = error(&run(&network, &image, settings, isa), &expected);
            assert!(error < bound, "{isa:?} {convolution:?}: {error:e}");
        }
    }
}

/// The table of docs/numerics.md: `cargo test --lib errors_of_layers -- --nocapture`.
#[test]
fn errors_of_layers() {
    let layers = [([16, 32], [3; 3], [1; 3]), ([64, 32], [3; 3], [1; 3]), ([32, 32], [1, 3, 3], [1; 3])];
    let strided = [([32, 64], [3; 3], [2; 3]), ([32, 32], [3; 3], [1, 2, 2])];
    for (channels, kernel, stride) in layers.into_iter().chain(strided) {
        let mut builder = Builder::new(channels[0]);
        let last = builder.conv(0, channels[0], [1; 3], [1; 3]);
        let last = builder.conv(last, channels[1], kernel, stride);
        builder.transposed(last, 2, stride, stride);
        let network = Arc::new(builder.network);
        let image = image(channels[0], [16, 16, 16]);
        let expected = double::run(&network, &image).pop().unwrap().values;
        for (convolution, bound) in [(Algorithm::Direct, 1e-6), (Algorithm::Winograd, 1e-5)] {
            let settings = Settings { convolution, threads: 2, large: LARGE };
            let error = error(&run(&network, &image, settings, Isa::Auto), &expected);
            eprintln!("{channels:?}, kernel {kernel:?}, stride {stride:?}, {convolution:?}: {error:.1e}");
            assert!(error < bound, "{channels:?} {kernel:?} {stride:?} {convolution:?}: {error:e}");
        }
    }
}
