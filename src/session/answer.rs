//! The answer to a prompt, as nnInteractive gives it: the network looks at one patch around the prompt, from further
//! away as long as the object goes on beyond the patch, and then again from near where the object has changed.

use ndarray::{Array3, Zip};

use super::border::changed;
use super::cover::centers;
use super::input::{Source, enlarged, nearest, seen};
use super::painted::Look;
use super::region::{Placed, Region};
use super::spread::spread;
use crate::buffer;
use crate::error::Result;
use crate::inference::{Plan, Turn};
use crate::progress::{Run, Stage};

/// The network is never further away than so many times its patch.
pub(super) const FARTHEST: f64 = 4.0;
/// By how much it steps back.
const STEP: f64 = 1.5;
/// Changes of so many voxels on each side of a voxel, and less, aren't looked at again.
const OPENING: usize = 2;
/// Two probabilities that differ by less nearly tie: their scores differ by less than twice the artanh of that.
const NEAR_TIE: f32 = 0.01;

/// What a run found. Nothing was written yet.
pub(super) struct Answer {
    /// What the network saw from far away: the mask so far from now on, but not the caller's.
    pub coarse: Option<Placed>,
    /// The new mask in the region that was looked at from near.
    pub mask: Placed,
    pub network_runs: usize,
    pub zoom: f64,
    pub near_ties: usize,
}

/// A run under way.
pub(super) struct Asking<'a, 'r> {
    pub plan: &'a Plan,
    pub source: Source<'a>,
    /// The mask so far.
    pub previous: &'a Placed,
    pub turn: Turn,
    pub run: &'a mut Run<'r>,
    input: Vec<f32>,
    scores: Vec<f32>,
    done: usize,
    near_ties: usize,
}

impl<'a, 'r> Asking<'a, 'r> {
    pub fn new(
        plan: &'a Plan,
        source: Source<'a>,
        previous: &'a Placed,
        turn: Turn,
        run: &'a mut Run<'r>,
    ) -> Result<Self> {
        let voxels: usize = source.patch.iter().product();
        Ok(Asking {
            input: buffer::zeroed("a tile of the image", voxels * plan.inputs)?,
            scores: buffer::zeroed("a tile's scores", voxels * plan.classes)?,
            plan,
            source,
            previous,
            turn,
            run,
            done: 0,
            near_ties: 0,
        })
    }

    /// Runs the network until the object is seen as a whole, or once without `autozoom`.
    pub fn answer(mut self, look: Look, autozoom: bool) -> Result<Answer> {
        let mut zoom = look.zoom.min(FARTHEST);
        let (crop, coarse) = loop {
            let crop = Region::around(look.center, seen(self.source.patch, zoom));
            let mask = self.network(&crop, zoom, None, 1)?;
            if !autozoom || zoom >= FARTHEST {
                break (crop, mask);
            }
            let before = nearest(self.previous, &crop, self.source.patch)?;
            if !changed(&before, &mask) {
                break (crop, mask);
            }
            zoom = FARTHEST.min(zoom * STEP);
        };
        let volume = self.source.volume;
        let part = crop.clip(&volume);
        if zoom == 1.0 {
            let whole = Placed { region: crop, values: coarse };
            return Ok(self.finished(None, whole.copy(part)?, zoom));
        }
        self.near_ties = 0;
        let threads = self.source.threads;
        let coarse = match crop.shape() == self.source.patch {
            true => Placed { region: crop, values: coarse }.copy(part)?,
            false => enlarged(&coarse, &crop, part, threads)?,
        };
        let boxes = self.boxes(&coarse, look)?;
        let union = boxes.iter().copied().reduce(|all, one| all.union(&one)).unwrap_or(part);
        let mut mask = self.previous.copy(union)?;
        mask.paste(&coarse);
        for (index, region) in boxes.iter().enumerate() {
            let values = self.network(region, 1.0, Some(&mask), boxes.len() - index)?;
            mask.paste(&Placed { region: *region, values });
        }
        let mask = mask.copy(union.clip(&volume))?;
        Ok(self.finished(Some(coarse), mask, zoom))
    }

    fn finished(self, coarse: Option<Placed>, mask: Placed, zoom: f64) -> Answer {
        Answer { coarse, mask, network_runs: self.done, zoom, near_ties: self.near_ties }
    }

    /// The object in a crop, at the network's size; `left` runs are known to come, this one included.
    fn network(
        &mut self,
        crop: &Region,
        zoom: f64,
        previous: Option<&Placed>,
        left: usize,
    ) -> Result<Array3<u8>> {
        self.run.checkpoint(Stage::Network, self.done, self.done + left)?;
        self.source.cut(crop, zoom, previous.unwrap_or(self.previous), &mut self.input)?;
        self.run.check()?;
        self.plan.score_tile(&mut self.turn, &self.input, &mut self.scores, self.run)?;
        self.done += 1;
        self.run.checkpoint(Stage::Network, self.done, self.done + left - 1)?;
        let voxels: usize = self.source.patch.iter().product();
        let (background, object) = self.scores.split_at(voxels);
        let mut mask = buffer::zeros("a mask", self.source.patch)?;
        let values = mask.iter_mut().zip(background.iter().zip(object));
        values.for_each(|(value, (background, object))| *value = u8::from(object > background));
        let nearly = 2.0 * NEAR_TIE.atanh();
        let inside = Region::around(crop_center(crop), self.source.patch).clip(&self.source.volume);
        if zoom == 1.0 && !inside.is_empty() {
            let ([z, y, x], [planes, rows, columns]) = (inside.offset_in(crop), inside.shape());
            for (plane, row) in (z..z + planes).flat_map(|z| (y..y + rows).map(move |y| (z, y))) {
                let first = (plane * self.source.patch[1] + row) * self.source.patch[2] + x;
                let near = |index: &usize| (object[*index] - background[*index]).abs() <= nearly;
                self.near_ties += (first..first + columns).filter(near).count();
            }
        }
        Ok(mask)
    }

    /// Boxes of the patch's size to look at again, from near.
    fn boxes(&self, coarse: &Placed, look: Look) -> Result<Vec<Region>> {
        let (patch, threads) = (self.source.patch, self.source.threads);
        let mut planned = coarse.region;
        let object = if look.all { self.previous.extent() } else { None };
        planned = object.map_or(planned, |object| planned.union(&object));
        let mut differing = coarse.clone_of()?;
        let before = self.previous.copy(coarse.region)?;
        Zip::from(&mut differing.values).and(&before.values).for_each(|new, old| *new ^= old);
        spread(&mut differing.values, OPENING, threads, u8::min)?;
        spread(&mut differing.values, OPENING, threads, u8::max)?;
        let mut map = Placed::empty(planned)?;
        map.paste(&differing);
        if object.is_some() {
            let before = self.previous.copy(planned)?;
            Zip::from(&mut map.values).and(&before.values).for_each(|new, old| *new |= old);
        }
        let centers = centers(map.values, patch)?;
        let placed = |center: [i64; 3]| [0, 1, 2].map(|axis| center[axis] + planned.start[axis]);
        let boxes = centers.into_iter().map(|center| Region::around(placed(center), patch));
        let mut boxes = buffer::collect("boxes to look at again", boxes)?;
        if boxes.is_empty() {
            buffer::push(&mut boxes, "boxes to look at again", Region::around(look.center, patch))?;
        }
        Ok(boxes)
    }
}

/// The voxel that a crop is around.
fn crop_center(crop: &Region) -> [i64; 3] {
    let shape = crop.shape();
    [0, 1, 2].map(|axis| crop.start[axis] + (shape[axis] / 2) as i64)
}

impl Placed {
    /// A copy that can fail.
    fn clone_of(&self) -> Result<Placed> {
        self.copy(self.region)
    }
}
