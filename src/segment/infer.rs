//! From an image to planes of scores, or on a device at once to planes of labels: every fold over every tile. Tiles
//! run in rows along the first axis; planes that no later row touches are averaged, handed on and dropped before the
//! next row runs.

use std::time::Instant;

use ndarray::Array4;

use super::RunReport;
use super::ahead::{Ahead, lap};
use crate::engine::{self, Job, Memory, Resident};
use crate::error::{Error, Result};
use crate::log::{self, Level};
use crate::plan::Plan;
use crate::progress::{Run, Stage};
use crate::restore::Labelling;
use crate::tiling::grid::TileRow;
use crate::tiling::{Blend, Mirrored, Score, average, cut};

/// Planes that leave the host's sums together: for that time they are there twice.
pub(crate) const RELEASED_AT_ONCE: usize = 16;

/// Planes that no later tile touches.
pub(super) enum Planes<S> {
    /// [class, plane, row, column].
    Scores(Array4<S>),
    /// Labels, planes after planes, and the near ties among them.
    Labels(Vec<u16>, usize),
}

/// What was asked of the device's memory and couldn't be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryStep {
    /// Nothing.
    #[default]
    None,
    /// Several tiles at once: it was one.
    OneTile,
    /// The sums of scores: the host cut and blended.
    HostBlends,
}

impl MemoryStep {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            MemoryStep::None => "none",
            MemoryStep::OneTile => "one-tile",
            MemoryStep::HostBlends => "host-blends",
        }
    }
}

/// Runs a plan's networks over an image. With a `labelling` a device that has room decides labels by itself.
pub(super) fn infer<S: Score>(
    plan: &mut Plan,
    image: Array4<f32>,
    labelling: Option<&Labelling>,
    run: &mut Run,
    report: &mut RunReport,
    mut receive: impl FnMut(Planes<S>, &Run) -> Result<()>,
) -> Result<()> {
    let shape = [image.dim().1, image.dim().2, image.dim().3];
    let tiles = plan.tiles(shape)?;
    let total = tiles.len() * plan.engines.len();
    let in_single = |plan: &Plan| plan.engines.iter().map(|engine| engine.tiles_in_single()).sum::<usize>();
    let before = in_single(plan);
    let window = plan.window.clone();
    let flips = Mirrored::flips(&plan.mirror);
    let job = Job {
        image: &image,
        tiles: &tiles,
        window: window.view(),
        fill: plan.recipe.tiling.fill,
        mirror: &flips,
        classes: plan.classes,
        folds: plan.engines.len(),
        batch: plan.tile_batch(),
        taken: plan.device_bytes(),
        half: S::HALF,
        labelling,
    };
    let (memory, job) = descend(plan, job, report)?;
    report.tile_batch = job.batch;
    let mut place: Place<S> = match memory {
        Some(memory) => Place::Device(Box::new(Resident::new(memory, &mut plan.engines, job))),
        None => Place::Host(Box::new(OnHost::new(plan, job)?)),
    };
    let (mut done, mut released) = (0, 0);
    for row in tiles.rows() {
        let row = row?;
        let mut checkpoint = |tile: usize| run.checkpoint(Stage::Network, done + tile, total);
        let mut blended = 0;
        let outcome = match &mut place {
            Place::Host(host) => host.run(&row, &mut checkpoint, &mut blended),
            Place::Device(resident) => {
                let started = Instant::now();
                let outcome = run_there(resident, &row, &job, &mut checkpoint, &mut blended);
                report.network_seconds += started.elapsed().as_secs_f64();
                report.tiles_on_device += blended;
                outcome
            }
        };
        report.tiles += blended;
        outcome.map_err(|error| match error {
            Error::Cancelled | Error::OutOfMemory { .. } => error,
            other => Error::Inference { tile: done + blended, reason: other.to_string() },
        })?;
        done += blended;
        while released < row.finished {
            let mut last = Instant::now();
            let planes = match &mut place {
                Place::Host(host) => {
                    released = row.finished.min(released + RELEASED_AT_ONCE);
                    Planes::Scores(average(&mut host.sums, released)?)
                }
                Place::Device(resident) => {
                    released = row.finished;
                    match labelling {
                        Some(labelling) => {
                            let check = || run.check();
                            let (labels, near_ties) = resident.labels(released, labelling, &check)?;
                            Planes::Labels(labels, near_ties)
                        }
                        None => Planes::Scores(shaped(resident.take(released)?, job.classes, shape)?),
                    }
                }
            };
            let taken = match planes {
                Planes::Scores(_) => &mut report.blend_seconds,
                Planes::Labels(..) => &mut report.restore_seconds,
            };
            *taken += lap(&mut last);
            receive(planes, run)?;
            report.restore_seconds += lap(&mut last);
        }
    }
    if let Place::Host(host) = &place {
        report.network_seconds += host.ahead.network_seconds;
        report.blend_seconds += host.ahead.around_seconds;
    }
    drop(place);
    report.tiles_in_single += in_single(plan) - before;
    run.checkpoint(Stage::Network, done, total)
}

/// Room for a job on the device, or none where the host cuts and blends. When the device has too little, first tiles run one
/// at a time, then the sums stay on the host.
fn descend<'a>(
    plan: &mut Plan,
    mut job: Job<'a>,
    report: &mut RunReport,
) -> Result<(Option<Memory>, Job<'a>)> {
    report.memory_step = report.memory_step.max(plan.memory_step);
    loop {
        let Some(first) = plan.engines.first() else { return Ok((None, job)) };
        let reason = match first.memory_for(&job) {
            Ok(memory) => return Ok((memory, job)),
            Err(reason) => reason,
        };
        if job.batch == 1 || !plan.one_tile_at_a_time()? {
            log::write(Level::Warning, || format!("the host cuts and blends tiles: {reason}"));
            report.memory_step = MemoryStep::HostBlends;
            return Ok((None, job));
        }
        log::write(Level::Warning, || format!("tiles run one at a time: {reason}"));
        report.memory_step = report.memory_step.max(MemoryStep::OneTile);
        (job.batch, job.taken) = (1, plan.device_bytes());
    }
}

/// Where tiles are cut and blended.
enum Place<'a, S> {
    Host(Box<OnHost<'a, S>>),
    Device(Box<Resident<'a>>),
}

/// A row of tiles through all folds, in the device's memory.
fn run_there(
    resident: &mut Resident,
    row: &TileRow,
    job: &Job,
    checkpoint: &mut dyn FnMut(usize) -> Result<()>,
    blended: &mut usize,
) -> Result<()> {
    resident.enter(row)?;
    for fold in 0..job.folds {
        for starts in row.tiles.chunks(job.batch) {
            checkpoint(*blended)?;
            resident.tiles(fold, starts)?;
            *blended += starts.len();
        }
    }
    Ok(())
}

/// Tiles that the host cuts and blends.
struct OnHost<'a, S> {
    engines: &'a mut [Box<dyn engine::Engine>],
    job: Job<'a>,
    ahead: Ahead,
    /// Of each fold.
    sums: Vec<Blend<S>>,
}

impl<'a, S: Score> OnHost<'a, S> {
    fn new(plan: &'a mut Plan, job: Job<'a>) -> Result<Self> {
        let tile = job.tiles.patch().iter().product::<usize>() * job.batch;
        let (input, scores) = (job.image.dim().0 * tile, job.classes * tile);
        let mirrored = Mirrored::new(job.tiles.patch(), &plan.mirror, scores)?;
        let overlapped = plan.engines.iter().any(|engine| engine.runs_elsewhere());
        let blend = |_| Blend::new(job.classes, job.tiles, &plan.window, plan.threads);
        Ok(OnHost {
            ahead: Ahead::new(mirrored, input, scores, overlapped)?,
            sums: (0..job.folds).map(blend).collect::<Result<_>>()?,
            engines: &mut plan.engines,
            job,
        })
    }

    /// A row of tiles through all folds.
    fn run(
        &mut self,
        row: &TileRow,
        checkpoint: &mut dyn FnMut(usize) -> Result<()>,
        blended: &mut usize,
    ) -> Result<()> {
        let Job { image, tiles, fill, batch, .. } = self.job;
        let patch = tiles.patch().iter().product::<usize>();
        let group = |group: usize| row.tiles.chunks(batch).nth(group).unwrap_or_default();
        let groups = row.tiles.len().div_ceil(batch);
        for (engine, sums) in self.engines.iter_mut().zip(&mut self.sums) {
            let first = *blended;
            let cut_group = |index: usize, input: &mut [f32]| {
                checkpoint(first + index * batch)?;
                for (&start, input) in group(index).iter().zip(input.chunks_exact_mut(image.dim().0 * patch))
                {
                    cut(image.view(), tiles, start, fill, input);
                }
                Ok(())
            };
            self.ahead.run(&mut **engine, groups, cut_group, |index, scores| {
                let tiles = group(index);
                for (&start, scores) in tiles.iter().zip(scores.chunks_exact(self.job.classes * patch)) {
                    sums.add(start, scores)?;
                }
                *blended += tiles.len();
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Scores from the bytes that a device gave.
fn shaped<S: Score>(bytes: Vec<u8>, classes: usize, [_, rows, columns]: [usize; 3]) -> Result<Array4<S>> {
    let scores = engine::scores(&bytes);
    let planes = scores.len() / (classes * rows * columns).max(1);
    let shaped = Array4::from_shape_vec((classes, planes, rows, columns), scores);
    shaped.map_err(|error| Error::unsupported(error.to_string()))
}
