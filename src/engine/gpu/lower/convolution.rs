//! Convolutions: what behind them becomes part of them, which voxels they read, and their weights.

use super::super::class::Matrices;
use super::super::fixed::Packing;
use super::super::step::{Conv, Input, Output, Step};
use super::tile::{VOXELS, tile};
use super::{Lowering, Value};
use crate::buffer;
use crate::engine::lowering::{Block, LANES, NETWORK, backward, batch_norm, blocks_of, channels, forward};
use crate::error::{Error, Result};
use crate::network::{NodeId, Op};

/// Bytes of shared memory for what groups sum up over their invocations.
const SUMS: usize = 2048;

impl Lowering<'_> {
    pub(super) fn convolution(&mut self, id: NodeId) -> Result<()> {
        let network = self.network;
        let node = &network.nodes()[id];
        let (weight, bias, kernel, stride, padding, transposed) = match &node.op {
            Op::Conv { weight, bias, kernel, stride, padding } => {
                (weight, bias, *kernel, *stride, *padding, false)
            }
            Op::ConvTranspose { weight, bias, kernel, stride, padding } => {
                (weight, bias, *kernel, *stride, *padding, true)
            }
            op => return Err(Error::unsupported(format!("the operator {} as a convolution", op.settings()))),
        };
        let mut last = id;
        let mut factors = vec![1.0; node.channels];
        let mut summands: Vec<f64> = bias
            .as_ref()
            .map_or(vec![0.0; node.channels], |bias| bias.data.iter().map(|&x| x.into()).collect());
        let is_norm = |user: &NodeId| matches!(network.nodes()[*user].op, Op::BatchNorm { .. });
        if let Some(user) = self.only_user(last).filter(is_norm) {
            let (factor, summand) = batch_norm(&network.nodes()[user].op);
            for channel in 0..node.channels {
                factors[channel] = factor[channel];
                summands[channel] = summands[channel] * factor[channel] + summand[channel];
            }
            last = user;
        }
        let (residual, last) = self.residual(last, node.channels);
        let final_scores = last == network.nodes().len() - 1;

        let source = node.inputs[0];
        let input = match &self.values[source] {
            Some(Value::Image) => Input::Image(network.channels(source)),
            _ => Input::Blocks(self.blocks(source)?),
        };
        let single = matches!(input, Input::Image(_)) || !self.target.half;
        let (lanes, depth) = match &input {
            // As many turns as it takes, the last one with what is left.
            Input::Image(count) => {
                let depth = (*count).min(8);
                let all = count.next_multiple_of(depth);
                ((0..all).map(|lane| (lane < *count).then_some(lane)).collect(), depth)
            }
            Input::Blocks(blocks) => (channels(blocks), if single { 8 } else { LANES }),
        };
        let (reach, mut kinds) = match transposed {
            false => forward(kernel, stride, padding)?,
            true => backward(kernel, stride, padding)?,
        };
        let (from_size, result) = (self.sizes[source], self.sizes[id]);
        let size = std::array::from_fn(|axis| result[axis] / reach.out_step[axis]);
        let matrices = self.target.matrices.filter(|_| !single);
        let eights = eights(node.channels, matrices);
        let (of_voxel, sums) = match matrices {
            // Voxels are farther apart there, so that they fall on other banks.
            Some(matrices) => (48, matrices.teams as usize * eights * 32),
            None if single => ((depth | 1) * 4, SUMS),
            None => (32, SUMS),
        };
        let room = self.target.shared.saturating_sub(sums) / of_voxel;
        let along = matrices.map_or(1, |matrices| matrices.matrix.m as usize);
        let (tile, mut words) = tile(size, &reach, &mut kinds, room.max(VOXELS), along);

        let multiply_adds = lanes.len() * node.channels.next_multiple_of(LANES);
        let taps: usize = kinds.iter().map(|kind| kind.taps.len()).sum();
        let multiply_adds = (multiply_adds * taps) as u64 * size.iter().product::<usize>() as u64;
        let packing = Packing {
            weight: weight.clone(),
            factors,
            kinds,
            kernel,
            outputs: node.channels,
            lanes,
            depth,
            transposed,
            half: !single,
        };
        // Where each kind's weights start, in sixteens of bytes.
        let mut start = 0;
        for kind in 0..packing.kinds.len() {
            let past = || Error::unsupported("a convolution with more than 64 GiB of weights");
            words[kind * 8 + 6] = u32::try_from(start).map_err(|_| past())?;
            start += packing.numbers(kind) * packing.width() / 16;
        }
        let weight_bytes = start as u64 * 16;
        let (kinds, turns) = (packing.kinds.len(), packing.lanes.len() / packing.depth);
        let mut bias = buffer::filled(NETWORK, node.channels.next_multiple_of(LANES), 0.0_f32)?;
        bias.iter_mut().zip(&summands).for_each(|(lane, &value)| *lane = value as f32);

        // Only plain results can go straight to the caller.
        let scores = final_scores && residual.is_empty();
        let output = match scores {
            true => Output::Scores,
            false => Output::Tensor(self.tensor(node.channels.div_ceil(LANES), result)),
        };
        let conv = Conv {
            input,
            output,
            outputs: node.channels,
            tile,
            matrices,
            eights,
            depth,
            turns,
            kinds,
            step: reach.step,
            out_step: reach.out_step,
            corner: reach.first,
            size,
            from_size,
            weights: self.fixed.weights(packing),
            weight_bytes,
            bias: self.fixed.numbers(bias),
            plan: self.fixed.words(words),
            residual,
            statistics: None,
            multiply_adds,
        };
        self.step(Step::Conv(Box::new(conv)));
        let value = match output {
            Output::Tensor(buffer) => Value::Blocks(blocks_of(buffer, node.channels)),
            // Nothing reads it, and nothing is left to write.
            Output::Scores => Value::Blocks(Vec::new()),
        };
        // A batch normalisation between the two has the same value.
        let between = self.only_user(id).filter(|&user| user < last);
        for id in [id, last].into_iter().chain(between) {
            self.values[id] = Some(value.clone());
        }
        Ok(())
    }

    /// What is added behind a node, where its convolution can do that, and the node that is the sum.
    fn residual(&self, last: NodeId, count: usize) -> (Vec<Block>, NodeId) {
        let nodes = self.network.nodes();
        let Some(user) = self.only_user(last).filter(|&user| matches!(nodes[user].op, Op::Add)) else {
            return (Vec::new(), last);
        };
        let other = match nodes[user].inputs[..] {
            [a, b] if a == last => b,
            [a, _] => a,
            _ => return (Vec::new(), last),
        };
        let Some(Value::Blocks(blocks)) = &self.values[other] else { return (Vec::new(), last) };
        let own = blocks_of(0, count);
        let fits = blocks.len() == own.len() && blocks.iter().zip(&own).all(|(a, b)| a.lanes == b.lanes);
        match fits && self.sizes[other] == self.sizes[last] {
            true => (blocks.clone(), user),
            false => (Vec::new(), last),
        }
    }
}

/// Eights of channels that a group computes, of so many.
fn eights(channels: usize, matrices: Option<Matrices>) -> usize {
    let needed = match channels {
        0..=8 => 1,
        9..=16 => 2,
        17..=32 => 4,
        _ => 8,
    };
    match matrices {
        // Whole matrices, of whole blocks.
        Some(matrices) => needed.clamp(2, matrices.most_eights as usize),
        None => needed.min(4),
    }
}
