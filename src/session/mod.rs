//! Segmenting by prompts: a session is given its image once, then a user's points, boxes and strokes, and answers each
//! time with a mask. A run that is cancelled or fails leaves mask and prompts as they were; a prompt can be taken back.
//!
//! Sessions share their plan, which never changes. What is asked for is kept as it is, so that the record of a session
//! replays it to the same bytes.

mod answer;
mod border;
mod clicks;
mod cover;
mod image;
mod input;
mod json;
mod memory;
mod painted;
mod painting;
mod prompt;
mod record;
mod region;
mod spread;

use std::collections::VecDeque;
use std::time::Instant;

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
use clicks::Clicks;
use input::Source;
use painted::{Look, Prompts};
use painting::PaintingState;
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
    /// Of a network that goes on from what was painted.
    prompts: Option<Prompts>,
    events: usize,
    changed: Option<Region>,
    /// What runs have written since, the last one last.
    overwritten: Vec<Overwritten>,
}

/// What was in a mask before: of the mask so far, and of the caller's.
struct Overwritten {
    previous: Option<Placed>,
    mask: Placed,
}

/// How a model's network answers.
enum Way {
    /// It looks at a patch around the last prompt: nnInteractive's.
    Painting(Box<PaintingState>),
    /// It segments the whole volume by clicks for each label: DeepEdit's.
    Clicks(Box<Clicks>),
}

/// An image that a user segments.
pub struct Session {
    plan: Plan,
    way: Way,
    options: SessionOptions,
    geometry: Geometry,
    volume: Region,
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
        if let Prompting::Painting(_) = prompting {
            plan.tile_by_tile()?;
        }
        let expected = plan.expected_intensities();
        let inspected = inspect(volume, &plan.channels, &expected, plan.threads, run)?;
        run.checkpoint(Stage::Preprocess, 0, 1)?;
        let [x, y, z] = volume.geometry().shape;
        let extent = Region::of_shape([z, y, x]);
        let way = match prompting {
            Prompting::Painting(painting) => {
                let state = PaintingState::new(painting, plan, &inspected.volume, extent)?;
                Way::Painting(Box::new(state))
            }
            Prompting::Clicks(labels) => {
                Way::Clicks(Box::new(Clicks::new(labels, plan, &inspected.volume, run)?))
            }
        };
        let session = Session {
            mask: Placed::empty(extent)?,
            plan: plan.clone(),
            way,
            options,
            geometry: volume.geometry().clone(),
            volume: extent,
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
        geometry.check()?;
        let [x, y, z] = geometry.shape;
        match prompting(plan)? {
            Prompting::Painting(_) => Ok(plan.report_with(geometry, memory::bytes(plan, [z, y, x]))),
            Prompting::Clicks(_) => memory::of_whole_runs(plan, geometry),
        }
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
        let kind = match &self.way {
            Way::Painting(state) => {
                let kind = prompt.kind(&state.painting.kinds())?;
                prompt.check(&self.volume, &[0, 1])?;
                kind
            }
            Way::Clicks(clicks) => {
                let kind = prompt.kind(&[PromptKind::PointPerLabel])?;
                prompt.check(&self.volume, &clicks.labels)?;
                kind
            }
        };
        let begin = match &prompt {
            Prompt::Mask(mask) => {
                let mask = painted::in_volume(mask, &self.volume)?;
                Some((mask.copy(self.volume)?, mask))
            }
            _ => None,
        };
        buffer::grow(&mut self.events, "a session's events", 1)?;
        let prompts = match &self.way {
            Way::Painting(state) => Some(state.prompts.clone()),
            Way::Clicks(_) => None,
        };
        let mut step =
            Step { prompts, events: self.events.len(), changed: self.changed, overwritten: Vec::new() };
        if let Way::Painting(state) = &mut self.way {
            let patch = self.plan.recipe.tiling.patch;
            match begin {
                None => state.prompts.add(&prompt, kind, &state.painting, &self.volume, patch),
                Some((previous, mask)) => {
                    state.prompts.reset();
                    state.prompts.look = mask.extent().map(|extent| Look::at(&extent, patch, true));
                    let previous = Some(std::mem::replace(&mut state.previous, previous));
                    let mask = std::mem::replace(&mut self.mask, mask);
                    step.overwritten.push(Overwritten { previous, mask });
                    self.changed = Some(self.volume);
                }
            }
        }
        self.events.push(Event::Prompt(prompt));
        if self.steps.len() == STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
        Ok(())
    }

    /// Answers what was asked since the last run; a model that takes clicks also answers once without any. On any error
    /// mask and prompts are as before, and it can run again.
    ///
    /// # Errors
    /// [`Error::Busy`] where the plan has no place for a run, [`Error::Cancelled`], [`Error::OutOfMemory`], or the
    /// engine's failure.
    pub fn run(&mut self, run: &mut Run) -> Result<SessionReport> {
        let _ours = Ours::enter();
        let started = Instant::now();
        let report = match &self.way {
            Way::Painting(state) => match state.prompts.look {
                Some(look) => self.look(look, run)?,
                None => nothing(run)?,
            },
            Way::Clicks(_) => match self.events.last() {
                Some(Event::Run) => nothing(run)?,
                _ => self.segment(run)?,
            },
        };
        Ok(SessionReport { total_seconds: started.elapsed().as_secs_f64(), ..report })
    }

    /// Segments the whole volume by all clicks so far.
    fn segment(&mut self, run: &mut Run) -> Result<SessionReport> {
        let Way::Clicks(clicks) = &self.way else { return nothing(run) };
        let mut turn = self.plan.runs.begin(run)?;
        let _threads = self.plan.enter_threads();
        let (found, report) = clicks.answer(&self.plan, &self.geometry, &self.events, &mut turn, run)?;
        // All that may fail comes before the first change.
        let region = found.differing(&self.mask);
        let (mask, found) = (self.mask.copy(region)?, found.copy(region)?);
        self.answered(Overwritten { previous: None, mask })?;
        self.mask.paste(&found);
        self.changed = Some(region);
        Ok(SessionReport {
            changed: region.in_volume_order(),
            network_runs: report.tiles,
            zoom: 1.0,
            near_ties: report.near_ties,
            total_seconds: 0.0,
        })
    }

    /// Takes down that a run has answered, and what it is about to overwrite; changes nothing where it fails.
    fn answered(&mut self, overwritten: Overwritten) -> Result<()> {
        buffer::grow(&mut self.events, "a session's events", 1)?;
        if let Some(step) = self.steps.back_mut() {
            buffer::grow(&mut step.overwritten, "what is overwritten", 1)?;
            step.overwritten.push(overwritten);
        }
        self.events.push(Event::Run);
        Ok(())
    }

    /// Looks at what was painted.
    fn look(&mut self, look: Look, run: &mut Run) -> Result<SessionReport> {
        let Way::Painting(state) = &mut self.way else { return nothing(run) };
        let turn = self.plan.runs.begin(run)?;
        let _threads = self.plan.enter_threads();
        let source = Source {
            image: &state.image,
            volume: self.volume,
            prompts: &state.prompts,
            prompting: &state.painting,
            patch: self.plan.recipe.tiling.patch,
            threads: self.plan.threads,
        };
        let asking = Asking::new(&self.plan, source, &state.previous, turn, run)?;
        let answer = asking.answer(look, self.options.autozoom)?;
        // All that may fail comes before the first change.
        let region = answer.mask.region;
        let all = answer.coarse.as_ref().map_or(region, |coarse| coarse.region.union(&region));
        let previous = Some(state.previous.copy(all)?);
        let overwritten = Overwritten { previous, mask: self.mask.copy(region)? };
        run.finished(answer.network_runs)?;
        self.answered(overwritten)?;
        let Way::Painting(state) = &mut self.way else { return nothing(run) };
        if let Some(coarse) = &answer.coarse {
            state.previous.paste(coarse);
        }
        state.previous.paste(&answer.mask);
        state.prompts.look = None;
        self.mask.paste(&answer.mask);
        self.changed = Some(region);
        Ok(SessionReport {
            changed: region.in_volume_order(),
            network_runs: answer.network_runs,
            zoom: answer.zoom,
            near_ties: answer.near_ties,
            total_seconds: 0.0,
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
            self.mask.paste(&overwritten.mask);
            if let (Way::Painting(state), Some(previous)) = (&mut self.way, &overwritten.previous) {
                state.previous.paste(previous);
            }
        }
        if let (Way::Painting(state), Some(prompts)) = (&mut self.way, step.prompts) {
            state.prompts = prompts;
        }
        self.changed = step.changed;
        self.events.truncate(step.events);
        Ok(changed.unwrap_or(Region { start: [0; 3], end: [0; 3] }).in_volume_order())
    }

    /// Begins again with the same image: no prompts, an empty mask, for the next object.
    pub fn reset(&mut self) {
        if let Way::Painting(state) = &mut self.way {
            state.prompts.reset();
            state.previous.values.fill(0);
        }
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
    /// object, or the model's labels where points are given by label.
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

/// The report of a run that had nothing to do.
fn nothing(run: &mut Run) -> Result<SessionReport> {
    run.finished(0)?;
    let changed = Region { start: [0; 3], end: [0; 3] }.in_volume_order();
    Ok(SessionReport { changed, ..SessionReport::default() })
}

/// How a plan's model takes prompts.
fn prompting(plan: &Plan) -> Result<&Prompting> {
    plan.recipe.prompting.as_ref().ok_or_else(|| {
        Error::unsupported("a session with a model that takes no prompts; it segments volumes by itself")
    })
}
