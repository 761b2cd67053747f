//! nnU-Net's `ResidualEncoderUNet` and the rarer `ResidualUNet` (dynamic_network_architectures): a stem and
//! residual stages on the way down; plain convolutions, or residual blocks, on the way up.

use super::conv_block::Layer;
use super::residual_block::ResidualBlock;
use super::unet_decoder::Decoder;
use super::{Network, StateDict};
use crate::error::Result;

/// The architecture's sizes. Per-axis values have size 1 along axis 0 when the network has two dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct ResidualEncoderUNet {
    /// Channels of the image.
    pub input_channels: usize,
    /// Channels of the result.
    pub classes: usize,
    /// Channels of the stem.
    pub stem_channels: usize,
    /// Channels of each stage, from the finest.
    pub features: Vec<usize>,
    /// Kernel of each stage.
    pub kernels: Vec<[usize; 3]>,
    /// Stride into each stage.
    pub strides: Vec<[usize; 3]>,
    /// Blocks of each encoder stage.
    pub encoder_blocks: Vec<usize>,
    /// Channels inside the blocks of each stage, where they are bottlenecks.
    pub bottlenecks: Option<Vec<usize>>,
    /// Blocks of each decoder stage, from the coarsest.
    pub decoder_blocks: Vec<usize>,
    /// Whether the decoder has residual blocks too.
    pub residual_decoder: bool,
    /// The residual block.
    pub block: ResidualBlock,
}

impl ResidualEncoderUNet {
    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors.
    pub fn build(&self, mut weights: StateDict) -> Result<Network> {
        let mut network = Network::new(self.input_channels);
        // The decoder holds the encoder once more.
        let names = |part: String| ["encoder", "decoder.encoder"].map(|encoder| format!("{encoder}.{part}"));
        let stem = Layer { features: self.stem_channels, kernel: self.kernels[0], stride: [1; 3] };
        let stem_names = names("stem.convs.0".into());
        let mut last = self.block.conv.build(&mut network, &mut weights, &stem_names, 0, stem)?;
        let mut skips = Vec::new();
        for (stage, &blocks) in self.encoder_blocks.iter().enumerate() {
            let (features, kernel) = (self.features[stage], self.kernels[stage]);
            let layer = Layer { features, kernel, stride: self.strides[stage] };
            let bottleneck = self.bottlenecks.as_ref().map(|channels| channels[stage]);
            let names = names(format!("stages.{stage}"));
            last = self.block.stage(&mut network, &mut weights, &names, last, blocks, layer, bottleneck)?;
            skips.push(last);
        }
        // The residual decoder of the reference has neither squeeze-and-excitation nor bottlenecks.
        let plain = ResidualBlock { squeeze: None, ..self.block.clone() };
        let decoder = Decoder {
            features: &self.features,
            kernels: &self.kernels,
            strides: &self.strides,
            blocks: &self.decoder_blocks,
            classes: self.classes,
            conv: &self.block.conv,
            residual: self.residual_decoder.then_some(&plain),
        };
        decoder.build(&mut network, &mut weights, &skips)?;
        weights.finish()?;
        Ok(network)
    }
}
