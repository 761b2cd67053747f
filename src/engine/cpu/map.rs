//! Steps that compute each voxel by itself: sums, products, activations that tables can't tell, changes of layout.

use super::exponential::gelu;
use super::program::{Activated, Context, Load, Plain, Step};
use super::simd::{Kernel, Simd, dispatch};
use super::statistics::{Gather, Partials};
use crate::engine::lowering::{Block, BufferId, LANES};

/// Voxels of a task.
const CHUNK: usize = 8192;

/// Voxels of a run for statistics: few enough to stay in the first-level cache.
const RUN: usize = 128;

/// What is done with a voxel's values.
#[derive(Clone, Debug)]
pub(super) enum Function {
    /// Nothing: the values are read with their tables, and so become plain.
    Copy,
    /// The sum with the other input.
    Add,
    /// The product with the other input, of this size, which is one or the first input's along each axis.
    Multiply([usize; 3]),
    /// x for positive x, else a lane's slope times x, where tables can't tell it: slopes over 1.
    Slopes(Vec<f32>),
    /// x for positive x, else alpha · (eˣ − 1).
    Elu(f32),
    /// x · Φ(x).
    Gelu,
    Sigmoid,
    Tanh,
}

pub(super) struct Map {
    pub function: Function,
    pub inputs: Vec<Block>,
    /// As many blocks, or none.
    pub second_inputs: Vec<Block>,
    pub size: [usize; 3],
    pub output: BufferId,
    pub statistics: Option<Partials>,
}

impl Map {
    fn voxels(&self) -> usize {
        self.size.iter().product()
    }

    pub(super) fn chunks(&self) -> usize {
        self.voxels().div_ceil(CHUNK)
    }
}

struct Task<'a> {
    layer: &'a Map,
    context: &'a Context<'a>,
    chunk: usize,
    block: usize,
}

impl Kernel for Task<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (layer, context) = (self.layer, self.context);
        let voxels = layer.voxels();
        let chunk = self.chunk * CHUNK..((self.chunk + 1) * CHUNK).min(voxels);
        let block = &layer.inputs[self.block];
        // SAFETY: a task writes its own voxels of its own block, and reads what earlier steps wrote.
        unsafe {
            let from = context.block(block);
            let to = context.output(layer.output, self.block);
            let mut sums = Gather::<S>::new();
            let table = context.reader(block);
            let other = layer.second_inputs.get(self.block);
            let end = chunk.end;
            for at in chunk.clone() {
                let value = read::<S>(from.add(at * LANES), table);
                let value = match (&layer.function, other) {
                    (Function::Add, Some(other)) => {
                        let second = context.block(other).add(at * LANES);
                        S::add(value, read::<S>(second, context.reader(other)))
                    }
                    (Function::Multiply(size), Some(other)) => {
                        let [_, rows, columns] = layer.size;
                        let place = [at / (rows * columns), at / columns % rows, at % columns];
                        let [z, y, x]: [usize; 3] =
                            std::array::from_fn(|axis| if size[axis] == 1 { 0 } else { place[axis] });
                        let second = context.block(other);
                        let second = second.add(((z * size[1] + y) * size[2] + x) * LANES);
                        S::mul(value, read::<S>(second, context.reader(other)))
                    }
                    (Function::Copy | Function::Add | Function::Multiply(_), _) => value,
                    (function, _) => {
                        let mut lanes = [0.0; LANES];
                        S::store(lanes.as_mut_ptr(), value);
                        if matches!(function, Function::Gelu) {
                            // A loop of its own becomes vector code.
                            lanes.iter_mut().for_each(|value| *value = gelu(*value));
                        }
                        for (lane, value) in lanes.iter_mut().enumerate() {
                            let x = *value;
                            *value = match function {
                                Function::Slopes(slopes) if x < 0.0 => x * slopes[self.block * LANES + lane],
                                Function::Elu(alpha) if x < 0.0 => alpha * libm::expm1f(x),
                                Function::Sigmoid => 1.0 / (1.0 + libm::expf(-x)),
                                Function::Tanh => libm::tanhf(x),
                                _ => x,
                            };
                        }
                        S::load(lanes.as_ptr())
                    }
                };
                S::store(to.add(at * LANES), value);
            }
            if let Some(partials) = &layer.statistics {
                for at in chunk.step_by(RUN) {
                    sums.add(to.add(at * LANES), RUN.min(end - at));
                }
                sums.store(partials.pointer(context, self.chunk, self.block));
            }
        }
    }
}

/// # Safety
/// As [`Load::get`].
#[inline(always)]
pub(super) unsafe fn read<S: Simd>(from: *const f32, table: *const f32) -> S::V {
    // SAFETY: passed on.
    unsafe {
        match table.is_null() {
            true => Load::<S>::get(Plain, from),
            false => Activated::<S>::new(table).get(from),
        }
    }
}

impl Step for Map {
    fn phases(&self) -> Vec<usize> {
        vec![self.inputs.len() * self.chunks()]
    }

    fn run(&self, _: usize, task: usize, context: &Context) {
        let (chunk, block) = (task % self.chunks(), task / self.chunks());
        dispatch(context.isa, Task { layer: self, context, chunk, block });
    }

    fn describe(&self) -> String {
        let name = match &self.function {
            Function::Copy => "copy",
            Function::Add => "add",
            Function::Multiply(_) => "multiply",
            Function::Slopes(_) => "prelu",
            Function::Elu(_) => "elu",
            Function::Gelu => "gelu",
            Function::Sigmoid => "sigmoid",
            Function::Tanh => "tanh",
        };
        format!("{name} {:?}", self.size)
    }
}

/// The caller's image in blocks.
pub(super) struct Enter {
    pub channels: usize,
    pub voxels: usize,
    pub output: BufferId,
}

impl Step for Enter {
    fn phases(&self) -> Vec<usize> {
        vec![self.channels.div_ceil(LANES) * self.voxels.div_ceil(CHUNK)]
    }

    fn run(&self, _: usize, task: usize, context: &Context) {
        let chunks = self.voxels.div_ceil(CHUNK);
        let (block, start) = (task / chunks, task % chunks * CHUNK);
        let channels = LANES.min(self.channels - block * LANES);
        for at in start..(start + CHUNK).min(self.voxels) {
            // SAFETY: a task writes its own voxels of its own block; the image has these channels.
            unsafe {
                let to = context.output(self.output, block).add(at * LANES);
                for lane in 0..LANES {
                    let from = context.input.add((block * LANES + lane) * self.voxels + at);
                    *to.add(lane) = if lane < channels { *from } else { 0.0 };
                }
            }
        }
    }

    fn describe(&self) -> String {
        format!("image of {} channels", self.channels)
    }
}

/// Blocks to the caller's scores.
pub(super) struct Leave {
    pub inputs: Vec<Block>,
    pub voxels: usize,
}

impl Step for Leave {
    fn phases(&self) -> Vec<usize> {
        vec![self.inputs.len() * self.voxels.div_ceil(CHUNK)]
    }

    fn run(&self, _: usize, task: usize, context: &Context) {
        let chunks = self.voxels.div_ceil(CHUNK);
        let (block, start) = (task / chunks, task % chunks * CHUNK);
        dispatch(context.isa, LeaveTask { layer: self, context, block, start });
    }

    fn describe(&self) -> String {
        "scores".into()
    }
}

struct LeaveTask<'a> {
    layer: &'a Leave,
    context: &'a Context<'a>,
    block: usize,
    start: usize,
}

impl Kernel for LeaveTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (layer, context) = (self.layer, self.context);
        let block = &layer.inputs[self.block];
        let first: usize = layer.inputs[..self.block].iter().map(|block| block.lanes).sum();
        // SAFETY: a task writes its own voxels of its own channels, which the scores have.
        unsafe {
            let (from, table) = (context.block(block), context.reader(block));
            let mut lanes = [0.0; LANES];
            for at in self.start..(self.start + CHUNK).min(layer.voxels) {
                S::store(lanes.as_mut_ptr(), read::<S>(from.add(at * LANES), table));
                for (lane, &value) in lanes[..block.lanes].iter().enumerate() {
                    *context.output.add((first + lane) * layer.voxels + at) = value;
                }
            }
        }
    }
}
