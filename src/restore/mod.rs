//! From class scores to labels on the caller's grid. Scores arrive plane by plane while later tiles still run
//! and stay at the network's resolution; each row of the grid on which they are decided is interpolated for all
//! classes, decided and forgotten, so that no array of classes × voxels is ever made.

pub(crate) mod back;
mod band;
pub(crate) mod components;
mod decide;
mod fill_holes;
mod kernels;
mod label_rule;
mod labelling;
mod largest_components;
mod maps;
mod reach;
mod small_objects;
mod source;
mod taps;

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};
use crate::preprocess::Trace;
use ndarray::{Array3, Array4};

use crate::progress::Run;
use crate::recipe::{Recipe, RestoreMode};
use crate::tiling::Score;
use crate::volume::{AxisMap, Box3, Geometry};
use crate::{buffer, parallel};
use band::{BAND, BandPosition, OutRow, restore_band};
use decide::Decider;
pub use decide::Domain;
pub use decide::activate;
pub use labelling::Labelling;
pub use maps::{Map, MapBuffer};
use reach::decided_there;
pub use reach::{Part, interpolates_whole};
use source::Source;

/// Set in labels of voxels that nearly tie, while they are on the network's grid.
pub const NEAR_TIE_MARK: u16 = 1 << 15;

/// Planes that are restored at a time where maps are asked for, whose values wait until they are written.
const SLAB: usize = 16;

/// Turns planes of class scores into labels as they come.
pub struct Restorer<'a, S> {
    /// The fields of other members of an ensemble, and last the one whose planes are arriving.
    sources: Vec<Source<S>>,
    decider: Decider<'a>,
    labels: Array3<u16>,
    /// Planes of the labels that are done.
    done: usize,
    near_ties: usize,
    threads: usize,
}

/// Receives the values of a map: its number, the first plane, and dense values of some planes.
pub type MapReceiver<'a> = &'a mut dyn FnMut(usize, usize, &[f32]);

/// What an ensemble can't be averaged for.
pub fn different_crops() -> Error {
    Error::unsupported("members of an ensemble that crop a volume differently")
}

/// The scores of one network on its grid, all that are needed.
pub struct Field<S> {
    source: Source<S>,
    trace: Trace,
}

/// Labels along the network's axes.
#[derive(Debug, PartialEq)]
pub struct Restored {
    /// A label for each voxel of the part of the volume that was kept, or of the network's grid where labels are
    /// brought back. There the bit [`NEAR_TIE_MARK`] is set for near ties.
    pub labels: Array3<u16>,
    /// Voxels whose two best classes differ in probability by at most 0.01; with regions, voxels where a
    /// region's probability is within 0.005 of 0.5.
    pub near_ties: usize,
}

impl<S: Score> Field<S> {
    /// The scores [class, plane, row, column] of a part of an image of shape `from`, which came from a volume by
    /// `trace`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(
        recipe: &Recipe,
        trace: &Trace,
        from: [usize; 3],
        part: &Part,
        scores: Array4<S>,
        threads: usize,
    ) -> Result<Self> {
        let mut source = Source::new(recipe, trace, scores.dim().0, from, part, threads)?;
        source.push(scores)?;
        Ok(Field { source, trace: trace.clone() })
    }
}

impl<'a, S: Score> Restorer<'a, S> {
    /// For scores of `classes` of a part of a grid of shape `from`, which came from a volume by `trace`. With fields of
    /// the same part from other networks probabilities are averaged, in the order in which they come here.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when another field came from another part of the volume, [`Error::OutOfMemory`].
    pub fn new(
        recipe: &'a Recipe,
        trace: &Trace,
        classes: usize,
        from: [usize; 3],
        part: &Part,
        others: Vec<Field<S>>,
        threads: usize,
    ) -> Result<Self> {
        let decided_there = decided_there(recipe);
        let identity = Trace::new(AxisMap::identity(), &Geometry::with_shape(from));
        let own =
            Source::new(recipe, if decided_there { &identity } else { trace }, classes, from, part, threads)?;
        let kept = |trace: &Trace| {
            let Box3 { start, end } = trace.kept();
            trace.map.undo([0, 1, 2].map(|n| [start[n], end[n]]))
        };
        let labels = buffer::zeros("labels", own.to())?;
        let mut sources = Vec::with_capacity(others.len() + 1);
        for field in others {
            if kept(&field.trace) != kept(trace) {
                return Err(different_crops());
            }
            sources.push(field.source.turned(&field.trace.map, &trace.map)?);
        }
        sources.push(own);
        let domain = match recipe.restore {
            RestoreMode::Scores if sources.len() == 1 => Domain::Scores,
            RestoreMode::Labels | RestoreMode::InterpolatedLabels => Domain::Scores,
            _ => Domain::Probabilities,
        };
        let mark = if decided_there { NEAR_TIE_MARK } else { 0 };
        let decider = Decider::new(&recipe.decision, classes, domain, mark);
        Ok(Restorer { sources, decider, labels, done: 0, near_ties: 0, threads })
    }

    /// The planes of labels that are done.
    pub fn done(&self) -> ndarray::ArrayView3<'_, u16> {
        self.labels.slice(ndarray::s![..self.done, .., ..])
    }

    /// How planes of scores become labels, for a device that does so by itself; `activated`: they become
    /// probabilities before. `None` where other networks' scores or all planes at once are needed.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn labelling(&self, activated: bool) -> Result<Option<Labelling>> {
        match &self.sources[..] {
            [source] => Labelling::new(source, &self.decider, activated),
            _ => Ok(None),
        }
    }

    /// Takes the next planes of labels, which a device decided as [`Restorer::labelling`] says, and the number of near
    /// ties among them.
    pub fn push_labels(&mut self, labels: &[u16], near_ties: usize) {
        let (_, rows, columns) = self.labels.dim();
        let at = self.done * rows * columns;
        if let Some(place) = self.labels.as_slice_mut().and_then(|all| all.get_mut(at..at + labels.len())) {
            place.copy_from_slice(labels);
            self.done += labels.len() / (rows * columns).max(1);
            self.near_ties += near_ties;
        }
    }

    /// Bytes that restoring needs beside the scores, for labels of shape `to` and `maps` maps.
    pub fn bytes(classes: usize, to: [usize; 3], maps: usize, threads: usize) -> u64 {
        let count = |sizes: &[usize]| sizes.iter().map(|&length| length as u64).product::<u64>();
        let band = 4 * classes as u64 * to[2] as u64 * (2 * BAND as u64 + 1);
        2 * count(&to) + band * threads as u64 + 4 * count(&[maps, SLAB.min(to[0]), to[1], to[2]])
    }

    /// Takes the next planes of scores, [class, plane, row, column], and restores what they allow; the values of
    /// `maps` go to `receive`.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::OutOfMemory`].
    pub fn push(&mut self, planes: Array4<S>, maps: &[Map], receive: MapReceiver, run: &Run) -> Result<()> {
        if let Some(source) = self.sources.last_mut() {
            source.push(planes)?;
        }
        let ready = |source: &Source<S>| match source.taps() {
            Some(taps) => (self.done..self.labels.dim().0)
                .take_while(|&plane| taps[0].last_needed(plane).is_none_or(|last| last < source.end()))
                .count(),
            None => 0,
        };
        let mut ready = self.sources.iter().map(ready).min().unwrap_or(0);
        while ready > 0 {
            let slab = if maps.is_empty() { ready } else { ready.min(SLAB) };
            self.restore(slab, maps, receive, run)?;
            ready -= slab;
        }
        self.sources.last_mut().map_or(Ok(()), Source::forget)
    }

    /// Restores the next `planes` planes.
    fn restore(&mut self, planes: usize, maps: &[Map], receive: MapReceiver, run: &Run) -> Result<()> {
        let (_, height, width) = self.labels.dim();
        let of_map = |_: &Map| buffer::zeroed("planes of maps", planes * height * width);
        let mut values = maps.iter().map(of_map).collect::<Result<Vec<Vec<f32>>>>()?;
        let mut map_rows: Vec<_> = values.iter_mut().map(|values| values.chunks_exact_mut(width)).collect();
        let out = self.labels.as_slice_mut().unwrap_or_default();
        let out = &mut out[self.done * height * width..(self.done + planes) * height * width];
        let of_band = |_| buffer::with_room("rows of labels", planes * BAND);
        let mut bands = buffer::try_collect("rows of labels", (0..height.div_ceil(BAND)).map(of_band))?;
        for (row, labels) in out.chunks_exact_mut(width).enumerate() {
            let maps = map_rows.iter_mut().filter_map(Iterator::next).collect();
            bands[row % height / BAND].push(OutRow { labels, maps });
        }
        let near_ties = AtomicUsize::new(0);
        let mut bands = bands.into_iter().enumerate().peekable();
        // A few bands at a time, so that a cancelled run ends soon.
        while bands.peek().is_some() {
            run.check()?;
            parallel::try_for_each(self.threads, bands.by_ref().take(8 * self.threads), |(band, rows)| {
                let place = BandPosition { first_row: band * BAND, first_plane: self.done, planes };
                let count = restore_band(&self.sources, place, rows, &self.decider, maps)?;
                near_ties.fetch_add(count, Ordering::Relaxed);
                Ok(())
            })?;
        }
        for (map, values) in values.iter().enumerate() {
            receive(map, self.done, values);
        }
        self.near_ties += near_ties.into_inner();
        self.done += planes;
        Ok(())
    }

    /// The labels, when all planes came.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the scores' grid can't be brought to the volume's.
    pub fn finish(self) -> Result<Restored> {
        if self.done < self.labels.dim().0 {
            return Err(Error::unsupported("scores that stay on another grid than the image"));
        }
        Ok(Restored { labels: self.labels, near_ties: self.near_ties })
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod ties;
