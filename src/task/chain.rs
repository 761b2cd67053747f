//! Running the links of a task: each finds labels on the volume's grid, with the help of those before it.

use std::ops::Range;
use std::time::Instant;

use ndarray::{Array3, ArrayView3, s};

use super::image::{self, Image, reversed};
use super::region::in_piece;
use super::slots::Held;
use super::{TaskPlan, part, rules};
use crate::buffer;
use crate::engine::Workspace;
use crate::error::{Error, Result};
use crate::inference::{Plan, RunReport};
use crate::labels::LabelBuffer;
use crate::model::task::{Link, LinkCrop};
use crate::progress::Run;
use crate::volume::{AxisMap, Box3, DType, Geometry, Layout, Region, Volume};

/// What their memory is for, in errors.
const LABELS: &str = "the labels of a task";

/// Voxels from which on an image is cut into three parts along the body, and the planes that it has at least then.
const LARGE: usize = 512 * 512 * 900;
const TALL: usize = 200;
/// By how many planes those parts overlap.
pub(super) const OVERLAP: usize = 20;

/// Receives labels [z, y, x] that the models of the last link found so far, and the values of those that are complete.
pub(super) type SoFar<'a> = &'a mut dyn FnMut(Array3<u16>, &[u16], &mut Run) -> Result<()>;

/// As [`SoFar`], of the networks' grid.
type OnNetwork<'a> = &'a mut dyn FnMut(&Array3<u16>, &[u16], &mut Run) -> Result<()>;

impl TaskPlan {
    /// Runs all links, the last one for some boxes of the labels' grid if not for all; the labels [z, y, x] of the last
    /// one along the patient's axes, on the volume's grid or, where the caller wants it, the networks'.
    pub(super) fn links(
        &self,
        volume: &Volume,
        boxes: Option<&[Box3]>,
        mut so_far: Option<SoFar>,
        workspace: &mut Workspace,
        run: &mut Run,
        report: &mut RunReport,
    ) -> Result<Array3<u16>> {
        if self.global(volume.geometry())?.is_some() {
            // Rules may still change any of them.
            so_far = None;
        }
        let costs = self.costs(volume.geometry())?;
        let axes = AxisMap::closest_canonical(volume.geometry());
        let links = self.task.links.clone();
        let mut found: Vec<Array3<u16>> = Vec::new();
        let mut held = Held::default();
        for ((index, link), slots) in links.iter().enumerate().zip(self.ranges()) {
            let ties = report.near_ties;
            let share = costs[slots.clone()].iter().sum::<f64>() / costs[slots.start..].iter().sum::<f64>();
            let part = link.crop.as_ref().map(|LinkCrop { link, labels, margin }| {
                part::around(found[*link].view(), labels, *margin, &axes, volume.geometry())
            });
            let mut labels_of_part = match part {
                _ if slots.is_empty() => {
                    buffer::zeros(LABELS, reversed(axes.apply(volume.geometry().shape)))?
                }
                // Nothing to look at.
                Some(None) => buffer::zeros(LABELS, reversed(axes.apply(volume.geometry().shape)))?,
                part => {
                    let part = part.flatten();
                    let memory = (&mut held, &mut *workspace);
                    let last = index + 1 == links.len();
                    let boxes = boxes.filter(|_| last);
                    let so_far = so_far.take_if(|_| last);
                    let labels_of_part = run.part(0.0, share, |run| {
                        self.link(index, slots, part, (boxes, so_far), &costs, volume, memory, run, report)
                    })?;
                    match part {
                        None => labels_of_part,
                        Some(part) => part::paste(&labels_of_part, &axes, volume.geometry(), part)?,
                    }
                }
            };
            for rule in &link.task.rules {
                if let Some(beside) = link.beside.filter(|_| rule.is_on_volume()) {
                    run.check()?;
                    rules::apply_on_volume(rule, &mut labels_of_part, &found[beside], volume)?;
                }
            }
            // What only finds the part to look at doesn't decide about labels.
            if index + 1 < links.len() && links.iter().all(|later| later.beside != Some(index)) {
                report.near_ties = ties;
            }
            found.push(labels_of_part);
            for (earlier, labels) in found.iter_mut().enumerate() {
                let needs = |later: &Link| {
                    later.beside == Some(earlier)
                        || later.crop.as_ref().is_some_and(|crop| crop.link == earlier)
                };
                if earlier < index && !links[index + 1..].iter().any(needs) {
                    *labels = Array3::zeros([0; 3]);
                }
            }
        }
        found.pop().ok_or_else(|| Error::unsupported("a task without models"))
    }

    /// Runs a link on a part of the volume; its labels on the grid of that part.
    #[expect(clippy::too_many_arguments, reason = "what a run has at hand")]
    fn link(
        &self,
        index: usize,
        slots: Range<usize>,
        part: Option<Box3>,
        (boxes, mut so_far): (Option<&[Box3]>, Option<SoFar>),
        costs: &[f64],
        volume: &Volume,
        memory: (&mut Held, &mut Workspace),
        run: &mut Run,
        report: &mut RunReport,
    ) -> Result<Array3<u16>> {
        let preparing = Instant::now();
        let (spacing, resampling) = self.resampling(index);
        let image = Image::new(volume, part, spacing, resampling, self.threads)?;
        report.preprocess_seconds += preparing.elapsed().as_secs_f64();
        let network = image.volume()?.geometry().shape;
        let boxes = boxes.map(|boxes| self.in_image(boxes, volume.geometry(), part, network)).transpose()?;
        let axes = AxisMap::closest_canonical(volume.geometry());
        let mut on_volume = |merged: &Array3<u16>, complete: &[u16], run: &mut Run| {
            let Some(so_far) = &mut so_far else { return Ok(()) };
            let mut labels_of_part = buffer::copy(LABELS, merged)?;
            if !self.task.options.on_network_grid {
                labels_of_part = image.back(labels_of_part, None)?;
            }
            let whole = match part {
                None => labels_of_part,
                Some(part) => part::paste(&labels_of_part, &axes, volume.geometry(), part)?,
            };
            so_far(whole, complete, run)
        };
        let asked = (boxes.as_deref(), &mut on_volume as OnNetwork);
        let labels = self.models(index, slots, &image, asked, costs, memory, run, report)?;
        let options = &self.task.options;
        let main = index == self.main_link();
        if main && options.on_network_grid {
            return Ok(labels);
        }
        run.check()?;
        image.back(labels, (main && options.smooth).then_some(self.threads))
    }

    /// How long each slot takes, up to a factor, if nothing is cropped.
    fn costs(&self, geometry: &Geometry) -> Result<Vec<f64>> {
        let mut costs = Vec::new();
        for (index, slots) in self.ranges().enumerate() {
            let grid = image::network_grid(geometry, self.resampling(index).0)?;
            for slot in slots {
                let plan = &self.slots[slot].told;
                let tile = plan.recipe.tiling.patch.iter().product::<usize>();
                costs.push((plan.report(&grid)?.tiles * tile) as f64);
            }
        }
        Ok(costs)
    }

    /// First and last plane of the parts that an image is cut into along the body.
    pub(super) fn pieces(&self, link: usize, shape: [usize; 3]) -> Vec<(usize, usize)> {
        let main = link == self.main_link();
        let several = self.task.links[link].task.models.len() > 1;
        let large = shape.iter().product::<usize>() > LARGE && shape[2] > TALL && several;
        let third = shape[2] / 3;
        if !(large || self.task.options.split && main) || third <= OVERLAP {
            return vec![(0, shape[2])];
        }
        vec![
            (0, third + OVERLAP),
            (third + 1 - OVERLAP, 2 * third + OVERLAP),
            (2 * third + 1 - OVERLAP, shape[2]),
        ]
    }

    /// Runs the models of a link on its image, and its rules on their labels [z, y, x].
    #[expect(clippy::too_many_arguments, reason = "what a run has at hand")]
    fn models(
        &self,
        link: usize,
        slots: Range<usize>,
        image: &Image,
        (boxes, so_far): (Option<&[Box3]>, OnNetwork),
        costs: &[f64],
        (held, workspace): (&mut Held, &mut Workspace),
        run: &mut Run,
        report: &mut RunReport,
    ) -> Result<Array3<u16>> {
        let volume = image.volume()?;
        let grid = volume.geometry().clone();
        let pieces = self.pieces(link, grid.shape);
        let regions: Vec<Option<Region>> = (0..pieces.len())
            .map(|n| match boxes {
                None => Some(Region::whole()),
                Some(boxes) => {
                    let boxes = in_piece(boxes, kept(&pieces, n), pieces[n].0);
                    (!boxes.is_empty()).then(|| Region { boxes, ..Region::default() })
                }
            })
            .collect();
        let mut merged = buffer::zeros::<u16, _>(LABELS, reversed(grid.shape))?;
        let mut complete: Vec<u16> = Vec::new();
        for index in slots.clone() {
            let share = costs[index] / costs[index..slots.end].iter().sum::<f64>();
            let values = self.slots[index].part.values.clone();
            for (region, &(start, end)) in regions.iter().zip(&pieces) {
                if region.is_none() {
                    let shape = [grid.shape[0], grid.shape[1], end - start];
                    let left_out = self.slots[index].told.report(&Geometry { shape, ..grid.clone() })?;
                    report.tiles_in_all += left_out.tiles;
                }
            }
            if regions.iter().all(Option::is_none) {
                continue;
            }
            run.part(0.0, share, |run| {
                held.run(&self.slots, index, |plan| {
                    for (n, &(start, end)) in pieces.iter().enumerate() {
                        let share = 1.0 / (pieces.len() - n) as f64;
                        let Some(region) = &regions[n] else { continue };
                        let piece = volume.part([0, 0, start], [grid.shape[0], grid.shape[1], end]);
                        let kept = kept(&pieces, n);
                        let found =
                            run.part(0.0, share, |run| one(plan, &piece, region, workspace, run, report))?;
                        let inside = found.slice(s![kept.start - start..kept.end - start, .., ..]);
                        merge(&mut merged.slice_mut(s![kept, .., ..]), inside, &values);
                    }
                    Ok(())
                })
            })?;
            complete.extend(values.iter().filter(|&&value| value > 0));
            if index + 1 < slots.end {
                so_far(&merged, &complete, run)?;
            }
        }
        let task = &self.task.links[link].task;
        let labels: Vec<u32> =
            task.labels.iter().map(|label| label.value).filter(|&value| value > 0).collect();
        for rule in &task.rules {
            run.check()?;
            rules::apply(rule, &mut merged, grid.spacing, &labels)?;
        }
        let main = link == self.main_link();
        if let Some(volume) = self.task.options.remove_small.filter(|_| main) {
            run.check()?;
            rules::remove_small(&mut merged, &labels, volume, grid.spacing)?;
        }
        Ok(merged)
    }
}

/// The labels [z, y, x] of one model on a volume along the patient's axes.
fn one(
    plan: &Plan,
    volume: &Volume,
    region: &Region,
    workspace: &mut Workspace,
    run: &mut Run,
    report: &mut RunReport,
) -> Result<Array3<u8>> {
    let grid = volume.geometry();
    let mut bytes = buffer::zeroed(LABELS, grid.voxels())?;
    let mut labels = LabelBuffer::new(grid, DType::U8, Layout::dense(grid.shape, DType::U8), &mut bytes)?;
    report.add(plan.segment_inspected(volume, region, &mut labels, &mut [], workspace, run)?);
    Ok(Array3::from_shape_vec(reversed(grid.shape), bytes)
        .unwrap_or_else(|_| unreachable!("the buffer was made for this shape")))
}

/// The planes of the image that come from a piece.
pub(super) fn kept(pieces: &[(usize, usize)], piece: usize) -> Range<usize> {
    let end =
        |piece: usize| if piece + 1 < pieces.len() { pieces[piece].1 - OVERLAP } else { pieces[piece].1 };
    (if piece == 0 { 0 } else { end(piece - 1) })..end(piece)
}

/// Writes a model's labels, by the task's values, over those of the models before it.
fn merge(merged: &mut ndarray::ArrayViewMut3<u16>, labels: ArrayView3<u8>, values: &[u16]) {
    ndarray::Zip::from(merged).and(labels).for_each(|merged, &label| match values.get(usize::from(label)) {
        None | Some(0) => {}
        Some(&value) => *merged = value,
    });
}
