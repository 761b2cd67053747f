//! Primus: a plain transformer over patches of 8 × 8 × 8 voxels with rotary position codes, and a light decoder of
//! transposed convolutions (Wald et al., "Primus: Enforcing Attention Usage for 3D Medical Image Segmentation", 2025;
//! dynamic_network_architectures). The input's size is fixed.

use std::sync::Arc;

use super::{Network, NodeId, Op, StateDict, Weight};
use crate::error::{Error, Result};

/// Side of a patch.
const PATCH: usize = 8;
/// Channels and attention heads of the published sizes S, B, M and L.
const SIZES: [(usize, usize); 4] = [(396, 6), (792, 12), (864, 12), (1056, 16)];
/// Base of the rotary code's wave lengths.
const BASE: f64 = 10_000.0;
/// Added to variances in the transformer and in the decoder.
const EPSILON: [f32; 2] = [1e-5, 1e-6];

/// The sizes that the tensors don't tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Primus {
    /// Channels of the image.
    pub input_channels: usize,
    /// Channels of the result.
    pub classes: usize,
    /// Size of the input.
    pub tile: [usize; 3],
}

impl Primus {
    /// Whether tensors are those of such a network.
    pub fn is_in(weights: &StateDict) -> bool {
        weights.has("eva.pos_embed")
    }

    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors; [`Error::Unsupported`] for sizes that aren't published.
    pub fn build(&self, weights: StateDict) -> Result<Network> {
        if self.tile.iter().any(|size| size % PATCH != 0) {
            let what = format!("Primus with a patch size of {:?}, expected multiples of {PATCH}", self.tile);
            return Err(Error::unsupported(what));
        }
        if !weights.has("down_projection.proj.weight") {
            return Err(Error::unsupported(
                "a Primus whose patches a network of its own embeds (V2, V3), expected V1, which a convolution does",
            ));
        }
        let grid = self.tile.map(|size| size / PATCH);
        let width = weights.shape("eva.norm.weight").map_or(0, |shape| shape.iter().product());
        let Some(&(_, heads)) = SIZES.iter().find(|(channels, _)| *channels == width) else {
            let known = SIZES.map(|(channels, _)| channels.to_string()).join(", ");
            return Err(Error::unsupported(format!("Primus of {width} channels, known are {known}")));
        };
        let mut builder = Builder { network: Network::new(self.input_channels), weights, width, heads, grid };
        let mut last = builder.patches()?;
        let turn = builder.rotary_code();
        let mut block = 0;
        while builder.weights.has(&format!("eva.blocks.{block}.gamma_1")) {
            last = builder.block(&format!("eva.blocks.{block}"), last, turn)?;
            block += 1;
        }
        last = builder.layer_norm("eva.norm", last, EPSILON[0])?;
        builder.decoder(last, self.classes)?;
        // What training masks patches with.
        builder.weights.skip("mask_token", &[1, 1, width])?;
        builder.weights.finish()?;
        Ok(builder.network)
    }
}

struct Builder<'a> {
    network: Network,
    weights: StateDict<'a>,
    width: usize,
    heads: usize,
    /// Patches per axis.
    grid: [usize; 3],
}

impl Builder<'_> {
    /// The patches as tokens, with what was learned about their places.
    fn patches(&mut self) -> Result<NodeId> {
        let (width, tokens) = (self.width, self.grid.iter().product::<usize>());
        let shape = [width, self.network.input_channels(), PATCH, PATCH, PATCH];
        let weight = self.weights.take("down_projection.proj.weight", &shape)?;
        let bias = Some(self.weights.take("down_projection.proj.bias", &[width])?);
        let op = Op::Conv { weight, bias, kernel: [PATCH; 3], stride: [PATCH; 3], padding: [0; 3] };
        let embedded = self.network.add(op, &[0]);
        let places = self.weights.take("eva.pos_embed", &[1, tokens, width])?;
        let value =
            field(&places.name, width, self.grid, |channel, token| places.data[token * width + channel]);
        let places = self.network.add(Op::Constant { value }, &[]);
        Ok(self.network.add(Op::Add, &[embedded, places]))
    }

    /// Cosines and sines by which queries and keys are rotated, the same for all heads.
    fn rotary_code(&mut self) -> [NodeId; 2] {
        let size = self.width / self.heads;
        let bands = ((size as f64 / 1.5).round_ties_even() as usize) / 4;
        let [_, rows, columns] = self.grid;
        let angle = |channel: usize, token: usize| {
            let within = channel % size;
            let (axis, band) = (within / (2 * bands), within % (2 * bands) / 2);
            let place = [token / (rows * columns), token / columns % rows, token % columns];
            match place.get(axis) {
                Some(&at) => at as f64 * libm::pow(BASE, -(band as f64) / bands as f64),
                None => 0.0,
            }
        };
        let cosine = |channel, token| libm::cos(angle(channel, token)) as f32;
        let sine = |channel, token| libm::sin(angle(channel, token)) as f32;
        let [cosines, sines] = [
            field("rotary cosines", self.width, self.grid, cosine),
            field("rotary sines", self.width, self.grid, sine),
        ];
        [cosines, sines].map(|value| self.network.add(Op::Constant { value }, &[]))
    }

    fn block(&mut self, name: &str, input: NodeId, turn: [NodeId; 2]) -> Result<NodeId> {
        let width = self.width;
        let attention = format!("{name}.attn");
        let normed = self.layer_norm(&format!("{name}.norm1"), input, EPSILON[0])?;
        let queries = self.rotated(&format!("{attention}.q_proj"), normed, true, turn)?;
        let keys = self.rotated(&format!("{attention}.k_proj"), normed, false, turn)?;
        let values = self.linear(&format!("{attention}.v_proj"), normed, width, true, None)?;
        let all = self.network.add(Op::Concat, &[queries, keys, values]);
        let attended = self.network.add(Op::Attention { heads: self.heads, window: self.grid }, &[all]);
        let attended = self.layer_norm(&format!("{attention}.norm"), attended, EPSILON[0])?;
        let gamma = self.weights.take(&format!("{name}.gamma_1"), &[width])?;
        let projected = self.linear(&format!("{attention}.proj"), attended, width, true, Some(&gamma))?;
        let sum = self.network.add(Op::Add, &[input, projected]);

        let normed = self.layer_norm(&format!("{name}.norm2"), sum, EPSILON[0])?;
        let hidden = width * 8 / 3;
        let gate = self.linear(&format!("{name}.mlp.fc1_g"), normed, hidden, true, None)?;
        let share = self.network.add(Op::Sigmoid, &[gate]);
        let gate = self.network.add(Op::Multiply, &[gate, share]);
        let wide = self.linear(&format!("{name}.mlp.fc1_x"), normed, hidden, true, None)?;
        let gated = self.network.add(Op::Multiply, &[gate, wide]);
        let gated = self.layer_norm(&format!("{name}.mlp.norm"), gated, EPSILON[0])?;
        let gamma = self.weights.take(&format!("{name}.gamma_2"), &[width])?;
        let narrow = self.linear(&format!("{name}.mlp.fc2"), gated, width, true, Some(&gamma))?;
        Ok(self.network.add(Op::Add, &[sum, narrow]))
    }

    /// x · cos + r(x) · sin of a matrix's result, where r turns each pair (a, b) into (−b, a): a matrix too.
    fn rotated(&mut self, name: &str, input: NodeId, bias: bool, turn: [NodeId; 2]) -> Result<NodeId> {
        let plain = self.linear(name, input, self.width, bias, None)?;
        let Op::Conv { weight, bias, kernel, stride, padding } = self.network.nodes()[plain].op.clone()
        else {
            return Ok(plain);
        };
        let rows = |weight: &Weight| {
            let length = weight.data.len() / self.width;
            let row = |out: usize| {
                let (from, sign) = if out.is_multiple_of(2) { (out + 1, -1.0) } else { (out - 1, 1.0) };
                weight.data[from * length..(from + 1) * length].iter().map(move |value| sign * value)
            };
            let data = (0..self.width).flat_map(row).collect();
            Arc::new(Weight { name: format!("{} rotated", weight.name), shape: weight.shape.clone(), data })
        };
        let (weight, bias) = (rows(&weight), bias.as_deref().map(rows));
        let quarter = self.network.add(Op::Conv { weight, bias, kernel, stride, padding }, &[input]);
        let along = self.network.add(Op::Multiply, &[plain, turn[0]]);
        let across = self.network.add(Op::Multiply, &[quarter, turn[1]]);
        Ok(self.network.add(Op::Add, &[along, across]))
    }

    /// A matrix for the channels of each token; `gamma` scales its results.
    fn linear(
        &mut self,
        name: &str,
        input: NodeId,
        features: usize,
        bias: bool,
        gamma: Option<&Weight>,
    ) -> Result<NodeId> {
        let inputs = self.network.channels(input);
        let weight = self.weights.take(&format!("{name}.weight"), &[features, inputs])?;
        let bias = bias.then(|| self.weights.take(&format!("{name}.bias"), &[features])).transpose()?;
        let scaled = |weight: Arc<Weight>, shape: Vec<usize>| {
            let mut weight = Arc::unwrap_or_clone(weight);
            weight.shape = shape;
            if let Some(gamma) = gamma {
                let length = weight.data.len() / features;
                for (row, factor) in weight.data.chunks_exact_mut(length).zip(&gamma.data) {
                    row.iter_mut().for_each(|value| *value *= factor);
                }
            }
            Arc::new(weight)
        };
        let weight = scaled(weight, vec![features, inputs, 1, 1, 1]);
        let bias = bias.map(|bias| scaled(bias, vec![features]));
        let op = Op::Conv { weight, bias, kernel: [1; 3], stride: [1; 3], padding: [0; 3] };
        Ok(self.network.add(op, &[input]))
    }

    fn layer_norm(&mut self, name: &str, input: NodeId, epsilon: f32) -> Result<NodeId> {
        let channels = self.network.channels(input);
        let scale = self.weights.take(&format!("{name}.weight"), &[channels])?;
        let shift = self.weights.take(&format!("{name}.bias"), &[channels])?;
        Ok(self.network.add(Op::LayerNorm { scale, shift, epsilon }, &[input]))
    }

    /// Doubles the size three times.
    fn decoder(&mut self, input: NodeId, classes: usize) -> Result<()> {
        let mut last = input;
        for step in 0..2 {
            let name = format!("up_projection.decode.{step}");
            let weight = format!("{name}.0.weight");
            let features = self.weights.shape(&weight).and_then(|shape| shape.get(1).copied()).unwrap_or(0);
            last = self.doubled(&format!("{name}.0"), last, features)?;
            last = self.layer_norm(&format!("{name}.1"), last, EPSILON[1])?;
            last = self.network.add(Op::Gelu, &[last]);
        }
        self.doubled("up_projection.decode.2", last, classes).map(drop)
    }

    fn doubled(&mut self, name: &str, input: NodeId, features: usize) -> Result<NodeId> {
        let shape = [self.network.channels(input), features, 2, 2, 2];
        let weight = self.weights.take(&format!("{name}.weight"), &shape)?;
        let bias = Some(self.weights.take(&format!("{name}.bias"), &[features])?);
        let op = Op::ConvTranspose { weight, bias, kernel: [2; 3], stride: [2; 3], padding: [0; 3] };
        Ok(self.network.add(op, &[input]))
    }
}

/// A number for each channel of each token, whose last axis runs fastest.
fn field(name: &str, channels: usize, grid: [usize; 3], value: impl Fn(usize, usize) -> f32) -> Arc<Weight> {
    let tokens = grid.iter().product::<usize>();
    let value = &value;
    let data =
        (0..channels).flat_map(|channel| (0..tokens).map(move |token| value(channel, token))).collect();
    Arc::new(Weight { name: name.into(), shape: vec![channels, grid[0], grid[1], grid[2]], data })
}
