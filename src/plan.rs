//! A model made ready for a device: what will run, with which settings, and what it will need, all known
//! before a volume comes.

mod memory;

pub(crate) use memory::check_budget;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use half::f16;
use ndarray::Array3;
use serde_json::json;

use crate::buffer;
use crate::engine::{Asleep, Device, DeviceOptions, Engine, Extent, Machine, Order};
use crate::error::{Error, Result};
use crate::floating_point::Ours;
use crate::labels::LabelBuffer;
use crate::log::{self, Level};
use crate::model::Model;
use crate::network::Network;
use crate::progress::{Cancel, Run};
use crate::recipe::{IntensityRange, Placement, Recipe, Sums, Tiling, Weights};
use crate::restore::MapBuffer;
use crate::segment::{MemoryStep, RunReport, inspect, segment};
use crate::tiling::{TileGrid, sliding, window};
use crate::volume::{Geometry, Volume};

/// More voxels than any machine's memory holds scores of; counting bytes stays exact below it.
const MOST_VOXELS: f64 = (1_u64 << 40) as f64;

/// What the first run of an engine touches beside its tensors: code and the stacks of threads, as measured.
pub(crate) const ENGINE_BYTES: u64 = 12 << 20;

/// The type that a network computes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// What suits the device: single precision on a CPU and for ONNX files, else half.
    #[default]
    Auto,
    /// IEEE single precision, as the reference implementations compute on a CPU.
    F32,
    /// IEEE half precision.
    F16,
}

/// How overlapping tiles are weighed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blending {
    /// As the model has it.
    #[default]
    Model,
    /// Most at their centre.
    Gaussian,
    /// The same everywhere.
    Constant,
}

/// How to run a model.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// What runs the network.
    pub device: Device,
    /// How the device is used, when it isn't the CPU.
    pub device_options: DeviceOptions,
    /// The type that it computes in.
    pub precision: Precision,
    /// Threads that a run may use, the calling one included; 0: all processors of this process.
    pub threads: usize,
    /// Distance between tiles as a share of the tile's size; `None`: the model's own.
    pub step: Option<f64>,
    /// Whether to mirror tiles along the axes that the model was trained with.
    pub mirroring: bool,
    /// How overlapping tiles are weighed.
    pub blending: Blending,
    /// Bytes that a run may need beside the caller's buffers; `None`: what the process may still take, which
    /// counts in any case.
    pub memory_budget: Option<u64>,
    /// Whether to apply the postprocessing that comes with the model; where none does, nothing happens.
    /// nnU-Net's own predictions are without it.
    pub postprocess: bool,
    /// Stops the compiling of networks, between two of them or, where ONNX Runtime lets it, within one.
    pub cancel: Cancel,
}

impl Default for PlanOptions {
    fn default() -> Self {
        PlanOptions {
            device: Device::default(),
            device_options: DeviceOptions::default(),
            precision: Precision::default(),
            threads: 0,
            step: None,
            mirroring: true,
            blending: Blending::default(),
            memory_budget: None,
            postprocess: false,
            cancel: Cancel::new(),
        }
    }
}

/// What a plan will do to a volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanReport {
    /// The device that runs the network: another than was asked for only with [`DeviceOptions::fallback`].
    pub device: Device,
    /// The precision, never `Auto`.
    pub precision: Precision,
    /// Threads.
    pub threads: usize,
    /// Size of the image that the network sees, in the order of the volume's axes. A margin of zeros that is
    /// cut off later makes it smaller.
    pub network_shape: [usize; 3],
    /// Tiles, those of all folds, stages and members included.
    pub tiles: usize,
    /// Times that the network runs: tiles times mirrorings.
    pub network_runs: usize,
    /// Bytes that a run needs at its peak, weights included, the caller's buffers not.
    pub host_peak_bytes: u64,
    /// As above in the device's own memory; 0 for a CPU.
    pub device_peak_bytes: u64,
    /// Tiles that the network computes at once.
    pub tile_batch: usize,
    /// Bytes of weights, all folds, stages and members together.
    pub weight_bytes: u64,
}

/// A model on a device. One segmentation at a time; many plans run at once.
pub struct Plan {
    pub(crate) recipe: Arc<Recipe>,
    pub(crate) engines: Vec<Box<dyn Engine>>,
    pub(crate) previous: Option<Box<Plan>>,
    /// The other members of an ensemble.
    pub(crate) others: Vec<Plan>,
    pub(crate) window: Arc<Array3<f32>>,
    pub(crate) threads: usize,
    pub(crate) placement: Placement,
    pub(crate) mirror: Vec<usize>,
    /// Channels of the network's image: the volume's, and those of a previous stage.
    pub(crate) inputs: usize,
    pub(crate) classes: usize,
    pub(crate) channels: Vec<String>,
    pub(crate) largest_label: u32,
    pub(crate) postprocess: bool,
    device: Device,
    /// Why the device that was asked for doesn't run the network.
    fallback: Option<String>,
    precision: Precision,
    memory_budget: Option<u64>,
    /// Bytes of the device's memory that it may need in all.
    device_budget: Option<u64>,
    weight_bytes: u64,
    /// What the device's memory wasn't enough for while the plan was made.
    pub(crate) memory_step: MemoryStep,
}

impl Plan {
    /// Compiles the networks of a model for a device.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for settings that make no sense, 3xx when the device or its runtime can't be
    /// used, [`Error::Cancelled`], [`Error::MemoryBudget`], before anything large is made, when the budget is too small for
    /// any run, [`Error::OutOfMemory`], and what is wrong with the model's postprocessing when it is asked for.
    pub fn new(model: &Model, options: &PlanOptions) -> Result<Self> {
        let _ours = Ours::enter();
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            1..=1024 => options.threads,
            other => return Err(Error::argument("options.threads", other, "0 to 1024")),
        };
        memory::check_plan(model, options, threads)?;
        Self::make(model, options, threads)
    }

    /// As [`Plan::new`], for what was held against the memory before.
    fn make(model: &Model, options: &PlanOptions, threads: usize) -> Result<Self> {
        let (tile, device) = (model.recipe.tiling.patch, options.device.resolve_for(&model.networks));
        let cancel = options.cancel.clone();
        let engines_on = |device: Device, precision: Precision| -> Result<Vec<_>> {
            let order = Order::new(device, tile, precision, threads, &options.device_options, &cancel);
            let (mut engines, mut taken) = (Vec::with_capacity(model.networks.len()), 0);
            for network in &model.networks {
                if cancel.requested() {
                    return Err(Error::Cancelled);
                }
                let engine = order.engine(network, taken)?;
                taken += engine.device_bytes();
                engines.push(engine);
            }
            Ok(engines)
        };
        let precision = match options.precision {
            Precision::Auto => device.precision_for(&model.networks),
            chosen => chosen,
        };
        let gpu = matches!(device, Device::Gpu(..) | Device::Vulkan(_));
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
        engines: Vec<Box<dyn Engine>>,
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
        let mut engines = engines;
        // All folds' tiles share their arrays.
        if engines.iter().any(|engine| engine.batch() != engines[0].batch()) {
            for engine in &mut engines {
                engine.one_tile_at_a_time()?;
            }
        }
        let narrowed = engines.iter().any(|engine| engine.narrowed());
        // A cascade's second network was trained with labels as the first one gives them.
        let mut first_stage = PlanOptions { postprocess: false, ..options.clone() };
        let own = engines.iter().map(|engine| engine.device_bytes()).sum::<u64>();
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
        let plan = Plan {
            recipe: model.recipe.clone(),
            engines,
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
            memory_step: if narrowed { MemoryStep::OneTile } else { MemoryStep::None },
            weight_bytes: shared_bytes + model.networks.iter().map(of_network).sum::<u64>(),
        };
        Ok(plan)
    }

    /// Segments a volume into labels on its own grid, and fills the maps that are asked for. On any error the
    /// labels are untouched, maps are untouched or all zero, and the plan can be used again.
    ///
    /// # Errors
    /// 1xx when volume or labels don't suit the model ([`Error::VoxelsNotFinite`] unless the run has
    /// [`Run::with_non_finite`]), [`Error::MemoryBudget`], [`Error::Cancelled`], [`Error::NotFinite`], or the engine's
    /// failure.
    pub fn segment(
        &mut self,
        volume: &Volume,
        labels: &mut LabelBuffer,
        maps: &mut [MapBuffer],
        run: &mut Run,
    ) -> Result<RunReport> {
        let _ours = Ours::enter();
        let started = Instant::now();
        self.check(volume, labels, maps)?;
        let inspected = inspect(volume, &self.channels, &self.expected_intensities(), self.threads, run)?;
        let looked = started.elapsed().as_secs_f64();
        let mut report = self.segment_checked(&inspected.volume, labels, maps, run)?;
        report.preprocess_seconds += looked;
        report.total_seconds += looked;
        Ok(inspected.told_in(report))
    }

    /// The intensities that each channel should have, where the model tells.
    pub(crate) fn expected_intensities(&self) -> Vec<Option<IntensityRange>> {
        self.recipe.expected_intensities(self.channels.len())
    }

    /// Refuses what can't be segmented, before anything is computed.
    fn check(&self, volume: &Volume, labels: &LabelBuffer, maps: &[MapBuffer]) -> Result<()> {
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
        let needed = self.report(volume.geometry())?.host_peak_bytes + slabs;
        check_budget(self.memory_budget, needed, self.held_bytes())
    }

    /// As [`Plan::segment`], of a volume that was looked at before.
    pub(crate) fn segment_inspected(
        &mut self,
        volume: &Volume,
        labels: &mut LabelBuffer,
        maps: &mut [MapBuffer],
        run: &mut Run,
    ) -> Result<RunReport> {
        let _ours = Ours::enter();
        self.check(volume, labels, maps)?;
        self.segment_checked(volume, labels, maps, run)
    }

    fn segment_checked(
        &mut self,
        volume: &Volume,
        labels: &mut LabelBuffer,
        maps: &mut [MapBuffer],
        run: &mut Run,
    ) -> Result<RunReport> {
        let result = segment(self, volume, labels, maps, run);
        if result.is_err() {
            maps.iter_mut().for_each(MapBuffer::clear);
        }
        result
    }

    /// Bytes of weights, all folds, stages and members together.
    pub(crate) fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }

    /// The memory of the device that it runs on, for a caller's buffer there.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] about `argument` when the device isn't NVIDIA's.
    pub(crate) fn machine(&self, argument: &'static str) -> Result<Arc<dyn Machine>> {
        let machine = self.engines.first().and_then(|engine| engine.machine());
        machine.ok_or_else(|| {
            let found = format!("memory of a CUDA device, for a plan on {}", self.device);
            Error::argument(argument, found, "memory of the host, or a plan on cuda or tensorrt")
        })
    }

    /// Forgets the networks with their weights. What the plan tells stays as it is; it can't run any more.
    pub(crate) fn sleep(&mut self) {
        let earlier = self.previous.as_deref_mut().into_iter().chain(&mut self.others);
        earlier.for_each(Plan::sleep);
        self.engines.iter_mut().for_each(|engine| *engine = Box::new(Asleep::of(&**engine)));
    }

    /// Gives memory back that is only kept to make the next run faster: the CPU engine's
    /// activations, ONNX Runtime's arenas, a second network in single precision. On other devices it takes the time of one
    /// tile for each network.
    ///
    /// # Errors
    /// [`Error::Runtime`] with the engine's reason; the plan can still be used.
    pub fn trim(&mut self) -> Result<()> {
        self.engines.iter_mut().try_for_each(|engine| engine.trim())?;
        self.previous.as_deref_mut().into_iter().chain(&mut self.others).try_for_each(Plan::trim)?;
        crate::platform::return_freed_memory();
        Ok(())
    }

    /// The tiles of an image of the network's shape.
    pub(crate) fn tiles(&self, shape: [usize; 3]) -> Result<TileGrid> {
        let patch = self.recipe.tiling.patch;
        match self.placement {
            Placement::Even(step) => TileGrid::new(shape, patch, step),
            Placement::Overlapping(overlap) => TileGrid::overlapping(shape, patch, overlap),
        }
    }

    /// What a segmentation of a volume on this grid will need.
    ///
    /// # Errors
    /// [`Error::Geometry`] or [`Error::VolumeMismatch`] for a grid that can't be segmented.
    pub fn report(&self, geometry: &Geometry) -> Result<PlanReport> {
        geometry.check()?;
        let map = self.recipe.axes(geometry);
        let shape = map.apply(geometry.shape);
        let network = self.recipe.network_shape(geometry)?;
        if network.contains(&0) {
            let (shape, spacing) = (geometry.shape, geometry.spacing);
            let reason =
                format!("{shape:?} voxels of {spacing:?} mm are less than one voxel for the network");
            return Err(Error::Geometry { reason });
        }
        if (self.postprocess || !self.recipe.cleanup.is_empty())
            && geometry.voxels() as u64 > u64::from(u32::MAX)
        {
            let reason = format!("{shape:?} voxels are more than 2^32, too many to find components in");
            return Err(Error::Geometry { reason });
        }
        let voxels = network.iter().fold(1.0, |product, &size| product * size as f64);
        if voxels > MOST_VOXELS {
            let reason = format!("spacing {:?} mm gives the network {voxels:.1e} voxels", geometry.spacing);
            return Err(Error::Geometry { reason });
        }
        // A previous stage and other members run first; of them labels, scores and the engines' memory stay.
        let (mut peak, mut kept, mut tiles, mut network_runs) = (0, 0, 0, 0);
        // What is around one stage's networks on the device goes before the next one's comes.
        let mut around = self.bytes_around(shape, network);
        for earlier in self.previous.as_deref().into_iter().chain(&self.others) {
            let report = earlier.report(geometry)?;
            let elsewhere = self.weight_bytes - earlier.weight_bytes;
            let rest = if self.others.is_empty() {
                2 * geometry.voxels() as u64
            } else {
                (2 * earlier.classes * report.network_shape.iter().product::<usize>()) as u64
            };
            kept += rest;
            peak = peak.max(report.host_peak_bytes + elsewhere + kept);
            kept += earlier.workspace_bytes();
            around = around.max(report.device_peak_bytes - earlier.device_bytes());
            tiles += report.tiles;
            network_runs += report.network_runs;
        }
        let own = self.tiles(network)?.len() * self.engines.len();
        Ok(PlanReport {
            device: self.device,
            precision: self.precision,
            threads: self.threads,
            network_shape: map.undo(network),
            tiles: tiles + own,
            network_runs: network_runs + (own << self.mirror.len()),
            host_peak_bytes: peak.max(kept + self.peak_bytes(shape, network)),
            device_peak_bytes: self.device_bytes() + around,
            tile_batch: self.tile_batch(),
            weight_bytes: self.weight_bytes,
        })
    }

    /// What the engines keep from tile to tile, those of earlier stages and members too.
    pub(crate) fn workspace_bytes(&self) -> u64 {
        let earlier = self.previous.as_deref().into_iter().chain(&self.others);
        let own = self.engines.iter().map(|engine| engine.workspace_bytes()).sum::<u64>();
        own + earlier.map(Plan::workspace_bytes).sum::<u64>()
    }

    /// Tiles that the networks compute at once.
    pub(crate) fn tile_batch(&self) -> usize {
        self.engines.iter().map(|engine| engine.batch()).min().unwrap_or(1)
    }

    /// Makes the networks compute one tile at a time; says whether they do.
    pub(crate) fn one_tile_at_a_time(&mut self) -> Result<bool> {
        for engine in &mut self.engines {
            if !engine.one_tile_at_a_time()? {
                return Ok(false);
            }
        }
        self.memory_step = self.memory_step.max(MemoryStep::OneTile);
        Ok(true)
    }

    /// What is done around the networks in the device's memory, where the budget allows that; labels may have either shape.
    fn bytes_around(&self, shape: [usize; 3], network: [usize; 3]) -> u64 {
        if !self.engines.first().is_some_and(|engine| engine.cuts_and_blends()) {
            return 0;
        }
        let extent = |labels: [usize; 3]| Extent {
            channels: self.inputs,
            classes: self.classes,
            image: network,
            patch: self.recipe.tiling.patch,
            folds: self.engines.len(),
            batch: self.tile_batch(),
            mirrored: !self.mirror.is_empty(),
            half: self.recipe.tiling.sums == Sums::Half,
            labels: Some(labels),
        };
        let needed = extent(shape).bytes().max(extent(network).bytes());
        let fits = self.device_budget.is_none_or(|budget| self.device_bytes() + needed <= budget);
        if fits { needed } else { 0 }
    }

    /// What the engines have before they run, those of earlier stages and members too.
    pub(crate) fn loaded_bytes(&self) -> u64 {
        let earlier = self.previous.as_deref().into_iter().chain(&self.others);
        let own = self.engines.iter().map(|engine| engine.loaded_bytes()).sum::<u64>();
        own + earlier.map(Plan::loaded_bytes).sum::<u64>()
    }

    /// What the engines need of the device's memory, those of earlier stages and members too.
    pub(crate) fn device_bytes(&self) -> u64 {
        let earlier = self.previous.as_deref().into_iter().chain(&self.others);
        let own = self.engines.iter().map(|engine| engine.device_bytes()).sum::<u64>();
        own + earlier.map(Plan::device_bytes).sum::<u64>()
    }

    /// What runs where, as JSON.
    pub fn describe(&self) -> serde_json::Value {
        let mut left: BTreeMap<&str, usize> = BTreeMap::new();
        for (operator, count) in self.engines.iter().flat_map(|engine| engine.left_to_cpu()) {
            *left.entry(operator).or_default() += count;
        }
        json!({
            "device": self.device.name(),
            "fallback": self.fallback,
            "engine": self.engines.first().map(|engine| engine.name()),
            "operators_on_cpu": left,
            "networks": self.engines.len() + self.others.iter().map(|plan| plan.engines.len()).sum::<usize>(),
            "precision": if self.precision == Precision::F16 { "f16" } else { "f32" },
            "threads": self.threads,
            "step": self.placement.step(),
            "mirror_axes": self.mirror,
            "postprocess": self.postprocess,
            "weight_bytes": self.weight_bytes,
        })
    }
}

/// What is left of a budget.
fn less(budget: Option<u64>, taken: u64) -> Option<u64> {
    budget.map(|budget| budget.saturating_sub(taken))
}

/// The weights of a tile's voxels.
fn weights(tiling: &Tiling, blending: Blending) -> Result<Array3<f32>> {
    let wanted = match (blending, tiling.weights) {
        (Blending::Model, model) => model,
        (Blending::Constant, _) => Weights::Constant,
        (Blending::Gaussian, Weights::Constant) if tiling.sums == Sums::Single => {
            Weights::MonaiGaussian([sliding::SIGMA_SCALE; 3])
        }
        (Blending::Gaussian, Weights::Constant) => Weights::Gaussian,
        (Blending::Gaussian, gaussian) => gaussian,
    };
    let half = |window: Array3<f16>| buffer::map("the weights of a tile's voxels", &window, f16::to_f32);
    match wanted {
        Weights::Gaussian if tiling.slices => half(window::gaussian2d([tiling.patch[1], tiling.patch[2]])?),
        Weights::Gaussian => half(window::gaussian(tiling.patch)?),
        Weights::Constant => buffer::array("the weights of a tile's voxels", tiling.patch, 1.0),
        Weights::MonaiGaussian(sigma_scale) => sliding::importance(tiling.patch, sigma_scale),
    }
}
