//! `VNet`: residual stages of convolutions with kernels of 5 (Milletari et al., "V-Net: Fully Convolutional Neural
//! Networks for Volumetric Medical Image Segmentation", 2016).

use std::sync::Arc;

use serde_json::json;

use super::arguments::{Arguments, spread};
use super::builder::{Builder, Conv};
use super::norm::Statistics;
use super::{Activation, Norm};
use crate::error::Result;
use crate::network::{Network, NodeId, Op, StateDict, Weight};

/// The arguments of `VNet`.
#[derive(Clone, Debug, PartialEq)]
pub struct VNet {
    /// 3, or 2 for kernels without axis 0.
    pub spatial_dims: usize,
    /// Channels of the image, which divide 16.
    pub in_channels: usize,
    /// Channels of the result.
    pub out_channels: usize,
    /// Activation.
    pub act: Option<Activation>,
    /// Whether the activation has a slope for each channel.
    pub slopes: bool,
    /// Whether convolutions on the way down have a bias.
    pub bias: bool,
}

/// What normalises all convolutions.
const BATCH: Norm = Norm { statistics: Statistics::Training, epsilon: 1e-5, affine: true };
/// Channels of the first stage.
const FIRST: usize = 16;
/// Convolutions of each stage on the way down and on the way up.
const DOWN: [usize; 4] = [1, 2, 3, 2];
const UP: [usize; 4] = [2, 2, 1, 1];

impl VNet {
    pub(super) fn read(arguments: &mut Arguments) -> Result<Self> {
        arguments.ignore(&["dropout_prob", "dropout_prob_down", "dropout_prob_up", "dropout_dim"]);
        let net = VNet {
            spatial_dims: arguments.spatial_dims(Some(3))?,
            in_channels: arguments.count("in_channels", Some(1))?,
            out_channels: arguments.count("out_channels", Some(1))?,
            slopes: arguments.find("act").is_some_and(|act| act.as_str() == Some("prelu")),
            act: Activation::read(arguments, "act", &json!("elu"))?,
            bias: arguments.flag("bias", false)?,
        };
        if !FIRST.is_multiple_of(net.in_channels) {
            return Err(arguments.wrong("in_channels", &format!("a number that divides {FIRST}")));
        }
        Ok(net)
    }

    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors.
    pub fn build(&self, weights: StateDict) -> Result<Network> {
        let mut builder = Builder::new(self.in_channels, self.spatial_dims, weights);
        let first = self.conv(&mut builder, "in_tr.conv_block", 0, FIRST, self.bias)?;
        let copies = self.copied(&mut builder, 0, FIRST);
        let sum = builder.network.add(Op::Add, &[first, copies]);
        let mut skips = vec![self.active(&mut builder, "in_tr.act_function", sum)?];
        for (stage, &convs) in DOWN.iter().enumerate() {
            let features = FIRST << (stage + 1);
            let name = format!("down_tr{features}");
            let conv = Conv { bias: self.bias, ..self.halving(features) };
            let down = builder.conv(&format!("{name}.down_conv"), skips[stage], conv)?;
            let down = BATCH.build(&mut builder, &format!("{name}.bn1"), down)?;
            let down = self.active(&mut builder, &format!("{name}.act_function1"), down)?;
            let last = self.convs(&mut builder, &name, down, convs, self.bias)?;
            let sum = builder.network.add(Op::Add, &[last, down]);
            skips.push(self.active(&mut builder, &format!("{name}.act_function2"), sum)?);
        }
        let mut last = skips[DOWN.len()];
        for (stage, &convs) in UP.iter().enumerate() {
            let features = FIRST << (UP.len() - stage);
            let name = format!("up_tr{features}");
            let conv = Conv { bias: true, ..self.halving(features / 2) };
            let up = builder.conv_transpose(&format!("{name}.up_conv"), last, conv)?;
            let up = BATCH.build(&mut builder, &format!("{name}.bn1"), up)?;
            let up = self.active(&mut builder, &format!("{name}.act_function1"), up)?;
            let both = builder.network.add(Op::Concat, &[up, skips[UP.len() - 1 - stage]]);
            // As one tensor, which can be added to another.
            let both = self.copied(&mut builder, both, features);
            let inner = self.convs(&mut builder, &name, both, convs, false)?;
            let sum = builder.network.add(Op::Add, &[inner, both]);
            last = self.active(&mut builder, &format!("{name}.act_function2"), sum)?;
        }
        last = self.conv(&mut builder, "out_tr.conv_block", last, self.out_channels, self.bias)?;
        last = self.active(&mut builder, "out_tr.act_function1", last)?;
        builder.conv("out_tr.conv2", last, Conv::point(self.out_channels, true))?;
        builder.finish()
    }

    /// So many channels, which are the input's one after the other and again.
    fn copied(&self, builder: &mut Builder, input: NodeId, features: usize) -> NodeId {
        let inputs = builder.network.channels(input);
        let one = |at: usize| f32::from(u8::from(at / inputs % inputs == at % inputs));
        let mut shape = vec![features, inputs];
        shape.resize(2 + self.spatial_dims, 1);
        let data = (0..features * inputs).map(one).collect();
        let weight = Arc::new(Weight { name: format!("copies of {inputs} channels"), shape, data });
        let op = Op::Conv { weight, bias: None, kernel: [1; 3], stride: [1; 3], padding: [0; 3] };
        builder.network.add(op, &[input])
    }

    /// From block to voxel, and back.
    fn halving(&self, features: usize) -> Conv {
        let kernel = spread(2, self.spatial_dims);
        Conv { features, kernel, stride: kernel, padding: [0; 3], bias: false }
    }

    fn conv(
        &self,
        builder: &mut Builder,
        name: &str,
        input: NodeId,
        features: usize,
        bias: bool,
    ) -> Result<NodeId> {
        let conv = Conv::same(features, spread(5, self.spatial_dims), bias);
        let last = builder.conv(&format!("{name}.conv"), input, conv)?;
        BATCH.build(builder, &format!("{name}.adn.N"), last)
    }

    fn convs(
        &self,
        builder: &mut Builder,
        name: &str,
        input: NodeId,
        count: usize,
        bias: bool,
    ) -> Result<NodeId> {
        let features = builder.network.channels(input);
        let mut last = input;
        for index in 0..count {
            let name = format!("{name}.ops.{index}");
            last = self.conv(builder, &format!("{name}.conv_block"), last, features, bias)?;
            last = self.active(builder, &format!("{name}.act_function"), last)?;
        }
        Ok(last)
    }

    fn active(&self, builder: &mut Builder, name: &str, input: NodeId) -> Result<NodeId> {
        let features = builder.network.channels(input);
        match self.act {
            Some(Activation::PRelu(_)) if self.slopes => {
                Activation::PRelu(features).build(builder, name, input)
            }
            Some(act) => act.build(builder, name, input),
            None => Ok(input),
        }
    }
}
