//! What a run needs against what its plan says: opens a model, segments a synthetic volume of the given shape and
//! spacing, and prints planned and measured peak as a line of JSON. docs/memory.md has what came of it.
//!
//! Usage: `memory MODEL X Y Z SX SY SZ THREADS`.

#![allow(clippy::print_stdout, reason = "the line is what this program is for")]

use std::path::Path;

use voxseg::inference::{Plan, PlanOptions};
use voxseg::labels::LabelBuffer;
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::Run;
use voxseg::volume::{DType, Geometry, Layout, Volume};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [model, x, y, z, sx, sy, sz, threads] = arguments.as_slice() else {
        println!("usage: memory MODEL X Y Z SX SY SZ THREADS (see docs/memory.md)");
        return;
    };
    let size = |text: &String| text.parse::<usize>().expect("a size");
    let length = |text: &String| text.parse::<f64>().expect("a spacing");
    let grid = Geometry {
        spacing: [length(sx), length(sy), length(sz)],
        ..Geometry::with_shape([size(x), size(y), size(z)])
    };
    // The host's own buffers and the runtime are there before the run and not part of it.
    let voxels: Vec<u8> = (0..grid.voxels()).flat_map(|k| ((k % 1501) as i16 - 500).to_ne_bytes()).collect();
    let mut labels = vec![1; grid.voxels()];
    voxseg::runtime::open(None).expect("ONNX Runtime");
    let before = memory("VmRSS:");

    let model = Model::open(Path::new(model), &ModelOptions::default()).expect("a model");
    let options = PlanOptions { threads: size(threads), ..PlanOptions::default() };
    let plan = Plan::new(&model, &options).expect("a plan");
    let planned = plan.report(&grid).expect("a grid").host_peak_bytes;
    let channels = vec![voxels.as_slice(); model.channels().len()];
    let layout = Layout::dense(grid.shape, DType::I16);
    let volume = Volume::new(grid.clone(), DType::I16, layout, channels).expect("a volume");
    let layout = Layout::dense(grid.shape, DType::U8);
    let mut labels = LabelBuffer::new(&grid, DType::U8, layout, &mut labels).expect("a buffer");
    plan.segment(&volume, &mut labels, &mut [], &mut Run::default()).expect("a run");
    let measured = memory("VmHWM:").saturating_sub(before);
    println!(
        "{{\"planned\": {planned}, \"measured\": {measured}, \"ratio\": {:.3}}}",
        measured as f64 / planned as f64
    );
}

fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().map_or(0, |kibibytes| kibibytes * 1024)
}
