//! `SwinUNETR`: a Swin transformer as the encoder, residual convolutions as the decoder (Hatamizadeh et al.,
//! "Swin UNETR: Swin Transformers for Semantic Segmentation of Brain Tumors in MRI Images", 2022).

use serde_json::json;

use super::arguments::Arguments;
use super::builder::{Builder, Conv};
use super::dynunet_block::DynUNetBlock;
use super::norm::{Affine, Statistics};
use super::swin_transformer::SwinTransformer;
use super::{Activation, Norm, PatchMerging};
use crate::error::{Error, Result};
use crate::network::{Network, NodeId, Op, StateDict};

/// The arguments of `SwinUNETR`, which has three dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct SwinUNETR {
    /// Channels of the image.
    pub in_channels: usize,
    /// Channels of the result.
    pub out_channels: usize,
    /// Transformer blocks of each stage.
    pub depths: [usize; 4],
    /// Attention heads of each stage.
    pub num_heads: [usize; 4],
    /// Size of an attention window per axis.
    pub window_size: [usize; 3],
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Hidden channels of the perceptrons, in terms of their input's.
    pub mlp_ratio: f64,
    /// Channels of the first stage; each further one has twice as many.
    pub feature_size: usize,
    /// Normalisation of the decoder.
    pub norm_name: Option<Norm>,
    /// Whether the decoder sees the stages' results normalised.
    pub normalize: bool,
    /// Whether the embedded patches are normalised.
    pub patch_norm: bool,
    /// How patches are merged.
    pub downsample: PatchMerging,
    /// Whether stages begin with a residual block.
    pub use_v2: bool,
}

/// What this network's conv blocks have in place of an argument for it.
const ACTIVATION: Activation = Activation::LeakyRelu(0.01);
/// The normalisation of the blocks that the second version has.
const V2_NORM: Norm = Norm { statistics: Statistics::Instance, epsilon: 1e-5, affine: false };

impl SwinUNETR {
    pub(super) fn read(arguments: &mut Arguments, monai_version: Option<&str>) -> Result<Self> {
        if arguments.count("spatial_dims", Some(3))? != 3 {
            return Err(arguments.unsupported("spatial_dims", "3"));
        }
        if arguments.count("patch_size", Some(2))? != 2 {
            return Err(arguments.unsupported("patch_size", "2"));
        }
        if arguments.flag("use_hyena", false)? {
            return Err(arguments.unsupported("use_hyena", "false"));
        }
        for name in ["norm_layer", "hyena_stages"] {
            if arguments.find(name).is_some() {
                return Err(arguments.unsupported(name, "the default"));
            }
        }
        arguments.ignore(&[
            "img_size",
            "drop_rate",
            "attn_drop_rate",
            "dropout_path_rate",
            "use_checkpoint",
            "use_flash_attention",
            "hyena_kernel_size",
            "hyena_kernel_mlp_dim",
            "hyena_kernel_layers",
            "hyena_mask_max_attenuation",
            "hyena_fft_padding",
            "hyena_grid_type",
            "hyena_use_chunked_fft",
            "hyena_use_fft_short_conv",
            "hyena_omega_0",
            "hyena_l_cache",
            "hyena_short_conv_fft_chunks",
        ]);
        let downsample = match arguments.text("downsample", "merging")?.to_lowercase().as_str() {
            "mergingv2" => PatchMerging::V2,
            "merging" => merging(arguments, monai_version)?,
            _ => return Err(arguments.unsupported("downsample", "merging and mergingv2")),
        };
        let mut four = |name: &'static str, default: [usize; 4]| -> Result<[usize; 4]> {
            let counts = arguments.counts(name, Some(&default))?.try_into().ok();
            let counts = counts.filter(|counts: &[usize; 4]| !counts.contains(&0));
            counts.ok_or_else(|| arguments.wrong(name, "four counts from 1"))
        };
        let (depths, num_heads) = (four("depths", [2; 4])?, four("num_heads", [3, 6, 12, 24])?);
        let window_size = arguments.axes("window_size", 3, 7)?;
        if window_size.iter().any(|&size| size > 64) {
            return Err(arguments.wrong("window_size", "sizes up to 64"));
        }
        let mlp_ratio = arguments.number("mlp_ratio", 4.0)?;
        if !(mlp_ratio > 0.0 && mlp_ratio <= 64.0) {
            return Err(arguments.wrong("mlp_ratio", "a number over 0 and up to 64"));
        }
        Ok(SwinUNETR {
            in_channels: arguments.count("in_channels", None)?,
            out_channels: arguments.count("out_channels", None)?,
            depths,
            num_heads,
            window_size,
            qkv_bias: arguments.flag("qkv_bias", true)?,
            mlp_ratio,
            feature_size: arguments.count("feature_size", Some(24))?,
            norm_name: Norm::read(arguments, "norm_name", &json!("instance"), Affine::Default)?,
            normalize: arguments.flag("normalize", true)?,
            patch_norm: arguments.flag("patch_norm", false)?,
            downsample,
            use_v2: arguments.flag("use_v2", false)?,
        })
    }

    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors.
    pub fn build(&self, weights: StateDict) -> Result<Network> {
        let mut builder = Builder::new(self.in_channels, 3, weights);
        let transformer = SwinTransformer {
            feature_size: self.feature_size,
            depths: &self.depths,
            num_heads: &self.num_heads,
            window_size: self.window_size,
            qkv_bias: self.qkv_bias,
            mlp_ratio: self.mlp_ratio,
            patch_norm: self.patch_norm,
            normalize: self.normalize,
            merging: self.downsample,
            residual: self.use_v2.then_some(DynUNetBlock {
                norm: Some(V2_NORM),
                act: Some(ACTIVATION),
                residual: true,
            }),
        };
        let hidden = transformer.build(&mut builder, 0)?;
        let mut skips = vec![self.encoder(&mut builder, "encoder1", 0, self.feature_size)?];
        for (stage, &state) in hidden[..3].iter().enumerate() {
            let features = self.feature_size << stage;
            skips.push(self.encoder(&mut builder, &format!("encoder{}", stage + 2), state, features)?);
        }
        // The fourth state goes to the decoder as it is.
        skips.push(hidden[3]);
        let mut last = self.encoder(&mut builder, "encoder10", hidden[4], self.feature_size << 4)?;
        for step in (1..=5).rev() {
            let (name, skip) = (format!("decoder{step}"), skips[step - 1]);
            let features = builder.network.channels(skip);
            let conv = Conv { features, kernel: [2; 3], stride: [2; 3], padding: [0; 3], bias: false };
            last = builder.conv_transpose(&format!("{name}.transp_conv.conv"), last, conv)?;
            last = builder.network.add(Op::Concat, &[last, skip]);
            last = self.block(&mut builder, &format!("{name}.conv_block"), last, features)?;
        }
        builder.conv("out.conv.conv", last, Conv::point(self.out_channels, true))?;
        builder.finish()
    }

    fn encoder(&self, builder: &mut Builder, name: &str, input: NodeId, features: usize) -> Result<NodeId> {
        self.block(builder, &format!("{name}.layer"), input, features)
    }

    fn block(&self, builder: &mut Builder, name: &str, input: NodeId, features: usize) -> Result<NodeId> {
        let block = DynUNetBlock { norm: self.norm_name, act: Some(ACTIVATION), residual: true };
        block.build(builder, name, input, features, [3; 3], [1; 3])
    }
}

/// What `merging` means in the version that the weights were trained with: its order changed in 1.5.0.
fn merging(arguments: &Arguments, monai_version: Option<&str>) -> Result<PatchMerging> {
    let version = monai_version.unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) < (1, 5) => Ok(PatchMerging::Legacy),
        (Some(_), Some(_)) => Ok(PatchMerging::Fixed),
        _ => Err(Error::unsupported(format!(
            "found SwinUNETR in {} with the MONAI version `{}`, expected a number such as 1.4.0: how it merges \
             patches changed in 1.5.0",
            arguments.file(),
            crate::file::shorten(version),
        ))),
    }
}
