//! Networks for the tests of engines, with random weights.

pub(in crate::engine) mod transformers;

use std::sync::Arc;

use crate::network::{Network, NodeId, Op, Weight};

/// Numbers between −1 and 1 from a counter (SplitMix64).
pub(in crate::engine) struct Random(pub u64);

impl Random {
    pub(in crate::engine) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(in crate::engine) fn weight(&mut self, shape: &[usize], scale: f32, offset: f32) -> Arc<Weight> {
        let data = (0..shape.iter().product()).map(|_| offset + scale * self.next()).collect();
        Arc::new(Weight { name: "w".into(), shape: shape.to_vec(), data })
    }
}

/// A few layers, with weights of their own for each seed. Scores are normalised, so that no class has all voxels.
pub(crate) fn small(classes: usize, seed: u64) -> Network {
    let mut builder = Builder::new(1);
    builder.random = Random(seed);
    let first = builder.block(0, 8, [3; 3], [1; 3]);
    let second = builder.block(first, 16, [3; 3], [1; 3]);
    let scores = builder.conv(second, classes, [1; 3], [1; 3]);
    builder.instance(scores);
    builder.network
}

/// A network in the making.
pub(in crate::engine) struct Builder {
    pub network: Network,
    pub random: Random,
}

impl Builder {
    pub(in crate::engine) fn new(channels: usize) -> Self {
        Builder { network: Network::new(channels), random: Random(7) }
    }

    /// A convolution that keeps the size but for its stride.
    pub(in crate::engine) fn conv(
        &mut self,
        input: NodeId,
        out: usize,
        kernel: [usize; 3],
        stride: [usize; 3],
    ) -> NodeId {
        let padding = kernel.map(|size| (size - 1) / 2);
        self.conv_padded(input, out, kernel, stride, padding, true)
    }

    pub(in crate::engine) fn conv_padded(
        &mut self,
        input: NodeId,
        out: usize,
        kernel: [usize; 3],
        stride: [usize; 3],
        padding: [usize; 3],
        bias: bool,
    ) -> NodeId {
        let channels = self.network.channels(input);
        let fan = (channels * kernel.iter().product::<usize>()) as f32;
        let shape = [out, channels, kernel[0], kernel[1], kernel[2]];
        let weight = self.random.weight(&shape, 2.0 / fan.sqrt(), 0.0);
        let bias = bias.then(|| self.random.weight(&[out], 0.5, 0.0));
        self.network.add(Op::Conv { weight, bias, kernel, stride, padding }, &[input])
    }

    pub(in crate::engine) fn transposed(
        &mut self,
        input: NodeId,
        out: usize,
        kernel: [usize; 3],
        stride: [usize; 3],
    ) -> NodeId {
        let channels = self.network.channels(input);
        let padding = std::array::from_fn(|axis| (kernel[axis].max(stride[axis]) - stride[axis]).div_ceil(2));
        let weight = self.random.weight(&[channels, out, kernel[0], kernel[1], kernel[2]], 0.5, 0.0);
        let bias = Some(self.random.weight(&[out], 0.5, 0.0));
        self.network.add(Op::ConvTranspose { weight, bias, kernel, stride, padding }, &[input])
    }

    pub(in crate::engine) fn instance(&mut self, input: NodeId) -> NodeId {
        let [scale, shift] = self.affine(input);
        self.network.add(Op::InstanceNorm { scale, shift, epsilon: 1e-5 }, &[input])
    }

    pub(in crate::engine) fn group(&mut self, input: NodeId, groups: usize) -> NodeId {
        let [scale, shift] = self.affine(input);
        self.network.add(Op::GroupNorm { groups, scale, shift, epsilon: 1e-5 }, &[input])
    }

    fn affine(&mut self, input: NodeId) -> [Arc<Weight>; 2] {
        let channels = self.network.channels(input);
        [1.0, 0.0].map(|offset| self.random.weight(&[channels], 0.5, offset))
    }

    pub(in crate::engine) fn batch(&mut self, input: NodeId) -> NodeId {
        let channels = self.network.channels(input);
        let mut weight = |offset| self.random.weight(&[channels], 0.5, offset);
        let (scale, shift, mean, variance) = (weight(1.0), weight(0.0), weight(0.0), weight(1.0));
        self.network.add(Op::BatchNorm { scale, shift, mean, variance, epsilon: 1e-5 }, &[input])
    }

    pub(in crate::engine) fn add(&mut self, op: Op, inputs: &[NodeId]) -> NodeId {
        self.network.add(op, inputs)
    }

    pub(in crate::engine) fn leaky(&mut self, input: NodeId) -> NodeId {
        self.network.add(Op::LeakyRelu { slope: 0.01 }, &[input])
    }

    /// A convolution of three, normalised and activated.
    pub(in crate::engine) fn block(
        &mut self,
        input: NodeId,
        out: usize,
        kernel: [usize; 3],
        stride: [usize; 3],
    ) -> NodeId {
        let conv = self.conv(input, out, kernel, stride);
        let norm = self.instance(conv);
        self.leaky(norm)
    }
}

/// Every normalisation and activation, in orders in which they are lowered in different ways.
pub(in crate::engine) fn normalisations_and_activations() -> Network {
    let mut builder = Builder::new(2);
    let mut last = builder.conv(0, 24, [3; 3], [1; 3]);
    last = builder.instance(last);
    let slope = builder.random.weight(&[24], 0.9, 0.0);
    last = builder.add(Op::PRelu { slope }, &[last]);
    last = builder.conv(last, 32, [3; 3], [1; 3]);
    last = builder.group(last, 4);
    last = builder.add(Op::Relu, &[last]);
    let skip = last;
    last = builder.conv(last, 32, [1; 3], [1; 3]);
    last = builder.batch(last);
    last = builder.add(Op::Add, &[skip, last]);
    let slope = builder.random.weight(&[1], 0.0, 1.5);
    last = builder.add(Op::PRelu { slope }, &[last]);
    // Activated, then normalised: by statistics of activated values.
    last = builder.add(Op::LeakyRelu { slope: 0.2 }, &[last]);
    last = builder.group(last, 8);
    last = builder.add(Op::Elu { alpha: 0.7 }, &[last]);
    last = builder.batch(last);
    last = builder.add(Op::Gelu, &[last]);
    last = builder.conv(last, 5, [3; 3], [1; 3]);
    last = builder.add(Op::Tanh, &[last]);
    last = builder.add(Op::LeakyRelu { slope: 0.5 }, &[last]);
    last = builder.add(Op::LeakyRelu { slope: 0.25 }, &[last]);
    builder.add(Op::Sigmoid, &[last]);
    builder.network
}
