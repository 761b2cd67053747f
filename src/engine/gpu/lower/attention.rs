//! Steps of transformers: layer normalisation, attention, numbers for each voxel.

use std::sync::Arc;

use super::super::step::{Attention, LayerNorm, Sample, Sampling, Step};
use super::{Lowering, Value, blocks_as, lanes_of};
use crate::buffer;
use crate::engine::lowering::{LANES, NETWORK, RelativePlaces, Windows, blocks_of, channels};
use crate::error::{Error, Result};
use crate::network::{NodeId, Weight};

/// Bytes of shared memory that attention takes for heads of so many channels, with so many eights of queries and keys.
fn shared(width: usize, eights: usize) -> usize {
    let tokens = 8 * eights;
    4 * (2 * tokens * (width | 1) + tokens * (tokens + 1) + tokens * 8 + 3 * 2 * tokens)
}

impl Lowering<'_> {
    pub(super) fn layer_norm(
        &mut self,
        id: NodeId,
        [scale, shift]: [&Arc<Weight>; 2],
        epsilon: f32,
    ) -> Result<Value> {
        let inputs = self.blocks(self.network.nodes()[id].inputs[0])?;
        let mut affine = buffer::filled(NETWORK, 2 * inputs.len() * LANES, 0.0_f32)?;
        for (lane, channel) in channels(&inputs).into_iter().enumerate() {
            let at = lane / LANES * 2 * LANES + lane % LANES;
            if let Some(channel) = channel {
                (affine[at], affine[at + LANES]) = (scale.data[channel], shift.data[channel]);
            }
        }
        let (affine, lanes) = (self.fixed.numbers(affine), self.fixed.words(lanes_of(&inputs)));
        let output = self.tensor(inputs.len(), self.sizes[id]);
        let blocks = blocks_as(&inputs, output);
        let voxels = self.sizes[id].iter().product();
        self.step(Step::LayerNorm(LayerNorm { inputs, voxels, affine, lanes, epsilon, output }));
        Ok(Value::Blocks(blocks))
    }

    pub(super) fn attention(
        &mut self,
        id: NodeId,
        bias: Option<&Arc<Weight>>,
        heads: usize,
        window: [usize; 3],
        shift: [usize; 3],
    ) -> Result<Value> {
        let input = self.network.nodes()[id].inputs[0];
        let inputs = self.blocks(input)?;
        if inputs.iter().rev().skip(1).any(|block| block.lanes != LANES) {
            return Err(Error::unsupported("attention of concatenated channels"));
        }
        let windows = Windows::new(self.sizes[input], window, shift);
        let count = self.network.channels(id);
        let width = count / heads.max(1);
        // Tall groups read each key and value less often.
        let eights = [4, 2, 1].into_iter().find(|&eights| shared(width, eights) <= self.target.shared);
        let eights = eights.ok_or_else(|| {
            Error::unsupported(format!("attention with heads of {width} channels on this device"))
        })?;
        let bias = match bias {
            Some(table) => {
                let rows = RelativePlaces::new(window).len();
                let value = |index: usize| table.data[index % rows * heads + index / rows];
                let numbers = buffer::collect(NETWORK, (0..heads * rows).map(value))?;
                Some((self.fixed.numbers(numbers), window))
            }
            None => None,
        };
        let output = self.tensor(count.div_ceil(LANES), self.sizes[id]);
        self.step(Step::Attention(Attention { inputs, windows, heads, width, eights, bias, output }));
        Ok(Value::Blocks(blocks_of(output, count)))
    }

    /// Voxels of every second place along each axis, for each of the places in a block, one behind the other.
    pub(super) fn patch_merge(&mut self, id: NodeId, places: &[[usize; 3]]) -> Result<Value> {
        let input = self.network.nodes()[id].inputs[0];
        let inputs = self.blocks(input)?;
        let (from_size, size) = (self.sizes[input], self.sizes[id]);
        let mut all = Vec::new();
        for &place in places {
            let output = self.tensor(inputs.len(), size);
            all.extend(blocks_as(&inputs, output));
            let (sampling, inputs) = (Sampling::Second(place), inputs.clone());
            self.step(Step::Sample(Sample { sampling, inputs, from_size, output, size }));
        }
        Ok(Value::Blocks(all))
    }

    /// Numbers from training lie with the weights: no step brings them.
    pub(super) fn constant(&mut self, id: NodeId, value: &Arc<Weight>) -> Value {
        let (count, voxels) = (self.network.channels(id), self.sizes[id].iter().product());
        let offset = self.fixed.tensor(value, voxels, self.target.half);
        let buffer = self.memory(0);
        self.constants.insert(buffer, offset);
        Value::Blocks(blocks_of(buffer, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_published_networks_fit_every_device() {
        // SwinUNETR, UNETR, Primus, and the widest of tests; every device of Vulkan's has 16 KiB.
        for (width, least) in [(16, 4), (64, 2), (66, 2), (72, 2)] {
            assert!(shared(width, least) <= 16 << 10, "{width}: {}", shared(width, least));
        }
        assert!(shared(66, 4) <= 32 << 10);
    }
}
