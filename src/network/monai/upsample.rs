//! MONAI's `UpSample`: a transposed convolution, or linear interpolation.

use super::arguments::Arguments;
use super::builder::{Builder, Conv};
use crate::error::Result;
use crate::network::{NodeId, Op};

/// How a decoder doubles the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpsampleMode {
    /// Transposed convolution.
    Deconv,
    /// Linear interpolation, after a convolution of single voxels where the channels change.
    NonTrainable,
}

/// The settings of one upsampling step.
pub(super) struct Upsample {
    pub mode: UpsampleMode,
    pub features: usize,
    pub factor: [usize; 3],
    /// Kernel of the transposed convolution, odd; `None`: the factor.
    pub kernel: Option<[usize; 3]>,
    pub bias: bool,
    pub align_corners: bool,
}

impl UpsampleMode {
    pub(super) fn read(arguments: &mut Arguments, name: &'static str, default: &'static str) -> Result<Self> {
        match arguments.text(name, default)?.to_lowercase().as_str() {
            "deconv" => Ok(UpsampleMode::Deconv),
            "nontrainable" => Ok(UpsampleMode::NonTrainable),
            _ => Err(arguments.unsupported(name, "deconv and nontrainable")),
        }
    }
}

impl Upsample {
    /// Adds the step that the file holds under `name`.
    pub(super) fn build(&self, builder: &mut Builder, name: &str, input: NodeId) -> Result<NodeId> {
        let Upsample { features, factor, bias, .. } = *self;
        if self.mode == UpsampleMode::Deconv {
            let kernel = self.kernel.unwrap_or(factor);
            let padding = self.kernel.map_or([0; 3], |kernel| kernel.map(|size| size.saturating_sub(1) / 2));
            let conv = Conv { features, kernel, stride: factor, padding, bias };
            return builder.conv_transpose(&format!("{name}.deconv"), input, conv);
        }
        let mut last = input;
        if builder.network.channels(input) != features {
            last = builder.conv(&format!("{name}.preconv"), last, Conv::point(features, bias))?;
        }
        if factor == [1; 3] {
            return Ok(last);
        }
        let align_corners = self.align_corners;
        Ok(builder.network.add(Op::Upsample { factor, align_corners }, &[last]))
    }
}
