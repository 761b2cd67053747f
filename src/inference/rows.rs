//! From an image to planes of scores, or on a device at once to planes of labels: every fold over every tile. Tiles
//! run in rows along the first axis; planes that no later row touches are averaged, handed on and dropped before the
//! next row runs.

use std::sync::Arc;
use std::time::Instant;

use half::f16;
use ndarray::Array4;

use super::device::{self, DeviceTiles, Memory, TiledRun};
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
pub(super) enum RowOutput<S> {
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
    mut receive: impl FnMut(RowOutput<S>, &mut Run) -> Result<()>,
) -> Result<()> {
    let shape = [image.dim().1, image.dim().2, image.dim().3];
    let engines = plan.folds.iter().map(Fold::engine).collect::<Result<Vec<_>>>()?;
    let total = tiles.len() * engines.len();
    let flips = Mirrored::flips(&plan.mirror);
    let tiled = TiledRun {
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
    let (room, tiled) = descend(plan, tiled, report)?;
    report.tile_batch = tiled.batch;
    workspace.take_tiles_in_single();
    workspace.stop_by(run.cancel());
    let mut runner: RowRunner<S> = match room {
        Some(Room { memory, engines, counted }) => {
            RowRunner::Device(Box::new(DeviceTiles::new(memory, engines, &mut *workspace, tiled)), counted)
        }
        None => RowRunner::Host(Box::new(HostTiles::new(plan, &engines, &mut *workspace, tiled)?)),
    };
    let (mut done, mut released) = (0, 0);
    for row in tiles.rows() {
        let row = row?;
        let mut checkpoint = |tile: usize| run.checkpoint(Stage::Network, done + tile, total);
        let mut blended = 0;
        let outcome = match &mut runner {
            RowRunner::Host(host) => host.run(&row, &mut checkpoint, &mut blended),
            RowRunner::Device(tiles_on_device, _) => {
                let started = Instant::now();
                let outcome = run_on_device(tiles_on_device, &row, &tiled, &mut checkpoint, &mut blended);
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
            let planes = match &mut runner {
                RowRunner::Host(host) => {
                    released = row.finished.min(released + RELEASED_AT_ONCE);
                    RowOutput::Scores(average(&mut host.sums, released)?)
                }
                RowRunner::Device(tiles_on_device, _) => {
                    released = row.finished;
                    match labelling {
                        Some(labelling) => {
                            let check = || run.check();
                            let (labels, near_ties) = tiles_on_device.labels(released, labelling, &check)?;
                            RowOutput::Labels(labels, near_ties)
                        }
                        None => {
                            RowOutput::Scores(shaped(tiles_on_device.take(released)?, tiled.classes, shape)?)
                        }
                    }
                }
            };
            let taken = match planes {
                RowOutput::Scores(_) => &mut report.blend_seconds,
                RowOutput::Labels(..) => &mut report.restore_seconds,
            };
            *taken += lap(&mut last);
            receive(planes, run)?;
            report.restore_seconds += lap(&mut last);
        }
    }
    if let RowRunner::Host(host) = &runner {
        report.network_seconds += host.pipeline.network_seconds;
        report.blend_seconds += host.pipeline.around_seconds;
    }
    drop(runner);
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

/// What a tiled run has on a device.
struct Room<'a> {
    memory: Memory,
    engines: Vec<&'a dyn DeviceEngine>,
    counted: OnDevice,
}

/// Room for a tiled run on the device, or none where the host cuts and blends. When the device has too little, first
/// tiles run one at a time, then the sums stay on the host.
fn descend<'a, 'p>(
    plan: &'p Plan,
    mut tiled: TiledRun<'a>,
    report: &mut RunReport,
) -> Result<(Option<Room<'p>>, TiledRun<'a>)> {
    report.memory_step = report.memory_step.max(plan.memory_step());
    loop {
        let reason = match room(plan, &tiled) {
            Ok(room) => return Ok((room, tiled)),
            Err(lost @ Error::DeviceLost { .. }) => return Err(lost),
            Err(reason) => reason,
        };
        if tiled.batch == 1 || !plan.one_tile_at_a_time()? {
            log::write(Level::Warning, || format!("the host cuts and blends tiles: {reason}"));
            report.memory_step = MemoryStep::HostBlends;
            return Ok((None, tiled));
        }
        log::write(Level::Warning, || format!("tiles run one at a time: {reason}"));
        report.memory_step = report.memory_step.max(MemoryStep::OneTile);
        tiled.batch = 1;
    }
}

/// Memory of the device for a tiled run, `None` where that is the host's work, or why there is none.
fn room<'p>(plan: &'p Plan, tiled: &TiledRun) -> Result<Option<Room<'p>>> {
    let Some(backend) = &plan.backend else { return Ok(None) };
    let engines = plan.folds.iter().map(|fold| fold.engine().ok().and_then(|engine| engine.device()));
    let Some(engines) = engines.collect::<Option<Vec<_>>>() else { return Ok(None) };
    let Some(first) = engines.first() else { return Ok(None) };
    let bytes = tiled.sizes().bytes();
    let taken = plan.device_bytes() + plan.runs.device_bytes();
    first.room(bytes, taken)?;
    let counted = plan.runs.on_device(bytes);
    let memory = Memory::new(backend, tiled, first.may_overflow())?;
    Ok(Some(Room { memory, engines, counted }))
}

/// Where tiles are cut and blended.
enum RowRunner<'a, S> {
    Host(Box<HostTiles<'a, S>>),
    Device(Box<DeviceTiles<'a>>, #[expect(dead_code, reason = "counts as long as it lives")] OnDevice),
}

/// A row of tiles through all folds, in the device's memory.
fn run_on_device(
    tiles_on_device: &mut DeviceTiles,
    row: &TileRow,
    tiled: &TiledRun,
    checkpoint: &mut dyn FnMut(usize) -> Result<()>,
    blended: &mut usize,
) -> Result<()> {
    tiles_on_device.enter(row)?;
    for fold in 0..tiled.folds {
        for starts in row.tiles.chunks(tiled.batch) {
            checkpoint(*blended)?;
            tiles_on_device.tiles(fold, starts)?;
            *blended += starts.len();
        }
    }
    Ok(())
}

/// Tiles that the host cuts and blends.
struct HostTiles<'a, S> {
    engines: Vec<&'a dyn Engine>,
    workspace: &'a mut Workspace,
    tiled: TiledRun<'a>,
    pipeline: Pipeline,
    /// Of each fold.
    sums: Vec<Blend<S>>,
}

impl<'a, S: Score> HostTiles<'a, S> {
    fn new(
        plan: &Plan,
        engines: &[&'a Arc<dyn Engine>],
        workspace: &'a mut Workspace,
        tiled: TiledRun<'a>,
    ) -> Result<Self> {
        let tile = tiled.tiles.patch().iter().product::<usize>() * tiled.batch;
        let (input, scores) = (tiled.image.dim().0 * tile, tiled.classes * tile);
        let mirrored = Mirrored::new(tiled.tiles.patch(), &plan.mirror, scores)?;
        let overlapped = engines.iter().any(|engine| engine.info().runs_elsewhere);
        let blend = |_| Blend::new(tiled.classes, tiled.tiles, &plan.window, plan.threads);
        Ok(HostTiles {
            pipeline: Pipeline::new(mirrored, input, scores, overlapped)?,
            sums: (0..tiled.folds).map(blend).collect::<Result<_>>()?,
            engines: engines.iter().map(|engine| &***engine).collect(),
            workspace,
            tiled,
        })
    }

    /// A row of tiles through all folds.
    fn run(
        &mut self,
        row: &TileRow,
        checkpoint: &mut dyn FnMut(usize) -> Result<()>,
        blended: &mut usize,
    ) -> Result<()> {
        let TiledRun { image, tiles, fill, batch, .. } = self.tiled;
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
                for (&start, scores) in tiles.iter().zip(scores.chunks_exact(self.tiled.classes * patch)) {
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
