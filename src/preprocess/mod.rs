//! From the caller's volume to the network's image: the recipe's steps, in order.

pub mod crop;
pub mod normalize;
pub mod resample;

use ndarray::{Array3, Array4, Axis, s};

use crate::error::{Error, Result};
use crate::progress::{Run, Stage};
use crate::recipe::{Recipe, Step};
use crate::volume::{AxisMap, Volume};
use crop::{Box3, nonzero_box, nonzero_mask};
use normalize::Normalization;

/// An image for the network, [channels, axis 0, axis 1, axis 2], and the way back from it.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Intensities in the network's units.
    pub image: Array4<f32>,
    /// How it came from the volume.
    pub way: Way,
}

/// How an image came from a volume: all that undoing it needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// The network's axes in the volume.
    pub map: AxisMap,
    /// The volume's spacing along the network's axes, in millimetres.
    pub spacing: [f64; 3],
    /// The part of the volume that was kept, along the network's axes.
    pub crop: Box3,
}

/// Takes a volume through the steps of a recipe.
///
/// # Errors
/// [`Error::Cancelled`], or [`Error::VolumeMismatch`] for intensities that a step doesn't accept.
pub fn preprocess(volume: &Volume, recipe: &Recipe, threads: usize, run: &mut Run) -> Result<Prepared> {
    let geometry = volume.geometry();
    let map = recipe.axes(geometry);
    let shape = map.apply(geometry.shape);
    let mut way = Way { map, spacing: map.apply(geometry.spacing), crop: Box3::whole(shape) };
    let mut image = read(volume, &map, shape, threads);
    for (done, step) in recipe.steps.iter().enumerate() {
        run.checkpoint(Stage::Preprocess, done, recipe.steps.len())?;
        match step {
            Step::Orient { .. } => {}
            Step::CropToNonzero => {
                way.crop = nonzero_box(image.view(), threads);
                if way.crop != Box3::whole(shape) {
                    let Box3 { start, end } = way.crop;
                    let part = s![.., start[0]..end[0], start[1]..end[1], start[2]..end[2]];
                    image = image.slice(part).as_standard_layout().into_owned();
                }
            }
            Step::Normalize(rules) => normalize(&mut image, rules, threads)?,
            Step::Resample(resample) => {
                let from = way.crop.shape();
                let to = resample.shape(from, way.spacing);
                if to.contains(&0) {
                    let found = format!("{from:?} voxels of {:?} mm along its axes", way.spacing);
                    let expected = format!("at least half a voxel of {:?} mm", resample.target(way.spacing));
                    return Err(Error::VolumeMismatch { expected, found });
                }
                if to != from {
                    let separate = resample.image.separate_axis(way.spacing, resample.target(way.spacing));
                    let orders = resample.image.orders;
                    let mut resampled = Array4::zeros((image.dim().0, to[0], to[1], to[2]));
                    for (channel, mut out) in image.outer_iter().zip(resampled.outer_iter_mut()) {
                        out.assign(&resample::resample(channel, to, orders, separate, threads));
                    }
                    image = resampled;
                }
            }
        }
    }
    run.checkpoint(Stage::Preprocess, 1, 1)?;
    Ok(Prepared { image, way })
}

fn read(volume: &Volume, map: &AxisMap, shape: [usize; 3], threads: usize) -> Array4<f32> {
    let voxels = shape.iter().product::<usize>();
    let mut values = vec![0.0; voxels * volume.channels()];
    for (channel, values) in values.chunks_exact_mut(voxels).enumerate() {
        volume.read(channel, map, [0; 3], shape, values, threads);
    }
    Array4::from_shape_vec((volume.channels(), shape[0], shape[1], shape[2]), values)
        .unwrap_or_else(|_| unreachable!("the buffer was made for this shape"))
}

fn normalize(image: &mut Array4<f32>, rules: &[Normalization], threads: usize) -> Result<()> {
    let masked = rules.iter().any(|rule| matches!(rule, Normalization::ZScore { masked: true }));
    let mask: Option<Array3<bool>> = masked.then(|| nonzero_mask(image.view(), threads));
    for (channel, rule) in image.axis_iter_mut(Axis(0)).zip(rules) {
        rule.apply(channel, mask.as_ref().map(|mask| mask.view()), threads)?;
    }
    Ok(())
}
