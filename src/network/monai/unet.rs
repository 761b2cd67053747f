//! `UNet`: strided convolutions down and transposed ones up, with or without residual units (Kerfoot et al.,
//! "Left-Ventricle Quantification Using Residual U-Net", 2018).

use serde_json::json;

use super::arguments::Arguments;
use super::builder::{Builder, Conv};
use super::norm::Affine;
use super::{Activation, Norm};
use crate::error::Result;
use crate::network::{Network, NodeId, Op, StateDict};

/// The arguments of `UNet`. Per-axis values have size 1 along axis 0 in two dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct UNet {
    /// 3, or 2 for kernels without axis 0.
    pub spatial_dims: usize,
    /// Channels of the image.
    pub in_channels: usize,
    /// Channels of the result.
    pub out_channels: usize,
    /// Channels of each level, from the finest.
    pub channels: Vec<usize>,
    /// Stride of each level but the coarsest.
    pub strides: Vec<[usize; 3]>,
    /// Kernel of the convolutions, odd.
    pub kernel_size: [usize; 3],
    /// Kernel of the transposed convolutions, odd.
    pub up_kernel_size: [usize; 3],
    /// Convolutions in each residual unit; 0 for plain convolutions.
    pub num_res_units: usize,
    /// Activation.
    pub act: Option<Activation>,
    /// Normalisation.
    pub norm: Option<Norm>,
    /// Whether convolutions have a bias.
    pub bias: bool,
    /// What follows a convolution: letters of activation, dropout and normalisation, in order.
    pub adn_ordering: String,
}

impl UNet {
    pub(super) fn read(arguments: &mut Arguments) -> Result<Self> {
        let spatial_dims = arguments.spatial_dims(None)?;
        arguments.ignore(&["dropout"]);
        let residual = arguments.raw("num_res_units").is_some_and(|units| *units != json!(0));
        let net = UNet {
            spatial_dims,
            in_channels: arguments.count("in_channels", None)?,
            out_channels: arguments.count("out_channels", None)?,
            channels: arguments.counts("channels", None)?,
            strides: arguments.levels("strides", spatial_dims)?,
            kernel_size: arguments.axes("kernel_size", spatial_dims, 3)?,
            up_kernel_size: arguments.axes("up_kernel_size", spatial_dims, 3)?,
            num_res_units: if residual { arguments.count("num_res_units", None)? } else { 0 },
            act: Activation::read(arguments, "act", &json!("prelu"))?,
            norm: Norm::read(arguments, "norm", &json!("instance"), Affine::Default)?,
            bias: arguments.flag("bias", true)?,
            adn_ordering: arguments.text("adn_ordering", "NDA")?.to_uppercase(),
        };
        if net.channels.len() < 2 || net.channels.contains(&0) {
            return Err(arguments.wrong("channels", "at least two counts from 1"));
        }
        if net.strides.len() + 1 < net.channels.len() {
            return Err(arguments.wrong("strides", "one entry less than `channels`"));
        }
        for (name, kernel) in [("kernel_size", net.kernel_size), ("up_kernel_size", net.up_kernel_size)] {
            if kernel.iter().any(|size| size % 2 == 0) {
                return Err(arguments.wrong(name, "odd sizes"));
            }
        }
        let letters = &net.adn_ordering;
        let once = |letter: char| letters.matches(letter).count() <= 1;
        if !letters.chars().all(|letter| "AND".contains(letter) && once(letter)) {
            return Err(arguments.wrong("adn_ordering", "some of the letters A, D and N, each once"));
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
        let level_name = |level: usize| format!("model.{}", "1.submodule.".repeat(level));
        let (mut last, mut skips) = (0, Vec::new());
        for level in 0..bottom {
            let (features, name) = (self.channels[level], format!("{}0", level_name(level)));
            last = self.down(&mut builder, &name, last, features, self.strides[level])?;
            skips.push(last);
        }
        let name = level_name(bottom);
        last = self.down(&mut builder, name.trim_end_matches('.'), last, self.channels[bottom], [1; 3])?;
        for level in (0..bottom).rev() {
            last = builder.network.add(Op::Concat, &[skips[level], last]);
            let features = if level == 0 { self.out_channels } else { self.channels[level - 1] };
            last = self.up(&mut builder, &format!("{}2", level_name(level)), last, features, level)?;
        }
        builder.finish()
    }

    /// A level on the way down, or the coarsest one.
    fn down(
        &self,
        builder: &mut Builder,
        name: &str,
        input: NodeId,
        features: usize,
        stride: [usize; 3],
    ) -> Result<NodeId> {
        let conv = Conv { stride, ..Conv::same(features, self.kernel_size, self.bias) };
        if self.num_res_units == 0 {
            let last = builder.conv(&format!("{name}.conv"), input, conv)?;
            return self.adn(builder, name, last);
        }
        let mut last = input;
        for unit in 0..self.num_res_units {
            let name = format!("{name}.conv.unit{unit}");
            let stride = if unit == 0 { stride } else { [1; 3] };
            last = builder.conv(&format!("{name}.conv"), last, Conv { stride, ..conv })?;
            last = self.adn(builder, &name, last)?;
        }
        let shortcut = match stride {
            [1, 1, 1] if builder.network.channels(input) == features => input,
            [1, 1, 1] => {
                builder.conv(&format!("{name}.residual"), input, Conv::point(features, self.bias))?
            }
            _ => builder.conv(&format!("{name}.residual"), input, conv)?,
        };
        Ok(builder.network.add(Op::Add, &[last, shortcut]))
    }

    /// A level on the way up.
    fn up(
        &self,
        builder: &mut Builder,
        name: &str,
        input: NodeId,
        features: usize,
        level: usize,
    ) -> Result<NodeId> {
        let conv = Conv::same(features, self.up_kernel_size, self.bias);
        let conv = Conv { stride: self.strides[level], ..conv };
        if self.num_res_units == 0 {
            let last = builder.conv_transpose(&format!("{name}.conv"), input, conv)?;
            return if level == 0 { Ok(last) } else { self.adn(builder, name, last) };
        }
        let up = builder.conv_transpose(&format!("{name}.0.conv"), input, conv)?;
        let up = self.adn(builder, &format!("{name}.0"), up)?;
        let name = format!("{name}.1.conv.unit0");
        let conv = Conv::same(features, self.kernel_size, self.bias);
        let mut last = builder.conv(&format!("{name}.conv"), up, conv)?;
        if level > 0 {
            last = self.adn(builder, &name, last)?;
        }
        Ok(builder.network.add(Op::Add, &[last, up]))
    }

    fn adn(&self, builder: &mut Builder, name: &str, input: NodeId) -> Result<NodeId> {
        adn(builder, name, input, &self.adn_ordering, self.norm, self.act)
    }
}

/// Normalisation and activation after a convolution, in the order of the letters; dropout does nothing.
pub(super) fn adn(
    builder: &mut Builder,
    name: &str,
    input: NodeId,
    ordering: &str,
    norm: Option<Norm>,
    act: Option<Activation>,
) -> Result<NodeId> {
    let mut last = input;
    for letter in ordering.chars() {
        last = match (letter, norm, act) {
            ('N', Some(norm), _) => norm.build(builder, &format!("{name}.adn.N"), last)?,
            ('A', _, Some(act)) => act.build(builder, &format!("{name}.adn.A"), last)?,
            _ => last,
        };
    }
    Ok(last)
}
