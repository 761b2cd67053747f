//! Convolutions: which way is the fastest, what behind them becomes part of them, and their weights.

use super::super::Algorithm;
use super::super::direct::{self, Direct, Input, Kind, Output};
use super::super::memory::Memory;
use super::super::product::Panels;
use super::super::program::Label;
use super::super::winograd::{self, Axis, Winograd};
use super::{Draft, Lowering, Value};
use crate::buffer;
use crate::engine::lowering;
use crate::engine::lowering::{Block, LANES, backward, batch_norm, blocks_of, channels, forward};
use crate::error::{Error, Result};
use crate::network::{Network, NodeId, Op, Weight};

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

    fn label(&self, network: &Network, sizes: &[[usize; 3]]) -> Label {
        let node = &network.nodes()[self.id];
        let (inputs, size) = (network.channels(node.inputs[0]), sizes[self.id]);
        // Every weight meets every voxel of the results, or of the image where it is spread out.
        let (kind, voxels) = match node.op {
            Op::ConvTranspose { .. } => ("transposed conv", sizes[node.inputs[0]]),
            _ => ("conv", size),
        };
        let weights = inputs * node.channels * self.kernel.iter().product::<usize>();
        let name = format!(
            "{kind} {inputs} to {} at {size:?}, kernel {:?}, stride {:?}",
            node.channels, self.kernel, self.stride
        );
        Label { name, multiply_adds: (weights * voxels.iter().product::<usize>()) as u64 }
    }
}

/// What its memory is for, in errors.
const NETWORK: &str = "a network";

impl Lowering<'_> {
    /// Memory for weights, or only its size.
    pub(super) fn weights(&self) -> impl Fn(usize) -> Result<Memory> + use<> {
        let planned = self.planned;
        move |floats| if planned { Ok(Memory::planned(floats)) } else { Memory::zeroed(floats) }
    }

    /// A value for each lane of a tensor's blocks.
    fn lanes(&self, values: impl ExactSizeIterator<Item = f32>) -> Result<Memory> {
        let mut memory = self.weights()(values.len().next_multiple_of(LANES))?;
        memory.slice_mut().iter_mut().zip(values).for_each(|(lane, value)| *lane = value);
        Ok(memory)
    }

    pub(super) fn convolution(&mut self, id: NodeId) -> Result<()> {
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
        if transposed || final_scores || self.settings.convolution == Algorithm::Direct {
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
            self.weights(),
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
                Some([self.memory(floats[0]), self.memory(floats[1])])
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
            bias: self.lanes(convolution.bias.iter().copied())?,
            label: convolution.label(network, &self.sizes),
            residual: convolution.residual,
            statistics: None,
            whole,
            slabs: None,
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
        let depth = input.depth();
        let (reach, kinds) = match transposed {
            false => forward(convolution.kernel, convolution.stride, convolution.padding)?,
            true => backward(convolution.kernel, convolution.stride, convolution.padding)?,
        };
        let kernel = convolution.kernel;
        let taps_of = kernel.iter().product::<usize>();
        let shape = &convolution.weight.shape;
        let panel_blocks = self.isa.panel_blocks();
        let mut finished = Vec::new();
        for lowering::Kind { start, taps } in kinds {
            let of_block = taps.len() * depth;
            let terms = of_block * lanes_of.len() / depth;
            let panels = Panels::new(out, terms, panel_blocks, self.weights(), |output, values| {
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
                        values[lane / depth * of_block + tap * depth + lane % depth] = value;
                    }
                }
            })?;
            let taps = buffer::collect(NETWORK, taps.iter().map(|&(_, offset)| offset))?;
            finished.push(Kind { start, taps, panels });
        }
        // Only plain results can go straight to the caller.
        let scores = final_scores && convolution.residual.is_empty();
        let output = if scores { Output::Scores } else { Output::Buffer(self.result(id)) };
        let step = Direct::new(
            (input, self.sizes[source]),
            reach,
            finished,
            (output, out, size),
            self.lanes(convolution.bias.iter().copied())?,
            convolution.residual.clone(),
            convolution.label(network, &self.sizes),
        )?;
        self.step(Draft::Direct(Box::new(step)), &[&reads.0, &reads.1]);
        Ok(match output {
            Output::Buffer(buffer) => Value::Blocks(blocks_of(buffer, out)),
            // Nothing reads it, and nothing is left to write.
            Output::Scores => Value::Blocks(Vec::new()),
        })
    }
}
