//! MONAI's sliding window, as a bundle's `inferer` configures it.

use super::arguments::{Argument, Arguments};
use super::config::{Component, Value};
use crate::error::{Error, Result};
use crate::recipe::{Fill, ImportanceMap, ScorePrecision, TilePlacement, Tiling};
use crate::tiling::sliding::SIGMA_SCALE;

/// Arguments that say where and when things are computed, and not what.
const HARMLESS: [&str; 8] = [
    "sw_batch_size",
    "sw_device",
    "device",
    "progress",
    "cache_roi_weight_map",
    "cpu_thresh",
    "buffer_steps",
    "buffer_dim",
];

/// The tiles of an inferer, for images that have a fixed shape or any.
pub(super) fn tiling(file: &str, inferer: &Component, fixed: Option<[usize; 3]>) -> Result<Tiling> {
    let slices = inferer.name() == "SliceInferer";
    match inferer.name() {
        "SlidingWindowInferer" | "SlidingWindowInfererAdapt" | "SliceInferer" => {}
        // For classes it leaves all but the size to SlidingWindowInfererAdapt's defaults, its own overlap too.
        "Vista3dInferer" => {
            let known =
                ["roi_size", "overlap", "use_point_window", "sw_batch_size", "use_cfp", "padding_mode"];
            Arguments::new(file, inferer, &known)?;
            let kept = |(name, _): &&(String, Value)| ["roi_size", "padding_mode"].contains(&name.as_str());
            let target = "SlidingWindowInfererAdapt".into();
            let arguments = inferer.arguments.iter().filter(kept).cloned().collect();
            return tiling(file, &Component { target, arguments, ..inferer.clone() }, fixed);
        }
        "SimpleInferer" => {
            Arguments::new(file, inferer, &[])?;
            let Some(patch) = fixed else {
                return Err(Error::unsupported(format!(
                    "{file}: `{}` runs the network on whole images, whose size the transforms leave open; in a copy of \
                     the config, put a SlidingWindowInferer with a roi_size in its place",
                    inferer.target
                )));
            };
            return Ok(Tiling {
                patch,
                slices: false,
                placement: TilePlacement::Overlapping([0.0; 3]),
                importance: ImportanceMap::Constant,
                fill: Fill::Constant(0.0),
                score_precision: ScorePrecision::Single,
                mirror: Vec::new(),
            });
        }
        _ => {
            let what = format!(
                "{file}: inferer `{}`, supported are SlidingWindowInferer, SlidingWindowInfererAdapt, SliceInferer and \
                 SimpleInferer",
                inferer.target
            );
            return Err(Error::unsupported(what));
        }
    }
    let mut known = vec!["roi_size", "overlap", "mode", "sigma_scale", "padding_mode", "cval"];
    known.extend(HARMLESS);
    if slices {
        known.push("spatial_dim");
    }
    let arguments = Arguments::new(file, inferer, &known)?;
    let roi = arguments.get("roi_size")?;
    let size = |argument: &Argument, axis: usize| match (argument.count(), fixed) {
        (Ok(size), _) if size > 0 => Ok(size),
        // Zero, negative and None mean the image's own size.
        (_, Some(shape)) => Ok(shape[axis]),
        _ => Err(argument.wrong("a size from 1: the tile's shape must not depend on the image")),
    };
    let patch = if slices {
        let along = arguments.get_or("spatial_dim", 0, Argument::count)?;
        let [first, second] = match along {
            0 => [1, 2],
            1 => [0, 2],
            2 => [0, 1],
            _ => return Err(arguments.get("spatial_dim")?.wrong("an axis from 0 to 2")),
        };
        let sides = roi.for_each(2)?;
        let mut patch = [1; 3];
        (patch[first], patch[second]) = (size(&sides[0], first)?, size(&sides[1], second)?);
        patch
    } else {
        let sides = roi.for_each(3)?;
        [size(&sides[0], 0)?, size(&sides[1], 1)?, size(&sides[2], 2)?]
    };
    if patch.iter().product::<usize>() > 1 << 30 {
        return Err(roi.wrong("sizes whose product stays under 2^30"));
    }
    let overlap = arguments.get_or("overlap", [0.25; 3], |overlap| {
        let share = |overlap: &Argument| match overlap.number()? {
            share if (0.0..1.0).contains(&share) => Ok(share),
            _ => Err(overlap.wrong("a share from 0 up to but not including 1")),
        };
        overlap.axes(share)
    })?;
    let sigma = arguments.get_or("sigma_scale", [SIGMA_SCALE; 3], |sigma| sigma.axes(Argument::number))?;
    let importance = match arguments.get_or("mode", "constant", |mode| mode.text())? {
        "constant" => ImportanceMap::Constant,
        "gaussian" => ImportanceMap::MonaiGaussian(sigma),
        _ => return Err(arguments.get("mode")?.wrong("constant or gaussian")),
    };
    let value = arguments.get_or("cval", 0.0, Argument::number)? as f32;
    let fill = match arguments.get_or("padding_mode", "constant", |mode| mode.text())? {
        "constant" => Fill::Constant(value),
        "replicate" => Fill::Edge,
        _ => return Err(arguments.get("padding_mode")?.wrong("constant or replicate")),
    };
    Ok(Tiling {
        patch,
        slices,
        placement: TilePlacement::Overlapping(overlap),
        importance,
        fill,
        score_precision: ScorePrecision::Single,
        mirror: Vec::new(),
    })
}
