//! What a step's dispatches are in numbers: groups, operations, and the bytes of tensors and weights that they read and
//! write, each counted once however often a kernel meets it.

use super::arguments::groups;
use super::step::{Conv, Function, Input, Output, Sampling, Step};

/// One dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub groups: [u32; 3],
    /// Multiply-adds, or what takes as long.
    pub cost: u64,
    pub read: u64,
    pub written: u64,
}

/// Bytes of one number of statistics: count, mean and squared differences.
const PARTIAL: u64 = 12;

/// Of each of a step's dispatches; a tensor's number has `width` bytes.
pub(super) fn work(step: &Step, width: u64) -> Work {
    let count = |size: [usize; 3]| size.iter().product::<usize>();
    let tensor = |blocks: usize, voxels: usize| (blocks * 16 * voxels) as u64 * width;
    match step {
        Step::Conv(step) => conv(step, &tensor),
        Step::Map(step) => {
            let (blocks, voxels) = (step.inputs.len(), count(step.size));
            let others = match step.function {
                Function::Multiply(size) => count(size),
                _ => voxels,
            };
            let told = if step.statistics.is_some() { step.chunks() * blocks * 16 } else { 0 };
            Work {
                groups: groups(step.chunks(), blocks),
                cost: 4 * (blocks * 16 * voxels) as u64,
                read: tensor(blocks, voxels) + tensor(step.others.len(), others),
                written: tensor(blocks, voxels) + told as u64 * PARTIAL,
            }
        }
        Step::Sample(step) => {
            let (blocks, voxels) = (step.inputs.len(), count(step.size));
            let from = match step.sampling {
                // Of every block of eight one voxel.
                Sampling::Second(_) => voxels,
                _ => count(step.from_size),
            };
            let (groups, cost) = match step.sampling {
                Sampling::Mean => (groups(voxels, blocks), 4 * (blocks * 16 * from) as u64),
                _ => (groups((voxels * 2).div_ceil(64), blocks), 8 * (blocks * 16 * voxels) as u64),
            };
            Work { groups, cost, read: tensor(blocks, from), written: tensor(blocks, voxels) }
        }
        Step::Depthwise(step) => {
            let (blocks, voxels) = (step.inputs.len(), count(step.size));
            let taps = count(step.kernel);
            let told = if step.statistics.is_some() { step.chunks() * blocks * 16 } else { 0 };
            Work {
                groups: groups(step.chunks(), blocks),
                cost: (taps * blocks * 16 * voxels) as u64,
                read: tensor(blocks, count(step.from_size)) + (taps * blocks * 64) as u64,
                written: tensor(blocks, voxels) + told as u64 * PARTIAL,
            }
        }
        Step::LayerNorm(step) => {
            let bytes = tensor(step.inputs.len(), step.voxels);
            Work {
                groups: groups(step.voxels.div_ceil(8), 1),
                cost: 8 * (step.inputs.len() * 16 * step.voxels) as u64,
                read: bytes,
                written: bytes,
            }
        }
        Step::Attention(step) => {
            let voxels = count(step.windows.size);
            Work {
                groups: groups(step.windows.len() * step.turns(), step.heads),
                cost: step.multiply_adds(),
                read: tensor(step.inputs.len(), voxels),
                written: tensor((step.heads * step.width).div_ceil(16), voxels),
            }
        }
        Step::Finish(step) => Work {
            groups: groups(step.channels.div_ceil(step.together), 1),
            cost: 16 * (step.slots * step.channels) as u64,
            read: (step.slots * step.channels) as u64 * PARTIAL,
            written: step.channels as u64 * 8,
        },
        Step::Enter { blocks, voxels, .. } => Work {
            groups: groups((voxels * 2).div_ceil(64), *blocks),
            cost: 4 * (blocks * 16 * voxels) as u64,
            read: (blocks * 16 * voxels * 4) as u64,
            written: tensor(*blocks, *voxels),
        },
        Step::Leave { inputs, voxels, .. } => Work {
            groups: groups((voxels * 2).div_ceil(64), inputs.len()),
            cost: 4 * (inputs.len() * 16 * voxels) as u64,
            read: tensor(inputs.len(), *voxels),
            written: (inputs.len() * 16 * voxels * 4) as u64,
        },
    }
}

fn conv(step: &Conv, tensor: &dyn Fn(usize, usize) -> u64) -> Work {
    let from = step.from_size.iter().product::<usize>();
    let voxels = (0..3).map(|axis| step.size[axis] * step.out_step[axis]).product::<usize>();
    let input = match &step.input {
        Input::Image(channels) => (channels * from * 4) as u64,
        Input::Blocks(blocks) => tensor(blocks.len(), from),
    };
    let output = match step.output {
        Output::Tensor(_) => tensor(step.blocks(), voxels),
        Output::Scores => (step.outputs * voxels * 4) as u64,
    };
    let told = if step.statistics.is_some() { step.kinds * step.tiles() * step.blocks() * 16 } else { 0 };
    Work {
        groups: groups(step.tiles(), step.shares() * step.kinds),
        cost: step.multiply_adds,
        read: input + tensor(step.residual.len(), voxels) + step.weight_bytes,
        written: output + told as u64 * PARTIAL,
    }
}
