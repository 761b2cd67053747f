//! From the caller's volume to the network's image: the recipe's steps, in order.

pub mod crop;
pub mod monai;
pub mod normalize;
pub mod resample;
mod shape;
mod trace;

use crate::buffer;
use crate::error::{Error, Result};
use crate::progress::{Run, Stage};
use crate::recipe::{self, BoxSource, Normalization, Padding, Recipe, Spacing, Step};
use crate::volume::{AxisMap, Box3, DType, Layout, Volume};
use crop::{nonzero_box, nonzero_mask};
use monai::{Grid, Window};
use ndarray::{Array3, Array4, Axis, s};
pub use trace::{GridChange, Trace};

/// An image for the network, [channels, axis 0, axis 1, axis 2], and the way back from it.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Intensities in the network's units.
    pub image: Array4<f32>,
    /// How it came from the volume.
    pub trace: Trace,
}

/// What its memory is for, in errors.
const IMAGE: &str = "the network's image";

/// Takes a volume through the steps of a recipe. `previous` are the labels of a cascade's previous stage, dense
/// on the volume's grid.
///
/// # Errors
/// [`Error::Cancelled`], [`Error::OutOfMemory`], or [`Error::VolumeMismatch`] for intensities that a step doesn't
/// accept.
pub fn preprocess(
    volume: &Volume,
    previous: Option<&[u8]>,
    recipe: &Recipe,
    threads: usize,
    run: &mut Run,
) -> Result<Prepared> {
    let geometry = volume.geometry();
    let map = recipe.axes(geometry);
    let mut trace = Trace::new(map, geometry);
    // The grid of the present image.
    let mut grid = recipe.grid(geometry);
    // Grids before changes that aren't told by their windows.
    let mut grids: Vec<(Option<&Spacing>, Grid)> = Vec::new();
    let mut present = map;
    let mut image = read(volume, &map, Box3::whole(grid.shape), threads)?;
    // Where the image isn't zero, cavities filled; only some steps look at it.
    let mut mask = None;
    for (done, step) in recipe.steps.iter().enumerate() {
        run.checkpoint(Stage::Preprocess, done, recipe.steps.len())?;
        match step {
            Step::Orient { .. } | Step::Turn(_) => {
                let axes = step.axes(present, geometry);
                let turn = present.turn_to(&axes);
                present = axes;
                if done > 0 && turn != AxisMap::identity() {
                    image = turned(image, &turn)?;
                    // Labels go back through the turn as it is, since halves between voxels are decided before it;
                    // scores along the network's axes, as if all before had been along them.
                    match recipe.restore {
                        recipe::RestoreMode::Scores | recipe::RestoreMode::Probabilities => {
                            trace.turn(&turn, geometry);
                            grids.iter_mut().for_each(|(_, grid): &mut (_, Grid)| *grid = grid.turned(&turn));
                        }
                        _ => {
                            trace.changes.push(GridChange::Turned(turn));
                            grids.push((None, grid.clone()));
                        }
                    }
                    grid = grid.turned(&turn);
                }
            }
            Step::CropToNonzero => {
                let Box3 { start, end } = nonzero_box(image.view(), threads)?;
                let window = Window { start: start.map(|at| at as i64), end: end.map(|at| at as i64) };
                cut(&mut image, &mut trace, &mut grid, window, Padding::Constant(0.0), threads)?;
            }
            Step::Normalize(rules) => {
                let masked = |rule: &Normalization| matches!(rule, Normalization::ZScore { masked: true });
                if previous.is_some() || rules.iter().any(masked) {
                    mask = Some(nonzero_mask(image.view(), threads)?);
                }
                for (channel, rule) in image.axis_iter_mut(Axis(0)).zip(rules) {
                    rule.apply(channel, mask.as_ref().map(|mask: &Array3<bool>| mask.view()), threads)?;
                }
            }
            Step::Resample(resample) => {
                let from = grid.shape;
                let spacing = trace.grid.spacing;
                let to = resample.shape(from, spacing);
                if to.contains(&0) {
                    let found = format!("{from:?} voxels of {spacing:?} mm along its axes");
                    let expected = format!("at least half a voxel of {:?} mm", resample.target(spacing));
                    return Err(Error::VolumeMismatch { expected, found });
                }
                trace.changes.push(GridChange::Resampled(from));
                grid.shape = to;
                if to != from {
                    let separate = resample.image.separate_axis(spacing, resample.target(spacing));
                    image = each_channel(image, to, |channel| {
                        resample::resample_with(&resample.image, channel, to, separate, threads)
                    })?;
                }
            }
            Step::Intensity { channel, rule } => {
                let part = match *channel {
                    Some(channel) => image.slice_mut(s![channel..=channel, .., .., ..]),
                    None => image.view_mut(),
                };
                rule.apply(part, threads)?;
            }
            Step::CropForeground { crop, padding, source } => {
                let first = |map: &AxisMap| {
                    let raw =
                        read_channels(volume, 0..1, map, Box3::whole(map.apply(geometry.shape)), threads)?;
                    crop.window(raw.view(), threads)
                };
                let window = match source {
                    BoxSource::Image => crop.window(image.view(), threads)?,
                    BoxSource::FirstChannel => first(&map)?,
                    BoxSource::Misplaced => inside(first(&AxisMap::identity())?, grid.shape)?,
                };
                cut(&mut image, &mut trace, &mut grid, window, *padding, threads)?;
            }
            Step::Frame { frame, padding } => {
                let window = frame.window(grid.shape);
                if window.shape().contains(&0) {
                    return Err(Error::VolumeMismatch {
                        expected: format!("voxels within {frame:?}, to which the model's transforms crop"),
                        found: format!("an image of {:?} voxels there", grid.shape),
                    });
                }
                cut(&mut image, &mut trace, &mut grid, window, *padding, threads)?;
            }
            Step::Resize(resize) => {
                let (from, to) = (grid.shape, resize.shape(grid.shape));
                if to.contains(&0) {
                    let expected = "sides of which half a voxel or more is left when it is resized".into();
                    return Err(Error::VolumeMismatch { expected, found: format!("{from:?} voxels") });
                }
                if to != from {
                    image = each_channel(image, to, |channel| {
                        monai::resize::resize(channel, to, resize.mode, threads)
                    })?;
                    trace.changes.push(GridChange::Resized { from, to, mode: resize.mode });
                    let resized = grid.resized(to);
                    grids.push((None, std::mem::replace(&mut grid, resized)));
                }
            }
            Step::Space(spacing) => {
                let step = spacing.forward(&grid)?;
                if let Some(sampling) = step.sampling {
                    image = each_channel(image, sampling.to(), |channel| sampling.linear(channel, threads))?;
                }
                trace.changes.push(GridChange::Spaced(None));
                grids.push((Some(spacing), grid));
                grid = step.grid;
            }
            Step::AddClicks { labels } => {
                let [_, planes, rows, columns] = *image.shape() else { continue };
                let channels: Array4<f32> = buffer::zeros(IMAGE, (labels.len(), planes, rows, columns))?;
                image = buffer::concatenate(IMAGE, 0, [image.view(), channels.view()])?;
            }
            Step::AddPreviousStage { labels } => {
                let stage =
                    previous.ok_or_else(|| Error::unsupported("a cascade without its previous stage"))?;
                let channels = previous_stage(stage, volume, recipe, &trace, &mask, labels, threads)?;
                image = buffer::concatenate(IMAGE, 0, [image.view(), channels.view()])?;
            }
        }
    }
    run.checkpoint(Stage::Preprocess, 1, 1)?;
    find_back(&mut trace, grid, grids)?;
    if matches!(recipe.restore, recipe::RestoreMode::Scores | recipe::RestoreMode::Probabilities) {
        refuse_skew(&trace)?;
    }
    Ok(Prepared { image, trace })
}

/// How far a shear may move voxels, in voxels, where scores are brought back: axis by axis, which leaves it out.
const LARGEST_SKEW: f64 = 0.02;

/// Refuses a sheared grid where the way back would leave its shear out.
fn refuse_skew(trace: &Trace) -> Result<()> {
    let skews = trace.changes.iter().filter_map(|change| match change {
        GridChange::Spaced(Some(back)) => Some(back.linear.skew()),
        _ => None,
    });
    let skew = skews.fold(0.0, f64::max);
    if skew <= LARGEST_SKEW {
        return Ok(());
    }
    let reason = format!(
        "the axes are {:.3} degrees away from right angles, which moves voxels by up to {skew:.2} voxels; this model's \
         scores are brought back axis by axis, which needs right angles; resample the image onto a grid with right angles",
        trace.grid.shear()
    );
    Err(Error::Geometry { reason })
}

/// Finds the way back through changes of spacing, with the grid before each, from the last image's grid: as MONAI
/// undoes one step after the other, each leaves its rounding in the grid of the next.
fn find_back(trace: &mut Trace, mut grid: Grid, mut grids: Vec<(Option<&Spacing>, Grid)>) -> Result<()> {
    for change in trace.changes.iter_mut().rev() {
        match change {
            GridChange::Cut { from, window } => grid = grid.restored(window, *from),
            GridChange::Resampled(_) => {}
            GridChange::Resized { .. } | GridChange::Turned(_) => {
                if let Some((_, image)) = grids.pop() {
                    grid = image;
                }
            }
            GridChange::Spaced(back) => {
                if let Some((Some(spacing), image)) = grids.pop() {
                    *back = spacing.back(&grid, &image)?.map(Box::new);
                    grid = image;
                }
            }
        }
    }
    Ok(())
}

/// Keeps a part of an image, which may reach beyond it.
fn cut(
    image: &mut Array4<f32>,
    trace: &mut Trace,
    grid: &mut Grid,
    window: Window,
    padding: Padding,
    threads: usize,
) -> Result<()> {
    let from = grid.shape;
    trace.changes.push(GridChange::Cut { from, window });
    if window == Window::whole(from) {
        return Ok(());
    }
    *grid = grid.cut(&window);
    let old = std::mem::replace(image, Array4::zeros((0, 0, 0, 0)));
    *image = each_channel(old, grid.shape, |channel| window.cut(channel, padding, threads))?;
    Ok(())
}

/// The part of a box that lies in an image of that shape; a misplaced box may miss it.
fn inside(window: Window, shape: [usize; 3]) -> Result<Window> {
    let start = [0, 1, 2].map(|axis| window.start[axis].clamp(0, shape[axis] as i64));
    let end = [0, 1, 2].map(|axis| window.end[axis].clamp(start[axis], shape[axis] as i64));
    if start.iter().zip(&end).any(|(start, end)| start == end) {
        return Err(Error::VolumeMismatch {
            expected:
                "a foreground box that meets the image once its axes are changed; the model's own script \
                       fails here too, the option to correct its crop helps"
                    .into(),
            found: format!(
                "a box from {:?} to {:?} and an image of {shape:?} voxels",
                window.start, window.end
            ),
        });
    }
    Ok(Window { start, end })
}

/// An image along other axes.
fn turned(image: Array4<f32>, turn: &AxisMap) -> Result<Array4<f32>> {
    let [planes, rows, columns] = turn.apply([image.dim().1, image.dim().2, image.dim().3]);
    each_channel(image, [planes, rows, columns], |channel| buffer::copy(IMAGE, &turn.turned(channel)))
}

/// An image whose channels are changed one after the other. The usual case of one channel needs no second copy.
fn each_channel(
    image: Array4<f32>,
    to: [usize; 3],
    mut change: impl FnMut(ndarray::ArrayView3<f32>) -> Result<Array3<f32>>,
) -> Result<Array4<f32>> {
    if image.dim().0 == 1 {
        return Ok(change(image.index_axis(Axis(0), 0))?.insert_axis(Axis(0)));
    }
    let mut changed: Array4<f32> = buffer::zeros(IMAGE, (image.dim().0, to[0], to[1], to[2]))?;
    for (channel, mut out) in image.outer_iter().zip(changed.outer_iter_mut()) {
        out.assign(&change(channel)?);
    }
    Ok(changed)
}

/// The intensities of a part of a volume, along the network's axes.
fn read(volume: &Volume, map: &AxisMap, part: Box3, threads: usize) -> Result<Array4<f32>> {
    read_channels(volume, 0..volume.channels(), map, part, threads)
}

fn read_channels(
    volume: &Volume,
    channels: std::ops::Range<usize>,
    map: &AxisMap,
    part: Box3,
    threads: usize,
) -> Result<Array4<f32>> {
    let shape = part.shape();
    let voxels = shape.iter().product::<usize>();
    let mut image = buffer::zeros(IMAGE, (channels.len(), shape[0], shape[1], shape[2]))?;
    let values: &mut [f32] = image.as_slice_mut().unwrap_or_default();
    for (channel, values) in channels.zip(values.chunks_exact_mut(voxels)) {
        volume.read(channel, map, part.start, shape, values, threads);
    }
    Ok(image)
}

/// The channels that a previous stage adds: its labels on the network's grid, one at a time.
fn previous_stage(
    stage: &[u8],
    volume: &Volume,
    recipe: &Recipe,
    trace: &Trace,
    mask: &Option<Array3<bool>>,
    labels: &[u16],
    threads: usize,
) -> Result<Array4<f32>> {
    let grid = volume.geometry();
    let layout = Layout::dense(grid.shape, DType::U16);
    let stored = Volume::new(grid.clone(), DType::U16, layout, vec![stage])?;
    let found = read(&stored, &trace.map, trace.kept(), threads)?.index_axis_move(Axis(0), 0);
    let mut found = buffer::map(IMAGE, &found, |label| label as i32)?;
    if let Some(mask) = mask {
        // The reference marks background outside of the image, which interpolation then keeps apart.
        found.zip_mut_with(mask, |label, &inside| *label = if *label == 0 && !inside { -1 } else { *label });
    }
    if let Some(step) = recipe.resample() {
        let spacing = trace.grid.spacing;
        let to = step.shape(trace.kept().shape(), spacing);
        let separate = step.labels.separate_axis(spacing, step.target(spacing));
        found = resample::resample_labels(&step.labels, found, to, separate, threads)?;
    }
    let shape = found.dim();
    let mut channels: Array4<f32> = buffer::zeros(IMAGE, (labels.len(), shape.0, shape.1, shape.2))?;
    for (mut channel, &label) in channels.outer_iter_mut().zip(labels) {
        channel.zip_mut_with(&found, |value, &found| *value = f32::from(u8::from(found == i32::from(label))));
    }
    Ok(channels)
}
