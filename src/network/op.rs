//! What one step of a network computes, and what follows from its settings alone: the size of its result, its
//! weights, its cost.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Weight;
use crate::error::{Error, Result};
use crate::file::Bytes;

/// The content of an ONNX file.
#[derive(Clone)]
pub struct OnnxFile(pub Bytes);

impl std::fmt::Debug for OnnxFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What a node computes. Tensors are [batch, channel, axis 0, axis 1, axis 2]; two-dimensional networks have
/// size 1 along axis 0.
#[derive(Clone, Debug)]
pub enum Op {
    /// The image tile.
    Input,
    /// A whole network in a file that only ONNX Runtime knows to run.
    Onnx {
        /// The file.
        file: OnnxFile,
        /// Channels of its result.
        classes: usize,
    },
    /// Cross-correlation with zero padding; weight [out, in, kernel…].
    Conv {
        /// [out, in, kernel…].
        weight: Arc<Weight>,
        /// `[out]`.
        bias: Option<Arc<Weight>>,
        /// Kernel size per axis.
        kernel: [usize; 3],
        /// Step per axis.
        stride: [usize; 3],
        /// Zeros before and after, per axis.
        padding: [usize; 3],
    },
    /// Transposed convolution whose result is `stride` times as large as its input: as much as kernel and
    /// padding lack for that is output padding.
    ConvTranspose {
        /// [in, out, kernel…].
        weight: Arc<Weight>,
        /// `[out]`.
        bias: Option<Arc<Weight>>,
        /// Kernel size per axis, at most stride + 2 · padding.
        kernel: [usize; 3],
        /// Step per axis.
        stride: [usize; 3],
        /// Voxels cut off before and after, per axis.
        padding: [usize; 3],
    },
    /// Per channel: (x − mean) / √(variance + epsilon) · scale + shift, with the biased variance of the tile.
    InstanceNorm {
        /// `[channels]`; ones when the network has none.
        scale: Arc<Weight>,
        /// `[channels]`; zeros when the network has none.
        shift: Arc<Weight>,
        /// Added to the variance.
        epsilon: f32,
    },
    /// As [`Op::InstanceNorm`], with statistics over groups of neighbouring channels.
    GroupNorm {
        /// Number of groups.
        groups: usize,
        /// `[channels]`; ones when the network has none.
        scale: Arc<Weight>,
        /// `[channels]`; zeros when the network has none.
        shift: Arc<Weight>,
        /// Added to the variance.
        epsilon: f32,
    },
    /// As [`Op::InstanceNorm`], with statistics over the channels of each voxel.
    LayerNorm {
        /// `[channels]`; ones when the network has none.
        scale: Arc<Weight>,
        /// `[channels]`; zeros when the network has none.
        shift: Arc<Weight>,
        /// Added to the variance.
        epsilon: f32,
    },
    /// Per channel: (x − mean) / √(variance + epsilon) · scale + shift, with statistics from training.
    BatchNorm {
        /// `[channels]`.
        scale: Arc<Weight>,
        /// `[channels]`.
        shift: Arc<Weight>,
        /// `[channels]`.
        mean: Arc<Weight>,
        /// `[channels]`.
        variance: Arc<Weight>,
        /// Added to the variance.
        epsilon: f32,
    },
    /// x for positive x, else slope · x.
    LeakyRelu {
        /// Slope of the negative side.
        slope: f32,
    },
    /// x for positive x, else slope · x, with slopes from training.
    PRelu {
        /// `[channels]`, or `[1]` for one slope that all channels share.
        slope: Arc<Weight>,
    },
    /// x for positive x, else 0.
    Relu,
    /// x for positive x, else alpha · (eˣ − 1).
    Elu {
        /// What large negative values tend to, negated.
        alpha: f32,
    },
    /// x · Φ(x), with the error function.
    Gelu,
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// Sum of two inputs of one shape.
    Add,
    /// Product of two inputs; the second may have size 1 along axes of the first.
    Multiply,
    /// Means of blocks that don't overlap; what is left over at the end of an axis is dropped.
    AveragePool {
        /// Size of a block per axis.
        size: [usize; 3],
    },
    /// Maxima of blocks that don't overlap; what is left over at the end of an axis is dropped.
    MaxPool {
        /// Size of a block per axis.
        size: [usize; 3],
    },
    /// Linear interpolation along all axes.
    Upsample {
        /// How many times as large the result is, per axis.
        factor: [usize; 3],
        /// Whether the centres of the outermost voxels coincide; otherwise their outer faces do, and values
        /// beyond the outermost centres are those at them.
        align_corners: bool,
    },
    /// Mean along some axes, which get size 1.
    Mean {
        /// Whether each axis is averaged.
        axes: [bool; 3],
    },
    /// The inputs' channels, in order.
    Concat,
    /// The first input, its last voxels repeated where an axis is one shorter than the second input's.
    PadLike,
    /// The first input's voxels that the second one has, from the origin.
    CropLike,
    /// Zeros at the end of each axis that is longer than a window, up to a multiple of the window.
    PadToWindows {
        /// Size of a window per axis.
        window: [usize; 3],
    },
    /// Every 2 × 2 × 2 block becomes one voxel, with the channels of some of the block's voxels in turn.
    PatchMerge {
        /// Places of those voxels in the block.
        places: [[usize; 3]; 8],
    },
    /// Numbers from training for each voxel of a tile of one size, whatever the image is.
    Constant {
        /// [channels, axis 0, axis 1, axis 2].
        value: Arc<Weight>,
    },
    /// Cross-correlation of each channel by itself, with zero padding.
    Depthwise {
        /// [channels, 1, kernel…].
        weight: Arc<Weight>,
        /// `[channels]`.
        bias: Arc<Weight>,
        /// Kernel size per axis.
        kernel: [usize; 3],
        /// Step per axis.
        stride: [usize; 3],
        /// Zeros before and after, per axis.
        padding: [usize; 3],
    },
    /// Transposed convolution of each channel by itself: without output padding, so that of n voxels with a stride of 2
    /// and padding of half the kernel 2n − 1 become.
    DepthwiseTranspose {
        /// [channels, 1, kernel…].
        weight: Arc<Weight>,
        /// `[channels]`.
        bias: Arc<Weight>,
        /// Kernel size per axis.
        kernel: [usize; 3],
        /// Step per axis.
        stride: [usize; 3],
        /// Voxels cut off before and after, per axis.
        padding: [usize; 3],
    },
    /// So many planes of zeros in front of each axis.
    PadFront {
        /// Planes per axis.
        planes: [usize; 3],
    },
    /// Linear interpolation along all axes, the centres of the outermost voxels together.
    Downsample {
        /// How many times smaller the result is, per axis; what is left over is dropped.
        factor: [usize; 3],
    },
    /// Attention among the voxels of each window, as [`Op::WindowAttention`] without a bias and without shifts.
    Attention {
        /// Number of heads.
        heads: usize,
        /// Size of a window per axis, which divides the image's.
        window: [usize; 3],
    },
    /// Attention among the voxels of each window (Liu et al., "Swin Transformer", 2021). The input's channels
    /// are queries, keys and values, each of them head by head; its size comes from [`Op::PadToWindows`].
    ///
    /// An axis that isn't longer than a window is one window and isn't shifted. Along shifted axes windows
    /// start at `shift` and the last one continues at the origin; voxels of it that aren't neighbours have 100
    /// subtracted from their scores.
    WindowAttention {
        /// [(2 · window − 1)³, heads]: added to a score by the difference of the voxels' places. The places are
        /// those of a whole window, in row-major order, in smaller windows too.
        bias: Arc<Weight>,
        /// Number of heads.
        heads: usize,
        /// Size of a window per axis.
        window: [usize; 3],
        /// Shift of the windows per axis.
        shift: [usize; 3],
    },
}

/// Padding with which a convolution of stride 1 keeps the size, for an odd kernel.
pub(super) fn same_padding(kernel: [usize; 3]) -> [usize; 3] {
    kernel.map(|size| (size.max(1) - 1) / 2)
}

impl Op {
    /// Whether each value of its result comes from one value of its one input.
    pub fn is_activation(&self) -> bool {
        use Op::{Elu, Gelu, LeakyRelu, PRelu, Relu, Sigmoid, Tanh};
        matches!(self, LeakyRelu { .. } | PRelu { .. } | Relu | Elu { .. } | Gelu | Sigmoid | Tanh)
    }

    /// Its weights, in the order of its arguments.
    pub fn weights(&self) -> Vec<&Arc<Weight>> {
        match self {
            Op::Conv { weight, bias, .. } | Op::ConvTranspose { weight, bias, .. } => {
                std::iter::once(weight).chain(bias).collect()
            }
            Op::InstanceNorm { scale, shift, .. }
            | Op::GroupNorm { scale, shift, .. }
            | Op::LayerNorm { scale, shift, .. } => vec![scale, shift],
            Op::BatchNorm { scale, shift, mean, variance, .. } => vec![scale, shift, mean, variance],
            Op::PRelu { slope } => vec![slope],
            Op::WindowAttention { bias, .. } => vec![bias],
            Op::Constant { value } => vec![value],
            Op::Depthwise { weight, bias, .. } | Op::DepthwiseTranspose { weight, bias, .. } => {
                vec![weight, bias]
            }
            _ => Vec::new(),
        }
    }

    /// Channels of its result, from those of its inputs.
    pub(super) fn channels(&self, inputs: &[usize]) -> usize {
        match self {
            Op::Onnx { classes, .. } => *classes,
            Op::Input => unreachable!("a network has one input, made by `new`"),
            Op::Conv { weight, .. } => weight.shape[0],
            Op::ConvTranspose { weight, .. } => weight.shape[1],
            Op::Concat => inputs.iter().sum(),
            Op::PatchMerge { places } => inputs[0] * places.len(),
            Op::WindowAttention { .. } | Op::Attention { .. } => inputs[0] / 3,
            Op::Constant { value } => value.shape[0],
            _ => inputs[0],
        }
    }

    /// Voxels that computing it may put around its input, along each axis.
    pub(super) fn around(&self) -> [usize; 3] {
        match self {
            Op::Conv { kernel, padding, .. }
            | Op::ConvTranspose { kernel, padding, .. }
            | Op::Depthwise { kernel, padding, .. }
            | Op::DepthwiseTranspose { kernel, padding, .. } => {
                std::array::from_fn(|axis| kernel[axis] + 2 * padding[axis])
            }
            _ => [0; 3],
        }
    }

    /// Spatial size of its result, from those of its inputs.
    pub(super) fn size(&self, tile: [usize; 3], inputs: &[[usize; 3]]) -> Result<[usize; 3]> {
        let each = |size: &dyn Fn(usize) -> usize| std::array::from_fn(size);
        let strides = || {
            Error::unsupported(format!("a patch size of {tile:?}, which the network's strides don't divide"))
        };
        let size = match self {
            Op::Input | Op::Onnx { .. } => tile,
            Op::Constant { value } => match value.shape[..] {
                [_, planes, rows, columns] => [planes, rows, columns],
                _ => [0; 3],
            },
            Op::DepthwiseTranspose { kernel, stride, padding, .. } => each(&|axis| {
                let size = (inputs[0][axis].max(1) - 1) * stride[axis] + kernel[axis];
                size.saturating_sub(2 * padding[axis])
            }),
            Op::PadFront { planes } => each(&|axis| inputs[0][axis] + planes[axis]),
            Op::Downsample { factor } => each(&|axis| inputs[0][axis] / factor[axis]),
            Op::Attention { window, .. } => {
                if (0..3).any(|axis| !inputs[0][axis].is_multiple_of(window[axis])) {
                    return Err(strides());
                }
                inputs[0]
            }
            Op::Conv { kernel, stride, padding, .. } | Op::Depthwise { kernel, stride, padding, .. } => {
                each(&|axis| {
                    let room = (inputs[0][axis] + 2 * padding[axis]).checked_sub(kernel[axis]);
                    room.map_or(0, |room| room / stride[axis] + 1)
                })
            }
            Op::ConvTranspose { stride, .. } => each(&|axis| inputs[0][axis] * stride[axis]),
            Op::AveragePool { size } | Op::MaxPool { size } => each(&|axis| inputs[0][axis] / size[axis]),
            Op::Upsample { factor, .. } => each(&|axis| inputs[0][axis] * factor[axis]),
            Op::Mean { axes } => each(&|axis| if axes[axis] { 1 } else { inputs[0][axis] }),
            Op::PadLike => {
                if (0..3).any(|axis| !matches!(inputs[1][axis].checked_sub(inputs[0][axis]), Some(0 | 1))) {
                    return Err(strides());
                }
                inputs[1]
            }
            Op::CropLike => {
                if (0..3).any(|axis| inputs[1][axis] > inputs[0][axis]) {
                    return Err(strides());
                }
                inputs[1]
            }
            Op::Multiply => {
                if (0..3).any(|axis| inputs[1][axis] != 1 && inputs[1][axis] != inputs[0][axis]) {
                    return Err(strides());
                }
                inputs[0]
            }
            Op::PadToWindows { window } => each(&|axis| match (inputs[0][axis], window[axis]) {
                (size, window) if size <= window => size,
                (size, window) => size.next_multiple_of(window),
            }),
            Op::PatchMerge { .. } => {
                if inputs[0].iter().any(|size| size % 2 != 0) {
                    return Err(strides());
                }
                inputs[0].map(|size| size / 2)
            }
            Op::Concat | Op::Add => {
                if inputs.iter().any(|&input| input != inputs[0]) {
                    return Err(strides());
                }
                inputs[0]
            }
            _ => inputs[0],
        };
        if size.contains(&0) {
            let text = format!("a patch size of {tile:?}, of which the network's strides leave nothing");
            return Err(Error::unsupported(text));
        }
        Ok(size)
    }

    /// Multiply-adds, from the sizes of its input and its result.
    pub(super) fn multiply_adds(&self, input: [usize; 3], result: [usize; 3], channels: usize) -> u64 {
        let count = |size: [usize; 3]| size.iter().map(|&n| n as u64).product::<u64>();
        match self {
            Op::Conv { weight, .. } => weight.data.len() as u64 * count(result),
            Op::ConvTranspose { weight, .. } => weight.data.len() as u64 * count(input),
            Op::Depthwise { kernel, .. } => {
                channels as u64 * kernel.iter().product::<usize>() as u64 * count(result)
            }
            Op::DepthwiseTranspose { kernel, .. } => {
                channels as u64 * kernel.iter().product::<usize>() as u64 * count(input)
            }
            Op::WindowAttention { window, .. } | Op::Attention { window, .. } => {
                let within = std::array::from_fn(|axis| window[axis].min(input[axis]));
                2 * channels as u64 * count(input) * count(within)
            }
            _ => 0,
        }
    }

    /// The operator with its settings but without its weights, as text.
    pub(crate) fn settings(&self) -> String {
        match self {
            Op::Input => "input".into(),
            Op::Onnx { file, classes } => {
                let digest: String =
                    Sha256::digest(&file.0).iter().map(|byte| format!("{byte:02x}")).collect();
                format!("onnx {digest} {classes}")
            }
            Op::Conv { weight, kernel, stride, padding, .. } => {
                format!("conv {:?} {kernel:?} {stride:?} {padding:?}", weight.shape)
            }
            Op::ConvTranspose { weight, kernel, stride, padding, .. } => {
                format!("conv transpose {:?} {kernel:?} {stride:?} {padding:?}", weight.shape)
            }
            Op::InstanceNorm { epsilon, .. } => format!("instance norm {epsilon}"),
            Op::GroupNorm { groups, epsilon, .. } => format!("group norm {groups} {epsilon}"),
            Op::LayerNorm { epsilon, .. } => format!("layer norm {epsilon}"),
            Op::BatchNorm { epsilon, .. } => format!("batch norm {epsilon}"),
            Op::LeakyRelu { slope } => format!("leaky relu {slope}"),
            Op::PRelu { slope } => format!("prelu {:?}", slope.shape),
            Op::Relu => "relu".into(),
            Op::Elu { alpha } => format!("elu {alpha}"),
            Op::Gelu => "gelu".into(),
            Op::Sigmoid => "sigmoid".into(),
            Op::Tanh => "tanh".into(),
            Op::Add => "add".into(),
            Op::Multiply => "multiply".into(),
            Op::AveragePool { size } => format!("average pool {size:?}"),
            Op::MaxPool { size } => format!("max pool {size:?}"),
            Op::Upsample { factor, align_corners } => format!("upsample {factor:?} {align_corners}"),
            Op::Mean { axes } => format!("mean {axes:?}"),
            Op::Concat => "concat".into(),
            Op::PadLike => "pad like".into(),
            Op::CropLike => "crop like".into(),
            Op::PadToWindows { window } => format!("pad to windows {window:?}"),
            Op::PatchMerge { places } => format!("patch merge {places:?}"),
            Op::Constant { value } => format!("constant {:?}", value.shape),
            Op::Depthwise { weight, kernel, stride, padding, .. } => {
                format!("depthwise {:?} {kernel:?} {stride:?} {padding:?}", weight.shape)
            }
            Op::DepthwiseTranspose { weight, kernel, stride, padding, .. } => {
                format!("depthwise transpose {:?} {kernel:?} {stride:?} {padding:?}", weight.shape)
            }
            Op::PadFront { planes } => format!("pad front {planes:?}"),
            Op::Downsample { factor } => format!("downsample {factor:?}"),
            Op::Attention { heads, window } => format!("attention {heads} {window:?}"),
            Op::WindowAttention { heads, window, shift, .. } => {
                format!("window attention {heads} {window:?} {shift:?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(shape: &[usize]) -> Arc<Weight> {
        Arc::new(Weight { name: "w".into(), shape: shape.to_vec(), data: vec![0.0; shape.iter().product()] })
    }

    #[test]
    fn sizes_follow_from_the_inputs() {
        let size = |op: Op, inputs: &[[usize; 3]]| op.size([0; 3], inputs).ok();
        let conv = |kernel, stride, padding| Op::Conv {
            weight: weight(&[1; 5]),
            bias: None,
            kernel: [kernel; 3],
            stride: [stride; 3],
            padding: [padding; 3],
        };
        assert_eq!(size(conv(3, 2, 1), &[[7, 8, 1]]), Some([4, 4, 1]));
        assert_eq!(size(conv(2, 2, 0), &[[7, 8, 2]]), Some([3, 4, 1]));
        assert_eq!(size(conv(5, 1, 1), &[[7, 8, 2]]), None);
        assert_eq!(size(Op::MaxPool { size: [1, 2, 2] }, &[[1, 5, 4]]), Some([1, 2, 2]));
        assert_eq!(size(Op::MaxPool { size: [2; 3] }, &[[1, 5, 4]]), None);
        assert_eq!(size(Op::PadLike, &[[4, 6, 8], [5, 6, 9]]), Some([5, 6, 9]));
        assert_eq!(size(Op::PadLike, &[[4, 6, 8], [6, 6, 8]]), None);
        assert_eq!(size(Op::PadLike, &[[4, 6, 8], [3, 6, 8]]), None);
        assert_eq!(size(Op::PadToWindows { window: [7; 3] }, &[[5, 7, 8]]), Some([5, 7, 14]));
        let places = [[0; 3]; 8];
        assert_eq!(size(Op::PatchMerge { places }, &[[4, 6, 8]]), Some([2, 3, 4]));
        assert_eq!(size(Op::PatchMerge { places }, &[[4, 5, 8]]), None);
        assert_eq!(size(Op::Add, &[[4, 5, 8], [4, 5, 9]]), None);
    }

    #[test]
    fn attention_costs_a_window_for_each_voxel_twice() {
        let op = Op::WindowAttention { bias: weight(&[1]), heads: 1, window: [7; 3], shift: [0; 3] };
        assert_eq!(op.channels(&[12]), 4);
        assert_eq!(op.multiply_adds([2, 14, 14], [2, 14, 14], 4), 2 * 4 * (2 * 14 * 14) * (2 * 7 * 7));
    }
}
