//! A network as a graph of ONNX operators, opset 21 (ONNX operator reference).

use std::ffi::CString;
use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::AsPointer;
use ort::editor::{Graph, Model, Node, ONNX_DOMAIN, Opset};
use ort::memory::MemoryInfo;
use ort::operator::Attribute;
use ort::value::{Outlet, Shape, SymbolicDimensions, TensorElementType, ValueType};

use super::{INPUT, OUTPUT, failed};
use crate::error::{Error, Result};
use crate::network::{Network, Op, Weight};
use crate::plan::Precision;

/// What a session reads its weights from, for as long as it lives.
pub(super) struct Weights {
    _single: Arc<Network>,
    _half: Vec<Vec<f16>>,
    _integers: Vec<Vec<i64>>,
}

/// ONNX Runtime keeps initializers of up to this many bytes by value, and wants larger ones to be external.
const SMALL: usize = 127;

/// Builds the graph for tiles of one size. Its input and output are f32 in either precision.
pub(super) fn lower(
    network: &Arc<Network>,
    tile: [usize; 3],
    precision: Precision,
) -> Result<(Model, Weights)> {
    let sizes = network.sizes(tile)?;
    let mut builder = Builder {
        graph: Graph::new().map_err(failed("create a graph"))?,
        half: precision == Precision::F16,
        buffers: Vec::new(),
        integers: Vec::new(),
    };
    let names: Vec<String> = (0..network.nodes().len()).map(|id| format!("t{id}")).collect();
    let last = names.len() - 1;
    let (input, output) = (INPUT.to_str().unwrap_or_default(), OUTPUT.to_str().unwrap_or_default());
    let outlet = |name: &str, channels: usize, size: [usize; 3]| {
        let shape = [1, channels, size[0], size[1], size[2]].map(|size| size as i64);
        let dimension_symbols = SymbolicDimensions::empty(5);
        Outlet::new(
            name,
            ValueType::Tensor { ty: TensorElementType::Float32, shape: Shape::new(shape), dimension_symbols },
        )
    };
    let set_up = failed::<()>;
    builder
        .graph
        .set_inputs([outlet(input, network.input_channels(), tile)])
        .map_err(set_up("set the graph's input"))?;
    builder
        .graph
        .set_outputs([outlet(output, network.output_channels(), sizes[last])])
        .map_err(set_up("set the graph's output"))?;

    for (id, node) in network.nodes().iter().enumerate() {
        // In single precision the ends carry the graph's own names, in half precision a cast stands between.
        let name = |node: usize| match node {
            0 if !builder.half => input.to_owned(),
            node if node == last && !builder.half => output.to_owned(),
            node => names[node].clone(),
        };
        let mut inputs: Vec<String> = node.inputs.iter().map(|&input| name(input)).collect();
        let result = name(id);
        let (operator, attributes) = match &node.op {
            Op::Input => {
                if builder.half {
                    builder.cast(input, &result, TensorElementType::Float16)?;
                }
                continue;
            }
            Op::Conv { kernel, stride, .. } => {
                let padding = kernel.map(|size| (size - 1) / 2);
                let pads = [padding, padding].concat();
                ("Conv", vec![list("kernel_shape", kernel)?, list("strides", stride)?, list("pads", &pads)?])
            }
            Op::ConvTranspose { stride, .. } => {
                ("ConvTranspose", vec![list("kernel_shape", stride)?, list("strides", stride)?])
            }
            Op::InstanceNorm { epsilon, .. } => {
                ("InstanceNormalization", vec![attribute("epsilon", *epsilon)?])
            }
            Op::BatchNorm { epsilon, .. } => ("BatchNormalization", vec![attribute("epsilon", *epsilon)?]),
            Op::LeakyRelu { slope } => ("LeakyRelu", vec![attribute("alpha", *slope)?]),
            Op::Relu => ("Relu", Vec::new()),
            Op::Gelu => ("Gelu", Vec::new()),
            Op::Sigmoid => ("Sigmoid", Vec::new()),
            Op::Add => ("Add", Vec::new()),
            Op::Multiply => ("Mul", Vec::new()),
            Op::Concat => ("Concat", vec![attribute("axis", 1_i64)?]),
            Op::AveragePool { size } => {
                ("AveragePool", vec![list("kernel_shape", size)?, list("strides", size)?])
            }
            Op::Mean { axes } => {
                let axes = (0..3).filter(|&axis| axes[axis]).map(|axis| axis as i64 + 2).collect();
                inputs.push(builder.integers(&format!("{id}.axes"), axes)?);
                ("ReduceMean", Vec::new())
            }
        };
        for weight in node.op.weights() {
            inputs.push(builder.weight(id, weight)?);
        }
        builder.node(operator, &inputs, &result, attributes)?;
    }
    if builder.half {
        builder.cast(&names[last], output, TensorElementType::Float32)?;
    }
    let opset = Opset::new(ONNX_DOMAIN, 21).map_err(failed("name its operators"))?;
    let mut model = Model::new([opset]).map_err(failed("create a model"))?;
    model.set_graph(builder.graph).map_err(failed("create a model"))?;
    Ok((model, Weights { _single: network.clone(), _half: builder.buffers, _integers: builder.integers }))
}

fn attribute(name: &str, value: impl ort::operator::ToAttribute) -> Result<Attribute> {
    Attribute::new(name, value).map_err(failed("set an operator's attribute"))
}

fn list(name: &str, values: &[usize]) -> Result<Attribute> {
    attribute(name, values.iter().map(|&value| value as i64).collect::<Vec<i64>>())
}

struct Builder {
    graph: Graph,
    half: bool,
    buffers: Vec<Vec<f16>>,
    integers: Vec<Vec<i64>>,
}

impl Builder {
    fn node(
        &mut self,
        operator: &str,
        inputs: &[String],
        output: &str,
        attributes: Vec<Attribute>,
    ) -> Result<()> {
        let node = Node::new(operator, ONNX_DOMAIN, output, inputs, [output], attributes);
        self.graph.add_node(node.map_err(failed("create an operator"))?).map_err(failed("add an operator"))
    }

    fn cast(&mut self, input: &str, output: &str, to: TensorElementType) -> Result<()> {
        let code = ort::sys::ONNXTensorElementDataType::from(to) as i64;
        self.node("Cast", &[input.to_owned()], output, vec![attribute("to", code)?])
    }

    /// Hands a weight over and returns its name in the graph.
    fn weight(&mut self, node: usize, weight: &Weight) -> Result<String> {
        let name = format!("{node}.{}", weight.name);
        let shape = match weight.shape[..] {
            // Kernels of two-dimensional networks are one voxel thick here.
            [out, input, rows, columns] => vec![out, input, 1, rows, columns],
            _ => weight.shape.clone(),
        };
        if self.half {
            let mut values = vec![f16::ZERO; weight.data.len()];
            values.convert_from_f32_slice(&weight.data);
            self.initializer(&name, &shape, &values, TensorElementType::Float16)?;
            // Moving the vector leaves its heap memory where the graph saw it.
            self.buffers.push(values);
        } else {
            self.initializer(&name, &shape, &weight.data, TensorElementType::Float32)?;
        }
        Ok(name)
    }

    /// Hands a list of whole numbers over and returns its name in the graph.
    fn integers(&mut self, name: &str, values: Vec<i64>) -> Result<String> {
        self.initializer(name, &[values.len()], &values, TensorElementType::Int64)?;
        self.integers.push(values);
        Ok(name.into())
    }

    /// The safe wrapper only takes tensors that ONNX Runtime allocated, so it would copy every weight.
    fn initializer<T: Copy>(
        &mut self,
        name: &str,
        shape: &[usize],
        data: &[T],
        ty: TensorElementType,
    ) -> Result<()> {
        let c_name =
            CString::new(name).map_err(|_| Error::malformed(name, "a tensor's name has a NUL byte"))?;
        let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        let memory = MemoryInfo::default();
        let mut value = std::ptr::null_mut();
        // SAFETY: `data` is read as a tensor of its own length, type and shape (checked when the weight was
        // made); it outlives the session since `Weights` holds it. The graph takes the value over.
        let result = unsafe {
            let status = (ort::api().CreateTensorWithDataAsOrtValue)(
                memory.ptr(),
                data.as_ptr().cast_mut().cast(),
                size_of_val(data),
                shape.as_ptr(),
                shape.len(),
                ty.into(),
                &raw mut value,
            );
            ort::Error::result_from_status(status).and_then(|()| {
                let api = ort::editor::editor_api()?;
                let external = size_of_val(data) > SMALL;
                let graph = self.graph.ptr().cast_mut();
                let status = (api.AddInitializerToGraph)(graph, c_name.as_ptr(), value, external);
                ort::Error::result_from_status(status)
            })
        };
        result.map_err(failed("hand a weight over"))
    }
}
