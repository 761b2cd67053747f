//! `AttentionUnet`: a U-Net whose skip connections are weighed by what comes from below (Oktay et al., "Attention
//! U-Net: Learning Where to Look for the Pancreas", 2018).

use std::sync::Arc;

use super::arguments::Arguments;
use super::builder::{Builder, Conv};
use super::norm::Statistics;
use super::{Activation, Norm};
use crate::error::Result;
use crate::network::{Network, NodeId, Op, StateDict, Weight};

/// The arguments of `AttentionUnet`. Per-axis values have size 1 along axis 0 in two dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionUnet {
    /// 3, or 2 for kernels without axis 0.
    pub spatial_dims: usize,
    /// Channels of the image.
    pub in_channels: usize,
    /// Channels of the result.
    pub out_channels: usize,
    /// Channels of each level, from the finest.
    pub channels: Vec<usize>,
    /// Stride into each level but the finest.
    pub strides: Vec<[usize; 3]>,
    /// Kernel of the convolutions, odd.
    pub kernel_size: [usize; 3],
    /// Kernel of the transposed convolutions, odd.
    pub up_kernel_size: [usize; 3],
}

/// What normalises all convolutions but those that merge.
const BATCH: Norm = Norm { statistics: Statistics::Training, epsilon: 1e-5, affine: true };
/// What normalises those.
const INSTANCE: Norm = Norm { statistics: Statistics::Instance, epsilon: 1e-5, affine: false };

impl AttentionUnet {
    pub(super) fn read(arguments: &mut Arguments) -> Result<Self> {
        let spatial_dims = arguments.spatial_dims(None)?;
        arguments.ignore(&["dropout"]);
        let net = AttentionUnet {
            spatial_dims,
            in_channels: arguments.count("in_channels", None)?,
            out_channels: arguments.count("out_channels", None)?,
            channels: arguments.counts("channels", None)?,
            strides: arguments.levels("strides", spatial_dims)?,
            kernel_size: arguments.axes("kernel_size", spatial_dims, 3)?,
            up_kernel_size: arguments.axes("up_kernel_size", spatial_dims, 3)?,
        };
        if net.channels.len() < 2 || net.channels.iter().any(|&count| count < 2) {
            return Err(arguments.wrong("channels", "at least two counts from 2"));
        }
        if net.strides.len() + 1 < net.channels.len() {
            return Err(arguments.wrong("strides", "one entry less than `channels`"));
        }
        for (name, kernel) in [("kernel_size", net.kernel_size), ("up_kernel_size", net.up_kernel_size)] {
            if kernel.iter().any(|size| size % 2 == 0) {
                return Err(arguments.wrong(name, "odd sizes"));
            }
        }
        Ok(net)
    }

    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors.
    pub fn build(&self, weights: StateDict) -> Result<Network> {
        let mut builder = Builder::new(self.in_channels, self.spatial_dims, weights);
        let bottom = self.channels.len() - 1;
        let level_name = |level: usize| format!("model.1{}", ".submodule.1".repeat(level));
        let mut skips = vec![self.convs(&mut builder, "model.0", 0, self.channels[0], [1; 3])?];
        for level in 0..bottom {
            // The coarsest level stands alone, others before those below them.
            let part = if level + 1 < bottom { "submodule.0" } else { "submodule" };
            let name = format!("{}.{part}", level_name(level));
            let (features, stride) = (self.channels[level + 1], self.strides[level]);
            let last = self.convs(&mut builder, &name, skips[level], features, stride)?;
            skips.push(last);
        }
        let mut last = skips[bottom];
        for level in (0..bottom).rev() {
            last = self.merged(&mut builder, &level_name(level), last, skips[level], level)?;
        }
        builder.conv("model.2.conv", last, Conv::point(self.out_channels, true))?;
        builder.finish()
    }

    /// Two convolutions.
    fn convs(
        &self,
        builder: &mut Builder,
        name: &str,
        input: NodeId,
        features: usize,
        stride: [usize; 3],
    ) -> Result<NodeId> {
        let conv = Conv::same(features, self.kernel_size, true);
        let first = builder.conv(&format!("{name}.conv.0.conv"), input, Conv { stride, ..conv })?;
        let first = active(builder, &format!("{name}.conv.0"), first)?;
        let second = builder.conv(&format!("{name}.conv.1.conv"), first, conv)?;
        active(builder, &format!("{name}.conv.1"), second)
    }

    /// How much of each voxel counts: one number, computed once for each channel that it weighs.
    fn shares(&self, builder: &mut Builder, name: &str, input: NodeId, features: usize) -> Result<NodeId> {
        let inputs = builder.network.channels(input);
        let ones = vec![1; self.spatial_dims];
        let weight =
            builder.weights.take(&format!("{name}.0.conv.weight"), &[&[1, inputs], &ones[..]].concat())?;
        let weight = repeated(&weight, features, &[&[inputs], &ones[..]].concat());
        let mut each = |part: &str| -> Result<Arc<Weight>> {
            Ok(repeated(&*builder.weights.take(&format!("{name}.{part}"), &[1])?, features, &[]))
        };
        let bias = Some(each("0.conv.bias")?);
        let (scale, shift) = (each("1.weight")?, each("1.bias")?);
        let (mean, variance) = (each("1.running_mean")?, each("1.running_var")?);
        builder.weights.skip(&format!("{name}.1.num_batches_tracked"), &[])?;
        let op = Op::Conv { weight, bias, kernel: [1; 3], stride: [1; 3], padding: [0; 3] };
        let last = builder.network.add(op, &[input]);
        let epsilon = BATCH.epsilon;
        Ok(builder.network.add(Op::BatchNorm { scale, shift, mean, variance, epsilon }, &[last]))
    }

    /// A level on the way up: what comes from below, and the part of the skip connection that it points to.
    fn merged(
        &self,
        builder: &mut Builder,
        name: &str,
        below: NodeId,
        skip: NodeId,
        level: usize,
    ) -> Result<NodeId> {
        let features = self.channels[level];
        let up = Conv { stride: self.strides[level], ..Conv::same(features, self.up_kernel_size, true) };
        let up_name = format!("{name}.upconv.up");
        let raised = builder.conv_transpose(&format!("{up_name}.conv"), below, up)?;
        let raised = active(builder, &up_name, raised)?;
        let point = |builder: &mut Builder, part: &str, input: NodeId, features: usize| {
            let name = format!("{name}.attention.{part}");
            let last = builder.conv(&format!("{name}.0.conv"), input, Conv::point(features, true))?;
            BATCH.build(builder, &format!("{name}.1"), last)
        };
        let from_below = point(builder, "W_g", raised, features / 2)?;
        let from_skip = point(builder, "W_x", skip, features / 2)?;
        let both = builder.network.add(Op::Add, &[from_below, from_skip]);
        let both = builder.network.add(Op::Relu, &[both]);
        let shares = self.shares(builder, &format!("{name}.attention.psi"), both, features)?;
        let shares = builder.network.add(Op::Sigmoid, &[shares]);
        let attended = builder.network.add(Op::Multiply, &[skip, shares]);
        let all = builder.network.add(Op::Concat, &[attended, raised]);
        let merge = format!("{name}.merge");
        let kernel = super::arguments::spread(3, self.spatial_dims);
        let last = builder.conv(&format!("{merge}.conv"), all, Conv::same(features, kernel, true))?;
        super::unet::adn(builder, &merge, last, "NDA", Some(INSTANCE), Some(Activation::PRelu(1)))
    }
}

/// The same numbers once for each of so many channels.
fn repeated(weight: &Weight, count: usize, rest: &[usize]) -> Arc<Weight> {
    let shape = [&[count], rest].concat();
    Arc::new(Weight { name: weight.name.clone(), shape, data: weight.data.repeat(count) })
}

fn active(builder: &mut Builder, name: &str, input: NodeId) -> Result<NodeId> {
    super::unet::adn(builder, name, input, "NDA", Some(BATCH), Some(Activation::Relu))
}
