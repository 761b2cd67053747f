//! The residual block of SegResNet (Myronenko, "3D MRI Brain Tumor Segmentation Using Autoencoder
//! Regularization", 2018): normalisation, activation and convolution, twice, added to the input.

use super::builder::{Builder, Conv};
use super::{Activation, Norm};
use crate::error::Result;
use crate::network::{NodeId, Op};

pub(super) struct PreActivationBlock {
    pub norm: Option<Norm>,
    pub act: Option<Activation>,
    pub kernel: [usize; 3],
    /// Names of the two activations in the file; one layer may serve twice.
    pub act_names: [&'static str; 2],
    /// Names of the two convolutions in the file.
    pub conv_names: [&'static str; 2],
}

impl PreActivationBlock {
    pub(super) fn build(&self, builder: &mut Builder, name: &str, input: NodeId) -> Result<NodeId> {
        let features = builder.network.channels(input);
        let mut last = input;
        for half in 0..2 {
            if let Some(norm) = self.norm {
                last = norm.build(builder, &format!("{name}.norm{}", half + 1), last)?;
            }
            if let Some(act) = self.act {
                last = act.build(builder, &format!("{name}.{}", self.act_names[half]), last)?;
            }
            let conv = Conv::same(features, self.kernel, false);
            last = builder.conv(&format!("{name}.{}", self.conv_names[half]), last, conv)?;
        }
        Ok(builder.network.add(Op::Add, &[last, input]))
    }
}
