//! Which voxels a convolution's results are made of.

use super::NETWORK;
use crate::buffer;
use crate::error::Result;

/// Place of a weight in the kernel, and of the voxel that it meets from the first that any result reads.
pub(in crate::engine) type Tap = ([usize; 3], [usize; 3]);

/// Results of one kind, which use the same weights: where the first one is, and those weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Kind {
    pub start: [usize; 3],
    pub taps: Vec<Tap>,
}

/// Result o of a kind reads voxels o · step + first + 0..span, and is at o · out_step + the kind's start.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Reach {
    /// Voxels between the first terms of neighbouring results of a kind.
    pub step: [usize; 3],
    /// First term of the first results.
    pub first: [isize; 3],
    /// Voxels from first to last term, and one.
    pub span: [usize; 3],
    /// Distance of a kind's results.
    pub out_step: [usize; 3],
}

/// All positions of a box.
fn places(size: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [_, rows, columns] = size;
    (0..size.iter().product())
        .map(move |index| [index / (rows * columns), index / columns % rows, index % columns])
}

/// Of a convolution: all results are of one kind.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub(in crate::engine) fn forward(
    kernel: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
) -> Result<(Reach, Vec<Kind>)> {
    let first = padding.map(|padding| -(padding as isize));
    let taps = buffer::collect(NETWORK, places(kernel).map(|place| (place, place)))?;
    let reach = Reach { step: stride, first, span: kernel, out_step: [1; 3] };
    Ok((reach, vec![Kind { start: [0; 3], taps }]))
}

/// Of a transposed convolution: result o · stride + r takes weight k from voxel o + (r + padding − k) / stride, where
/// that is a whole number.
///
/// # Errors
/// As [`forward`].
pub(in crate::engine) fn backward(
    kernel: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
) -> Result<(Reach, Vec<Kind>)> {
    let offset = |axis: usize, start: usize, weight: usize| {
        let distance = (start + padding[axis]) as isize - weight as isize;
        let stride = stride[axis] as isize;
        (distance.rem_euclid(stride) == 0).then(|| distance.div_euclid(stride))
    };
    let all = |axis: usize| {
        (0..stride[axis])
            .flat_map(move |start| (0..kernel[axis]).filter_map(move |weight| offset(axis, start, weight)))
    };
    let first: [isize; 3] = std::array::from_fn(|axis| all(axis).min().unwrap_or(0));
    let last: [isize; 3] = std::array::from_fn(|axis| all(axis).max().unwrap_or(0));
    let span = std::array::from_fn(|axis| (last[axis] - first[axis]) as usize + 1);
    let kinds = places(stride).map(|start| {
        let taps = places(kernel).filter_map(|place| {
            let mut at = [0; 3];
            for axis in 0..3 {
                at[axis] = (offset(axis, start[axis], place[axis])? - first[axis]) as usize;
            }
            Some((place, at))
        });
        Ok(Kind { start, taps: buffer::collect(NETWORK, taps)? })
    });
    Ok((Reach { step: [1; 3], first, span, out_step: stride }, buffer::try_collect(NETWORK, kinds)?))
}
