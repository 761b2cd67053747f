//! A model made ready for a device: what will run, with which settings, and what it will need, all known
//! before a volume comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use ndarray::Array3;
use serde_json::json;

use super::blending::weights;
use super::device::{Machine, machine_of};
use super::network::Fold;
use super::run::segment;
use super::{MemoryStep, PlanOptions, RunReport, Runs, Turn, inspect, memory};
use crate::engine::{Device, DispatchInfo, Engine, EngineRequest, Precision, Workspace};
use crate::error::{Error, Result};
use crate::floating_point::Ours;
use crate::labels::LabelBuffer;
use crate::log::{self, Level};
use crate::model::Model;
use crate::network::Network;
use crate::parallel::{self, Entered, Executor};
use crate::progress::{Run, Stage};
use crate::recipe::{IntensityRange, Recipe, TilePlacement};
use crate::restore::MapBuffer;
use crate::tiling::TileGrid;
use crate::volume::{Region, Volume};

/// A model on a device. It never changes: any number of threads may use one, and up to [`PlanOptions::concurrent_runs`]
/// segment at the same time. A clone is the same plan.
#[derive(Clone)]
pub struct Plan {
    pub(crate) recipe: Arc<Recipe>,
    pub(super) folds: Vec<Fold>,
    pub(crate) previous: Option<Box<Plan>>,
    /// The other members of an ensemble.
    pub(crate) others: Vec<Plan>,
    pub(crate) window: Arc<Array3<f32>>,
    pub(crate) threads: usize,
    pub(crate) placement: TilePlacement,
    pub(crate) mirror: Vec<usize>,
    /// Channels of the network's image: the volume's, and those of a previous stage.
    pub(crate) inputs: usize,
    pub(crate) classes: usize,
    pub(crate) channels: Vec<String>,
    pub(crate) largest_label: u32,
    pub(crate) postprocess: bool,
    pub(super) device: Device,
    /// What works in the device's memory around the networks; `None` where the host does, and while the networks sleep.
    pub(super) machine: Option<Arc<dyn Machine>>,
    /// Whether there is such a machine.
    pub(super) on_device: bool,
    /// Why the device that was asked for doesn't run the network.
    fallback: Option<String>,
    pub(super) precision: Precision,
    pub(super) memory_budget: Option<u64>,
    /// Bytes of the device's memory that it may need in all.
    pub(super) device_budget: Option<u64>,
    pub(super) weight_bytes: u64,
    executor: Option<Arc<dyn Executor>>,
    pub(crate) runs: Runs,
}

/// The networks of a model, its previous stage and its fellow members.
fn networks(model: &Model) -> u64 {
    let others = model.previous.as_deref().into_iter().chain(model.others());
    model.networks.len() as u64 + others.map(networks).sum::<u64>()
}

impl Plan {
    /// Compiles the networks of a model for a device.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for settings that make no sense, 3xx when the device or its runtime can't be used,
    /// [`Error::Cancelled`], [`Error::MemoryBudget`], before anything large is made, when the budget is too small for
    /// any run, [`Error::OutOfMemory`], and what is wrong with the model's postprocessing when it is asked for.
    pub fn new(model: &Model, options: &PlanOptions) -> Result<Self> {
        let _ours = Ours::enter();
        let threads = match options.threads {
            0 => crate::platform::processors(),
            1..=1024 => options.threads,
            other => return Err(Error::argument("options.threads", other, "0 to 1024")),
        };
        memory::check_plan(model, options, threads)?;
        let _threads = parallel::enter(options.executor.as_ref(), threads);
        options.watch.expect(networks(model));
        let plan = Self::make(model, options, threads)?;
        options.watch.finish(Stage::Compile)?;
        Ok(plan)
    }

    /// As [`Plan::new`], for what was held against the memory before.
    fn make(model: &Model, options: &PlanOptions, threads: usize) -> Result<Self> {
        let (tile, device) =
            (model.recipe.tiling.network_tile(), options.device.resolve_for(&model.networks));
        let cancel = options.cancel.clone();
        let engines_on = |device: Device, precision: Precision| -> Result<Vec<_>> {
            let request =
                EngineRequest::new(device, tile, precision, threads, &options.device_options, &cancel);
            let (mut engines, mut taken) = (Vec::with_capacity(model.networks.len()), 0);
            for network in &model.networks {
                if cancel.requested() {
                    return Err(Error::Cancelled);
                }
                let engine = request.engine(network, taken)?;
                taken += engine.info().device_bytes;
                engines.push(engine);
                options.watch.advance(Stage::Compile, 1)?;
            }
            Ok(engines)
        };
        let precision = match options.precision {
            Precision::Auto => device.precision_for(&model.networks),
            chosen => chosen,
        };
        let gpu = matches!(device, Device::Provider(..) | Device::Gpu(_));
        let resolved = PlanOptions { device, ..options.clone() };
        match engines_on(device, precision) {
            Err(error) if gpu && options.device_options.fallback && !matches!(error, Error::Cancelled) => {
                log::write(Level::Warning, || format!("the CPU runs the network: {error}"));
                let device = Device::Cpu;
                let on_cpu = PlanOptions { device, ..options.clone() };
                memory::check_plan(model, &on_cpu, threads)?;
                let engines = engines_on(device, Precision::F32)?;
                let mut plan = Self::with_engines(model, &on_cpu, engines, Precision::F32, threads)?;
                plan.fallback = Some(error.to_string());
                Ok(plan)
            }
            engines => Self::with_engines(model, &resolved, engines?, precision, threads),
        }
    }

    /// As [`Plan::new`], with engines that exist.
    pub(crate) fn with_engines(
        model: &Model,
        options: &PlanOptions,
        engines: Vec<Arc<dyn Engine>>,
        precision: Precision,
        threads: usize,
    ) -> Result<Self> {
        let tiling = &model.recipe.tiling;
        let placement = match options.step {
            None => tiling.placement,
            Some(step) if step > 0.0 && step <= 1.0 => tiling.placement.with_step(step),
            Some(step) => return Err(Error::argument("options.step", step, "over 0 and up to 1")),
        };
        if options.postprocess {
            model.postprocessing()?;
        }
        // All folds' tiles share their arrays.
        let batches: Vec<usize> = engines.iter().map(|engine| engine.info().batch).collect();
        if batches.iter().any(|batch| *batch != batches[0]) {
            engines.iter().try_for_each(|engine| engine.one_tile_at_a_time().map(drop))?;
        }
        // A cascade's second network was trained with labels as the first one gives them.
        let mut first_stage = PlanOptions { postprocess: false, ..options.clone() };
        let own = engines.iter().map(|engine| engine.info().device_bytes).sum::<u64>();
        first_stage.device_options.memory_budget = less(options.device_options.memory_budget, own);
        let of_network = |network: &Arc<Network>| memory::weight_bytes(network, precision);
        let mut stage = |model: &Model| -> Result<Plan> {
            let plan = Plan::make(model, &first_stage, threads)?;
            let budget = &mut first_stage.device_options.memory_budget;
            *budget = less(*budget, plan.device_bytes());
            Ok(plan)
        };
        let previous = model.previous.as_ref().map(|model| stage(model).map(Box::new)).transpose()?;
        let others: Vec<Plan> = model.others().iter().map(stage).collect::<Result<_>>()?;
        let shared_bytes =
            previous.as_deref().into_iter().chain(&others).map(|plan| plan.weight_bytes).sum::<u64>();
        let machine = engines.first().and_then(|engine| machine_of(&**engine));
        let plan = Plan {
            recipe: model.recipe.clone(),
            on_device: machine.is_some(),
            machine,
            folds: engines.into_iter().map(Fold::Awake).collect(),
            previous,
            others,
            window: Arc::new(weights(tiling, options.blending)?),
            threads,
            placement,
            mirror: if options.mirroring { tiling.mirror.clone() } else { Vec::new() },
            inputs: model.networks[0].input_channels(),
            classes: model.networks[0].output_channels(),
            channels: model.channels().to_vec(),
            largest_label: model.labels().iter().map(|label| label.value).max().unwrap_or(0),
            postprocess: options.postprocess && !model.recipe.postprocess.is_empty(),
            device: options.device,
            fallback: None,
            precision,
            memory_budget: options.memory_budget,
            device_budget: options.device_options.memory_budget,
            weight_bytes: shared_bytes + model.networks.iter().map(of_network).sum::<u64>(),
            executor: options.executor.clone(),
            runs: Runs::new(options.concurrent_runs, options.when_busy)?,
        };
        Ok(plan)
    }

    /// Segments a volume into labels on its own grid, and fills the maps that are asked for. On any error the
    /// labels are untouched, maps are untouched or all zero, and the plan can be used again.
    ///
    /// # Errors
    /// [`Error::Busy`] where as many runs are under way as may be, unless a run shall wait; 1xx when volume or labels
    /// don't suit the model ([`Error::VoxelsNotFinite`] unless the run has [`Run::with_non_finite`]),
    /// [`Error::MemoryBudget`], [`Error::Cancelled`], [`Error::NotFinite`], or the engine's failure.
    pub fn segment(
        &self,
        volume: &Volume,
        labels: &mut LabelBuffer,
        maps: &mut [MapBuffer],
        run: &mut Run,
    ) -> Result<RunReport> {
        self.segment_in(self.runs.begin(run)?, volume, labels, maps, run)
    }

    /// As [`Plan::segment`], of a run that has its place.
    pub(crate) fn segment_in(
        &self,
        mut turn: Turn,
        volume: &Volume,
        labels: &mut LabelBuffer,
        maps: &mut [MapBuffer],
        run: &mut Run,
    ) -> Result<RunReport> {
        let _ours = Ours::enter();
        let _threads = self.enter_threads();
        let started = Instant::now();
        let workspace = &mut turn.workspace;
        let region = run.region().clone();
        self.check(volume, &region, labels, maps, workspace)?;
        let inspected = inspect(volume, &self.channels, &self.expected_intensities(), self.threads, run)?;
        let looked = started.elapsed().as_secs_f64();
        let mut report = self.segment_checked(
            &inspected.volume,
            (&region, run.wants_labels()),
            labels,
            maps,
            workspace,
            run,
        )?;
        report.preprocess_seconds += looked;
        report.total_seconds += looked;
        report.regions = region.boxes;
        Ok(inspected.told_in(report))
    }

    /// The threads of a run: the host's, or the library's as long as it lives.
    pub(crate) fn enter_threads(&self) -> Entered {
        parallel::enter(self.executor.as_ref(), self.threads)
    }

    /// The intensities that each channel should have, where the model tells.
    pub(crate) fn expected_intensities(&self) -> Vec<Option<IntensityRange>> {
        self.recipe.expected_intensities(self.channels.len())
    }

    /// Refuses what can't be segmented, before anything is computed.
    fn check(
        &self,
        volume: &Volume,
        region: &Region,
        labels: &LabelBuffer,
        maps: &[MapBuffer],
        workspace: &Workspace,
    ) -> Result<()> {
        if self.recipe.prompting.is_some() {
            return Err(Error::unsupported(
                "a volume without prompts; this model answers to those of a session",
            ));
        }
        if volume.channels() != self.channels.len() {
            let count = |n: usize| if n == 1 { "1 channel".into() } else { format!("{n} channels") };
            let expected = format!("{} ({})", count(self.channels.len()), self.channels.join(", "));
            return Err(Error::VolumeMismatch { expected, found: count(volume.channels()) });
        }
        labels.check(volume.geometry(), self.largest_label)?;
        for map in maps {
            map.check(volume.geometry(), &self.recipe.decision, self.classes)?;
        }
        let slabs = self.map_bytes(volume.geometry(), maps.len());
        let needed = self.report_for(volume.geometry(), region)?.host_peak_bytes + slabs;
        memory::check_budget(self.memory_budget, needed, self.held_bytes() + workspace.bytes())
    }

    /// As [`Plan::segment`], of a volume that was looked at before, in a run of another plan.
    pub(crate) fn segment_inspected(
        &self,
        volume: &Volume,
        region: &Region,
        labels: &mut LabelBuffer,
        maps: &mut [MapBuffer],
        workspace: &mut Workspace,
        run: &mut Run,
    ) -> Result<RunReport> {
        self.check(volume, region, labels, maps, workspace)?;
        self.segment_checked(volume, (region, false), labels, maps, workspace, run)
    }

    fn segment_checked(
        &self,
        volume: &Volume,
        asked: (&Region, bool),
        labels: &mut LabelBuffer,
        maps: &mut [MapBuffer],
        workspace: &mut Workspace,
        run: &mut Run,
    ) -> Result<RunReport> {
        let result = segment(self, volume, asked, labels, maps, workspace, run);
        if result.is_err() {
            maps.iter_mut().for_each(MapBuffer::clear);
        }
        result
    }

    /// The memory of the device that it runs on, for a caller's buffer there.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] about `argument` when the device isn't NVIDIA's.
    pub(crate) fn machine(&self, argument: &'static str) -> Result<Arc<dyn Machine>> {
        // Our own engine's memory has no addresses that a caller could have.
        let theirs = self.machine.clone().filter(|_| !matches!(self.device, Device::Gpu(_)));
        theirs.ok_or_else(|| {
            let found = format!("memory of a CUDA device, for a plan on {}", self.device);
            Error::argument(argument, found, "memory of the host, or a plan on cuda or tensorrt")
        })
    }

    /// Stages and members that run before it.
    pub(super) fn earlier(&self) -> impl Iterator<Item = &Plan> {
        self.previous.as_deref().into_iter().chain(&self.others)
    }

    /// The same plan without networks and their weights: it tells what this one does, and can't run.
    pub(crate) fn asleep(&self) -> Plan {
        let mut plan = self.clone();
        plan.machine = None;
        plan.folds.iter_mut().for_each(Fold::sleep);
        plan.previous = self.previous.as_deref().map(|stage| Box::new(stage.asleep()));
        plan.others = self.others.iter().map(Plan::asleep).collect();
        plan
    }

    /// Gives memory back that is only kept to make the next run faster: the CPU engine's activations, ONNX Runtime's
    /// arenas, a second network in single precision. On other devices it takes the time of one tile for each network.
    /// Runs that are under way keep what they have.
    ///
    /// # Errors
    /// [`Error::Runtime`] with the engine's reason; the plan can still be used.
    pub fn trim(&self) -> Result<()> {
        self.runs.trim();
        for fold in &self.folds {
            if let Fold::Awake(engine) = fold {
                engine.trim()?;
            }
        }
        self.earlier().try_for_each(Plan::trim)?;
        crate::platform::return_freed_memory();
        Ok(())
    }

    /// The tiles of an image of the network's shape.
    pub(crate) fn tiles(&self, shape: [usize; 3]) -> Result<TileGrid> {
        let patch = self.recipe.tiling.patch;
        match self.placement {
            TilePlacement::Even(step) => TileGrid::new(shape, patch, step),
            TilePlacement::Overlapping(overlap) => TileGrid::overlapping(shape, patch, overlap),
        }
    }

    /// Makes the networks compute one tile at a time; says whether they do.
    pub(super) fn one_tile_at_a_time(&self) -> Result<bool> {
        for fold in &self.folds {
            if !fold.engine()?.one_tile_at_a_time()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What the device's memory wasn't enough for so far.
    pub(super) fn memory_step(&self) -> MemoryStep {
        match self.folds.iter().any(|fold| fold.info().narrowed) {
            true => MemoryStep::OneTile,
            false => MemoryStep::None,
        }
    }

    /// Tiles that the networks compute at once.
    pub(super) fn tile_batch(&self) -> usize {
        self.folds.iter().map(|fold| fold.info().batch).min().unwrap_or(1)
    }

    /// What runs where, as JSON.
    pub fn describe(&self) -> serde_json::Value {
        let mut left: BTreeMap<String, usize> = BTreeMap::new();
        let infos: Vec<_> = self.folds.iter().map(Fold::info).collect();
        for (operator, count) in infos.iter().flat_map(|info| &info.left_to_cpu) {
            *left.entry(operator.clone()).or_default() += count;
        }
        let dispatches: Vec<_> =
            infos.first().into_iter().flat_map(|info| info.dispatches.iter().map(dispatch)).collect();
        json!({
            "device": self.device.name(),
            "fallback": self.fallback,
            "engine": infos.first().map(|info| &info.name),
            "operators_on_cpu": left,
            "networks": self.folds.len() + self.others.iter().map(|plan| plan.folds.len()).sum::<usize>(),
            "precision": self.precision.name(),
            "threads": self.threads,
            "step": self.placement.step(),
            "mirror_axes": self.mirror,
            "postprocess": self.postprocess,
            "weight_bytes": self.weight_bytes,
            "dispatches": dispatches,
        })
    }
}

/// A run of a kernel, as [`Plan::describe`] tells of it.
fn dispatch(info: &DispatchInfo) -> serde_json::Value {
    json!({
        "kernel": info.kernel,
        "groups": info.groups,
        "multiply_adds": info.multiply_adds,
        "bytes_read": info.read,
        "bytes_written": info.written,
    })
}

/// What is left of a budget.
fn less(budget: Option<u64>, taken: u64) -> Option<u64> {
    budget.map(|budget| budget.saturating_sub(taken))
}
