//! A network as data: a small typed graph with its weights, that any engine can lower. One file per published
//! architecture builds it and checks every tensor on the way.

mod check;
mod conv_block;
mod derived;
mod mednext;
pub mod monai;
mod op;
mod plain_conv_unet;
mod primus;
mod residual_block;
mod residual_encoder_unet;
mod unet_decoder;
mod weights;

pub use conv_block::{Activation, ConvBlock, Norm};
pub use mednext::{MedNeXt, MedNeXtNames};
pub use op::{OnnxFile, Op};
pub use plain_conv_unet::PlainConvUNet;
pub use primus::Primus;
pub use residual_block::ResidualBlock;
pub use residual_encoder_unet::ResidualEncoderUNet;
pub use weights::{StateDict, Weight};

use std::any::Any;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::file::Bytes;
use derived::Derived;

/// Position of a node in its network.
pub type NodeId = usize;

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
    derived: Derived,
}

impl Network {
    /// A network with nothing but its input.
    pub fn new(channels: usize) -> Self {
        Network {
            nodes: vec![Node { op: Op::Input, inputs: Vec::new(), channels }],
            derived: Derived::default(),
        }
    }

    /// Adds a node; the last one added is the network's result.
    pub fn add(&mut self, op: Op, inputs: &[NodeId]) -> NodeId {
        let of: Vec<usize> = inputs.iter().map(|&input| self.nodes[input].channels).collect();
        let channels = op.channels(&of);
        self.nodes.push(Node { op, inputs: inputs.to_vec(), channels });
        self.derived = Derived::default();
        self.nodes.len() - 1
    }

    /// A network that is in an ONNX file.
    pub fn onnx(file: Bytes, channels: usize, classes: usize) -> Self {
        let mut network = Network::new(channels);
        network.add(Op::Onnx { file: OnnxFile(file), classes }, &[0]);
        network
    }

    /// The ONNX file that is the whole network.
    pub fn onnx_file(&self) -> Option<&[u8]> {
        self.nodes.iter().find_map(|node| match &node.op {
            Op::Onnx { file, .. } => Some(&*file.0),
            _ => None,
        })
    }

    /// What was made of this network before and `fits`, as long as somebody has it, or else what `make` gives.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn derived<T: Any + Send + Sync>(
        &self,
        fits: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        self.derived.find_or_make(fits, make)
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

    /// The spatial size of each node's result for a tile. Whoever computes a network by them computes with parts that
    /// fit.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the tile's size doesn't suit the network's strides, no memory holds its tensors, or
    /// nodes don't fit each other or their weights.
    pub fn sizes(&self, tile: [usize; 3]) -> Result<Vec<[usize; 3]>> {
        let mut sizes: Vec<[usize; 3]> = Vec::with_capacity(self.nodes.len());
        for (id, node) in self.nodes.iter().enumerate() {
            let channels: Vec<usize> = node.inputs.iter().map(|&input| self.nodes[input].channels).collect();
            check::check(id, node, &channels)?;
            let inputs: Vec<[usize; 3]> = node.inputs.iter().map(|&input| sizes[input]).collect();
            let size = node.op.size(tile, &inputs)?;
            check::fits(tile, node.channels, size, [0; 3])?;
            if let Some(&input) = inputs.first() {
                check::fits(tile, channels[0], input, node.op.around())?;
            }
            sizes.push(size);
        }
        match sizes[sizes.len() - 1] {
            result if result == tile => Ok(sizes),
            result => Err(Error::unsupported(format!(
                "a patch size of {tile:?}, of which the network's strides make a result of {result:?}"
            ))),
        }
    }

    /// Multiply-adds for one tile.
    ///
    /// # Errors
    /// As [`Network::sizes`].
    pub fn multiply_adds(&self, tile: [usize; 3]) -> Result<u64> {
        let sizes = self.sizes(tile)?;
        let input = |node: &Node| node.inputs.first().map_or(tile, |&input| sizes[input]);
        let nodes = self.nodes.iter().zip(&sizes);
        Ok(nodes.map(|(node, &size)| node.op.multiply_adds(input(node), size, node.channels)).sum())
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
