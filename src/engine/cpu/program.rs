//! A network lowered: steps over tensors in one arena, all placed before anything runs.
//!
//! Tensors are [channel block, axis 0, axis 1, axis 2, lane] with sixteen channels a block; lanes beyond the last
//! channel hold zeros. What stands between a convolution and the next reader (normalisation, activation) isn't computed
//! on its own: it is a table of three numbers a channel, which whoever reads the tensor applies.

use super::memory::Memory;
use super::simd::{Isa, LANES, Simd};
use super::team;
use crate::error::Result;

/// A buffer in the arena, by position.
pub(super) type BufferId = usize;

/// Floats of a table's block: scale, shift, and the slope of the negative side, a lane each.
pub(super) const TABLE: usize = 3 * LANES;

/// A block of channels as a step reads it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub buffer: BufferId,
    /// Position of the block in its tensor.
    pub index: usize,
    /// Where in the tables its numbers are; `None` when values are read as they are.
    pub table: Option<usize>,
    /// Channels in it.
    pub lanes: usize,
}

/// One step. Tasks of a phase run in any order and at the same time.
pub(super) trait Step: Send + Sync {
    /// Number of tasks of each phase.
    fn phases(&self) -> Vec<usize>;

    /// Floats that a thread needs for itself.
    fn scratch(&self) -> usize {
        0
    }

    /// Bytes of weights in the step's own form.
    fn weight_bytes(&self) -> u64 {
        0
    }

    fn run(&self, phase: usize, task: usize, context: &Context);

    /// What it is, for the table of layers.
    fn describe(&self) -> String;
}

/// The memory of a run.
pub(super) struct Context<'a> {
    pub isa: Isa,
    arena: *mut f32,
    offsets: &'a [usize],
    pub tables: *mut f32,
    pub input: *const f32,
    pub output: *mut f32,
    /// This thread's own.
    pub scratch: *mut f32,
}

impl Context<'_> {
    /// Start of a buffer. Steps write only what their tasks own, and read only what steps or phases before wrote.
    pub(super) fn buffer(&self, id: BufferId) -> *mut f32 {
        // SAFETY: offsets lie within the arena.
        unsafe { self.arena.add(self.offsets[id]) }
    }

    /// Start of a block whose tensor has so many voxels.
    pub(super) fn block(&self, block: &Block, voxels: usize) -> *const f32 {
        // SAFETY: the block lies within its buffer.
        unsafe { self.buffer(block.buffer).add(block.index * voxels * LANES) }
    }

    /// How a block's values are read.
    pub(super) fn reader(&self, block: &Block) -> *const f32 {
        match block.table {
            // SAFETY: tables lie within their memory.
            Some(table) => unsafe { self.tables.add(table) },
            None => std::ptr::null(),
        }
    }
}

/// Loads values and applies a table to them.
pub(super) trait Load<S: Simd>: Copy {
    /// # Safety
    /// As [`Simd::load`].
    unsafe fn get(self, from: *const f32) -> S::V;
}

/// Values as they are.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl<S: Simd> Load<S> for Plain {
    #[inline(always)]
    unsafe fn get(self, from: *const f32) -> S::V {
        // SAFETY: passed on.
        unsafe { S::load(from) }
    }
}

/// max(y, slope · y) of y = x · scale + shift; slopes are at most 1.
#[derive(Clone, Copy)]
pub(super) struct Activated<S: Simd> {
    scale: S::V,
    shift: S::V,
    slope: S::V,
}

impl<S: Simd> Activated<S> {
    /// # Safety
    /// As [`Simd`]; `table` has [`TABLE`] floats.
    #[inline(always)]
    pub(super) unsafe fn new(table: *const f32) -> Self {
        // SAFETY: passed on.
        unsafe {
            Activated {
                scale: S::load(table),
                shift: S::load(table.add(LANES)),
                slope: S::load(table.add(2 * LANES)),
            }
        }
    }
}

impl<S: Simd> Load<S> for Activated<S> {
    #[inline(always)]
    unsafe fn get(self, from: *const f32) -> S::V {
        // SAFETY: passed on.
        unsafe {
            let value = S::fma(S::load(from), self.scale, self.shift);
            S::max(value, S::mul(value, self.slope))
        }
    }
}

/// A buffer while the program is written: its size and the steps that need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    pub floats: usize,
    pub first: usize,
    pub last: usize,
}

/// Places buffers so that those alive at the same step don't overlap: the largest first, each as low as it fits.
/// Returns their offsets and the arena's size.
pub(super) fn place(buffers: &[Lifetime]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&id| std::cmp::Reverse(buffers[id].floats));
    let mut offsets = vec![0; buffers.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut end = 0;
    for id in order {
        let buffer = buffers[id];
        let size = buffer.floats.next_multiple_of(LANES);
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| buffers[other].first <= buffer.last && buffer.first <= buffers[other].last)
            .map(|&other| (offsets[other], offsets[other] + buffers[other].floats.next_multiple_of(LANES)))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, stop) in taken {
            if offset + size <= start {
                break;
            }
            offset = offset.max(stop);
        }
        offsets[id] = offset;
        end = end.max(offset + size);
        placed.push(id);
    }
    (offsets, end)
}

/// A network ready to run.
pub(super) struct Program {
    pub isa: Isa,
    pub steps: Vec<Box<dyn Step>>,
    pub threads: usize,
    arena: Memory,
    offsets: Vec<usize>,
    tables: Memory,
    scratch: Memory,
    /// Floats of one thread's scratch.
    own: usize,
    phases: Vec<usize>,
    /// Step and phase of it, for each phase of the run.
    order: Vec<(usize, usize)>,
}

impl Program {
    pub(super) fn new(
        isa: Isa,
        threads: usize,
        steps: Vec<Box<dyn Step>>,
        buffers: &[Lifetime],
        table_values: &[f32],
    ) -> Result<Self> {
        let (offsets, floats) = place(buffers);
        let mut tables = Memory::zeroed(table_values.len())?;
        tables.slice_mut()[..table_values.len()].copy_from_slice(table_values);
        let (mut phases, mut order) = (Vec::new(), Vec::new());
        for (step, tasks) in steps.iter().map(|step| step.phases()).enumerate() {
            order.extend((0..tasks.len()).map(|phase| (step, phase)));
            phases.extend(tasks);
        }
        let most = phases.iter().copied().max().unwrap_or(1);
        let threads = threads.clamp(1, most.max(1));
        // An odd number of lines apart, so that two threads' data fall on other sets of the cache.
        let own = (steps.iter().map(|step| step.scratch()).max().unwrap_or(0) / LANES + 1) * LANES | LANES;
        Ok(Program {
            isa,
            arena: Memory::zeroed(floats)?,
            scratch: Memory::zeroed(own * threads)?,
            steps,
            threads,
            offsets,
            tables,
            own,
            phases,
            order,
        })
    }

    /// Bytes of everything but weights.
    pub(super) fn working_bytes(&self) -> u64 {
        self.arena.bytes() + self.tables.bytes() + self.scratch.bytes()
    }

    /// Bytes of weights in the forms that the steps have them.
    pub(super) fn weight_bytes(&self) -> u64 {
        self.steps.iter().map(|step| step.weight_bytes()).sum()
    }

    fn context(&self, thread: usize, input: *const f32, output: *mut f32) -> Context<'_> {
        Context {
            isa: self.isa,
            arena: self.arena.pointer(),
            offsets: &self.offsets,
            tables: self.tables.pointer(),
            input,
            output,
            // SAFETY: there is room for each thread.
            scratch: unsafe { self.scratch.pointer().add(thread * self.own) },
        }
    }

    /// Runs all steps. `&mut` keeps the memory to one run.
    pub(super) fn run(&mut self, input: &[f32], output: &mut [f32]) {
        let ends = Ends(input.as_ptr(), output.as_mut_ptr());
        let (ends, program) = (&ends, &*self);
        team::run(self.threads, &self.phases, |phase, task, thread| {
            let (step, phase) = program.order[phase];
            program.steps[step].run(phase, task, &program.context(thread, ends.0, ends.1));
        });
    }

    /// As [`Program::run`], with the seconds of each step.
    pub(super) fn profile(&mut self, input: &[f32], output: &mut [f32]) -> Vec<f64> {
        let ends = Ends(input.as_ptr(), output.as_mut_ptr());
        let (ends, program) = (&ends, &*self);
        let mut seconds = Vec::new();
        for step in &program.steps {
            let start = std::time::Instant::now();
            team::run(self.threads, &step.phases(), |phase, task, thread| {
                step.run(phase, task, &program.context(thread, ends.0, ends.1));
            });
            seconds.push(start.elapsed().as_secs_f64());
        }
        seconds
    }
}

/// The caller's image and scores, which tasks share.
struct Ends(*const f32, *mut f32);

// SAFETY: tasks read the image and write scores that no other task writes.
unsafe impl Sync for Ends {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_that_live_together_lie_apart() {
        let life = |floats, first, last| Lifetime { floats, first, last };
        let buffers = [
            life(100, 0, 2),
            life(60, 1, 3),
            life(100, 3, 5),
            life(16, 0, 5),
            life(200, 4, 6),
            life(1, 2, 2),
        ];
        let (offsets, end) = place(&buffers);
        for (a, x) in buffers.iter().enumerate() {
            assert!(offsets[a] % LANES == 0 && offsets[a] + x.floats <= end);
            for (b, y) in buffers.iter().enumerate().filter(|&(b, _)| b != a) {
                let together = x.first <= y.last && y.first <= x.last;
                let apart = offsets[a] + x.floats <= offsets[b] || offsets[b] + y.floats <= offsets[a];
                assert!(!together || apart, "{a} and {b}");
            }
        }
        // The most that is alive at a time, each rounded to whole blocks: steps 4 and 5.
        assert_eq!(end, 208 + 112 + 16);
    }
}
