//! The networks of MONAI (`monai.networks.nets`), one file for each, with the arguments' names and defaults of
//! its classes. The names of tensors and the arithmetic are those of MONAI 1.3 to 1.6.

mod activation;
mod arguments;
mod basic_unet;
mod builder;
mod dynunet;
mod dynunet_block;
mod norm;
mod pre_activation_block;
mod segresnet;
mod segresnet_ds;
mod swin_transformer;
mod swin_unetr;
#[cfg(test)]
mod tests;
mod unet;
mod upsample;

use serde_json::{Map, Value};

use super::{Network, StateDict};
use crate::error::{Error, Result};
use arguments::Arguments;

pub use activation::Activation;
pub use basic_unet::BasicUNet;
pub use dynunet::DynUNet;
pub use norm::{Norm, Statistics};
pub use segresnet::SegResNet;
pub use segresnet_ds::SegResNetDS;
pub use swin_transformer::PatchMerging;
pub use swin_unetr::SwinUNETR;
pub use unet::UNet;
pub use upsample::UpsampleMode;

/// Where a network's description stands.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The file, for error texts.
    pub file: &'a str,
    /// The MONAI version that the model was made with, such as `1.4.0`, where the model says so.
    pub monai_version: Option<&'a str>,
}

/// A network of MONAI that can be built from the tensors of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum MonaiNetwork {
    /// `SegResNet`.
    SegResNet(SegResNet),
    /// `SegResNetDS`.
    SegResNetDS(SegResNetDS),
    /// `UNet`.
    UNet(UNet),
    /// `DynUNet`.
    DynUNet(DynUNet),
    /// `BasicUNet`.
    BasicUNet(BasicUNet),
    /// `SwinUNETR`.
    SwinUNETR(SwinUNETR),
}

impl MonaiNetwork {
    /// The class that builds it in MONAI.
    pub fn name(&self) -> &'static str {
        match self {
            MonaiNetwork::SegResNet(_) => "SegResNet",
            MonaiNetwork::SegResNetDS(_) => "SegResNetDS",
            MonaiNetwork::UNet(_) => "UNet",
            MonaiNetwork::DynUNet(_) => "DynUNet",
            MonaiNetwork::BasicUNet(_) => "BasicUNet",
            MonaiNetwork::SwinUNETR(_) => "SwinUNETR",
        }
    }

    /// Spatial dimensions: 3, or 2 for a network without axis 0.
    pub fn spatial_dims(&self) -> usize {
        match self {
            MonaiNetwork::SegResNet(net) => net.spatial_dims,
            MonaiNetwork::SegResNetDS(net) => net.spatial_dims,
            MonaiNetwork::UNet(net) => net.spatial_dims,
            MonaiNetwork::DynUNet(net) => net.spatial_dims,
            MonaiNetwork::BasicUNet(net) => net.spatial_dims,
            MonaiNetwork::SwinUNETR(_) => 3,
        }
    }

    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors.
    pub fn build(&self, weights: StateDict) -> Result<Network> {
        match self {
            MonaiNetwork::SegResNet(net) => net.build(weights),
            MonaiNetwork::SegResNetDS(net) => net.build(weights),
            MonaiNetwork::UNet(net) => net.build(weights),
            MonaiNetwork::DynUNet(net) => net.build(weights),
            MonaiNetwork::BasicUNet(net) => net.build(weights),
            MonaiNetwork::SwinUNETR(net) => net.build(weights),
        }
    }
}

/// The network that a class name and its arguments describe, as in a bundle's `network_def`. The class may be
/// named with the modules around it; arguments that are left out have MONAI's defaults.
///
/// # Errors
/// [`Error::Unsupported`] for another class, or an argument without support; [`Error::Malformed`] for arguments
/// that make no sense.
pub fn from_config(target: &str, arguments: &Map<String, Value>, context: &Context) -> Result<MonaiNetwork> {
    // Other packages have classes of the same names.
    let class = match target.rsplit_once('.') {
        Some((module, class)) if module == "monai" || module.starts_with("monai.") => class,
        _ => target,
    };
    let mut arguments = Arguments::new(context.file, class, arguments);
    let network = match class {
        "SegResNet" => MonaiNetwork::SegResNet(SegResNet::read(&mut arguments)?),
        "SegResNetDS" => MonaiNetwork::SegResNetDS(SegResNetDS::read(&mut arguments)?),
        "UNet" | "Unet" => MonaiNetwork::UNet(UNet::read(&mut arguments)?),
        "DynUNet" | "DynUnet" | "Dynunet" => MonaiNetwork::DynUNet(DynUNet::read(&mut arguments)?),
        "BasicUNet" | "BasicUnet" | "Basicunet" | "basicunet" => {
            MonaiNetwork::BasicUNet(BasicUNet::read(&mut arguments)?)
        }
        "SwinUNETR" => MonaiNetwork::SwinUNETR(SwinUNETR::read(&mut arguments, context.monai_version)?),
        _ => {
            let text = format!(
                "found the network class `{}` in {}, supported are SegResNet, SegResNetDS, UNet, DynUNet, BasicUNet \
                 and SwinUNETR; export the network to ONNX to run it",
                arguments::shorten(target),
                context.file,
            );
            return Err(Error::unsupported(text));
        }
    };
    arguments.finish()?;
    Ok(network)
}
