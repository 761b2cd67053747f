//! `cargo xtask bench total`: TotalSegmentator's `total` beside ours, on the demo's CT.

use std::path::PathBuf;

use super::environment;
use crate::{Result, build, command, create_folder, execute, execute_quietly, fetch, root, say, work};

const PACKAGES: [&str; 2] = ["TotalSegmentator==2.18.0", "nnunetv2==2.8.1"];
const THREADS: &str = "2";
const ROUNDS: &str = "1";

/// `python` is one that has TotalSegmentator; without it, an environment is made. `small` is for seeing that all works.
pub fn run(python: Option<&str>, small: bool) -> Result<()> {
    let python = python.map_or_else(peer, |python| Ok(python.into()))?;
    let script = root().join("benches/total.py");
    let folder = work().join("bench");
    create_folder(&folder)?;
    let weights = folder.join(if small { "total-small" } else { "total" });
    let last =
        "Dataset295_TotalSegmentator_part5_ribs_1559subj/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";
    if !weights.join(last).join("dataset.json").is_file() {
        say("making five networks with random weights");
        let mut make = command(&python);
        make.arg(&script).arg("make").arg(&weights).args(small.then_some("small"));
        execute_quietly(&mut make)?;
    }
    let tool = build::tool()?;
    let image = fetch::images()?.join("ct_abdomen.nii.gz");
    say("segmenting the demo's CT, TotalSegmentator first");
    let mut run = command(&python);
    run.arg(&script).arg("run").arg(&weights).arg(&image).arg(&tool).args([THREADS, ROUNDS]);
    execute(&mut run)
}

/// A Python environment with TotalSegmentator, apart from the one that tests use.
fn peer() -> Result<PathBuf> {
    environment("total-venv", "totalsegmentator", "TotalSegmentator and PyTorch", &PACKAGES)
}
