//! ONNX Runtime's engines, on a network with every operator that is lowered in a way of its own.

use std::sync::Arc;

use crate::engine::{Device, DeviceOptions, Engine, EngineRequest, Precision, Provider, Workspace};
use crate::error::{Error, Result};
use crate::network::{Network, NodeId, Op, Weight};
use crate::progress::Cancel;

const TILE: [usize; 3] = [12, 16, 8];

/// Numbers between −1 and 1 that are the same each time.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn weight(name: &str, shape: &[usize], scale: f32) -> Arc<Weight> {
    let (count, seed) = (shape.iter().product(), name.len() as u32 + shape.iter().sum::<usize>() as u32);
    let data = numbers(count, seed).into_iter().map(|value| value * scale).collect();
    Arc::new(Weight { name: name.into(), shape: shape.to_vec(), data })
}

struct Maker(Network);

impl Maker {
    fn conv(
        &mut self,
        from: NodeId,
        out: usize,
        kernel: [usize; 3],
        stride: [usize; 3],
        scale: f32,
    ) -> NodeId {
        let shape = [out, self.0.channels(from), kernel[0], kernel[1], kernel[2]];
        let fan = shape[1..].iter().product::<usize>() as f32;
        let op = Op::Conv {
            weight: weight("weight", &shape, scale * (3.0 / fan).sqrt()),
            bias: Some(weight("bias", &[out], 0.1)),
            kernel,
            stride,
            padding: kernel.map(|size| size / 2),
        };
        self.0.add(op, &[from])
    }

    fn up(
        &mut self,
        from: NodeId,
        out: usize,
        kernel: [usize; 3],
        stride: [usize; 3],
        padding: [usize; 3],
    ) -> NodeId {
        let inputs = self.0.channels(from);
        let shape = [inputs, out, kernel[0], kernel[1], kernel[2]];
        let weight = weight("up weight", &shape, (3.0 / inputs as f32).sqrt());
        let bias = Some(self::weight("up bias", &[out], 0.1));
        self.0.add(Op::ConvTranspose { weight, bias, kernel, stride, padding }, &[from])
    }

    fn norm(&mut self, from: NodeId, groups: Option<usize>) -> NodeId {
        let channels = [self.0.channels(from)];
        let (scale, shift, epsilon) =
            (weight("scale", &channels, 1.0), weight("shift", &channels, 0.3), 1e-5);
        let op = match groups {
            None => Op::InstanceNorm { scale, shift, epsilon },
            Some(groups) => Op::GroupNorm { groups, scale, shift, epsilon },
        };
        self.0.add(op, &[from])
    }
}

/// A small U-Net with both kinds of transposed convolution.
fn network() -> Arc<Network> {
    let mut net = Maker(Network::new(2));
    let first = net.conv(0, 8, [3, 3, 3], [1, 1, 1], 1.0);
    let first = net.norm(first, None);
    let first = net.0.add(Op::LeakyRelu { slope: 0.01 }, &[first]);
    let low = net.conv(first, 16, [3, 3, 3], [2, 2, 1], 1.0);
    let low = net.norm(low, Some(4));
    let low = net.0.add(Op::PRelu { slope: weight("slope", &[16], 0.2) }, &[low]);
    let lower = net.conv(low, 16, [3, 3, 3], [1, 2, 2], 1.0);
    let lower = net.up(lower, 16, [3, 3, 3], [1, 2, 2], [1, 1, 1]);
    let low = net.0.add(Op::Add, &[low, lower]);
    let up = net.up(low, 8, [2, 2, 1], [2, 2, 1], [0; 3]);
    let joined = net.0.add(Op::Concat, &[first, up]);
    let pooled = net.0.add(Op::MaxPool { size: [2, 2, 2] }, &[joined]);
    let pooled = net.0.add(Op::Upsample { factor: [2, 2, 2], align_corners: false }, &[pooled]);
    let joined = net.0.add(Op::Add, &[joined, pooled]);
    net.conv(joined, 5, [1, 1, 1], [1, 1, 1], 1.0);
    Arc::new(net.0)
}

fn engine(device: Device, network: &Arc<Network>, precision: Precision) -> Result<Arc<dyn Engine>> {
    EngineRequest::new(device, TILE, precision, 2, &DeviceOptions::default(), &Cancel::new())
        .engine(network, 0)
}

/// The largest difference, in terms of the largest score.
fn deviation(found: &[f32], expected: &[f32]) -> f32 {
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    found.iter().zip(expected).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs())) / largest
}

/// Several tiles at once give the scores of each by itself, whatever is around it.
fn several_at_once(device: Device, precision: Precision, tolerance: f32) {
    let network = network();
    let one = engine(device, &network, precision).unwrap();
    let options = DeviceOptions { tile_batch: 3, ..DeviceOptions::default() };
    let three =
        EngineRequest::new(device, TILE, precision, 2, &options, &Cancel::new()).engine(&network, 0).unwrap();
    let told = |engine: &dyn Engine| (engine.info().batch, engine.info().narrowed);
    assert_eq!((told(&*one), told(&*three)), ((1, false), (3, false)));
    let voxels = TILE.iter().product::<usize>();
    let (size, scores) = (network.input_channels() * voxels, network.output_channels() * voxels);
    let tiles: Vec<f32> = (0..3).flat_map(|seed| numbers(size, 7 + seed)).collect();
    let run = |engine: &dyn Engine, input: &[f32], count: usize| {
        let mut found = vec![f32::NAN; count * scores];
        engine.run(&mut Workspace::default(), input, &mut found).unwrap();
        found
    };
    let expected: Vec<f32> = tiles.chunks(size).flat_map(|tile| run(&*one, tile, 1)).collect();
    let off = deviation(&run(&*three, &tiles, 3), &expected);
    eprintln!("{device}, {precision:?}: three tiles at once differ by {off:.1e}");
    assert!(off <= tolerance, "{device}, {precision:?}: {off}");
    // Then one at a time again.
    assert!(three.one_tile_at_a_time().unwrap());
    assert_eq!(told(&*three), (1, true));
    assert!(run(&*three, &tiles[..size], 1) == expected[..scores]);
    // A run that began before gives it three.
    assert!(run(&*three, &tiles, 3) == expected);
}

#[test]
fn several_tiles_at_once() {
    several_at_once(Device::OrtCpu, Precision::F32, 1e-6);
    several_at_once(Device::OrtCpu, Precision::F16, 4e-3);
}

#[test]
fn compiling_stops_when_it_is_cancelled() {
    let cancel = Cancel::new();
    let create = || {
        let options = DeviceOptions::default();
        EngineRequest::new(Device::OrtCpu, TILE, Precision::F32, 2, &options, &cancel).engine(&network(), 0)
    };
    cancel.request();
    assert!(matches!(create().err(), Some(Error::Cancelled)));
    cancel.reset();
    assert!(create().is_ok());
}

#[test]
fn what_is_not_here_says_what_is_missing() {
    for (provider, source) in
        [(Provider::Cuda, "onnxruntime-gpu"), (Provider::OpenVino, "onnxruntime-openvino")]
    {
        let error = engine(Device::Provider(provider, 0), &network(), Precision::F16).err().unwrap();
        assert!(matches!(error, Error::Device { .. }) && error.to_string().contains(source), "{error}");
    }
    let listed = crate::engine::devices();
    let cuda = listed.iter().find(|info| info.device == Device::Provider(Provider::Cuda, 0)).unwrap();
    assert!(cuda.reason.as_ref().is_some_and(|reason| reason.contains("onnxruntime-gpu")), "{cuda:?}");
    assert_eq!(Device::from_name("gpu:3").unwrap(), Device::Gpu(3));
    assert!(Device::from_name("cpu:1").is_err() && Device::from_name("cuda:x").is_err());
}
