//! nnU-Net's `PlainConvUNet` (dynamic_network_architectures): a convolutional encoder, a decoder with
//! transposed convolutions, and one head per decoder stage of which inference uses the last.

use std::sync::Arc;

use super::{Network, NodeId, Op, StateDict, Weight};
use crate::error::Result;

/// What all convolution blocks of a network share: convolution, normalisation, activation.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvBlock {
    /// Spatial dimensions: 3, or 2 for kernels without axis 0.
    pub dimensions: usize,
    /// Whether convolutions have a bias.
    pub bias: bool,
    /// Epsilon of the instance normalisation.
    pub epsilon: f32,
    /// Whether the normalisation has a scale and a shift.
    pub affine: bool,
    /// Slope of the leaky ReLU.
    pub slope: f32,
    /// Whether the file counts a dropout module, which does nothing at inference.
    pub dropout: bool,
    /// Activation before normalisation.
    pub activation_first: bool,
}

/// The architecture's sizes. Per-axis values have size 1 along axis 0 when `block.dimensions` is 2.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainConvUNet {
    /// Channels of the image.
    pub input_channels: usize,
    /// Channels of the result.
    pub classes: usize,
    /// Channels of each stage, from the finest.
    pub features: Vec<usize>,
    /// Kernel of each stage.
    pub kernels: Vec<[usize; 3]>,
    /// Stride into each stage.
    pub strides: Vec<[usize; 3]>,
    /// Convolutions of each encoder stage.
    pub encoder_convs: Vec<usize>,
    /// Convolutions of each decoder stage, from the coarsest.
    pub decoder_convs: Vec<usize>,
    /// The convolution block.
    pub block: ConvBlock,
}

impl PlainConvUNet {
    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors.
    pub fn build(&self, mut weights: StateDict) -> Result<Network> {
        let mut network = Network::new(self.input_channels);
        let stages = self.features.len();
        let mut skips: Vec<NodeId> = Vec::with_capacity(stages);
        let mut last = 0;
        for stage in 0..stages {
            for conv in 0..self.encoder_convs[stage] {
                let stride = if conv == 0 { self.strides[stage] } else { [1; 3] };
                // The decoder holds the encoder once more.
                let prefixes = ["encoder", "decoder.encoder"]
                    .map(|part| format!("{part}.stages.{stage}.0.convs.{conv}"));
                last = self.block.build(
                    &mut network,
                    &mut weights,
                    &prefixes,
                    last,
                    self.features[stage],
                    self.kernels[stage],
                    stride,
                )?;
            }
            skips.push(last);
        }
        for stage in 0..stages - 1 {
            let (below, level) = (stages - 1 - stage, stages - 2 - stage);
            let features = self.features[level];
            let name = format!("decoder.transpconvs.{stage}");
            let mut shape = vec![self.features[below], features];
            shape.extend(self.block.spatial(self.strides[below]));
            let weight = weights.take(&format!("{name}.weight"), &shape)?;
            let bias = self.block.bias.then(|| weights.take(&format!("{name}.bias"), &[features])).transpose()?;
            let up = network.add(Op::ConvTranspose { weight, bias, stride: self.strides[below] }, &[last]);
            last = network.add(Op::Concat, &[up, skips[level]]);
            for conv in 0..self.decoder_convs[stage] {
                let prefixes = [format!("decoder.stages.{stage}.convs.{conv}")];
                let kernel = self.kernels[level];
                last = self.block.build(&mut network, &mut weights, &prefixes, last, features, kernel, [1; 3])?;
            }
            let head = format!("decoder.seg_layers.{stage}");
            let mut shape = vec![self.classes, features];
            shape.extend(self.block.spatial([1; 3]));
            if level == 0 {
                let weight = weights.take(&format!("{head}.weight"), &shape)?;
                let bias = Some(weights.take(&format!("{head}.bias"), &[self.classes])?);
                network.add(Op::Conv { weight, bias, kernel: [1; 3], stride: [1; 3] }, &[last]);
            } else {
                // Heads of coarser stages served deep supervision in training.
                weights.skip(&format!("{head}.weight"), &shape)?;
                weights.skip(&format!("{head}.bias"), &[self.classes])?;
            }
        }
        weights.finish()?;
        Ok(network)
    }
}

impl ConvBlock {
    fn spatial(&self, size: [usize; 3]) -> impl Iterator<Item = usize> {
        size.into_iter().skip(3 - self.dimensions)
    }

    /// Convolution, normalisation, activation; `prefixes` are the names under which the file holds the block.
    #[allow(clippy::too_many_arguments, reason = "a layer has that many properties")]
    fn build(
        &self,
        network: &mut Network,
        weights: &mut StateDict,
        prefixes: &[String],
        input: NodeId,
        features: usize,
        kernel: [usize; 3],
        stride: [usize; 3],
    ) -> Result<NodeId> {
        // The file lists the block's modules a second time by position: convolution, dropout, normalisation.
        let norm_position = 1 + usize::from(self.dropout) + usize::from(self.activation_first);
        let mut take = |module: &str, position: usize, part: &str, shape: &[usize]| -> Result<Arc<Weight>> {
            let weight = weights.take(&format!("{}.{module}.{part}", prefixes[0]), shape)?;
            for prefix in prefixes {
                weights.alias(&format!("{prefix}.{module}.{part}"), &weight)?;
                weights.alias(&format!("{prefix}.all_modules.{position}.{part}"), &weight)?;
            }
            Ok(weight)
        };
        let mut shape = vec![features, network.nodes()[input].channels];
        shape.extend(self.spatial(kernel));
        let weight = take("conv", 0, "weight", &shape)?;
        let bias = self.bias.then(|| take("conv", 0, "bias", &[features])).transpose()?;
        let (scale, shift) = if self.affine {
            (take("norm", norm_position, "weight", &[features])?, take("norm", norm_position, "bias", &[features])?)
        } else {
            let constant = |value: f32| {
                let name = format!("{}.norm.constant.{value}", prefixes[0]);
                Arc::new(Weight { name, shape: vec![features], data: vec![value; features] })
            };
            (constant(1.0), constant(0.0))
        };
        let norm = Op::InstanceNorm { scale, shift, epsilon: self.epsilon };
        let activation = Op::LeakyRelu { slope: self.slope };
        let conv = network.add(Op::Conv { weight, bias, kernel, stride }, &[input]);
        let steps = if self.activation_first { [activation, norm] } else { [norm, activation] };
        Ok(steps.into_iter().fold(conv, |last, op| network.add(op, &[last])))
    }
}
