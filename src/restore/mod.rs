//! From class scores to labels on the caller's grid. Scores arrive plane by plane while later tiles still run
//! and stay at the network's resolution; each row of the finer grid is interpolated for all classes, decided
//! and forgotten, so that no array of classes × voxels is ever made.

mod band;
pub(crate) mod components;
mod decide;
mod kernels;
pub mod largest_components;
mod taps;

use std::sync::atomic::{AtomicUsize, Ordering};

use half::f16;
use ndarray::{Array3, Array4, Axis, concatenate};

use crate::error::{Error, Result};
use crate::parallel;
use crate::preprocess::{Way, resample};
use crate::progress::Run;
use crate::recipe::{Recipe, Resampler};
use band::{BAND, Planes, restore_band};
use decide::Decider;
use taps::Taps;

/// Turns planes of class scores into labels as they come.
pub struct Restorer<'a> {
    to: [usize; 3],
    taps: Scheme,
    decider: Decider<'a>,
    labels: Array3<u16>,
    /// Planes of the labels that are done.
    done: usize,
    /// The scores' first plane that is still needed: the last one that came, or nothing.
    last: Option<Array4<f16>>,
    /// Planes of the scores that came.
    came: usize,
    planes: usize,
    near_ties: usize,
    threads: usize,
}

/// How scores come onto the finer grid.
enum Scheme {
    /// Each output lies between two inputs along every axis.
    Taps(Box<[Taps; 3]>),
    /// Splines reach further: each class is resampled whole, when all planes are there.
    Whole(Resampler, Option<usize>),
}

/// Labels along the network's axes, on the grid before resampling.
#[derive(Debug, PartialEq)]
pub struct Restored {
    /// A label for each voxel of the part of the volume that was kept.
    pub labels: Array3<u16>,
    /// Voxels whose two best classes differ in probability by at most 0.01; with regions, voxels where a
    /// region's probability is within 0.005 of 0.5.
    pub near_ties: usize,
}

impl<'a> Restorer<'a> {
    /// For scores of `classes` on a grid of shape `from`, which came from a volume by `way`.
    pub fn new(recipe: &'a Recipe, way: &Way, classes: usize, from: [usize; 3], threads: usize) -> Self {
        let to = way.crop.shape();
        let rule = recipe
            .resample()
            .filter(|_| from != to)
            .map(|step| (&step.scores, step.scores.separate_axis(step.target(way.spacing), way.spacing)));
        let taps = match rule {
            None => Scheme::Taps(Box::new(to.map(Taps::identity))),
            Some((rule, separate)) => match Taps::of(rule, from, to, separate) {
                Some(taps) => Scheme::Taps(Box::new(taps)),
                None => Scheme::Whole(*rule, separate),
            },
        };
        Restorer {
            to,
            taps,
            decider: Decider::new(&recipe.decision, classes),
            labels: Array3::zeros(to),
            done: 0,
            last: None,
            came: 0,
            planes: from[0],
            near_ties: 0,
            threads,
        }
    }

    /// Bytes that restoring needs beside the scores, for labels of shape `to`.
    pub fn bytes(classes: usize, to: [usize; 3], threads: usize) -> u64 {
        let voxels = to.iter().map(|&length| length as u64).product::<u64>();
        let band = 4 * classes as u64 * to[2] as u64 * (2 * BAND as u64 + 1);
        2 * voxels + band * threads as u64
    }

    /// Takes the next planes of scores, [class, plane, row, column], and restores what they allow.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn push(&mut self, planes: Array4<f16>, run: &Run) -> Result<()> {
        let first = self.came - self.last.as_ref().map_or(0, |last| last.dim().1);
        self.came += planes.dim().1;
        let mut field = Planes { before: self.last.take(), planes, first };
        let taps = match &self.taps {
            Scheme::Taps(taps) => taps,
            Scheme::Whole(rule, separate) => {
                let all = field.joined();
                if self.came < self.planes {
                    self.last = Some(all);
                    return Ok(());
                }
                let resampled = resample_scores(&all, self.to, rule, *separate, self.threads);
                field = Planes { before: None, planes: resampled, first: 0 };
                &Box::new(self.to.map(Taps::identity))
            }
        };
        let available = field.first + field.len();
        let ready =
            (self.done..self.to[0]).take_while(|&plane| taps[0].between(plane)[1] < available).count();
        let rows = self.to[1] * self.to[2];
        let out = self.labels.as_slice_mut().unwrap_or_default();
        let out = &mut out[self.done * rows..(self.done + ready) * rows];
        let bands = self.to[1].div_ceil(BAND);
        let mut bands: Vec<Vec<&mut [u16]>> = (0..bands).map(|_| Vec::with_capacity(ready * BAND)).collect();
        for (row, out) in out.chunks_exact_mut(self.to[2]).enumerate() {
            bands[row % self.to[1] / BAND].push(out);
        }
        let near_ties = AtomicUsize::new(0);
        let mut bands = bands.into_iter().enumerate().peekable();
        // A few bands at a time, so that a cancelled run ends soon.
        while ready > 0 && bands.peek().is_some() {
            run.check()?;
            parallel::for_each(self.threads, bands.by_ref().take(8 * self.threads), |(band, rows)| {
                let count = restore_band(&field, taps, band * BAND, self.done, ready, rows, &self.decider);
                near_ties.fetch_add(count, Ordering::Relaxed);
            });
        }
        self.near_ties += near_ties.into_inner();
        self.done += ready;
        self.last = field.last();
        Ok(())
    }

    /// The labels, when all planes came.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the scores' grid can't be brought to the volume's.
    pub fn finish(self) -> Result<Restored> {
        if self.done < self.to[0] {
            return Err(Error::unsupported("scores that stay on another grid than the image"));
        }
        Ok(Restored { labels: self.labels, near_ties: self.near_ties })
    }
}

fn resample_scores(
    scores: &Array4<f16>,
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

impl Planes {
    /// All planes in one array.
    fn joined(&mut self) -> Array4<f16> {
        let planes = std::mem::take(&mut self.planes);
        match self.before.take() {
            None => planes,
            Some(before) => concatenate(Axis(1), &[before.view(), planes.view()])
                .unwrap_or_else(|_| unreachable!("planes of one field have one shape")),
        }
    }
}

#[cfg(test)]
mod tests;
