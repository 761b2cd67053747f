//! `SegResNetDS`, the network of Auto3DSeg: SegResNet with deep supervision, and with kernels and strides that
//! follow the resolution of anisotropic images.

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::builder::{Builder, Conv};
use super::norm::Affine;
use super::pre_activation_block::PreActivationBlock;
use super::upsample::Upsample;
use super::{Activation, Norm, UpsampleMode};
use crate::error::Result;
use crate::network::{Network, NodeId, Op, StateDict};

/// The arguments of `SegResNetDS`.
#[derive(Clone, Debug, PartialEq)]
pub struct SegResNetDS {
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
    /// Residual blocks of each encoder level, from the finest.
    pub blocks_down: Vec<usize>,
    /// Residual blocks of each decoder level, from the coarsest.
    pub blocks_up: Vec<usize>,
    /// Decoder levels with a head, counted from the finest.
    pub dsdepth: usize,
    /// How the decoder doubles the size.
    pub upsample_mode: UpsampleMode,
    /// Voxel sizes for which kernels and strides are chosen; `None`: the same along all axes.
    pub resolution: Option<Vec<f64>>,
}

impl SegResNetDS {
    pub(super) fn read(arguments: &mut Arguments) -> Result<Self> {
        if arguments.find("preprocess").is_some() {
            return Err(arguments.unsupported("preprocess", "null"));
        }
        let spatial_dims = arguments.spatial_dims(Some(3))?;
        let blocks_down = arguments.counts("blocks_down", Some(&[1, 2, 2, 4]))?;
        let blocks_up = match arguments.find("blocks_up") {
            Some(_) if blocks_down.len() > 1 => arguments.counts("blocks_up", None)?,
            _ => vec![1; blocks_down.len() - 1],
        };
        let resolution = match arguments.find("resolution") {
            None => None,
            Some(Value::Array(list)) if list.is_empty() => None,
            Some(value) => {
                let sizes: Option<Vec<f64>> =
                    value.as_array().and_then(|list| list.iter().map(Value::as_f64).collect());
                let sizes = sizes.filter(|sizes| {
                    sizes.len() == spatial_dims && sizes.iter().all(|size| size.is_finite() && *size > 0.0)
                });
                Some(sizes.ok_or_else(|| arguments.wrong("resolution", "a positive number for each axis"))?)
            }
        };
        let net = SegResNetDS {
            spatial_dims,
            init_filters: arguments.count("init_filters", Some(32))?,
            in_channels: arguments.count("in_channels", Some(1))?,
            out_channels: arguments.count("out_channels", Some(2))?,
            act: Activation::read(arguments, "act", &json!("relu"))?,
            norm: Norm::read(arguments, "norm", &json!("batch"), Affine::Always)?,
            blocks_down,
            blocks_up,
            dsdepth: arguments.count("dsdepth", Some(1))?,
            upsample_mode: UpsampleMode::read(arguments, "upsample_mode", "deconv")?,
            resolution,
        };
        if net.blocks_up.len() + 1 != net.blocks_down.len() {
            return Err(arguments.wrong("blocks_up", "one entry less than `blocks_down`"));
        }
        Ok(net)
    }

    /// The stride of each level per axis: where voxels are larger along an axis, it waits until the other axes
    /// have caught up to within a factor of two.
    fn scales(&self) -> Vec<[usize; 3]> {
        let waits = self.resolution.as_ref().map_or(vec![0; self.spatial_dims], |sizes| {
            let largest = sizes.iter().copied().fold(0.0, f64::max);
            sizes.iter().map(|size| libm::log2(largest / size).floor() as usize).collect()
        });
        let longest = waits.iter().copied().max().unwrap_or(0);
        let scale = |level: usize| {
            let mut scale = [1; 3];
            for (scale, &wait) in scale[3 - self.spatial_dims..].iter_mut().zip(&waits) {
                *scale = if level < longest && level >= wait { 1 } else { 2 };
            }
            scale
        };
        (0..self.blocks_down.len()).map(scale).collect()
    }

    /// What each level's strides multiply up to: the tile's size must be a multiple of it.
    pub fn shape_factor(&self) -> [usize; 3] {
        let scales = self.scales();
        let strides = &scales[..scales.len() - 1];
        std::array::from_fn(|axis| strides.iter().map(|scale| scale[axis]).product())
    }

    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors.
    pub fn build(&self, weights: StateDict) -> Result<Network> {
        let mut builder = Builder::new(self.in_channels, self.spatial_dims, weights);
        let skips = self.encode(&mut builder, "encoder")?;
        self.decode(&mut builder, "up_layers", &skips)?;
        builder.finish()
    }

    fn kernel(&self, level: usize) -> [usize; 3] {
        self.scales()[level].map(|scale| if scale > 1 { 3 } else { 1 })
    }

    fn block(&self, level: usize) -> PreActivationBlock {
        PreActivationBlock {
            norm: self.norm,
            act: self.act,
            kernel: self.kernel(level),
            act_names: ["act1", "act2"],
            conv_names: ["conv1", "conv2"],
        }
    }

    /// The encoder that the file holds under `name`: the result of each level, from the finest.
    pub(super) fn encode(&self, builder: &mut Builder, name: &str) -> Result<Vec<NodeId>> {
        let scales = self.scales();
        let first = Conv::same(self.init_filters, self.kernel(0), false);
        let mut last = builder.conv(&format!("{name}.conv_init"), 0, first)?;
        let mut skips = Vec::new();
        for (level, &blocks) in self.blocks_down.iter().enumerate() {
            let name = format!("{name}.layers.{level}");
            for index in 0..blocks {
                last = self.block(level).build(builder, &format!("{name}.blocks.{index}"), last)?;
            }
            skips.push(last);
            if level + 1 < self.blocks_down.len() {
                let conv = Conv::same(self.init_filters << (level + 1), self.kernel(level), false);
                let conv = Conv { stride: scales[level], ..conv };
                last = builder.conv(&format!("{name}.downsample"), last, conv)?;
            }
        }
        Ok(skips)
    }

    /// The decoder that the file holds under `name`, with its head, on the results of the encoder's levels.
    pub(super) fn decode(&self, builder: &mut Builder, name: &str, skips: &[NodeId]) -> Result<NodeId> {
        let (scales, steps) = (self.scales(), self.blocks_up.len());
        let mut last = skips[steps];
        for (step, &blocks) in self.blocks_up.iter().enumerate() {
            let (level, name) = (steps - 1 - step, format!("{name}.{step}"));
            let up = Upsample {
                mode: self.upsample_mode,
                features: self.init_filters << level,
                factor: scales[level],
                kernel: Some(self.kernel(level)),
                bias: false,
                align_corners: false,
            };
            last = up.build(builder, &format!("{name}.upsample"), last)?;
            last = builder.network.add(Op::Add, &[last, skips[level]]);
            for index in 0..blocks {
                last = self.block(level).build(builder, &format!("{name}.blocks.{index}"), last)?;
            }
            if level > 0 && level < self.dsdepth {
                // Heads of coarser levels served deep supervision in training.
                let features = builder.network.channels(last);
                let mut shape = vec![self.out_channels, features];
                shape.resize(2 + self.spatial_dims, 1);
                builder.weights.skip(&format!("{name}.head.weight"), &shape)?;
                builder.weights.skip(&format!("{name}.head.bias"), &[self.out_channels])?;
            }
        }
        // A network without a decoder has its head where the decoder would begin.
        let head = format!("{name}.{}.head", steps.saturating_sub(1));
        builder.conv(&head, last, Conv::point(self.out_channels, true))
    }
}
