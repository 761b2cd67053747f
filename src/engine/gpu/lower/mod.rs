//! From a network to steps: which step computes a node, and which nodes need none.
//!
//! As the CPU engine has it: normalisations and activations become tables that the next reader applies, a batch
//! normalisation behind a convolution becomes part of its weights, a concatenation is a list of blocks, a sum is done
//! by the convolution that makes one of its terms.

mod attention;
mod convolution;
mod depthwise;
mod tile;

use crate::engine::lowering::{Block, BufferId, LANES, NETWORK, TABLE, batch_norm, blocks_of, channels};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) use tile::{Tile, VOXELS};

use super::class::Matrices;
use super::fixed::Fixed;
use super::place::Life;
use super::step::{Finish, Function, Map, Sample, Sampling, Step};
use crate::buffer;
use crate::error::{Error, Result};
use crate::network::{Network, NodeId, Op, Weight};

/// What a network is lowered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Whether tensors hold halves, single numbers otherwise.
    pub half: bool,
    /// Bytes of shared memory that a kernel may have.
    pub shared: usize,
    /// How convolutions of halves are computed by matrices; `None`: by plain sums.
    pub matrices: Option<Matrices>,
}

impl Target {
    /// Bytes of a tensor's number.
    pub(super) fn width(self) -> u64 {
        if self.half { 2 } else { 4 }
    }
}

/// A network as steps. Buffer 0 is the word that tells of an overflow; the image and the scores lie elsewhere.
pub(super) struct Lowered {
    pub steps: Vec<Step>,
    pub lives: Vec<Life>,
    pub fixed: Fixed,
    /// Where the tables start in the fixed memory.
    pub tables: u64,
    /// Tensors that lie in the fixed memory, and where.
    pub constants: BTreeMap<BufferId, u64>,
}

pub(super) const OVERFLOWED: BufferId = 0;

/// What a node's result is while steps are written.
#[derive(Clone, Debug)]
enum Value {
    /// The caller's image, as it is.
    Image,
    Blocks(Vec<Block>),
}

struct Lowering<'a> {
    network: &'a Network,
    target: Target,
    sizes: Vec<[usize; 3]>,
    /// Nodes that read each node.
    users: Vec<Vec<NodeId>>,
    values: Vec<Option<Value>>,
    /// The image in blocks, once something needed it so.
    entered: Option<Vec<Block>>,
    steps: Vec<Step>,
    lives: Vec<Life>,
    fixed: Fixed,
    /// Which step writes a tensor.
    writers: BTreeMap<BufferId, usize>,
    tables: Vec<f32>,
    /// Which step fills a table.
    fillers: BTreeMap<usize, usize>,
    constants: BTreeMap<BufferId, u64>,
}

/// Lowers a network for tiles of one size.
///
/// # Errors
/// [`Error::Unsupported`] that names an operator without a step here, as [`Network::sizes`], and a lack of memory.
pub(super) fn lower(network: &Network, tile: [usize; 3], target: Target) -> Result<Lowered> {
    let mut users = vec![Vec::new(); network.nodes().len()];
    for (id, node) in network.nodes().iter().enumerate() {
        node.inputs.iter().for_each(|&input| users[input].push(id));
    }
    let lives = vec![Life { bytes: 4, first: 0, last: usize::MAX }];
    let mut lowering = Lowering {
        network,
        target,
        sizes: network.sizes(tile)?,
        values: vec![None; users.len()],
        users,
        entered: None,
        steps: Vec::new(),
        lives,
        fixed: Fixed::default(),
        writers: BTreeMap::new(),
        tables: Vec::new(),
        fillers: BTreeMap::new(),
        constants: BTreeMap::new(),
    };
    for id in 0..network.nodes().len() {
        lowering.node(id)?;
    }
    lowering.leave()?;
    lowering.done()
}

/// The blocks of a step's result, with the lanes of its input.
fn blocks_as(inputs: &[Block], buffer: BufferId) -> Vec<Block> {
    let blocks = inputs.iter().enumerate();
    blocks.map(|(index, block)| Block { buffer, index, table: None, lanes: block.lanes }).collect()
}

/// Of each block its first channel and how many it has.
fn lanes_of(blocks: &[Block]) -> Vec<u32> {
    let mut first = 0;
    let mut words = Vec::new();
    for block in blocks {
        words.extend([first, block.lanes as u32]);
        first += block.lanes as u32;
    }
    words
}

impl Lowering<'_> {
    fn node(&mut self, id: NodeId) -> Result<()> {
        if self.values[id].is_some() {
            return Ok(());
        }
        let network = self.network;
        let node = &network.nodes()[id];
        let value = match &node.op {
            Op::Input => Value::Image,
            Op::Conv { .. } | Op::ConvTranspose { .. } => return self.convolution(id),
            Op::InstanceNorm { scale, shift, epsilon } => self.normalised(id, 1, [scale, shift], *epsilon)?,
            Op::GroupNorm { groups, scale, shift, epsilon } => {
                self.normalised(id, node.channels / (*groups).max(1), [scale, shift], *epsilon)?
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
                self.sampled(id, Sampling::Linear(*factor, *align_corners))?
            }
            Op::Mean { .. } => self.sampled(id, Sampling::Mean)?,
            Op::PadLike | Op::CropLike => match node.inputs.first() {
                Some(&input) if self.sizes[input] == self.sizes[id] => Value::Blocks(self.blocks(input)?),
                _ => self.sampled(id, Sampling::Nearest)?,
            },
            Op::Concat => {
                let mut all = Vec::new();
                for &input in &node.inputs {
                    all.extend(self.blocks(input)?);
                }
                Value::Blocks(all)
            }
            Op::PadToWindows { .. } => match node.inputs.first() {
                Some(&input) if self.sizes[input] == self.sizes[id] => Value::Blocks(self.blocks(input)?),
                _ => self.sampled(id, Sampling::Framed([0; 3]))?,
            },
            Op::PadFront { planes } => self.sampled(id, Sampling::Framed(*planes))?,
            Op::Downsample { .. } => self.sampled(id, Sampling::Linear([1; 3], true))?,
            Op::PatchMerge { places } => self.patch_merge(id, places)?,
            Op::LayerNorm { scale, shift, epsilon } => self.layer_norm(id, [scale, shift], *epsilon)?,
            Op::WindowAttention { bias, heads, window, shift } => {
                self.attention(id, Some(bias), *heads, *window, *shift)?
            }
            Op::Attention { heads, window } => self.attention(id, None, *heads, *window, [0; 3])?,
            Op::Constant { value } => self.constant(id, value),
            Op::Depthwise { .. } | Op::DepthwiseTranspose { .. } => self.depthwise(id)?,
            op @ Op::Onnx { .. } => {
                return Err(Error::unsupported(format!("the operator {}", op.settings())));
            }
        };
        self.values[id] = Some(value);
        Ok(())
    }

    /// Adds a step; what it reads lives up to it.
    fn step(&mut self, step: Step) {
        let at = self.steps.len();
        let buffers: Vec<BufferId> = step.reads().iter().map(|block| block.buffer).collect();
        buffers.into_iter().for_each(|buffer| self.lives[buffer].last = at);
        self.steps.push(step);
    }

    /// Memory from the next step on.
    fn memory(&mut self, bytes: u64) -> BufferId {
        let step = self.steps.len();
        self.lives.push(Life { bytes, first: step, last: step });
        self.lives.len() - 1
    }

    /// A tensor that the next step writes.
    fn tensor(&mut self, blocks: usize, size: [usize; 3]) -> BufferId {
        let numbers = (blocks * LANES) as u64 * size.iter().product::<usize>() as u64;
        let buffer = self.memory(numbers * self.target.width());
        self.writers.insert(buffer, self.steps.len());
        buffer
    }

    /// A node's result in blocks.
    fn blocks(&mut self, id: NodeId) -> Result<Vec<Block>> {
        if let Some(Value::Blocks(blocks)) = &self.values[id] {
            return Ok(blocks.clone());
        }
        if let Some(blocks) = &self.entered {
            return Ok(blocks.clone());
        }
        let (count, size) = (self.network.channels(id), self.sizes[id]);
        let output = self.tensor(count.div_ceil(LANES), size);
        let blocks = blocks_of(output, count);
        let lanes = self.fixed.words(lanes_of(&blocks));
        let voxels = size.iter().product();
        self.step(Step::Enter { blocks: blocks.len(), voxels, lanes, output });
        self.entered = Some(blocks.clone());
        Ok(blocks)
    }

    fn mapped(&mut self, id: NodeId, function: Function) -> Result<Value> {
        let node = &self.network.nodes()[id];
        let inputs = self.blocks(node.inputs[0])?;
        let others = match node.inputs.get(1) {
            Some(&other) => self.blocks(other)?,
            None => Vec::new(),
        };
        // Two lists of other widths hold the same channels in other lanes.
        let same = |(a, b): (&Block, &Block)| a.lanes == b.lanes;
        let fits = inputs.len() == others.len() && inputs.iter().zip(&others).all(same);
        if !(fits || others.is_empty()) {
            return Err(Error::unsupported("a sum or product of concatenated channels"));
        }
        Ok(self.map(function, inputs, others, self.sizes[id]))
    }

    fn map(&mut self, function: Function, inputs: Vec<Block>, others: Vec<Block>, size: [usize; 3]) -> Value {
        let output = self.tensor(inputs.len(), size);
        let blocks = blocks_as(&inputs, output);
        self.step(Step::Map(Map { function, inputs, others, size, output, statistics: None }));
        Value::Blocks(blocks)
    }

    /// Blocks with no table, written anew.
    fn copied(&mut self, inputs: Vec<Block>, size: [usize; 3]) -> Vec<Block> {
        match self.map(Function::Copy, inputs, Vec::new(), size) {
            Value::Blocks(blocks) => blocks,
            Value::Image => Vec::new(),
        }
    }

    fn sampled(&mut self, id: NodeId, sampling: Sampling) -> Result<Value> {
        let input = self.network.nodes()[id].inputs[0];
        let inputs = self.blocks(input)?;
        let (from_size, size) = (self.sizes[input], self.sizes[id]);
        let output = self.tensor(inputs.len(), size);
        let blocks = blocks_as(&inputs, output);
        self.step(Step::Sample(Sample { sampling, inputs, from_size, output, size }));
        Ok(Value::Blocks(blocks))
    }

    /// A table of a block: scale and shift of each lane, and a slope of one.
    fn table(&mut self, scale: impl Fn(usize) -> f32, shift: impl Fn(usize) -> f32) -> Result<usize> {
        let start = self.tables.len();
        buffer::grow(&mut self.tables, NETWORK, TABLE)?;
        self.tables.extend((0..LANES).map(scale));
        self.tables.extend((0..LANES).map(shift));
        self.tables.extend([1.0; LANES]);
        Ok(start)
    }

    /// Plain blocks that one step writes, in order; others are copied.
    fn plain(&mut self, id: NodeId) -> Result<Vec<Block>> {
        let blocks = self.blocks(id)?;
        let own = blocks.iter().enumerate().all(|(index, block)| {
            block.buffer == blocks[0].buffer && block.index == index && block.table.is_none()
        });
        let writer = self.writers.get(&blocks[0].buffer).copied();
        if own && writer.is_some_and(|step| self.steps[step].statistics().is_some()) {
            return Ok(blocks);
        }
        Ok(self.copied(blocks, self.sizes[id]))
    }

    /// Statistics of the input, and tables that they are turned into.
    fn normalised(
        &mut self,
        id: NodeId,
        together: usize,
        [scale, shift]: [&Arc<Weight>; 2],
        epsilon: f32,
    ) -> Result<Value> {
        let mut blocks = self.plain(self.network.nodes()[id].inputs[0])?;
        if blocks.iter().rev().skip(1).any(|block| block.lanes != LANES) {
            return Err(Error::unsupported("a normalisation of concatenated channels"));
        }
        let unsupported = || Error::unsupported("a normalisation of values whose statistics aren't gathered");
        let writer = self.writers.get(&blocks[0].buffer).copied().ok_or_else(unsupported)?;
        let step = self.steps.len();
        let next = self.lives.len();
        let (statistics, slots, count) = self.steps[writer].statistics().ok_or_else(unsupported)?;
        let partials = *statistics.get_or_insert(next);
        if partials == next {
            let bytes = (slots * count * LANES * 3 * 4) as u64;
            self.lives.push(Life { bytes, first: writer, last: step });
        }
        self.lives[partials].last = step;
        let start = self.tables.len();
        for block in &mut blocks {
            block.table = Some(self.table(|_| 0.0, |_| 0.0)?);
        }
        let finish = Finish {
            partials,
            slots,
            channels: self.network.channels(id),
            together,
            scale: self.fixed.numbers(buffer::collect(NETWORK, scale.data.iter().copied())?),
            shift: self.fixed.numbers(buffer::collect(NETWORK, shift.data.iter().copied())?),
            epsilon,
            tables: vec![start],
        };
        self.step(Step::Finish(finish));
        self.fillers.insert(start, step);
        Ok(Value::Blocks(blocks))
    }

    /// A factor and a summand for each channel.
    fn scaled(&mut self, id: NodeId, factors: &[f64], summands: &[f64]) -> Result<Value> {
        let mut blocks = self.blocks(self.network.nodes()[id].inputs[0])?;
        if blocks.iter().any(|block| block.table.is_some()) {
            blocks = self.copied(blocks, self.sizes[id]);
        }
        let all = channels(&blocks);
        for (index, block) in blocks.iter_mut().enumerate() {
            let of = |values: &[f64], lane: usize| {
                all[index * LANES + lane].map_or(0.0, |channel| values[channel] as f32)
            };
            block.table = Some(self.table(|lane| of(factors, lane), |lane| of(summands, lane))?);
        }
        Ok(Value::Blocks(blocks))
    }

    /// Slopes of the negative side for each channel: in tables, where these are still without.
    fn activated(&mut self, id: NodeId, slope: &dyn Fn(usize) -> f32) -> Result<Value> {
        let mut blocks = self.blocks(self.network.nodes()[id].inputs[0])?;
        let all = channels(&blocks);
        let slopes: Vec<f32> = all.iter().map(|channel| channel.map_or(0.0, slope)).collect();
        if !slopes.iter().all(|&slope| slope <= 1.0) {
            let slopes = self.fixed.numbers(slopes);
            return Ok(self.map(Function::Slopes(slopes), blocks, Vec::new(), self.sizes[id]));
        }
        let active =
            |table: usize| self.tables[table + 2 * LANES..table + TABLE].iter().any(|&slope| slope != 1.0);
        if blocks.iter().any(|block| block.table.is_some_and(active)) {
            blocks = self.copied(blocks, self.sizes[id]);
        }
        // Each table is copied, since others may read the values without the activation.
        let mut copies = BTreeMap::new();
        for (index, block) in blocks.iter_mut().enumerate() {
            let table = match block.table {
                None => self.table(|_| 1.0, |_| 0.0)?,
                Some(table) => {
                    let start = self.tables.len();
                    buffer::grow(&mut self.tables, NETWORK, TABLE)?;
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
                if let Step::Finish(finish) = &mut self.steps[step] {
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

    /// Writes the last node's result to the scores, unless its step has done so.
    fn leave(&mut self) -> Result<()> {
        let last = self.network.nodes().len() - 1;
        let inputs = self.blocks(last)?;
        if !inputs.is_empty() {
            let lanes = self.fixed.words(lanes_of(&inputs));
            let voxels = self.sizes[last].iter().product();
            self.step(Step::Leave { inputs, voxels, lanes });
        }
        Ok(())
    }

    fn done(mut self) -> Result<Lowered> {
        let mut read = BTreeSet::new();
        for step in &self.steps {
            read.extend(step.reads().iter().filter_map(|block| block.table));
        }
        for step in &mut self.steps {
            if let Step::Finish(finish) = step {
                let blocks = finish.channels.div_ceil(LANES);
                let is_read =
                    |start: &usize| (0..blocks).any(|block| read.contains(&(start + block * TABLE)));
                finish.tables.retain(is_read);
            }
        }
        let tables = self.fixed.numbers(self.tables);
        let Lowering { steps, lives, fixed, constants, .. } = self;
        Ok(Lowered { steps, lives, fixed, tables, constants })
    }
}
