//! The block that dynamic_network_architectures builds everything from (`ConvDropoutNormReLU`): convolution,
//! dropout (nothing at inference), normalisation, activation.

use std::sync::Arc;

use super::op::same_padding;
use super::{Network, NodeId, Op, StateDict, Weight};
use crate::error::Result;

/// Normalisation of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether it has a scale and a shift.
    pub affine: bool,
    /// Whether the statistics come from training, as in batch normalisation. Where the file has statistics
    /// they are used anyway.
    pub running: bool,
}

/// Activation of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// x for positive x, else slope · x.
    LeakyRelu(f32),
    /// x for positive x, else 0.
    Relu,
    /// x · Φ(x), with the error function.
    Gelu,
}

/// What all blocks of a network share.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvBlock {
    /// Spatial dimensions: 3, or 2 for kernels without axis 0.
    pub dimensions: usize,
    /// Whether convolutions have a bias.
    pub bias: bool,
    /// Normalisation.
    pub norm: Option<Norm>,
    /// Activation.
    pub activation: Option<Activation>,
    /// Whether the file counts a dropout module.
    pub dropout: bool,
    /// Activation before normalisation.
    pub activation_first: bool,
}

/// One convolution of a network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer {
    pub features: usize,
    pub kernel: [usize; 3],
    pub stride: [usize; 3],
}

impl Activation {
    pub(super) fn op(self) -> Op {
        match self {
            Activation::LeakyRelu(slope) => Op::LeakyRelu { slope },
            Activation::Relu => Op::Relu,
            Activation::Gelu => Op::Gelu,
        }
    }
}

impl ConvBlock {
    /// The same without activation and dropout, as residual branches end.
    pub(super) fn linear(&self) -> ConvBlock {
        ConvBlock { activation: None, dropout: false, ..self.clone() }
    }

    /// The spatial part of a tensor's shape in the file.
    pub(super) fn spatial(&self, size: [usize; 3]) -> impl Iterator<Item = usize> {
        size.into_iter().skip(3 - self.dimensions)
    }

    /// Shape of a convolution's weight in the file.
    pub(super) fn kernel_shape(&self, first: usize, second: usize, kernel: [usize; 3]) -> Vec<usize> {
        [first, second].into_iter().chain(self.spatial(kernel)).collect()
    }

    /// Adds the block; `names` are the prefixes under which the file holds it, the first one is read.
    pub(super) fn build(
        &self,
        network: &mut Network,
        weights: &mut StateDict,
        names: &[String],
        input: NodeId,
        layer: Layer,
    ) -> Result<NodeId> {
        let Layer { features, kernel, stride } = layer;
        let shape = self.kernel_shape(features, network.channels(input), kernel);
        let weight = take(weights, names, "conv", 0, "weight", &shape)?;
        let bias = self.bias.then(|| take(weights, names, "conv", 0, "bias", &[features])).transpose()?;
        let mut last =
            network.add(Op::Conv { weight, bias, kernel, stride, padding: same_padding(kernel) }, &[input]);
        // The file lists the block's modules a second time by position.
        let activation_first = self.activation_first && self.norm.is_some() && self.activation.is_some();
        let position = 1 + usize::from(self.dropout) + usize::from(activation_first);
        let norm = self.norm.map(|norm| norm.op(weights, names, position, features)).transpose()?;
        let activation = self.activation.map(Activation::op);
        let mut steps = [norm, activation];
        if activation_first {
            steps.reverse();
        }
        for op in steps.into_iter().flatten() {
            last = network.add(op, &[last]);
        }
        Ok(last)
    }
}

/// Reads one tensor of a block and accounts for its other names.
fn take(
    weights: &mut StateDict,
    names: &[String],
    module: &str,
    position: usize,
    part: &str,
    shape: &[usize],
) -> Result<Arc<Weight>> {
    let weight = weights.take(&format!("{}.{module}.{part}", names[0]), shape)?;
    for name in names {
        weights.alias(&format!("{name}.{module}.{part}"), &weight)?;
        weights.alias(&format!("{name}.all_modules.{position}.{part}"), &weight)?;
    }
    Ok(weight)
}

impl Norm {
    fn op(self, weights: &mut StateDict, names: &[String], position: usize, features: usize) -> Result<Op> {
        let mut part = |part: &str| take(weights, names, "norm", position, part, &[features]);
        let constant = |value: f32| {
            let name = format!("{}.norm.constant.{value}", names[0]);
            Arc::new(Weight { name, shape: vec![features], data: vec![value; features] })
        };
        let (scale, shift) =
            if self.affine { (part("weight")?, part("bias")?) } else { (constant(1.0), constant(0.0)) };
        if !self.running && !weights.has(&format!("{}.norm.running_mean", names[0])) {
            return Ok(Op::InstanceNorm { scale, shift, epsilon: self.epsilon });
        }
        let mut part = |part: &str| take(weights, names, "norm", position, part, &[features]);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        for name in names {
            weights.skip(&format!("{name}.norm.num_batches_tracked"), &[])?;
            weights.skip(&format!("{name}.all_modules.{position}.num_batches_tracked"), &[])?;
        }
        Ok(Op::BatchNorm { scale, shift, mean, variance, epsilon: self.epsilon })
    }
}
