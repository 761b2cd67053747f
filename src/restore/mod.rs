//! From class scores to labels on the caller's grid. Scores stay at the network's resolution; each row of the
//! finer grid is interpolated for all classes, decided and forgotten, so that no array of classes × voxels is
//! ever made.

mod decide;
mod taps;

use half::f16;
use half::slice::HalfFloatSliceExt;
use ndarray::{Array3, Array4, ArrayView4};

use crate::error::Result;
use crate::parallel;
use crate::preprocess::{Way, resample};
use crate::progress::{Run, Stage};
use crate::recipe::{Recipe, Resampler};
use decide::Decider;
use taps::Taps;

/// Rows that are restored together: the interpolated planes of a band for all classes stay in the cache.
const BAND: usize = 8;

/// Labels along the network's axes, on the grid before resampling.
#[derive(Debug)]
pub struct Restored {
    /// A label for each voxel of the part of the volume that was kept.
    pub labels: Array3<u16>,
    /// Voxels whose two best classes differ in probability by at most 0.01; with regions, voxels where a
    /// region's probability is within 0.005 of 0.5.
    pub near_ties: usize,
}

/// Undoes the recipe's resampling on class scores, [classes, axis 0, axis 1, axis 2], and decides.
///
/// # Errors
/// [`crate::Error::Cancelled`].
pub fn restore(
    scores: Array4<f16>,
    recipe: &Recipe,
    way: &Way,
    threads: usize,
    run: &mut Run,
) -> Result<Restored> {
    let to = way.crop.shape();
    let from: [usize; 3] = [scores.dim().1, scores.dim().2, scores.dim().3];
    let mut scores = scores;
    let mut taps = [0, 1, 2].map(|axis| Taps::identity(to[axis]));
    if let Some(step) = recipe.resample()
        && from != to
    {
        let separate = step.scores.separate_axis(step.target(way.spacing), way.spacing);
        match Taps::of(&step.scores, from, to, separate) {
            Some(found) => taps = found,
            None => scores = resample_scores(scores.view(), to, &step.scores, separate, threads),
        }
    }
    let mut labels = Array3::zeros((to[0], to[1], to[2]));
    let bands = to[1].div_ceil(BAND);
    let mut rows: Vec<Vec<&mut [u16]>> = (0..bands).map(|_| Vec::with_capacity(to[0] * BAND)).collect();
    if let Some(flat) = labels.as_slice_mut() {
        flat.chunks_exact_mut(to[2].max(1)).enumerate().for_each(|(row, out)| rows[row % to[1] / BAND].push(out));
    }
    let decider = Decider::new(&recipe.decision, scores.dim().0);
    let mut near_ties = 0;
    // A few bands at a time, so that a cancelled run ends soon.
    let mut rows = rows.into_iter().enumerate().peekable();
    let group = (8 * threads).max(1);
    while let Some(&(done, _)) = rows.peek() {
        run.checkpoint(Stage::Restore, done, bands)?;
        let counts = std::sync::Mutex::new(0);
        parallel::for_each(threads, rows.by_ref().take(group), |(band, rows)| {
            let count = restore_band(scores.view(), &taps, band * BAND, to[0], rows, &decider);
            *counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += count;
        });
        near_ties += counts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    }
    Ok(Restored { labels, near_ties })
}

/// Splines reach too far for rows on the fly: each class is resampled whole.
fn resample_scores(
    scores: ArrayView4<f16>,
    to: [usize; 3],
    rule: &Resampler,
    separate: Option<usize>,
    threads: usize,
) -> Array4<f16> {
    let mut out = Array4::from_elem((scores.dim().0, to[0], to[1], to[2]), f16::ZERO);
    for (class, mut out) in scores.outer_iter().zip(out.outer_iter_mut()) {
        let single = class.mapv(f16::to_f32);
        out.assign(&resample::resample_with(rule, single.view(), to, separate, threads).mapv(f16::from_f32));
    }
    out
}

/// Restores the rows `first..first + BAND` of every plane; returns the number of near ties.
fn restore_band(
    scores: ArrayView4<f16>,
    taps: &[Taps; 3],
    first: usize,
    planes: usize,
    rows: Vec<&mut [u16]>,
    decider: &Decider,
) -> usize {
    let classes = scores.dim().0;
    let height = rows.len() / planes.max(1);
    let width = taps[2].len();
    // For each class the two planes of the scores that the present output plane lies between, already
    // interpolated along the other axes: [slot][class][row][x].
    let size = classes * height * width;
    let mut slots = [vec![0.0; size], vec![0.0; size]];
    let mut held = [usize::MAX; 2];
    let mut row_of_classes = vec![0.0; classes * width];
    let mut scratch = Scratch::new(scores.dim().3, width);
    let mut decision = decider.scratch(width);
    let mut near_ties = 0;
    for (index, out) in rows.into_iter().enumerate() {
        let (plane, row) = (index / height, index % height);
        let [low, high] = taps[0].between(plane);
        if held[1] == low && held[0] != low {
            slots.swap(0, 1);
            held.swap(0, 1);
        }
        for (slot, source) in [low, high].into_iter().enumerate() {
            if held[slot] != source {
                held[slot] = source;
                interpolate_plane(scores, taps, source, first, height, &mut slots[slot], &mut scratch);
            }
        }
        let weight = taps[0].weight(plane);
        for (class, values) in row_of_classes.chunks_exact_mut(width).enumerate() {
            let start = (class * height + row) * width;
            let [a, b] = [&slots[0][start..start + width], &slots[1][start..start + width]];
            blend_rows(a, b, weight, values);
            if !taps[2].single {
                scratch.round_to_half(values);
            }
        }
        near_ties += decider.decide(&row_of_classes, out, &mut decision);
    }
    near_ties
}

/// Buffers of one band.
struct Scratch {
    half: Vec<f16>,
    source: Vec<f32>,
    across: [Vec<f32>; 2],
}

impl Scratch {
    fn new(source: usize, width: usize) -> Self {
        Scratch { half: vec![f16::ZERO; width], source: vec![0.0; source], across: [vec![0.0; width], vec![0.0; width]] }
    }

    /// The reference keeps interpolated scores in half precision.
    fn round_to_half(&mut self, values: &mut [f32]) {
        self.half.convert_from_f32_slice(values);
        self.half.convert_to_f32_slice(values);
    }
}

fn blend_rows(a: &[f32], b: &[f32], weight: f32, out: &mut [f32]) {
    if weight == 0.0 {
        return out.copy_from_slice(a);
    }
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = a + weight * (b - a);
    }
}

/// One plane of the scores, all classes, interpolated along axes 1 and 2 at the rows of a band.
fn interpolate_plane(
    scores: ArrayView4<f16>,
    taps: &[Taps; 3],
    plane: usize,
    first: usize,
    height: usize,
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let width = taps[2].len();
    let Scratch { source, across, .. } = scratch;
    for (class, out) in out.chunks_exact_mut(height * width).enumerate() {
        let mut held = [usize::MAX; 2];
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let between = taps[1].between(first + row);
            if held[1] == between[0] && held[0] != between[0] {
                across.swap(0, 1);
                held.swap(0, 1);
            }
            for slot in 0..2 {
                if held[slot] != between[slot] {
                    held[slot] = between[slot];
                    let line = scores.slice(ndarray::s![class, plane, between[slot], ..]);
                    if let Some(line) = line.as_slice() {
                        line.convert_to_f32_slice(source);
                    }
                    taps[2].interpolate(source, &mut across[slot]);
                }
            }
            blend_rows(&across[0], &across[1], taps[1].weight(first + row), out);
        }
    }
}

#[cfg(test)]
mod tests;
