//! What our own engines share when they lower a network: tensors in blocks of channels, which voxels a convolution
//! reads, and which operators are left to ONNX Runtime.

mod blocks;
mod reach;

pub(super) use blocks::{Block, BufferId, LANES, TABLE, blocks_of, channels};
#[cfg(test)]
pub(super) use reach::Tap;
pub(super) use reach::{Kind, Reach, backward, forward};

use crate::network::{Op, Weight};

/// What a network's memory is for, in errors.
pub(super) const NETWORK: &str = "a network";

/// The operators that our own engines lack.
pub(super) fn unsupported(op: &Op) -> bool {
    matches!(
        op,
        Op::Onnx { .. }
            | Op::LayerNorm { .. }
            | Op::PadToWindows { .. }
            | Op::PatchMerge { .. }
            | Op::WindowAttention { .. }
            | Op::Constant { .. }
            | Op::Depthwise { .. }
            | Op::DepthwiseTranspose { .. }
            | Op::PadFront { .. }
            | Op::Downsample { .. }
            | Op::Attention { .. }
    )
}

/// (x − mean) / √(variance + epsilon) · scale + shift as factors and summands.
pub(super) fn batch_norm(op: &Op) -> (Vec<f64>, Vec<f64>) {
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
