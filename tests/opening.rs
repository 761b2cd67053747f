//! Files made to cost memory or time, each of a few hundred kilobytes: opening one ends soon, and small. Each case runs
//! in a process of its own, whose memory it measures.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "the numbers are what this test is for")]

use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use voxseg::Error;
use voxseg::model::{Model, ModelOptions};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const MODEL: &str = "nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";
const CHECKPOINT: &str = "fold_0/checkpoint_final.pth";
/// Tells a process which case is its own.
const CASE: &str = "VOXSEG_OPENING_CASE";
/// Mebibytes that a process may grow by, and seconds that it may take.
const MOST: (u64, u64) = (200, 60);

/// Name, and what makes a file or a folder in a folder.
type Case = (&'static str, fn(&Path) -> PathBuf);

fn cases() -> Vec<Case> {
    vec![
        ("numbers", |folder| zipped_plans(folder, "0,", 31 << 20)),
        ("fewer numbers", |folder| zipped_plans(folder, "0,", 2_000_000)),
        ("objects", |folder| zipped_plans(folder, "{\"a\":0},", 400_000)),
        ("tuples", |folder| pickled(folder, &[&noise(700)[..], &b")".repeat(9_999_000), b"."].concat())),
        ("lists in a dict", |folder| {
            pickled(folder, &[&noise(700)[..], b"}(", &b"]]".repeat(1_000_000), b"u."].concat())
        }),
        ("text", |folder| {
            let size = 250 << 20;
            let text = [noise(250_000), vec![0xff; size - 250_000]].concat();
            pickled(folder, &[b"X", &(size as u32).to_le_bytes()[..], &text, b"."].concat())
        }),
        ("inflating", |folder| {
            let bytes = [noise(900_000), vec![0; 1000 << 20]].concat();
            model(folder, &[(CHECKPOINT, bytes)])
        }),
        ("folds", |folder| {
            let zeros = zeros();
            let names: Vec<String> =
                (0..60).map(|fold| format!("fold_{fold}/checkpoint_final.pth")).collect();
            let files: Vec<_> = names.iter().map(|name| (name.as_str(), zeros.clone())).collect();
            model(folder, &files)
        }),
        ("entries", |folder| {
            let names: Vec<String> = (0..60_000).map(|entry| format!("n{entry}")).collect();
            let files: Vec<_> = names.iter().map(|name| (name.as_str(), Vec::new())).collect();
            model(folder, &files)
        }),
        ("header", |folder| {
            let tensor = r#""A":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"#;
            let entries: String = (0..100_000).map(|n| tensor.replace('A', &n.to_string())).collect();
            let header = format!("{{{}}}", entries.trim_end_matches(','));
            let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
            std::fs::write(folder.join("x.json"), DESCRIPTION).unwrap();
            let path = folder.join("x.safetensors");
            std::fs::write(&path, bytes).unwrap();
            path
        }),
    ]
}

const DESCRIPTION: &str = r#"{"name": "x", "channels": ["CT"], "labels": {"0": "background", "1": "x"},
    "network_def": {"_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8],
    "strides": [2]}, "preprocessing": [], "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16]},
    "postprocessing": [{"_target_": "AsDiscreted", "keys": "pred", "argmax": true}]}"#;

/// Bytes without a pattern as texts of a pickle, so that what follows compresses a thousand times at most in all.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    let mut all = b"\x80\x02".to_vec();
    while all.len() < bytes * 16 {
        all.extend(b"U\xff");
        all.extend((0..255).map(|_| next()));
    }
    all
}

fn example(name: &str) -> Vec<u8> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models/Dataset901_TorsoCT");
    std::fs::read(models.join(MODEL).join(name)).unwrap()
}

fn zip(entries: &[(String, &[u8])]) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    zip_with(options.compression_level(Some(9)), entries)
}

fn zip_with(options: SimpleFileOptions, entries: &[(String, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(name.as_str(), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The example with these files in the place of its own, as an archive.
fn model(folder: &Path, files: &[(&str, Vec<u8>)]) -> PathBuf {
    let own: Vec<(&str, Vec<u8>)> =
        ["plans.json", "dataset.json", CHECKPOINT].map(|name| (name, example(name))).into();
    let kept = own.iter().filter(|(name, _)| files.iter().all(|(other, _)| other != name));
    let entries: Vec<_> =
        files.iter().chain(kept).map(|(name, bytes)| (format!("{MODEL}/{name}"), &**bytes)).collect();
    let path = folder.join("model.zip");
    std::fs::write(&path, zip(&entries)).unwrap();
    path
}

fn zipped_plans(folder: &Path, value: &str, count: usize) -> PathBuf {
    let plans = format!("{{\"x\":[{}0]}}", value.repeat(count));
    let name = noise(1000).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    model(folder, &[("plans.json", plans.replacen('x', &name, 1).into()), (CHECKPOINT, Vec::new())])
}

/// The example's folder with a compressed checkpoint of this pickle.
fn pickled(folder: &Path, pickle: &[u8]) -> PathBuf {
    let path = folder.join(MODEL);
    std::fs::create_dir_all(path.join("fold_0")).unwrap();
    for name in ["plans.json", "dataset.json"] {
        std::fs::write(path.join(name), example(name)).unwrap();
    }
    std::fs::write(path.join(CHECKPOINT), zip(&[("archive/data.pkl".into(), pickle)])).unwrap();
    path
}

/// The example's checkpoint, compressed, with hardly anything but zeros as weights.
fn zeros() -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(example(CHECKPOINT))).unwrap();
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let (name, mut bytes) = (entry.name().unwrap().into_owned(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        if name.contains("/data/") {
            bytes.fill(0);
            // Nothing but zeros is beyond the ratio of compression that is accepted.
            bytes.iter_mut().step_by(2048).for_each(|byte| *byte = 1);
        }
        entries.push((name, bytes));
    }
    let entries: Vec<_> = entries.iter().map(|(name, bytes)| (name.clone(), &**bytes)).collect();
    zip(&entries)
}

/// Bytes of this process by a key of the system's.
fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn open(name: &str, path: &Path) {
    let (before, started) = (memory("VmRSS:"), Instant::now());
    let opened = Model::open(path, &ModelOptions::default());
    let (grown, seconds) = ((memory("VmHWM:") - before) >> 20, started.elapsed().as_secs());
    let outcome = opened.map_or_else(|error| error.to_string(), |model| model.name().to_owned());
    println!("{name}: {} MiB, {seconds} s, {}", grown, outcome.chars().take(200).collect::<String>());
    assert!(grown < MOST.0 && seconds < MOST.1, "{name}: {grown} MiB and {seconds} s");
}

#[test]
fn small_files_take_little() {
    if let Ok(own) = std::env::var(CASE) {
        let (name, path) = own.split_once('=').unwrap();
        return open(name, Path::new(path));
    }
    let mut wrong = Vec::new();
    for (name, make) in cases() {
        let folder = std::env::temp_dir().join(format!("voxseg-opening-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = make(&folder);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "small_files_take_little", "--nocapture"])
            .env(CASE, format!("{name}={}", path.display()))
            .output()
            .unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().filter(|line| line.starts_with(name)).for_each(|line| println!("{line}"));
        if !output.status.success() {
            wrong.push(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_budget_is_told_and_kept() {
    let folder = std::env::temp_dir().join(format!("voxseg-budget-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = model(&folder, &[(CHECKPOINT, zeros())]);
    let open = |memory_budget| Model::open(&path, &ModelOptions { memory_budget, ..ModelOptions::default() });
    let opened = [None, Some(32 << 20)].map(|budget| open(budget).err().map(|error| error.to_string()));
    let error = open(Some(4 << 20)).unwrap_err();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(opened, [None, None]);
    assert!(matches!(&error, Error::Refused { .. }), "{error}");
    for part in ["checkpoint_final.pth", "4194304", "memory_budget"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// Checkpoints are archives themselves, whose end records lie in the tail of one that stores them as they are.
#[test]
fn an_archive_that_is_not_compressed_opens() {
    let folder = std::env::temp_dir().join(format!("voxseg-stored-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let checkpoint = example(CHECKPOINT);
    assert!(
        checkpoint.windows(4).any(|bytes| bytes == b"PK\x06\x07"),
        "the checkpoint has a zip64 end record"
    );
    let files = [
        ("plans.json", example("plans.json")),
        ("dataset.json", example("dataset.json")),
        (CHECKPOINT, checkpoint.clone()),
        ("fold_1/checkpoint_final.pth", checkpoint),
    ];
    let entries: Vec<_> = files.iter().map(|(name, bytes)| (format!("{MODEL}/{name}"), &**bytes)).collect();
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    std::fs::write(folder.join("model.zip"), zip_with(stored, &entries)).unwrap();
    let opened = Model::open(&folder.join("model.zip"), &ModelOptions::default());
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(opened.unwrap().networks().len(), 2);
}
