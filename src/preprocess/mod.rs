//! From the caller's volume to the network's image: the recipe's steps, in order.

pub mod crop;
pub mod monai;
pub mod normalize;
pub mod resample;

use ndarray::{Array3, Array4, Axis, concatenate, s};

use crate::error::{Error, Result};
use crate::progress::{Run, Stage};
use crate::recipe::{Recipe, Step};
use crate::volume::{AxisMap, DType, Layout, Volume};
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

/// Takes a volume through the steps of a recipe. `previous` are the labels of a cascade's previous stage, dense
/// on the volume's grid.
///
/// # Errors
/// [`Error::Cancelled`], or [`Error::VolumeMismatch`] for intensities that a step doesn't accept.
pub fn preprocess(
    volume: &Volume,
    previous: Option<&[u8]>,
    recipe: &Recipe,
    threads: usize,
    run: &mut Run,
) -> Result<Prepared> {
    let geometry = volume.geometry();
    let map = recipe.axes(geometry);
    let shape = map.apply(geometry.shape);
    let mut way = Way { map, spacing: map.apply(geometry.spacing), crop: Box3::whole(shape) };
    let mut image = read(volume, &map, Box3::whole(shape), threads);
    // Where the image isn't zero, cavities filled; only some steps look at it.
    let mut mask = None;
    for (done, step) in recipe.steps.iter().enumerate() {
        run.checkpoint(Stage::Preprocess, done, recipe.steps.len())?;
        match step {
            Step::Orient { .. } => {}
            Step::CropToNonzero => {
                way.crop = nonzero_box(image.view(), threads);
                if !way.crop.is_whole(shape) {
                    let Box3 { start, end } = way.crop;
                    let part = s![.., start[0]..end[0], start[1]..end[1], start[2]..end[2]];
                    image = image.slice(part).as_standard_layout().into_owned();
                }
            }
            Step::Normalize(rules) => {
                let masked = |rule: &Normalization| matches!(rule, Normalization::ZScore { masked: true });
                if previous.is_some() || rules.iter().any(masked) {
                    mask = Some(nonzero_mask(image.view(), threads));
                }
                for (channel, rule) in image.axis_iter_mut(Axis(0)).zip(rules) {
                    rule.apply(channel, mask.as_ref().map(|mask: &Array3<bool>| mask.view()), threads)?;
                }
            }
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
                    let one =
                        |channel| resample::resample_with(&resample.image, channel, to, separate, threads);
                    image = match image.dim().0 {
                        // The usual case needs no second copy.
                        1 => one(image.index_axis(Axis(0), 0)).insert_axis(Axis(0)),
                        channels => {
                            let mut resampled = Array4::zeros((channels, to[0], to[1], to[2]));
                            for (channel, mut out) in image.outer_iter().zip(resampled.outer_iter_mut()) {
                                out.assign(&one(channel));
                            }
                            resampled
                        }
                    };
                }
            }
            Step::AddPreviousStage { labels } => {
                let stage =
                    previous.ok_or_else(|| Error::unsupported("a cascade without its previous stage"))?;
                let channels = previous_stage(stage, volume, recipe, &way, &mask, labels, threads)?;
                image = concatenate(Axis(0), &[image.view(), channels.view()])
                    .unwrap_or_else(|_| unreachable!("both are on the network's grid"));
            }
        }
    }
    run.checkpoint(Stage::Preprocess, 1, 1)?;
    Ok(Prepared { image, way })
}

/// The intensities of a part of a volume, along the network's axes.
fn read(volume: &Volume, map: &AxisMap, part: Box3, threads: usize) -> Array4<f32> {
    let shape = part.shape();
    let voxels = shape.iter().product::<usize>();
    let mut values = vec![0.0; voxels * volume.channels()];
    for (channel, values) in values.chunks_exact_mut(voxels).enumerate() {
        volume.read(channel, map, part.start, shape, values, threads);
    }
    Array4::from_shape_vec((volume.channels(), shape[0], shape[1], shape[2]), values)
        .unwrap_or_else(|_| unreachable!("the buffer was made for this shape"))
}

/// The channels that a previous stage adds: its labels on the network's grid, one at a time.
fn previous_stage(
    stage: &[u8],
    volume: &Volume,
    recipe: &Recipe,
    way: &Way,
    mask: &Option<Array3<bool>>,
    labels: &[u16],
    threads: usize,
) -> Result<Array4<f32>> {
    let grid = volume.geometry();
    let layout = Layout::dense(grid.shape, DType::U16);
    let stored = Volume::new(grid.clone(), DType::U16, layout, vec![stage])?;
    let mut found =
        read(&stored, &way.map, way.crop, threads).index_axis_move(Axis(0), 0).mapv(|label| label as i32);
    if let Some(mask) = mask {
        // The reference marks background outside of the image, which interpolation then keeps apart.
        found.zip_mut_with(mask, |label, &inside| *label = if *label == 0 && !inside { -1 } else { *label });
    }
    if let Some(step) = recipe.resample() {
        let to = step.shape(way.crop.shape(), way.spacing);
        let separate = step.labels.separate_axis(way.spacing, step.target(way.spacing));
        found = resample::resample_labels(&step.labels, found, to, separate, threads)?;
    }
    let shape = found.dim();
    let mut channels = Array4::zeros((labels.len(), shape.0, shape.1, shape.2));
    for (mut channel, &label) in channels.outer_iter_mut().zip(labels) {
        channel.zip_mut_with(&found, |value, &found| *value = f32::from(u8::from(found == i32::from(label))));
    }
    Ok(channels)
}
