//! What a device multiplies matrices with, and whether that is right and fast enough to be used.

use std::sync::Arc;
use std::time::Instant;

use super::arena::Arena;
use super::lower::{Target, VOXELS};
use super::program::{Budget, Program};
use super::vulkan::{Gpu, Matrix, Submitter};
use crate::error::Result;
use crate::log::{self, Level};
use crate::network::{Network, Op, Weight};

/// How a group's subgroups share its matrix product out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matrices {
    pub matrix: Matrix,
    /// Invocations of a subgroup.
    pub lanes: u32,
    /// Subgroups of a group.
    pub teams: u32,
    /// Matrices of a subgroup along voxels.
    pub rows: u32,
    /// Eights of output channels that a group has at most.
    pub most_eights: u32,
}

impl Matrices {
    /// Those of a device that has such matrices and subgroups; `None` where the kernel isn't written for them.
    fn of(matrix: Matrix, [least, most]: [u32; 2], hardware: bool) -> Option<Self> {
        let Matrix { m, n, k } = matrix;
        // Each lane looks after whole eights of a matrix of sums: one, where subgroups may be so large.
        let eights = m * n / 8;
        let lanes = eights.clamp(least, most);
        let fits = eights % lanes == 0 && lanes % (n / 8) == 0 && 16 % k == 0 && 16 % n == 0;
        // Software compiles each matrix to hundreds of instructions: few a subgroup, or that takes a minute.
        let rows = if hardware { 4 } else { 1 };
        let teams = VOXELS as u32 / (rows * m);
        // 64 and 128 registers a lane for sums.
        let most_eights = match (hardware, m) {
            (false, _) => 2,
            (true, 16) => 8,
            (true, _) => 4,
        };
        (fits && teams * lanes <= 1024).then_some(Matrices { matrix, lanes, teams, rows, most_eights })
    }
}

/// What kernels for a device are lowered for. The first time, finds out whether its matrices are good.
///
/// # Errors
/// The device's, when not even the plain kernels run.
pub(super) fn target(gpu: &Arc<Gpu>, half: bool) -> Result<Target> {
    let plain = Target { half, shared: gpu.shared_memory(), matrices: None };
    let Some(matrix) = gpu.matrix.filter(|_| half) else { return Ok(plain) };
    let physical = &gpu.physical;
    let Some(matrices) = Matrices::of(matrix, physical.subgroups(), physical.hardware) else {
        return Ok(plain);
    };
    let with = Target { matrices: Some(matrices), ..plain };
    let good = match gpu.good_matrices.get() {
        Some(&good) => good,
        None => {
            let good = are_good(gpu, with, plain)?;
            *gpu.good_matrices.get_or_init(|| good)
        }
    };
    Ok(if good { with } else { plain })
}

/// Whether a layer by matrices has the plain kernel's result, and on hardware isn't slower.
fn are_good(gpu: &Arc<Gpu>, with: Target, plain: Target) -> Result<bool> {
    let told = |reason: String| {
        log::write(Level::Warning, || format!("{}: matrices aren't used: {reason}", gpu.physical.name));
        Ok(false)
    };
    let tile = if gpu.physical.hardware { [32; 3] } else { [5, 6, 17] };
    let network = layer();
    let input: Vec<f32> = (0..tile.iter().product()).map(|at: usize| number(at) * 2.0).collect();
    let by_matrices = match run(gpu, &network, tile, with, &input) {
        Ok(found) => found,
        Err(error) => return told(error.to_string()),
    };
    let by_sums = run(gpu, &network, tile, plain, &input)?;
    let pairs = || by_matrices.scores.iter().zip(&by_sums.scores);
    let apart: f64 = pairs().map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let size: f64 = pairs().map(|(_, b)| f64::from(*b).powi(2)).sum();
    // What isn't a number is not below any bound.
    let same = apart.sqrt() <= 2e-3 * size.sqrt();
    if !same {
        return told(format!("they give other numbers, {:.1e} apart", (apart / size).sqrt()));
    }
    let slower = by_matrices.seconds > by_sums.seconds;
    if gpu.physical.hardware && slower {
        return told(format!("{:.2e} s a layer, {:.2e} s without", by_matrices.seconds, by_sums.seconds));
    }
    Ok(true)
}

struct Ran {
    scores: Vec<f32>,
    /// The fastest of some runs.
    seconds: f64,
}

fn run(gpu: &Arc<Gpu>, network: &Network, tile: [usize; 3], target: Target, input: &[f32]) -> Result<Ran> {
    let mut submitter = Submitter::new(gpu)?;
    let (workspace, budget) = (Arena::default(), Budget::default());
    let mut program = Program::new(gpu, network, tile, target, &workspace, budget, &mut submitter)?;
    let mut scores = vec![0.0; network.output_channels() * input.len()];
    let mut seconds = f64::INFINITY;
    for _ in 0..if gpu.physical.hardware { 4 } else { 1 } {
        let start = Instant::now();
        program.run(input, &mut scores, &mut submitter, &|| Ok(()))?;
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    Ok(Ran { scores, seconds })
}

/// Numbers between −0.5 and 0.5 that no rule of a kernel's follows.
fn number(at: usize) -> f32 {
    (at as u32).wrapping_mul(2_654_435_761) as f32 / 4_294_967_296.0 - 0.5
}

/// A few convolutions with a normalisation between, most of the work in those of three.
fn layer() -> Network {
    let mut network = Network::new(1);
    let mut last = 0;
    for (out, size) in [(32, 1), (32, 3), (32, 3), (8, 1)] {
        let shape = vec![out, network.channels(last), size, size, size];
        let weight = |name: &str, shape: Vec<usize>, scale: f32, offset: f32| {
            let data = (0..shape.iter().product()).map(|at| number(at) * scale + offset).collect();
            Arc::new(Weight { name: name.into(), shape, data })
        };
        let conv = Op::Conv {
            weight: weight("weight", shape, 0.25, 0.0),
            bias: Some(weight("bias", vec![out], 1.0, 0.0)),
            kernel: [size; 3],
            stride: [1; 3],
            padding: [size / 2; 3],
        };
        last = network.add(conv, &[last]);
        if out == 32 {
            let (scale, shift) = (weight("scale", vec![out], 0.5, 1.0), weight("shift", vec![out], 0.5, 0.0));
            last = network.add(Op::InstanceNorm { scale, shift, epsilon: 1e-5 }, &[last]);
            last = network.add(Op::LeakyRelu { slope: 0.01 }, &[last]);
        }
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_of_the_devices_that_are_known() {
        let of = |[m, n, k]: [u32; 3], subgroups, hardware| {
            let found = Matrices::of(Matrix { m, n, k }, subgroups, hardware)?;
            Some((found.lanes, found.teams, found.rows, found.most_eights))
        };
        // NVIDIA, AMD, Intel's Xe2, software.
        assert_eq!(of([16, 16, 16], [32, 32], true), Some((32, 4, 4, 8)));
        assert_eq!(of([16, 16, 16], [32, 64], true), Some((32, 4, 4, 8)));
        assert_eq!(of([8, 16, 16], [16, 32], true), Some((16, 8, 4, 4)));
        assert_eq!(of([8, 8, 8], [8, 8], false), Some((8, 32, 1, 2)));
        // A subgroup of 64 has more lanes than a matrix eights.
        assert_eq!(of([16, 16, 16], [64, 64], true), None);
        assert_eq!(of([16, 8, 8], [32, 32], true), None);
    }
}
