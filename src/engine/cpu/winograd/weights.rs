//! Weights of a convolution, transformed for its points and laid out in the order in which they are read.

use super::super::memory::Memory;
use super::Axis;
use crate::engine::lowering::LANES;
use crate::error::Result;
use crate::parallel;

/// Transformed weights: [panel][point][in][block][lane].
pub(in super::super) struct Weights {
    memory: Memory,
    panel_blocks: usize,
    blocks: usize,
    pub depth: usize,
    pub points: usize,
}

impl Weights {
    /// In memory that is there or only planned. `fill(out, in, kernel)` gives the weights of a pair of lanes,
    /// row-major.
    pub(in super::super) fn new(
        axes: [Axis; 3],
        (blocks, depth): (usize, usize),
        panel_blocks: usize,
        threads: usize,
        memory: impl Fn(usize) -> Result<Memory>,
        fill: impl Fn(usize, usize, &mut [f32; 27]) + Sync,
    ) -> Result<Self> {
        let points = axes.iter().map(|axis| axis.points()).product::<usize>();
        let length = points * depth * blocks * LANES;
        let mut memory = memory(length)?;
        let size = points * depth * panel_blocks * LANES;
        let values = memory.slice_mut().get_mut(..length).unwrap_or_default();
        let panels = values.chunks_mut(size).enumerate();
        parallel::for_each(threads, panels, |(panel, values)| {
            let first = panel * panel_blocks;
            let width = panel_blocks.min(blocks - first) * LANES;
            let mut kernel = [0.0; 27];
            for input in 0..depth {
                for lane in 0..width {
                    fill(first * LANES + lane, input, &mut kernel);
                    if kernel.iter().all(|&weight| weight == 0.0) {
                        continue;
                    }
                    transform_kernel(axes, &kernel, |point, weight| {
                        values[(point * depth + input) * width + lane] = weight;
                    });
                }
            }
        });
        Ok(Weights { memory, panel_blocks, blocks, depth, points })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.memory.bytes()
    }

    pub(super) fn panels(&self) -> usize {
        self.blocks.div_ceil(self.panel_blocks)
    }

    /// First block, number of blocks, and the weights of a panel at a point.
    pub(super) fn panel(&self, panel: usize, point: usize) -> (usize, usize, *const f32) {
        let first = panel * self.panel_blocks;
        let blocks = self.panel_blocks.min(self.blocks - first);
        let start = (first * self.points + point * blocks) * self.depth * LANES;
        // SAFETY: the panel and the point lie within the memory.
        (first, blocks, unsafe { self.memory.pointer().add(start) })
    }
}

/// G along each axis, in double precision.
fn transform_kernel(axes: [Axis; 3], kernel: &[f32; 27], mut put: impl FnMut(usize, f32)) {
    let [depth, height, width] = axes.map(Axis::weights);
    let mut along_x = [0.0; 9 * 9];
    let (rows_of, columns) = (height, axes[2].points());
    for row in 0..depth * height {
        for (x, g) in axes[2].kernel().iter().enumerate() {
            along_x[row * columns + x] =
                (0..width).map(|k| g[k] * f64::from(kernel[row * width + k])).sum::<f64>();
        }
    }
    let mut along_y = [0.0; 3 * 9 * 9];
    let rows = axes[1].points();
    for z in 0..depth {
        for (y, g) in axes[1].kernel().iter().enumerate() {
            for x in 0..columns {
                along_y[(z * rows + y) * columns + x] =
                    (0..height).map(|k| g[k] * along_x[(z * rows_of + k) * columns + x]).sum();
            }
        }
    }
    for (z, g) in axes[0].kernel().iter().enumerate() {
        for at in 0..rows * columns {
            let value: f64 = (0..depth).map(|k| g[k] * along_y[k * rows * columns + at]).sum();
            put(z * rows * columns + at, value as f32);
        }
    }
}
