//! From steps to dispatches: the addresses of what they read and write, and the other arguments of their kernels.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::arguments::Arguments;
use super::kernel::xyz;
use super::lower::OVERFLOWED;
use super::step::{
    Attention, Conv, Depthwise, Finish, Function, Input, LayerNorm, Map, Output, Sample, Sampling, Step,
};
use super::vulkan::{Dispatch, Pipeline};
use super::work::{Work, work};
use crate::engine::lowering::{Block, BufferId};

/// Where a run finds what isn't the program's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub arena: u64,
    pub image: u64,
    pub scores: u64,
}

/// Steps on their way to dispatches.
pub(super) struct Binding<'a> {
    pub addresses: Addresses,
    /// Offsets of the buffers in the arena.
    pub places: &'a [u64],
    /// Offsets in the fixed memory of those that lie there.
    pub constants: &'a BTreeMap<BufferId, u64>,
    pub fixed: u64,
    /// Where the tables start in the fixed memory.
    pub tables: u64,
    /// Where the sources will lie.
    pub wiring: u64,
    /// Bytes of a tensor's number.
    pub width: u64,
    /// The sources so far.
    pub words: Vec<u32>,
}

impl Binding<'_> {
    fn buffer(&self, buffer: BufferId) -> u64 {
        match self.constants.get(&buffer) {
            Some(&offset) => self.fixed(offset),
            None => self.addresses.arena + self.places[buffer],
        }
    }

    fn optional(&self, buffer: Option<BufferId>) -> u64 {
        buffer.map_or(0, |buffer| self.buffer(buffer))
    }

    fn fixed(&self, offset: u64) -> u64 {
        self.fixed + offset
    }

    fn table(&self, table: usize) -> u64 {
        self.fixed(self.tables + table as u64 * 4)
    }

    /// Where a step finds these blocks; 0 where there are none. `size`: of their tensors.
    fn sources(&mut self, blocks: &[Block], size: [usize; 3]) -> u64 {
        if blocks.is_empty() {
            return 0;
        }
        let address = self.wiring + self.words.len() as u64 * 4;
        let bytes = 16 * self.width * size.iter().product::<usize>() as u64;
        for block in blocks {
            let tensor = self.buffer(block.buffer) + block.index as u64 * bytes;
            let table = block.table.map_or(0, |table| self.table(table));
            self.words
                .extend([tensor, table].map(|address| [address as u32, (address >> 32) as u32]).concat());
        }
        address
    }

    /// Adds the dispatches of a step.
    pub(super) fn step(&mut self, step: &Step, pipeline: &Arc<Pipeline>, dispatches: &mut Vec<Dispatch>) {
        let Work { groups, cost, .. } = work(step, self.width);
        let dispatch = |arguments: Arguments| {
            let (pipeline, arguments) = (pipeline.clone(), arguments.bytes());
            Dispatch { pipeline, arguments, groups, cost }
        };
        if let Step::Finish(step) = step {
            dispatches.extend(step.tables.iter().map(|&table| dispatch(self.finish(step, table))));
        } else {
            dispatches.push(dispatch(self.arguments(step)));
        }
    }

    fn arguments(&mut self, step: &Step) -> Arguments {
        let overflowed = self.buffer(OVERFLOWED);
        match step {
            Step::Conv(step) => self.conv(step, overflowed),
            Step::Map(step) => self.map(step, overflowed),
            Step::Sample(step) => self.sample(step, overflowed),
            Step::Depthwise(step) => self.depthwise(step, overflowed),
            Step::LayerNorm(step) => self.layer_norm(step, overflowed),
            Step::Attention(step) => self.attention(step, overflowed),
            Step::Finish(step) => self.finish(step, step.tables.first().copied().unwrap_or(0)),
            Step::Enter { voxels, lanes, output, .. } => Arguments::default()
                .addresses([self.addresses.image, self.buffer(*output), overflowed, self.fixed(*lanes)])
                .words([*voxels as u32]),
            Step::Leave { inputs, voxels, lanes } => {
                let from = self.sources(inputs, [1, 1, *voxels]);
                Arguments::default()
                    .addresses([from, self.addresses.scores, overflowed, self.fixed(*lanes)])
                    .words([*voxels as u32])
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
        let other = self.sources(&step.others, other_size);
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
            Sampling::Framed(first) | Sampling::Second(first) => first,
            Sampling::Nearest | Sampling::Mean => [1; 3],
        };
        let from = self.sources(&step.inputs, step.from_size);
        Arguments::default()
            .addresses([from, self.buffer(step.output), overflowed])
            .words(xyz(step.size))
            .words(xyz(step.from_size))
            .words(xyz(factor))
    }

    fn depthwise(&mut self, step: &Depthwise, overflowed: u64) -> Arguments {
        let from = self.sources(&step.inputs, step.from_size);
        Arguments::default()
            .addresses([from, self.buffer(step.output), self.fixed(step.weights), self.fixed(step.bias)])
            .addresses([self.optional(step.statistics), overflowed])
            .words(xyz(step.size))
            .words(xyz(step.from_size))
            .words(xyz(step.padding))
            .words([step.inputs.len() as u32])
    }

    fn layer_norm(&mut self, step: &LayerNorm, overflowed: u64) -> Arguments {
        let from = self.sources(&step.inputs, [1, 1, step.voxels]);
        Arguments::default()
            .addresses([from, self.buffer(step.output), self.fixed(step.affine), overflowed])
            .addresses([self.fixed(step.lanes)])
            .words([step.voxels as u32, step.inputs.len() as u32, step.epsilon.to_bits()])
    }

    fn attention(&mut self, step: &Attention, overflowed: u64) -> Arguments {
        let windows = step.windows;
        let from = self.sources(&step.inputs, windows.size);
        let (bias, whole) = match step.bias {
            Some((table, window)) => (self.fixed(table), window),
            None => (0, windows.window),
        };
        let scale = (1.0 / (step.width as f64).sqrt()) as f32;
        Arguments::default()
            .addresses([from, self.buffer(step.output), bias, overflowed])
            .words(xyz(windows.size))
            .words(xyz(windows.window))
            .words(xyz(windows.count))
            .words(xyz(windows.shift))
            .words(xyz(whole))
            .words([step.heads as u32, scale.to_bits()])
    }

    fn finish(&self, step: &Finish, table: usize) -> Arguments {
        Arguments::default()
            .addresses([self.buffer(step.partials), self.fixed(step.scale), self.fixed(step.shift)])
            .addresses([self.table(table)])
            .words([step.slots, step.channels, step.together].map(|number| number as u32))
            .words([step.epsilon.to_bits()])
    }
}
