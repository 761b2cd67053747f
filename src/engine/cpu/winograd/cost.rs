//! Which axes are worth filtering, and in what portions tiles are worked on.

use super::{Axis, COLUMNS};
use crate::engine::lowering::LANES;

/// Floats of a group's factors and products: what a core's second-level cache holds, and a little more, as measured.
const GROUP: usize = 400_000;
/// Cycles that a byte of weights should save.
const PRICE: f64 = 4.5;

/// What a convolution costs with these axes, in cycles of one core, as fitted to measurements.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Cost {
    pub cycles: f64,
    /// Whether weights are so large and tiles so few that points are shared out.
    pub whole: bool,
}

/// Tiles along each axis.
#[inline(always)]
pub(super) fn tiles(axes: [Axis; 3], size: [usize; 3]) -> [usize; 3] {
    [
        size[0].div_ceil(axes[0].results()),
        size[1].div_ceil(axes[1].results()),
        size[2].div_ceil(axes[2].results()),
    ]
}

/// Tiles of a group.
pub(super) fn group(axes: [Axis; 3], input_blocks: usize, output_blocks: usize) -> usize {
    let points = axes.iter().map(|axis| axis.points()).product::<usize>();
    let tile = points * (input_blocks + output_blocks) * LANES;
    (GROUP / tile).next_multiple_of(COLUMNS).clamp(COLUMNS, 8 * COLUMNS)
}

/// What is best for these axes, and what that costs.
pub(in super::super) fn cost(
    axes: [Axis; 3],
    size: [usize; 3],
    input_blocks: usize,
    output_blocks: usize,
) -> Cost {
    let points = axes.iter().map(|axis| axis.points()).product::<usize>() as f64;
    let count = tiles(axes, size).iter().product::<usize>();
    let group = group(axes, input_blocks, output_blocks);
    let (inputs, outputs) = (input_blocks as f64, output_blocks as f64);
    let products = count.next_multiple_of(2) as f64 * points * inputs * outputs * LANES as f64;
    let transforms = count as f64 * points * (inputs * 10.0 + outputs * 8.0);
    let (weights, both) = (4.0 * points * inputs * outputs * 256.0, 4.0 * points * (inputs + outputs) * 16.0);
    // Weights beyond the caches come at a fraction of the caches' rate.
    let rate = match weights {
        small if small <= 1e6 => 16.0,
        medium if medium <= 8e6 => 8.0,
        _ => 3.0,
    };
    let by_group = weights * count.div_ceil(group) as f64 / rate;
    let by_point = weights / 4.0 + 2.0 * both * count as f64 / 3.0;
    // Memory has its price too: what the weights take is there for as long as the plan.
    let memory = PRICE * weights;
    Cost {
        cycles: products * 1.15 + transforms + by_group.min(by_point) + memory,
        whole: by_point < by_group && count < 200,
    }
}
