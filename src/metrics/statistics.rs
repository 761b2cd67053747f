//! What a label map says about an image, label by label.
//!
//! Where TotalSegmentator 2.18 has the same number (`get_basic_statistics`), it is the same: volume, mean or median
//! intensity, deviation (over n, not n - 1), smallest and largest intensity, voxels, centroid and box. It rounds
//! intensities of the image to whole numbers towards zero beforehand, which changes nothing in CT, and gives zeros
//! for labels whose [`margin`](LabelStatistics::margin) is less than 3.

use super::by_label::ByLabel;
use super::grid_transform::same_voxels;
use super::map::{BoundingBox, LabelMap, each_run, gather};
use super::room::zeros;
use super::surfels;
use crate::error::{Error, Result};
use crate::floating_point::Ours;
use crate::progress::{Run, Stage};
use crate::volume::Volume;
use crate::{buffer, parallel};

/// What its memory is for, in errors.
const FOUND: &str = "what is known of labels";

/// Size, place and intensities of a label.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelStatistics {
    /// The label.
    pub label: u32,
    /// Voxels that have it.
    pub voxels: u64,
    /// Their volume in millilitres.
    pub milliliters: f64,
    /// The area of its surface in square millimetres, as the
    /// [comparison of surfaces](super::SurfaceDistances::areas) measures it.
    pub surface_area: f64,
    /// The first voxel along each axis.
    pub first: [usize; 3],
    /// The last voxel along each axis.
    pub last: [usize; 3],
    /// The mean of its voxels' indices.
    pub centroid_index: [f64; 3],
    /// The mean of its voxels' positions in millimetres, in LPS coordinates.
    pub centroid: [f64; 3],
    /// Voxels between it and the nearest face of the grid.
    pub margin: usize,
    /// The image's intensities in it, if there is an image.
    pub intensities: Option<Intensities>,
}

impl LabelStatistics {
    /// Whether the field of view may cut it: it reaches a face of the grid.
    pub fn is_cut(&self) -> bool {
        self.margin == 0
    }
}

/// Intensities in a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intensities {
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, over n.
    pub std: f64,
    /// The one in the middle, or the mean of the two there.
    pub median: f64,
    /// The smallest one.
    pub min: f64,
    /// The largest one.
    pub max: f64,
}

/// The statistics of each label but 0 that occurs, in ascending order, over a channel of an image on the same grid.
/// The numbers don't depend on `threads`.
///
/// # Errors
/// [`Error::InvalidArgument`] for a volume that isn't a label map, an image on another grid or without the channel;
/// [`Error::Cancelled`].
pub fn statistics(
    labels: &Volume,
    image: Option<(&Volume, usize)>,
    threads: usize,
    run: &mut Run,
) -> Result<Vec<LabelStatistics>> {
    let _ours = Ours::enter();
    let map = LabelMap::new(labels, "labels")?;
    if let Some((image, channel)) = image {
        let (grid, found) = (labels.geometry(), image.geometry());
        if found.shape != grid.shape {
            let expected = format!("the labels' {:?}", grid.shape);
            return Err(Error::argument("image.shape", format!("{:?}", found.shape), expected));
        }
        if !same_voxels(grid, found) {
            let place = format!("origin {:?}, spacing {:?}", found.origin, found.spacing);
            let expected = format!("the labels' grid: origin {:?}, spacing {:?}", grid.origin, grid.spacing);
            return Err(Error::argument("image", place, expected));
        }
        if channel >= image.channels() {
            return Err(Error::argument("channel", channel, format!("less than {}", image.channels())));
        }
    }
    let areas = surfels::areas(map.grid().spacing);
    let work = |start, end| piece(&map, image, &areas, start, end);
    let found = gather(map.shape[0], threads, run, work)?;
    map.check(found.keys())?;
    let found = found.into_iter().map(|(label, pieces)| (label, pieces, None));
    let mut statistics = buffer::collect(FOUND, found)?;
    let cancel = run.cancel();
    parallel::try_for_each(threads, statistics.iter_mut(), |(label, pieces, statistics)| {
        if cancel.requested() {
            return Ok(());
        }
        let mut values: Vec<f32> =
            buffer::with_room(FOUND, pieces.iter().map(|piece| piece.intensities.len()).sum())?;
        pieces.iter().for_each(|piece| values.extend_from_slice(&piece.intensities));
        let found = pieces.drain(..).fold(Found::default(), Found::add);
        *statistics = Some(found.finish(*label, &map, Intensities::of(&mut values)));
        Ok(())
    })?;
    run.checkpoint(Stage::Measure, 1, 1)?;
    buffer::collect(FOUND, statistics.into_iter().filter_map(|(_, _, statistics)| statistics))
}

/// What is known about a label while planes pass by.
struct Found {
    voxels: u64,
    /// Of the voxels' indices along the array's axes.
    sums: [u64; 3],
    bounds: BoundingBox,
    area: f64,
    intensities: Vec<f32>,
}

impl Default for Found {
    fn default() -> Self {
        Found { voxels: 0, sums: [0; 3], bounds: BoundingBox::NONE, area: 0.0, intensities: Vec::new() }
    }
}

impl Found {
    /// Both together, without their intensities.
    fn add(self, other: Found) -> Found {
        Found {
            voxels: self.voxels + other.voxels,
            sums: [0, 1, 2].map(|axis| self.sums[axis] + other.sums[axis]),
            bounds: self.bounds.union(&other.bounds),
            area: self.area + other.area,
            intensities: Vec::new(),
        }
    }

    fn add_run(&mut self, [z, y]: [usize; 2], from: usize, to: usize) {
        let voxels = (to - from) as u64;
        self.voxels += voxels;
        self.bounds.include_run([z, y], from, to);
        self.sums[0] += z as u64 * voxels;
        self.sums[1] += y as u64 * voxels;
        self.sums[2] += (from + to - 1) as u64 * voxels / 2;
    }

    fn finish(&self, label: u32, map: &LabelMap, intensities: Option<Intensities>) -> LabelStatistics {
        let grid = map.grid();
        let BoundingBox { start, end } = self.bounds;
        let mean = self.sums.map(|sum| sum as f64 / self.voxels as f64);
        let position = |row: usize| -> f64 {
            let along = |axis: usize| grid.direction[row][axis] * grid.spacing[axis] * mean[axis];
            grid.origin[row] + (0..3).map(along).sum::<f64>()
        };
        let margins = (0..3).map(|axis| start[axis].min(grid.shape[axis] - end[axis]));
        LabelStatistics {
            label,
            voxels: self.voxels,
            milliliters: self.voxels as f64 * grid.voxel_volume() / 1000.0,
            surface_area: self.area,
            first: map.axes.undo(start),
            last: map.axes.undo(end.map(|end| end - 1)),
            centroid_index: map.axes.undo(mean),
            centroid: [0, 1, 2].map(position),
            margin: margins.min().unwrap_or(0),
            intensities,
        }
    }
}

impl Intensities {
    /// `None` for no values, which are left in another order.
    fn of(values: &mut [f32]) -> Option<Self> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count as f64;
        let squares = values.iter().map(|&value| (f64::from(value) - mean).powi(2));
        let std = (squares.sum::<f64>() / count as f64).sqrt();
        let (min, max) = values
            .iter()
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), &value| (min.min(value), max.max(value)));
        let (below, &mut middle, _) = values.select_nth_unstable_by(count / 2, f32::total_cmp);
        let other =
            if count % 2 == 1 { middle } else { below.iter().copied().fold(f32::NEG_INFINITY, f32::max) };
        let median = (f64::from(middle) + f64::from(other)) / 2.0;
        Some(Intensities { mean, std, median, min: min.into(), max: max.into() })
    }
}

/// Planes from `start` to before `end`, and the cells before each of them; behind the last plane of all, too.
fn piece(
    map: &LabelMap,
    image: Option<(&Volume, usize)>,
    areas: &[f64; 256],
    start: usize,
    end: usize,
) -> Result<ByLabel<Found>> {
    let [planes, rows, columns] = map.shape;
    let mut found = ByLabel::<Found>::new();
    let mut labels = map.plane()?;
    let mut intensities: Vec<f32> = zeros(&[if image.is_some() { rows } else { 0 }, columns], "image")?;
    let (mut previous, mut current) = (Padded::new(rows, columns)?, Padded::new(rows, columns)?);
    if let Some(z) = start.checked_sub(1) {
        map.read([z, 0, 0], [1, rows, columns], &mut labels);
        previous.fill(&labels);
    }
    for z in start..end {
        map.read([z, 0, 0], [1, rows, columns], &mut labels);
        if let Some((image, channel)) = image {
            image.read(channel, &map.axes, [z, 0, 0], [1, rows, columns], &mut intensities, 1);
        }
        for (y, row) in labels.chunks_exact(columns).enumerate() {
            each_run(row, 0, |label, from, to| {
                let found = found.of(label)?;
                found.add_run([z, y], from, to);
                if image.is_some() {
                    for &value in &intensities[y * columns..][from..to] {
                        buffer::push(&mut found.intensities, FOUND, value)?;
                    }
                }
                Ok(())
            })?;
        }
        current.fill(&labels);
        previous.cells(&current, |label, code| {
            found.of(label)?.area += areas[usize::from(code)];
            Ok(())
        })?;
        std::mem::swap(&mut previous, &mut current);
    }
    if end == planes {
        labels.fill(0);
        current.fill(&labels);
        previous.cells(&current, |label, code| {
            found.of(label)?.area += areas[usize::from(code)];
            Ok(())
        })?;
    }
    Ok(found)
}

/// A plane of labels with background around it.
struct Padded {
    labels: Vec<u32>,
    width: usize,
}

impl Padded {
    fn new(rows: usize, columns: usize) -> Result<Self> {
        Ok(Padded { labels: zeros(&[rows + 2, columns + 2], "labels")?, width: columns + 2 })
    }

    fn fill(&mut self, labels: &[u32]) {
        let columns = self.width - 2;
        let rows = self.labels.chunks_exact_mut(self.width).skip(1);
        rows.zip(labels.chunks_exact(columns))
            .for_each(|(row, labels)| row[1..=columns].copy_from_slice(labels));
    }

    fn row(&self, y: usize) -> &[u32] {
        &self.labels[y * self.width..][..self.width]
    }

    /// Calls with label and code of each cell between this plane and the next that a label's surface crosses.
    fn cells(&self, next: &Padded, mut cell: impl FnMut(u32, u8) -> Result<()>) -> Result<()> {
        let width = self.width;
        let mut mixed = zeros(&[width], "labels")?;
        for y in 0..self.labels.len() / width - 1 {
            let (a, b, c, d) = (self.row(y), self.row(y + 1), next.row(y), next.row(y + 1));
            for (x, mixed) in mixed.iter_mut().enumerate() {
                *mixed = (a[x] ^ b[x]) | (a[x] ^ c[x]) | (a[x] ^ d[x]);
            }
            for x in 0..width - 1 {
                if mixed[x] | mixed[x + 1] | (a[x] ^ a[x + 1]) == 0 {
                    continue;
                }
                let corners = [a[x], a[x + 1], b[x], b[x + 1], c[x], c[x + 1], d[x], d[x + 1]];
                for (n, &label) in corners.iter().enumerate() {
                    if label != 0 && !corners[..n].contains(&label) {
                        let bit = |code: u8, n: usize| code | u8::from(corners[n] == label) << n;
                        cell(label, (0..8).fold(0, bit))?;
                    }
                }
            }
        }
        Ok(())
    }
}
