//! A network as data: a small typed graph with its weights, that any engine can lower. One file per published
//! architecture builds it and checks every tensor on the way.

mod conv_block;
mod plain_conv_unet;
mod residual_block;
mod residual_encoder_unet;
mod unet_decoder;
mod weights;

pub use conv_block::{Activation, ConvBlock, Norm};
pub use plain_conv_unet::PlainConvUNet;
pub use residual_block::ResidualBlock;
pub use residual_encoder_unet::ResidualEncoderUNet;
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
    /// Per channel: (x − mean) / √(variance + epsilon) · scale + shift, with statistics from training.
    BatchNorm {
        /// [channels].
        scale: Arc<Weight>,
        /// [channels].
        shift: Arc<Weight>,
        /// [channels].
        mean: Arc<Weight>,
        /// [channels].
        variance: Arc<Weight>,
        /// Added to the variance.
        epsilon: f32,
    },
    /// x for positive x, else slope · x.
    LeakyRelu {
        /// Slope of the negative side.
        slope: f32,
    },
    /// x for positive x, else 0.
    Relu,
    /// x · Φ(x), with the error function.
    Gelu,
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// Sum of two inputs of one shape.
    Add,
    /// Product of two inputs; the second may have size 1 along axes of the first.
    Multiply,
    /// Means of blocks that don't overlap; what is left over at the end of an axis is dropped.
    AveragePool {
        /// Size of a block per axis.
        size: [usize; 3],
    },
    /// Mean along some axes, which get size 1.
    Mean {
        /// Whether each axis is averaged.
        axes: [bool; 3],
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
            Op::Concat => (0..inputs.len()).map(of).sum(),
            _ => of(0),
        };
        self.nodes.push(Node { op, inputs: inputs.to_vec(), channels });
        self.nodes.len() - 1
    }

    /// Channels of a node's result.
    pub fn channels(&self, node: NodeId) -> usize {
        self.nodes[node].channels
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
        self.nodes.iter().flat_map(|node| node.op.weights())
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
                Op::AveragePool { size } => std::array::from_fn(|axis| input(0)[axis] / size[axis]),
                Op::Mean { axes } => std::array::from_fn(|axis| if axes[axis] { 1 } else { input(0)[axis] }),
                Op::Concat | Op::Add => {
                    if (1..node.inputs.len()).any(|index| input(index) != input(0)) {
                        let text =
                            format!("a patch size of {tile:?}, which the network's strides don't divide");
                        return Err(Error::unsupported(text));
                    }
                    input(0)
                }
                _ => input(0),
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
        Ok(self
            .nodes
            .iter()
            .zip(&sizes)
            .map(|(node, &size)| match &node.op {
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
        let bytes = |id: NodeId| {
            (self.nodes[id].channels * width) as u64 * sizes[id].iter().product::<usize>() as u64
        };
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
    /// Its weights, in the order of its arguments.
    pub fn weights(&self) -> Vec<&Arc<Weight>> {
        match self {
            Op::Conv { weight, bias, .. } | Op::ConvTranspose { weight, bias, .. } => {
                std::iter::once(weight).chain(bias).collect()
            }
            Op::InstanceNorm { scale, shift, .. } => vec![scale, shift],
            Op::BatchNorm { scale, shift, mean, variance, .. } => vec![scale, shift, mean, variance],
            _ => Vec::new(),
        }
    }

    /// The operator with its settings but without its weights, as text.
    pub(crate) fn settings(&self) -> String {
        match self {
            Op::Input => "input".into(),
            Op::Conv { weight, kernel, stride, .. } => {
                format!("conv {:?} {kernel:?} {stride:?}", weight.shape)
            }
            Op::ConvTranspose { weight, stride, .. } => {
                format!("conv transpose {:?} {stride:?}", weight.shape)
            }
            Op::InstanceNorm { epsilon, .. } => format!("instance norm {epsilon}"),
            Op::BatchNorm { epsilon, .. } => format!("batch norm {epsilon}"),
            Op::LeakyRelu { slope } => format!("leaky relu {slope}"),
            Op::Relu => "relu".into(),
            Op::Gelu => "gelu".into(),
            Op::Sigmoid => "sigmoid".into(),
            Op::Add => "add".into(),
            Op::Multiply => "multiply".into(),
            Op::AveragePool { size } => format!("average pool {size:?}"),
            Op::Mean { axes } => format!("mean {axes:?}"),
            Op::Concat => "concat".into(),
        }
    }
}
