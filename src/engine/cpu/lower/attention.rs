//! Steps of transformers: layer normalisation, attention, numbers for each voxel.

use super::super::attention::{Attention, Bias};
use super::super::constant::Constant;
use super::super::layer_norm::LayerNorm;
use super::super::sample::Sampling;
use super::{Draft, Lowering, Value};
use crate::engine::lowering::{Block, LANES, Windows, blocks_of, channels};
use crate::error::Result;
use crate::network::{NodeId, Weight};

impl Lowering<'_> {
    pub(super) fn layer_norm(
        &mut self,
        id: NodeId,
        scale: &Weight,
        shift: &Weight,
        epsilon: f32,
    ) -> Result<Value> {
        let inputs = self.blocks(self.network.nodes()[id].inputs[0])?;
        let mut affine = self.weights()(2 * inputs.len() * LANES)?;
        for (lane, channel) in channels(&inputs).into_iter().enumerate() {
            let at = lane / LANES * 2 * LANES + lane % LANES;
            if let (Some(channel), [scales, .., shifts]) =
                (channel, affine.slice_mut().get_mut(at..=at + LANES).unwrap_or_default())
            {
                (*scales, *shifts) = (scale.data[channel], shift.data[channel]);
            }
        }
        let output = self.tensor(inputs.len(), self.sizes[id]);
        let blocks = written(&inputs, output);
        let voxels = self.sizes[id].iter().product();
        let reads = inputs.clone();
        self.step(Draft::Other(Box::new(LayerNorm { inputs, voxels, affine, epsilon, output })), &[&reads]);
        Ok(Value::Blocks(blocks))
    }

    pub(super) fn attention(
        &mut self,
        id: NodeId,
        bias: Option<&Weight>,
        heads: usize,
        window: [usize; 3],
        shift: [usize; 3],
    ) -> Result<Value> {
        let input = self.network.nodes()[id].inputs[0];
        let inputs = self.blocks(input)?;
        let windows = Windows::new(self.sizes[input], window, shift);
        let bias = bias.map(|bias| Bias::new(bias, heads, window, self.weights())).transpose()?;
        let output = self.result(id);
        let reads = inputs.clone();
        let step = Attention::new(inputs, self.network.channels(input), heads, windows, bias, output)?;
        self.step(Draft::Other(Box::new(step)), &[&reads]);
        Ok(Value::Blocks(blocks_of(output, self.network.channels(id))))
    }

    /// Voxels of every second place along each axis, for each of the places in a block, one behind the other.
    pub(super) fn patch_merge(&mut self, id: NodeId, places: &[[usize; 3]]) -> Result<Value> {
        let mut all = Vec::new();
        for &place in places {
            match self.sampled(id, Sampling::Second(place))? {
                Value::Blocks(blocks) => all.extend(blocks),
                Value::Image => {}
            }
        }
        Ok(Value::Blocks(all))
    }

    pub(super) fn constant(&mut self, id: NodeId, value: &Weight) -> Result<Value> {
        let (count, voxels) = (self.network.channels(id), self.sizes[id].iter().product::<usize>());
        let blocks = count.div_ceil(LANES);
        let mut values = self.weights()(blocks * voxels * LANES)?;
        for (index, to) in values.slice_mut().iter_mut().enumerate() {
            let (block, voxel, lane) = (index / LANES / voxels, index / LANES % voxels, index % LANES);
            let channel = block * LANES + lane;
            *to = if channel < count { value.data[channel * voxels + voxel] } else { 0.0 };
        }
        let output = self.result(id);
        self.step(Draft::Other(Box::new(Constant { values, blocks, voxels, output })), &[]);
        Ok(Value::Blocks(blocks_of(output, count)))
    }
}

/// Plain blocks of a tensor that has the channels of others in their lanes.
pub(super) fn written(inputs: &[Block], output: usize) -> Vec<Block> {
    let of =
        |(index, block): (usize, &Block)| Block { buffer: output, index, table: None, lanes: block.lanes };
    inputs.iter().enumerate().map(of).collect()
}
