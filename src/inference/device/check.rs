//! Whether a backend's kernels give the bytes that the host's code gives: asked of every GPU before it is used, and of
//! the kernels compiled as C++ by the tests.

use std::sync::Arc;

use half::f16;
use ndarray::{Array3, Array4, ArrayView3};

use super::backend::{Backend, failure};
use super::device_tiles::DeviceTiles;
use super::memory::Memory;
use super::tiled_run::TiledRun;
use crate::engine::{DeviceEngine, DeviceMemory, Workspace};
use crate::error::Result;
use crate::nifti::Reader;
use crate::preprocess::{GridChange, Trace};
use crate::progress::Run;
use crate::recipe::{
    Decision, Fill, ImportanceMap, Recipe, Region, Resample, Resampler, RestoreMode, ScorePrecision, Spline,
    Step, TilePlacement, Tiling,
};
use crate::restore::{Part, Restored, Restorer, activate};
use crate::tiling::{Blend, Mirrored, Score, TileGrid, average, cut};
use crate::volume::{AxisMap, Geometry};

/// One image and what is done with it.
pub(super) struct Case<'a> {
    pub image: &'a Array4<f32>,
    pub tiles: &'a TileGrid,
    pub window: ArrayView3<'a, f32>,
    pub fill: Fill,
    pub mirror: &'a [usize],
    pub folds: usize,
    pub batch: usize,
    pub recipe: &'a Recipe,
    /// Planes, rows and columns of the labels.
    pub to: [usize; 3],
}

/// A small image with odd sizes, padded along one axis and mirrored along another, whose labels are on a finer grid.
pub(super) fn agrees_with_the_host(backend: &Arc<dyn Backend>) -> Result<()> {
    let image = Array4::from_shape_fn((2, 7, 5, 3), |(c, z, y, x)| {
        ((c * 105 + z * 15 + y * 3 + x) * 37 % 101) as f32 * 0.173 - 8.0
    });
    let tiles = TileGrid::new([7, 5, 3], [4, 3, 4], 0.5)?;
    let window = Array3::from_shape_fn(tiles.patch(), |(z, y, x)| {
        f16::from_f32(0.1 + (z * 5 + y * 3 + x) as f32 * 0.07).to_f32()
    });
    let regions = [2, 0].map(|class| Region { class, label: 7 + class as u16 }).to_vec();
    let decisions = [
        (Decision::Highest, RestoreMode::Scores),
        (Decision::Regions { regions, threshold: 0.5, at_half: false }, RestoreMode::Probabilities),
    ];
    for (decision, back) in decisions {
        let recipe = recipe(tiles.patch(), 1, decision, back)?;
        let case = Case {
            image: &image,
            tiles: &tiles,
            window: window.view(),
            fill: Fill::Constant(0.25),
            mirror: &[2],
            folds: 2,
            batch: 2,
            recipe: &recipe,
            to: [11, 8, 6],
        };
        if !(compare::<f16>(backend, &case)? && compare::<f32>(backend, &case)?) {
            return Err(failure("its kernels give other numbers than the host"));
        }
    }
    Ok(())
}

/// Scores that are resampled by splines of `order` before they are decided.
pub(super) fn recipe(
    patch: [usize; 3],
    order: u8,
    decision: Decision,
    restore: RestoreMode,
) -> Result<Recipe> {
    let rule = Resampler::Spline(Spline::new(order, 0, Some(false))?);
    let resample = Resample { spacing: [Some(1.0); 3], image: rule, scores: rule, labels: rule };
    Ok(Recipe {
        reader: Reader::Itk,
        steps: vec![Step::Resample(resample)],
        tiling: Tiling {
            patch,
            slices: false,
            placement: TilePlacement::Even(0.5),
            importance: ImportanceMap::Constant,
            fill: Fill::Constant(0.0),
            score_precision: ScorePrecision::Half,
            mirror: Vec::new(),
        },
        restore,
        decision,
        cleanup: Vec::new(),
        postprocess: Vec::new(),
        prompting: None,
    })
}

/// Whether both blend the same planes and decide the same labels; the network's stand-in has one class more than the
/// image has channels.
pub(super) fn compare<S: Score>(backend: &Arc<dyn Backend>, case: &Case) -> Result<bool> {
    let expected = on_host::<S>(case)?;
    let flips = Mirrored::flips(case.mirror);
    let classes = case.image.dim().0 + 1;
    let patch = case.tiles.patch().iter().product::<usize>();
    let sizes = [case.batch * case.image.dim().0 * patch, case.batch * classes * patch];
    let engine = |fold| StandIn { backend: backend.clone(), fold, batch: case.batch, sizes };
    let engines: Vec<StandIn> = (0..case.folds).map(engine).collect();
    let engines: Vec<&dyn DeviceEngine> = engines.iter().map(|engine| engine as &dyn DeviceEngine).collect();
    let restorer = restorer::<S>(case, classes)?;
    let labelling = restorer.labelling(case.recipe.restore == RestoreMode::Probabilities)?;
    // Once for scores, and once for labels.
    for labelling in [None, Some(labelling.as_ref().ok_or_else(|| failure("labels that need all scores"))?)] {
        let tiled = TiledRun {
            image: case.image,
            tiles: case.tiles,
            window: case.window,
            fill: case.fill,
            mirror: &flips,
            classes,
            folds: case.folds,
            batch: case.batch,
            half: S::HALF,
            labelling,
        };
        let mut workspace = Workspace::default();
        let memory = Memory::new(backend, &tiled, true)?;
        let mut tiles_on_device = DeviceTiles::new(memory, engines.clone(), &mut workspace, tiled);
        let (mut labels, mut near_ties) = (Vec::new(), 0);
        for (row, expected) in case.tiles.rows().zip(&expected.planes) {
            let row = row?;
            tiles_on_device.enter(&row)?;
            for fold in 0..case.folds {
                for starts in row.tiles.chunks(case.batch) {
                    tiles_on_device.tiles(fold, starts)?;
                }
            }
            match labelling {
                None => {
                    let found = scores::<S>(&tiles_on_device.take(row.finished)?);
                    if !expected.iter().eq(&found) {
                        return Ok(false);
                    }
                }
                Some(labelling) => {
                    let found = tiles_on_device.labels(row.finished, labelling, &|| Ok(()))?;
                    labels.extend(found.0);
                    near_ties += found.1;
                }
            }
        }
        let restored = &expected.restored;
        if labelling.is_some() && !(restored.labels.iter().eq(&labels) && restored.near_ties == near_ties) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What the host gives: finished planes row by row, and the labels.
struct Expected<S> {
    planes: Vec<Array4<S>>,
    restored: Restored,
}

fn restorer<'a, S: Score>(case: &Case<'a>, classes: usize) -> Result<Restorer<'a, S>> {
    let trace = Trace::new(AxisMap::identity(), &Geometry::with_shape(case.to));
    let trace = Trace { changes: vec![GridChange::Resampled(case.to)], ..trace };
    let part = Part::whole(case.recipe, &trace, case.tiles.image());
    Restorer::new(case.recipe, &trace, classes, case.tiles.image(), &part, Vec::new(), 1)
}

fn on_host<S: Score>(case: &Case) -> Result<Expected<S>> {
    let (channels, classes) = (case.image.dim().0, case.image.dim().0 + 1);
    let patch = case.tiles.patch().iter().product::<usize>();
    let window = Arc::new(case.window.to_owned());
    let blend = |_| Blend::new(classes, case.tiles, &window, 1);
    let mut sums = (0..case.folds).map(blend).collect::<Result<Vec<Blend<S>>>>()?;
    let mut mirrored = Mirrored::new(case.tiles.patch(), case.mirror, classes * patch)?;
    let mut input = vec![0.0; channels * patch];
    let mut restorer = restorer::<S>(case, classes)?;
    let mut all = Vec::new();
    for row in case.tiles.rows() {
        let row = row?;
        for (fold, sums) in sums.iter_mut().enumerate() {
            for &start in &row.tiles {
                cut(case.image.view(), case.tiles, start, case.fill, &mut input);
                let scores = mirrored.run(&mut input, |input, output| {
                    stand_in(fold, input, output);
                    Ok(())
                });
                sums.add(start, scores?)?;
            }
        }
        let mut planes = average(&mut sums, row.finished)?;
        all.push(planes.clone());
        if case.recipe.restore == RestoreMode::Probabilities {
            activate(&mut planes, &case.recipe.decision, 1)?;
        }
        restorer.push(planes, &[], &mut |_, _, _| {}, &Run::default())?;
    }
    Ok(Expected { planes: all, restored: restorer.finish()? })
}

/// A network's stand-in, which computes on the host whatever the backend is.
struct StandIn {
    backend: Arc<dyn Backend>,
    fold: usize,
    batch: usize,
    /// Numbers of the input and the output.
    sizes: [usize; 2],
}

/// The scores of one tile.
fn stand_in(fold: usize, input: &[f32], output: &mut [f32]) {
    let length = output.len() as f32;
    for (at, out) in output.iter_mut().enumerate() {
        *out = input[at % input.len()] * (1.0 + at as f32 / length) - 0.3 - fold as f32 * 0.1;
    }
}

impl DeviceEngine for StandIn {
    fn memory(&self) -> DeviceMemory {
        DeviceMemory::Cuda(0)
    }

    fn room(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    fn may_overflow(&self) -> bool {
        true
    }

    fn run_at(&self, _: &mut Workspace, _tiles: usize, from: u64, to: u64, single: bool) -> Result<()> {
        let mut bytes = vec![0; self.sizes[0] * size_of::<f32>()];
        self.backend.download(from, &mut bytes)?;
        let input: Vec<f32> = bytes.as_chunks().0.iter().map(|&four| f32::from_ne_bytes(four)).collect();
        let mut output = vec![0.0; self.sizes[1]];
        let tiles = input.chunks_exact(input.len() / self.batch);
        let scores = output.chunks_exact_mut(self.sizes[1] / self.batch);
        tiles.zip(scores).for_each(|(input, output)| stand_in(self.fold, input, output));
        // An overflow that is noticed is run again and leaves no trace.
        if !single && input[0] > 0.0 {
            output[0] = f32::INFINITY;
        }
        let bytes: Vec<u8> = output.iter().flat_map(|value| value.to_ne_bytes()).collect();
        self.backend.upload(to, &bytes)
    }
}

/// Scores from the bytes that a device gave.
pub(in crate::inference) fn scores<S: Score>(bytes: &[u8]) -> Vec<S> {
    match S::HALF {
        true => {
            bytes.as_chunks().0.iter().map(|&two| S::from_f32(f16::from_ne_bytes(two).to_f32())).collect()
        }
        false => bytes.as_chunks().0.iter().map(|&four| S::from_f32(f32::from_ne_bytes(four))).collect(),
    }
}
