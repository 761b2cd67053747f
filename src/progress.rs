//! How far a run is, and stopping it.

mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::buffer;
use crate::error::{Error, Result};
use crate::floating_point::as_host;
use crate::volume::{Box3, NonFinite, Region};

pub use watch::Watch;

/// A flag that stops a run within one tile. Clones share the flag; any thread may set it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that isn't set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the runs that have this flag to stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Clears the flag.
    pub fn reset(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Whether the flag is set.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What a run is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading, cropping, normalising and resampling the volume.
    Preprocess,
    /// Running the network on the tiles.
    Network,
    /// Bringing the labels onto the volume's grid.
    Restore,
    /// Measuring labels.
    Measure,
    /// Reading the files of a model.
    Open,
    /// Compiling the networks of a plan.
    Compile,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What it is at.
    pub stage: Stage,
    /// Share of the whole run that is done: never decreases, 1 at the end of a run that succeeds.
    pub fraction: f64,
    /// Tiles done.
    pub tiles_done: usize,
    /// Tiles in all.
    pub tiles: usize,
    /// Bytes of a model's files that were read, or that aren't needed.
    pub bytes_read: u64,
    /// Bytes of these files in all, as far as they are known.
    pub bytes: u64,
}

impl Progress {
    /// Of a stage without tiles and bytes.
    fn new(stage: Stage, fraction: f64) -> Self {
        Progress { stage, fraction, tiles_done: 0, tiles: 0, bytes_read: 0, bytes: 0 }
    }
}

type Receiver<'a> = Box<dyn FnMut(&Progress) -> bool + 'a>;

/// Labels that are in the caller's buffer while a run goes on.
#[derive(Clone, Copy, Debug)]
pub struct LabelsSoFar<'a> {
    /// The voxels, a box of the labels' grid.
    pub part: Box3,
    /// Whether they are final. Else they are those that the models of a task found so far.
    pub is_final: bool,
    /// The values of the labels that are complete, where not all are: a task's later models may still take voxels of
    /// them, but add none.
    pub complete: &'a [u16],
}

type LabelsReceiver<'a> = Box<dyn FnMut(&LabelsSoFar) -> bool + 'a>;

/// A run in the eyes of its caller: progress goes out, a wish to stop comes in.
pub struct Run<'a> {
    cancel: Cancel,
    receiver: Option<Receiver<'a>>,
    non_finite: NonFinite,
    region: Region,
    on_labels: Option<LabelsReceiver<'a>>,
    /// The boxes whose labels are final.
    finals: Vec<Box3>,
    fraction: f64,
    /// The share of the whole that the present part of the run has: from, to.
    part: (f64, f64),
}

impl Default for Run<'_> {
    fn default() -> Self {
        Run {
            cancel: Cancel::new(),
            receiver: None,
            non_finite: NonFinite::default(),
            region: Region::whole(),
            on_labels: None,
            finals: Vec::new(),
            fraction: 0.0,
            part: (0.0, 1.0),
        }
    }
}

/// Shares of the whole that the stages before and after the network get in the progress.
const PREPROCESS: f64 = 0.04;
const RESTORE: f64 = 0.01;

impl<'a> Run<'a> {
    /// A run that stops when `cancel` is set.
    pub fn new(cancel: Cancel) -> Self {
        Run { cancel, ..Run::default() }
    }

    /// Calls `receiver` on the running thread; it returns `false` to cancel.
    #[must_use]
    pub fn with_progress(mut self, receiver: impl FnMut(&Progress) -> bool + 'a) -> Self {
        self.receiver = Some(Box::new(receiver));
        self
    }

    /// Voxels that are NaN or infinite are this; without it they are an error.
    #[must_use]
    pub fn with_non_finite(self, non_finite: NonFinite) -> Self {
        Run { non_finite, ..self }
    }

    /// Only these voxels get labels.
    #[must_use]
    pub fn with_region(self, region: Region) -> Self {
        Run { region, ..self }
    }

    /// Labels are written as they become final, and `receiver` is called on the running thread for each box of voxels
    /// that has them; it returns `false` to cancel. Without it labels are written at the end, all or none. A run that
    /// fails leaves those that are final ([`Run::finals`]).
    #[must_use]
    pub fn with_labels(mut self, receiver: impl FnMut(&LabelsSoFar) -> bool + 'a) -> Self {
        self.on_labels = Some(Box::new(receiver));
        self
    }

    /// The boxes of voxels whose labels are final, in the order in which they came, those that lie next to each other
    /// as one; for a run [`Run::with_labels`].
    pub fn finals(&self) -> &[Box3] {
        &self.finals
    }

    /// Whether labels are written as they become final.
    pub(crate) fn wants_labels(&self) -> bool {
        self.on_labels.is_some()
    }

    /// Reports that labels in these boxes are final, and in the caller's buffer.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the caller wants to stop.
    pub(crate) fn labels_are_final(&mut self, boxes: &[Box3]) -> Result<()> {
        boxes.iter().try_for_each(|&part| {
            let joined = self.finals.last().and_then(|last| {
                let both = last.around(&part);
                let together = both.voxels() == last.voxels() + part.voxels();
                (together && last.common(&part).is_none()).then_some(both)
            });
            match (joined, self.finals.last_mut()) {
                (Some(joined), Some(last)) => *last = joined,
                _ => self.finals.push(part),
            }
            self.labels_so_far(&LabelsSoFar { part, is_final: true, complete: &[] })
        })
    }

    /// Reports labels that are in the caller's buffer.
    ///
    /// # Errors
    /// As [`Run::labels_are_final`].
    pub(crate) fn labels_so_far(&mut self, labels: &LabelsSoFar) -> Result<()> {
        if let Some(receiver) = &mut self.on_labels
            && !as_host(|| receiver(labels))
        {
            return Err(Error::Cancelled);
        }
        Ok(())
    }

    /// The voxels that get labels.
    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// What voxels are that are NaN or infinite.
    pub(crate) fn non_finite(&self) -> NonFinite {
        self.non_finite
    }

    /// Runs a part that has the share from `from` to `to` of the present part; what follows has the rest.
    pub(crate) fn part<T>(
        &mut self,
        from: f64,
        to: f64,
        part: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let (start, end) = self.part;
        let at = |share| start + (end - start) * share;
        self.part = (at(from), at(to));
        let result = part(self);
        self.part = (at(to), end);
        result
    }

    /// Reports that `done` of `count` parts of `stage` are done.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the caller wants to stop.
    pub(crate) fn checkpoint(&mut self, stage: Stage, done: usize, count: usize) -> Result<()> {
        let part = done as f64 / count.max(1) as f64;
        let fraction = match stage {
            Stage::Preprocess => PREPROCESS * part,
            Stage::Network => PREPROCESS + (1.0 - PREPROCESS - RESTORE) * part,
            Stage::Restore => 1.0 - RESTORE,
            Stage::Measure | Stage::Open | Stage::Compile => part,
        };
        let (from, to) = self.part;
        self.fraction = self.fraction.max(from + (to - from) * fraction);
        let (tiles_done, tiles) = if stage == Stage::Network { (done, count) } else { (0, 0) };
        self.report(&Progress { tiles_done, tiles, ..Progress::new(stage, self.fraction) })
    }

    /// The flag that stops it.
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Stops a run that is to be cancelled, without a report.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::OutOfMemory`].
    pub(crate) fn check(&self) -> Result<()> {
        if self.cancel.requested() { Err(Error::Cancelled) } else { buffer::check("a run") }
    }

    fn report(&mut self, progress: &Progress) -> Result<()> {
        self.check()?;
        if let Some(receiver) = &mut self.receiver
            && !as_host(|| receiver(progress))
        {
            return Err(Error::Cancelled);
        }
        Ok(())
    }

    /// The last report, after which only the labels are written.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the caller wants to stop even now.
    pub(crate) fn finished(&mut self, tiles: usize) -> Result<()> {
        if self.part.1 < 1.0 {
            return self.check();
        }
        self.report(&Progress { tiles_done: tiles, tiles, ..Progress::new(Stage::Restore, 1.0) })
    }
}
