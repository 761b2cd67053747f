//! The dose that labels receive, from a dose volume on a grid of its own.

use super::by_label::ByLabel;
use super::grid_transform::GridTransform;
use super::map::{LabelMap, each_run, gather};
use super::room::zeros;
use crate::error::{Error, Result};
use crate::floating_point::Ours;
use crate::progress::{Run, Stage};
use crate::volume::Volume;
use crate::{buffer, parallel};

/// What its memory is for, in errors.
const DOSES: &str = "the doses of labels";

/// The dose in a label, in the unit of the dose volume.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelDose {
    /// The label.
    pub label: u32,
    /// Voxels of it that lie outside the dose volume and count as a dose of 0.
    pub outside: u64,
    /// The mean dose.
    pub mean: f64,
    /// One for each voxel, ascending.
    doses: Vec<f32>,
}

impl LabelDose {
    fn of(label: u32, pieces: &[Received]) -> Result<Self> {
        let mut doses = buffer::with_room(DOSES, pieces.iter().map(|piece| piece.doses.len()).sum())?;
        pieces.iter().for_each(|piece| doses.extend_from_slice(&piece.doses));
        let mean = doses.iter().map(|&dose| f64::from(dose)).sum::<f64>() / doses.len() as f64;
        doses.sort_unstable_by(f32::total_cmp);
        Ok(LabelDose { label, outside: pieces.iter().map(|piece| piece.outside).sum(), mean, doses })
    }

    /// Voxels of the label.
    pub fn voxels(&self) -> u64 {
        self.doses.len() as u64
    }

    /// The smallest dose.
    pub fn min(&self) -> f64 {
        self.doses.first().copied().unwrap_or_default().into()
    }

    /// The largest dose.
    pub fn max(&self) -> f64 {
        self.doses.last().copied().unwrap_or_default().into()
    }

    /// D95, D2 and so on: the dose that `percent` of the label receive at least, which is the percentile
    /// 100 - `percent` of the voxels' doses, between two of them by linear interpolation.
    pub fn dose_to(&self, percent: f64) -> f64 {
        let last = self.doses.len().saturating_sub(1);
        let position = (1.0 - percent / 100.0).clamp(0.0, 1.0) * last as f64;
        let below = position.floor();
        let dose = |n: usize| f64::from(self.doses.get(n.min(last)).copied().unwrap_or_default());
        let (low, high) = (dose(below as usize), dose(below as usize + 1));
        low + (high - low) * (position - below)
    }

    /// V20 and so on: the share of the label, between 0 and 1, that receives at least `dose`.
    pub fn share_at(&self, dose: f64) -> f64 {
        let less = self.doses.partition_point(|&received| f64::from(received) < dose);
        (self.doses.len() - less) as f64 / self.doses.len() as f64
    }

    /// The cumulative dose-volume histogram: [the share](Self::share_at) at each of the doses.
    pub fn histogram(&self, doses: impl IntoIterator<Item = f64>) -> Vec<f64> {
        doses.into_iter().map(|dose| self.share_at(dose)).collect()
    }
}

/// The dose of each label but 0 that occurs, in ascending order: the first channel of `dose`, sampled trilinearly
/// at the centres of the label's voxels. Its outermost voxels reach half a voxel further than their centres. The
/// numbers don't depend on `threads`.
///
/// # Errors
/// [`Error::InvalidArgument`] for a volume that isn't a label map or a dose that isn't one number a voxel;
/// [`Error::Cancelled`], [`Error::OutOfMemory`].
pub fn dose(labels: &Volume, dose: &Volume, threads: usize, run: &mut Run) -> Result<Vec<LabelDose>> {
    let _ours = Ours::enter();
    let map = LabelMap::new(labels, "labels")?;
    if dose.channels() != 1 {
        return Err(Error::argument("dose.channels", dose.channels(), "1"));
    }
    let field = Field::read(dose, threads)?;
    let transform = GridTransform::new(&map.grid(), &dose.memory_order().grid(dose.geometry()));
    let [_, rows, columns] = map.shape;
    let work = |start: usize, end: usize| {
        let mut found = ByLabel::<Received>::new();
        let mut labels = map.plane()?;
        for z in start..end {
            map.read([z, 0, 0], [1, rows, columns], &mut labels);
            for (y, row) in labels.chunks_exact(columns).enumerate() {
                each_run(row, 0, |label, from, to| {
                    let received = found.of(label)?;
                    for x in from..to {
                        let dose = field.at(transform.continuous_index([z, y, x]));
                        received.outside += u64::from(dose.is_none());
                        buffer::push(&mut received.doses, DOSES, dose.unwrap_or(0.0))?;
                    }
                    Ok(())
                })?;
            }
        }
        Ok(found)
    };
    let found = gather(map.shape[0], threads, run, work)?;
    map.check(found.keys())?;
    let mut doses = buffer::collect(DOSES, found.into_iter().map(|(label, pieces)| (label, pieces, None)))?;
    let cancel = run.cancel();
    parallel::try_for_each(threads, doses.iter_mut(), |(label, pieces, dose)| {
        if !cancel.requested() {
            *dose = Some(LabelDose::of(*label, pieces)?);
        }
        Ok(())
    })?;
    run.checkpoint(Stage::Measure, 1, 1)?;
    buffer::collect(DOSES, doses.into_iter().filter_map(|(_, _, dose)| dose))
}

/// Doses of some of a label's voxels.
#[derive(Default)]
struct Received {
    outside: u64,
    doses: Vec<f32>,
}

/// The dose volume as an array.
struct Field {
    values: Vec<f32>,
    shape: [usize; 3],
}

impl Field {
    fn read(dose: &Volume, threads: usize) -> Result<Self> {
        let axes = dose.memory_order();
        let shape = axes.apply(dose.geometry().shape);
        let mut values = zeros(&shape, "dose")?;
        dose.read(0, &axes, [0; 3], shape, &mut values, threads);
        Ok(Field { values, shape })
    }

    /// `None` outside.
    fn at(&self, position: [f64; 3]) -> Option<f32> {
        let (mut low, mut high, mut weight) = ([0; 3], [0; 3], [0.0; 3]);
        for axis in 0..3 {
            let last = self.shape[axis] - 1;
            if !(position[axis] >= -0.5 && position[axis] < last as f64 + 0.5) {
                return None;
            }
            let inside = position[axis].clamp(0.0, last as f64);
            low[axis] = inside as usize;
            high[axis] = (low[axis] + 1).min(last);
            weight[axis] = inside - low[axis] as f64;
        }
        let [_, rows, columns] = self.shape;
        let between = |low: f64, high: f64, weight: f64| low + (high - low) * weight;
        let along_row = |z: usize, y: usize| {
            let row = &self.values[(z * rows + y) * columns..][..columns];
            between(row[low[2]].into(), row[high[2]].into(), weight[2])
        };
        let in_plane = |z: usize| between(along_row(z, low[1]), along_row(z, high[1]), weight[1]);
        Some(between(in_plane(low[0]), in_plane(high[0]), weight[0]) as f32)
    }
}
