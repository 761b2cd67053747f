//! Normalisation over groups of channels and over the channels of a voxel, by operators that ONNX Runtime has
//! kernels for.

use std::sync::Arc;

use super::graph::{Builder, attribute};
use super::lower::{InstanceNorm, Step};
use crate::error::Result;
use crate::network::Weight;

/// Mean and variance plane by plane and then over the planes: summed in one go, the millions of voxels of a group
/// cost single precision two digits. In half precision all of it is in single precision.
pub(super) fn group(
    builder: &mut Builder,
    step: &Step,
    groups: usize,
    [scale, shift]: [&Arc<Weight>; 2],
    epsilon: f32,
) -> Result<()> {
    let (channels, [depth, rows, columns]) = (step.channels, step.size);
    let (planes, plane) = (channels / groups * depth, rows * columns);
    let (input, result) = (builder.in_single(&step.inputs[0])?, builder.single_name(&step.result));
    let part = |name: &str| step.part(name);
    let (_, variance) = statistics(builder, step, &input, [step.batch * groups, planes, plane])?;
    let epsilon = builder.single_values(&format!("number {epsilon:e}"), &[1], || vec![epsilon])?;
    builder.node("Add", &[variance, epsilon], &part("shifted"), Vec::new())?;
    builder.node("Sqrt", &[part("shifted")], &part("flat"), Vec::new())?;
    builder.reshape(&part("flat"), &part("deviation"), &[step.batch, groups, 1, 1])?;

    let scale = builder.single_weight(step.id, scale, &[groups, channels / groups, 1])?;
    builder.node("Div", &[scale, part("deviation")], &part("factors"), Vec::new())?;
    builder.reshape(&part("factors"), &part("factor"), &[step.batch, channels, 1, 1, 1])?;
    builder.reshape(&part("centred"), &part("volume"), &step.shape())?;
    builder.node("Mul", &[part("volume"), part("factor")], &part("scaled"), Vec::new())?;
    let shift = builder.single_weight(step.id, shift, &[channels, 1, 1, 1])?;
    builder.node("Add", &[part("scaled"), shift], &result, Vec::new())?;
    builder.end_single(&step.result, step.in_half)
}

/// As [`group`] for groups of one channel: the statistics are those of a batch normalisation, which applies them in
/// one go, unless the provider's own kernel is good enough.
pub(super) fn instance(
    builder: &mut Builder,
    step: &Step,
    [scale, shift]: [&Arc<Weight>; 2],
    epsilon: f32,
) -> Result<()> {
    let (channels, plane) = (step.channels, step.size[1] * step.size[2]);
    let part = |name: &str| step.part(name);
    let epsilon = vec![attribute("epsilon", epsilon)?];
    if builder.dialect.norm == InstanceNorm::OwnHalf {
        let inputs =
            [step.inputs[0].clone(), builder.weight(step.id, scale)?, builder.weight(step.id, shift)?];
        return builder.node("InstanceNormalization", &inputs, &step.result, epsilon);
    }
    let (input, result) = (builder.in_single(&step.inputs[0])?, builder.single_name(&step.result));
    if builder.dialect.norm == InstanceNorm::Own {
        let scale = builder.single_weight(step.id, scale, &[channels])?;
        let shift = builder.single_weight(step.id, shift, &[channels])?;
        builder.node("InstanceNormalization", &[input, scale, shift], &result, epsilon)?;
        return builder.end_single(&step.result, step.in_half);
    }
    // The channels of several tiles are those of one with as many more.
    let all = step.batch * channels;
    let (mean, variance) = statistics(builder, step, &input, [all, step.size[0], plane])?;
    builder.reshape(&mean, &part("channel means"), &[all])?;
    builder.reshape(&variance, &part("channel variances"), &[all])?;
    let [means, variances] = [part("channel means"), part("channel variances")];
    if step.batch == 1 {
        let scale = builder.single_weight(step.id, scale, &[channels])?;
        let shift = builder.single_weight(step.id, shift, &[channels])?;
        builder.node("BatchNormalization", &[input, scale, shift, means, variances], &result, epsilon)?;
        return builder.end_single(&step.result, step.in_half);
    }
    let scale = builder.single_values(&part("scales"), &[all], || scale.data.repeat(step.batch))?;
    let shift = builder.single_values(&part("shifts"), &[all], || shift.data.repeat(step.batch))?;
    let [depth, rows, columns] = step.size;
    builder.reshape(&input, &part("joined"), &[1, all, depth, rows, columns])?;
    let inputs = [part("joined"), scale, shift, means, variances];
    builder.node("BatchNormalization", &inputs, &part("normed"), epsilon)?;
    builder.reshape(&part("normed"), &result, &step.shape())?;
    builder.end_single(&step.result, step.in_half)
}

/// Mean and variance of each group of planes [groups, planes, plane]; what is left of the input without its mean is
/// the step's part "centred".
fn statistics(
    builder: &mut Builder,
    step: &Step,
    input: &str,
    [groups, planes, plane]: [usize; 3],
) -> Result<(String, String)> {
    let part = |name: &str| step.part(name);
    let within = builder.integers("axes [2]", || vec![2])?;
    let over = builder.integers("axes [1]", || vec![1])?;
    builder.reshape(input, &part("planes"), &[groups, planes, plane])?;
    builder.node("ReduceMean", &[part("planes"), within.clone()], &part("means"), Vec::new())?;
    builder.node("ReduceMean", &[part("means"), over.clone()], &part("mean"), Vec::new())?;
    builder.node("Sub", &[part("planes"), part("mean")], &part("centred"), Vec::new())?;
    builder.node("ReduceSumSquare", &[part("centred"), within], &part("squares"), Vec::new())?;
    builder.node("ReduceMean", &[part("squares"), over], &part("square"), Vec::new())?;
    let voxels = builder.single_values(&format!("number {:e}", plane as f32), &[1], || vec![plane as f32])?;
    builder.node("Div", &[part("square"), voxels], &part("variance"), Vec::new())?;
    Ok((part("mean"), part("variance")))
}

/// Channels become the last axis and then the second one again.
pub(super) fn layer(
    builder: &mut Builder,
    step: &Step,
    [scale, shift]: [&Arc<Weight>; 2],
    epsilon: f32,
) -> Result<()> {
    let (last, normed) = (step.part("last"), step.part("normed"));
    builder.transpose(&step.inputs[0], &last, &[0, 2, 3, 4, 1])?;
    let inputs = [last, builder.weight(step.id, scale)?, builder.weight(step.id, shift)?];
    builder.node("LayerNormalization", &inputs, &normed, vec![attribute("epsilon", epsilon)?])?;
    builder.transpose(&normed, &step.result, &[0, 4, 1, 2, 3])
}
