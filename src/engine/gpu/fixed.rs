//! What a network has on the device whatever it computes: weights, tables, and what tells kernels where things are.

use crate::engine::lowering::{Kind, LANES, NETWORK};
use std::sync::Arc;

use half::f16;

use crate::buffer;
use crate::error::Result;
use crate::network::Weight;

/// Each content starts at a multiple of it.
const UNIT: u64 = 16;
/// A convolution's weights on their way to the device: [kind][turn][place][output block][channel][16 outputs].
pub(super) struct Packing {
    pub weight: Arc<Weight>,
    /// Of each output, from a batch normalisation behind the convolution.
    pub factors: Vec<f64>,
    pub kinds: Vec<Kind>,
    pub kernel: [usize; 3],
    pub outputs: usize,
    /// The input channel of each lane that the kernel meets.
    pub lanes: Vec<Option<usize>>,
    /// Lanes of a turn.
    pub depth: usize,
    /// Whether weights are [in, out, kernel…].
    pub transposed: bool,
    /// Whether they become halves.
    pub half: bool,
}

impl Packing {
    /// Numbers of a kind.
    pub(super) fn numbers(&self, kind: usize) -> usize {
        self.lanes.len() * self.kinds[kind].taps.len() * self.outputs.div_ceil(LANES) * LANES
    }

    /// Bytes of a number.
    pub(super) fn width(&self) -> usize {
        if self.half { 2 } else { 4 }
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        let all: usize = (0..self.kinds.len()).map(|kind| self.numbers(kind)).sum();
        let mut bytes = buffer::filled(NETWORK, all * self.width(), 0_u8)?;
        let (out_blocks, [_, rows, columns]) = (self.outputs.div_ceil(LANES), self.kernel);
        let (taps_of, shape) = (self.kernel.iter().product::<usize>(), &self.weight.shape);
        let mut start = 0;
        for (index, kind) in self.kinds.iter().enumerate() {
            for (lane, channel) in self.lanes.iter().enumerate() {
                let Some(channel) = *channel else { continue };
                let (turn, within) = (lane / self.depth, lane % self.depth);
                for (number, (place, _)) in kind.taps.iter().enumerate() {
                    let tap = (place[0] * rows + place[1]) * columns + place[2];
                    let first =
                        ((turn * kind.taps.len() + number) * out_blocks * self.depth + within) * LANES;
                    for output in 0..self.outputs {
                        let pair = match self.transposed {
                            false => output * shape[1] + channel,
                            true => channel * shape[1] + output,
                        };
                        let value = self.weight.data[pair * taps_of + tap];
                        let value = match self.factors[output] {
                            1.0 => value,
                            factor => (f64::from(value) * factor) as f32,
                        };
                        let at = start + first + output / LANES * self.depth * LANES + output % LANES;
                        put(&mut bytes, at, value, self.half);
                    }
                }
            }
            start += self.numbers(index);
        }
        Ok(bytes)
    }
}

/// A tensor from training on its way to the device: [block][voxel][lane].
struct Constant {
    /// [channel][voxel].
    value: Arc<Weight>,
    voxels: usize,
    half: bool,
}

impl Constant {
    fn channels(&self) -> usize {
        self.value.data.len() / self.voxels.max(1)
    }

    fn numbers(&self) -> usize {
        self.channels().div_ceil(LANES) * self.voxels * LANES
    }

    fn width(&self) -> usize {
        if self.half { 2 } else { 4 }
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = buffer::filled(NETWORK, self.numbers() * self.width(), 0_u8)?;
        for (index, &value) in self.value.data.iter().enumerate() {
            let (channel, voxel) = (index / self.voxels, index % self.voxels);
            let at = (channel / LANES * self.voxels + voxel) * LANES + channel % LANES;
            put(&mut bytes, at, value, self.half);
        }
        Ok(bytes)
    }
}

/// Writes a number, or the nearest half.
fn put(bytes: &mut [u8], at: usize, value: f32, half: bool) {
    match half {
        true => bytes[at * 2..at * 2 + 2].copy_from_slice(&f16::from_f32(value).to_ne_bytes()),
        false => bytes[at * 4..at * 4 + 4].copy_from_slice(&value.to_ne_bytes()),
    }
}

enum Content {
    Numbers(Vec<f32>),
    Words(Vec<u32>),
    Weights(Box<Packing>),
    Constant(Constant),
}

/// Contents one behind the other, by their offsets.
#[derive(Default)]
pub(super) struct Fixed {
    parts: Vec<(u64, Content)>,
    bytes: u64,
}

impl Fixed {
    fn put(&mut self, content: Content, bytes: usize) -> u64 {
        let offset = self.bytes;
        self.parts.push((offset, content));
        self.bytes = (offset + bytes as u64).next_multiple_of(UNIT);
        offset
    }

    pub(super) fn numbers(&mut self, values: Vec<f32>) -> u64 {
        let bytes = values.len() * 4;
        self.put(Content::Numbers(values), bytes)
    }

    pub(super) fn words(&mut self, values: Vec<u32>) -> u64 {
        let bytes = values.len() * 4;
        self.put(Content::Words(values), bytes)
    }

    pub(super) fn weights(&mut self, packing: Packing) -> u64 {
        let numbers: usize = (0..packing.kinds.len()).map(|kind| packing.numbers(kind)).sum();
        let bytes = numbers * packing.width();
        self.put(Content::Weights(Box::new(packing)), bytes)
    }

    /// Numbers of a tensor, [channel][voxel], in the layout and the type of tensors.
    pub(super) fn tensor(&mut self, value: &Arc<Weight>, voxels: usize, half: bool) -> u64 {
        let constant = Constant { value: value.clone(), voxels, half };
        let bytes = constant.numbers() * constant.width();
        self.put(Content::Constant(constant), bytes)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Hands each content over with its offset, and forgets it.
    ///
    /// # Errors
    /// A lack of memory, and those of `take`.
    pub(super) fn drain(&mut self, mut take: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        for (offset, content) in std::mem::take(&mut self.parts) {
            let bytes = match content {
                Content::Numbers(values) => {
                    buffer::collect(NETWORK, values.into_iter().flat_map(f32::to_ne_bytes))?
                }
                Content::Words(values) => {
                    buffer::collect(NETWORK, values.into_iter().flat_map(u32::to_ne_bytes))?
                }
                Content::Weights(packing) => packing.bytes()?,
                Content::Constant(constant) => constant.bytes()?,
            };
            take(offset, &bytes)?;
        }
        Ok(())
    }
}
