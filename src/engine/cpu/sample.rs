//! Steps whose results are made from some voxels of one input: pools, interpolation, edges, means.

use super::program::{Activated, Context, Load, Plain, Step};
use super::simd::{Kernel, Simd, dispatch};
use crate::engine::lowering::{Block, BufferId, LANES};

/// How a result is made.
#[derive(Clone, Debug)]
pub(super) enum Sampling {
    /// Means of blocks.
    Average([usize; 3]),
    /// Maxima of blocks.
    Maximum([usize; 3]),
    /// For each axis and each result: two neighbours and the second one's weight.
    Linear([Vec<(usize, usize, f32)>; 3]),
    /// The voxel at the same place, or the nearest one that there is.
    Nearest,
    /// Means along axes, which get size one.
    Mean([bool; 3]),
    /// The image behind so many planes of zeros along each axis, and zeros behind it.
    Framed([usize; 3]),
    /// Every second voxel along each axis, from a place on.
    Second([usize; 3]),
}

/// Neighbours and weights of linear interpolation along an axis.
pub(super) fn linear(size: usize, factor: usize, align_corners: bool) -> Vec<(usize, usize, f32)> {
    let results = size * factor;
    let place = |index: usize| match align_corners {
        true if results > 1 => index as f64 * (size - 1) as f64 / (results - 1) as f64,
        true => 0.0,
        false => ((index as f64 + 0.5) / factor as f64 - 0.5).max(0.0),
    };
    let neighbours = |index| {
        let at: f64 = place(index);
        let first = (at as usize).min(size - 1);
        (first, (first + 1).min(size - 1), (at - first as f64) as f32)
    };
    (0..results).map(neighbours).collect()
}

/// As [`linear`], for fewer results, the centres of the outermost voxels together.
pub(super) fn smaller(size: usize, results: usize) -> Vec<(usize, usize, f32)> {
    let neighbours = |index| {
        let at = if results > 1 { index as f64 * (size - 1) as f64 / (results - 1) as f64 } else { 0.0 };
        let first = (at as usize).min(size - 1);
        (first, (first + 1).min(size - 1), (at - first as f64) as f32)
    };
    (0..results).map(neighbours).collect()
}

pub(super) struct Sample {
    pub sampling: Sampling,
    pub inputs: Vec<Block>,
    pub input_size: [usize; 3],
    pub output: BufferId,
    pub output_size: [usize; 3],
}

struct Task<'a> {
    layer: &'a Sample,
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
        let [depth, height, width] = layer.input_size;
        let [_, rows, columns] = layer.output_size;
        let from = context.block(&layer.inputs[self.block]);
        // SAFETY: see `Kernel::run`; places stay inside the input.
        unsafe {
            let to = context.output(layer.output, self.block);
            let at = |z: usize, y: usize, x: usize| ((z * height + y) * width + x) * LANES;
            for y in 0..rows {
                for x in 0..columns {
                    let value = match &layer.sampling {
                        Sampling::Average(size) | Sampling::Maximum(size) => {
                            let first = [self.plane * size[0], y * size[1], x * size[2]];
                            let average = matches!(layer.sampling, Sampling::Average(_));
                            let mut value = load.get(from.add(at(first[0], first[1], first[2])));
                            for index in 1..size.iter().product() {
                                let (k, j, i) =
                                    (index / (size[1] * size[2]), index / size[2] % size[1], index % size[2]);
                                let next = load.get(from.add(at(first[0] + k, first[1] + j, first[2] + i)));
                                value = if average { S::add(value, next) } else { S::max(next, value) };
                            }
                            match average {
                                true => S::mul(value, S::splat(1.0 / size.iter().product::<usize>() as f32)),
                                false => value,
                            }
                        }
                        Sampling::Linear([along_z, along_y, along_x]) => {
                            let (z0, z1, w) = along_z[self.plane];
                            let (y0, y1, v) = along_y[y];
                            let (x0, x1, u) = along_x[x];
                            let (u, v, w) = (S::splat(u), S::splat(v), S::splat(w));
                            let a = mix::<S>(
                                load.get(from.add(at(z0, y0, x0))),
                                load.get(from.add(at(z0, y0, x1))),
                                u,
                            );
                            let b = mix::<S>(
                                load.get(from.add(at(z0, y1, x0))),
                                load.get(from.add(at(z0, y1, x1))),
                                u,
                            );
                            let c = mix::<S>(
                                load.get(from.add(at(z1, y0, x0))),
                                load.get(from.add(at(z1, y0, x1))),
                                u,
                            );
                            let d = mix::<S>(
                                load.get(from.add(at(z1, y1, x0))),
                                load.get(from.add(at(z1, y1, x1))),
                                u,
                            );
                            mix::<S>(mix::<S>(a, b, v), mix::<S>(c, d, v), w)
                        }
                        Sampling::Nearest => {
                            let (z, y, x) = (self.plane.min(depth - 1), y.min(height - 1), x.min(width - 1));
                            load.get(from.add(at(z, y, x)))
                        }
                        Sampling::Framed([front, above, left]) => {
                            let place = [
                                self.plane.checked_sub(*front).filter(|&z| z < depth),
                                y.checked_sub(*above).filter(|&y| y < height),
                                x.checked_sub(*left).filter(|&x| x < width),
                            ];
                            match place {
                                [Some(z), Some(y), Some(x)] => load.get(from.add(at(z, y, x))),
                                _ => S::zero(),
                            }
                        }
                        Sampling::Second(first) => {
                            let (z, y, x) = (2 * self.plane + first[0], 2 * y + first[1], 2 * x + first[2]);
                            load.get(from.add(at(z, y, x)))
                        }
                        Sampling::Mean(axes) => {
                            let range = |axis: usize, place: usize| match axes[axis] {
                                true => 0..layer.input_size[axis],
                                false => place..place + 1,
                            };
                            // Rows in single precision, their sums in double.
                            let (mut sums, mut count) = ([0.0_f64; LANES], 0);
                            let mut lanes = [0.0; LANES];
                            for z in range(0, self.plane) {
                                for y in range(1, y) {
                                    let mut sum = S::zero();
                                    for x in range(2, x) {
                                        sum = S::add(sum, load.get(from.add(at(z, y, x))));
                                        count += 1;
                                    }
                                    S::store(lanes.as_mut_ptr(), sum);
                                    for lane in 0..LANES {
                                        sums[lane] += f64::from(lanes[lane]);
                                    }
                                }
                            }
                            for lane in 0..LANES {
                                lanes[lane] = (sums[lane] / f64::from(count)) as f32;
                            }
                            S::load(lanes.as_ptr())
                        }
                    };
                    S::store(to.add(((self.plane * rows + y) * columns + x) * LANES), value);
                }
            }
        }
    }
}

/// a + (b − a) · weight.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn mix<S: Simd>(a: S::V, b: S::V, weight: S::V) -> S::V {
    // SAFETY: passed on.
    unsafe { S::fma(S::sub(b, a), weight, a) }
}

impl Step for Sample {
    fn phases(&self) -> Vec<usize> {
        vec![self.inputs.len() * self.output_size[0]]
    }

    fn run(&self, _: usize, task: usize, context: &Context) {
        let (block, plane) = (task / self.output_size[0], task % self.output_size[0]);
        dispatch(context.isa, Task { layer: self, context, block, plane });
    }

    fn describe(&self) -> String {
        let name = match &self.sampling {
            Sampling::Average(_) => "average pool",
            Sampling::Maximum(_) => "max pool",
            Sampling::Linear(_) => "linear interpolation",
            Sampling::Nearest => "edges",
            Sampling::Mean(_) => "mean",
            Sampling::Framed(_) => "zeros around",
            Sampling::Second(_) => "every second voxel",
        };
        format!("{name} {:?} to {:?}", self.input_size, self.output_size)
    }
}
