//! A network on a device: steps whose memory is placed, kernels compiled, and a run of all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::arena::{Arena, Parts};
use super::bind::{Addresses, Binding};
use super::fixed::Fixed;
use super::kernel::{Lanes, kernel};
use super::lower::{Lowered, OVERFLOWED, Target, lower};
use super::place::place;
use super::step::Step;
use super::vulkan::{Buffer, Command, Dispatch, Gpu, Kind, Pipeline, Stage, Submitter};
use super::work::{Work, work};
use crate::engine::DispatchInfo;
use crate::engine::lowering::BufferId;
use crate::engine::room::room;
use crate::error::Result;
use crate::network::Network;

/// Bytes that are brought to the device at a time while a network is loaded.
const LOAD: u64 = 16 << 20;

/// What a program may have of the device's memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget {
    /// Bytes that the plan has already.
    pub taken: u64,
    /// Bytes that it may have in all; `None`: what is free.
    pub most: Option<u64>,
}

/// Where the scores lie behind an image.
fn scores_at([image, _]: [u64; 2]) -> u64 {
    image.next_multiple_of(256)
}

/// A network ready to run.
pub(super) struct Program {
    gpu: Arc<Gpu>,
    target: Target,
    steps: Vec<Step>,
    /// Kernels of the steps; a finish has one for each of its tables.
    pipelines: Vec<Arc<Pipeline>>,
    /// Offsets of the buffers in the arena.
    places: Vec<u64>,
    fixed: Buffer,
    tables: u64,
    /// Tensors that lie in the fixed memory, and where.
    constants: BTreeMap<BufferId, u64>,
    /// The steps' sources, by addresses in the arena.
    wiring: Buffer,
    workspace: Arena,
    /// Bytes that the workspace has grown by for this program.
    growth: u64,
    /// Bytes of the image and of the scores.
    ends: [u64; 2],
    /// The dispatches, for these addresses.
    bound: Option<(Addresses, Vec<Dispatch>)>,
}

impl Program {
    /// Lowers a network, compiles its kernels and brings its weights to the device.
    ///
    /// # Errors
    /// [`MemoryBudget`](crate::error::Error::MemoryBudget), before anything is made, when the device's memory is too
    /// little; as [`lower`]; what the driver answers.
    pub(super) fn new(
        gpu: &Arc<Gpu>,
        network: &Network,
        tile: [usize; 3],
        target: Target,
        workspace: &Arena,
        budget: Budget,
        submitter: &mut Submitter,
    ) -> Result<Self> {
        let Lowered { steps, lives, mut fixed, tables, constants } = lower(network, tile, target)?;
        let (places, arena_bytes) = place(&lives);
        let wiring: usize = steps.iter().map(|step| step.reads().len()).sum();
        let voxels = tile.iter().product::<usize>() as u64;
        let ends = [network.input_channels(), network.output_channels()]
            .map(|channels| 4 * channels as u64 * voxels);
        let working = [arena_bytes, scores_at(ends) + ends[1]];
        let needed = fixed.bytes() + 16 * wiring as u64 + workspace.growth(working);
        room(needed, budget.taken, budget.most, gpu.free_memory())?;
        let pipelines = steps.iter().map(|step| pipeline(gpu, target, step)).collect::<Result<Vec<_>>>()?;
        let there = Buffer::new(gpu, fixed.bytes(), Kind::Device)?;
        load(gpu, submitter, &mut fixed, &there)?;
        Ok(Program {
            gpu: gpu.clone(),
            target,
            pipelines,
            places,
            fixed: there,
            tables,
            constants,
            wiring: Buffer::new(gpu, 16 * wiring as u64, Kind::Device)?,
            workspace: workspace.clone(),
            growth: workspace.reserve(working),
            ends,
            steps,
            bound: None,
        })
    }

    /// Bytes of the device's memory, less what other programs of the same workspace have counted.
    pub(super) fn device_bytes(&self) -> u64 {
        self.fixed.bytes + self.wiring.bytes + self.growth
    }

    /// Its dispatches in numbers.
    pub(super) fn dispatches_in_numbers(&self) -> Vec<DispatchInfo> {
        in_numbers(&self.steps, self.target)
    }

    /// Runs all steps on a tile of the host's. Returns whether a number was too large for the tensors' type.
    ///
    /// # Errors
    /// That of `check`, which is asked between submissions; a lack of the device's memory; what the
    /// driver answers.
    pub(super) fn run(
        &mut self,
        input: &[f32],
        output: &mut [f32],
        submitter: &mut Submitter,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<bool> {
        let workspace = self.workspace.clone();
        let mut memory = workspace.lock();
        let ([image, scores], scores_at) = (self.ends, scores_at(self.ends));
        let flag = self.places[OVERFLOWED];
        let Parts { arena, ends, stage } = memory.get(&self.gpu, true, image.max(scores + 4))?;
        let ends = ends.unwrap_or(arena);
        let addresses =
            Addresses { arena: arena.address, image: ends.address, scores: ends.address + scores_at };
        let dispatches = self.dispatches(addresses, submitter)?;
        for (bytes, value) in stage.bytes_mut().chunks_exact_mut(4).zip(input) {
            bytes.copy_from_slice(&value.to_ne_bytes());
        }
        let place = &stage.buffer;
        let mut commands = vec![
            Command::Clear { buffer: arena, offset: flag, bytes: 4 },
            Command::Copy { from: (place, 0), to: (ends, 0), bytes: image },
        ];
        commands.extend(dispatches.iter().map(Command::Dispatch));
        commands.push(Command::Copy { from: (ends, scores_at), to: (place, 0), bytes: scores });
        commands.push(Command::Copy { from: (arena, flag), to: (place, scores), bytes: 4 });
        submitter.run(&commands, check)?;
        let mut words = stage.bytes().as_chunks().0.iter();
        for (value, bytes) in output.iter_mut().zip(words.by_ref()) {
            *value = f32::from_ne_bytes(*bytes);
        }
        Ok(words.next() != Some(&[0; 4]))
    }

    /// As [`Program::run`], from an image to scores that lie at addresses of the device.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub(super) fn run_at(
        &mut self,
        image: u64,
        scores: u64,
        submitter: &mut Submitter,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<bool> {
        let workspace = self.workspace.clone();
        let mut memory = workspace.lock();
        let flag = self.places[OVERFLOWED];
        let Parts { arena, stage, .. } = memory.get(&self.gpu, false, 4)?;
        let dispatches = self.dispatches(Addresses { arena: arena.address, image, scores }, submitter)?;
        let mut commands = vec![Command::Clear { buffer: arena, offset: flag, bytes: 4 }];
        commands.extend(dispatches.iter().map(Command::Dispatch));
        commands.push(Command::Copy { from: (arena, flag), to: (&stage.buffer, 0), bytes: 4 });
        submitter.run(&commands, check)?;
        Ok(stage.bytes().first_chunk() != Some(&[0; 4]))
    }

    /// The dispatches for these addresses; brings the sources to the device where the arena's is new.
    fn dispatches(&mut self, addresses: Addresses, submitter: &mut Submitter) -> Result<&[Dispatch]> {
        let wired = self.bound.as_ref().map(|(there, _)| there.arena) == Some(addresses.arena);
        if self.bound.as_ref().is_none_or(|(there, _)| *there != addresses) {
            let mut binding = Binding {
                addresses,
                places: &self.places,
                constants: &self.constants,
                fixed: self.fixed.address,
                tables: self.tables,
                wiring: self.wiring.address,
                width: self.target.width(),
                words: Vec::new(),
            };
            let mut dispatches = Vec::with_capacity(self.steps.len());
            for (step, pipeline) in self.steps.iter().zip(&self.pipelines) {
                binding.step(step, pipeline, &mut dispatches);
            }
            let bytes: Vec<u8> = binding.words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            if !(bytes.is_empty() || wired) {
                let mut stage = Stage::new(&self.gpu, bytes.len() as u64)?;
                upload(submitter, &mut stage, &self.wiring, 0, &bytes)?;
            }
            self.bound = Some((addresses, dispatches));
        }
        Ok(self.bound.as_ref().map_or(&[], |(_, dispatches)| dispatches))
    }
}

/// Brings contents to the device's memory, and forgets them.
fn load(gpu: &Arc<Gpu>, submitter: &mut Submitter, fixed: &mut Fixed, there: &Buffer) -> Result<()> {
    let mut stage = Stage::new(gpu, LOAD.min(fixed.bytes()))?;
    fixed.drain(|offset, bytes| upload(submitter, &mut stage, there, offset, bytes))
}

fn upload(
    submitter: &mut Submitter,
    stage: &mut Stage,
    to: &Buffer,
    offset: u64,
    bytes: &[u8],
) -> Result<()> {
    let at_a_time = stage.bytes().len();
    let mut offset = offset;
    for chunk in bytes.chunks(at_a_time) {
        stage.bytes_mut()[..chunk.len()].copy_from_slice(chunk);
        let copy = Command::Copy { from: (&stage.buffer, 0), to: (to, offset), bytes: chunk.len() as u64 };
        submitter.run(&[copy], &|| Ok(()))?;
        offset += chunk.len() as u64;
    }
    Ok(())
}

/// The kernel of a step, compiled.
fn pipeline(gpu: &Gpu, target: Target, step: &Step) -> Result<Arc<Pipeline>> {
    let kernel = kernel(target, step);
    let lanes = match kernel.lanes {
        Lanes::Any => 0,
        Lanes::Widest => gpu.lanes(),
        Lanes::Exactly(lanes) => lanes,
    };
    gpu.pipeline(kernel.module, &kernel.constants, lanes)
}

/// The dispatches of steps in numbers.
pub(super) fn in_numbers(steps: &[Step], target: Target) -> Vec<DispatchInfo> {
    let of = |step: &Step| {
        let Work { groups, cost, read, written } = work(step, target.width());
        let kernel = kernel(target, step).module.name;
        let info = DispatchInfo { kernel, groups, multiply_adds: cost, read, written };
        let times = if let Step::Finish(step) = step { step.tables.len() } else { 1 };
        std::iter::repeat_n(info, times)
    };
    steps.iter().flat_map(of).collect()
}
