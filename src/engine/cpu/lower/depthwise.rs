//! Convolutions of each channel by itself.

use super::super::depthwise::{Depthwise, backward, forward};
use super::attention::written;
use super::{Draft, Lowering, Value};
use crate::engine::lowering::{LANES, channels};
use crate::error::Result;
use crate::network::{NodeId, Op};

impl Lowering<'_> {
    pub(super) fn depthwise(&mut self, id: NodeId) -> Result<Value> {
        let node = &self.network.nodes()[id];
        let (weight, bias, kernel, stride, padding, transposed) = match &node.op {
            Op::Depthwise { weight, bias, kernel, stride, padding } => {
                (weight, bias, *kernel, *stride, *padding, false)
            }
            Op::DepthwiseTranspose { weight, bias, kernel, stride, padding } => {
                (weight, bias, *kernel, *stride, *padding, true)
            }
            op => unreachable!("{} isn't depthwise", op.settings()),
        };
        let inputs = self.blocks(node.inputs[0])?;
        let (input_size, output_size) = (self.sizes[node.inputs[0]], self.sizes[id]);
        let axis = |axis: usize| {
            let make = if transposed { backward } else { forward };
            make(input_size[axis], output_size[axis], [kernel[axis], stride[axis], padding[axis]])
        };
        let taps = [axis(0)?, axis(1)?, axis(2)?];
        let count: usize = kernel.iter().product();
        let mut weights = self.weights()(inputs.len() * (1 + count) * LANES)?;
        let values = weights.slice_mut();
        for (lane, channel) in channels(&inputs).into_iter().enumerate() {
            let Some(channel) = channel.filter(|_| !self.planned) else { continue };
            values[lane] = bias.data[channel];
            let first = (inputs.len() + lane / LANES * count) * LANES + lane % LANES;
            for tap in 0..count {
                values[first + tap * LANES] = weight.data[channel * count + tap];
            }
        }
        let output = self.tensor(inputs.len(), output_size);
        let blocks = written(&inputs, output);
        let reads = inputs.clone();
        let step =
            Depthwise { inputs, input_size, kernel, taps, weights, output, output_size, statistics: None };
        self.step(Draft::Depthwise(Box::new(step)), &[&reads]);
        Ok(Value::Blocks(blocks))
    }
}
