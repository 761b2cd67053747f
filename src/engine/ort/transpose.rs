//! Transposed convolution for providers that have none of three axes.

use std::sync::Arc;

use super::graph::{Builder, list};
use super::lower::Step;
use crate::error::{Error, Result};
use crate::network::Weight;

/// A transposed convolution whose kernel is as large as its stride: each voxel becomes a block, so it is a 1×1×1
/// convolution to as many channels as all blocks' voxels have, whose values then move to their places.
pub(super) fn lower(
    builder: &mut Builder,
    step: &Step,
    [weight, bias]: [Option<&Arc<Weight>>; 2],
    [kernel, stride, padding]: [[usize; 3]; 3],
) -> Result<()> {
    let (Some(weight), true) = (weight, kernel == stride && padding == [0; 3]) else {
        let text =
            format!("a transposed convolution of kernel {kernel:?} and stride {stride:?} on this device");
        return Err(Error::unsupported(text));
    };
    let ([depth, rows, columns], block) = (step.size, kernel.iter().product::<usize>());
    let (inputs, outputs) = (step.channels, weight.data.len() / step.channels / block);
    let part = |name: &str| step.part(name);
    let places = outputs * block;
    let mut operands = vec![step.inputs[0].clone()];
    operands.push(builder.values(&part("weight"), &[places, inputs, 1, 1, 1], || {
        // [in, places] becomes [places, in].
        (0..places * inputs).map(|at| weight.data[at % inputs * places + at / inputs]).collect()
    })?);
    if let Some(bias) = bias {
        let spread = || bias.data.iter().flat_map(|&value| std::iter::repeat_n(value, block)).collect();
        operands.push(builder.values(&part("bias"), &[places], spread)?);
    }
    builder.node("Conv", &operands, &part("places"), vec![list("kernel_shape", &[1, 1, 1])?])?;
    let split = [outputs, kernel[0], kernel[1], kernel[2], depth, rows, columns];
    builder.reshape(&part("places"), &part("split"), &split)?;
    builder.transpose(&part("split"), &part("moved"), &[0, 4, 1, 5, 2, 6, 3])?;
    let size: [usize; 3] = std::array::from_fn(|axis| step.size[axis] * kernel[axis]);
    builder.reshape(&part("moved"), &step.result, &[1, outputs, size[0], size[1], size[2]])
}
