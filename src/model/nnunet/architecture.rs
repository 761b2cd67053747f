//! The network that plans describe, in the form with an `architecture` block (nnU-Net 2.3 and newer) and in the
//! older one.

use super::PLANS;
use super::plans::Configuration;
use crate::error::{Error, Result};
use crate::model::json::Json;
use crate::network::{
    Activation, ConvBlock, MedNeXt, MedNeXtNames, Network, Norm, PlainConvUNet, Primus, ResidualBlock,
    ResidualEncoderUNet, StateDict,
};

/// A network that can be built from the tensors of a fold.
pub(super) enum Architecture {
    Plain(PlainConvUNet),
    Residual(ResidualEncoderUNet),
    /// Of trainers that build it whatever the plans say.
    MedNeXt(MedNeXt, [usize; 2]),
    /// As MedNeXt.
    Primus(Primus),
}

const KNOWN: &str = "PlainConvUNet, ResidualEncoderUNet and ResidualUNet";

impl Architecture {
    pub(super) fn read(configuration: &Configuration, classes: usize, channels: usize) -> Result<Self> {
        let json = configuration.json();
        let plans = match json.find("architecture") {
            Some(architecture) => Form::New(architecture.get("arch_kwargs")?, architecture),
            None => Form::Old(json),
        };
        Reader { plans, dimensions: configuration.dimensions, classes, channels }.read()
    }

    /// The network of a fold's tensors where that is another than the plans': its trainer built it.
    pub(super) fn of_trainer(
        configuration: &Configuration,
        classes: usize,
        channels: usize,
        weights: &StateDict,
    ) -> Result<Option<Self>> {
        if MedNeXt::is_in(weights) {
            let net = MedNeXt { names: MedNeXtNames::ByLevel, residual: true };
            return Ok(Some(Architecture::MedNeXt(net, [channels, classes])));
        }
        if Primus::is_in(weights) {
            let tile = configuration.json().get("patch_size")?.axes(1, Json::count)?;
            return Ok(Some(Architecture::Primus(Primus { input_channels: channels, classes, tile })));
        }
        Ok(None)
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Architecture::Plain(_) => "PlainConvUNet",
            Architecture::Residual(unet) if unet.residual_decoder => "ResidualUNet",
            Architecture::Residual(_) => "ResidualEncoderUNet",
            Architecture::MedNeXt(..) => "MedNeXt",
            Architecture::Primus(_) => "Primus",
        }
    }

    pub(super) fn build(&self, weights: StateDict) -> Result<Network> {
        match self {
            Architecture::Plain(unet) => unet.build(weights),
            Architecture::Residual(unet) => unet.build(weights),
            Architecture::MedNeXt(net, [channels, classes]) => net.build(*channels, *classes, weights),
            Architecture::Primus(net) => net.build(weights),
        }
    }
}

/// Where the sizes stand.
enum Form<'a> {
    /// `arch_kwargs`, and the `architecture` around them.
    New(Json<'a>, Json<'a>),
    /// The configuration itself.
    Old(Json<'a>),
}

struct Reader<'a> {
    plans: Form<'a>,
    dimensions: usize,
    classes: usize,
    channels: usize,
}

impl Reader<'_> {
    fn read(&self) -> Result<Architecture> {
        let class = match &self.plans {
            Form::New(_, architecture) => architecture.get("network_class_name")?,
            Form::Old(configuration) => configuration.get("UNet_class_name")?,
        };
        // Plans name the class by its module of the time; only the last part stayed the same.
        let residual = match class.text()?.rsplit('.').next() {
            Some("PlainConvUNet") => false,
            Some("ResidualEncoderUNet" | "ResidualUNet") => true,
            _ => {
                let what = format!("network class {}; this version builds {KNOWN}", class.text()?);
                return Err(Error::unsupported(what));
            }
        };
        let features = self.features()?;
        let stages = features.len();
        let kernels = self.per_stage("kernel_sizes", "conv_kernel_sizes", stages)?;
        let strides = self.per_stage("strides", "pool_op_kernel_sizes", stages)?;
        let encoder = if residual { "n_blocks_per_stage" } else { "n_conv_per_stage" };
        let encoder = self.counts(encoder, "n_conv_per_stage_encoder", stages)?;
        let decoder = "n_conv_per_stage_decoder";
        let decoder = self.counts(decoder, decoder, stages.saturating_sub(1))?;
        check(stages, &kernels, &strides, &encoder, &decoder)?;
        let conv = self.block()?;
        let (input_channels, classes) = (self.channels, self.classes);
        Ok(if residual {
            let (squeeze, bottlenecks) = (self.squeeze()?, self.bottlenecks(stages)?);
            Architecture::Residual(ResidualEncoderUNet {
                input_channels,
                classes,
                stem_channels: self
                    .optional("stem_channels", |json| json.count())?
                    .unwrap_or(features.first().copied().unwrap_or(0)),
                features,
                kernels,
                strides,
                encoder_blocks: encoder,
                bottlenecks,
                decoder_blocks: decoder,
                residual_decoder: class.text()?.ends_with("ResidualUNet"),
                block: ResidualBlock { conv, squeeze },
            })
        } else {
            let (encoder_convs, decoder_convs) = (encoder, decoder);
            Architecture::Plain(PlainConvUNet {
                input_channels,
                classes,
                features,
                kernels,
                strides,
                encoder_convs,
                decoder_convs,
                conv,
            })
        })
    }

    /// An argument of the new form that may be missing.
    fn optional<T>(&self, key: &str, read: impl for<'j> Fn(&Json<'j>) -> Result<T>) -> Result<Option<T>> {
        match &self.plans {
            Form::New(arguments, _) => arguments.find(key).map(|value| read(&value)).transpose(),
            Form::Old(_) => Ok(None),
        }
    }

    fn value(&self, new: &str, old: &str) -> Result<Json<'_>> {
        match &self.plans {
            Form::New(arguments, _) => arguments.get(new),
            Form::Old(configuration) => configuration.get(old),
        }
    }

    /// A count for each stage, or one for all.
    fn counts(&self, new: &str, old: &str, stages: usize) -> Result<Vec<usize>> {
        list(&self.value(new, old)?, stages, |json| json.count())
    }

    fn per_stage(&self, new: &str, old: &str, stages: usize) -> Result<Vec<[usize; 3]>> {
        list(&self.value(new, old)?, stages, |stage| {
            let mut sizes = stage.axes(1, Json::count)?;
            if self.dimensions == 2 {
                sizes[0] = 1;
            }
            Ok(sizes)
        })
    }

    fn features(&self) -> Result<Vec<usize>> {
        match &self.plans {
            Form::New(arguments, _) => {
                let stages = arguments.get("n_stages")?;
                let count = stages.count()?;
                if count > 32 {
                    return Err(stages.wrong("up to 32 stages"));
                }
                list(&arguments.get("features_per_stage")?, count, |json| json.count())
            }
            Form::Old(configuration) => {
                let stages = configuration.get("n_conv_per_stage_encoder")?.list()?.len();
                let base = configuration.get("UNet_base_num_features")?.count()?;
                let most = configuration.get("unet_max_num_features")?.count()?;
                Ok((0..stages).map(|stage| (base << stage.min(30)).min(most)).collect())
            }
        }
    }

    fn block(&self) -> Result<ConvBlock> {
        let dimensions = self.dimensions;
        let Form::New(arguments, _) = &self.plans else {
            let norm = Some(Norm { epsilon: 1e-5, affine: true, running: false });
            let activation = Some(Activation::LeakyRelu(0.01));
            return Ok(ConvBlock {
                dimensions,
                bias: true,
                norm,
                activation,
                dropout: false,
                activation_first: false,
            });
        };
        let conv = arguments.get("conv_op")?;
        if last_part(&conv)? != format!("Conv{dimensions}d") {
            return Err(conv.wrong(&format!("Conv{dimensions}d, as the patch size has {dimensions} axes")));
        }
        Ok(ConvBlock {
            dimensions,
            bias: arguments.get("conv_bias")?.boolean()?,
            norm: norm(arguments, dimensions)?,
            activation: activation(arguments)?,
            dropout: arguments.find("dropout_op").is_some(),
            activation_first: self.optional("nonlin_first", |json| json.boolean())?.unwrap_or(false),
        })
    }

    fn squeeze(&self) -> Result<Option<f64>> {
        if !self.optional("squeeze_excitation", |json| json.boolean())?.unwrap_or(false) {
            return Ok(None);
        }
        let ratio = self.optional("squeeze_excitation_reduction_ratio", |json| json.number())?;
        Ok(Some(ratio.unwrap_or(1.0 / 16.0)))
    }

    fn bottlenecks(&self, stages: usize) -> Result<Option<Vec<usize>>> {
        let block = self.optional("block", |block| Ok(last_part(block)?.to_owned()))?;
        match block.as_deref() {
            None | Some("BasicBlockD") => Ok(None),
            Some("BottleneckD") => {
                self.optional("bottleneck_channels", |json| list(json, stages, |json| json.count()))
            }
            Some(other) => Err(Error::unsupported(format!("residual block {other}"))),
        }
    }
}

/// A value for each stage, or one for all.
fn list<T: Clone>(
    json: &Json,
    stages: usize,
    read: impl for<'j> Fn(&Json<'j>) -> Result<T>,
) -> Result<Vec<T>> {
    if json.is_list() { json.list()?.iter().map(read).collect() } else { Ok(vec![read(json)?; stages]) }
}

/// Classes are named by dotted paths that moved over time.
fn last_part<'a>(json: &Json<'a>) -> Result<&'a str> {
    let name = json.text()?;
    Ok(name.rsplit('.').next().unwrap_or(name))
}

fn norm(arguments: &Json, dimensions: usize) -> Result<Option<Norm>> {
    let Some(class) = arguments.find("norm_op") else { return Ok(None) };
    let settings = arguments.find("norm_op_kwargs");
    let setting = |key: &str| settings.as_ref().and_then(|settings| settings.find(key));
    let running = match last_part(&class)?.strip_suffix(&format!("{dimensions}d")) {
        Some("InstanceNorm") => false,
        Some("BatchNorm") => true,
        _ => return Err(Error::unsupported(format!("norm_op {}", class.text()?))),
    };
    Ok(Some(Norm {
        epsilon: setting("eps").map_or(Ok(1e-5), |epsilon| epsilon.number())? as f32,
        // PyTorch's defaults: batch normalisation is affine, instance normalisation isn't.
        affine: setting("affine").map_or(Ok(running), |affine| affine.boolean())?,
        running,
    }))
}

fn activation(arguments: &Json) -> Result<Option<Activation>> {
    let Some(class) = arguments.find("nonlin") else { return Ok(None) };
    let setting = |key: &str| arguments.find("nonlin_kwargs").and_then(|settings| settings.find(key));
    Ok(Some(match last_part(&class)? {
        "LeakyReLU" => {
            let slope = setting("negative_slope").map_or(Ok(0.01), |slope| slope.number())?;
            Activation::LeakyRelu(slope as f32)
        }
        "ReLU" => Activation::Relu,
        "GELU" => match setting("approximate") {
            Some(approximate) if approximate.text()? != "none" => {
                return Err(Error::unsupported(format!("GELU approximation {}", approximate.text()?)));
            }
            _ => Activation::Gelu,
        },
        other => {
            return Err(Error::unsupported(format!("nonlin {other}; known are LeakyReLU, ReLU and GELU")));
        }
    }))
}

fn check(
    stages: usize,
    kernels: &[[usize; 3]],
    strides: &[[usize; 3]],
    encoder: &[usize],
    decoder: &[usize],
) -> Result<()> {
    let lengths = [kernels.len(), strides.len(), encoder.len(), decoder.len() + 1];
    if stages < 2 || lengths.iter().any(|&length| length != stages) {
        let [kernels, strides, encoder, decoder] = lengths;
        let reason = format!(
            "{stages} stages, but {kernels} kernel sizes, {strides} strides, {encoder} encoder and {decoder} \
             decoder stages (the bottleneck included)"
        );
        return Err(Error::malformed(PLANS, reason));
    }
    if kernels.iter().flatten().any(|kernel| kernel % 2 == 0 || *kernel > 63) {
        return Err(Error::unsupported(format!(
            "kernel sizes {kernels:?}; this version runs odd ones up to 63"
        )));
    }
    if strides.iter().flatten().any(|stride| !(1..=64).contains(stride)) || encoder.contains(&0) {
        return Err(Error::unsupported("strides outside of 1 to 64, or encoder stages without a block"));
    }
    if encoder.iter().chain(decoder).any(|&blocks| blocks > 1024) {
        return Err(Error::unsupported("more than 1024 blocks in a stage"));
    }
    Ok(())
}
