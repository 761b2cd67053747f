//! The Swin transformer in `SwinUNETR`: attention within windows that are shifted from block to block, and
//! patches that are merged from stage to stage (Liu et al., "Swin Transformer: Hierarchical Vision Transformer
//! using Shifted Windows", 2021).

use super::builder::{Builder, Conv};
use super::dynunet_block::DynUNetBlock;
use crate::error::{Error, Result};
use crate::network::{NodeId, Op};

/// In which order the voxels of a 2 × 2 × 2 block become channels when patches are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchMerging {
    /// `merging` up to MONAI 1.4, which takes two voxels twice and leaves two out.
    Legacy,
    /// `merging` from MONAI 1.5.
    Fixed,
    /// `mergingv2`: row-major.
    V2,
}

/// Added to the variance in layer normalisation, PyTorch's default.
const EPSILON: f32 = 1e-5;

pub(super) struct SwinTransformer<'a> {
    pub feature_size: usize,
    pub depths: &'a [usize; 4],
    pub num_heads: &'a [usize; 4],
    pub window_size: [usize; 3],
    pub qkv_bias: bool,
    pub mlp_ratio: f64,
    pub patch_norm: bool,
    pub normalize: bool,
    pub merging: PatchMerging,
    /// What each stage begins with, if anything.
    pub residual: Option<DynUNetBlock>,
}

impl PatchMerging {
    fn places(self) -> [[usize; 3]; 8] {
        let [a, b, c, ab, ac, bc, abc] =
            [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1]];
        match self {
            PatchMerging::Legacy => [[0; 3], a, b, c, ac, b, c, abc],
            PatchMerging::Fixed => [[0; 3], a, b, c, ab, ac, bc, abc],
            PatchMerging::V2 => [[0; 3], c, b, bc, a, ac, ab, abc],
        }
    }
}

impl SwinTransformer<'_> {
    /// Adds the transformer; returns the five hidden states, from the finest.
    pub(super) fn build(&self, builder: &mut Builder, input: NodeId) -> Result<Vec<NodeId>> {
        let (kernel, features) = ([2; 3], self.feature_size);
        let embed = Conv { features, kernel, stride: kernel, padding: [0; 3], bias: true };
        let mut last = builder.conv("swinViT.patch_embed.proj", input, embed)?;
        if self.patch_norm {
            last = layer_norm(builder, "swinViT.patch_embed.norm", last)?;
        }
        let mut states = vec![self.state(builder, last)];
        for stage in 0..4 {
            if let Some(block) = &self.residual {
                // The second version begins each stage with a residual block.
                let channels = builder.network.channels(last);
                let name = format!("swinViT.layers{}c.0.layer", stage + 1);
                last = block.build(builder, &name, last, channels, [3; 3], [1; 3])?;
            }
            let name = format!("swinViT.layers{}.0", stage + 1);
            for block in 0..self.depths[stage] {
                let shifted = block % 2 == 1;
                last = self.block(builder, &format!("{name}.blocks.{block}"), last, stage, shifted)?;
            }
            let channels = builder.network.channels(last);
            last = builder.network.add(Op::PatchMerge { places: self.merging.places() }, &[last]);
            last = layer_norm(builder, &format!("{name}.downsample.norm"), last)?;
            last = builder.linear(&format!("{name}.downsample.reduction"), last, 2 * channels, false)?;
            states.push(self.state(builder, last));
        }
        Ok(states)
    }

    /// A stage's result as the decoder sees it.
    fn state(&self, builder: &mut Builder, input: NodeId) -> NodeId {
        if !self.normalize {
            return input;
        }
        let channels = builder.network.channels(input);
        let scale = builder.constant("hidden state", channels, 1.0);
        let shift = builder.constant("hidden state", channels, 0.0);
        builder.network.add(Op::LayerNorm { scale, shift, epsilon: EPSILON }, &[input])
    }

    fn block(
        &self,
        builder: &mut Builder,
        name: &str,
        input: NodeId,
        stage: usize,
        shifted: bool,
    ) -> Result<NodeId> {
        let (channels, heads) = (builder.network.channels(input), self.num_heads[stage]);
        if channels % heads != 0 {
            let text =
                format!("{heads} attention heads for {channels} channels in `{name}`, which don't divide");
            return Err(Error::unsupported(text));
        }
        let window = self.window_size;
        let (places, voxels) =
            (window.iter().map(|size| 2 * size - 1).product(), window.iter().product::<usize>());

        let normed = layer_norm(builder, &format!("{name}.norm1"), input)?;
        // The zeros come before queries, keys and values are made, so they have the biases of these.
        let padded = builder.network.add(Op::PadToWindows { window }, &[normed]);
        let qkv = builder.linear(&format!("{name}.attn.qkv"), padded, 3 * channels, self.qkv_bias)?;
        let bias =
            builder.weights.take(&format!("{name}.attn.relative_position_bias_table"), &[places, heads])?;
        builder.weights.skip(&format!("{name}.attn.relative_position_index"), &[voxels; 2])?;
        let shift = if shifted { window.map(|size| size / 2) } else { [0; 3] };
        let attended = builder.network.add(Op::WindowAttention { bias, heads, window, shift }, &[qkv]);
        let projected = builder.linear(&format!("{name}.attn.proj"), attended, channels, true)?;
        let cropped = builder.network.add(Op::CropLike, &[projected, input]);
        let sum = builder.network.add(Op::Add, &[input, cropped]);

        let normed = layer_norm(builder, &format!("{name}.norm2"), sum)?;
        let hidden = (channels as f64 * self.mlp_ratio) as usize;
        let wide = builder.linear(&format!("{name}.mlp.linear1"), normed, hidden, true)?;
        let active = builder.network.add(Op::Gelu, &[wide]);
        let narrow = builder.linear(&format!("{name}.mlp.linear2"), active, channels, true)?;
        Ok(builder.network.add(Op::Add, &[sum, narrow]))
    }
}

pub(super) fn layer_norm(builder: &mut Builder, name: &str, input: NodeId) -> Result<NodeId> {
    let channels = builder.network.channels(input);
    let scale = builder.weights.take(&format!("{name}.weight"), &[channels])?;
    let shift = builder.weights.take(&format!("{name}.bias"), &[channels])?;
    Ok(builder.network.add(Op::LayerNorm { scale, shift, epsilon: EPSILON }, &[input]))
}
