//! A region beside the whole run: opens a model, segments a synthetic volume and a box in its middle, and prints
//! seconds, tiles and planned memory of both.
//!
//! Usage: `regions MODEL X Y Z SX SY SZ EDGE THREADS`; EDGE is the length of the box in voxels.

#![allow(clippy::print_stdout, reason = "the lines are what this program is for")]

use std::path::Path;
use std::time::Instant;

use voxseg::inference::{Plan, PlanOptions};
use voxseg::labels::LabelBuffer;
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::Run;
use voxseg::volume::{Box3, DType, Geometry, Layout, Region, Volume};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [model, x, y, z, sx, sy, sz, edge, threads] = arguments.as_slice() else {
        println!("usage: regions MODEL X Y Z SX SY SZ EDGE THREADS");
        return;
    };
    let size = |text: &String| text.parse::<usize>().expect("a size");
    let length = |text: &String| text.parse::<f64>().expect("a spacing");
    let grid = Geometry {
        spacing: [length(sx), length(sy), length(sz)],
        ..Geometry::with_shape([size(x), size(y), size(z)])
    };
    let voxels: Vec<u8> = (0..grid.voxels()).flat_map(|k| ((k % 1501) as i16 - 500).to_ne_bytes()).collect();
    let model = Model::open(Path::new(model), &ModelOptions::default()).expect("a model");
    let options = PlanOptions { threads: size(threads), ..PlanOptions::default() };
    let plan = Plan::new(&model, &options).expect("a plan");
    let channels = vec![voxels.as_slice(); model.channels().len()];
    let layout = Layout::dense(grid.shape, DType::I16);
    let volume = Volume::new(grid.clone(), DType::I16, layout, channels).expect("a volume");

    let start = grid.shape.map(|length| (length / 2).saturating_sub(size(edge) / 2));
    let part = Box3 { start, end: [0, 1, 2].map(|axis| (start[axis] + size(edge)).min(grid.shape[axis])) };
    let segment = |region: Region| {
        let mut labels = vec![u8::MAX; grid.voxels()];
        let layout = Layout::dense(grid.shape, DType::U8);
        let mut buffer = LabelBuffer::new(&grid, DType::U8, layout, &mut labels).expect("a buffer");
        let planned = plan.report_for(&grid, &region).expect("a grid");
        let started = Instant::now();
        let mut run = Run::default().with_region(region);
        let report = plan.segment(&volume, &mut buffer, &mut [], &mut run).expect("a run");
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{seconds:8.2} s  {:5} of {} tiles  network {:.2} s  planned {} MiB",
            report.tiles,
            report.tiles_in_all,
            report.network_seconds,
            planned.host_peak_bytes >> 20
        );
        (labels, seconds, report)
    };
    let (few, in_part, of_part) = segment(Region::of(part));
    let (all, in_all, of_all) = segment(Region::whole());
    let [x, y, _] = grid.shape;
    let inside = |n: usize| {
        let at = [n % x, n / x % y, n / x / y];
        (0..3).all(|axis| (part.start[axis]..part.end[axis]).contains(&at[axis]))
    };
    let differ = (0..all.len()).filter(|&n| inside(n) && few[n] != all[n]).count();
    let a_tile = |seconds: f64, tiles: usize| seconds / tiles.max(1) as f64;
    println!(
        "{differ} labels differ; the region takes {:.3} of the whole run, {:.2} of its tiles' time there",
        in_part / in_all,
        in_part / of_part.tiles.max(1) as f64 / a_tile(of_all.network_seconds, of_all.tiles)
    );
}
