//! Which kernel computes a step, and with which constants.

use super::class::Matrices;
use super::lower::{Target, VOXELS};
use super::shaders;
use super::step::{Conv, Function, Input, Output, Sampling, Step};
use super::vulkan::Module;

/// x, y, z of a triple along axes 0, 1, 2.
pub(super) fn xyz(size: [usize; 3]) -> [u32; 3] {
    [size[2] as u32, size[1] as u32, size[0] as u32]
}

/// A kernel as a step needs it.
pub(super) struct Kernel {
    pub module: Module,
    pub constants: Vec<u32>,
    pub lanes: Lanes,
}

/// Invocations of a subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lanes {
    /// What the driver likes.
    Any,
    /// As many as the device's widest subgroups that convolutions are written for, and full ones.
    Widest,
    /// So many, and full ones.
    Exactly(u32),
}

/// The kernel of a step, with its constants.
pub(super) fn kernel(target: Target, step: &Step) -> Kernel {
    let any = |module, constants: &[u32]| Kernel { module, constants: constants.into(), lanes: Lanes::Any };
    let of = usize::from(target.half);
    match step {
        Step::Conv(step) => {
            let Conv { tile, .. } = &**step;
            let invocations = step.matrices.map_or(VOXELS as u32, |matrices| matrices.teams * matrices.lanes);
            let mut constants = vec![invocations];
            for triple in [tile.voxels, tile.brought, tile.bring, tile.near, step.step, step.out_step] {
                constants.extend(xyz(triple));
            }
            let scores = u32::from(step.output == Output::Scores);
            constants.extend([step.eights as u32, step.depth as u32, scores]);
            if let Some(Matrices { matrix, lanes, rows, .. }) = step.matrices {
                let columns = step.eights as u32 * 8 / matrix.n;
                constants.extend([matrix.m, matrix.n, matrix.k, lanes, rows, columns]);
                return Kernel { module: shaders::MATRICES, constants, lanes: Lanes::Exactly(lanes) };
            }
            let module = match step.input {
                Input::Image(_) => shaders::IMAGE[of],
                Input::Blocks(_) => shaders::CONV[of],
            };
            Kernel { module, constants, lanes: Lanes::Widest }
        }
        Step::Map(step) => {
            let function = match step.function {
                Function::Copy => 0,
                Function::Add => 1,
                Function::Multiply(_) => 2,
                Function::Slopes(_) => 3,
                Function::Elu(_) => 4,
                Function::Gelu => 5,
                Function::Sigmoid => 6,
                Function::Tanh => 7,
            };
            any(shaders::MAP[of], &[function])
        }
        Step::Sample(step) => {
            let sampling = match step.sampling {
                Sampling::Average(_) => 0,
                Sampling::Maximum(_) => 1,
                Sampling::Linear(_, false) => 2,
                Sampling::Linear(_, true) => 3,
                Sampling::Nearest => 4,
                Sampling::Framed(_) => 5,
                Sampling::Second(_) => 6,
                Sampling::Mean => return any(shaders::MEAN[of], &[]),
            };
            any(shaders::SAMPLE[of], &[sampling])
        }
        Step::Depthwise(step) => {
            let [kx, ky, kz] = xyz(step.kernel);
            let [x, y, z] = xyz(step.stride);
            any(shaders::DEPTHWISE[of], &[u32::from(step.transposed), kx, ky, kz, x, y, z])
        }
        Step::LayerNorm(_) => any(shaders::LAYER_NORM[of], &[]),
        Step::Attention(step) => {
            let each = step.eights as u32;
            let (biased, shifted) = (step.bias.is_some(), step.windows.shift != [0; 3]);
            let constants = [step.width as u32, each, each, u32::from(biased), u32::from(shifted)];
            any(shaders::ATTENTION[of], &constants)
        }
        Step::Finish(_) => any(shaders::FINISH, &[]),
        Step::Enter { .. } => any(shaders::ENDS[of], &[0]),
        Step::Leave { .. } => any(shaders::ENDS[of], &[1]),
    }
}
