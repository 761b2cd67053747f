//! From a network to a program: which step computes a node, and which nodes need none.
//!
//! Normalisations and activations become tables that the next reader applies; a batch normalisation behind a
//! convolution becomes part of its weights; a concatenation is a list of blocks; a sum is done by the convolution that
//! makes one of its terms.

mod arrange;
mod attention;
mod convolution;
mod depthwise;

use crate::engine::lowering::{Block, BufferId, LANES, TABLE, batch_norm, blocks_of, channels};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Settings;
use super::depthwise::Depthwise;
use super::direct::Direct;
use super::map::{Enter, Function, Leave, Map};
use super::program::{Buffer, Program, Step};
use super::sample::{Sample, Sampling, linear, smaller};
use super::simd::Isa;
use super::statistics::{Finish, PARTIAL, Partials};
use super::winograd::Winograd;
use crate::buffer;
use crate::error::{Error, Result};
use crate::network::{Network, NodeId, Op, Weight};

/// What a node's result is while the program is written.
#[derive(Clone, Debug)]
enum Value {
    /// The caller's image, as it is.
    Image,
    Blocks(Vec<Block>),
}

/// A step that may still change.
enum Draft {
    Winograd(Box<Winograd>),
    Direct(Box<Direct>),
    Map(Box<Map>),
    Depthwise(Box<Depthwise>),
    Finish(Box<Finish>),
    Other(Box<dyn Step>),
    /// A step that became a part of another.
    Fed,
}

impl Draft {
    fn finish(self) -> Option<Box<dyn Step>> {
        Some(match self {
            Draft::Winograd(step) => step,
            Draft::Direct(step) => step,
            Draft::Map(step) => step,
            Draft::Depthwise(step) => step,
            Draft::Finish(step) => step,
            Draft::Other(step) => step,
            Draft::Fed => return None,
        })
    }

    /// Where it may leave statistics, and how many slots these have.
    fn statistics(&mut self) -> Option<(&mut Option<Partials>, usize, usize)> {
        match self {
            Draft::Winograd(step) => {
                let (slots, blocks) = (step.groups(), step.output_blocks);
                Some((&mut step.statistics, slots, blocks))
            }
            Draft::Direct(step) => {
                let (slots, blocks) = (step.spatial_tasks(), step.blocks());
                Some((&mut step.statistics, slots, blocks))
            }
            Draft::Map(step) => {
                let (slots, blocks) = (step.chunks(), step.inputs.len());
                Some((&mut step.statistics, slots, blocks))
            }
            Draft::Depthwise(step) => {
                let (slots, blocks) = (step.planes(), step.inputs.len());
                Some((&mut step.statistics, slots, blocks))
            }
            Draft::Finish(_) | Draft::Other(_) | Draft::Fed => None,
        }
    }
}

struct Lowering<'a> {
    network: &'a Network,
    sizes: Vec<[usize; 3]>,
    settings: &'a Settings,
    isa: Isa,
    /// Nodes that read each node.
    users: Vec<Vec<NodeId>>,
    values: Vec<Option<Value>>,
    /// The image in blocks, once something needed it so.
    entered: Option<Vec<Block>>,
    drafts: Vec<Draft>,
    buffers: Vec<Buffer>,
    /// Which step writes a buffer.
    writers: BTreeMap<BufferId, usize>,
    /// Which steps read a buffer.
    readers: BTreeMap<BufferId, Vec<usize>>,
    tables: Vec<f32>,
    /// Which step fills a table.
    fillers: BTreeMap<usize, usize>,
    /// Whether weights stay where they are, since only the program's size is asked for.
    planned: bool,
}

/// Makes a program of a network for tiles of one size. One that is only `planned` has no weights and must not run: it
/// knows what the other one would need.
///
/// # Errors
/// [`Error::Unsupported`] for an ONNX file, and a lack of memory.
pub(super) fn lower(
    network: &Network,
    tile: [usize; 3],
    isa: Isa,
    settings: &Settings,
    planned: bool,
) -> Result<Program> {
    let mut users = vec![Vec::new(); network.nodes().len()];
    for (id, node) in network.nodes().iter().enumerate() {
        node.inputs.iter().for_each(|&input| users[input].push(id));
    }
    let mut lowering = Lowering {
        network,
        sizes: network.sizes(tile)?,
        settings,
        isa,
        values: vec![None; users.len()],
        users,
        entered: None,
        drafts: Vec::new(),
        buffers: Vec::new(),
        writers: BTreeMap::new(),
        readers: BTreeMap::new(),
        tables: Vec::new(),
        fillers: BTreeMap::new(),
        planned,
    };
    for id in 0..network.nodes().len() {
        lowering.node(id)?;
    }
    lowering.leave()?;
    lowering.arrange()?;
    let scores = network.output_channels() * tile.iter().product::<usize>();
    let last = lowering.drafts.len() - 1;
    let steps = lowering.drafts.into_iter().filter_map(Draft::finish).collect();
    let (buffers, tables) = (&lowering.buffers, &lowering.tables);
    Program::new(isa, settings.threads, steps, buffers, tables, (scores, last))
}

impl Lowering<'_> {
    fn node(&mut self, id: NodeId) -> Result<()> {
        if self.values[id].is_some() {
            return Ok(());
        }
        let network = self.network;
        let node = &network.nodes()[id];
        let first = node.inputs.first().copied();
        let value = match &node.op {
            Op::Input => Value::Image,
            Op::Conv { .. } | Op::ConvTranspose { .. } => return self.convolution(id),
            Op::InstanceNorm { scale, shift, epsilon } => self.normalised(id, 1, scale, shift, *epsilon)?,
            Op::GroupNorm { groups, scale, shift, epsilon } => {
                self.normalised(id, node.channels / (*groups).max(1), scale, shift, *epsilon)?
            }
            Op::BatchNorm { .. } => {
                let (factors, summands) = batch_norm(&node.op);
                self.scaled(id, &factors, &summands)?
            }
            Op::LeakyRelu { slope } => self.activated(id, &|_| *slope)?,
            Op::Relu => self.activated(id, &|_| 0.0)?,
            Op::PRelu { slope } => {
                let last = slope.data.len() - 1;
                self.activated(id, &|channel| slope.data[channel.min(last)])?
            }
            Op::Elu { alpha } => self.mapped(id, Function::Elu(*alpha))?,
            Op::Gelu => self.mapped(id, Function::Gelu)?,
            Op::Sigmoid => self.mapped(id, Function::Sigmoid)?,
            Op::Tanh => self.mapped(id, Function::Tanh)?,
            Op::Add => self.mapped(id, Function::Add)?,
            Op::Multiply => self.mapped(id, Function::Multiply(self.sizes[node.inputs[1]]))?,
            Op::AveragePool { size } => self.sampled(id, Sampling::Average(*size))?,
            Op::MaxPool { size } => self.sampled(id, Sampling::Maximum(*size))?,
            Op::Upsample { factor, align_corners } => {
                let size = self.sizes[first.unwrap_or(0)];
                let axis = |axis: usize| linear(size[axis], factor[axis], *align_corners);
                self.sampled(id, Sampling::Linear([axis(0), axis(1), axis(2)]))?
            }
            Op::Mean { axes } => self.sampled(id, Sampling::Mean(*axes))?,
            Op::PadLike | Op::CropLike => match first {
                Some(input) if self.sizes[input] == self.sizes[id] => Value::Blocks(self.blocks(input)?),
                _ => self.sampled(id, Sampling::Nearest)?,
            },
            Op::Concat => {
                let mut all = Vec::new();
                for &input in &node.inputs {
                    all.extend(self.blocks(input)?);
                }
                Value::Blocks(all)
            }
            Op::LayerNorm { scale, shift, epsilon } => self.layer_norm(id, scale, shift, *epsilon)?,
            Op::WindowAttention { bias, heads, window, shift } => {
                self.attention(id, Some(bias), *heads, *window, *shift)?
            }
            Op::Attention { heads, window } => self.attention(id, None, *heads, *window, [0; 3])?,
            Op::PadToWindows { .. } => match first {
                Some(input) if self.sizes[input] == self.sizes[id] => Value::Blocks(self.blocks(input)?),
                _ => self.sampled(id, Sampling::Framed([0; 3]))?,
            },
            Op::PadFront { planes } => self.sampled(id, Sampling::Framed(*planes))?,
            Op::PatchMerge { places } => self.patch_merge(id, places)?,
            Op::Constant { value } => self.constant(id, value)?,
            Op::Depthwise { .. } | Op::DepthwiseTranspose { .. } => self.depthwise(id)?,
            Op::Downsample { .. } => {
                let (size, smaller_size) = (self.sizes[first.unwrap_or(0)], self.sizes[id]);
                let axis = |axis: usize| smaller(size[axis], smaller_size[axis]);
                self.sampled(id, Sampling::Linear([axis(0), axis(1), axis(2)]))?
            }
            op @ Op::Onnx { .. } => {
                return Err(Error::unsupported(format!("the operator {}", op.settings())));
            }
        };
        self.values[id] = Some(value);
        Ok(())
    }

    /// Adds a step that reads blocks, and buffers, which then live up to it.
    fn step(&mut self, draft: Draft, reads: &[&[Block]]) {
        let step = self.drafts.len();
        self.drafts.push(draft);
        for block in reads.iter().copied().flatten() {
            self.buffers[block.buffer].last = step;
            let readers = self.readers.entry(block.buffer).or_default();
            if readers.last() != Some(&step) {
                readers.push(step);
            }
        }
    }

    /// A buffer for a tensor that the next step writes.
    fn tensor(&mut self, blocks: usize, [planes, rows, columns]: [usize; 3]) -> BufferId {
        let step = self.drafts.len();
        let plane = rows * columns * LANES;
        self.buffers.push(Buffer { blocks, planes, plane, first: step, last: step, over: None });
        self.writers.insert(self.buffers.len() - 1, step);
        self.buffers.len() - 1
    }

    /// A buffer for a node's result, that the next step writes.
    fn result(&mut self, id: NodeId) -> BufferId {
        self.tensor(self.network.channels(id).div_ceil(LANES), self.sizes[id])
    }

    /// Memory that only the next step uses.
    fn memory(&mut self, floats: usize) -> BufferId {
        self.buffers.push(Buffer::floats(floats, self.drafts.len()));
        self.buffers.len() - 1
    }

    /// A node's result in blocks.
    fn blocks(&mut self, id: NodeId) -> Result<Vec<Block>> {
        match &self.values[id] {
            Some(Value::Blocks(blocks)) => Ok(blocks.clone()),
            _ => {
                if let Some(blocks) = &self.entered {
                    return Ok(blocks.clone());
                }
                let output = self.result(id);
                let (channels, voxels) = (self.network.channels(id), self.sizes[id].iter().product());
                self.step(Draft::Other(Box::new(Enter { channels, voxels, output })), &[]);
                let blocks = blocks_of(output, channels);
                self.entered = Some(blocks.clone());
                Ok(blocks)
            }
        }
    }

    fn mapped(&mut self, id: NodeId, function: Function) -> Result<Value> {
        let node = &self.network.nodes()[id];
        let inputs = self.blocks(node.inputs[0])?;
        let second_inputs = match node.inputs.get(1) {
            Some(&other) => self.blocks(other)?,
            None => Vec::new(),
        };
        // Two lists of other widths hold the same channels in other lanes.
        let same = |(a, b): (&Block, &Block)| a.lanes == b.lanes;
        let fits = inputs.len() == second_inputs.len() && inputs.iter().zip(&second_inputs).all(same);
        if !(fits || second_inputs.is_empty()) {
            return Err(Error::unsupported("a sum or product of concatenated channels"));
        }
        self.map(function, inputs, second_inputs, self.sizes[id])
    }

    fn map(
        &mut self,
        function: Function,
        inputs: Vec<Block>,
        second_inputs: Vec<Block>,
        size: [usize; 3],
    ) -> Result<Value> {
        let output = self.tensor(inputs.len(), size);
        let blocks = attention::written(&inputs, output);
        let reads = (inputs.clone(), second_inputs.clone());
        let map = Map { function, inputs, second_inputs, size, output, statistics: None };
        self.step(Draft::Map(Box::new(map)), &[&reads.0, &reads.1]);
        Ok(Value::Blocks(blocks))
    }

    fn sampled(&mut self, id: NodeId, sampling: Sampling) -> Result<Value> {
        let input = self.network.nodes()[id].inputs[0];
        let inputs = self.blocks(input)?;
        let (input_size, output_size) = (self.sizes[input], self.sizes[id]);
        let output = self.tensor(inputs.len(), output_size);
        let blocks = attention::written(&inputs, output);
        let reads = inputs.clone();
        let sample = Sample { sampling, inputs, input_size, output, output_size };
        self.step(Draft::Other(Box::new(sample)), &[&reads]);
        Ok(Value::Blocks(blocks))
    }

    /// A table of a block: scale and shift of each lane, and a slope of one.
    fn table(
        &mut self,
        scale: &dyn Fn(usize) -> f32,
        shift: &dyn Fn(usize) -> f32,
        slope: f32,
    ) -> Result<usize> {
        let start = self.tables.len();
        buffer::grow(&mut self.tables, "a network", TABLE)?;
        self.tables.extend((0..LANES).map(scale));
        self.tables.extend((0..LANES).map(shift));
        self.tables.extend([slope; LANES]);
        Ok(start)
    }

    /// Plain blocks that one step writes, in order; others are copied.
    fn plain(&mut self, id: NodeId) -> Result<Vec<Block>> {
        let blocks = self.blocks(id)?;
        let own = blocks.iter().enumerate().all(|(index, block)| {
            block.buffer == blocks[0].buffer && block.index == index && block.table.is_none()
        });
        let writer = self.writers.get(&blocks[0].buffer).copied();
        if own && writer.is_some_and(|step| self.drafts[step].statistics().is_some()) {
            return Ok(blocks);
        }
        match self.map(Function::Copy, blocks, Vec::new(), self.sizes[id])? {
            Value::Blocks(blocks) => Ok(blocks),
            Value::Image => Err(Error::unsupported("a copy of the image")),
        }
    }

    /// Statistics of the input, and tables that they are turned into.
    fn normalised(
        &mut self,
        id: NodeId,
        group: usize,
        scale: &Arc<Weight>,
        shift: &Arc<Weight>,
        epsilon: f32,
    ) -> Result<Value> {
        let mut blocks = self.plain(self.network.nodes()[id].inputs[0])?;
        if blocks.iter().rev().skip(1).any(|block| block.lanes != LANES) {
            return Err(Error::unsupported("a normalisation of concatenated channels"));
        }
        let writer = self.writers[&blocks[0].buffer];
        let step = self.drafts.len();
        let (statistics, slots, count) = self.drafts[writer].statistics().ok_or_else(no_statistics)?;
        let partials = match statistics {
            Some(partials) => *partials,
            none => {
                let buffer = self.buffers.len();
                let partials = Partials { buffer, slots, blocks: count };
                *none = Some(partials);
                self.buffers.push(Buffer { last: step, ..Buffer::floats(slots * count * PARTIAL, writer) });
                partials
            }
        };
        self.buffers[partials.buffer].last = step;
        let start = self.tables.len();
        for block in &mut blocks {
            block.table = Some(self.table(&|_| 0.0, &|_| 0.0, 1.0)?);
        }
        let finish = Finish {
            partials,
            channels: self.network.channels(id),
            group,
            scale: scale.data.clone(),
            shift: shift.data.clone(),
            epsilon,
            tables: vec![start],
        };
        self.step(Draft::Finish(Box::new(finish)), &[]);
        self.fillers.insert(start, step);
        Ok(Value::Blocks(blocks))
    }

    /// A factor and a summand for each channel.
    fn scaled(&mut self, id: NodeId, factors: &[f64], summands: &[f64]) -> Result<Value> {
        let mut blocks = self.blocks(self.network.nodes()[id].inputs[0])?;
        if blocks.iter().any(|block| block.table.is_some()) {
            let size = self.sizes[id];
            if let Value::Blocks(copied) = self.map(Function::Copy, blocks, Vec::new(), size)? {
                blocks = copied;
            } else {
                return Err(Error::unsupported("a copy of the image"));
            }
        }
        let all = channels(&blocks);
        for (index, block) in blocks.iter_mut().enumerate() {
            let of = |values: &[f64], lane: usize| {
                all[index * LANES + lane].map_or(0.0, |channel| values[channel] as f32)
            };
            block.table = Some(self.table(&|lane| of(factors, lane), &|lane| of(summands, lane), 1.0)?);
        }
        Ok(Value::Blocks(blocks))
    }

    /// Slopes of the negative side for each channel: in tables, where these are still without.
    fn activated(&mut self, id: NodeId, slope: &dyn Fn(usize) -> f32) -> Result<Value> {
        let mut blocks = self.blocks(self.network.nodes()[id].inputs[0])?;
        let all = channels(&blocks);
        let slopes: Vec<f32> = all.iter().map(|channel| channel.map_or(0.0, slope)).collect();
        let active =
            |table: usize| self.tables[table + 2 * LANES..table + TABLE].iter().any(|&slope| slope != 1.0);
        if !slopes.iter().all(|&slope| slope <= 1.0) {
            return self.map(Function::Slopes(slopes), blocks, Vec::new(), self.sizes[id]);
        }
        if blocks.iter().any(|block| block.table.is_some_and(active)) {
            let size = self.sizes[id];
            if let Value::Blocks(copied) = self.map(Function::Copy, blocks, Vec::new(), size)? {
                blocks = copied;
            } else {
                return Err(Error::unsupported("a copy of the image"));
            }
        }
        // Each table is copied, since others may read the values without the activation.
        let mut copies = BTreeMap::new();
        for (index, block) in blocks.iter_mut().enumerate() {
            let table = match block.table {
                None => self.table(&|_| 1.0, &|_| 0.0, 1.0)?,
                Some(table) => {
                    let start = self.tables.len();
                    buffer::grow(&mut self.tables, "a network", TABLE)?;
                    self.tables.extend_from_within(table..table + TABLE);
                    copies.insert(table, start);
                    start
                }
            };
            let slopes = &slopes[index * LANES..(index + 1) * LANES];
            self.tables[table + 2 * LANES..table + TABLE].copy_from_slice(slopes);
            block.table = Some(table);
        }
        // Tables of one normalisation follow each other, and so do their copies.
        for (original, copy) in copies {
            if let Some(&step) = self.fillers.get(&original) {
                if let Draft::Finish(finish) = &mut self.drafts[step] {
                    finish.tables.push(copy);
                }
                self.fillers.insert(copy, step);
            }
        }
        Ok(Value::Blocks(blocks))
    }

    /// The node behind this one, when it is its only reader.
    fn only_user(&self, id: NodeId) -> Option<NodeId> {
        match self.users[id][..] {
            [user] => Some(user),
            _ => None,
        }
    }

    /// Writes the last node's result to the caller, unless its step has done so.
    fn leave(&mut self) -> Result<()> {
        let last = self.network.nodes().len() - 1;
        let inputs = self.blocks(last)?;
        if !inputs.is_empty() {
            let reads = inputs.clone();
            let voxels = self.sizes[last].iter().product();
            self.step(Draft::Other(Box::new(Leave { inputs, voxels })), &[&reads]);
        }
        Ok(())
    }
}

fn no_statistics() -> Error {
    Error::unsupported("a normalisation of values whose statistics aren't gathered")
}
