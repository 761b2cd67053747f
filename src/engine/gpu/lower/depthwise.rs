//! Convolutions of each channel by itself.

use super::super::step::{Depthwise, Step};
use super::{Lowering, Value, blocks_as};
use crate::buffer;
use crate::engine::lowering::{LANES, NETWORK, channels};
use crate::error::{Error, Result};
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
            op => return Err(Error::unsupported(format!("the operator {} as depthwise", op.settings()))),
        };
        let source = node.inputs[0];
        let inputs = self.blocks(source)?;
        let taps: usize = kernel.iter().product();
        let mut weights = buffer::filled(NETWORK, inputs.len() * taps * LANES, 0.0_f32)?;
        let mut summands = buffer::filled(NETWORK, inputs.len() * LANES, 0.0_f32)?;
        for (lane, channel) in channels(&inputs).into_iter().enumerate() {
            let Some(channel) = channel else { continue };
            summands[lane] = bias.data[channel];
            let first = lane / LANES * taps * LANES + lane % LANES;
            for tap in 0..taps {
                weights[first + tap * LANES] = weight.data[channel * taps + tap];
            }
        }
        let (from_size, size) = (self.sizes[source], self.sizes[id]);
        let output = self.tensor(inputs.len(), size);
        let blocks = blocks_as(&inputs, output);
        let (weights, bias) = (self.fixed.numbers(weights), self.fixed.numbers(summands));
        self.step(Step::Depthwise(Depthwise {
            transposed,
            inputs,
            from_size,
            kernel,
            stride,
            padding,
            weights,
            bias,
            output,
            size,
            statistics: None,
        }));
        Ok(Value::Blocks(blocks))
    }
}
