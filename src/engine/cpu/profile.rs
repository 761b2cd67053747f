//! How long each layer takes, and what the processor could do at most.

use crate::engine::lowering::LANES;
use std::time::Instant;

use super::simd::{Isa, Kernel, Simd, dispatch};
use super::team;
use crate::error::Result;

/// Steps of each chain of the measurement.
const STEPS: usize = 1 << 22;
const ROUNDS: usize = 5;
/// Chains of dependent operations, of which a kernel uses as many as its registers hold.
const CHAINS: usize = 12;

/// A step of a network and its time.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What it is.
    pub name: String,
    /// Multiply-adds of the plain sum, whatever way the layer is computed; 0 for what isn't a convolution.
    pub multiply_adds: u64,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Multiply-adds a second that so many threads do when all numbers are in registers: the best of several rounds.
///
/// # Errors
/// [`Error::Device`](crate::Error::Device) when the machine lacks the instructions.
pub fn multiply_add_peak(isa: Isa, threads: usize) -> Result<f64> {
    let isa = isa.resolve()?;
    let rounds = (0..ROUNDS).map(|_| {
        let chains: Vec<std::sync::Mutex<usize>> = (0..threads).map(|_| 0.into()).collect();
        let start = Instant::now();
        team::run(threads, &[threads], |_, task, _| {
            if let Ok(mut chains) = chains[task].lock() {
                dispatch(isa, Chains { count: &mut chains });
            }
        });
        let seconds = start.elapsed().as_secs_f64();
        let chains: usize = chains.into_iter().filter_map(|chains| chains.into_inner().ok()).sum();
        (chains * STEPS * LANES) as f64 / seconds
    });
    Ok(rounds.fold(0.0, f64::max))
}

struct Chains<'a> {
    /// How many there were.
    count: &'a mut usize,
}

impl Kernel for Chains<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let chains = S::COLUMNS.min(CHAINS);
        let mut end = [0.0_f32; LANES];
        // SAFETY: runs where the instruction set exists; `end` holds what is stored.
        unsafe {
            let (factor, summand) = (S::splat(0.999), S::splat(0.001));
            let mut values = [S::zero(); CHAINS];
            for _ in 0..STEPS {
                for value in &mut values[..chains] {
                    *value = S::fma(*value, factor, summand);
                }
            }
            let mut all = S::zero();
            for value in &values[..chains] {
                all = S::add(all, *value);
            }
            S::store(end.as_mut_ptr(), all);
        }
        std::hint::black_box(end);
        *self.count = chains;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_has_a_peak() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            let peak = multiply_add_peak(isa, 1).unwrap();
            assert!(peak.is_finite() && peak > 1e6, "{}: {peak}", isa.name());
        }
    }
}
