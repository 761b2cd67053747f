//! Times one piece of the numerics on synthetic data and prints a line of JSON: seconds, and the memory that it
//! took beside its input and output. `cargo xtask bench` runs it beside the peers, which get the same shapes.
//!
//! Usage: `numerics restore CLASSES Z Y X Z Y X THREADS` or `numerics resample Z Y X Z Y X THREADS`.

#![allow(clippy::disallowed_methods, reason = "an image to measure with")]
#![allow(clippy::print_stdout, reason = "the line is what this program is for")]

use std::time::Instant;

use half::f16;
use ndarray::{Array3, Array4};
use voxseg::nifti::Reader;
use voxseg::preprocess::resample::resample;
use voxseg::preprocess::{GridChange, Trace};
use voxseg::progress::Run;
use voxseg::recipe::{
    Decision, Fill, ImportanceMap, Orders, Recipe, Resample, Resampler, RestoreMode, ScorePrecision, Spline,
    Step, TilePlacement, Tiling,
};
use voxseg::restore::Restorer;
use voxseg::volume::{AxisMap, Geometry};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let Some((what, numbers)) = arguments.split_first() else {
        println!("usage: numerics restore|resample SIZES THREADS (see `cargo xtask bench`)");
        return;
    };
    let numbers: Vec<usize> = numbers.iter().map(|number| number.parse().expect("a number")).collect();
    let before = peak_memory();
    let (seconds, expected) = match (what.as_str(), numbers.as_slice()) {
        ("restore", &[classes, z, y, x, tz, ty, tx, threads]) => {
            time_restore(classes, [z, y, x], [tz, ty, tx], threads)
        }
        ("resample", &[z, y, x, tz, ty, tx, threads]) => time_resample([z, y, x], [tz, ty, tx], threads),
        _ => panic!("unknown arguments {arguments:?}"),
    };
    let extra = peak_memory().saturating_sub(before).saturating_sub(expected);
    println!("{{\"seconds\": {seconds:.4}, \"extra_bytes\": {extra}}}");
}

/// Planes of smooth scores with noise: most voxels have a clear winner, borders don't.
fn scores(classes: usize, first: usize, [planes, rows, columns]: [usize; 3]) -> Array4<f16> {
    let mut state = 1 + first as u32;
    Array4::from_shape_fn((classes, planes, rows, columns), |(c, z, y, x)| {
        let z = z + first;
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let wave =
            ((z + 3 * c) as f32 * 0.11).sin() + ((y + 7 * c) as f32 * 0.07).cos() + (x as f32 * 0.05).sin();
        f16::from_f32(12.0 * wave + (state >> 24) as f32 / 256.0)
    })
}

/// Restores as a run does it: slabs of planes, here an eighth of the scores each.
fn time_restore(classes: usize, from: [usize; 3], to: [usize; 3], threads: usize) -> (f64, u64) {
    let rule = Resampler::Spline(Spline::new(1, 0, Some(false)).expect("order 1"));
    let spacing = std::array::from_fn(|axis| Some(to[axis] as f64 / from[axis] as f64));
    let step = Step::Resample(Resample { spacing, image: rule, scores: rule, labels: rule });
    let tiling = Tiling {
        patch: [1; 3],
        slices: false,
        placement: TilePlacement::Even(0.5),
        importance: ImportanceMap::Gaussian,
        fill: Fill::Constant(0.0),
        score_precision: ScorePrecision::Half,
        mirror: Vec::new(),
    };
    let recipe = Recipe {
        reader: Reader::Itk,
        steps: vec![step],
        tiling,
        restore: RestoreMode::Scores,
        decision: Decision::Highest,
        cleanup: Vec::new(),
        postprocess: Vec::new(),
    };
    let mut way = Trace::new(AxisMap::identity(), &Geometry::with_shape(to));
    way.changes.push(GridChange::Resampled(to));
    let thick = from[0].div_ceil(8);
    let slab = |first| scores(classes, first, [thick.min(from[0] - first), from[1], from[2]]);
    let slabs: Vec<Array4<f16>> = (0..from[0]).step_by(thick).map(slab).collect();
    let start = Instant::now();
    let mut restorer = Restorer::new(&recipe, &way, classes, from, Vec::new(), threads).expect("one network");
    for slab in slabs {
        restorer.push(slab, &[], &mut |_, _, _| {}, &Run::default()).expect("planes that fit");
    }
    let restored = restorer.finish().expect("all planes");
    let seconds = start.elapsed().as_secs_f64();
    assert!(restored.labels.iter().any(|&label| label > 0));
    let bytes = |shape: [usize; 3], width: usize| (shape.iter().product::<usize>() * width) as u64;
    (seconds, bytes(from, 2 * classes) + bytes(to, 2))
}

fn time_resample(from: [usize; 3], to: [usize; 3], threads: usize) -> (f64, u64) {
    let image =
        Array3::from_shape_fn(from, |(z, y, x)| ((z * 31 + y * 17 + x * 7) % 97) as f32 * 20.0 - 1000.0);
    let start = Instant::now();
    let result =
        resample(image.view(), to, Orders::new(3, 0).expect("order 3"), None, threads).expect("memory");
    let seconds = start.elapsed().as_secs_f64();
    (seconds, (4 * (image.len() + result.len())) as u64)
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().map_or(0, |kibibytes| kibibytes * 1024)
}
