//! The networks of MONAI (`monai.networks.nets`), one file for each, with the arguments' names and defaults of
//! its classes. The names of tensors and the arithmetic are those of MONAI 1.3 to 1.6.

mod activation;
mod arguments;
mod attention_unet;
mod basic_unet;
mod builder;
mod dints;
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
mod unetr;
mod upsample;
mod vista3d;
mod vnet;

use serde_json::{Map, Value};

use super::{MedNeXt, MedNeXtNames, Network, StateDict};
use crate::error::{Error, Result};
use arguments::Arguments;

pub use activation::Activation;
pub use attention_unet::AttentionUnet;
pub use basic_unet::BasicUNet;
pub use dints::DiNTS;
pub use dynunet::DynUNet;
pub use norm::{Norm, Statistics};
pub use segresnet::SegResNet;
pub use segresnet_ds::SegResNetDS;
pub use swin_transformer::PatchMerging;
pub use swin_unetr::SwinUNETR;
pub use unet::UNet;
pub use unetr::UNETR;
pub use upsample::UpsampleMode;
pub use vista3d::Vista3D;
pub use vnet::VNet;

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
    /// `UNETR`.
    UNETR(UNETR),
    /// `AttentionUnet`.
    AttentionUnet(AttentionUnet),
    /// `VNet`.
    VNet(VNet),
    /// `DiNTS`.
    DiNTS(DiNTS),
    /// `vista3d132`.
    Vista3D(Vista3D),
    /// `MedNeXt` and its sizes, with channels of the image and of the result.
    MedNeXt(MedNeXt, [usize; 2]),
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
            MonaiNetwork::UNETR(_) => "UNETR",
            MonaiNetwork::AttentionUnet(_) => "AttentionUnet",
            MonaiNetwork::VNet(_) => "VNet",
            MonaiNetwork::DiNTS(_) => "DiNTS",
            MonaiNetwork::Vista3D(_) => "VISTA3D",
            MonaiNetwork::MedNeXt(..) => "MedNeXt",
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
            MonaiNetwork::AttentionUnet(net) => net.spatial_dims,
            MonaiNetwork::VNet(net) => net.spatial_dims,
            MonaiNetwork::SwinUNETR(_)
            | MonaiNetwork::UNETR(_)
            | MonaiNetwork::DiNTS(_)
            | MonaiNetwork::Vista3D(_)
            | MonaiNetwork::MedNeXt(..) => 3,
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
            MonaiNetwork::UNETR(net) => net.build(weights),
            MonaiNetwork::AttentionUnet(net) => net.build(weights),
            MonaiNetwork::VNet(net) => net.build(weights),
            MonaiNetwork::DiNTS(net) => net.build(weights),
            MonaiNetwork::Vista3D(net) => net.build(weights),
            MonaiNetwork::MedNeXt(net, [inputs, classes]) => net.build(*inputs, *classes, weights),
        }
    }
}

/// `MedNeXt`, and the functions that make it in its published sizes.
const MEDNEXT: [&str; 18] = [
    "MedNeXt",
    "MedNext",
    "MedNeXtSmall",
    "MedNextSmall",
    "MedNeXtS",
    "MedNextS",
    "MedNeXtBase",
    "MedNextBase",
    "MedNeXtB",
    "MedNextB",
    "MedNeXtMedium",
    "MedNextMedium",
    "MedNeXtM",
    "MedNextM",
    "MedNeXtLarge",
    "MedNextLarge",
    "MedNeXtL",
    "MedNextL",
];

/// Most sizes follow from the tensors.
fn mednext(arguments: &mut Arguments, class: &str) -> Result<MonaiNetwork> {
    if arguments.count("spatial_dims", Some(3))? != 3 {
        return Err(arguments.unsupported("spatial_dims", "3"));
    }
    arguments.ignore(&["kernel_size", "deep_supervision"]);
    let general = class == "MedNeXt" || class == "MedNext";
    if general {
        arguments.ignore(&[
            "init_filters",
            "encoder_expansion_ratio",
            "decoder_expansion_ratio",
            "bottleneck_expansion_ratio",
            "blocks_down",
            "blocks_bottleneck",
            "blocks_up",
        ]);
        if arguments.text("norm_type", "group")? != "group" {
            return Err(arguments.unsupported("norm_type", "group"));
        }
        if arguments.flag("global_resp_norm", false)? {
            return Err(arguments.unsupported("global_resp_norm", "false"));
        }
    }
    let residual = !general || arguments.flag("use_residual_connection", false)?;
    let channels = [arguments.count("in_channels", Some(1))?, arguments.count("out_channels", Some(2))?];
    Ok(MonaiNetwork::MedNeXt(MedNeXt { names: MedNeXtNames::InOrder, residual }, channels))
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
        "SegResNetVAE" => {
            arguments.ignore(&["input_image_size", "vae_estimate_std", "vae_default_std", "vae_nz"]);
            MonaiNetwork::SegResNet(SegResNet { autoencoder: true, ..SegResNet::read(&mut arguments)? })
        }
        "UNETR" => MonaiNetwork::UNETR(UNETR::read(&mut arguments)?),
        "AttentionUnet" => MonaiNetwork::AttentionUnet(AttentionUnet::read(&mut arguments)?),
        "VNet" => MonaiNetwork::VNet(VNet::read(&mut arguments)?),
        "vista3d132" => MonaiNetwork::Vista3D(Vista3D::read(&mut arguments)?),
        "DiNTS" => MonaiNetwork::DiNTS(DiNTS::read(&mut arguments)?),
        _ if MEDNEXT.contains(&class) => mednext(&mut arguments, class)?,
        _ => {
            let text = format!(
                "found the network class `{}` in {}, supported are SegResNet, SegResNetVAE, SegResNetDS, UNet, \
                 AttentionUnet, DynUNet, BasicUNet, VNet, DiNTS, vista3d132, MedNeXt, UNETR and SwinUNETR; export the network to ONNX to run it",
                crate::file::shorten(target),
                context.file,
            );
            return Err(Error::unsupported(text));
        }
    };
    arguments.finish()?;
    Ok(network)
}
