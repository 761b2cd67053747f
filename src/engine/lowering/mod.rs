//! What our own engines share when they lower a network: tensors in blocks of channels, which voxels a convolution
//! reads, and the windows of attention.

mod blocks;
mod reach;
mod windows;

pub(super) use blocks::{Block, BufferId, LANES, TABLE, blocks_of, channels};
#[cfg(test)]
pub(super) use reach::Tap;
pub(super) use reach::{Kind, Reach, backward, forward};
pub(super) use windows::{APART, RelativePlaces, Windows};

use crate::network::{Op, Weight};

/// What a network's memory is for, in errors.
pub(super) const NETWORK: &str = "a network";

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
