//! Normalisation layers as MONAI's layer factory names them: `"batch"`, `["group", {"num_groups": 8}]`.

use serde_json::Value;

use super::arguments::Arguments;
use super::builder::Builder;
use crate::error::{Error, Result};
use crate::network::{NodeId, Op};

/// A normalisation layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Where its statistics come from.
    pub statistics: Statistics,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether it has a scale and a shift.
    pub affine: bool,
}

/// Where a normalisation's statistics come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistics {
    /// From the tile, for each channel.
    Instance,
    /// From the tile, for so many groups of channels.
    Group(usize),
    /// From training, for each channel.
    Training,
}

/// Whether a layer has a scale and a shift when its description doesn't say.
#[derive(Clone, Copy)]
pub(super) enum Affine {
    /// As PyTorch's classes have it.
    Default,
    /// Always.
    Always,
}

const SUPPORTED: &str = "batch, syncbatch, instance, instance_nvfuser and group";

impl Norm {
    /// Reads the argument `name`; `None` for no normalisation.
    pub(super) fn read(
        arguments: &mut Arguments,
        name: &'static str,
        default: &Value,
        affine: Affine,
    ) -> Result<Option<Self>> {
        let Some(mut layer) = arguments.layer(name, default)? else { return Ok(None) };
        let always = matches!(affine, Affine::Always);
        let (statistics, affine) = match layer.class() {
            "batch" | "syncbatch" => {
                if !layer.flag("track_running_stats", true)? {
                    return Err(layer.unsupported("track_running_stats", "true"));
                }
                (Statistics::Training, layer.flag("affine", true)?)
            }
            "instance" | "instance_nvfuser" => {
                let tracked = layer.flag("track_running_stats", false)?;
                let statistics = if tracked { Statistics::Training } else { Statistics::Instance };
                (statistics, layer.flag("affine", always)?)
            }
            "group" => (Statistics::Group(layer.count("num_groups", None)?), layer.flag("affine", true)?),
            other => {
                let text =
                    format!("found the normalisation `{other}` in {}, supported: {SUPPORTED}", layer.file());
                return Err(Error::unsupported(text));
            }
        };
        let epsilon = layer.number("eps", 1e-5)? as f32;
        layer.ignore(&["momentum", "num_features", "num_channels"]);
        layer.finish()?;
        Ok(Some(Norm { statistics, epsilon, affine }))
    }

    /// Adds the layer that the file holds under `name`.
    pub(super) fn build(&self, builder: &mut Builder, name: &str, input: NodeId) -> Result<NodeId> {
        let channels = builder.network.channels(input);
        let epsilon = self.epsilon;
        let (scale, shift) = match self.affine {
            true => (
                builder.weights.take(&format!("{name}.weight"), &[channels])?,
                builder.weights.take(&format!("{name}.bias"), &[channels])?,
            ),
            false => (builder.constant(name, channels, 1.0), builder.constant(name, channels, 0.0)),
        };
        let op = match self.statistics {
            Statistics::Instance => Op::InstanceNorm { scale, shift, epsilon },
            Statistics::Group(groups) if channels.is_multiple_of(groups) => {
                Op::GroupNorm { groups, scale, shift, epsilon }
            }
            Statistics::Group(groups) => {
                let text =
                    format!("{groups} groups of the {channels} channels of `{name}`, which don't divide");
                return Err(Error::unsupported(text));
            }
            Statistics::Training => {
                let mean = builder.weights.take(&format!("{name}.running_mean"), &[channels])?;
                let variance = builder.weights.take(&format!("{name}.running_var"), &[channels])?;
                builder.weights.skip(&format!("{name}.num_batches_tracked"), &[])?;
                Op::BatchNorm { scale, shift, mean, variance, epsilon }
            }
        };
        Ok(builder.network.add(op, &[input]))
    }
}
