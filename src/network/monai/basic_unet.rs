//! `BasicUNet`: two convolutions a level, max pooling down (Falk et al., "U-Net: deep learning for cell counting,
//! detection, and morphometry", 2019).

use serde_json::json;

use super::arguments::{Arguments, spread};
use super::builder::{Builder, Conv};
use super::norm::Affine;
use super::unet::adn;
use super::upsample::Upsample;
use super::{Activation, Norm, UpsampleMode};
use crate::error::Result;
use crate::network::{Network, NodeId, Op, StateDict};

/// The arguments of `BasicUNet`.
#[derive(Clone, Debug, PartialEq)]
pub struct BasicUNet {
    /// 3, or 2 for kernels without axis 0.
    pub spatial_dims: usize,
    /// Channels of the image.
    pub in_channels: usize,
    /// Channels of the result.
    pub out_channels: usize,
    /// Channels of the five encoder levels, from the finest, and of the last decoder level.
    pub features: [usize; 6],
    /// Activation.
    pub act: Option<Activation>,
    /// Normalisation.
    pub norm: Option<Norm>,
    /// Whether convolutions have a bias.
    pub bias: bool,
    /// How the decoder doubles the size.
    pub upsample: UpsampleMode,
}

impl BasicUNet {
    pub(super) fn read(arguments: &mut Arguments) -> Result<Self> {
        let act = json!(["leakyrelu", {"negative_slope": 0.1}]);
        let norm = json!(["instance", {"affine": true}]);
        arguments.ignore(&["dropout"]);
        let features = arguments.counts("features", Some(&[32, 32, 64, 128, 256, 32]))?;
        let features = features.try_into().ok().filter(|features: &[usize; 6]| !features.contains(&0));
        Ok(BasicUNet {
            spatial_dims: arguments.spatial_dims(Some(3))?,
            in_channels: arguments.count("in_channels", Some(1))?,
            out_channels: arguments.count("out_channels", Some(2))?,
            features: features.ok_or_else(|| arguments.wrong("features", "six counts from 1"))?,
            act: Activation::read(arguments, "act", &act)?,
            norm: Norm::read(arguments, "norm", &norm, Affine::Default)?,
            bias: arguments.flag("bias", true)?,
            upsample: UpsampleMode::read(arguments, "upsample", "deconv")?,
        })
    }

    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors.
    pub fn build(&self, weights: StateDict) -> Result<Network> {
        let mut builder = Builder::new(self.in_channels, self.spatial_dims, weights);
        let double = spread(2, self.spatial_dims);
        let mut last = self.two_conv(&mut builder, "conv_0", 0, self.features[0])?;
        let mut skips = vec![last];
        for level in 1..5 {
            let pooled = builder.network.add(Op::MaxPool { size: double }, &[last]);
            last =
                self.two_conv(&mut builder, &format!("down_{level}.convs"), pooled, self.features[level])?;
            skips.push(last);
        }
        for level in (1..5).rev() {
            let (name, skip) = (format!("upcat_{level}"), skips[level - 1]);
            // The last step keeps the channels, the others halve them.
            let channels = builder.network.channels(last);
            let up = Upsample {
                mode: self.upsample,
                features: if level == 1 { channels } else { channels / 2 },
                factor: double,
                kernel: None,
                bias: true,
                align_corners: true,
            };
            last = up.build(&mut builder, &format!("{name}.upsample"), last)?;
            last = builder.network.add(Op::PadLike, &[last, skip]);
            last = builder.network.add(Op::Concat, &[skip, last]);
            let features = if level == 1 { self.features[5] } else { self.features[level - 1] };
            last = self.two_conv(&mut builder, &format!("{name}.convs"), last, features)?;
        }
        builder.conv("final_conv", last, Conv::point(self.out_channels, true))?;
        builder.finish()
    }

    fn two_conv(&self, builder: &mut Builder, name: &str, input: NodeId, features: usize) -> Result<NodeId> {
        let mut last = input;
        for index in 0..2 {
            let name = format!("{name}.conv_{index}");
            let conv = Conv::same(features, spread(3, self.spatial_dims), self.bias);
            last = builder.conv(&format!("{name}.conv"), last, conv)?;
            last = adn(builder, &name, last, "NDA", self.norm, self.act)?;
        }
        Ok(last)
    }
}
