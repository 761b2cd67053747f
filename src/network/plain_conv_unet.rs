//! nnU-Net's `PlainConvUNet` (dynamic_network_architectures): stacked convolutions on the way down and up.

use super::conv_block::{ConvBlock, Layer};
use super::unet_decoder::Decoder;
use super::{Network, StateDict};
use crate::error::Result;

/// The architecture's sizes. Per-axis values have size 1 along axis 0 when `conv.dimensions` is 2.
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
    pub conv: ConvBlock,
}

impl PlainConvUNet {
    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors.
    pub fn build(&self, mut weights: StateDict) -> Result<Network> {
        let mut network = Network::new(self.input_channels);
        let (mut skips, mut last) = (Vec::new(), 0);
        for (stage, &convs) in self.encoder_convs.iter().enumerate() {
            for conv in 0..convs {
                let stride = if conv == 0 { self.strides[stage] } else { [1; 3] };
                let layer = Layer { features: self.features[stage], kernel: self.kernels[stage], stride };
                // The decoder holds the encoder once more.
                let names = ["encoder", "decoder.encoder"]
                    .map(|part| format!("{part}.stages.{stage}.0.convs.{conv}"));
                last = self.conv.build(&mut network, &mut weights, &names, last, layer)?;
            }
            skips.push(last);
        }
        let decoder = Decoder {
            features: &self.features,
            kernels: &self.kernels,
            strides: &self.strides,
            blocks: &self.decoder_convs,
            classes: self.classes,
            conv: &self.conv,
            residual: None,
        };
        decoder.build(&mut network, &mut weights, &skips)?;
        weights.finish()?;
        Ok(network)
    }
}
