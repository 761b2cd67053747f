//! A network in the making, with the tensors that it is made of.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::network::{Network, NodeId, Op, StateDict, Weight};

pub(super) struct Builder<'a> {
    pub network: Network,
    pub weights: StateDict<'a>,
    dims: usize,
}

/// A convolution's settings.
#[derive(Clone, Copy)]
pub(super) struct Conv {
    pub features: usize,
    pub kernel: [usize; 3],
    pub stride: [usize; 3],
    pub padding: [usize; 3],
    pub bias: bool,
}

impl Conv {
    /// Of stride 1, with the padding that keeps the size for an odd kernel.
    pub(super) fn same(features: usize, kernel: [usize; 3], bias: bool) -> Self {
        let padding = kernel.map(|size| size.saturating_sub(1) / 2);
        Conv { features, kernel, stride: [1; 3], padding, bias }
    }

    /// Of single voxels.
    pub(super) fn point(features: usize, bias: bool) -> Self {
        Conv::same(features, [1; 3], bias)
    }
}

impl<'a> Builder<'a> {
    pub(super) fn new(channels: usize, dims: usize, weights: StateDict<'a>) -> Self {
        Builder { network: Network::new(channels), weights, dims }
    }

    fn shape(&self, first: usize, second: usize, kernel: [usize; 3]) -> Vec<usize> {
        [first, second].into_iter().chain(kernel.into_iter().skip(3 - self.dims)).collect()
    }

    fn bias(&mut self, name: &str, conv: &Conv) -> Result<Option<Arc<Weight>>> {
        conv.bias.then(|| self.weights.take(&format!("{name}.bias"), &[conv.features])).transpose()
    }

    /// Adds the convolution that the file holds under `name`.
    pub(super) fn conv(&mut self, name: &str, input: NodeId, conv: Conv) -> Result<NodeId> {
        let shape = self.shape(conv.features, self.network.channels(input), conv.kernel);
        let weight = self.weights.take(&format!("{name}.weight"), &shape)?;
        let bias = self.bias(name, &conv)?;
        let Conv { kernel, stride, padding, .. } = conv;
        Ok(self.network.add(Op::Conv { weight, bias, kernel, stride, padding }, &[input]))
    }

    /// Adds the transposed convolution that the file holds under `name`; its result is `stride` times as large.
    pub(super) fn conv_transpose(&mut self, name: &str, input: NodeId, conv: Conv) -> Result<NodeId> {
        let Conv { kernel, stride, padding, .. } = conv;
        if (0..3).any(|axis| kernel[axis] > stride[axis] + 2 * padding[axis]) {
            let text = format!("an upsampling kernel {kernel:?} with stride {stride:?} in `{name}`");
            return Err(Error::unsupported(text));
        }
        let shape = self.shape(self.network.channels(input), conv.features, kernel);
        let weight = self.weights.take(&format!("{name}.weight"), &shape)?;
        let bias = self.bias(name, &conv)?;
        Ok(self.network.add(Op::ConvTranspose { weight, bias, kernel, stride, padding }, &[input]))
    }

    /// Adds a matrix that is applied to the channels of each voxel; the file holds it as [out, in].
    pub(super) fn linear(
        &mut self,
        name: &str,
        input: NodeId,
        features: usize,
        bias: bool,
    ) -> Result<NodeId> {
        let shape = [features, self.network.channels(input)];
        let weight = self.weights.take(&format!("{name}.weight"), &shape)?;
        let weight = Weight { shape: vec![shape[0], shape[1], 1, 1, 1], ..Arc::unwrap_or_clone(weight) };
        let conv = Conv::point(features, bias);
        let (weight, bias) = (Arc::new(weight), self.bias(name, &conv)?);
        let (kernel, stride, padding) = (conv.kernel, conv.stride, conv.padding);
        Ok(self.network.add(Op::Conv { weight, bias, kernel, stride, padding }, &[input]))
    }

    /// A weight that stands for one that the file doesn't have.
    pub(super) fn constant(&self, name: &str, count: usize, value: f32) -> Arc<Weight> {
        Arc::new(Weight {
            name: format!("{name}.constant.{value}"),
            shape: vec![count],
            data: vec![value; count],
        })
    }

    /// The network, once all tensors have been accounted for.
    pub(super) fn finish(self) -> Result<Network> {
        self.weights.finish()?;
        Ok(self.network)
    }
}
