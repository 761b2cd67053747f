//! An ONNX graph in the making, and the memory that its weights are read from.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::AsPointer;
use ort::editor::{Graph, Model, Node, ONNX_DOMAIN, Opset};
use ort::memory::MemoryInfo;
use ort::operator::Attribute;
use ort::value::{Outlet, TensorElementType};

use super::failed;
use super::lower::Dialect;
use crate::error::{Error, Result};
use crate::network::{Network, Weight};

/// What a session reads its weights from, for as long as it lives.
#[derive(Default)]
pub(super) struct Weights {
    _network: Option<Arc<Network>>,
    single: Vec<Vec<f32>>,
    half: Vec<Vec<f16>>,
    integers: Vec<Vec<i64>>,
    /// Bytes of what the network itself doesn't hold.
    pub derived_bytes: u64,
}

/// ONNX Runtime keeps initializers of up to this many bytes by value, and wants larger ones to be external.
const SMALL: usize = 127;

pub(super) struct Builder {
    graph: Graph,
    pub dialect: Dialect,
    weights: Weights,
    shared: BTreeSet<String>,
    /// Results that are there in single precision, under their [`Builder::single_name`].
    singles: BTreeSet<String>,
}

/// An operator's attribute.
pub(super) fn attribute(name: &str, value: impl ort::operator::ToAttribute) -> Result<Attribute> {
    Attribute::new(name, value).map_err(failed("set an operator's attribute"))
}

/// An attribute that is a list of whole numbers.
pub(super) fn list(name: &str, values: &[usize]) -> Result<Attribute> {
    attribute(name, values.iter().map(|&value| value as i64).collect::<Vec<i64>>())
}

impl Builder {
    pub(super) fn new(dialect: Dialect, input: Outlet, output: Outlet) -> Result<Self> {
        let set_up = failed::<()>;
        let mut graph = Graph::new().map_err(failed("create a graph"))?;
        graph.set_inputs([input]).map_err(set_up("set the graph's input"))?;
        graph.set_outputs([output]).map_err(set_up("set the graph's output"))?;
        Ok(Builder {
            graph,
            dialect,
            weights: Weights::default(),
            shared: BTreeSet::new(),
            singles: BTreeSet::new(),
        })
    }

    /// The model, and what has to outlive its session.
    pub(super) fn finish(self, network: &Arc<Network>) -> Result<(Model, Weights)> {
        let opset = Opset::new(ONNX_DOMAIN, 21).map_err(failed("name its operators"))?;
        let mut model = Model::new([opset]).map_err(failed("create a model"))?;
        model.set_graph(self.graph).map_err(failed("create a model"))?;
        Ok((model, Weights { _network: Some(network.clone()), ..self.weights }))
    }

    pub(super) fn node(
        &mut self,
        operator: &str,
        inputs: &[String],
        output: &str,
        attributes: Vec<Attribute>,
    ) -> Result<()> {
        self.split(operator, inputs, &[output.to_owned()], attributes)
    }

    /// Adds a node with several results.
    pub(super) fn split(
        &mut self,
        operator: &str,
        inputs: &[String],
        outputs: &[String],
        attributes: Vec<Attribute>,
    ) -> Result<()> {
        let node = Node::new(operator, ONNX_DOMAIN, &outputs[0], inputs, outputs, attributes);
        self.graph.add_node(node.map_err(failed("create an operator"))?).map_err(failed("add an operator"))
    }

    pub(super) fn cast(&mut self, input: &str, output: &str, to: TensorElementType) -> Result<()> {
        let code = ort::sys::ONNXTensorElementDataType::from(to) as i64;
        self.node("Cast", &[input.to_owned()], output, vec![attribute("to", code)?])
    }

    /// The name of a tensor in single precision: as it was computed, or in half it is cast, once for all that want it
    /// so.
    pub(super) fn in_single(&mut self, input: &str) -> Result<String> {
        if !self.dialect.half {
            return Ok(input.to_owned());
        }
        if self.singles.contains(input) {
            return Ok(self.single_name(input));
        }
        let name = format!("{input} in single");
        if self.shared.insert(name.clone()) {
            self.cast(input, &name, TensorElementType::Float32)?;
        }
        Ok(name)
    }

    /// The name that something is to have in single precision before [`Builder::end_single`] brings it into the
    /// graph's.
    pub(super) fn single_name(&self, result: &str) -> String {
        if self.dialect.half { format!("{result} before half") } else { result.to_owned() }
    }

    /// Ends a result that was computed under its [`Builder::single_name`]: what reads it in half precision, if anything
    /// does, gets it cast.
    pub(super) fn end_single(&mut self, result: &str, in_half: bool) -> Result<()> {
        if !self.dialect.half {
            return Ok(());
        }
        self.singles.insert(result.to_owned());
        if in_half {
            self.cast(&self.single_name(result), result, TensorElementType::Float16)
        } else {
            Ok(())
        }
    }

    /// Adds a node that gives the same values another shape.
    pub(super) fn reshape(&mut self, input: &str, output: &str, shape: &[usize]) -> Result<()> {
        let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        let shape = self.integers(&format!("shape {shape:?}"), || shape.clone())?;
        self.node("Reshape", &[input.to_owned(), shape], output, Vec::new())
    }

    pub(super) fn transpose(&mut self, input: &str, output: &str, order: &[usize]) -> Result<()> {
        self.node("Transpose", &[input.to_owned()], output, vec![list("perm", order)?])
    }

    /// Hands a weight over and returns its name in the graph.
    pub(super) fn weight(&mut self, node: usize, weight: &Weight) -> Result<String> {
        self.weight_as(node, weight, &weight.shape)
    }

    /// As [`Builder::weight`], in a shape of as many values.
    pub(super) fn weight_as(&mut self, node: usize, weight: &Weight, shape: &[usize]) -> Result<String> {
        if !self.dialect.half {
            return self.single_weight(node, weight, shape);
        }
        let name = format!("{node}.{}", weight.name);
        self.half_values(&name, shape, &weight.data)?;
        Ok(name)
    }

    /// As [`Builder::weight_as`], in single precision always.
    pub(super) fn single_weight(&mut self, node: usize, weight: &Weight, shape: &[usize]) -> Result<String> {
        let name = format!("{node}.{}", weight.name);
        self.initializer(&name, shape, &weight.data, TensorElementType::Float32)?;
        Ok(name)
    }

    /// Hands over numbers that no weight holds and returns their name in the graph. They are made once for each
    /// name.
    pub(super) fn values(
        &mut self,
        name: &str,
        shape: &[usize],
        make: impl FnOnce() -> Vec<f32>,
    ) -> Result<String> {
        if !self.dialect.half {
            return self.single_values(name, shape, make);
        }
        if self.shared.insert(name.to_owned()) {
            let values = make();
            self.weights.derived_bytes += 2 * values.len() as u64;
            self.half_values(name, shape, &values)?;
        }
        Ok(name.into())
    }

    /// As [`Builder::values`], in single precision always.
    pub(super) fn single_values(
        &mut self,
        name: &str,
        shape: &[usize],
        make: impl FnOnce() -> Vec<f32>,
    ) -> Result<String> {
        if self.shared.insert(name.to_owned()) {
            let values = make();
            self.weights.derived_bytes += size_of_val(&values[..]) as u64;
            self.initializer(name, shape, &values, TensorElementType::Float32)?;
            self.weights.single.push(values);
        }
        Ok(name.into())
    }

    /// Hands a list of whole numbers over and returns its name in the graph. It is made once for each name.
    pub(super) fn integers(&mut self, name: &str, make: impl FnOnce() -> Vec<i64>) -> Result<String> {
        if self.shared.insert(name.to_owned()) {
            let values = make();
            self.weights.derived_bytes += size_of_val(&values[..]) as u64;
            self.initializer(name, &[values.len()], &values, TensorElementType::Int64)?;
            self.weights.integers.push(values);
        }
        Ok(name.into())
    }

    fn half_values(&mut self, name: &str, shape: &[usize], data: &[f32]) -> Result<()> {
        let mut values = vec![f16::ZERO; data.len()];
        values.convert_from_f32_slice(data);
        self.initializer(name, shape, &values, TensorElementType::Float16)?;
        // Moving the vector leaves its heap memory where the graph saw it.
        self.weights.half.push(values);
        Ok(())
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
        // made, or by `size_of_val` against the shape in the call); it outlives the session since `Weights` holds it.
        // The graph takes the value over.
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
