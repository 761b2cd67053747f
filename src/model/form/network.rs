//! The form of a network's nodes, its tensors by their shapes and digests.

use sha2::{Digest, Sha256};

use super::{Form, fields, kind};
use crate::model::hexadecimal;
use crate::network::{Node, OnnxFile, Op, Weight};

/// What a node computes, from which nodes.
pub(in crate::model) fn node(node: &Node) -> Form {
    let Node { op, inputs, channels } = node;
    fields([("operator", operator(op)), ("inputs", inputs.into()), ("channels", (*channels).into())])
}

fn operator(op: &Op) -> Form {
    match op {
        Op::Input => kind("op", "input"),
        Op::Onnx { file: OnnxFile(bytes), classes: _channels } => {
            let digest = hexadecimal(Sha256::new_with_prefix(&**bytes));
            fields([("op", "onnx".into()), ("sha256", (&digest).into())])
        }
        Op::Conv { weight, bias, kernel, stride, padding } => fields([
            ("op", "conv".into()),
            ("weight", tensor(weight)),
            ("bias", bias.as_deref().map(tensor).into()),
            ("kernel", (*kernel).into()),
            ("stride", (*stride).into()),
            ("padding", (*padding).into()),
        ]),
        Op::ConvTranspose { weight, bias, kernel, stride, padding } => fields([
            ("op", "conv_transpose".into()),
            ("weight", tensor(weight)),
            ("bias", bias.as_deref().map(tensor).into()),
            ("kernel", (*kernel).into()),
            ("stride", (*stride).into()),
            ("padding", (*padding).into()),
        ]),
        Op::InstanceNorm { scale, shift, epsilon } => norm("instance_norm", scale, shift, *epsilon),
        Op::GroupNorm { groups, scale, shift, epsilon } => fields([
            ("op", "group_norm".into()),
            ("groups", (*groups).into()),
            ("scale", tensor(scale)),
            ("shift", tensor(shift)),
            ("epsilon", (*epsilon).into()),
        ]),
        Op::LayerNorm { scale, shift, epsilon } => norm("layer_norm", scale, shift, *epsilon),
        Op::BatchNorm { scale, shift, mean, variance, epsilon } => fields([
            ("op", "batch_norm".into()),
            ("scale", tensor(scale)),
            ("shift", tensor(shift)),
            ("mean", tensor(mean)),
            ("variance", tensor(variance)),
            ("epsilon", (*epsilon).into()),
        ]),
        Op::LeakyRelu { slope } => fields([("op", "leaky_relu".into()), ("slope", (*slope).into())]),
        Op::PRelu { slope } => fields([("op", "prelu".into()), ("slope", tensor(slope))]),
        Op::Relu => kind("op", "relu"),
        Op::Elu { alpha } => fields([("op", "elu".into()), ("alpha", (*alpha).into())]),
        Op::Gelu => kind("op", "gelu"),
        Op::Sigmoid => kind("op", "sigmoid"),
        Op::Tanh => kind("op", "tanh"),
        Op::Add => kind("op", "add"),
        Op::Multiply => kind("op", "multiply"),
        Op::AveragePool { size } => fields([("op", "average_pool".into()), ("kernel", (*size).into())]),
        Op::MaxPool { size } => fields([("op", "max_pool".into()), ("kernel", (*size).into())]),
        Op::Upsample { factor, align_corners } => fields([
            ("op", "upsample".into()),
            ("factor", (*factor).into()),
            ("align_corners", (*align_corners).into()),
        ]),
        Op::Mean { axes } => fields([("op", "mean".into()), ("axes", (*axes).into())]),
        Op::Concat => kind("op", "concat"),
        Op::PadLike => kind("op", "pad_like"),
        Op::CropLike => kind("op", "crop_like"),
        Op::PadToWindows { window } => {
            fields([("op", "pad_to_windows".into()), ("window", (*window).into())])
        }
        Op::PatchMerge { places } => fields([("op", "patch_merge".into()), ("places", (*places).into())]),
        Op::Constant { value } => fields([("op", "constant".into()), ("value", tensor(value))]),
        Op::Depthwise { weight, bias, kernel, stride, padding } => fields([
            ("op", "depthwise_conv".into()),
            ("weight", tensor(weight)),
            ("bias", tensor(bias)),
            ("kernel", (*kernel).into()),
            ("stride", (*stride).into()),
            ("padding", (*padding).into()),
        ]),
        Op::DepthwiseTranspose { weight, bias, kernel, stride, padding } => fields([
            ("op", "depthwise_conv_transpose".into()),
            ("weight", tensor(weight)),
            ("bias", tensor(bias)),
            ("kernel", (*kernel).into()),
            ("stride", (*stride).into()),
            ("padding", (*padding).into()),
        ]),
        Op::PadFront { planes } => fields([("op", "pad_front".into()), ("planes", (*planes).into())]),
        Op::Downsample { factor } => fields([("op", "downsample".into()), ("factor", (*factor).into())]),
        Op::Attention { heads, window } => {
            fields([("op", "attention".into()), ("heads", (*heads).into()), ("window", (*window).into())])
        }
        Op::WindowAttention { bias, heads, window, shift } => fields([
            ("op", "window_attention".into()),
            ("bias", tensor(bias)),
            ("heads", (*heads).into()),
            ("window", (*window).into()),
            ("shift", (*shift).into()),
        ]),
    }
}

fn norm(name: &str, scale: &Weight, shift: &Weight, epsilon: f32) -> Form {
    fields([
        ("op", name.into()),
        ("scale", tensor(scale)),
        ("shift", tensor(shift)),
        ("epsilon", epsilon.into()),
    ])
}

/// A tensor without its name, which is the file's.
fn tensor(weight: &Weight) -> Form {
    let Weight { name: _of_the_file, shape, data } = weight;
    let mut hash = Sha256::new();
    let mut bytes = [0; CHUNK * size_of::<f32>()];
    for values in data.chunks(CHUNK) {
        let places = bytes.as_chunks_mut().0.iter_mut();
        places.zip(values).for_each(|(place, value)| *place = value.to_le_bytes());
        hash.update(&bytes[..size_of_val(values)]);
    }
    fields([("shape", shape.into()), ("sha256", (&hexadecimal(hash)).into())])
}

/// Values that are hashed at once.
const CHUNK: usize = 4096;
