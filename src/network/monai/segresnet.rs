//! `SegResNet`: a residual encoder, and a decoder that adds the skip connections (Myronenko, "3D MRI Brain Tumor
//! Segmentation Using Autoencoder Regularization", 2018; without the autoencoder).

use serde_json::json;

use super::arguments::{Arguments, spread};
use super::builder::{Builder, Conv};
use super::norm::{Affine, Statistics};
use super::pre_activation_block::PreActivationBlock;
use super::upsample::Upsample;
use super::{Activation, Norm, UpsampleMode};
use crate::error::Result;
use crate::network::{Network, Op, StateDict};

/// What serves training alone.
const AUTOENCODER: [&str; 6] =
    ["vae_conv_final", "vae_down", "vae_fc1", "vae_fc2", "vae_fc3", "vae_fc_up_sample"];

/// The arguments of `SegResNet`.
#[derive(Clone, Debug, PartialEq)]
pub struct SegResNet {
    /// 3, or 2 for kernels without axis 0.
    pub spatial_dims: usize,
    /// Channels of the first level; each further one has twice as many.
    pub init_filters: usize,
    /// Channels of the image.
    pub in_channels: usize,
    /// Channels of the result.
    pub out_channels: usize,
    /// Activation.
    pub act: Option<Activation>,
    /// Normalisation.
    pub norm: Option<Norm>,
    /// Whether the last layer is evaluated; else the result has `init_filters` channels.
    pub use_conv_final: bool,
    /// Residual blocks of each encoder level, from the finest.
    pub blocks_down: Vec<usize>,
    /// Residual blocks of each decoder level, from the coarsest.
    pub blocks_up: Vec<usize>,
    /// How the decoder doubles the size.
    pub upsample_mode: UpsampleMode,
    /// Whether the file has the autoencoder of training too: `SegResNetVAE`.
    pub autoencoder: bool,
}

impl SegResNet {
    pub(super) fn read(arguments: &mut Arguments) -> Result<Self> {
        let num_groups = arguments.count("num_groups", Some(8))?;
        let norm = match arguments.text("norm_name", "")?.to_lowercase().as_str() {
            "" => Norm::read(arguments, "norm", &json!(["group", {"num_groups": 8}]), Affine::Default)?,
            "group" => {
                arguments.ignore(&["norm"]);
                Some(Norm { statistics: Statistics::Group(num_groups), epsilon: 1e-5, affine: true })
            }
            _ => return Err(arguments.unsupported("norm_name", "group; use `norm` for others")),
        };
        arguments.ignore(&["dropout_prob"]);
        let net = SegResNet {
            spatial_dims: arguments.spatial_dims(Some(3))?,
            init_filters: arguments.count("init_filters", Some(8))?,
            in_channels: arguments.count("in_channels", Some(1))?,
            out_channels: arguments.count("out_channels", Some(2))?,
            act: Activation::read(arguments, "act", &json!("relu"))?,
            norm,
            use_conv_final: arguments.flag("use_conv_final", true)?,
            blocks_down: arguments.counts("blocks_down", Some(&[1, 2, 2, 4]))?,
            blocks_up: arguments.counts("blocks_up", Some(&[1, 1, 1]))?,
            upsample_mode: UpsampleMode::read(arguments, "upsample_mode", "nontrainable")?,
            autoencoder: false,
        };
        if net.blocks_up.len() + 1 != net.blocks_down.len() {
            return Err(arguments.wrong("blocks_up", "one entry less than `blocks_down`"));
        }
        Ok(net)
    }

    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors.
    pub fn build(&self, weights: StateDict) -> Result<Network> {
        let mut builder = Builder::new(self.in_channels, self.spatial_dims, weights);
        let (kernel, double) = (spread(3, self.spatial_dims), spread(2, self.spatial_dims));
        let block = PreActivationBlock {
            norm: self.norm,
            act: self.act,
            kernel,
            act_names: ["act"; 2],
            conv_names: ["conv1.conv", "conv2.conv"],
        };
        let mut last = builder.conv("convInit.conv", 0, Conv::same(self.init_filters, kernel, false))?;
        let mut skips = Vec::new();
        for (level, &blocks) in self.blocks_down.iter().enumerate() {
            let name = format!("down_layers.{level}");
            if level > 0 {
                let conv = Conv { stride: double, ..Conv::same(self.init_filters << level, kernel, false) };
                last = builder.conv(&format!("{name}.0.conv"), last, conv)?;
            }
            for index in 1..=blocks {
                last = block.build(&mut builder, &format!("{name}.{index}"), last)?;
            }
            skips.push(last);
        }
        for (step, &blocks) in self.blocks_up.iter().enumerate() {
            let level = self.blocks_up.len() - 1 - step;
            let (features, name) = (self.init_filters << level, format!("up_samples.{step}"));
            last = builder.conv(&format!("{name}.0.conv"), last, Conv::point(features, false))?;
            let (mode, factor) = (self.upsample_mode, double);
            let up = Upsample { mode, features, factor, kernel: None, bias: true, align_corners: false };
            last = up.build(&mut builder, &format!("{name}.1"), last)?;
            last = builder.network.add(Op::Add, &[last, skips[level]]);
            for index in 0..blocks {
                last = block.build(&mut builder, &format!("up_layers.{step}.{index}"), last)?;
            }
        }
        self.head(&mut builder, last)?;
        if self.autoencoder {
            AUTOENCODER.iter().for_each(|module| builder.weights.skip_module(module));
        }
        builder.finish()
    }

    fn head(&self, builder: &mut Builder, input: usize) -> Result<()> {
        if !self.use_conv_final {
            // The file has these tensors all the same.
            builder.weights.skip_module("conv_final");
            builder.weights.skip_module("act_mod");
            return Ok(());
        }
        let mut last = input;
        if let Some(norm) = self.norm {
            last = norm.build(builder, "conv_final.0", last)?;
        }
        if let Some(act) = self.act {
            last = act.build(builder, "conv_final.1", last)?;
            builder.weights.alias_module("act_mod", "conv_final.1")?;
        }
        builder.conv("conv_final.2.conv", last, Conv::point(self.out_channels, true)).map(|_| ())
    }
}
