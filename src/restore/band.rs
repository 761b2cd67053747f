//! A few neighbouring rows of every plane: interpolated for all classes, then decided.

use super::decide::{Decider, ROWS, RowScratch};
use super::kernels::{self, Row};
use super::maps::Map;
use super::source::Source;
use super::taps::Taps;
use crate::buffer;
use crate::error::Result;
use crate::recipe::Decision;
use crate::tiling::Score;

/// Rows that are restored together: the interpolated planes of a band for all classes stay in the cache.
pub(super) const BAND: usize = 8;

/// The outputs of one row.
pub(super) struct OutRow<'a> {
    pub labels: &'a mut [u16],
    /// One for each map that is asked for.
    pub maps: Vec<&'a mut [f32]>,
}

/// Where a band lies.
#[derive(Clone, Copy)]
pub(super) struct BandPosition {
    pub first_row: usize,
    pub first_plane: usize,
    pub planes: usize,
}

/// Restores the rows of a band, given plane after plane; with several sources their probabilities are averaged.
/// Returns the number of near ties.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub(super) fn restore_band<S: Score>(
    sources: &[Source<S>],
    place: BandPosition,
    rows: Vec<OutRow>,
    decider: &Decider,
    maps: &[Map],
) -> Result<usize> {
    let height = rows.len() / place.planes.max(1);
    let bands = sources.iter().filter_map(|source| Band::new(source, place.first_row, height).transpose());
    let mut bands = bands.collect::<Result<Vec<Band<S>>>>()?;
    let Some(width) = bands.first().map(|band| band.width) else { return Ok(0) };
    let mut scratch = RowScratch::new(width)?;
    let mut probabilities = Probabilities::new(sources, decider, maps, width)?;
    let mut near_ties = 0;
    for (index, mut out) in rows.into_iter().enumerate() {
        let (plane, row) = (place.first_plane + index / height, index % height);
        bands.iter_mut().for_each(|band| band.move_to(plane));
        if let [band] = &bands[..]
            && maps.is_empty()
            && decider.takes_mixtures()
        {
            near_ties += decider.decide(band.row(plane, row), out.labels, &mut scratch);
            continue;
        }
        for (n, band) in bands.iter().enumerate() {
            band.row(plane, row).scores(&mut probabilities.scores);
            if let [_] = bands[..] {
                let row = Row::plain(&probabilities.scores, width);
                near_ties += decider.decide(row, out.labels, &mut scratch);
            }
            probabilities.add(n);
        }
        if bands.len() > 1 {
            let row = Row::plain(probabilities.mean(bands.len()), width);
            near_ties += decider.decide(row, out.labels, &mut scratch);
        }
        if !maps.is_empty() {
            let row = Row::plain(probabilities.values(), width);
            for (map, out) in maps.iter().zip(&mut out.maps) {
                map.fill(row, decider.decision, &mut scratch, out);
            }
        }
    }
    Ok(near_ties)
}

/// Probabilities of one row, all classes, where they are wanted.
struct Probabilities<'a> {
    decision: &'a Decision,
    scores: Vec<f32>,
    sum: Vec<f32>,
    wanted: bool,
    width: usize,
    scores_are_probabilities: bool,
}

impl<'a> Probabilities<'a> {
    fn new<S: Score>(
        sources: &[Source<S>],
        decider: &Decider<'a>,
        maps: &[Map],
        width: usize,
    ) -> Result<Self> {
        let size = sources.first().map_or(0, Source::classes) * width;
        let several = sources.len() > 1;
        Ok(Probabilities {
            decision: decider.decision,
            scores: buffer::zeroed(ROWS, size)?,
            sum: buffer::zeroed(ROWS, if several { size } else { 0 })?,
            wanted: several || !maps.is_empty(),
            width,
            scores_are_probabilities: decider.on_probabilities() && !several,
        })
    }

    /// Turns the scores of the source number `n` into probabilities and adds them to the sum.
    fn add(&mut self, n: usize) {
        if !self.wanted {
            return;
        }
        if !self.scores_are_probabilities {
            match self.decision {
                Decision::Highest => kernels::softmax(&mut self.scores, self.width),
                Decision::Regions { .. } => kernels::sigmoid(&mut self.scores),
            }
        }
        match n {
            0 if !self.sum.is_empty() => self.sum.copy_from_slice(&self.scores),
            _ => self.sum.iter_mut().zip(&self.scores).for_each(|(sum, score)| *sum += score),
        }
    }

    /// The mean over `count` sources.
    fn mean(&mut self, count: usize) -> &[f32] {
        self.sum.iter_mut().for_each(|sum| *sum /= count as f32);
        &self.sum
    }

    fn values(&self) -> &[f32] {
        if self.sum.is_empty() { &self.scores } else { &self.sum }
    }
}

/// One source's scores around the rows of a band.
struct Band<'a, S> {
    source: &'a Source<S>,
    taps: &'a [Taps; 3],
    first_row: usize,
    height: usize,
    width: usize,
    /// The two planes of the scores that the present output plane lies between, already interpolated along the
    /// other axes: [slot][row][class][x].
    slots: [Vec<f32>; 2],
    held: [usize; 2],
    /// A line of scores, and a zero.
    line: Vec<f32>,
    across: [Vec<f32>; 2],
}

impl<'a, S: Score> Band<'a, S> {
    fn new(source: &'a Source<S>, first_row: usize, height: usize) -> Result<Option<Self>> {
        let Some(taps) = source.taps() else { return Ok(None) };
        let width = taps[2].len();
        let size = source.classes() * height * width;
        Ok(Some(Band {
            source,
            taps,
            first_row,
            height,
            width,
            slots: [buffer::zeroed(ROWS, size)?, buffer::zeroed(ROWS, size)?],
            held: [usize::MAX; 2],
            line: buffer::zeroed(ROWS, source.columns() + 1)?,
            across: [buffer::zeroed(ROWS, width)?, buffer::zeroed(ROWS, width)?],
        }))
    }

    /// Makes the planes around an output plane available.
    fn move_to(&mut self, plane: usize) {
        let between = self.taps[0].between(plane);
        if self.held[1] == between[0] && self.held[0] != between[0] {
            self.slots.swap(0, 1);
            self.held.swap(0, 1);
        }
        let needed = if self.taps[0].weight(plane) == 0.0 { 1 } else { 2 };
        for (slot, &source) in between.iter().enumerate().take(needed) {
            if self.held[slot] != source {
                self.held[slot] = source;
                self.interpolate(source, slot);
            }
        }
    }

    /// A row of the present plane.
    fn row(&self, plane: usize, row: usize) -> Row<'_> {
        let size = self.source.classes() * self.width;
        let part = row * size..(row + 1) * size;
        let weight = self.taps[0].weight(plane);
        let a = &self.slots[0][part.clone()];
        // Without a second plane its slot may hold anything. The reference keeps interpolated scores in half
        // precision, but for PyTorch's.
        let b = if weight == 0.0 { a } else { &self.slots[1][part] };
        Row { a, b, weight, width: self.width, half: S::HALF && !self.taps[2].single }
    }

    /// One plane of the scores, all classes, interpolated along axes 1 and 2 at the rows of the band.
    fn interpolate(&mut self, plane: usize, slot: usize) {
        let (classes, width) = (self.source.classes(), self.width);
        let ([planes, rows], columns) = (self.source.extent(), self.source.columns());
        if plane == planes {
            return self.slots[slot].fill(0.0);
        }
        for class in 0..classes {
            let mut held = [usize::MAX; 2];
            for row in 0..self.height {
                let between = self.taps[1].between(self.first_row + row);
                if held[1] == between[0] && held[0] != between[0] {
                    self.across.swap(0, 1);
                    held.swap(0, 1);
                }
                for side in 0..2 {
                    if held[side] != between[side] {
                        held[side] = between[side];
                        if between[side] == rows {
                            self.across[side].fill(0.0);
                            continue;
                        }
                        if let Some(line) = self.source.line(class, plane, between[side]).as_slice() {
                            S::widen(line, &mut self.line[..columns]);
                        }
                        self.taps[2].interpolate(&self.line, &mut self.across[side]);
                    }
                }
                let out = &mut self.slots[slot][(row * classes + class) * width..][..width];
                self.taps[1].blend(&self.across[0], &self.across[1], self.first_row + row, out);
            }
        }
    }
}
