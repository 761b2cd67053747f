//! `UNETR`: a transformer over patches of 16³ voxels as the encoder, residual convolutions as the decoder (Hatamizadeh
//! et al., "UNETR: Transformers for 3D Medical Image Segmentation", 2022). The input's size is fixed.

use std::sync::Arc;

use serde_json::json;

use super::arguments::Arguments;
use super::builder::{Builder, Conv};
use super::dynunet_block::DynUNetBlock;
use super::norm::Affine;
use super::swin_transformer::layer_norm;
use super::{Activation, Norm};
use crate::buffer;
use crate::error::Result;
use crate::network::{Network, NodeId, Op, StateDict, Weight};

/// Side of a patch.
const PATCH: usize = 16;
/// Blocks of the transformer, and those whose results the decoder sees too.
const BLOCKS: usize = 12;
const SEEN: [usize; 3] = [3, 6, 9];

/// The arguments of `UNETR`, which has three dimensions here.
#[derive(Clone, Debug, PartialEq)]
pub struct UNETR {
    /// Channels of the image.
    pub in_channels: usize,
    /// Channels of the result.
    pub out_channels: usize,
    /// Size of the input.
    pub img_size: [usize; 3],
    /// Channels of the finest level.
    pub feature_size: usize,
    /// Channels of the transformer.
    pub hidden_size: usize,
    /// Hidden channels of its perceptrons.
    pub mlp_dim: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Whether a convolution embeds patches; else a matrix does.
    pub conv_proj: bool,
    /// Normalisation of the decoder.
    pub norm_name: Option<Norm>,
    /// Whether blocks follow the first upsampling steps of the skip connections.
    pub conv_block: bool,
    /// Whether blocks are residual.
    pub res_block: bool,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
}

impl UNETR {
    pub(super) fn read(arguments: &mut Arguments) -> Result<Self> {
        if arguments.count("spatial_dims", Some(3))? != 3 {
            return Err(arguments.unsupported("spatial_dims", "3"));
        }
        arguments.ignore(&["dropout_rate", "save_attn"]);
        // Up to MONAI 1.3 `pos_embed` said what `proj_type` says.
        let proj = if arguments.find("proj_type").is_some() { "proj_type" } else { "pos_embed" };
        let conv_proj = match arguments.text(proj, "conv")? {
            "conv" => true,
            "perceptron" => false,
            _ => return Err(arguments.unsupported(proj, "conv and perceptron")),
        };
        let given = arguments.find("img_size").is_some();
        let net = UNETR {
            in_channels: arguments.count("in_channels", None)?,
            out_channels: arguments.count("out_channels", None)?,
            img_size: arguments.axes("img_size", 3, PATCH)?,
            feature_size: arguments.count("feature_size", Some(16))?,
            hidden_size: arguments.count("hidden_size", Some(768))?,
            mlp_dim: arguments.count("mlp_dim", Some(3072))?,
            num_heads: arguments.count("num_heads", Some(12))?,
            conv_proj,
            norm_name: Norm::read(arguments, "norm_name", &json!("instance"), Affine::Default)?,
            conv_block: arguments.flag("conv_block", true)?,
            res_block: arguments.flag("res_block", true)?,
            qkv_bias: arguments.flag("qkv_bias", false)?,
        };
        if !given || net.img_size.iter().any(|size| size % PATCH != 0) {
            return Err(arguments.wrong("img_size", "multiples of 16"));
        }
        if !net.hidden_size.is_multiple_of(net.num_heads) {
            return Err(arguments.wrong("num_heads", "a number that divides `hidden_size`"));
        }
        Ok(net)
    }

    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors.
    pub fn build(&self, weights: StateDict) -> Result<Network> {
        let mut builder = Builder::new(self.in_channels, 3, weights);
        let grid = self.img_size.map(|size| size / PATCH);
        let mut last = self.patches(&mut builder, grid)?;
        let mut seen = Vec::new();
        for block in 0..BLOCKS {
            last = self.attention(&mut builder, &format!("vit.blocks.{block}"), last, grid)?;
            if SEEN.contains(&block) {
                seen.push(last);
            }
        }
        last = layer_norm(&mut builder, "vit.norm", last)?;
        let block = self.block();
        let features = self.feature_size;
        let mut skips = vec![block.build(&mut builder, "encoder1.layer", 0, features, [3; 3], [1; 3])?];
        for (level, state) in seen.into_iter().enumerate() {
            skips.push(self.raised(&mut builder, &format!("encoder{}", level + 2), state, level)?);
        }
        for step in (2..=5).rev() {
            let (name, skip) = (format!("decoder{step}"), skips[step - 2]);
            let features = builder.network.channels(skip);
            last = self.doubled(&mut builder, &format!("{name}.transp_conv.conv"), last, features)?;
            last = builder.network.add(Op::Concat, &[last, skip]);
            let name = format!("{name}.conv_block");
            last = block.build(&mut builder, &name, last, features, [3; 3], [1; 3])?;
        }
        builder.conv("out.conv.conv", last, Conv::point(self.out_channels, true))?;
        builder.finish()
    }

    fn block(&self) -> DynUNetBlock {
        let act = Some(Activation::LeakyRelu(0.01));
        DynUNetBlock { norm: self.norm_name, act, residual: self.res_block }
    }

    /// The patches as tokens, with what was learned about their places.
    fn patches(&self, builder: &mut Builder, grid: [usize; 3]) -> Result<NodeId> {
        let (width, tokens) = (self.hidden_size, grid.iter().product::<usize>());
        let name = "vit.patch_embedding.patch_embeddings";
        let (kernel, stride, padding) = ([PATCH; 3], [PATCH; 3], [0; 3]);
        let embedded = if self.conv_proj {
            builder.conv(name, 0, Conv { features: width, kernel, stride, padding, bias: true })?
        } else {
            let (channels, voxels) = (self.in_channels, PATCH * PATCH * PATCH);
            let weight = builder.weights.take(&format!("{name}.1.weight"), &[width, voxels * channels])?;
            let bias = Some(builder.weights.take(&format!("{name}.1.bias"), &[width])?);
            // Channels run fastest in the matrix.
            let place = |at: usize| {
                let (row, rest) = (at / (channels * voxels), at % (channels * voxels));
                weight.data[row * channels * voxels + rest % voxels * channels + rest / voxels]
            };
            let data = buffer::collect(&weight.name, (0..weight.data.len()).map(place))?;
            let shape = vec![width, channels, PATCH, PATCH, PATCH];
            let weight = Arc::new(Weight { name: weight.name.clone(), shape, data });
            builder.network.add(Op::Conv { weight, bias, kernel, stride, padding }, &[0])
        };
        let places = builder.weights.take("vit.patch_embedding.position_embeddings", &[1, tokens, width])?;
        let value = |at: usize| places.data[at % tokens * width + at / tokens];
        let data = buffer::collect(&places.name, (0..tokens * width).map(value))?;
        let shape = vec![width, grid[0], grid[1], grid[2]];
        let value = Arc::new(Weight { name: places.name.clone(), shape, data });
        let places = builder.network.add(Op::Constant { value }, &[]);
        Ok(builder.network.add(Op::Add, &[embedded, places]))
    }

    fn attention(
        &self,
        builder: &mut Builder,
        name: &str,
        input: NodeId,
        window: [usize; 3],
    ) -> Result<NodeId> {
        let width = self.hidden_size;
        let normed = layer_norm(builder, &format!("{name}.norm1"), input)?;
        let qkv = builder.linear(&format!("{name}.attn.qkv"), normed, 3 * width, self.qkv_bias)?;
        let attended = builder.network.add(Op::Attention { heads: self.num_heads, window }, &[qkv]);
        let projected = builder.linear(&format!("{name}.attn.out_proj"), attended, width, true)?;
        let sum = builder.network.add(Op::Add, &[input, projected]);
        let normed = layer_norm(builder, &format!("{name}.norm2"), sum)?;
        let wide = builder.linear(&format!("{name}.mlp.linear1"), normed, self.mlp_dim, true)?;
        let active = builder.network.add(Op::Gelu, &[wide]);
        let narrow = builder.linear(&format!("{name}.mlp.linear2"), active, width, true)?;
        // For attention across images, which this network hasn't.
        builder.weights.skip_module(&format!("{name}.norm_cross_attn"));
        builder.weights.skip_module(&format!("{name}.cross_attn"));
        Ok(builder.network.add(Op::Add, &[sum, narrow]))
    }

    /// A state of the transformer, brought to the size of a level.
    fn raised(&self, builder: &mut Builder, name: &str, input: NodeId, level: usize) -> Result<NodeId> {
        let features = self.feature_size << (level + 1);
        let mut last = self.doubled(builder, &format!("{name}.transp_conv_init.conv"), input, features)?;
        for index in 0..2 - level {
            let name = format!("{name}.blocks.{index}");
            if !self.conv_block {
                last = self.doubled(builder, &format!("{name}.conv"), last, features)?;
                continue;
            }
            last = self.doubled(builder, &format!("{name}.0.conv"), last, features)?;
            last = self.block().build(builder, &format!("{name}.1"), last, features, [3; 3], [1; 3])?;
        }
        Ok(last)
    }

    fn doubled(&self, builder: &mut Builder, name: &str, input: NodeId, features: usize) -> Result<NodeId> {
        let conv = Conv { features, kernel: [2; 3], stride: [2; 3], padding: [0; 3], bias: false };
        builder.conv_transpose(name, input, conv)
    }
}
