//! Means and variances of channels, gathered while values are written.
//!
//! A task takes runs of values: each run's mean and squared differences from it, put together with those before (Chan,
//! Golub and LeVeque, 1979), all as distances from the task's first value. So neither a large mean costs digits, nor a
//! channel that is constant but for its borders, whose tiny variance the normalisation would magnify. Tasks are put
//! together in double precision, in their order.

use super::program::{Context, Step};
use super::simd::Simd;
use crate::engine::lowering::{BufferId, LANES, TABLE};

/// Floats of a task's block: first value, distance of the mean from it and sum of squared differences from the mean, a
/// lane each, and the count.
pub(super) const PARTIAL: usize = 4 * LANES;

/// Where a step's tasks leave their sums: [slot][block][[`PARTIAL`]].
#[derive(Clone, Copy, Debug)]
pub(super) struct Partials {
    pub buffer: BufferId,
    pub slots: usize,
    pub blocks: usize,
}

impl Partials {
    pub(super) fn pointer(&self, context: &Context, slot: usize, block: usize) -> *mut f32 {
        // SAFETY: slots and blocks lie within the buffer.
        unsafe { context.buffer(self.buffer).add((slot * self.blocks + block) * PARTIAL) }
    }
}

/// Mean and squared differences of the values of one block.
pub(super) struct Gather<S: Simd> {
    first: S::V,
    mean: S::V,
    squares: S::V,
    count: usize,
}

impl<S: Simd> Gather<S> {
    /// # Safety
    /// As [`Simd`].
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        // SAFETY: passed on.
        unsafe { Gather { first: S::zero(), mean: S::zero(), squares: S::zero(), count: 0 } }
    }

    /// Takes a run of voxels.
    ///
    /// # Safety
    /// As [`Simd`]; there are `count` voxels of sixteen floats, and at least one.
    #[inline(always)]
    pub(super) unsafe fn add(&mut self, values: *const f32, count: usize) {
        // SAFETY: passed on.
        unsafe {
            if self.count == 0 {
                self.first = S::load(values);
            }
            let mut sums = [S::zero(); 2];
            for index in 0..count {
                let distance = S::sub(S::load(values.add(index * LANES)), self.first);
                sums[index % 2] = S::add(sums[index % 2], distance);
            }
            let mean = S::mul(S::add(sums[0], sums[1]), S::splat(1.0 / count as f32));
            let mut squares = [S::zero(); 2];
            for index in 0..count {
                let distance = S::sub(S::sub(S::load(values.add(index * LANES)), self.first), mean);
                squares[index % 2] = S::fma(distance, distance, squares[index % 2]);
            }
            let total = (self.count + count) as f32;
            let (apart, share) = (S::sub(mean, self.mean), count as f32 / total);
            self.mean = S::fma(apart, S::splat(share), self.mean);
            let between = S::mul(S::mul(apart, apart), S::splat(self.count as f32 * share));
            self.squares = S::add(self.squares, S::add(S::add(squares[0], squares[1]), between));
        }
        self.count += count;
    }

    /// # Safety
    /// As [`Simd`]; `to` has [`PARTIAL`] floats.
    #[inline(always)]
    pub(super) unsafe fn store(&self, to: *mut f32) {
        // SAFETY: passed on.
        unsafe {
            S::store(to, self.first);
            S::store(to.add(LANES), self.mean);
            S::store(to.add(2 * LANES), self.squares);
            // Tasks have far fewer than 2²⁴ voxels.
            *to.add(3 * LANES) = self.count as f32;
        }
    }
}

/// Turns sums into a table: scale / √(variance + epsilon), and what brings the mean to the shift.
pub(super) struct Finish {
    pub partials: Partials,
    pub channels: usize,
    /// Neighbouring channels that share their statistics.
    pub group: usize,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub epsilon: f32,
    /// Where tables of these channels start; their slopes are there already.
    pub tables: Vec<usize>,
}

/// Count, mean and sum of squared differences from it.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, other: Moments) {
        let count = self.count + other.count;
        if other.count > 0.0 {
            let distance = other.mean - self.mean;
            self.mean += distance * (other.count / count);
            self.squares += other.squares + distance * distance * (self.count * other.count / count);
            self.count = count;
        }
    }
}

impl Finish {
    fn moments(&self, context: &Context, channel: usize) -> Moments {
        let (block, lane) = (channel / LANES, channel % LANES);
        let mut all = Moments::default();
        for slot in 0..self.partials.slots {
            let partial = self.partials.pointer(context, slot, block);
            // SAFETY: the step before wrote every slot's floats, and this is the only task.
            let [first, mean, squares, count] = unsafe {
                [
                    *partial.add(lane),
                    *partial.add(LANES + lane),
                    *partial.add(2 * LANES + lane),
                    *partial.add(3 * LANES),
                ]
            }
            .map(f64::from);
            if count > 0.0 {
                all.add(Moments { count, mean: first + mean, squares });
            }
        }
        all
    }
}

impl Step for Finish {
    fn phases(&self) -> Vec<usize> {
        vec![1]
    }

    fn run(&self, _: usize, _: usize, context: &Context) {
        for first in (0..self.channels).step_by(self.group) {
            let channels = first..(first + self.group).min(self.channels);
            let mut all = Moments::default();
            channels.clone().for_each(|channel| all.add(self.moments(context, channel)));
            let variance = all.squares / all.count;
            for channel in channels {
                // Rounded where PyTorch rounds: a mean far from zero would show it.
                let scale = (1.0 / (variance + f64::from(self.epsilon)).sqrt()) as f32 * self.scale[channel];
                let shift = self.shift[channel] - all.mean as f32 * scale;
                for start in &self.tables {
                    // SAFETY: the table has a block for these channels, and this is the only task.
                    unsafe {
                        let table = context.tables.add(start + channel / LANES * TABLE + channel % LANES);
                        *table = scale;
                        *table.add(LANES) = shift;
                    }
                }
            }
        }
    }

    fn describe(&self) -> String {
        format!("statistics of {} channels", self.channels)
    }
}
