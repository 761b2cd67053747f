//! Layer normalisation: each voxel by the mean and the variance of its channels.

use super::map::read;
use super::memory::Memory;
use super::program::{Context, Step};
use super::simd::{Kernel, Simd, dispatch};
use crate::engine::lowering::{Block, BufferId, LANES};

/// Voxels of a task.
const CHUNK: usize = 1024;

/// Ones, then zeros: from 16 − n on, n ones.
const ONES: [f32; 2 * LANES] = {
    let mut ones = [0.0; 2 * LANES];
    let mut lane = 0;
    while lane < LANES {
        ones[lane] = 1.0;
        lane += 1;
    }
    ones
};

pub(super) struct LayerNorm {
    pub inputs: Vec<Block>,
    pub voxels: usize,
    /// Scale and shift of each block's lanes: [block, 2, lane].
    pub affine: Memory,
    pub epsilon: f32,
    pub output: BufferId,
}

struct Task<'a> {
    layer: &'a LayerNorm,
    context: &'a Context<'a>,
    start: usize,
}

impl Kernel for Task<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (layer, context) = (self.layer, self.context);
        let channels: usize = layer.inputs.iter().map(|block| block.lanes).sum();
        let share = 1.0 / channels as f32;
        let values = context.scratch;
        let affine = layer.affine.pointer().cast_const();
        for voxel in self.start..(self.start + CHUNK).min(layer.voxels) {
            // SAFETY: the scratch memory has a place for each block's lanes; a task writes its own voxels.
            unsafe {
                // Lanes without a channel hold zeros, whatever their table says.
                let mut sum = S::zero();
                for (index, block) in layer.inputs.iter().enumerate() {
                    let ones = S::load(ONES.as_ptr().add(LANES - block.lanes));
                    let value = read::<S>(context.block(block).add(voxel * LANES), context.reader(block));
                    let value = S::mul(value, ones);
                    S::store(values.add(index * LANES), value);
                    sum = S::add(sum, value);
                }
                let mean = S::splat(total::<S>(sum) * share);
                let mut squares = S::zero();
                for (index, block) in layer.inputs.iter().enumerate() {
                    let ones = S::load(ONES.as_ptr().add(LANES - block.lanes));
                    let distance = S::mul(S::sub(S::load(values.add(index * LANES)), mean), ones);
                    S::store(values.add(index * LANES), distance);
                    squares = S::fma(distance, distance, squares);
                }
                let variance = total::<S>(squares) * share;
                let factor = S::splat(1.0 / (variance + layer.epsilon).sqrt());
                for index in 0..layer.inputs.len() {
                    let normal = S::mul(S::load(values.add(index * LANES)), factor);
                    let affine = affine.add(2 * index * LANES);
                    let value = S::fma(normal, S::load(affine), S::load(affine.add(LANES)));
                    S::store(context.output(layer.output, index).add(voxel * LANES), value);
                }
            }
        }
    }
}

/// The sum of all lanes.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn total<S: Simd>(values: S::V) -> f32 {
    let mut lanes = [0.0; LANES];
    // SAFETY: there is room for sixteen numbers.
    unsafe { S::store(lanes.as_mut_ptr(), values) };
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

impl Step for LayerNorm {
    fn phases(&self) -> Vec<usize> {
        vec![self.voxels.div_ceil(CHUNK)]
    }

    fn scratch(&self) -> usize {
        self.inputs.len() * LANES
    }

    fn weight_bytes(&self) -> u64 {
        self.affine.bytes()
    }

    fn run(&self, _: usize, task: usize, context: &Context) {
        dispatch(context.isa, Task { layer: self, context, start: task * CHUNK });
    }

    fn describe(&self) -> String {
        format!("layer normalisation of {} voxels", self.voxels)
    }
}
