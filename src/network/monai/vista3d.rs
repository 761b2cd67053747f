//! `VISTA3D` (He et al., "VISTA3D: Versatile Imaging SegmenTation and Annotation model for 3D CT", 2024), asked for
//! classes: SegResNetDS whose last weights are computed from the classes' embeddings. What answers to points is left
//! out.

use std::sync::Arc;

use super::arguments::Arguments;
use super::builder::{Builder, Conv};
use super::segresnet_ds::SegResNetDS;
use super::{Activation, Norm, Statistics, UpsampleMode};
use crate::error::{Error, Result};
use crate::network::{Network, NodeId, Op, StateDict, Weight};

/// Residual blocks between the decoder and the classes.
const BLOCKS: usize = 2;
/// Of the blocks' activations.
const SLOPE: f32 = 0.01;
/// Of all its normalisations.
const EPSILON: f32 = 1e-5;
/// Where the classes' weights are.
const EMBEDDINGS: &str = "class_head.class_embeddings.weight";

/// The arguments of `vista3d132`, and the classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Vista3D {
    /// Channels of the image.
    pub in_channels: usize,
    /// Channels of the first level; each further one has twice as many.
    pub features: usize,
    /// The classes that the network is asked for: its result has a background of zeros and these, in order.
    pub classes: Vec<usize>,
}

impl Vista3D {
    pub(super) fn read(arguments: &mut Arguments) -> Result<Self> {
        Ok(Vista3D {
            in_channels: arguments.count("in_channels", Some(1))?,
            features: arguments.count("encoder_embed_dim", Some(48))?,
            classes: Vec::new(),
        })
    }

    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors; [`Error::Unsupported`] without classes.
    pub fn build(&self, weights: StateDict) -> Result<Network> {
        if self.classes.is_empty() {
            return Err(Error::unsupported("VISTA3D without classes to ask it for"));
        }
        let norm = Norm { statistics: Statistics::Instance, epsilon: EPSILON, affine: true };
        let encoder = SegResNetDS {
            spatial_dims: 3,
            init_filters: self.features,
            in_channels: self.in_channels,
            out_channels: self.features,
            act: Some(Activation::Relu),
            norm: Some(norm),
            blocks_down: vec![1, 2, 2, 4, 4],
            blocks_up: vec![1; 4],
            dsdepth: 1,
            upsample_mode: UpsampleMode::Deconv,
            resolution: None,
        };
        let mut builder = Builder::new(self.in_channels, 3, weights);
        let skips = encoder.encode(&mut builder, "image_encoder.encoder")?;
        let mut last = encoder.decode(&mut builder, "image_encoder.up_layers_auto", &skips)?;
        for index in 0..BLOCKS {
            last = self.block(&mut builder, &format!("class_head.image_post_mapping.{index}.layer"), last)?;
        }
        let weight = Arc::new(self.rows(&mut builder)?);
        let (kernel, stride, padding) = ([1; 3], [1; 3], [0; 3]);
        builder.network.add(Op::Conv { weight, bias: None, kernel, stride, padding }, &[last]);
        builder.weights.skip_module("image_encoder.up_layers");
        builder.weights.skip_module("point_head");
        builder.finish()
    }

    /// Convolution and normalisation, twice, added to the input.
    fn block(&self, builder: &mut Builder, name: &str, input: NodeId) -> Result<NodeId> {
        let norm = Norm { statistics: Statistics::Instance, epsilon: EPSILON, affine: false };
        let conv = Conv::same(self.features, [3; 3], false);
        let mut last = builder.conv(&format!("{name}.conv1.conv"), input, conv)?;
        last = norm.build(builder, name, last)?;
        last = builder.network.add(Op::LeakyRelu { slope: SLOPE }, &[last]);
        last = builder.conv(&format!("{name}.conv2.conv"), last, conv)?;
        last = norm.build(builder, name, last)?;
        last = builder.network.add(Op::Add, &[last, input]);
        Ok(builder.network.add(Op::LeakyRelu { slope: SLOPE }, &[last]))
    }

    /// What each class makes of the features, after zeros for the background: its embedding through two matrices with
    /// a normalisation and a GELU between them.
    fn rows(&self, builder: &mut Builder) -> Result<Weight> {
        let features = self.features;
        let known = builder.weights.shape(EMBEDDINGS).and_then(|shape| shape.first().copied()).unwrap_or(0);
        let embeddings = builder.weights.take(EMBEDDINGS, &[known, features])?;
        let mut matrix = |index: usize| -> Result<_> {
            let name = format!("class_head.mlp.{index}");
            let weight = builder.weights.take(&format!("{name}.weight"), &[features, features])?;
            Ok((weight, builder.weights.take(&format!("{name}.bias"), &[features])?))
        };
        let (first, second) = (matrix(0)?, matrix(3)?);
        let mut data = vec![0.0; features];
        for &class in &self.classes {
            let row = embeddings.data.chunks_exact(features).nth(class).ok_or_else(|| {
                Error::argument("classes", class, format!("classes under {known}, the model's embeddings"))
            })?;
            let mut hidden = applied(&first, row.iter().copied().map(f64::from));
            let mean = hidden.iter().sum::<f64>() / features as f64;
            let variance = hidden.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / features as f64;
            let deviation = (variance + f64::from(EPSILON)).sqrt();
            hidden.iter_mut().for_each(|value| *value = gelu((*value - mean) / deviation));
            data.extend(applied(&second, hidden.into_iter()).into_iter().map(|value| value as f32));
        }
        let shape = vec![self.classes.len() + 1, features, 1, 1, 1];
        Ok(Weight { name: "class_head.rows".into(), shape, data })
    }
}

/// A matrix and its bias applied to a vector.
fn applied((weight, bias): &(Arc<Weight>, Arc<Weight>), vector: impl Iterator<Item = f64>) -> Vec<f64> {
    let vector: Vec<f64> = vector.collect();
    let rows = weight.data.chunks_exact(vector.len()).zip(&bias.data);
    rows.map(|(row, &bias)| {
        row.iter().zip(&vector).map(|(&weight, value)| f64::from(weight) * value).sum::<f64>()
            + f64::from(bias)
    })
    .collect()
}

fn gelu(value: f64) -> f64 {
    0.5 * value * (1.0 + libm::erf(value * std::f64::consts::FRAC_1_SQRT_2))
}
