//! Transforms that change intensities.

use super::transform::Reader;
use crate::error::Result;
use crate::model::monai::arguments::{Argument, Arguments};
use crate::model::monai::config::Value;
use crate::recipe::MonaiIntensity;

/// The widest smoothing, in voxels.
const MOST_SMOOTH: f64 = 64.0;

impl<'a> Reader<'a> {
    /// What a transform does to intensities; `None` for one that isn't known.
    pub(super) fn intensity(&self, name: &str) -> Result<Option<MonaiIntensity>> {
        Ok(Some(match name {
            "ScaleIntensityRange" => {
                let arguments = self.arguments(&["a_min", "a_max", "b_min", "b_max", "clip", "dtype"])?;
                let from = |name: &str| arguments.get(name)?.number();
                MonaiIntensity::ScaleRange {
                    from: [from("a_min")?, from("a_max")?],
                    to: range(&arguments)?,
                    clip: flag(&arguments, "clip")?,
                }
            }
            "ScaleIntensityRangePercentiles" => {
                let known = ["lower", "upper", "b_min", "b_max", "clip", "relative", "channel_wise", "dtype"];
                let arguments = self.arguments(&known)?;
                let from = [percent(&arguments.get("lower")?)?, percent(&arguments.get("upper")?)?];
                let mut to = range(&arguments)?;
                if flag(&arguments, "relative")? {
                    let [Some(low), Some(high)] = to else {
                        return Err(self.unsupported("relative to a range that isn't given"));
                    };
                    to = from.map(|percent| Some((high - low) * (percent / 100.0) + low));
                }
                let (clip, channel_wise) = (flag(&arguments, "clip")?, flag(&arguments, "channel_wise")?);
                MonaiIntensity::ScalePercentiles { from, to, clip, channel_wise }
            }
            "ClipIntensityPercentiles" => {
                let known =
                    ["lower", "upper", "sharpness_factor", "channel_wise", "return_clipping_values", "dtype"];
                let arguments = self.arguments(&known)?;
                if arguments.find("sharpness_factor").is_some() {
                    return Err(self.unsupported("with a sharpness_factor"));
                }
                let bound = |name: &str, none: f64| arguments.get_or(name, none, percent);
                MonaiIntensity::ClipPercentiles {
                    bounds: [bound("lower", 0.0)?, bound("upper", 100.0)?],
                    channel_wise: flag(&arguments, "channel_wise")?,
                }
            }
            "ThresholdIntensity" => {
                let arguments = self.arguments(&["threshold", "above", "cval"])?;
                MonaiIntensity::Threshold {
                    threshold: arguments.get("threshold")?.number()?,
                    above: arguments.get_or("above", true, Argument::boolean)?,
                    other: arguments.get_or("cval", 0.0, Argument::number)?,
                }
            }
            "AdjustContrast" => {
                let arguments = self.arguments(&["gamma", "invert_image", "retain_stats"])?;
                for name in ["invert_image", "retain_stats"] {
                    if flag(&arguments, name)? {
                        return Err(self.unsupported(&format!("with {name}")));
                    }
                }
                MonaiIntensity::Contrast { gamma: arguments.get("gamma")?.number()? }
            }
            "ShiftIntensity" => {
                let arguments = self.arguments(&["offset", "safe", "factor_key"])?;
                if arguments.find("factor_key").is_some() {
                    return Err(self.unsupported("with a factor_key"));
                }
                MonaiIntensity::Shift(arguments.get("offset")?.number()?)
            }
            "GaussianSmooth" => {
                let arguments = self.arguments(&["sigma", "approx"])?;
                if arguments.get_or("approx", "erf", |approx| approx.text())? != "erf" {
                    return Err(self.unsupported("with another kernel than erf"));
                }
                let deviation = |argument: &Argument| match argument.number()? {
                    sigma if sigma > 0.0 && sigma <= MOST_SMOOTH => Ok(sigma),
                    _ => Err(argument.wrong(&format!("a number of voxels over 0 and up to {MOST_SMOOTH}"))),
                };
                MonaiIntensity::Smooth {
                    sigma: arguments.get_or("sigma", [1.0; 3], |sigma| sigma.axes(deviation))?,
                }
            }
            "ScaleIntensity" => {
                let arguments = self.arguments(&["minv", "maxv", "factor", "channel_wise", "dtype"])?;
                let bound = |name: &str, default: f64| match self.transform.argument(name) {
                    Some(Value::None) => Ok(None),
                    _ => arguments.get_or(name, default, Argument::number).map(Some),
                };
                let to = [bound("minv", 0.0)?, bound("maxv", 1.0)?];
                match arguments.find("factor") {
                    // With a range MONAI doesn't look at the factor.
                    Some(factor) if to == [None; 2] => MonaiIntensity::Times(1.0 + factor.number()?),
                    _ => MonaiIntensity::Scale { to, channel_wise: flag(&arguments, "channel_wise")? },
                }
            }
            "NormalizeIntensity" => {
                let arguments =
                    self.arguments(&["subtrahend", "divisor", "nonzero", "channel_wise", "dtype"])?;
                let values = |name: &str| match arguments.find(name) {
                    None => Ok(None),
                    Some(list) => {
                        list.one_or_more()?.iter().map(Argument::number).collect::<Result<_>>().map(Some)
                    }
                };
                MonaiIntensity::Normalize {
                    nonzero: flag(&arguments, "nonzero")?,
                    channel_wise: flag(&arguments, "channel_wise")?,
                    subtrahend: values("subtrahend")?,
                    divisor: values("divisor")?,
                }
            }
            _ => return Ok(None),
        }))
    }
}

/// What a range is mapped to.
fn range(arguments: &Arguments) -> Result<[Option<f64>; 2]> {
    let end = |name: &str| arguments.find(name).map(|value| value.number()).transpose();
    Ok([end("b_min")?, end("b_max")?])
}

fn flag(arguments: &Arguments, name: &str) -> Result<bool> {
    arguments.get_or(name, false, Argument::boolean)
}

fn percent(argument: &Argument) -> Result<f64> {
    match argument.number()? {
        percent if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err(argument.wrong("a percentile from 0 to 100")),
    }
}
