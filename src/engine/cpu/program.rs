//! A network lowered: steps over tensors in one arena, all placed before anything runs.
//!
//! Tensors are [channel block, axis 0, axis 1, axis 2, lane] with sixteen channels a block; lanes beyond the last
//! channel hold zeros. What stands between a convolution and the next reader (normalisation, activation) isn't computed
//! on its own: it is a table of three numbers a channel, which whoever reads the tensor applies.
//!
//! The caller's memory for the scores is written by the last step alone, so until then it is part of the arena.

use crate::engine::lowering::{Block, BufferId, LANES};
use std::marker::PhantomData;

use super::memory::{LINE, Memory};
use super::profile::Layer;
use super::simd::{Isa, Simd};
use super::team;
use crate::engine::Workspace;
use crate::error::Result;

/// What a convolution is, for the table of layers.
pub(super) struct Label {
    pub name: String,
    /// Multiply-adds of the plain sum.
    pub multiply_adds: u64,
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

    /// Multiply-adds as the plain sum has them.
    fn multiply_adds(&self) -> u64 {
        0
    }
}

/// The memory of a run.
pub(super) struct Context<'a> {
    pub isa: Isa,
    arena: *mut f32,
    allocations: &'a [Allocation],
    pub tables: *mut f32,
    pub input: *const f32,
    pub output: *mut f32,
    /// This thread's own.
    pub scratch: *mut f32,
}

impl Context<'_> {
    /// Start of a buffer. Steps write only what their tasks own, and read only what steps or phases before wrote.
    pub(super) fn buffer(&self, id: BufferId) -> *mut f32 {
        let Allocation { within_scores, offset, .. } = self.allocations[id];
        let start = if within_scores { line(self.output) } else { self.arena };
        // SAFETY: offsets lie within the arena, or within the scores behind their first line's start.
        unsafe { start.add(offset) }
    }

    /// Start of a block of a buffer.
    pub(super) fn output(&self, id: BufferId, index: usize) -> *mut f32 {
        // SAFETY: the block lies within its buffer.
        unsafe { self.buffer(id).add(index * self.allocations[id].stride) }
    }

    /// Floats between a buffer's blocks.
    pub(super) fn stride(&self, id: BufferId) -> usize {
        self.allocations[id].stride
    }

    /// Start of a block.
    pub(super) fn block(&self, block: &Block) -> *const f32 {
        self.output(block.buffer, block.index)
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
pub(super) struct Buffer {
    pub blocks: usize,
    pub planes: usize,
    /// Floats of a plane of a block.
    pub plane: usize,
    pub first: usize,
    pub last: usize,
    /// Another buffer of as many blocks and planes whose memory this one takes over plane by plane, so many planes
    /// behind the step that reads the other one.
    pub over: Option<(BufferId, usize)>,
}

impl Buffer {
    /// Memory without a shape.
    pub(super) fn floats(floats: usize, step: usize) -> Self {
        Buffer { blocks: 1, planes: 1, plane: floats, first: step, last: step, over: None }
    }
}

/// Where a buffer is, and the floats between its blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allocation {
    /// Whether it is in the caller's memory for the scores, and not in the arena.
    within_scores: bool,
    offset: usize,
    stride: usize,
}

/// The first cache line that begins at `scores` or behind it: results don't depend on where it is, but time does.
fn line(scores: *mut f32) -> *mut f32 {
    scores.wrapping_byte_add(scores.addr().next_multiple_of(LINE) - scores.addr())
}

/// Places buffers so that those alive at the same step don't overlap: the largest first, each as low as it fits, in
/// the caller's memory for `scores` floats if nothing needs it when the last step writes these.
/// Returns their allocations and the arena's size.
pub(super) fn allocate(buffers: &[Buffer], scores: usize, last: usize) -> (Vec<Allocation>, usize) {
    let room = scores.saturating_sub(LINE / size_of::<f32>());
    let root = |mut id: BufferId| {
        while let Some((other, _)) = buffers[id].over {
            id = other;
        }
        id
    };
    // A buffer and those that take it over are one, with room for their distances.
    let mut whole = buffers.to_vec();
    for (id, buffer) in buffers.iter().enumerate() {
        if let Some((_, distance)) = buffer.over {
            let first = &mut whole[root(id)];
            first.planes += distance;
            first.last = first.last.max(buffer.last);
        }
    }
    let floats = |id: BufferId| {
        let Buffer { blocks, planes, plane, .. } = whole[id];
        (blocks * planes * plane).next_multiple_of(LANES)
    };
    let mut order: Vec<usize> = (0..buffers.len()).filter(|&id| buffers[id].over.is_none()).collect();
    order.sort_by_key(|&id| std::cmp::Reverse(floats(id)));
    let mut found: Vec<(bool, usize)> = vec![(false, 0); buffers.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut end = 0;
    for id in order {
        let buffer = whole[id];
        let lowest = |within_scores: bool| {
            let mut taken: Vec<(usize, usize)> = placed
                .iter()
                .filter(|&&other| found[other].0 == within_scores)
                .filter(|&&other| whole[other].first <= buffer.last && buffer.first <= whole[other].last)
                .map(|&other| (found[other].1, found[other].1 + floats(other)))
                .collect();
            taken.sort_unstable();
            let mut offset = 0;
            for (start, stop) in taken {
                if offset + floats(id) <= start {
                    break;
                }
                offset = offset.max(stop);
            }
            offset
        };
        let there = lowest(true);
        found[id] = if buffer.last < last && there + floats(id) <= room {
            (true, there)
        } else {
            let candidate = lowest(false);
            end = end.max(candidate + floats(id));
            (false, candidate)
        };
        placed.push(id);
    }
    let allocations = (0..buffers.len()).map(|id| {
        let first = root(id);
        let Buffer { planes, plane, .. } = whole[first];
        // The last one to take over starts where the memory starts.
        let (mut behind, mut at) = (0, id);
        while let Some((other, distance)) = buffers[at].over {
            behind += distance;
            at = other;
        }
        let start = planes - buffers[first].planes - behind;
        let (within_scores, offset) = found[first];
        Allocation { within_scores, offset: offset + start * plane, stride: planes * plane }
    });
    (allocations.collect(), end)
}

/// A network ready to run, by any number of threads at the same time: each run has memory of its own.
pub(super) struct Program {
    pub isa: Isa,
    pub steps: Vec<Box<dyn Step>>,
    pub threads: usize,
    allocations: Vec<Allocation>,
    /// What a run's tables begin with.
    tables: Memory,
    /// Floats of the arena.
    arena: usize,
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
        buffers: &[Buffer],
        table_values: &[f32],
        (scores, last): (usize, usize),
    ) -> Result<Self> {
        let (allocations, arena) = allocate(buffers, scores, last);
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
        let most_scratch = steps.iter().map(|step| step.scratch()).max().unwrap_or(0);
        let own = (most_scratch.div_ceil(LANES) | 1) * LANES;
        Ok(Program { isa, steps, threads, allocations, tables, arena, own, phases, order })
    }

    /// Floats of a run's memory: the arena, the threads' scratch, tables.
    fn floats(&self) -> usize {
        self.arena + self.own * self.threads + self.tables.floats()
    }

    /// Bytes of a run's memory.
    pub(super) fn working_bytes(&self) -> u64 {
        (self.floats() * size_of::<f32>()) as u64
    }

    /// Bytes that all runs share: weights in the forms that the steps have them, and tables.
    pub(super) fn weight_bytes(&self) -> u64 {
        self.tables.bytes() + self.steps.iter().map(|step| step.weight_bytes()).sum::<u64>()
    }

    /// All memory of a run. The workspace stays borrowed as long as that lasts.
    fn shared<'a>(
        &self,
        workspace: &'a mut Workspace,
        input: &'a [f32],
        output: &'a mut [f32],
    ) -> Result<Shared<'a>> {
        let arena = workspace.floats(self.floats())?;
        // SAFETY: the three parts are one behind the other in memory of that many floats.
        let (scratch, tables) =
            unsafe { (arena.add(self.arena), arena.add(self.arena + self.own * self.threads)) };
        // SAFETY: both are as long, and the workspace isn't a part of the program.
        unsafe { tables.copy_from_nonoverlapping(self.tables.pointer(), self.tables.floats()) };
        crate::platform::prefer_huge_pages(output.as_mut_ptr().cast(), size_of_val(output));
        Ok(Shared {
            arena,
            scratch,
            tables,
            input: input.as_ptr(),
            output: output.as_mut_ptr(),
            lent: PhantomData,
        })
    }

    fn context(&self, thread: usize, shared: &Shared) -> Context<'_> {
        Context {
            isa: self.isa,
            arena: shared.arena,
            allocations: &self.allocations,
            tables: shared.tables,
            input: shared.input,
            output: shared.output,
            // SAFETY: there is room for each thread.
            scratch: unsafe { shared.scratch.add(thread * self.own) },
        }
    }

    /// Runs all steps.
    pub(super) fn run(&self, workspace: &mut Workspace, input: &[f32], output: &mut [f32]) -> Result<()> {
        let shared = &self.shared(workspace, input, output)?;
        team::run(self.threads, &self.phases, |phase, task, thread| {
            let (step, phase) = self.order[phase];
            self.steps[step].run(phase, task, &self.context(thread, shared));
        });
        Ok(())
    }

    /// As [`Program::run`], with the time of each step.
    pub(super) fn profile(
        &self,
        workspace: &mut Workspace,
        input: &[f32],
        output: &mut [f32],
    ) -> Result<Vec<Layer>> {
        let shared = &self.shared(workspace, input, output)?;
        let mut layers = Vec::new();
        for step in &self.steps {
            let start = std::time::Instant::now();
            team::run(self.threads, &step.phases(), |phase, task, thread| {
                step.run(phase, task, &self.context(thread, shared));
            });
            layers.push(Layer {
                name: step.describe(),
                multiply_adds: step.multiply_adds(),
                seconds: start.elapsed().as_secs_f64(),
            });
        }
        Ok(layers)
    }
}

/// The memory of a run, which tasks share.
struct Shared<'a> {
    arena: *mut f32,
    scratch: *mut f32,
    tables: *mut f32,
    input: *const f32,
    output: *mut f32,
    lent: PhantomData<&'a mut [f32]>,
}

// SAFETY: tasks read what steps before wrote, and write what no other task writes or reads; each thread has scratch of
// its own.
unsafe impl Sync for Shared<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_that_live_together_lie_apart() {
        let life = |floats, first, last| Buffer { last, ..Buffer::floats(floats, first) };
        let buffers = [
            life(100, 0, 2),
            life(60, 1, 3),
            life(100, 3, 5),
            life(16, 0, 5),
            life(200, 4, 6),
            life(1, 2, 2),
        ];
        let (allocations, end) = allocate(&buffers, 0, 7);
        for (a, x) in buffers.iter().enumerate() {
            assert!(allocations[a].offset % LANES == 0 && allocations[a].offset + x.plane <= end);
            for (b, y) in buffers.iter().enumerate().filter(|&(b, _)| b != a) {
                let together = x.first <= y.last && y.first <= x.last;
                let apart = allocations[a].offset + x.plane <= allocations[b].offset
                    || allocations[b].offset + y.plane <= allocations[a].offset;
                assert!(!together || apart, "{a} and {b}");
            }
        }
        // The most that is alive at a time, each rounded to whole blocks: steps 4 and 5.
        assert_eq!(end, 208 + 112 + 16);
    }

    #[test]
    fn buffers_in_the_memory_of_the_scores() {
        let life = |floats, first, last| Buffer { last, ..Buffer::floats(floats, first) };
        let buffers = [life(64, 0, 5), life(48, 0, 2), life(32, 1, 4), life(48, 3, 4), life(128, 1, 3)];
        // Steps 0 to 5; 112 floats behind the line's start: the first is read when scores are written, the largest
        // doesn't fit.
        let (allocations, end) = allocate(&buffers, 128, 5);
        let there = allocations.iter().map(|allocation| allocation.within_scores).collect::<Vec<_>>();
        assert_eq!((there, end), (vec![false, true, true, true, false], 64 + 128));
        assert_eq!((allocations[1].offset, allocations[2].offset, allocations[3].offset), (0, 48, 0));
        assert!(allocations.iter().all(|allocation| allocation.offset % LANES == 0));
        let scores = [0.0_f32; 64];
        for start in 0..17 {
            let start = scores.as_ptr().wrapping_add(start).cast_mut();
            let line = line(start);
            assert!(line.addr().is_multiple_of(LINE) && (0..LINE).contains(&(line.addr() - start.addr())));
        }
    }

    #[test]
    fn buffers_take_others_over() {
        let tensor = |first, last, over| Buffer { blocks: 2, planes: 10, plane: 16, first, last, over };
        let buffers =
            [tensor(0, 3, None), tensor(3, 5, Some((0, 5))), tensor(5, 6, Some((1, 3))), tensor(4, 4, None)];
        let (allocations, end) = allocate(&buffers, 0, 7);
        let planes = |id: usize| (allocations[id].offset / 16, allocations[id].stride / 16);
        assert_eq!([planes(0), planes(1), planes(2)], [(8, 18), (3, 18), (0, 18)]);
        assert_eq!(planes(3), (36, 10));
        assert_eq!(end, (36 + 20) * 16);
    }
}
