//! Matrix products: the one kernel behind every convolution.
//!
//! A row of results (voxels along an axis, or tiles) times a panel of one or two blocks of output channels stays in
//! registers while the sum over input channels and kernel positions runs. Weights come in panels of that width, so that
//! they are read in order.

use super::memory::Memory;
use super::simd::Simd;
use crate::buffer;
use crate::engine::lowering::LANES;
use crate::error::Result;

/// c[column, block, lane] = Σ over taps and depth of a[tap + column · a_step + depth] · b[tap, depth, block, lane], and
/// bias[block, lane]; distances in floats.
pub(super) struct Product<'a> {
    pub a: *const f32,
    pub a_step: usize,
    pub taps: &'a [usize],
    pub depth: usize,
    pub b: *const f32,
    /// Null for zeros.
    pub bias: *const f32,
    pub c: *mut f32,
    pub c_step: usize,
    pub c_block: usize,
    pub columns: usize,
    /// 1 or 2.
    pub blocks: usize,
}

/// # Safety
/// As [`Simd`], and the pointers are good for all that the sizes say.
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd>(product: &Product) {
    // SAFETY: passed on.
    unsafe {
        match product.blocks {
            2 => columns::<S, 2>(product),
            _ => columns::<S, 1>(product),
        }
    }
}

/// # Safety
/// As [`multiply`].
#[inline(always)]
unsafe fn columns<S: Simd, const B: usize>(product: &Product) {
    let (mut first, end) = (0, product.columns);
    while first < end {
        let left = end - first;
        // SAFETY: passed on; `first` and the kernel's width stay below `columns`.
        unsafe {
            if S::COLUMNS >= 12 && left >= 12 {
                kernel::<S, 12, B>(product, first);
                first += 12;
            } else if S::COLUMNS >= 8 && left >= 8 {
                kernel::<S, 8, B>(product, first);
                first += 8;
            } else if S::COLUMNS >= 6 && left >= 6 {
                kernel::<S, 6, B>(product, first);
                first += 6;
            } else if S::COLUMNS >= 4 && left >= 4 {
                kernel::<S, 4, B>(product, first);
                first += 4;
            } else if left >= 2 {
                kernel::<S, 2, B>(product, first);
                first += 2;
            } else {
                kernel::<S, 1, B>(product, first);
                first += 1;
            }
        }
    }
}

/// # Safety
/// As [`multiply`].
#[inline(always)]
unsafe fn kernel<S: Simd, const N: usize, const B: usize>(product: &Product, first: usize) {
    // SAFETY: every address is one that the product's sizes name.
    unsafe {
        let mut sums = [[S::zero(); B]; N];
        let row = product.a.add(first * product.a_step);
        let (mut b, step) = (product.b, product.a_step);
        for &tap in product.taps {
            let mut a = row.add(tap);
            for _ in 0..product.depth {
                let mut weights = [S::zero(); B];
                for block in 0..B {
                    weights[block] = S::load(b.add(block * LANES));
                }
                for column in 0..N {
                    let value = S::splat(*a.add(column * step));
                    for block in 0..B {
                        sums[column][block] = S::fma(value, weights[block], sums[column][block]);
                    }
                }
                a = a.add(1);
                b = b.add(B * LANES);
            }
        }
        // At the end, as oneDNN does it.
        if !product.bias.is_null() {
            for block in 0..B {
                let bias = S::load(product.bias.add(block * LANES));
                for column in 0..N {
                    sums[column][block] = S::add(sums[column][block], bias);
                }
            }
        }
        for column in 0..N {
            for block in 0..B {
                let c = product.c.add((first + column) * product.c_step + block * product.c_block);
                S::store(c, sums[column][block]);
            }
        }
    }
}

/// Weights in panels: [panel][term][block][lane].
pub(super) struct Panels {
    memory: Memory,
    /// First block and start of each panel, and the ends of the last one.
    starts: Vec<(usize, usize)>,
}

impl Panels {
    /// In memory that is there or only planned. `fill(out, values)` gives the weights of an output channel, one for
    /// each term of its sum.
    pub(super) fn new(
        out: usize,
        terms: usize,
        panel_blocks: usize,
        memory: impl Fn(usize) -> Result<Memory>,
        mut fill: impl FnMut(usize, &mut [f32]),
    ) -> Result<Self> {
        let blocks = out.div_ceil(LANES);
        let mut memory = memory(blocks * LANES * terms)?;
        let planned = memory.is_planned();
        let values = memory.slice_mut();
        let mut of_channel = buffer::zeroed("a network", if planned { 0 } else { terms })?;
        let mut starts = Vec::new();
        for first in (0..blocks).step_by(panel_blocks) {
            let start = first * LANES * terms;
            starts.push((first, start));
            if planned {
                continue;
            }
            let width = panel_blocks.min(blocks - first) * LANES;
            for lane in 0..width.min(out - first * LANES) {
                fill(first * LANES + lane, &mut of_channel);
                for (index, &value) in of_channel.iter().enumerate() {
                    values[start + index * width + lane] = value;
                }
            }
        }
        starts.push((blocks, blocks * LANES * terms));
        Ok(Panels { memory, starts })
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// First block of a panel and how many it has.
    pub(super) fn blocks(&self, panel: usize) -> (usize, usize) {
        (self.starts[panel].0, self.starts[panel + 1].0 - self.starts[panel].0)
    }

    pub(super) fn pointer(&self, panel: usize) -> *const f32 {
        // SAFETY: the start lies within the memory.
        unsafe { self.memory.pointer().add(self.starts[panel].1) }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.memory.bytes()
    }
}
