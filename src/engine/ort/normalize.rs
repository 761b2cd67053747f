//! Normalisation over groups of channels and over the channels of a voxel, by operators that ONNX Runtime has
//! kernels for.

use std::sync::Arc;

use super::graph::{Builder, attribute};
use super::lower::Step;
use crate::error::Result;
use crate::network::Weight;

/// A group is one channel of an instance normalisation; scale and shift follow on the channels.
pub(super) fn group(
    builder: &mut Builder,
    step: &Step,
    groups: usize,
    [scale, shift]: [&Arc<Weight>; 2],
    epsilon: f32,
) -> Result<()> {
    let values = step.channels * step.size.iter().product::<usize>();
    let grouped = step.part("grouped");
    builder.reshape(&step.inputs[0], &grouped, &[1, groups, values / groups])?;
    let ones = builder.values(&format!("ones {groups}"), &[groups], || vec![1.0; groups])?;
    let zeros = builder.values(&format!("zeros {groups}"), &[groups], || vec![0.0; groups])?;
    let (normed, shaped, scaled) = (step.part("normed"), step.part("shaped"), step.part("scaled"));
    let epsilon = attribute("epsilon", epsilon)?;
    builder.node("InstanceNormalization", &[grouped, ones, zeros], &normed, vec![epsilon])?;
    builder.reshape(&normed, &shaped, &step.shape())?;
    let per_channel = [step.channels, 1, 1, 1];
    let scale = builder.weight_as(step.id, scale, &per_channel)?;
    builder.node("Mul", &[shaped, scale], &scaled, Vec::new())?;
    let shift = builder.weight_as(step.id, shift, &per_channel)?;
    builder.node("Add", &[scaled, shift], &step.result, Vec::new())
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
