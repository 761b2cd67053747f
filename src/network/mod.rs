//! A network as data: a small typed graph with its weights, that any engine can lower. One file per published
//! architecture builds it and checks every tensor on the way.

mod plain_conv_unet;
mod weights;

pub use plain_conv_unet::{ConvBlock, PlainConvUNet};
pub use weights::{StateDict, Weight};

use std::sync::Arc;

use crate::error::{Error, Result};

/// Position of a node in its network.
pub type NodeId = usize;

/// What a node computes. Tensors are [batch, channel, axis 0, axis 1, axis 2]; two-dimensional networks have
/// size 1 along axis 0.
#[derive(Clone, Debug)]
pub enum Op {
    /// The image tile.
    Input,
    /// Cross-correlation with zero padding of (kernel − 1) / 2; weight [out, in, kernel…].
    Conv {
        /// [out, in, kernel…].
        weight: Arc<Weight>,
        /// [out].
        bias: Option<Arc<Weight>>,
        /// Kernel size per axis, odd.
        kernel: [usize; 3],
        /// Step per axis.
        stride: [usize; 3],
    },
    /// Transposed convolution whose kernel equals its stride; weight [in, out, kernel…].
    ConvTranspose {
        /// [in, out, kernel…].
        weight: Arc<Weight>,
        /// [out].
        bias: Option<Arc<Weight>>,
        /// Kernel and step per axis.
        stride: [usize; 3],
    },
    /// Per channel: (x − mean) / √(variance + epsilon) · scale + shift, with the biased variance of the tile.
    InstanceNorm {
        /// [channels]; ones when the network has none.
        scale: Arc<Weight>,
        /// [channels]; zeros when the network has none.
        shift: Arc<Weight>,
        /// Added to the variance.
        epsilon: f32,
    },
    /// x for positive x, else slope · x.
    LeakyRelu {
        /// Slope of the negative side.
        slope: f32,
    },
    /// The inputs' channels, in order.
    Concat,
}

/// One step of a network.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// From which nodes.
    pub inputs: Vec<NodeId>,
    /// Channels of its result.
    pub channels: usize,
}

/// A directed acyclic graph; nodes stand after their inputs.
#[derive(Clone, Debug)]
pub struct Network {
    nodes: Vec<Node>,
}

impl Network {
    /// A network with nothing but its input.
    pub fn new(channels: usize) -> Self {
        Network { nodes: vec![Node { op: Op::Input, inputs: Vec::new(), channels }] }
    }

    /// Adds a node; the last one added is the network's result.
    pub fn add(&mut self, op: Op, inputs: &[NodeId]) -> NodeId {
        let of = |index: usize| self.nodes[inputs[index]].channels;
        let channels = match &op {
            Op::Input => unreachable!("a network has one input, made by `new`"),
            Op::Conv { weight, .. } => weight.shape[0],
            Op::ConvTranspose { weight, .. } => weight.shape[1],
            Op::InstanceNorm { .. } | Op::LeakyRelu { .. } => of(0),
            Op::Concat => (0..inputs.len()).map(of).sum(),
        };
        self.nodes.push(Node { op, inputs: inputs.to_vec(), channels });
        self.nodes.len() - 1
    }

    /// All nodes, inputs before their users.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Channels of the image that it takes.
    pub fn input_channels(&self) -> usize {
        self.nodes[0].channels
    }

    /// Channels of its result.
    pub fn output_channels(&self) -> usize {
        self.nodes[self.nodes.len() - 1].channels
    }

    /// The weights, in the order of their use.
    pub fn weights(&self) -> impl Iterator<Item = &Arc<Weight>> {
        self.nodes.iter().flat_map(|node| match &node.op {
            Op::Conv { weight, bias, .. } | Op::ConvTranspose { weight, bias, .. } => {
                vec![Some(weight), bias.as_ref()]
            }
            Op::InstanceNorm { scale, shift, .. } => vec![Some(scale), Some(shift)],
            Op::Input | Op::LeakyRelu { .. } | Op::Concat => Vec::new(),
        })
        .flatten()
    }

    /// Number of weights.
    pub fn parameters(&self) -> usize {
        self.weights().map(|weight| weight.data.len()).sum()
    }

    /// The spatial size of each node's result for a tile.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the tile's size doesn't suit the network's strides.
    pub fn sizes(&self, tile: [usize; 3]) -> Result<Vec<[usize; 3]>> {
        let mut sizes: Vec<[usize; 3]> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let input = |index: usize| sizes[node.inputs[index]];
            let size = match &node.op {
                Op::Input => tile,
                Op::Conv { stride, .. } => std::array::from_fn(|axis| input(0)[axis].div_ceil(stride[axis])),
                Op::ConvTranspose { stride, .. } => std::array::from_fn(|axis| input(0)[axis] * stride[axis]),
                Op::InstanceNorm { .. } | Op::LeakyRelu { .. } => input(0),
                Op::Concat => {
                    let first = input(0);
                    if (1..node.inputs.len()).any(|index| input(index) != first) {
                        let text = format!("a patch size of {tile:?}, which the network's strides don't divide");
                        return Err(Error::unsupported(text));
                    }
                    first
                }
            };
            sizes.push(size);
        }
        Ok(sizes)
    }

    /// Multiply-adds for one tile.
    ///
    /// # Errors
    /// As [`Network::sizes`].
    pub fn multiply_adds(&self, tile: [usize; 3]) -> Result<u64> {
        let sizes = self.sizes(tile)?;
        let count = |size: [usize; 3]| size.iter().map(|&n| n as u64).product::<u64>();
        Ok(self.nodes.iter().zip(&sizes).map(|(node, &size)| match &node.op {
            Op::Conv { weight, .. } => weight.data.len() as u64 * count(size),
            Op::ConvTranspose { weight, .. } => weight.data.len() as u64 * count(sizes[node.inputs[0]]),
            _ => 0,
        })
        .sum())
    }

    /// Bytes of the results that are alive together at the worst moment, for values of `width` bytes.
    ///
    /// # Errors
    /// As [`Network::sizes`].
    pub fn peak_activation_bytes(&self, tile: [usize; 3], width: usize) -> Result<u64> {
        let sizes = self.sizes(tile)?;
        let bytes = |id: NodeId| (self.nodes[id].channels * width) as u64 * sizes[id].iter().product::<usize>() as u64;
        let mut last_use = vec![self.nodes.len(); self.nodes.len()];
        for (id, node) in self.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|&input| last_use[input] = id);
        }
        let (mut alive, mut peak) = (0, 0);
        for id in 0..self.nodes.len() {
            alive += bytes(id);
            peak = peak.max(alive);
            alive -= (0..id).filter(|&input| last_use[input] == id).map(bytes).sum::<u64>();
        }
        Ok(peak)
    }
}

impl Op {
    /// The operator with its settings but without its weights, as text.
    pub(crate) fn settings(&self) -> String {
        match self {
            Op::Input => "input".into(),
            Op::Conv { weight, kernel, stride, .. } => format!("conv {:?} {kernel:?} {stride:?}", weight.shape),
            Op::ConvTranspose { weight, stride, .. } => format!("conv transpose {:?} {stride:?}", weight.shape),
            Op::InstanceNorm { epsilon, .. } => format!("instance norm {epsilon}"),
            Op::LeakyRelu { slope } => format!("leaky relu {slope}"),
            Op::Concat => "concat".into(),
        }
    }
}
