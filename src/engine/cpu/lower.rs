//! From a network to a program: which step computes a node, and which nodes need none.
//!
//! Normalisations and activations become tables that the next reader applies; a batch normalisation behind a convolution
//! becomes part of its weights; a concatenation is a list of blocks; a sum is done by the convolution that makes one of
//! its terms.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::direct::{self, Direct, Input, Kind, Output, Reach};
use super::map::{Enter, Function, Leave, Map};
use super::memory::Memory;
use super::product::Panels;
use super::program::{Block, BufferId, Lifetime, Program, Step, TABLE};
use super::sample::{Sample, Sampling, linear};
use super::simd::{Isa, LANES};
use super::statistics::{Finish, PARTIAL, Partials};
use super::winograd::{self, Axis, Winograd};
use super::{Mode, Settings};
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
    Finish(Box<Finish>),
    Other(Box<dyn Step>),
}

impl Draft {
    fn finish(self) -> Box<dyn Step> {
        match self {
            Draft::Winograd(step) => step,
            Draft::Direct(step) => step,
            Draft::Map(step) => step,
            Draft::Finish(step) => step,
            Draft::Other(step) => step,
        }
    }

    /// Where it may leave statistics, and how many slots these have.
    fn statistics(&mut self) -> Option<(&mut Option<Partials>, usize, usize)> {
        match self {
            Draft::Winograd(step) => {
                let (slots, blocks) = (step.groups(), step.output_blocks);
                Some((&mut step.statistics, slots, blocks))
            }
            Draft::Direct(step) => {
                let (slots, blocks) = (step.spatial_tasks(), step.partial_blocks());
                Some((&mut step.statistics, slots, blocks))
            }
            Draft::Map(step) => {
                let (slots, blocks) = (step.chunks(), step.inputs.len());
                Some((&mut step.statistics, slots, blocks))
            }
            Draft::Finish(_) | Draft::Other(_) => None,
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
    buffers: Vec<Lifetime>,
    /// Which step writes a buffer.
    writers: BTreeMap<BufferId, usize>,
    tables: Vec<f32>,
    /// Which step fills a table.
    fillers: BTreeMap<usize, usize>,
}

/// Makes a program of a network for tiles of one size.
///
/// # Errors
/// [`Error::Unsupported`] that names an operator without a step here, and a lack of memory.
pub(super) fn lower(network: &Network, tile: [usize; 3], isa: Isa, settings: &Settings) -> Result<Program> {
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
        tables: Vec::new(),
        fillers: BTreeMap::new(),
    };
    for id in 0..network.nodes().len() {
        lowering.node(id)?;
    }
    lowering.leave()?;
    let steps = lowering.drafts.into_iter().map(Draft::finish).collect();
    Program::new(isa, settings.threads, steps, &lowering.buffers, &lowering.tables)
}

/// The network's operators that have no step.
pub(super) fn unsupported(op: &Op) -> bool {
    matches!(
        op,
        Op::Onnx { .. }
            | Op::LayerNorm { .. }
            | Op::PadToWindows { .. }
            | Op::PatchMerge { .. }
            | Op::WindowAttention { .. }
    )
}

/// A tensor in plain blocks.
fn blocks_of(buffer: BufferId, channels: usize) -> Vec<Block> {
    (0..channels.div_ceil(LANES))
        .map(|index| Block { buffer, index, table: None, lanes: LANES.min(channels - index * LANES) })
        .collect()
}

/// The channel of each lane.
fn channels(blocks: &[Block]) -> Vec<Option<usize>> {
    let mut first = 0;
    let mut result = Vec::new();
    for block in blocks {
        result.extend((0..LANES).map(|lane| (lane < block.lanes).then_some(first + lane)));
        first += block.lanes;
    }
    result
}

/// A value for each lane of a tensor's blocks.
fn lanes(values: impl ExactSizeIterator<Item = f32>) -> Result<Memory> {
    let mut memory = Memory::zeroed(values.len().next_multiple_of(LANES))?;
    memory.slice_mut().iter_mut().zip(values).for_each(|(lane, value)| *lane = value);
    Ok(memory)
}

/// A convolution on its way to a step.
struct Convolution<'a> {
    id: NodeId,
    weight: &'a Weight,
    /// Factor and summand of each result, from the bias and a batch normalisation behind it.
    factors: Vec<f64>,
    bias: Vec<f32>,
    kernel: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
    residual: Vec<Block>,
}

impl Convolution<'_> {
    fn value(&self, index: usize, out: usize) -> f32 {
        match self.factors[out] {
            1.0 => self.weight.data[index],
            factor => (f64::from(self.weight.data[index]) * factor) as f32,
        }
    }

    fn name(&self, network: &Network, sizes: &[[usize; 3]]) -> String {
        let node = &network.nodes()[self.id];
        let kind = if matches!(node.op, Op::ConvTranspose { .. }) { "transposed conv" } else { "conv" };
        let (inputs, size) = (network.channels(node.inputs[0]), sizes[self.id]);
        format!(
            "{kind} {inputs} to {} at {size:?}, kernel {:?}, stride {:?}",
            node.channels, self.kernel, self.stride
        )
    }
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
            op if unsupported(op) => {
                return Err(Error::unsupported(format!("the operator {}", op.settings())));
            }
            op => return Err(Error::unsupported(format!("the operator {}", op.settings()))),
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
        }
    }

    /// A buffer that the next step writes.
    fn buffer(&mut self, floats: usize) -> BufferId {
        let step = self.drafts.len();
        self.buffers.push(Lifetime { floats, first: step, last: step });
        self.writers.insert(self.buffers.len() - 1, step);
        self.buffers.len() - 1
    }

    /// A buffer for a node's result, that the next step writes.
    fn result(&mut self, id: NodeId) -> BufferId {
        let voxels = self.sizes[id].iter().product::<usize>();
        self.buffer(self.network.channels(id).div_ceil(LANES) * voxels * LANES)
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
        let others = match node.inputs.get(1) {
            Some(&other) => self.blocks(other)?,
            None => Vec::new(),
        };
        // Two lists of other widths hold the same channels in other lanes.
        let same = |(a, b): (&Block, &Block)| a.lanes == b.lanes;
        if !others.is_empty() && !(inputs.len() == others.len() && inputs.iter().zip(&others).all(same)) {
            return Err(Error::unsupported("a sum or product of concatenated channels"));
        }
        self.map(function, inputs, others, self.sizes[id])
    }

    fn map(
        &mut self,
        function: Function,
        inputs: Vec<Block>,
        others: Vec<Block>,
        size: [usize; 3],
    ) -> Result<Value> {
        let output = self.buffer(inputs.len() * size.iter().product::<usize>() * LANES);
        let blocks = inputs
            .iter()
            .enumerate()
            .map(|(index, block)| Block { buffer: output, index, table: None, lanes: block.lanes })
            .collect();
        let reads = (inputs.clone(), others.clone());
        let map = Map { function, inputs, others, size, output, statistics: None };
        self.step(Draft::Map(Box::new(map)), &[&reads.0, &reads.1]);
        Ok(Value::Blocks(blocks))
    }

    fn sampled(&mut self, id: NodeId, sampling: Sampling) -> Result<Value> {
        let input = self.network.nodes()[id].inputs[0];
        let inputs = self.blocks(input)?;
        let (input_size, output_size) = (self.sizes[input], self.sizes[id]);
        let output = self.buffer(inputs.len() * output_size.iter().product::<usize>() * LANES);
        let blocks = inputs
            .iter()
            .enumerate()
            .map(|(index, block)| Block { buffer: output, index, table: None, lanes: block.lanes })
            .collect();
        let reads = inputs.clone();
        let sample = Sample { sampling, inputs, input_size, output, output_size };
        self.step(Draft::Other(Box::new(sample)), &[&reads]);
        Ok(Value::Blocks(blocks))
    }

    /// A table of a block: scale and shift of each lane, and a slope of one.
    fn table(&mut self, scale: &dyn Fn(usize) -> f32, shift: &dyn Fn(usize) -> f32, slope: f32) -> usize {
        let start = self.tables.len();
        self.tables.extend((0..LANES).map(scale));
        self.tables.extend((0..LANES).map(shift));
        self.tables.extend([slope; LANES]);
        start
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
                self.buffers.push(Lifetime { floats: slots * count * PARTIAL, first: writer, last: step });
                partials
            }
        };
        self.buffers[partials.buffer].last = step;
        let start = self.tables.len();
        for block in &mut blocks {
            block.table = Some(self.table(&|_| 0.0, &|_| 0.0, 1.0));
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
            block.table = Some(self.table(&|lane| of(factors, lane), &|lane| of(summands, lane), 1.0));
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
        if slopes.iter().any(|&slope| !(slope <= 1.0)) {
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
                None => self.table(&|_| 1.0, &|_| 0.0, 1.0),
                Some(table) => {
                    let start = self.tables.len();
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

    fn convolution(&mut self, id: NodeId) -> Result<()> {
        let network = self.network;
        let node = &network.nodes()[id];
        let (weight, bias, kernel, stride, padding, transposed) = match &node.op {
            Op::Conv { weight, bias, kernel, stride, padding } => {
                (weight, bias, kernel, stride, padding, false)
            }
            Op::ConvTranspose { weight, bias, kernel, stride, padding } => {
                (weight, bias, kernel, stride, padding, true)
            }
            op => return Err(Error::unsupported(format!("the operator {} as a convolution", op.settings()))),
        };
        let mut last = id;
        let mut factors = vec![1.0; node.channels];
        let mut summands: Vec<f64> = bias
            .as_ref()
            .map_or(vec![0.0; node.channels], |bias| bias.data.iter().map(|&x| x.into()).collect());
        if let Some(user) =
            self.only_user(last).filter(|&user| matches!(network.nodes()[user].op, Op::BatchNorm { .. }))
        {
            let (factor, summand) = batch_norm(&network.nodes()[user].op);
            for channel in 0..node.channels {
                factors[channel] = factor[channel];
                summands[channel] = summands[channel] * factor[channel] + summand[channel];
            }
            last = user;
        }
        let mut residual = Vec::new();
        if let Some(user) = self.only_user(last).filter(|&user| matches!(network.nodes()[user].op, Op::Add)) {
            let [a, b] = [network.nodes()[user].inputs[0], network.nodes()[user].inputs[1]];
            let other = if a == last { b } else { a };
            if let Some(Value::Blocks(blocks)) = &self.values[other] {
                let own = blocks_of(0, node.channels);
                let fits =
                    blocks.len() == own.len() && blocks.iter().zip(&own).all(|(a, b)| a.lanes == b.lanes);
                if fits && self.sizes[other] == self.sizes[last] {
                    residual = blocks.clone();
                    last = user;
                }
            }
        }
        let input = match &self.values[node.inputs[0]] {
            Some(Value::Image) => None,
            _ => Some(self.blocks(node.inputs[0])?),
        };
        let convolution = Convolution {
            id,
            weight,
            factors,
            bias: summands.iter().map(|&value| value as f32).collect(),
            kernel: *kernel,
            stride: *stride,
            padding: *padding,
            residual,
        };
        let final_scores = last == network.nodes().len() - 1;
        let value = match self.axes(&convolution, transposed, input.as_deref(), final_scores) {
            Some((axes, whole)) => self.winograd(convolution, axes, whole, input.unwrap_or_default())?,
            None => self.direct(convolution, transposed, input, final_scores)?,
        };
        for id in [id, last] {
            self.values[id] = Some(value.clone());
        }
        // A batch normalisation between the two.
        if let Some(user) = self.only_user(id).filter(|&user| user < last) {
            self.values[user] = Some(value);
        }
        Ok(())
    }

    /// Filters along the axes, where they are faster than the sum itself.
    fn axes(
        &self,
        convolution: &Convolution,
        transposed: bool,
        input: Option<&[Block]>,
        final_scores: bool,
    ) -> Option<([Axis; 3], bool)> {
        let blocks = input?.len();
        if transposed || final_scores || self.settings.mode == Mode::Exact {
            return None;
        }
        let size = self.sizes[convolution.id];
        let outputs = self.network.channels(convolution.id).div_ceil(LANES);
        let mut candidates: Vec<Vec<Axis>> = Vec::new();
        for axis in 0..3 {
            let options =
                match (convolution.kernel[axis], convolution.stride[axis], convolution.padding[axis]) {
                    (1, 1, 0) => vec![Axis::One],
                    (3, 1, 1) => vec![Axis::F43, Axis::F23],
                    (3, 2, 1) => vec![Axis::S42, Axis::S22],
                    _ => return None,
                };
            candidates.push(options);
        }
        if convolution.kernel == [1; 3] {
            return None;
        }
        let taps = convolution.kernel.iter().product();
        let mut best = (direct::cycles(size, taps, blocks, outputs), None);
        for &z in &candidates[0] {
            for &y in &candidates[1] {
                for &x in &candidates[2] {
                    let cost = winograd::cost([z, y, x], size, blocks, outputs);
                    if cost.cycles < best.0 {
                        best = (cost.cycles, Some(([z, y, x], cost.whole)));
                    }
                }
            }
        }
        best.1
    }

    fn winograd(
        &mut self,
        convolution: Convolution,
        axes: [Axis; 3],
        whole: bool,
        inputs: Vec<Block>,
    ) -> Result<Value> {
        let (network, id) = (self.network, convolution.id);
        let (out, size) = (network.channels(id), self.sizes[id]);
        let blocks = out.div_ceil(LANES);
        let lanes_of = channels(&inputs);
        let kernel_size = convolution.kernel.iter().product::<usize>();
        let of = convolution.weight.shape[1];
        let weights = winograd::Weights::new(
            axes,
            (blocks, inputs.len() * LANES),
            self.isa.panel_blocks(),
            self.settings.threads,
            |output, input, kernel| {
                kernel.fill(0.0);
                if let (true, Some(channel)) = (output < out, lanes_of[input]) {
                    for (at, value) in kernel[..kernel_size].iter_mut().enumerate() {
                        *value = convolution.value((output * of + channel) * kernel_size + at, output);
                    }
                }
            },
        )?;
        let output = self.result(id);
        let whole = match whole {
            true => {
                let floats = [inputs.len(), blocks].map(|blocks| Winograd::whole_floats(axes, size, blocks));
                Some([self.buffer(floats[0]), self.buffer(floats[1])])
            }
            false => None,
        };
        let reads = (inputs.clone(), convolution.residual.clone());
        let step = Winograd {
            axes,
            input_size: self.sizes[network.nodes()[id].inputs[0]],
            inputs,
            output,
            output_blocks: blocks,
            output_size: size,
            weights,
            bias: lanes(convolution.bias.iter().copied())?,
            name: convolution.name(network, &self.sizes),
            residual: convolution.residual,
            statistics: None,
            whole,
        };
        self.step(Draft::Winograd(Box::new(step)), &[&reads.0, &reads.1]);
        Ok(Value::Blocks(blocks_of(output, out)))
    }

    fn direct(
        &mut self,
        convolution: Convolution,
        transposed: bool,
        input: Option<Vec<Block>>,
        final_scores: bool,
    ) -> Result<Value> {
        let (network, id) = (self.network, convolution.id);
        let (out, size) = (network.channels(id), self.sizes[id]);
        let source = network.nodes()[id].inputs[0];
        let lanes_of = match &input {
            Some(blocks) => channels(blocks),
            None => (0..network.channels(source)).map(Some).collect(),
        };
        let reads = (input.clone().unwrap_or_default(), convolution.residual.clone());
        let input = match input {
            Some(blocks) => Input::Blocks(blocks),
            None => Input::Image(network.channels(source)),
        };
        let (reach, kinds) = match transposed {
            false => forward(&convolution),
            true => backward(&convolution),
        };
        let kernel = convolution.kernel;
        let taps_of = kernel.iter().product::<usize>();
        let shape = &convolution.weight.shape;
        let panel_blocks = self.isa.panel_blocks();
        let mut finished = Vec::new();
        for (start, taps) in kinds {
            let panels = Panels::new(out, taps.len(), lanes_of.len(), panel_blocks, |output, values| {
                for (tap, (place, _)) in taps.iter().enumerate() {
                    let at = (place[0] * kernel[1] + place[1]) * kernel[2] + place[2];
                    for (lane, channel) in lanes_of.iter().enumerate() {
                        let value = channel.map_or(0.0, |channel| {
                            let pair = match transposed {
                                false => output * shape[1] + channel,
                                true => channel * shape[1] + output,
                            };
                            convolution.value(pair * taps_of + at, output)
                        });
                        values[tap * lanes_of.len() + lane] = value;
                    }
                }
            })?;
            finished.push(Kind { start, taps: taps.iter().map(|&(_, offset)| offset).collect(), panels });
        }
        // Only plain results can go straight to the caller.
        let scores = final_scores && convolution.residual.is_empty();
        let output = if scores { Output::Scores } else { Output::Buffer(self.result(id)) };
        let step = Direct::new(
            (input, self.sizes[source]),
            reach,
            finished,
            (output, out, size),
            lanes(convolution.bias.iter().copied())?,
            convolution.residual.clone(),
            convolution.name(network, &self.sizes),
        );
        self.step(Draft::Direct(Box::new(step)), &[&reads.0, &reads.1]);
        Ok(match output {
            Output::Buffer(buffer) => Value::Blocks(blocks_of(buffer, out)),
            // Nothing reads it, and nothing is left to write.
            Output::Scores => Value::Blocks(Vec::new()),
        })
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

/// (x − mean) / √(variance + epsilon) · scale + shift as factors and summands.
fn batch_norm(op: &Op) -> (Vec<f64>, Vec<f64>) {
    let Op::BatchNorm { scale, shift, mean, variance, epsilon } = op else {
        return (Vec::new(), Vec::new());
    };
    (0..scale.data.len())
        .map(|channel| {
            let of = |weight: &Weight| f64::from(weight.data[channel]);
            let factor = of(scale) / (of(variance) + f64::from(*epsilon)).sqrt();
            (factor, of(shift) - of(mean) * factor)
        })
        .unzip()
}

/// Place of a weight in the kernel, and of the voxel that it meets from the first that any result reads.
type Tap = ([usize; 3], [usize; 3]);

/// All positions of a box.
pub(super) fn places(size: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [_, rows, columns] = size;
    (0..size.iter().product())
        .map(move |index| [index / (rows * columns), index / columns % rows, index % columns])
}

fn forward(convolution: &Convolution) -> (Reach, Vec<([usize; 3], Vec<Tap>)>) {
    let reach = Reach {
        step: convolution.stride,
        first: convolution.padding.map(|padding| -(padding as isize)),
        span: convolution.kernel,
        out_step: [1; 3],
    };
    (reach, vec![([0; 3], places(convolution.kernel).map(|place| (place, place)).collect())])
}

/// Result o · stride + r of a transposed convolution takes weight k from voxel o + (r + padding − k) / stride, where
/// that is a whole number.
fn backward(convolution: &Convolution) -> (Reach, Vec<([usize; 3], Vec<Tap>)>) {
    let Convolution { kernel, stride, padding, .. } = convolution;
    let offset = |axis: usize, start: usize, weight: usize| {
        let distance = (start + padding[axis]) as isize - weight as isize;
        let stride = stride[axis] as isize;
        (distance.rem_euclid(stride) == 0).then(|| distance.div_euclid(stride))
    };
    let all = |axis: usize| {
        (0..stride[axis])
            .flat_map(move |start| (0..kernel[axis]).filter_map(move |weight| offset(axis, start, weight)))
    };
    let first: [isize; 3] = std::array::from_fn(|axis| all(axis).min().unwrap_or(0));
    let last: [isize; 3] = std::array::from_fn(|axis| all(axis).max().unwrap_or(0));
    let span = std::array::from_fn(|axis| (last[axis] - first[axis]) as usize + 1);
    let kinds = places(*stride)
        .map(|start| {
            let taps = places(*kernel).filter_map(|place| {
                let mut at = [0; 3];
                for axis in 0..3 {
                    at[axis] = (offset(axis, start[axis], place[axis])? - first[axis]) as usize;
                }
                Some((place, at))
            });
            (start, taps.collect())
        })
        .collect();
    (Reach { step: [1; 3], first, span, out_step: *stride }, kinds)
}
