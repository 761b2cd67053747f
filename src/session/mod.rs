//! Segmenting by prompts: a session is given its image once, then a user's points, boxes and strokes, and answers each
//! time with a mask. A run that is cancelled or fails leaves mask and prompts as they were; a prompt can be taken back.
//!
//! Sessions share their plan, which never changes. What is asked for is kept as it is, so that the record of a session
//! replays it to the same bytes.

mod answer;
mod border;
mod cover;
mod image;
mod input;
mod json;
mod memory;
mod painted;
mod prompt;
mod record;
mod region;
mod spread;

use std::collections::VecDeque;
use std::time::Instant;

use ndarray::Array4;

use crate::buffer;
use crate::error::{Error, Result};
use crate::floating_point::Ours;
use crate::inference::{Plan, PlanReport, inspect};
use crate::labels::LabelBuffer;
use crate::progress::{Run, Stage};
pub use crate::recipe::PromptKind;
use crate::recipe::Prompting;
use crate::volume::{AxisMap, Geometry, Volume};
use answer::Asking;
use input::Source;
use painted::{Look, Prompts};
pub use prompt::{Mask, Prompt};
use region::{Placed, Region};

/// Prompts that can be taken back, one after another.
const STEPS: usize = 16;

/// How a session answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Whether an object that goes on beyond the network's patch is looked at from further away, and then in parts.
    pub autozoom: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        SessionOptions { autozoom: true }
    }
}

/// What a run of a session did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SessionReport {
    /// The box of the mask that may have changed, in voxels of the volume: the first, and the one behind the last;
    /// equal where nothing was asked for.
    pub changed: [[u64; 3]; 2],
    /// Times that the network ran.
    pub network_runs: usize,
    /// How many times the patch was seen at last from far away; 1 where one patch was enough, 0 where nothing was asked
    /// for.
    pub zoom: f64,
    /// Voxels whose two classes differ in probability by at most 0.01, counted in each box that was looked at from
    /// near.
    pub near_ties: usize,
    /// Seconds in all.
    pub total_seconds: f64,
}

/// What a session was told, in order.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    Prompt(Prompt),
    Run,
}

/// A session before a prompt.
struct Step {
    prompts: Prompts,
    events: usize,
    changed: Option<Region>,
    /// What runs have written since, the last one last.
    overwritten: Vec<Overwritten>,
}

/// What was in a mask before: of the mask so far, and of the caller's.
struct Overwritten {
    previous: Placed,
    mask: Placed,
}

/// An image that a user segments.
pub struct Session {
    plan: Plan,
    prompting: Prompting,
    options: SessionOptions,
    geometry: Geometry,
    volume: Region,
    image: Array4<f32>,
    prompts: Prompts,
    /// The mask that the network goes on from.
    previous: Placed,
    /// The mask that the caller gets.
    mask: Placed,
    changed: Option<Region>,
    events: Vec<Event>,
    steps: VecDeque<Step>,
}

impl Session {
    /// Begins with an image.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model that takes no prompts, 1xx when the volume doesn't suit it,
    /// [`Error::MemoryBudget`], [`Error::Cancelled`], [`Error::OutOfMemory`].
    pub fn new(plan: &Plan, volume: &Volume, options: SessionOptions, run: &mut Run) -> Result<Self> {
        let _ours = Ours::enter();
        let _threads = plan.enter_threads();
        let prompting = prompting(plan)?.clone();
        let (channels, found) = (plan.channels.len(), volume.channels());
        if found != channels {
            let expected = format!("{channels} channels ({})", plan.channels.join(", "));
            return Err(Error::VolumeMismatch { expected, found: format!("{found} channels") });
        }
        plan.check_need(Self::estimate(plan, volume.geometry())?.host_peak_bytes)?;
        plan.tile_by_tile()?;
        let expected = plan.expected_intensities();
        let inspected = inspect(volume, &plan.channels, &expected, plan.threads, run)?;
        run.checkpoint(Stage::Preprocess, 0, 1)?;
        let image = image::image(&inspected.volume, plan.threads)?;
        let [x, y, z] = volume.geometry().shape;
        let extent = Region::of_shape([z, y, x]);
        let session = Session {
            prompts: Prompts::new(&prompting)?,
            previous: Placed::empty(extent)?,
            mask: Placed::empty(extent)?,
            plan: plan.clone(),
            prompting,
            options,
            geometry: volume.geometry().clone(),
            volume: extent,
            image,
            changed: None,
            events: Vec::new(),
            steps: VecDeque::new(),
        };
        run.finished(0)?;
        Ok(session)
    }

    /// What a session with a volume on this grid needs, before it is begun.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model that takes no prompts, [`Error::Geometry`].
    pub fn estimate(plan: &Plan, geometry: &Geometry) -> Result<PlanReport> {
        prompting(plan)?;
        geometry.check()?;
        let [x, y, z] = geometry.shape;
        let bytes = memory::bytes(plan, [z, y, x]);
        Ok(plan.report_with(geometry, bytes))
    }

    /// The grid of its volume and its mask.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Takes a prompt, which the next run answers. Of several only the last decides where the network looks.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a prompt that the model doesn't take, or that lies outside; nothing has changed
    /// then. [`Error::OutOfMemory`].
    pub fn add(&mut self, prompt: Prompt) -> Result<()> {
        let _ours = Ours::enter();
        let kind = prompt.kind(&self.prompting)?;
        prompt.check(&self.volume)?;
        let begin = match &prompt {
            Prompt::Mask(mask) => {
                let mask = painted::in_volume(mask, &self.volume)?;
                Some((mask.copy(self.volume)?, mask))
            }
            _ => None,
        };
        buffer::grow(&mut self.events, "a session's events", 1)?;
        let mut step = Step {
            prompts: self.prompts.clone(),
            events: self.events.len(),
            changed: self.changed,
            overwritten: Vec::new(),
        };
        match begin {
            None => {
                let patch = self.plan.recipe.tiling.patch;
                self.prompts.add(&prompt, kind, &self.prompting, &self.volume, patch);
            }
            Some((previous, mask)) => {
                self.prompts.reset();
                let patch = self.plan.recipe.tiling.patch;
                self.prompts.look = mask.extent().map(|extent| Look::at(&extent, patch, true));
                let previous = std::mem::replace(&mut self.previous, previous);
                let mask = std::mem::replace(&mut self.mask, mask);
                step.overwritten.push(Overwritten { previous, mask });
                self.changed = Some(self.volume);
            }
        }
        self.events.push(Event::Prompt(prompt));
        if self.steps.len() == STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
        Ok(())
    }

    /// Answers what was asked since the last run. On any error mask and prompts are as before, and it can run again.
    ///
    /// # Errors
    /// [`Error::Busy`] where the plan has no place for a run, [`Error::Cancelled`], [`Error::OutOfMemory`], or the
    /// engine's failure.
    pub fn run(&mut self, run: &mut Run) -> Result<SessionReport> {
        let _ours = Ours::enter();
        let started = Instant::now();
        let Some(look) = self.prompts.look else {
            run.finished(0)?;
            let changed = Region { start: [0; 3], end: [0; 3] }.in_volume_order();
            return Ok(SessionReport { changed, ..SessionReport::default() });
        };
        let turn = self.plan.runs.begin(run)?;
        let _threads = self.plan.enter_threads();
        let source = Source {
            image: &self.image,
            volume: self.volume,
            prompts: &self.prompts,
            prompting: &self.prompting,
            patch: self.plan.recipe.tiling.patch,
            threads: self.plan.threads,
        };
        let asking = Asking::new(&self.plan, source, &self.previous, turn, run)?;
        let answer = asking.answer(look, self.options.autozoom)?;
        // All that may fail comes before the first change.
        let region = answer.mask.region;
        let all = answer.coarse.as_ref().map_or(region, |coarse| coarse.region.union(&region));
        let overwritten = Overwritten { previous: self.previous.copy(all)?, mask: self.mask.copy(region)? };
        if let Some(step) = self.steps.back_mut() {
            buffer::grow(&mut step.overwritten, "what is overwritten", 1)?;
        }
        buffer::grow(&mut self.events, "a session's events", 1)?;
        run.finished(answer.network_runs)?;
        if let Some(step) = self.steps.back_mut() {
            step.overwritten.push(overwritten);
        }
        self.events.push(Event::Run);
        if let Some(coarse) = &answer.coarse {
            self.previous.paste(coarse);
        }
        self.previous.paste(&answer.mask);
        self.mask.paste(&answer.mask);
        self.prompts.look = None;
        self.changed = Some(region);
        Ok(SessionReport {
            changed: region.in_volume_order(),
            network_runs: answer.network_runs,
            zoom: answer.zoom,
            near_ties: answer.near_ties,
            total_seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Takes the last prompt back, and what runs have written since: 16 times in a row. Returns the box of the mask
    /// that may have changed, as [`SessionReport::changed`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where there is none left.
    pub fn undo(&mut self) -> Result<[[u64; 3]; 2]> {
        let Some(step) = self.steps.pop_back() else {
            return Err(Error::argument("session", "no prompt to take back", "a prompt, at most 16 ago"));
        };
        let mut changed: Option<Region> = None;
        for overwritten in step.overwritten.into_iter().rev() {
            let region = overwritten.mask.region;
            changed = Some(changed.map_or(region, |changed| changed.union(&region)));
            self.previous.paste(&overwritten.previous);
            self.mask.paste(&overwritten.mask);
        }
        self.prompts = step.prompts;
        self.changed = step.changed;
        self.events.truncate(step.events);
        Ok(changed.unwrap_or(Region { start: [0; 3], end: [0; 3] }).in_volume_order())
    }

    /// Begins again with the same image: no prompts, an empty mask, for the next object.
    pub fn reset(&mut self) {
        self.prompts.reset();
        self.previous.values.fill(0);
        self.mask.values.fill(0);
        self.changed = None;
        self.events.clear();
        self.steps.clear();
    }

    /// A box of the mask, from voxel `start` to before `end`: with it another session can go on.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a box that isn't in the volume, [`Error::OutOfMemory`].
    pub fn mask(&self, corners: [[u64; 3]; 2]) -> Result<Mask> {
        let region = self.region(corners)?;
        let [x, y, z] = corners[0].map(|index| index as i64);
        Ok(Mask::of_array([x, y, z], buffer::copy("a prompt's mask", &self.mask.view(&region))?))
    }

    /// Refuses a box that isn't in the volume, or is empty.
    pub(crate) fn check_box(&self, corners: [[u64; 3]; 2]) -> Result<()> {
        self.region(corners).map(drop)
    }

    /// A box in the volume, which isn't empty.
    fn region(&self, [start, end]: [[u64; 3]; 2]) -> Result<Region> {
        let shape = self.geometry.shape;
        let inside = (0..3).all(|axis| start[axis] < end[axis] && end[axis] <= shape[axis] as u64);
        if !inside {
            let found = format!("{start:?} to {end:?}");
            return Err(Error::argument("box", found, format!("voxels of a volume of {shape:?}")));
        }
        let turned = |[x, y, z]: [u64; 3]| [z, y, x].map(|index| index as i64);
        Ok(Region { start: turned(start), end: turned(end) })
    }

    /// Writes a box of the mask, from voxel `start` to before `end`, into a buffer of the box's shape: 1 for the
    /// object.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a box that isn't in the volume or of another shape, [`Error::OutOfMemory`].
    pub fn labels(&self, corners: [[u64; 3]; 2], labels: &mut LabelBuffer) -> Result<()> {
        let region = self.region(corners)?;
        let [z, y, x] = region.shape();
        labels.check(&Geometry::with_shape([x, y, z]), 1)?;
        let part = buffer::map("a box of labels", &self.mask.view(&region), u16::from)?;
        labels.write(part.view(), &AxisMap::identity().transposed([2, 1, 0]), [0; 3], 0, &[labels.part()]);
        Ok(())
    }
}

/// How a plan's model takes prompts.
fn prompting(plan: &Plan) -> Result<&Prompting> {
    plan.recipe.prompting.as_ref().ok_or_else(|| {
        Error::unsupported("a session with a model that takes no prompts; it segments volumes by itself")
    })
}
