//! What a plan's dispatches multiply out to, beside the model of what nnU-Net's network of 31 million parameters has to
//! read, write and compute on a tile of 128³: each layer reads its input and writes its result once, a convolution and
//! its statistics are two dispatches. One more pass over a tensor is one more dispatch, or more bytes. No device is
//! needed.

use super::super::class::Matrices;
use super::super::lower::{Target, lower};
use super::super::program::in_numbers;
use super::super::vulkan::Matrix;
use super::*;
use crate::engine::DispatchInfo;
use crate::network::{NodeId, Weight};

const WIDTHS: [usize; 6] = [32, 64, 128, 256, 320, 320];
const CLASSES: usize = 25;
const TILE: usize = 128;

fn zeros(shape: &[usize]) -> Arc<Weight> {
    Arc::new(Weight { name: "w".into(), shape: shape.into(), data: vec![0.0; shape.iter().product()] })
}

fn block(network: &mut Network, input: NodeId, out: usize, stride: usize) -> NodeId {
    let (weight, bias) = (zeros(&[out, network.channels(input), 3, 3, 3]), Some(zeros(&[out])));
    let conv = Op::Conv { weight, bias, kernel: [3; 3], stride: [stride; 3], padding: [1; 3] };
    let conv = network.add(conv, &[input]);
    let (scale, shift) = (zeros(&[out]), zeros(&[out]));
    let norm = network.add(Op::InstanceNorm { scale, shift, epsilon: 1e-5 }, &[conv]);
    network.add(Op::LeakyRelu { slope: 0.01 }, &[norm])
}

fn unet() -> Network {
    let mut network = Network::new(1);
    let (mut last, mut skips) = (0, Vec::new());
    for (level, &width) in WIDTHS.iter().enumerate() {
        last = block(&mut network, last, width, if level > 0 { 2 } else { 1 });
        last = block(&mut network, last, width, 1);
        skips.push(last);
    }
    for level in (0..WIDTHS.len() - 1).rev() {
        let (below, width) = (network.channels(last), WIDTHS[level]);
        let (weight, bias) = (zeros(&[below, width, 2, 2, 2]), Some(zeros(&[width])));
        let up = Op::ConvTranspose { weight, bias, kernel: [2; 3], stride: [2; 3], padding: [0; 3] };
        let up = network.add(up, &[last]);
        let joined = network.add(Op::Concat, &[up, skips[level]]);
        last = block(&mut network, joined, width, 1);
        last = block(&mut network, last, width, 1);
    }
    let (weight, bias) = (zeros(&[CLASSES, WIDTHS[0], 1, 1, 1]), Some(zeros(&[CLASSES])));
    network.add(Op::Conv { weight, bias, kernel: [1; 3], stride: [1; 3], padding: [0; 3] }, &[last]);
    network
}

/// What the network has to do: dispatches, bytes of halves, and operations with channels in sixteens.
#[derive(Debug, Default)]
struct Model {
    dispatches: usize,
    bytes: f64,
    operations: f64,
}

impl Model {
    /// A layer whose result has so many voxels along an axis, and whose input `grown` times as many voxels.
    fn layer(&mut self, at: usize, [inputs, outputs]: [usize; 2], [kernel, places]: [usize; 2], grown: f64) {
        let voxels = at.pow(3) as f64;
        let scores = kernel == 1;
        // Scores are in single precision; statistics follow on convolutions of three.
        let width = if scores { 2.0 } else { 1.0 };
        self.dispatches += if kernel == 3 { 2 } else { 1 };
        self.bytes += 2.0 * voxels * (grown * inputs as f64 + outputs as f64 * width)
            + (2 * inputs * outputs * kernel.pow(3)) as f64;
        let inputs = if inputs == 1 { 1 } else { inputs.next_multiple_of(16) };
        self.operations += 2.0 * voxels * (inputs * outputs.next_multiple_of(16) * places) as f64;
    }

    fn of_the_unet() -> Self {
        let mut model = Model::default();
        for (level, &width) in WIDTHS.iter().enumerate() {
            let (at, before) = (TILE >> level, if level > 0 { WIDTHS[level - 1] } else { 1 });
            model.layer(at, [before, width], [3, 27], if level > 0 { 8.0 } else { 1.0 });
            model.layer(at, [width, width], [3, 27], 1.0);
        }
        for level in (0..WIDTHS.len() - 1).rev() {
            let (at, width) = (TILE >> level, WIDTHS[level]);
            model.layer(at, [WIDTHS[level + 1], width], [2, 1], 1.0 / 8.0);
            model.layer(at, [2 * width, width], [3, 27], 1.0);
            model.layer(at, [width, width], [3, 27], 1.0);
        }
        model.layer(TILE, [WIDTHS[0], CLASSES], [1, 1], 1.0);
        model
    }
}

/// A GPU's peaks, the share of them that kernels like ours have reached, and the groups that run at once.
struct Peaks {
    operations: f64,
    bytes: f64,
    share: f64,
    groups: f64,
}

/// A GeForce RTX 3090.
const PEAKS: Peaks = Peaks { operations: 71e12, bytes: 0.936e12, share: 0.6, groups: 82.0 * 3.0 };

impl Peaks {
    /// Seconds of a dispatch: the longer of computing and moving, with the last wave of groups not full.
    fn seconds(&self, of: &DispatchInfo) -> f64 {
        let computing = 2.0 * of.multiply_adds as f64 / self.operations / self.share;
        let moving = (of.read + of.written) as f64 / self.bytes / 0.8;
        let waves = of.groups.iter().map(|&count| f64::from(count)).product::<f64>() / self.groups;
        computing.max(moving) * waves.ceil() / waves + 4e-6
    }
}

fn dispatches(half: bool) -> Vec<DispatchInfo> {
    let matrix = Matrix { m: 16, n: 16, k: 16 };
    let matrices = Matrices { matrix, lanes: 32, teams: 4, rows: 4, most_eights: 8 };
    let target = Target { half, shared: 32 << 10, matrices: half.then_some(matrices) };
    in_numbers(&lower(&unet(), [TILE; 3], target).unwrap().steps, target)
}

#[test]
fn no_pass_over_memory_is_added() {
    let (model, found) = (Model::of_the_unet(), dispatches(true));
    let bytes: u64 = found.iter().map(|info| info.read + info.written).sum();
    let operations: u64 = found.iter().map(|info| 2 * info.multiply_adds).sum();
    let seconds: f64 = found.iter().map(|info| PEAKS.seconds(info)).sum();
    let [bytes, operations] = [bytes as f64 / model.bytes, operations as f64 / model.operations];
    eprintln!(
        "{model:?}: {bytes:.4} of the bytes, {operations:.4} of the operations, {:.1} ms",
        seconds * 1e3
    );
    assert_eq!(found.len(), model.dispatches);
    // More are the statistics of each group of voxels, written once and read once; channels of scores in sixteens.
    assert!((1.0..1.02).contains(&bytes), "{bytes}");
    assert!((1.0..1.01).contains(&operations), "{operations}");
    assert!(seconds < 40e-3, "{seconds} s");
}

#[test]
fn single_numbers_are_twice_the_bytes() {
    let bytes = |half| dispatches(half).iter().map(|info| info.read + info.written).sum::<u64>() as f64;
    let ratio = bytes(false) / bytes(true);
    assert!((1.8..2.0).contains(&ratio), "{ratio}");
}
