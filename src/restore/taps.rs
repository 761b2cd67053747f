//! Linear and nearest interpolation along one axis, on the grid of pixel areas that scikit-image's `resize`
//! uses: output k lies at (k + ½)·in/out − ½, clamped to the input.

use super::kernels::{self, Octet};
use crate::preprocess::resample::torch;
use crate::recipe::Resampler;

/// For each output, the two inputs that it lies between, and the weight of the second.
pub(super) struct Taps {
    between: Vec<[usize; 2]>,
    weights: Vec<f32>,
    identity: bool,
    /// The same, eight outputs at a time, where that can be.
    octets: Vec<Octet>,
    /// Results stay in single precision, as PyTorch's interpolation gives them.
    pub(super) single: bool,
}

impl Taps {
    /// The taps of each axis for a rule that has two at most; `None` for splines of higher order.
    pub(super) fn of(
        rule: &Resampler,
        from: [usize; 3],
        to: [usize; 3],
        separate: Option<usize>,
    ) -> Option<[Taps; 3]> {
        let axes = [0, 1, 2];
        match rule {
            Resampler::Spline(spline) => {
                let orders = spline.orders;
                let order = |axis| if separate == Some(axis) { orders.order_z } else { orders.order };
                let few = axes.iter().all(|&axis| order(axis) <= 1);
                few.then(|| axes.map(|axis| Taps::new(from[axis], to[axis], order(axis))))
            }
            Resampler::Torch { .. } => Some(axes.map(|axis| {
                let rule = if separate == Some(axis) { torch::nearest } else { torch::linear };
                let (between, weights) = rule(from[axis], to[axis]).into_iter().unzip();
                let weights: Vec<[f32; 2]> = weights;
                let weights = weights.into_iter().map(|[_, second]| second).collect();
                Taps::with(between, weights, from[axis], true)
            })),
            Resampler::None => None,
        }
    }

    /// Outputs are inputs.
    pub(super) fn identity(size: usize) -> Self {
        Taps {
            between: (0..size).map(|k| [k, k]).collect(),
            weights: vec![0.0; size],
            identity: true,
            octets: Vec::new(),
            single: false,
        }
    }

    /// Order 1 (linear) or 0 (nearest).
    pub(super) fn new(from: usize, to: usize, order: u8) -> Self {
        if from == to {
            return Self::identity(to);
        }
        let scale = from as f64 / to as f64;
        let (mut between, mut weights) = (Vec::with_capacity(to), Vec::with_capacity(to));
        for k in 0..to {
            let position = ((k as f64 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f64);
            if order == 0 {
                between.push([(position + 0.5).floor() as usize; 2]);
                weights.push(0.0);
            } else {
                let low = position.floor() as usize;
                between.push([low, (low + 1).min(from - 1)]);
                weights.push((position - low as f64) as f32);
            }
        }
        Self::with(between, weights, from, false)
    }

    fn with(between: Vec<[usize; 2]>, weights: Vec<f32>, from: usize, single: bool) -> Self {
        let octets = kernels::octets(&between, &weights, from).unwrap_or_default();
        Taps { identity: from == between.len(), between, weights, octets, single }
    }

    pub(super) fn len(&self) -> usize {
        self.between.len()
    }

    pub(super) fn between(&self, output: usize) -> [usize; 2] {
        self.between[output]
    }

    pub(super) fn weight(&self, output: usize) -> f32 {
        self.weights[output]
    }

    /// The mix of two lines for an output along this axis.
    pub(super) fn blend(&self, a: &[f32], b: &[f32], output: usize, out: &mut [f32]) {
        let weight = self.weights[output];
        if weight == 0.0 { out.copy_from_slice(a) } else { kernels::mix(a, b, weight, out) }
    }

    /// The same with inputs and outputs counted from the other end.
    pub(super) fn reversed(self, inputs: usize) -> Self {
        let between = self.between.iter().rev().map(|&[low, high]| [inputs - 1 - low, inputs - 1 - high]);
        let weights = self.weights.iter().rev().copied().collect();
        Self::with(between.collect(), weights, inputs, self.single)
    }

    /// Interpolates a line.
    pub(super) fn interpolate(&self, line: &[f32], out: &mut [f32]) {
        if self.identity {
            return out.copy_from_slice(line);
        }
        let done = kernels::interpolate(&self.octets, line, out);
        let rest = out.iter_mut().zip(&self.between).zip(&self.weights).skip(done);
        for ((out, &[low, high]), &weight) in rest {
            *out = line[low] + weight * (line[high] - line[low]);
        }
    }
}
