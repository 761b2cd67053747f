//! Residual blocks of dynamic_network_architectures after ResNet-D (He et al., "Bag of Tricks for Image
//! Classification", 2019): the shortcut is average pooling and a 1×1×1 convolution.

use super::conv_block::{ConvBlock, Layer};
use super::{Network, NodeId, Op, StateDict};
use crate::error::Result;

/// The kind of residual block, and what surrounds it.
#[derive(Clone, Debug, PartialEq)]
pub struct ResidualBlock {
    /// The convolution block that it is made of.
    pub conv: ConvBlock,
    /// Ratio of channels in squeeze-and-excitation; `None` without it.
    pub squeeze: Option<f64>,
}

impl ResidualBlock {
    /// Adds a stage: `blocks` blocks of which the first may have a stride. With `bottleneck` channels the
    /// blocks are `BottleneckD`, else `BasicBlockD`. `names` are the prefixes of the stage in the file.
    #[allow(clippy::too_many_arguments, reason = "a stage has that many properties")]
    pub(super) fn stage(
        &self,
        network: &mut Network,
        weights: &mut StateDict,
        names: &[String],
        input: NodeId,
        blocks: usize,
        layer: Layer,
        bottleneck: Option<usize>,
    ) -> Result<NodeId> {
        let mut last = input;
        for block in 0..blocks {
            let names: Vec<String> = names.iter().map(|name| format!("{name}.blocks.{block}")).collect();
            let stride = if block == 0 { layer.stride } else { [1; 3] };
            last = self.block(network, weights, &names, last, Layer { stride, ..layer }, bottleneck)?;
        }
        Ok(last)
    }

    fn block(
        &self,
        network: &mut Network,
        weights: &mut StateDict,
        names: &[String],
        input: NodeId,
        layer: Layer,
        bottleneck: Option<usize>,
    ) -> Result<NodeId> {
        let part =
            |part: &str| -> Vec<String> { names.iter().map(|name| format!("{name}.{part}")).collect() };
        let point = |features| Layer { features, kernel: [1; 3], stride: [1; 3] };
        let linear = self.conv.linear();
        let branch = match bottleneck {
            None => {
                let first = self.conv.build(network, weights, &part("conv1"), input, layer)?;
                let second = Layer { stride: [1; 3], ..layer };
                linear.build(network, weights, &part("conv2"), first, second)?
            }
            Some(channels) => {
                let plain = ConvBlock { dropout: false, ..self.conv.clone() };
                let first = plain.build(network, weights, &part("conv1"), input, point(channels))?;
                let middle = Layer { features: channels, ..layer };
                let second = self.conv.build(network, weights, &part("conv2"), first, middle)?;
                linear.build(network, weights, &part("conv3"), second, point(layer.features))?
            }
        };
        let branch = match self.squeeze {
            Some(ratio) => {
                self.squeeze_excitation(network, weights, &part("squeeze_excitation"), branch, ratio)?
            }
            None => branch,
        };
        let mut shortcut = input;
        let pooled = layer.stride != [1; 3];
        if pooled {
            shortcut = network.add(Op::AveragePool { size: layer.stride }, &[shortcut]);
        }
        if network.channels(input) != layer.features {
            let projection = ConvBlock { bias: false, ..linear };
            let names = part(&format!("skip.{}", usize::from(pooled)));
            shortcut = projection.build(network, weights, &names, shortcut, point(layer.features))?;
        }
        let sum = network.add(Op::Add, &[branch, shortcut]);
        Ok(match self.conv.activation {
            Some(activation) => network.add(activation.op(), &[sum]),
            None => sum,
        })
    }

    /// Channels weighed by two 1×1×1 convolutions of their means. As in the reference the means run over the
    /// first two spatial axes only, so in 3-D each slice of the last axis has weights of its own.
    fn squeeze_excitation(
        &self,
        network: &mut Network,
        weights: &mut StateDict,
        names: &[String],
        input: NodeId,
        ratio: f64,
    ) -> Result<NodeId> {
        let channels = network.channels(input);
        let reduced = ((channels as f64 * ratio + 4.0) as usize / 8 * 8).max(8);
        let axes = if self.conv.dimensions == 2 { [false, true, true] } else { [true, true, false] };
        let mut conv =
            |network: &mut Network, name: &str, input: NodeId, features: usize| -> Result<NodeId> {
                let shape = self.conv.kernel_shape(features, network.channels(input), [1; 3]);
                let weight = weights.take(&format!("{}.{name}.weight", names[0]), &shape)?;
                let bias = weights.take(&format!("{}.{name}.bias", names[0]), &[features])?;
                for prefix in names {
                    weights.alias(&format!("{prefix}.{name}.weight"), &weight)?;
                    weights.alias(&format!("{prefix}.{name}.bias"), &bias)?;
                }
                Ok(network.add(
                    Op::Conv { weight, bias: Some(bias), kernel: [1; 3], stride: [1; 3], padding: [0; 3] },
                    &[input],
                ))
            };
        let mean = network.add(Op::Mean { axes }, &[input]);
        let squeezed = conv(network, "fc1", mean, reduced)?;
        let active = network.add(Op::Relu, &[squeezed]);
        let excited = conv(network, "fc2", active, channels)?;
        let gate = network.add(Op::Sigmoid, &[excited]);
        Ok(network.add(Op::Multiply, &[input, gate]))
    }
}
