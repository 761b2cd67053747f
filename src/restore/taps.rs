//! Linear and nearest interpolation along one axis, on the grid of pixel areas that scikit-image's `resize`
//! uses: output k lies at (k + ½)·in/out − ½, clamped to the input.

use super::kernels::{self, Octet};
use crate::buffer;
use crate::error::Result;
use crate::preprocess::monai::AxisTaps;
use crate::preprocess::resample::torch;
use crate::recipe::Resampler;

/// What its memory is for, in errors.
const TAPS: &str = "how scores lie between others";

/// For each output, the two inputs that it lies between, and the weight of the second. An input one beyond the last
/// stands for zero.
pub(super) struct Taps {
    between: Vec<[usize; 2]>,
    weights: Vec<f32>,
    inputs: usize,
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
    ) -> Result<Option<[Taps; 3]>> {
        let axes = [0, 1, 2];
        let all = |[planes, rows, columns]: [Result<Taps>; 3]| Ok(Some([planes?, rows?, columns?]));
        match rule {
            Resampler::Spline(spline) => {
                let orders = spline.orders;
                let order = |axis| if separate == Some(axis) { orders.order_z } else { orders.order };
                let few = axes.iter().all(|&axis| order(axis) <= 1);
                if few {
                    all(axes.map(|axis| Taps::new(from[axis], to[axis], order(axis))))
                } else {
                    Ok(None)
                }
            }
            Resampler::Torch { .. } => all(axes.map(|axis| {
                let rule = if separate == Some(axis) { torch::nearest } else { torch::linear };
                let taps = rule(from[axis], to[axis])?;
                let between = buffer::collect(TAPS, taps.iter().map(|&(between, _)| between))?;
                let weights = buffer::collect(TAPS, taps.iter().map(|&(_, [_, second])| second))?;
                Taps::with(between, weights, from[axis], true)
            })),
            Resampler::None => Ok(None),
        }
    }

    /// Outputs are inputs.
    pub(super) fn identity(size: usize) -> Result<Self> {
        let between = buffer::collect(TAPS, (0..size).map(|k| [k, k]))?;
        Self::with(between, buffer::zeroed(TAPS, size)?, size, false)
    }

    /// What becomes of outputs when only `length` inputs from `start` on are there; others are zero.
    pub(super) fn cut(&mut self, start: i64, length: usize) -> Result<()> {
        let place = |input: usize| {
            let at = input as i64 - start;
            if input == self.inputs || !(0..length as i64).contains(&at) { length } else { at as usize }
        };
        let between = buffer::collect(TAPS, self.between.iter().map(|pair| pair.map(place)))?;
        *self = Self::with(between, std::mem::take(&mut self.weights), length, self.single)?;
        Ok(())
    }

    /// Only some of the outputs.
    pub(super) fn keep(&mut self, outputs: std::ops::Range<usize>) -> Result<()> {
        let between = buffer::collect(TAPS, self.between[outputs.clone()].iter().copied())?;
        let weights = buffer::collect(TAPS, self.weights[outputs].iter().copied())?;
        *self = Self::with(between, weights, self.inputs, self.single)?;
        Ok(())
    }

    /// The first input that some outputs lie between, and one beyond the last; `None` where all of them are zero.
    pub(super) fn needed(&self, outputs: std::ops::Range<usize>) -> Option<(usize, usize)> {
        let inputs = || self.between[outputs.clone()].iter().flatten().filter(|&&input| input < self.inputs);
        Some((*inputs().min()?, inputs().max()? + 1))
    }

    /// What becomes of outputs, which are inputs or zero, when those inputs lie between others as `taps` say.
    pub(super) fn through(&self, taps: &AxisTaps, inputs: usize) -> Result<Self> {
        let room = self.between.len();
        let (mut between, mut weights) = (buffer::with_room(TAPS, room)?, buffer::with_room(TAPS, room)?);
        for &[input, _] in &self.between {
            if input == self.inputs {
                between.push([inputs; 2]);
                weights.push(0.0);
                continue;
            }
            let ([low, high], [first, second]) = (taps.between[input], taps.weights[input]);
            // Beside zeros, even a rounding error's share of an input decides between classes, as in double
            // precision: it must not vanish beside 1.
            if first > 0.0 && second as f32 == 1.0 {
                between.push([high, low]);
                weights.push(first as f32);
                continue;
            }
            // Weights of inputs outside are missing from their sum.
            let lost = 1.0 - (first + second) > 1e-6;
            between.push([
                if lost && first == 0.0 { inputs } else { low },
                if lost && second == 0.0 { inputs } else { high },
            ]);
            weights.push(if lost && second == 0.0 { (1.0 - first) as f32 } else { second as f32 });
        }
        Self::with(between, weights, inputs, true)
    }

    /// Order 1 (linear) or 0 (nearest).
    pub(super) fn new(from: usize, to: usize, order: u8) -> Result<Self> {
        if from == to {
            return Self::identity(to);
        }
        let scale = from as f64 / to as f64;
        let (mut between, mut weights) = (buffer::with_room(TAPS, to)?, buffer::with_room(TAPS, to)?);
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

    fn with(between: Vec<[usize; 2]>, weights: Vec<f32>, inputs: usize, single: bool) -> Result<Self> {
        let octets = kernels::octets(&between, &weights, inputs + 1)?;
        let identity = between.len() == inputs && between.iter().enumerate().all(|(k, pair)| *pair == [k, k]);
        Ok(Taps { identity, between, weights, inputs, octets, single })
    }

    /// The last input that an output needs; `None` when it is zero.
    pub(super) fn last_needed(&self, output: usize) -> Option<usize> {
        self.between[output].into_iter().filter(|&input| input < self.inputs).max()
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
    pub(super) fn reversed(self) -> Result<Self> {
        let place = |input: usize| if input == self.inputs { input } else { self.inputs - 1 - input };
        let between = buffer::collect(TAPS, self.between.iter().rev().map(|pair| pair.map(place)))?;
        let weights = buffer::collect(TAPS, self.weights.iter().rev().copied())?;
        Self::with(between, weights, self.inputs, self.single)
    }

    /// Interpolates a line, which has a zero at its end.
    pub(super) fn interpolate(&self, line: &[f32], out: &mut [f32]) {
        if self.identity {
            return out.copy_from_slice(&line[..self.inputs]);
        }
        let done = kernels::interpolate(&self.octets, line, out);
        let rest = out.iter_mut().zip(&self.between).zip(&self.weights).skip(done);
        for ((out, &[low, high]), &weight) in rest {
            *out = line[low] + weight * (line[high] - line[low]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rounding_errors_share_is_kept() {
        for (first, second) in [(1e-15, 1.0 - 1e-15), (1.0 - 1e-15, 1e-15)] {
            let taps = AxisTaps { between: vec![[0, 1]; 9], weights: vec![[first, second]; 9] };
            let taps = Taps::identity(9).unwrap().through(&taps, 9).unwrap();
            let mixed = |line: [f32; 10]| {
                let mut out = [0.0; 9];
                taps.interpolate(&line, &mut out);
                out
            };
            let [mut low, mut high] = [[0.0; 10]; 2];
            (low[0], high[1]) = (1.0, 1.0);
            assert_eq!(mixed(low), [first as f32; 9]);
            assert_eq!(mixed(high), [second as f32; 9]);
        }
    }
}
