//! A network as a graph of ONNX operators, opset 21 (ONNX operator reference).

use std::sync::Arc;

use ort::editor::Model;
use ort::value::{Outlet, Shape, SymbolicDimensions, TensorElementType, ValueType};

use super::graph::{Builder, Weights, attribute, list};
use super::{INPUT, OUTPUT, Target, normalize, window_attention};
use crate::engine::{Precision, Provider};
use crate::error::{Error, Result};
use crate::network::{Network, Node, Op, Weight};

/// Which operators a provider is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Whether tensors are in half precision.
    pub half: bool,
    /// How statistics of a channel are summed.
    pub norm: InstanceNorm,
}

/// How an instance normalisation is expressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceNorm {
    /// By sums plane by plane, since the provider's own kernel sums in one go.
    Planes,
    /// By the provider's own kernel, in single precision.
    Own,
    /// By the provider's own kernel, which sums in single precision whatever it is given.
    OwnHalf,
}

impl Dialect {
    pub(super) fn of(target: &Target) -> Self {
        let norm = match target.provider() {
            None | Some(Provider::CoreMl) => InstanceNorm::Planes,
            Some(Provider::Cuda) => InstanceNorm::OwnHalf,
            Some(_) => InstanceNorm::Own,
        };
        Dialect { half: target.precision == Precision::F16, norm }
    }
}

/// Builds the graph for `batch` tiles of one size. Its input and output are f32 in either precision.
pub(super) fn lower(
    network: &Arc<Network>,
    tile: [usize; 3],
    batch: usize,
    dialect: Dialect,
) -> Result<(Model, Weights)> {
    let sizes = network.sizes(tile)?;
    let names: Vec<String> = (0..network.nodes().len()).map(|id| format!("t{id}")).collect();
    let last = names.len() - 1;
    let (input, output) = (INPUT.to_str().unwrap_or_default(), OUTPUT.to_str().unwrap_or_default());
    let outlet = |name: &str, channels: usize, size: [usize; 3]| {
        let shape = [batch, channels, size[0], size[1], size[2]].map(|size| size as i64);
        let dimension_symbols = SymbolicDimensions::empty(5);
        Outlet::new(
            name,
            ValueType::Tensor { ty: TensorElementType::Float32, shape: Shape::new(shape), dimension_symbols },
        )
    };
    let mut builder = Builder::new(
        dialect,
        outlet(input, network.input_channels(), tile),
        outlet(output, network.output_channels(), sizes[last]),
    )?;
    let single = Singles::of(network, dialect);
    for (id, node) in network.nodes().iter().enumerate() {
        // In single precision the ends carry the graph's own names, in half precision a cast stands between.
        let name = |node: usize| match node {
            0 if !builder.dialect.half => input.to_owned(),
            node if node == last && !builder.dialect.half => output.to_owned(),
            node => names[node].clone(),
        };
        let step = Step {
            id,
            batch,
            node,
            inputs: node.inputs.iter().map(|&input| name(input)).collect(),
            result: name(id),
            in_single: single.computed[id],
            in_half: single.read_in_half[id],
            channels: node.inputs.first().map_or(node.channels, |&input| network.channels(input)),
            size: node.inputs.first().map_or(tile, |&input| sizes[input]),
            result_size: sizes[id],
        };
        match &node.op {
            Op::Input if builder.dialect.half => {
                builder.cast(input, &step.result, TensorElementType::Float16)?
            }
            Op::Input => {}
            _ => step.lower(&mut builder)?,
        }
    }
    if builder.dialect.half {
        builder.cast(&names[last], output, TensorElementType::Float32)?;
    }
    builder.finish(network)
}

/// Where a graph in half precision computes in single.
struct Singles {
    /// Whether a node's result is computed in single precision.
    computed: Vec<bool>,
    /// Whether something reads a node's result in half precision.
    read_in_half: Vec<bool>,
}

impl Singles {
    fn of(network: &Network, dialect: Dialect) -> Self {
        let nodes = network.nodes();
        let mut computed = vec![false; nodes.len()];
        let mut read_in_half = vec![false; nodes.len()];
        for (id, node) in nodes.iter().enumerate() {
            computed[id] = dialect.half
                && match &node.op {
                    Op::InstanceNorm { .. } => dialect.norm != InstanceNorm::OwnHalf,
                    Op::GroupNorm { .. } => true,
                    Op::BatchNorm { .. } => computed[node.inputs[0]],
                    op => op.is_activation() && computed[node.inputs[0]],
                };
            if !computed[id] {
                node.inputs.iter().for_each(|&input| read_in_half[input] = true);
            }
        }
        if let Some(last) = read_in_half.last_mut() {
            *last = true;
        }
        Singles { computed, read_in_half }
    }
}

/// Whether the graph can take several tiles at once: attention over windows is laid out for one.
pub(super) fn takes_several(network: &Network) -> bool {
    !network.nodes().iter().any(|node| matches!(node.op, Op::WindowAttention { .. } | Op::Attention { .. }))
}

/// The most bytes that the graph needs while it computes one node, beside the node's inputs and its result.
pub(super) fn scratch_bytes(network: &Network, tile: [usize; 3], width: usize) -> Result<u64> {
    let sizes = network.sizes(tile)?;
    let values = |node: &Node| match (&node.op, node.inputs.first()) {
        (Op::WindowAttention { heads, window, .. } | Op::Attention { heads, window }, Some(&input)) => {
            window_attention::scratch_values(node.channels, *heads, *window, sizes[input])
        }
        _ => 0,
    };
    Ok(network.nodes().iter().map(values).max().unwrap_or(0) * width as u64)
}

/// A weight's shape for three axes: kernels of two-dimensional networks are one voxel thick.
fn volume_shape(weight: &Weight) -> Vec<usize> {
    match weight.shape[..] {
        [out, input, rows, columns] => vec![out, input, 1, rows, columns],
        _ => weight.shape.clone(),
    }
}

/// A node on its way into the graph.
pub(super) struct Step<'a> {
    pub id: usize,
    /// Tiles.
    pub batch: usize,
    node: &'a Node,
    /// Names of its inputs.
    pub inputs: Vec<String>,
    /// Name of its result.
    pub result: String,
    /// Whether it computes in single precision within a graph in half.
    in_single: bool,
    /// Whether something reads its result in half precision.
    pub in_half: bool,
    /// Channels of its first input.
    pub channels: usize,
    /// Size of its first input.
    pub size: [usize; 3],
    result_size: [usize; 3],
}

impl Step<'_> {
    /// A name for something on the way to the result.
    pub(super) fn part(&self, name: &str) -> String {
        format!("{}.{name}", self.result)
    }

    /// The shape of its first input.
    pub(super) fn shape(&self) -> [usize; 5] {
        [self.batch, self.channels, self.size[0], self.size[1], self.size[2]]
    }

    fn lower(&self, builder: &mut Builder) -> Result<()> {
        let mut inputs = self.inputs.clone();
        let (operator, attributes) = match &self.node.op {
            Op::Input => return Ok(()),
            Op::Onnx { .. } => return Err(Error::unsupported("an ONNX file within a network")),
            Op::GroupNorm { groups, scale, shift, epsilon } => {
                return normalize::group(builder, self, *groups, [scale, shift], *epsilon);
            }
            Op::LayerNorm { scale, shift, epsilon } => {
                return normalize::layer(builder, self, [scale, shift], *epsilon);
            }
            Op::WindowAttention { bias, heads, window, shift } => {
                return window_attention::lower(builder, self, Some(bias), *heads, *window, *shift);
            }
            Op::Attention { heads, window } => {
                return window_attention::lower(builder, self, None, *heads, *window, [0; 3]);
            }
            Op::Constant { value } => {
                let shape = [&[1], &value.shape[..]].concat();
                inputs.push(self.weight(builder, value, &shape)?);
                ("Identity", Vec::new())
            }
            Op::Depthwise { kernel, stride, padding, .. }
            | Op::DepthwiseTranspose { kernel, stride, padding, .. } => {
                let pads = [*padding, *padding].concat();
                let attributes = vec![
                    list("kernel_shape", kernel)?,
                    list("strides", stride)?,
                    list("pads", &pads)?,
                    attribute("group", self.channels as i64)?,
                ];
                let forwards = matches!(self.node.op, Op::Depthwise { .. });
                (if forwards { "Conv" } else { "ConvTranspose" }, attributes)
            }
            Op::PadFront { planes } => {
                let pads = [[0, 0, planes[0], planes[1], planes[2]], [0; 5]].concat();
                let pads: Vec<i64> = pads.into_iter().map(|count| count as i64).collect();
                inputs.push(builder.integers(&format!("front {planes:?}"), || pads)?);
                ("Pad", vec![attribute("mode", String::from("constant"))?])
            }
            Op::Downsample { .. } => {
                let sizes = [
                    self.batch,
                    self.channels,
                    self.result_size[0],
                    self.result_size[1],
                    self.result_size[2],
                ];
                let sizes: Vec<i64> = sizes.into_iter().map(|size| size as i64).collect();
                // Neither a region of interest nor factors, but sizes.
                inputs.extend([String::new(), String::new()]);
                inputs.push(builder.integers(&format!("sizes {sizes:?}"), || sizes.clone())?);
                let mode = attribute("coordinate_transformation_mode", String::from("align_corners"))?;
                ("Resize", vec![attribute("mode", String::from("linear"))?, mode])
            }
            Op::PatchMerge { places } => return self.patch_merge(builder, places),
            Op::PRelu { slope } => {
                inputs.push(self.weight(builder, slope, &[slope.shape[0], 1, 1, 1])?);
                ("PRelu", Vec::new())
            }
            Op::Conv { kernel, stride, padding, .. } => {
                let pads = [*padding, *padding].concat();
                ("Conv", vec![list("kernel_shape", kernel)?, list("strides", stride)?, list("pads", &pads)?])
            }
            Op::ConvTranspose { kernel, stride, padding, .. } => {
                let pads = [*padding, *padding].concat();
                let lacking: [usize; 3] =
                    std::array::from_fn(|axis| stride[axis] + 2 * padding[axis] - kernel[axis]);
                let attributes = vec![
                    list("kernel_shape", kernel)?,
                    list("strides", stride)?,
                    list("pads", &pads)?,
                    list("output_padding", &lacking)?,
                ];
                ("ConvTranspose", attributes)
            }
            Op::InstanceNorm { scale, shift, epsilon } => {
                return normalize::instance(builder, self, [scale, shift], *epsilon);
            }
            Op::BatchNorm { epsilon, .. } => ("BatchNormalization", vec![attribute("epsilon", *epsilon)?]),
            Op::LeakyRelu { slope } => ("LeakyRelu", vec![attribute("alpha", *slope)?]),
            Op::Relu => ("Relu", Vec::new()),
            Op::Elu { alpha } => ("Elu", vec![attribute("alpha", *alpha)?]),
            Op::Gelu => ("Gelu", Vec::new()),
            Op::Sigmoid => ("Sigmoid", Vec::new()),
            Op::Tanh => ("Tanh", Vec::new()),
            Op::Add => ("Add", Vec::new()),
            Op::Multiply => ("Mul", Vec::new()),
            Op::Concat => ("Concat", vec![attribute("axis", 1_i64)?]),
            Op::AveragePool { size } => {
                ("AveragePool", vec![list("kernel_shape", size)?, list("strides", size)?])
            }
            Op::MaxPool { size } => ("MaxPool", vec![list("kernel_shape", size)?, list("strides", size)?]),
            Op::Upsample { factor, align_corners } => {
                let scales = [1, 1, factor[0], factor[1], factor[2]].map(|factor| factor as f32);
                // The region of interest, which these modes don't have, comes before the factors.
                inputs.push(String::new());
                inputs.push(builder.single_values(&format!("factor {factor:?}"), &[5], || scales.to_vec())?);
                let mode = if *align_corners { "align_corners" } else { "half_pixel" };
                let mode = attribute("coordinate_transformation_mode", mode.to_owned())?;
                ("Resize", vec![attribute("mode", String::from("linear"))?, mode])
            }
            Op::Mean { axes } => {
                let axes: Vec<i64> = (0..3).filter(|&axis| axes[axis]).map(|axis| axis as i64 + 2).collect();
                inputs.push(builder.integers(&format!("axes {axes:?}"), || axes.clone())?);
                ("ReduceMean", Vec::new())
            }
            Op::PadLike | Op::PadToWindows { .. } => {
                let added: [usize; 3] = std::array::from_fn(|axis| self.result_size[axis] - self.size[axis]);
                let pads = [[0; 5], [0, 0, added[0], added[1], added[2]]].concat();
                let pads: Vec<i64> = pads.into_iter().map(|count| count as i64).collect();
                let pads = builder.integers(&format!("padding {added:?}"), || pads)?;
                inputs = vec![inputs.swap_remove(0), pads];
                let mode = if matches!(self.node.op, Op::PadLike) { "edge" } else { "constant" };
                ("Pad", vec![attribute("mode", mode.to_owned())?])
            }
            Op::CropLike => {
                let ends = self.result_size.map(|size| size as i64);
                let input = inputs.swap_remove(0);
                return slice(builder, input, &self.result, [0; 3], ends, 1);
            }
        };
        if self.in_single {
            inputs[0] = builder.in_single(&inputs[0])?;
        }
        if let Op::Conv { .. }
        | Op::ConvTranspose { .. }
        | Op::Depthwise { .. }
        | Op::DepthwiseTranspose { .. }
        | Op::BatchNorm { .. } = self.node.op
        {
            for weight in self.node.op.weights() {
                inputs.push(self.weight(builder, weight, &volume_shape(weight))?);
            }
        }
        if !self.in_single {
            return builder.node(operator, &inputs, &self.result, attributes);
        }
        builder.node(operator, &inputs, &builder.single_name(&self.result), attributes)?;
        builder.end_single(&self.result, self.in_half)
    }

    /// A weight in the precision that the step computes in.
    fn weight(&self, builder: &mut Builder, weight: &Weight, shape: &[usize]) -> Result<String> {
        match self.in_single {
            true => builder.single_weight(self.id, weight, shape),
            false => builder.weight_as(self.id, weight, shape),
        }
    }

    fn patch_merge(&self, builder: &mut Builder, places: &[[usize; 3]]) -> Result<()> {
        let ends = self.size.map(|size| size as i64);
        let mut parts = Vec::new();
        for (index, place) in places.iter().enumerate() {
            let part = self.part(&index.to_string());
            let place = place.map(|start| start as i64);
            slice(builder, self.inputs[0].clone(), &part, place, ends, 2)?;
            parts.push(part);
        }
        builder.node("Concat", &parts, &self.result, vec![attribute("axis", 1_i64)?])
    }
}

/// Adds the voxels between two corners, or every so many-th of them.
fn slice(
    builder: &mut Builder,
    input: String,
    result: &str,
    starts: [i64; 3],
    ends: [i64; 3],
    step: i64,
) -> Result<()> {
    let mut inputs = vec![input];
    for values in [starts, ends, [2, 3, 4], [step; 3]] {
        inputs.push(builder.integers(&format!("corner {values:?}"), || values.to_vec())?);
    }
    builder.node("Slice", &inputs, result, Vec::new())
}
