//! From an image to planes of scores, or on a device at once to planes of labels: every fold over every tile. Tiles
//! run in rows along the first axis; planes that no later row touches are averaged, handed on and dropped before the
//! next row runs.

use std::sync::Arc;
use std::time::Instant;

use half::f16;
use ndarray::Array4;

use super::device::{self, Job, Memory, Resident};
use super::network::Fold;
use super::pipeline::{Pipeline, lap};
use super::runs::OnDevice;
use super::{MemoryStep, Plan, RunReport};
use crate::engine::{DeviceEngine, Engine, Workspace};
use crate::error::{Error, Result};
use crate::log::{self, Level};
use crate::progress::{Run, Stage};
use crate::recipe::{Resize, ResizeMode, RestoreMode, ScorePrecision, Step};
use crate::restore::{Labelling, Restorer};
use crate::tiling::grid::TileRow;
use crate::tiling::{Blend, Mirrored, Score, TileGrid, average, cut};

/// Planes that leave the host's sums together: for that time they are there twice.
const RELEASED_AT_ONCE: usize = 16;

/// Planes that no later tile touches.
pub(super) enum Planes<S> {
    /// [class, plane, row, column].
    Scores(Array4<S>),
    /// Labels, planes after planes, and the near ties among them.
    Labels(Vec<u16>, usize),
}

/// Runs a plan's networks over the tiles of an image. With a `labelling` a device that has room decides labels by
/// itself.
#[expect(clippy::too_many_arguments, reason = "what a run has at hand")]
pub(super) fn infer<S: Score>(
    plan: &Plan,
    image: Array4<f32>,
    tiles: &TileGrid,
    labelling: Option<&Labelling>,
    workspace: &mut Workspace,
    run: &mut Run,
    report: &mut RunReport,
    mut receive: impl FnMut(Planes<S>, &mut Run) -> Result<()>,
) -> Result<()> {
    let shape = [image.dim().1, image.dim().2, image.dim().3];
    let engines = plan.folds.iter().map(Fold::engine).collect::<Result<Vec<_>>>()?;
    let total = tiles.len() * engines.len();
    let flips = Mirrored::flips(&plan.mirror);
    let job = Job {
        image: &image,
        tiles,
        window: plan.window.view(),
        fill: plan.recipe.tiling.fill,
        mirror: &flips,
        classes: plan.classes,
        folds: engines.len(),
        batch: plan.tile_batch(),
        half: S::HALF,
        labelling,
    };
    let (room, job) = descend(plan, job, report)?;
    report.tile_batch = job.batch;
    workspace.take_tiles_in_single();
    workspace.stop_by(run.cancel());
    let mut place: Place<S> = match room {
        Some(Room { memory, engines, counted }) => {
            Place::Device(Box::new(Resident::new(memory, engines, &mut *workspace, job)), counted)
        }
        None => Place::Host(Box::new(OnHost::new(plan, &engines, &mut *workspace, job)?)),
    };
    let (mut done, mut released) = (0, 0);
    for row in tiles.rows() {
        let row = row?;
        let mut checkpoint = |tile: usize| run.checkpoint(Stage::Network, done + tile, total);
        let mut blended = 0;
        let outcome = match &mut place {
            Place::Host(host) => host.run(&row, &mut checkpoint, &mut blended),
            Place::Device(resident, _) => {
                let started = Instant::now();
                let outcome = run_there(resident, &row, &job, &mut checkpoint, &mut blended);
                report.network_seconds += started.elapsed().as_secs_f64();
                report.tiles_on_device += blended;
                outcome
            }
        };
        report.tiles += blended;
        outcome.map_err(|error| match error {
            Error::Cancelled | Error::OutOfMemory { .. } | Error::DeviceLost { .. } => error,
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
                Place::Device(resident, _) => {
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
        report.network_seconds += host.pipeline.network_seconds;
        report.blend_seconds += host.pipeline.around_seconds;
    }
    drop(place);
    report.tiles_in_single += workspace.take_tiles_in_single();
    run.checkpoint(Stage::Network, done, total)
}

/// Bytes that it needs, for the image that tiles cover and labels of the volume's shape, or of parts of both.
pub(super) fn bytes(plan: &Plan, shape: [usize; 3], network: [usize; 3]) -> u64 {
    let patch = plan.recipe.tiling.patch;
    let sums = |planes: usize| {
        let image = [planes.min(network[0]), network[1], network[2]];
        match plan.recipe.tiling.score_precision {
            ScorePrecision::Half => Blend::<f16>::bytes(plan.classes, image, patch),
            ScorePrecision::Single => Blend::<f32>::bytes(plan.classes, image, patch),
        }
    };
    // The planes that leave the sums are a copy for the time of their restoring, and for several folds one more.
    let folds = plan.folds.len() as u64;
    let field = folds * sums(network[0]) + folds.min(2) * sums(RELEASED_AT_ONCE);
    let image = network.iter().map(|&n| n as u64).product::<u64>() * plan.inputs as u64 * 4;
    let tile = patch.iter().map(|&n| n as u64).product::<u64>() * plan.tile_batch() as u64;
    let overlapped = plan.folds.iter().any(|fold| fold.info().runs_elsewhere);
    let [input, scores] = [plan.inputs, plan.classes].map(|channels| tile * channels as u64);
    let tiles = Pipeline::bytes(input, scores, overlapped, !plan.mirror.is_empty());
    let decided = if matches!(plan.recipe.restore, RestoreMode::Labels | RestoreMode::InterpolatedLabels) {
        network
    } else {
        shape
    };
    // Where outputs may reach over more than two inputs, classes are resampled as a whole.
    let by_area = |step: &Step| matches!(step, Step::Resize(Resize { mode: ResizeMode::Area, .. }));
    let whole = if decided != network && plan.recipe.steps.iter().any(by_area) {
        4 * (plan.classes as u64 + 1) * shape.iter().map(|&n| n as u64).product::<u64>()
    } else {
        0
    };
    image + field + whole + Restorer::<f16>::bytes(plan.classes, decided, 0, plan.threads) + tiles
}

/// What a job has on a device.
struct Room<'a> {
    memory: Memory,
    engines: Vec<&'a dyn DeviceEngine>,
    counted: OnDevice,
}

/// Room for a job on the device, or none where the host cuts and blends. When the device has too little, first tiles
/// run one at a time, then the sums stay on the host.
fn descend<'a, 'p>(
    plan: &'p Plan,
    mut job: Job<'a>,
    report: &mut RunReport,
) -> Result<(Option<Room<'p>>, Job<'a>)> {
    report.memory_step = report.memory_step.max(plan.memory_step());
    loop {
        let reason = match room(plan, &job) {
            Ok(room) => return Ok((room, job)),
            Err(lost @ Error::DeviceLost { .. }) => return Err(lost),
            Err(reason) => reason,
        };
        if job.batch == 1 || !plan.one_tile_at_a_time()? {
            log::write(Level::Warning, || format!("the host cuts and blends tiles: {reason}"));
            report.memory_step = MemoryStep::HostBlends;
            return Ok((None, job));
        }
        log::write(Level::Warning, || format!("tiles run one at a time: {reason}"));
        report.memory_step = report.memory_step.max(MemoryStep::OneTile);
        job.batch = 1;
    }
}

/// Memory of the device for a job, `None` where that is the host's work, or why there is none.
fn room<'p>(plan: &'p Plan, job: &Job) -> Result<Option<Room<'p>>> {
    let Some(machine) = &plan.machine else { return Ok(None) };
    let engines = plan.folds.iter().map(|fold| fold.engine().ok().and_then(|engine| engine.device()));
    let Some(engines) = engines.collect::<Option<Vec<_>>>() else { return Ok(None) };
    let Some(first) = engines.first() else { return Ok(None) };
    let bytes = job.extent().bytes();
    let taken = plan.device_bytes() + plan.runs.device_bytes();
    first.room(bytes, taken)?;
    let counted = plan.runs.on_device(bytes);
    let memory = Memory::new(machine, job, first.may_overflow())?;
    Ok(Some(Room { memory, engines, counted }))
}

/// Where tiles are cut and blended.
enum Place<'a, S> {
    Host(Box<OnHost<'a, S>>),
    Device(Box<Resident<'a>>, #[expect(dead_code, reason = "counts as long as it lives")] OnDevice),
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
    engines: Vec<&'a dyn Engine>,
    workspace: &'a mut Workspace,
    job: Job<'a>,
    pipeline: Pipeline,
    /// Of each fold.
    sums: Vec<Blend<S>>,
}

impl<'a, S: Score> OnHost<'a, S> {
    fn new(
        plan: &Plan,
        engines: &[&'a Arc<dyn Engine>],
        workspace: &'a mut Workspace,
        job: Job<'a>,
    ) -> Result<Self> {
        let tile = job.tiles.patch().iter().product::<usize>() * job.batch;
        let (input, scores) = (job.image.dim().0 * tile, job.classes * tile);
        let mirrored = Mirrored::new(job.tiles.patch(), &plan.mirror, scores)?;
        let overlapped = engines.iter().any(|engine| engine.info().runs_elsewhere);
        let blend = |_| Blend::new(job.classes, job.tiles, &plan.window, plan.threads);
        Ok(OnHost {
            pipeline: Pipeline::new(mirrored, input, scores, overlapped)?,
            sums: (0..job.folds).map(blend).collect::<Result<_>>()?,
            engines: engines.iter().map(|engine| &***engine).collect(),
            workspace,
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
        for (&engine, sums) in self.engines.iter().zip(&mut self.sums) {
            let first = *blended;
            let cut_group = |index: usize, input: &mut [f32]| {
                checkpoint(first + index * batch)?;
                for (&start, input) in group(index).iter().zip(input.chunks_exact_mut(image.dim().0 * patch))
                {
                    cut(image.view(), tiles, start, fill, input);
                }
                Ok(())
            };
            let mut network = |input: &[f32], output: &mut [f32]| engine.run(self.workspace, input, output);
            self.pipeline.run(&mut network, groups, cut_group, |index, scores| {
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
    let scores = device::scores(&bytes);
    let planes = scores.len() / (classes * rows * columns).max(1);
    let shaped = Array4::from_shape_vec((classes, planes, rows, columns), scores);
    shaped.map_err(|error| Error::unsupported(error.to_string()))
}
