//! The steps that a network is lowered to. Triples are along axes 0, 1 and 2.

use super::class::Matrices;
use super::lower::Tile;
use crate::engine::lowering::{Block, BufferId, Windows};

/// Where a convolution writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Tensor(BufferId),
    /// The scores, [channel][voxel] in single precision.
    Scores,
}

/// What a convolution reads.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// The image, of so many channels.
    Image(usize),
    Blocks(Vec<Block>),
}

/// A convolution, or the kinds of a transposed one. Offsets are in the fixed memory.
#[derive(Debug)]
pub(super) struct Conv {
    pub input: Input,
    pub output: Output,
    pub outputs: usize,
    pub tile: Tile,
    /// How it is computed by matrices; `None`: by plain sums.
    pub matrices: Option<Matrices>,
    /// Eights of output channels that a group computes.
    pub eights: usize,
    /// Channels that come at a time, and how often.
    pub depth: usize,
    pub turns: usize,
    pub kinds: usize,
    pub step: [usize; 3],
    pub out_step: [usize; 3],
    /// First voxel that the first result reads.
    pub corner: [isize; 3],
    /// Results of a kind.
    pub size: [usize; 3],
    pub from_size: [usize; 3],
    pub weights: u64,
    pub weight_bytes: u64,
    pub bias: u64,
    pub plan: u64,
    pub residual: Vec<Block>,
    pub statistics: Option<BufferId>,
    pub multiply_adds: u64,
}

impl Conv {
    pub(super) fn tiles(&self) -> usize {
        (0..3).map(|axis| self.size[axis].div_ceil(self.tile.voxels[axis])).product()
    }

    pub(super) fn blocks(&self) -> usize {
        self.outputs.div_ceil(16)
    }

    /// Groups that share out the channels of a tile.
    pub(super) fn shares(&self) -> usize {
        (self.blocks() * 2).div_ceil(self.eights)
    }
}

/// What is done with a voxel's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Function {
    /// Nothing: the values are read with their tables, and so become plain.
    Copy,
    /// The sum with the other input.
    Add,
    /// The product with the other input, of this size, which is one or the first input's along each axis.
    Multiply([usize; 3]),
    /// x for positive x, else a lane's slope times x, where tables can't tell it: slopes over 1, at this offset.
    Slopes(u64),
    /// x for positive x, else alpha · (eˣ − 1).
    Elu(f32),
    /// x · Φ(x).
    Gelu,
    Sigmoid,
    Tanh,
}

#[derive(Debug)]
pub(super) struct Map {
    pub function: Function,
    pub inputs: Vec<Block>,
    /// As many blocks, or none.
    pub others: Vec<Block>,
    pub size: [usize; 3],
    pub output: BufferId,
    pub statistics: Option<BufferId>,
}

/// Voxels of a group of `shaders/map.comp`.
const CHUNK: usize = 1024;

impl Map {
    pub(super) fn chunks(&self) -> usize {
        self.size.iter().product::<usize>().div_ceil(CHUNK)
    }
}

/// How a result is made from some voxels of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampling {
    /// Means of blocks of this size.
    Average([usize; 3]),
    /// Maxima of blocks of this size.
    Maximum([usize; 3]),
    /// Linear interpolation, so many times as large; whether the centres of the outermost voxels coincide.
    Linear([usize; 3], bool),
    /// The voxel at the same place, or the nearest one that there is.
    Nearest,
    /// Means along the axes that get size one.
    Mean,
    /// The image behind so many planes of zeros along each axis, and zeros behind it.
    Framed([usize; 3]),
    /// Every second voxel along each axis, from a place on.
    Second([usize; 3]),
}

#[derive(Debug)]
pub(super) struct Sample {
    pub sampling: Sampling,
    pub inputs: Vec<Block>,
    pub from_size: [usize; 3],
    pub output: BufferId,
    pub size: [usize; 3],
}

/// A convolution of each channel by itself. Offsets are in the fixed memory.
#[derive(Debug)]
pub(super) struct Depthwise {
    pub transposed: bool,
    pub inputs: Vec<Block>,
    pub from_size: [usize; 3],
    pub kernel: [usize; 3],
    pub stride: [usize; 3],
    pub padding: [usize; 3],
    /// [block][kernel…][lane].
    pub weights: u64,
    /// [block][lane].
    pub bias: u64,
    pub output: BufferId,
    pub size: [usize; 3],
    pub statistics: Option<BufferId>,
}

/// Voxels of a group of `shaders/depthwise.comp`.
const DEPTHWISE_CHUNK: usize = 256;

impl Depthwise {
    pub(super) fn chunks(&self) -> usize {
        self.size.iter().product::<usize>().div_ceil(DEPTHWISE_CHUNK)
    }
}

/// Each voxel by the mean and the variance of its channels. Offsets are in the fixed memory.
#[derive(Debug)]
pub(super) struct LayerNorm {
    pub inputs: Vec<Block>,
    pub voxels: usize,
    /// Scale and shift of each block's lanes.
    pub affine: u64,
    /// Where the blocks' channels are told.
    pub lanes: u64,
    pub epsilon: f32,
    pub output: BufferId,
}

/// Attention among the voxels of windows.
#[derive(Debug)]
pub(super) struct Attention {
    /// Queries, keys and values, each head by head.
    pub inputs: Vec<Block>,
    pub windows: Windows,
    pub heads: usize,
    /// Channels of a head.
    pub width: usize,
    /// Eights of queries, and of keys, that a group looks at together.
    pub eights: usize,
    /// Where the table of what is added by relative places starts, and the window that has these.
    pub bias: Option<(u64, [usize; 3])>,
    pub output: BufferId,
}

impl Attention {
    /// Groups for the queries of a window.
    pub(super) fn turns(&self) -> usize {
        self.windows.tokens().div_ceil(8 * self.eights)
    }

    /// Of both products.
    pub(super) fn multiply_adds(&self) -> u64 {
        let tokens = self.windows.tokens() as u64;
        2 * self.windows.len() as u64 * tokens * tokens * (self.heads * self.width) as u64
    }
}

/// Statistics that become a table.
#[derive(Debug)]
pub(super) struct Finish {
    pub partials: BufferId,
    pub slots: usize,
    pub channels: usize,
    /// Neighbouring channels that share their statistics.
    pub together: usize,
    pub scale: u64,
    pub shift: u64,
    pub epsilon: f32,
    /// Where the tables of these channels start; only those that are read. Their slopes are there already.
    pub tables: Vec<usize>,
}

#[derive(Debug)]
pub(super) enum Step {
    Conv(Box<Conv>),
    Map(Map),
    Sample(Sample),
    Depthwise(Depthwise),
    LayerNorm(LayerNorm),
    Attention(Attention),
    Finish(Finish),
    /// The image in blocks; where their channels are told.
    Enter {
        blocks: usize,
        voxels: usize,
        lanes: u64,
        output: BufferId,
    },
    /// Blocks to the scores; where their channels are told.
    Leave {
        inputs: Vec<Block>,
        voxels: usize,
        lanes: u64,
    },
}

impl Step {
    /// Where it may leave statistics, in how many slots of how many blocks.
    pub(super) fn statistics(&mut self) -> Option<(&mut Option<BufferId>, usize, usize)> {
        match self {
            Step::Conv(step) => {
                let (slots, blocks) = (step.kinds * step.tiles(), step.blocks());
                (step.output != Output::Scores).then_some((&mut step.statistics, slots, blocks))
            }
            Step::Map(step) => {
                let (slots, blocks) = (step.chunks(), step.inputs.len());
                Some((&mut step.statistics, slots, blocks))
            }
            Step::Depthwise(step) => {
                let (slots, blocks) = (step.chunks(), step.inputs.len());
                Some((&mut step.statistics, slots, blocks))
            }
            _ => None,
        }
    }

    /// The blocks that it reads.
    pub(super) fn reads(&self) -> Vec<&Block> {
        match self {
            Step::Conv(step) => match &step.input {
                Input::Blocks(blocks) => blocks.iter().chain(&step.residual).collect(),
                Input::Image(_) => step.residual.iter().collect(),
            },
            Step::Map(step) => step.inputs.iter().chain(&step.others).collect(),
            Step::Sample(step) => step.inputs.iter().collect(),
            Step::Depthwise(step) => step.inputs.iter().collect(),
            Step::LayerNorm(step) => step.inputs.iter().collect(),
            Step::Attention(step) => step.inputs.iter().collect(),
            Step::Leave { inputs, .. } => inputs.iter().collect(),
            Step::Finish(_) | Step::Enter { .. } => Vec::new(),
        }
    }
}
