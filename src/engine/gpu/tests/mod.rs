//! Layers and networks beside the CPU engine's plain sums, on the first Vulkan device that there is: `cargo xtask test
//! GPU` has one made of software. Where there is none, each says so and ends.

mod cache;
mod failures;
mod layers;
mod networks;
mod roofline;
mod transformers;

use std::sync::{Arc, Mutex, PoisonError};

use super::vulkan::Gpu;
use super::{Arena, GpuEngine, Settings, class};
use crate::engine::Engine;
use crate::engine::Workspace;
use crate::engine::cpu::{CpuEngine, CpuOptions, Isa, Mode};
use crate::engine::test_networks::{self, Builder, Random};
use crate::error::Result;
use crate::network::{Network, Op};

/// The device stays open, as software compiles each kernel for a while.
static OPEN: Mutex<Option<Arc<Gpu>>> = Mutex::new(None);

/// The device that tests run on; `None`, and a line that says so, where there is none.
fn gpu() -> Option<Arc<Gpu>> {
    match Gpu::open(0) {
        Ok(gpu) => {
            *OPEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(gpu.clone());
            Some(gpu)
        }
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

#[test]
fn matrices_of_software_are_good() {
    let Some(gpu) = gpu() else { return };
    // On hardware they may be slower, which is no fault.
    if gpu.physical.hardware || gpu.matrix.is_none() {
        eprintln!("skipped: no software that multiplies matrices");
        return;
    }
    let target = class::target(&gpu, true).unwrap();
    eprintln!("{:?}", target.matrices);
    assert!(target.matrices.is_some());
    assert!(class::target(&gpu, false).unwrap().matrices.is_none());
}

fn engine(network: &Arc<Network>, tile: [usize; 3], half: bool) -> Result<GpuEngine> {
    let arena = Arena::default();
    let settings = Settings { half, strict: false, taken: 0, budget: None, arena: &arena, cache: None };
    GpuEngine::new(0, network, tile, settings)
}

fn image(network: &Network, tile: [usize; 3]) -> Vec<f32> {
    let mut random = Random(1);
    (0..network.input_channels() * tile.iter().product::<usize>()).map(|_| random.next()).collect()
}

fn scores(network: &Network, tile: [usize; 3]) -> Vec<f32> {
    vec![f32::NAN; network.output_channels() * tile.iter().product::<usize>()]
}

/// By the CPU engine's plain sums.
fn expected(network: &Arc<Network>, tile: [usize; 3], input: &[f32]) -> Vec<f32> {
    let options = CpuOptions { mode: Mode::Exact, isa: Isa::Auto };
    let engine = CpuEngine::new(network, tile, 2, options).unwrap();
    let mut output = scores(network, tile);
    engine.run(&mut Workspace::default(), input, &mut output).unwrap();
    output
}

/// The root of the mean squared error, in terms of the expected values' own.
fn error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |x: f64| x * x;
    let errors: f64 = found.iter().zip(expected).map(|(&a, &b)| square(f64::from(a) - f64::from(b))).sum();
    let values: f64 = expected.iter().map(|&b| square(b.into())).sum();
    // Everything may be zero behind an activation.
    (errors / values.max(1e-30)).sqrt()
}

/// Bounds of the error with tensors of halves and of single numbers.
const HALF: f64 = 2e-3;
const SINGLE: f64 = 1e-5;

/// Checks a network with tensors of both types, twice each: a second run finds the memory as the first one left it.
#[track_caller]
fn check(network: Network, tile: [usize; 3]) {
    check_within(network, tile, [HALF, SINGLE]);
}

#[track_caller]
fn check_within(network: Network, tile: [usize; 3], bounds: [f64; 2]) {
    if gpu().is_none() {
        return;
    }
    let network = Arc::new(network);
    let input = image(&network, tile);
    let expected = expected(&network, tile, &input);
    for (half, bound) in [true, false].into_iter().zip(bounds) {
        let engine = engine(&network, tile, half).unwrap();
        let mut found = scores(&network, tile);
        let mut workspace = Workspace::default();
        engine.run(&mut workspace, &input, &mut found).unwrap();
        let error = error(&found, &expected);
        assert!(error < bound, "half {half}, {tile:?}: {error:e}");
        assert_eq!(workspace.take_tiles_in_single(), 0);
        let mut again = scores(&network, tile);
        engine.run(&mut Workspace::default(), &input, &mut again).unwrap();
        assert!(found.iter().zip(&again).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}
