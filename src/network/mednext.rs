//! MedNeXt: a U-Net of depthwise convolutions between an expansion and a compression of channels (Roy et al., "MedNeXt:
//! Transformer-driven Scaling of ConvNets for Medical Image Segmentation", 2023). Sizes follow from the tensors, so
//! that one builder serves its variants and both of its implementations, MIC-DKFZ's and MONAI's.

use std::sync::Arc;

use super::{Network, NodeId, Op, StateDict, Weight};
use crate::error::{Error, Result};

/// Most blocks of a stage.
const MOST_BLOCKS: usize = 256;

/// How an implementation names its stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MedNeXtNames {
    /// MIC-DKFZ/MedNeXt: `enc_block_0`, `down_0`, `up_3`, `dec_block_3`, each by its level.
    ByLevel,
    /// MONAI: `enc_stages.0`, `down_blocks.0`, `up_blocks.0`, `dec_stages.0`, the decoder's from the coarsest.
    InOrder,
}

/// What the tensors don't tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MedNeXt {
    /// How stages are named.
    pub names: MedNeXtNames,
    /// Whether blocks add their input to their result.
    pub residual: bool,
}

impl MedNeXt {
    /// Whether tensors are those of MIC-DKFZ's implementation.
    pub fn is_in(weights: &StateDict) -> bool {
        weights.has("stem.weight") && weights.has("enc_block_0.0.conv1.weight")
    }

    /// Builds the network from the tensors of a state dict and checks that none is left over.
    ///
    /// # Errors
    /// Missing, misshapen or unused tensors.
    pub fn build(&self, input_channels: usize, classes: usize, weights: StateDict) -> Result<Network> {
        let mut builder = Builder { network: Network::new(input_channels), weights, residual: self.residual };
        let levels = (0..MOST_BLOCKS).take_while(|&level| builder.has(&self.encoder(level), 0)).count();
        let mut last = builder.point("stem", 0)?;
        let mut skips = Vec::new();
        for level in 0..levels {
            last = builder.stage(&self.encoder(level), last)?;
            skips.push(last);
            last = builder.down(&self.down(level), last)?;
        }
        last = builder.stage("bottleneck", last)?;
        for level in (0..levels).rev() {
            last = builder.up(&self.up(level, levels), last)?;
            last = builder.network.add(Op::Add, &[last, skips[level]]);
            last = builder.stage(&self.decoder(level, levels), last)?;
        }
        builder.head("out_0.conv_out", last, classes)?;
        // Heads of coarser levels served deep supervision in training; the last is for checkpointing alone.
        let mut unused: Vec<String> = (1..=levels).map(|level| format!("out_{level}")).collect();
        unused.push("out_blocks".into());
        unused.iter().for_each(|module| builder.weights.skip_module(module));
        builder.weights.skip("dummy_tensor", &[1])?;
        builder.weights.finish()?;
        Ok(builder.network)
    }

    fn encoder(&self, level: usize) -> String {
        match self.names {
            MedNeXtNames::ByLevel => format!("enc_block_{level}"),
            MedNeXtNames::InOrder => format!("enc_stages.{level}"),
        }
    }

    fn down(&self, level: usize) -> String {
        match self.names {
            MedNeXtNames::ByLevel => format!("down_{level}"),
            MedNeXtNames::InOrder => format!("down_blocks.{level}"),
        }
    }

    fn up(&self, level: usize, levels: usize) -> String {
        match self.names {
            MedNeXtNames::ByLevel => format!("up_{level}"),
            MedNeXtNames::InOrder => format!("up_blocks.{}", levels - 1 - level),
        }
    }

    fn decoder(&self, level: usize, levels: usize) -> String {
        match self.names {
            MedNeXtNames::ByLevel => format!("dec_block_{level}"),
            MedNeXtNames::InOrder => format!("dec_stages.{}", levels - 1 - level),
        }
    }
}

struct Builder<'a> {
    network: Network,
    weights: StateDict<'a>,
    residual: bool,
}

impl Builder<'_> {
    fn has(&self, stage: &str, block: usize) -> bool {
        self.weights.has(&format!("{stage}.{block}.conv1.weight"))
    }

    /// The shape of a convolution's weight, of three dimensions.
    fn shape(&mut self, name: &str) -> Result<[usize; 5]> {
        let name = format!("{name}.weight");
        match self.weights.shape(&name).map(<[usize]>::to_vec).as_deref() {
            Some(&[a, b, planes, rows, columns]) => Ok([a, b, planes, rows, columns]),
            Some(other) => {
                let found = format!("`{name}` of {other:?}, expected that of a convolution with three axes");
                Err(Error::unsupported(found))
            }
            // Says which file lacks it.
            None => self.weights.take(&name, &[1; 5]).map(|_| [1; 5]),
        }
    }

    fn bias(&mut self, name: &str, count: usize) -> Result<Arc<Weight>> {
        self.weights.take(&format!("{name}.bias"), &[count])
    }

    /// A convolution of single voxels.
    fn point(&mut self, name: &str, input: NodeId) -> Result<NodeId> {
        let [features, ..] = self.shape(name)?;
        self.point_by(name, input, [features, self.network.channels(input)], [1; 3])
    }

    fn point_by(&mut self, name: &str, input: NodeId, of: [usize; 2], stride: [usize; 3]) -> Result<NodeId> {
        let weight = self.weights.take(&format!("{name}.weight"), &[of[0], of[1], 1, 1, 1])?;
        let bias = Some(self.bias(name, of[0])?);
        let op = Op::Conv { weight, bias, kernel: [1; 3], stride, padding: [0; 3] };
        Ok(self.network.add(op, &[input]))
    }

    fn stage(&mut self, name: &str, input: NodeId) -> Result<NodeId> {
        let mut last = input;
        for block in
            (0..MOST_BLOCKS).take_while(|&block| block == 0 || self.has(name, block)).collect::<Vec<_>>()
        {
            let inner = self.depthwise(&format!("{name}.{block}"), last, [1; 3])?;
            let inner = self.perceptron(&format!("{name}.{block}"), inner)?;
            last = if self.residual { self.network.add(Op::Add, &[last, inner]) } else { inner };
        }
        Ok(last)
    }

    fn down(&mut self, name: &str, input: NodeId) -> Result<NodeId> {
        let inner = self.depthwise(name, input, [2; 3])?;
        let inner = self.perceptron(name, inner)?;
        let shortcut = format!("{name}.res_conv");
        if !self.weights.has(&format!("{shortcut}.weight")) {
            return Ok(inner);
        }
        let of = [self.network.channels(inner), self.network.channels(input)];
        let shortcut = self.point_by(&shortcut, input, of, [2; 3])?;
        Ok(self.network.add(Op::Add, &[inner, shortcut]))
    }

    /// Twice the size but for a plane, which zeros in front make up for.
    fn up(&mut self, name: &str, input: NodeId) -> Result<NodeId> {
        let first = format!("{name}.conv1");
        let (weight, bias, kernel) = self.of_each_channel(&first, input)?;
        let (stride, padding) = ([2; 3], kernel.map(|size| size / 2));
        let inner =
            self.network.add(Op::DepthwiseTranspose { weight, bias, kernel, stride, padding }, &[input]);
        let inner = self.perceptron(name, inner)?;
        let inner = self.network.add(Op::PadFront { planes: [1; 3] }, &[inner]);
        let shortcut = format!("{name}.res_conv");
        if !self.weights.has(&format!("{shortcut}.weight")) {
            return Ok(inner);
        }
        let shortcut = self.spread(&shortcut, input, self.network.channels(inner))?;
        let shortcut = self.network.add(Op::PadFront { planes: [1; 3] }, &[shortcut]);
        Ok(self.network.add(Op::Add, &[inner, shortcut]))
    }

    /// A transposed convolution of single voxels with a stride of 2: a plain one, and then voxels apart, between which
    /// the bias stands alone.
    fn spread(&mut self, name: &str, input: NodeId, features: usize) -> Result<NodeId> {
        let channels = self.network.channels(input);
        let weight = self.weights.take(&format!("{name}.weight"), &[channels, features, 1, 1, 1])?;
        let weight = transposed(weight, channels, features);
        let bias = self.bias(name, features)?;
        let op = Op::Conv { weight, bias: None, kernel: [1; 3], stride: [1; 3], padding: [0; 3] };
        let mixed = self.network.add(op, &[input]);
        let ones = Weight {
            name: format!("{name}.constant.1"),
            shape: vec![features, 1, 1, 1, 1],
            data: vec![1.0; features],
        };
        let (weight, kernel, stride, padding) = (Arc::new(ones), [1; 3], [2; 3], [0; 3]);
        Ok(self.network.add(Op::DepthwiseTranspose { weight, bias, kernel, stride, padding }, &[mixed]))
    }

    fn of_each_channel(
        &mut self,
        name: &str,
        input: NodeId,
    ) -> Result<(Arc<Weight>, Arc<Weight>, [usize; 3])> {
        let channels = self.network.channels(input);
        let [.., planes, rows, columns] = self.shape(name)?;
        let kernel = [planes, rows, columns];
        if kernel.iter().any(|size| size % 2 == 0) {
            return Err(Error::unsupported(format!(
                "a kernel of {kernel:?} in `{name}`, expected odd sizes"
            )));
        }
        let weight = self.weights.take(&format!("{name}.weight"), &[channels, 1, planes, rows, columns])?;
        Ok((weight, self.bias(name, channels)?, kernel))
    }

    fn depthwise(&mut self, name: &str, input: NodeId, stride: [usize; 3]) -> Result<NodeId> {
        let (weight, bias, kernel) = self.of_each_channel(&format!("{name}.conv1"), input)?;
        let padding = kernel.map(|size| size / 2);
        Ok(self.network.add(Op::Depthwise { weight, bias, kernel, stride, padding }, &[input]))
    }

    /// Normalisation of each channel, expansion, activation and compression.
    fn perceptron(&mut self, name: &str, input: NodeId) -> Result<NodeId> {
        let channels = self.network.channels(input);
        let scale = self.weights.take(&format!("{name}.norm.weight"), &[channels])?;
        let shift = self.weights.take(&format!("{name}.norm.bias"), &[channels])?;
        let normed = self.network.add(Op::InstanceNorm { scale, shift, epsilon: 1e-5 }, &[input]);
        let wide = self.point(&format!("{name}.conv2"), normed)?;
        let active = self.network.add(Op::Gelu, &[wide]);
        self.point(&format!("{name}.conv3"), active)
    }

    /// A transposed convolution of single voxels, which is a plain one.
    fn head(&mut self, name: &str, input: NodeId, classes: usize) -> Result<NodeId> {
        let channels = self.network.channels(input);
        let weight = self.weights.take(&format!("{name}.weight"), &[channels, classes, 1, 1, 1])?;
        let (weight, bias) = (transposed(weight, channels, classes), Some(self.bias(name, classes)?));
        let op = Op::Conv { weight, bias, kernel: [1; 3], stride: [1; 3], padding: [0; 3] };
        Ok(self.network.add(op, &[input]))
    }
}

/// A matrix [input, output, 1, 1, 1] with its sides exchanged.
fn transposed(weight: Arc<Weight>, inputs: usize, outputs: usize) -> Arc<Weight> {
    let data = (0..outputs).flat_map(|out| (0..inputs).map(move |input| input * outputs + out));
    let data = data.map(|at| weight.data[at]).collect();
    Arc::new(Weight { name: weight.name.clone(), shape: vec![outputs, inputs, 1, 1, 1], data })
}
