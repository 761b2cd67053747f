//! What tasks need against what their plans say: never more, and not much less. Each case runs in a process of its own,
//! whose memory it measures.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "the numbers are what this test is for")]

use std::path::{Path, PathBuf};
use std::process::Command;

use voxseg::inference::PlanOptions;
use voxseg::labels::LabelBuffer;
use voxseg::model::task::{Task, TaskOptions};
use voxseg::progress::Run;
use voxseg::task::TaskPlan;
use voxseg::volume::{DType, Geometry, Layout, Volume};

const MODEL: &str = "Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";
/// By how much a plan may be over what is needed.
const ROOM: f64 = 1.25;
/// Tells a process which case is its own.
const CASE: &str = "VOXSEG_MEMORY_CASE";

/// Whether cases of minutes run too.
const LONG: &str = "VOXSEG_MEMORY_LONG";

/// What is run.
#[derive(Clone, Copy)]
enum Models {
    /// The same network so many times.
    Ours(usize),
    /// One of TotalSegmentator's tasks, on the reference's small networks.
    Known,
}

/// Name, models, options and volume.
type Case = (&'static str, Models, TaskOptions, Geometry);

/// The reference's tasks, where they are at hand.
fn reference() -> Option<PathBuf> {
    let folder = voxseg_reference::folder().join("totalseg/weights");
    folder.is_dir().then_some(folder)
}

fn cases() -> Vec<Case> {
    let grid = |shape, spacing| Geometry { spacing: [spacing; 3], ..Geometry::with_shape(shape) };
    let plain = TaskOptions::default;
    let mut cases = vec![
        ("one", Models::Ours(1), plain(), grid([150, 130, 140], 2.0)),
        ("five", Models::Ours(5), plain(), grid([110, 90, 120], 3.0)),
        ("smooth", Models::Ours(2), TaskOptions { smooth: true, ..plain() }, grid([180, 180, 160], 1.6)),
    ];
    if reference().is_some() {
        // Many classes: planes of their scores are what counts.
        cases.extend([
            ("total_fast", Models::Known, plain(), grid([122, 101, 80], 3.0)),
            ("total_fastest", Models::Known, plain(), grid([122, 101, 80], 3.0)),
        ]);
        // Takes minutes; whoever looks for that case in a process of its own has said so already.
        if [LONG, CASE].iter().any(|name| std::env::var_os(name).is_some()) {
            cases.push(("total", Models::Known, plain(), grid([140, 120, 100], 2.5)));
        }
    } else {
        println!("skipped TotalSegmentator's tasks: no reference data");
    }
    cases
}

/// Bytes of this process by a key of the system's.
fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn run((name, models, options, grid): Case) {
    let (task, weights) = match models {
        Models::Ours(count) => {
            let model = format!(r#"{{"path": "{MODEL}", "labels": ["bone", "spleen", "kidney"]}}"#);
            let models = vec![model; count].join(", ");
            let json = format!(
                r#"{{"name": "many", "spacing": 3, "labels": ["bone", "spleen", "kidney"], "models": [{models}]}}"#
            );
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models");
            (Task::from_json(json.as_bytes(), "many.json").unwrap(), folder)
        }
        Models::Known => (Task::named(name).unwrap(), reference().unwrap()),
    };
    let value = |at: usize| ((at * 37 % 400) as i16 - 150).to_ne_bytes();
    let voxels: Vec<u8> = (0..grid.voxels()).flat_map(value).collect();
    let mut bytes = vec![1; grid.voxels()];
    let before = memory("VmRSS:");

    let task = task.open(&weights, &options).unwrap();
    let plan = TaskPlan::new(&task, &PlanOptions { threads: 2, ..PlanOptions::default() }).unwrap();
    let planned = plan.report(&grid).unwrap().host_peak_bytes;
    let layout = Layout::dense(grid.shape, DType::I16);
    let volume = Volume::new(grid.clone(), DType::I16, layout, vec![&voxels]).unwrap();
    let place = plan.label_grid(&grid).unwrap();
    let bytes = &mut bytes[..place.voxels()];
    let mut labels =
        LabelBuffer::new(&place, DType::U8, Layout::dense(place.shape, DType::U8), bytes).unwrap();
    let mut peaks = Vec::new();
    for _ in 0..2 {
        plan.segment(&volume, &mut labels, &mut Run::default()).unwrap();
        peaks.push(memory("VmHWM:") - before);
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let measured = peaks[1];
    println!(
        "{name}: planned {:.0} MiB, measured {:.0} and {:.0}",
        mib(planned),
        mib(peaks[0]),
        mib(peaks[1])
    );
    assert!(planned >= measured, "{name}: {planned} bytes were planned, {measured} needed");
    assert!(
        planned as f64 <= ROOM * measured as f64,
        "{name}: {planned} bytes were planned, {measured} needed"
    );
}

#[test]
fn tasks_need_what_was_planned() {
    if let Ok(own) = std::env::var(CASE) {
        return cases().into_iter().filter(|(name, ..)| *name == own).for_each(run);
    }
    let mut wrong = Vec::new();
    for (name, ..) in cases() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tasks_need_what_was_planned", "--nocapture"])
            .env(CASE, name)
            // By default glibc keeps more of what was freed the larger the blocks were that it got back.
            .env("MALLOC_MMAP_THRESHOLD_", "65536")
            .env("MALLOC_TRIM_THRESHOLD_", "65536")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        print!(
            "{}",
            text.lines()
                .filter(|line| line.contains("planned"))
                .fold(String::new(), |all, line| all + line + "\n")
        );
        if !output.status.success() {
            wrong.push(String::from_utf8_lossy(&output.stderr).into_owned());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
