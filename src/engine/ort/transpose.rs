//! Transposed convolution for providers that have none of three axes, as a convolution to more channels whose values
//! then move to their places (W. Shi et al., "Is the deconvolution layer the same as a convolutional layer?", 2016).

use std::sync::Arc;

use super::graph::{Builder, list};
use super::lower::Step;
use crate::error::Result;
use crate::network::Weight;

/// One axis: voxel `stride · o + r` of the result sums `weight[r + padding − stride · m] · input[o + m]`.
#[derive(Clone, Copy)]
struct Axis {
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl Axis {
    /// How far the convolution reaches before and after a voxel of the input.
    fn reach(self) -> [usize; 2] {
        // The first place of a block needs inputs before it, the last one those after it.
        let before = (self.kernel - 1).saturating_sub(self.padding) / self.stride;
        [before, self.padding.div_ceil(self.stride)]
    }

    /// The size of the convolution's kernel.
    fn size(self) -> usize {
        let [before, after] = self.reach();
        before + 1 + after
    }

    /// The entry of the transposed kernel that place `place` of a block takes at `tap` of the convolution's.
    fn entry(self, place: usize, tap: usize) -> Option<usize> {
        let shifted = place + self.padding + self.stride * self.reach()[0];
        shifted.checked_sub(self.stride * tap).filter(|&entry| entry < self.kernel)
    }
}

/// The weight [outputs · places, inputs, taps…] of the convolution for a transposed one's [inputs, outputs, kernel…].
fn convolution(weight: &[f32], inputs: usize, outputs: usize, axes: [Axis; 3]) -> Vec<f32> {
    let places = axes.map(|axis| axis.stride);
    let taps = axes.map(Axis::size);
    let kernel = axes.map(|axis| axis.kernel);
    let mut values =
        Vec::with_capacity(outputs * inputs * (0..3).map(|at| places[at] * taps[at]).product::<usize>());
    for output in 0..outputs {
        for place in places_in(places) {
            for input in 0..inputs {
                for tap in places_in(taps) {
                    let entry = |at: usize| axes[at].entry(place[at], tap[at]);
                    values.push(match [entry(0), entry(1), entry(2)] {
                        [Some(z), Some(y), Some(x)] => {
                            let channel = input * outputs + output;
                            weight[((channel * kernel[0] + z) * kernel[1] + y) * kernel[2] + x]
                        }
                        _ => 0.0,
                    });
                }
            }
        }
    }
    values
}

/// All places of a box, the last axis fastest.
fn places_in([depth, rows, columns]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..depth).flat_map(move |z| (0..rows).flat_map(move |y| (0..columns).map(move |x| [z, y, x])))
}

pub(super) fn lower(
    builder: &mut Builder,
    step: &Step,
    weight: &Weight,
    bias: Option<&Arc<Weight>>,
    [kernel, stride, padding]: [[usize; 3]; 3],
) -> Result<()> {
    let axes = [0, 1, 2].map(|at| Axis { kernel: kernel[at], stride: stride[at], padding: padding[at] });
    let (taps, block) = (axes.map(Axis::size), stride.iter().product::<usize>());
    let inputs = step.channels;
    let outputs = weight.data.len() / inputs / kernel.iter().product::<usize>();
    let part = |name: &str| step.part(name);
    let single = builder.dialect.sums_in_half;
    let (input, placed) = match single {
        true => (builder.in_single(&step.inputs[0])?, builder.single_name(&part("places"))),
        false => (step.inputs[0].clone(), part("places")),
    };
    let shape = [outputs * block, inputs, taps[0], taps[1], taps[2]];
    let make = || convolution(&weight.data, inputs, outputs, axes);
    let values = match single {
        true => builder.single_values(&part("weight"), &shape, make)?,
        false => builder.values(&part("weight"), &shape, make)?,
    };
    let mut operands = vec![input, values];
    if let Some(bias) = bias {
        let spread = || bias.data.iter().flat_map(|&value| std::iter::repeat_n(value, block)).collect();
        operands.push(match single {
            true => builder.single_values(&part("bias"), &[outputs * block], spread)?,
            false => builder.values(&part("bias"), &[outputs * block], spread)?,
        });
    }
    let pads = [axes.map(|axis| axis.reach()[0]), axes.map(|axis| axis.reach()[1])].concat();
    builder.node("Conv", &operands, &placed, vec![list("kernel_shape", &taps)?, list("pads", &pads)?])?;
    if single {
        builder.end_single(&part("places"), true)?;
    }
    let size = step.size;
    let split = [step.batch * outputs, stride[0], stride[1], stride[2], size[0], size[1], size[2]];
    builder.reshape(&part("places"), &part("split"), &split)?;
    builder.transpose(&part("split"), &part("moved"), &[0, 4, 1, 5, 2, 6, 3])?;
    let whole = [0, 1, 2].map(|at| size[at] * stride[at]);
    builder.reshape(&part("moved"), &step.result, &[step.batch, outputs, whole[0], whole[1], whole[2]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Along one axis, against the definition: input voxel i adds weight[j] · input[i] to voxel i · stride + j −
    /// padding.
    #[test]
    fn one_axis_equals_the_definition() {
        for (kernel, stride, padding) in
            [(2, 2, 0), (3, 2, 1), (4, 2, 1), (3, 3, 0), (3, 1, 1), (5, 2, 2), (2, 3, 0)]
        {
            let axis = Axis { kernel, stride, padding };
            let flat = Axis { kernel: 1, stride: 1, padding: 0 };
            let weight: Vec<f32> = (1..=kernel).map(|value| (value * value) as f32).collect();
            let input: Vec<f32> = [3.0, -1.0, 4.0, 1.5, -5.0].to_vec();
            let mut expected = vec![0.0; input.len() * stride];
            for (i, value) in input.iter().enumerate() {
                for (j, weight) in weight.iter().enumerate() {
                    let at = (i * stride + j).checked_sub(padding);
                    if let Some(sum) = at.and_then(|at| expected.get_mut(at)) {
                        *sum += value * weight;
                    }
                }
            }
            let taps = convolution(&weight, 1, 1, [flat, flat, axis]);
            let before = axis.reach()[0];
            let found: Vec<f32> = (0..expected.len())
                .map(|at| {
                    let (o, place) = (at / stride, at % stride);
                    let taps = &taps[place * axis.size()..(place + 1) * axis.size()];
                    let read = |tap: usize| {
                        (o + tap).checked_sub(before).and_then(|at| input.get(at)).unwrap_or(&0.0)
                    };
                    taps.iter().enumerate().map(|(tap, weight)| weight * read(tap)).sum()
                })
                .collect();
            assert_eq!(found, expected, "kernel {kernel}, stride {stride}, padding {padding}");
        }
    }
}
