//! The decoder that nnU-Net's U-Nets share: transposed convolution, the skip connection, a few blocks, and one
//! head per stage of which inference uses the last.

use super::conv_block::{ConvBlock, Layer};
use super::residual_block::ResidualBlock;
use super::{Network, NodeId, Op, StateDict};
use crate::error::Result;

/// What a decoder needs to know of its network.
pub(super) struct Decoder<'a> {
    pub features: &'a [usize],
    pub kernels: &'a [[usize; 3]],
    pub strides: &'a [[usize; 3]],
    /// Blocks of each stage, from the coarsest.
    pub blocks: &'a [usize],
    pub classes: usize,
    pub conv: &'a ConvBlock,
    /// Residual blocks in place of plain ones.
    pub residual: Option<&'a ResidualBlock>,
}

impl Decoder<'_> {
    /// Adds the decoder onto the results of the encoder's stages, from the finest.
    pub(super) fn build(
        &self,
        network: &mut Network,
        weights: &mut StateDict,
        skips: &[NodeId],
    ) -> Result<()> {
        let stages = skips.len();
        let mut last = skips[stages - 1];
        for stage in 0..stages - 1 {
            let (below, level) = (stages - 1 - stage, stages - 2 - stage);
            let (features, stride) = (self.features[level], self.strides[below]);
            let name = format!("decoder.transpconvs.{stage}");
            let shape = self.conv.kernel_shape(self.features[below], features, stride);
            let weight = weights.take(&format!("{name}.weight"), &shape)?;
            let bias =
                self.conv.bias.then(|| weights.take(&format!("{name}.bias"), &[features])).transpose()?;
            let up = network
                .add(Op::ConvTranspose { weight, bias, kernel: stride, stride, padding: [0; 3] }, &[last]);
            last = network.add(Op::Concat, &[up, skips[level]]);
            let layer = Layer { features, kernel: self.kernels[level], stride: [1; 3] };
            let name = format!("decoder.stages.{stage}");
            match self.residual {
                Some(block) => {
                    last = block.stage(network, weights, &[name], last, self.blocks[stage], layer, None)?;
                }
                None => {
                    for conv in 0..self.blocks[stage] {
                        let names = [format!("{name}.convs.{conv}")];
                        last = self.conv.build(network, weights, &names, last, layer)?;
                    }
                }
            }
            let head = format!("decoder.seg_layers.{stage}");
            let shape = self.conv.kernel_shape(self.classes, features, [1; 3]);
            if level == 0 {
                let weight = weights.take(&format!("{head}.weight"), &shape)?;
                let bias = Some(weights.take(&format!("{head}.bias"), &[self.classes])?);
                network
                    .add(Op::Conv { weight, bias, kernel: [1; 3], stride: [1; 3], padding: [0; 3] }, &[last]);
            } else {
                // Heads of coarser stages served deep supervision in training.
                weights.skip(&format!("{head}.weight"), &shape)?;
                weights.skip(&format!("{head}.bias"), &[self.classes])?;
            }
        }
        // A second set of heads that autoPET III's winner trained with.
        weights.skip_module("decoder.organ_seg_layers");
        Ok(())
    }
}
