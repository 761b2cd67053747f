//! A trimmed plan needs less memory and gives the same labels. Alone in its process, whose memory it measures.

#![cfg(target_os = "linux")]

use std::path::Path;

use voxseg::devices::Device;
use voxseg::inference::{Plan, PlanOptions};
use voxseg::labels::LabelBuffer;
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::Run;
use voxseg::volume::{DType, Geometry, Layout, Volume};

const MODEL: &str = "examples/models/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";
/// The least that the network's activations for one tile need.
const WORKSPACE: u64 = 32 << 20;

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn segment(plan: &Plan) -> Vec<u8> {
    let mut grid = Geometry::with_shape([40, 40, 40]);
    grid.spacing = [3.0; 3];
    let image: Vec<u8> =
        (0..grid.voxels()).flat_map(|at| ((at * 37 % 400) as i16 - 150).to_ne_bytes()).collect();
    let volume =
        Volume::new(grid.clone(), DType::I16, Layout::dense(grid.shape, DType::I16), vec![&image]).unwrap();
    let mut labels = vec![0; grid.voxels()];
    let mut buffer =
        LabelBuffer::new(&grid, DType::U8, Layout::dense(grid.shape, DType::U8), &mut labels).unwrap();
    plan.segment(&volume, &mut buffer, &mut [], &mut Run::default()).unwrap();
    labels
}

#[test]
fn a_trimmed_plan_needs_less_and_runs_as_before() {
    let model =
        Model::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL), &ModelOptions::default()).unwrap();
    for device in [Device::OrtCpu, Device::Cpu] {
        let options = PlanOptions { device, threads: 2, ..PlanOptions::default() };
        let plan = Plan::new(&model, &options).unwrap();
        let labels = segment(&plan);
        let before = resident();
        plan.trim().unwrap();
        let after = resident();
        assert!(after + WORKSPACE < before, "{device}: {before} bytes before trimming, {after} after");
        assert!(segment(&plan) == labels, "{device}: a trimmed plan gives other labels");
    }
}
