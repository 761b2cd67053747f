//! MONAI's sliding window, as a bundle's `inferer` configures it.

use super::arguments::{Argument, Arguments};
use super::config::Component;
use crate::error::{Error, Result};
use crate::recipe::{Fill, Placement, Sums, Tiling, Weights};
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

/// The tiles of an inferer.
pub(super) fn tiling(file: &str, inferer: &Component) -> Result<Tiling> {
    match inferer.name() {
        "SlidingWindowInferer" | "SlidingWindowInfererAdapt" => {}
        "SimpleInferer" => {
            return Err(Error::unsupported(format!(
                "{file}: `{}` runs the network on whole images of any size; in a copy of the config, put a \
                 SlidingWindowInferer with a roi_size in its place",
                inferer.target
            )));
        }
        _ => {
            let what = format!(
                "{file}: inferer `{}`, supported are SlidingWindowInferer and SlidingWindowInfererAdapt",
                inferer.target
            );
            return Err(Error::unsupported(what));
        }
    }
    let mut known = vec!["roi_size", "overlap", "mode", "sigma_scale", "padding_mode", "cval"];
    known.extend(HARMLESS);
    let arguments = Arguments::new(file, inferer, &known)?;
    let roi = arguments.get("roi_size")?;
    let size = |argument: &Argument| match argument.count() {
        Ok(size) if size > 0 => Ok(size),
        // Zero, negative and None mean the image's own size.
        _ => Err(argument.wrong("a size from 1: the tile's shape must not depend on the image")),
    };
    let patch = roi.axes(size)?;
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
    let weights = match arguments.get_or("mode", "constant", |mode| mode.text())? {
        "constant" => Weights::Constant,
        "gaussian" => Weights::MonaiGaussian(sigma),
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
        slices: false,
        placement: Placement::Overlapping(overlap),
        weights,
        fill,
        sums: Sums::Single,
        mirror: Vec::new(),
    })
}
