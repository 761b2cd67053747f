//! Convolutions of each channel by itself, forward and transposed.
//!
//! Along each axis a result has a short list of weights and of the voxels that these meet, those in the padding
//! left out. So both kinds are one loop over three lists.

use super::memory::Memory;
use super::program::{Activated, Context, Load, Plain, Step};
use super::simd::{Kernel, Simd, dispatch};
use super::statistics::{Gather, Partials};
use crate::buffer;
use crate::engine::lowering::{Block, BufferId, LANES, NETWORK};
use crate::error::Result;

/// Results along a row that are computed together, where they have the same weights.
const TOGETHER: usize = 4;

/// For each result along an axis: which weights it takes, and from which voxels.
type Taps = Vec<Vec<(usize, usize)>>;

/// Result o takes weight k from voxel o · stride + k − padding.
pub(super) fn forward(size: usize, results: usize, [kernel, stride, padding]: [usize; 3]) -> Result<Taps> {
    taps(results, |o| {
        (0..kernel).filter_map(move |k| {
            let voxel = (o * stride + k).checked_sub(padding)?;
            (voxel < size).then_some((k, voxel))
        })
    })
}

/// Result o takes weight k from voxel (o + padding − k) / stride, where that is a whole number.
pub(super) fn backward(size: usize, results: usize, [kernel, stride, padding]: [usize; 3]) -> Result<Taps> {
    taps(results, |o| {
        (0..kernel).filter_map(move |k| {
            let distance = (o + padding).checked_sub(k)?;
            let voxel = distance / stride;
            (distance.is_multiple_of(stride) && voxel < size).then_some((k, voxel))
        })
    })
}

fn taps<I: Iterator<Item = (usize, usize)>>(results: usize, of: impl Fn(usize) -> I) -> Result<Taps> {
    buffer::try_collect(NETWORK, (0..results).map(|result| buffer::collect(NETWORK, of(result))))
}

pub(super) struct Depthwise {
    pub inputs: Vec<Block>,
    pub input_size: [usize; 3],
    pub kernel: [usize; 3],
    pub taps: [Taps; 3],
    /// [block][lane] of the bias, then [block][kernel…][lane].
    pub weights: Memory,
    pub output: BufferId,
    pub output_size: [usize; 3],
    pub statistics: Option<Partials>,
}

impl Depthwise {
    /// Tasks of a block.
    pub(super) fn planes(&self) -> usize {
        self.output_size[0]
    }
}

struct Task<'a> {
    layer: &'a Depthwise,
    context: &'a Context<'a>,
    block: usize,
    plane: usize,
}

impl Kernel for Task<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let block = &self.layer.inputs[self.block];
        // SAFETY: a task writes its own plane of its own block, and reads what earlier steps wrote.
        unsafe {
            match self.context.reader(block) {
                table if table.is_null() => self.plane::<S, Plain>(Plain),
                table => self.plane::<S, _>(Activated::<S>::new(table)),
            }
        }
    }
}

impl Task<'_> {
    /// # Safety
    /// As [`Kernel::run`].
    #[inline(always)]
    unsafe fn plane<S: Simd, L: Load<S>>(&self, load: L) {
        let (layer, context) = (self.layer, self.context);
        let [_, height, width] = layer.input_size;
        let [_, rows, columns] = layer.output_size;
        let [along_z, along_y, along_x] = &layer.taps;
        let kernel: usize = layer.kernel.iter().product();
        // SAFETY: see `Kernel::run`; the lists name voxels of the input and weights of the kernel.
        unsafe {
            let from = context.block(&layer.inputs[self.block]);
            let to = context.output(layer.output, self.block).add(self.plane * rows * columns * LANES);
            let weights = layer.weights.pointer().cast_const();
            let bias = S::load(weights.add(self.block * LANES));
            let weights = weights.add((layer.inputs.len() + self.block * kernel) * LANES);
            let (z, mut sums) = (&along_z[self.plane], Gather::<S>::new());
            for y in 0..rows {
                let to = to.add(y * columns * LANES);
                let mut x = 0;
                while x < columns {
                    // Neighbours with the same weights, whose voxels are one apart, or two.
                    let together = x + TOGETHER <= columns && same(&along_x[x..x + TOGETHER]);
                    let count = if together { TOGETHER } else { 1 };
                    let mut results = [bias; TOGETHER];
                    for &(k, z) in z {
                        for &(j, y) in &along_y[y] {
                            let row = from.add((z * height + y) * width * LANES);
                            let weights = weights.add((k * layer.kernel[1] + j) * layer.kernel[2] * LANES);
                            for (tap, &(i, at)) in along_x[x].iter().enumerate() {
                                let weight = S::load(weights.add(i * LANES));
                                results[0] = S::fma(load.get(row.add(at * LANES)), weight, results[0]);
                                if together {
                                    for next in 1..TOGETHER {
                                        let at = along_x[x + next][tap].1;
                                        let value = load.get(row.add(at * LANES));
                                        results[next] = S::fma(value, weight, results[next]);
                                    }
                                }
                            }
                        }
                    }
                    for next in 0..count {
                        S::store(to.add((x + next) * LANES), results[next]);
                    }
                    x += count;
                }
                if layer.statistics.is_some() {
                    sums.add(to, columns);
                }
            }
            if let Some(partials) = &layer.statistics {
                sums.store(partials.pointer(context, self.plane, self.block));
            }
        }
    }
}

/// Whether all take the same weights.
fn same(taps: &[Vec<(usize, usize)>]) -> bool {
    let weights = |taps: &[(usize, usize)], index: usize| taps.get(index).map(|tap| tap.0);
    taps[1..].iter().all(|other| {
        other.len() == taps[0].len()
            && (0..other.len()).all(|tap| weights(other, tap) == weights(&taps[0], tap))
    })
}

impl Step for Depthwise {
    fn phases(&self) -> Vec<usize> {
        vec![self.inputs.len() * self.planes()]
    }

    fn weight_bytes(&self) -> u64 {
        self.weights.bytes()
    }

    fn run(&self, _: usize, task: usize, context: &Context) {
        let (block, plane) = (task / self.planes(), task % self.planes());
        dispatch(context.isa, Task { layer: self, context, block, plane });
    }

    fn describe(&self) -> String {
        format!("depthwise {:?}, {:?} to {:?}", self.kernel, self.input_size, self.output_size)
    }

    fn multiply_adds(&self) -> u64 {
        let taps = |axis: usize| self.taps[axis].iter().map(Vec::len).sum::<usize>() as u64;
        let channels: usize = self.inputs.iter().map(|block| block.lanes).sum();
        channels as u64 * taps(0) * taps(1) * taps(2)
    }
}
