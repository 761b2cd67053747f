//! A network on a device: steps whose memory is placed, kernels compiled, and a run of all of them.

use crate::engine::lowering::{Block, BufferId};
use std::sync::Arc;

use super::arena::{Arena, Parts};
use super::arguments::{Arguments, groups};
use super::class::Matrices;
use super::fixed::Fixed;
use super::lower::{Lowered, OVERFLOWED, Target, VOXELS, lower};
use super::place::place;
use super::shaders;
use super::step::{Conv, Finish, Function, Input, Map, Output, Sample, Sampling, Step};
use super::vulkan::{Buffer, Command, Dispatch, Gpu, Kind, Pipeline, Stage, Submitter};
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

/// Where a run finds what isn't the program's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Addresses {
    arena: u64,
    image: u64,
    scores: u64,
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
        let Lowered { steps, lives, mut fixed, tables } = lower(network, tile, target)?;
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
            let mut binding = Binding { program: self, addresses, words: Vec::new() };
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

/// x, y, z of a triple along axes 0, 1, 2.
fn xyz(size: [usize; 3]) -> [u32; 3] {
    [size[2] as u32, size[1] as u32, size[0] as u32]
}

/// The kernel of a step, with its constants.
fn pipeline(gpu: &Gpu, target: Target, step: &Step) -> Result<Arc<Pipeline>> {
    let of = usize::from(target.half);
    match step {
        Step::Conv(step) => {
            let Conv { tile, .. } = &**step;
            let invocations = step.matrices.map_or(VOXELS as u32, |matrices| matrices.teams * matrices.lanes);
            let mut constants = vec![invocations];
            for triple in [tile.voxels, tile.brought, tile.bring, tile.near, step.step, step.out_step] {
                constants.extend(xyz(triple));
            }
            let scores = u32::from(step.output == Output::Scores);
            constants.extend([step.eights as u32, step.depth as u32, scores]);
            if let Some(Matrices { matrix, lanes, rows, .. }) = step.matrices {
                let columns = step.eights as u32 * 8 / matrix.n;
                constants.extend([matrix.m, matrix.n, matrix.k, lanes, rows, columns]);
                return gpu.pipeline(shaders::MATRICES, &constants, lanes);
            }
            let module = match step.input {
                Input::Image(_) => shaders::IMAGE[of],
                Input::Blocks(_) => shaders::CONV[of],
            };
            gpu.pipeline(module, &constants, gpu.lanes())
        }
        Step::Map(step) => {
            let function = match step.function {
                Function::Copy => 0,
                Function::Add => 1,
                Function::Multiply(_) => 2,
                Function::Slopes(_) => 3,
                Function::Elu(_) => 4,
                Function::Gelu => 5,
                Function::Sigmoid => 6,
                Function::Tanh => 7,
            };
            gpu.pipeline(shaders::MAP[of], &[function], 0)
        }
        Step::Sample(step) => {
            let sampling = match step.sampling {
                Sampling::Average(_) => 0,
                Sampling::Maximum(_) => 1,
                Sampling::Linear(_, false) => 2,
                Sampling::Linear(_, true) => 3,
                Sampling::Nearest => 4,
                Sampling::Mean => return gpu.pipeline(shaders::MEAN[of], &[], 0),
            };
            gpu.pipeline(shaders::SAMPLE[of], &[sampling], 0)
        }
        Step::Finish(_) => gpu.pipeline(shaders::FINISH, &[], 0),
        Step::Enter { .. } => gpu.pipeline(shaders::ENDS[of], &[0], 0),
        Step::Leave { .. } => gpu.pipeline(shaders::ENDS[of], &[1], 0),
    }
}

/// Steps on their way to dispatches.
struct Binding<'a> {
    program: &'a Program,
    addresses: Addresses,
    /// The sources so far.
    words: Vec<u32>,
}

impl Binding<'_> {
    fn buffer(&self, buffer: BufferId) -> u64 {
        self.addresses.arena + self.program.places[buffer]
    }

    fn optional(&self, buffer: Option<BufferId>) -> u64 {
        buffer.map_or(0, |buffer| self.buffer(buffer))
    }

    fn fixed(&self, offset: u64) -> u64 {
        self.program.fixed.address + offset
    }

    fn table(&self, table: usize) -> u64 {
        self.fixed(self.program.tables + table as u64 * 4)
    }

    /// Where a step finds these blocks; 0 where there are none. `size`: of their tensors.
    fn sources(&mut self, blocks: &[Block], size: [usize; 3]) -> u64 {
        if blocks.is_empty() {
            return 0;
        }
        let address = self.program.wiring.address + self.words.len() as u64 * 4;
        let bytes = 16 * self.program.target.width() * size.iter().product::<usize>() as u64;
        for block in blocks {
            let tensor = self.buffer(block.buffer) + block.index as u64 * bytes;
            let table = block.table.map_or(0, |table| self.table(table));
            self.words
                .extend([tensor, table].map(|address| [address as u32, (address >> 32) as u32]).concat());
        }
        address
    }

    fn step(&mut self, step: &Step, pipeline: &Arc<Pipeline>, dispatches: &mut Vec<Dispatch>) {
        let overflowed = self.buffer(OVERFLOWED);
        let mut add = |arguments: Arguments, groups: [u32; 3], cost: u64| {
            let (pipeline, arguments) = (pipeline.clone(), arguments.bytes());
            dispatches.push(Dispatch { pipeline, arguments, groups, cost });
        };
        let count = |size: [usize; 3]| size.iter().product::<usize>();
        match step {
            Step::Conv(step) => {
                let arguments = self.conv(step, overflowed);
                add(arguments, groups(step.tiles(), step.shares() * step.kinds), step.multiply_adds);
            }
            Step::Map(step) => {
                let arguments = self.map(step, overflowed);
                let cost = 4 * (step.inputs.len() * 16 * count(step.size)) as u64;
                add(arguments, groups(step.chunks(), step.inputs.len()), cost);
            }
            Step::Sample(step) => {
                let arguments = self.sample(step, overflowed);
                let (blocks, voxels) = (step.inputs.len(), count(step.size));
                match step.sampling {
                    Sampling::Mean => {
                        let cost = 4 * (blocks * 16 * count(step.from_size)) as u64;
                        add(arguments, groups(voxels, blocks), cost);
                    }
                    _ => {
                        let cost = 8 * (blocks * 16 * voxels) as u64;
                        add(arguments, groups((voxels * 2).div_ceil(64), blocks), cost);
                    }
                }
            }
            Step::Finish(step) => {
                for &table in &step.tables {
                    let arguments = self.finish(step, table);
                    let cost = 16 * (step.slots * step.channels) as u64;
                    add(arguments, groups(step.channels.div_ceil(step.together), 1), cost);
                }
            }
            Step::Enter { blocks, voxels, lanes, output } => {
                let arguments = Arguments::default()
                    .addresses([self.addresses.image, self.buffer(*output), overflowed, self.fixed(*lanes)])
                    .words([*voxels as u32]);
                add(arguments, groups((voxels * 2).div_ceil(64), *blocks), 4 * (blocks * 16 * voxels) as u64);
            }
            Step::Leave { inputs, voxels, lanes } => {
                let from = self.sources(inputs, [1, 1, *voxels]);
                let arguments = Arguments::default()
                    .addresses([from, self.addresses.scores, overflowed, self.fixed(*lanes)])
                    .words([*voxels as u32]);
                let blocks = inputs.len();
                add(arguments, groups((voxels * 2).div_ceil(64), blocks), 4 * (blocks * 16 * voxels) as u64);
            }
        }
    }

    fn conv(&mut self, step: &Conv, overflowed: u64) -> Arguments {
        let (from, channels) = match &step.input {
            Input::Image(channels) => (self.addresses.image, *channels),
            Input::Blocks(blocks) => (self.sources(blocks, step.from_size), 0),
        };
        let to = match step.output {
            Output::Tensor(buffer) => self.buffer(buffer),
            Output::Scores => self.addresses.scores,
        };
        let result = std::array::from_fn(|axis| step.size[axis] * step.out_step[axis]);
        let residual = self.sources(&step.residual, result);
        let corner = [step.corner[2], step.corner[1], step.corner[0]].map(|place| place as i32 as u32);
        Arguments::default()
            .addresses([from, to, self.fixed(step.weights), self.fixed(step.bias)])
            .addresses([self.optional(step.statistics), residual, self.fixed(step.plan), overflowed])
            .words(xyz(step.size))
            .words(xyz(step.from_size))
            .words(corner)
            .words([step.turns, step.outputs, channels].map(|number| number as u32))
    }

    fn map(&mut self, step: &Map, overflowed: u64) -> Arguments {
        let (slopes, alpha) = match step.function {
            Function::Slopes(slopes) => (self.fixed(slopes), 0.0),
            Function::Elu(alpha) => (0, alpha),
            _ => (0, 0.0),
        };
        let other_size = match step.function {
            Function::Multiply(size) => size,
            _ => step.size,
        };
        let from = self.sources(&step.inputs, step.size);
        let other = self.sources(&step.second_inputs, other_size);
        Arguments::default()
            .addresses([from, other, self.buffer(step.output), slopes])
            .addresses([self.optional(step.statistics), overflowed])
            .words(xyz(step.size))
            .words(xyz(other_size))
            .words([step.inputs.len() as u32, f32::to_bits(alpha)])
    }

    fn sample(&mut self, step: &Sample, overflowed: u64) -> Arguments {
        let factor = match step.sampling {
            Sampling::Average(size) | Sampling::Maximum(size) | Sampling::Linear(size, _) => size,
            Sampling::Nearest | Sampling::Mean => [1; 3],
        };
        let from = self.sources(&step.inputs, step.from_size);
        Arguments::default()
            .addresses([from, self.buffer(step.output), overflowed])
            .words(xyz(step.size))
            .words(xyz(step.from_size))
            .words(xyz(factor))
    }

    fn finish(&self, step: &Finish, table: usize) -> Arguments {
        Arguments::default()
            .addresses([self.buffer(step.partials), self.fixed(step.scale), self.fixed(step.shift)])
            .addresses([self.table(table)])
            .words([step.slots, step.channels, step.together].map(|number| number as u32))
            .words([step.epsilon.to_bits()])
    }
}
