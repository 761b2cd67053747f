//! Activation layers as MONAI's layer factory names them: `"relu"`, `["leakyrelu", {"negative_slope": 0.1}]`.

use serde_json::Value;

use super::arguments::Arguments;
use super::builder::Builder;
use crate::error::{Error, Result};
use crate::network::{NodeId, Op};

/// An activation layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// x for positive x, else 0.
    Relu,
    /// x for positive x, else slope · x.
    LeakyRelu(f32),
    /// As leaky ReLU, with so many slopes in the file: 1, or one for each channel.
    PRelu(usize),
    /// x for positive x, else alpha · (eˣ − 1).
    Elu(f32),
    /// x · Φ(x), with the error function.
    Gelu,
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// x / (1 + e⁻ˣ).
    Swish,
}

const SUPPORTED: &str = "relu, leakyrelu, prelu, elu, gelu, sigmoid, tanh, swish and memswish";

impl Activation {
    /// Reads the argument `name`; `None` for no activation.
    pub(super) fn read(
        arguments: &mut Arguments,
        name: &'static str,
        default: &Value,
    ) -> Result<Option<Self>> {
        let Some(mut layer) = arguments.layer(name, default)? else { return Ok(None) };
        let activation = match layer.class() {
            "relu" => Activation::Relu,
            "leakyrelu" => Activation::LeakyRelu(layer.number("negative_slope", 0.01)? as f32),
            "prelu" => {
                layer.ignore(&["init"]);
                Activation::PRelu(layer.count("num_parameters", Some(1))?)
            }
            "elu" => Activation::Elu(layer.number("alpha", 1.0)? as f32),
            "gelu" => match layer.text("approximate", "none")? {
                "none" => Activation::Gelu,
                _ => return Err(layer.unsupported("approximate", "none")),
            },
            "sigmoid" => Activation::Sigmoid,
            "tanh" => Activation::Tanh,
            "swish" | "memswish" => {
                if layer.number("alpha", 1.0)? != 1.0 {
                    return Err(layer.unsupported("alpha", "1"));
                }
                Activation::Swish
            }
            other => {
                let text =
                    format!("found the activation `{other}` in {}, supported: {SUPPORTED}", layer.file());
                return Err(Error::unsupported(text));
            }
        };
        layer.ignore(&["inplace"]);
        layer.finish()?;
        Ok(Some(activation))
    }

    /// Adds the layer; `name` is where the file holds what it learned.
    pub(super) fn build(&self, builder: &mut Builder, name: &str, input: NodeId) -> Result<NodeId> {
        let op = match *self {
            Activation::Relu => Op::Relu,
            Activation::LeakyRelu(slope) => Op::LeakyRelu { slope },
            Activation::PRelu(count) => {
                let channels = builder.network.channels(input);
                if count != 1 && count != channels {
                    let text = format!("{count} slopes for the {channels} channels of `{name}`");
                    return Err(Error::unsupported(text));
                }
                Op::PRelu { slope: builder.weights.take(&format!("{name}.weight"), &[count])? }
            }
            Activation::Elu(alpha) => Op::Elu { alpha },
            Activation::Gelu => Op::Gelu,
            Activation::Sigmoid => Op::Sigmoid,
            Activation::Tanh => Op::Tanh,
            Activation::Swish => {
                let gate = builder.network.add(Op::Sigmoid, &[input]);
                return Ok(builder.network.add(Op::Multiply, &[input, gate]));
            }
        };
        Ok(builder.network.add(op, &[input]))
    }
}
