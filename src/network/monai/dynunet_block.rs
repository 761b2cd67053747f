//! The blocks of `DynUNet`, which `SwinUNETR` uses too: two convolutions, with a shortcut around them or without.

use super::builder::{Builder, Conv};
use super::{Activation, Norm};
use crate::error::{Error, Result};
use crate::network::{NodeId, Op};

#[derive(Clone, Copy)]
pub(super) struct DynUNetBlock {
    pub norm: Option<Norm>,
    pub act: Option<Activation>,
    /// Whether the input is added to the result.
    pub residual: bool,
}

impl DynUNetBlock {
    /// Adds the block that the file holds under `name`.
    pub(super) fn build(
        &self,
        builder: &mut Builder,
        name: &str,
        input: NodeId,
        features: usize,
        kernel: [usize; 3],
        stride: [usize; 3],
    ) -> Result<NodeId> {
        let projected = builder.network.channels(input) != features || stride != [1; 3];
        let mut last = self.conv(builder, name, 1, input, features, kernel, stride)?;
        last = self.activation(builder, name, last)?;
        last = self.conv(builder, name, 2, last, features, kernel, [1; 3])?;
        if self.residual {
            let mut shortcut = input;
            if projected {
                shortcut = self.conv(builder, name, 3, input, features, [1; 3], stride)?;
            }
            last = builder.network.add(Op::Add, &[last, shortcut]);
        }
        self.activation(builder, name, last)
    }

    /// One of the block's convolutions and its normalisation.
    #[allow(clippy::too_many_arguments, reason = "a convolution has that many properties")]
    fn conv(
        &self,
        builder: &mut Builder,
        name: &str,
        number: usize,
        input: NodeId,
        features: usize,
        kernel: [usize; 3],
        stride: [usize; 3],
    ) -> Result<NodeId> {
        if (0..3).any(|axis| stride[axis] > kernel[axis] + 1) {
            let text = format!("stride {stride:?} with kernel {kernel:?} in `{name}`, which skips voxels");
            return Err(Error::unsupported(text));
        }
        let padding = std::array::from_fn(|axis| (kernel[axis] + 1 - stride[axis]) / 2);
        let conv = Conv { features, kernel, stride, padding, bias: false };
        let last = builder.conv(&format!("{name}.conv{number}.conv"), input, conv)?;
        match self.norm {
            Some(norm) => norm.build(builder, &format!("{name}.norm{number}"), last),
            None => Ok(last),
        }
    }

    /// The block has one activation that serves twice.
    fn activation(&self, builder: &mut Builder, name: &str, input: NodeId) -> Result<NodeId> {
        match self.act {
            Some(act) => act.build(builder, &format!("{name}.lrelu"), input),
            None => Ok(input),
        }
    }
}
