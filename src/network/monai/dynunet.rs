//! `DynUNet`: nnU-Net's U-Net as MONAI has it, with kernels and strides level by level (Futrega et al.,
//! "Optimized U-Net for Brain Tumor Segmentation", 2021).

use serde_json::json;

use super::arguments::Arguments;
use super::builder::{Builder, Conv};
use super::dynunet_block::DynUNetBlock;
use super::norm::Affine;
use super::{Activation, Norm};
use crate::error::Result;
use crate::network::{Network, Op, StateDict};

/// The arguments of `DynUNet`. Per-axis values have size 1 along axis 0 in two dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct DynUNet {
    /// 3, or 2 for kernels without axis 0.
    pub spatial_dims: usize,
    /// Channels of the image.
    pub in_channels: usize,
    /// Channels of the result.
    pub out_channels: usize,
    /// Kernel of each level, from the finest, odd.
    pub kernel_size: Vec<[usize; 3]>,
    /// Stride into each level; the first is 1.
    pub strides: Vec<[usize; 3]>,
    /// Kernel and stride of the transposed convolution out of each level but the finest.
    pub upsample_kernel_size: Vec<[usize; 3]>,
    /// Channels of each level.
    pub filters: Vec<usize>,
    /// Normalisation.
    pub norm_name: Option<Norm>,
    /// Activation.
    pub act_name: Option<Activation>,
    /// Levels with a head for deep supervision, if the file has such heads.
    pub deep_supr_num: usize,
    /// Whether the encoder's blocks are residual.
    pub res_block: bool,
    /// Whether transposed convolutions have a bias.
    pub trans_bias: bool,
}

impl DynUNet {
    pub(super) fn read(arguments: &mut Arguments) -> Result<Self> {
        let spatial_dims = arguments.spatial_dims(None)?;
        // Files have the heads where they were trained with deep supervision, whatever the argument says now.
        arguments.ignore(&["dropout", "deep_supervision"]);
        let strides = arguments.levels("strides", spatial_dims)?;
        let most = if spatial_dims == 3 { 320 } else { 512 };
        let filters = match arguments.find("filters") {
            Some(_) => arguments.counts("filters", None)?,
            None => (0..strides.len()).map(|level| most.min(32 << level)).collect(),
        };
        let mut net = DynUNet {
            spatial_dims,
            in_channels: arguments.count("in_channels", None)?,
            out_channels: arguments.count("out_channels", None)?,
            kernel_size: arguments.levels("kernel_size", spatial_dims)?,
            upsample_kernel_size: arguments.levels("upsample_kernel_size", spatial_dims)?,
            filters,
            norm_name: Norm::read(
                arguments,
                "norm_name",
                &json!(["instance", {"affine": true}]),
                Affine::Default,
            )?,
            act_name: Activation::read(arguments, "act_name", &json!("leakyrelu"))?,
            deep_supr_num: arguments.count("deep_supr_num", Some(1))?,
            res_block: arguments.flag("res_block", false)?,
            trans_bias: arguments.flag("trans_bias", false)?,
            strides,
        };
        let levels = net.strides.len();
        if levels < 3 || net.strides[0] != [1; 3] {
            return Err(arguments.unsupported("strides", "at least three entries, of which the first is 1"));
        }
        if net.kernel_size.len() != levels || net.kernel_size.iter().flatten().any(|size| size % 2 == 0) {
            return Err(arguments.wrong("kernel_size", "odd sizes, as many entries as `strides`"));
        }
        if net.upsample_kernel_size.len() + 1 != levels {
            return Err(arguments.wrong("upsample_kernel_size", "one entry less than `strides`"));
        }
        if net.filters.len() < levels || net.filters.contains(&0) {
            return Err(arguments.wrong("filters", "counts from 1, as many as `strides`"));
        }
        if net.deep_supr_num >= levels {
            return Err(arguments.wrong("deep_supr_num", "less than the number of levels"));
        }
        net.filters.truncate(levels);
        Ok(net)
    }

    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors.
    pub fn build(&self, weights: StateDict) -> Result<Network> {
        let mut builder = Builder::new(self.in_channels, self.spatial_dims, weights);
        let bottom = self.strides.len() - 1;
        let plain = DynUNetBlock { norm: self.norm_name, act: self.act_name, residual: false };
        let encoder = DynUNetBlock { residual: self.res_block, ..plain };
        let down = |level: usize| match level {
            0 => "input_block".to_owned(),
            level if level == bottom => "bottleneck".into(),
            level => format!("downsamples.{}", level - 1),
        };
        let up = |level: usize| format!("upsamples.{}", bottom - 1 - level);

        let (mut last, mut skips) = (0, Vec::new());
        for level in 0..=bottom {
            let (kernel, stride) = (self.kernel_size[level], self.strides[level]);
            last = encoder.build(&mut builder, &down(level), last, self.filters[level], kernel, stride)?;
            skips.push(last);
        }
        for level in (0..bottom).rev() {
            let (features, name) = (self.filters[level], up(level));
            let stride = self.upsample_kernel_size[level];
            let conv = Conv { features, kernel: stride, stride, padding: [0; 3], bias: self.trans_bias };
            last = builder.conv_transpose(&format!("{name}.transp_conv.conv"), last, conv)?;
            last = builder.network.add(Op::Concat, &[last, skips[level]]);
            let (name, kernel) = (format!("{name}.conv_block"), self.kernel_size[level + 1]);
            last = plain.build(&mut builder, &name, last, features, kernel, [1; 3])?;
        }
        builder.conv("output_block.conv.conv", last, Conv::point(self.out_channels, true))?;

        let head = |level: usize| format!("deep_supervision_heads.{}", level - 1);
        for level in 1..=self.deep_supr_num {
            let mut shape = vec![self.out_channels, self.filters[level]];
            shape.resize(2 + self.spatial_dims, 1);
            builder.weights.skip(&format!("{}.conv.conv.weight", head(level)), &shape)?;
            builder.weights.skip(&format!("{}.conv.conv.bias", head(level)), &[self.out_channels])?;
        }
        // The file lists every block a second time, nested as the network's levels are.
        let mut nested = String::from("skip_layers");
        for level in 0..bottom {
            builder.weights.alias_module(&format!("{nested}.downsample"), &down(level))?;
            builder.weights.alias_module(&format!("{nested}.upsample"), &up(level))?;
            if (1..=self.deep_supr_num).contains(&level) {
                builder.weights.alias_module(&format!("{nested}.super_head"), &head(level))?;
            }
            nested.push_str(".next_layer");
        }
        builder.weights.alias_module(&nested, &down(bottom))?;
        builder.finish()
    }
}
