//! What grows with a volume, a patch or a model is asked for in a way that can fail: by `src/buffer.rs`. This looks for
//! the usual ways that can't in the folders where such things are made, so that new ones are noticed.

use std::path::{Path, PathBuf};

/// Where memory grows with what a caller gives.
const FOLDERS: [&str; 11] = [
    "src/preprocess",
    "src/tiling",
    "src/restore",
    "src/inference",
    "src/session",
    "src/task",
    "src/labels",
    "src/metrics",
    "src/engine/cpu",
    "src/engine/gpu",
    "src/engine/lowering",
];

/// What ends the process where there is no memory.
const WAYS: [&str; 14] = [
    "zeros(",
    "Array3::from_elem",
    "Array4::from_elem",
    "Array2::from_elem",
    "from_shape_fn",
    "::ones(",
    ".mapv(",
    ".to_vec()",
    ".into_owned()",
    "as_standard_layout()",
    "with_capacity(",
    ".select(",
    "concatenate(",
    ".resize(",
];

/// Lines that have such a word and may: what they make is small, is empty, or was made room for just before.
const ALLOWED: [&str; 20] = [
    "buffer::",
    "Array4::zeros((0, 0, 0, 0))",
    "Array3::zeros([0; 3])",
    "zeros(&[",
    "zeros(&shape",
    "zeros(&self.shape",
    "Ok(Array3::zeros(new_shape))",
    "with_capacity(model.networks.len())",
    "channels: model.channels().to_vec(),",
    "with_capacity(others.len() + 1)",
    "line.resize(",
    "plane.resize(",
    "let mut whole = buffers.to_vec();",
    "vec![0; lives.len()]",
    "header.to_vec()",
    "constants.to_vec()",
    "text.to_string_lossy().into_owned()",
    "vec![0.0; network.output_channels() * input.len()]",
    "vec![0; 8 * kinds.len()]",
    "with_capacity(self.steps.len())",
];

/// A file of tests, and a folder whose arrays lie in a device's memory, which may refuse them.
const OTHERS: [&str; 2] = ["ties.rs", "device"];

/// Rust files, without those of tests.
fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if OTHERS.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() && name != "tests" {
            files(&path, all);
        } else if name.ends_with(".rs") && !name.contains("tests") {
            all.push(path);
        }
    }
}

#[test]
fn what_grows_is_asked_for_in_a_way_that_can_fail() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    FOLDERS.iter().for_each(|folder| files(&root.join(folder), &mut all));
    assert!(all.len() > 80, "{} files", all.len());
    let mut found = Vec::new();
    for path in all {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (number, line) in code.lines().enumerate() {
            let repeated = line.split("vec![").skip(1).any(|rest| rest.split(']').next().is_some_and(grows));
            let way = repeated || WAYS.iter().any(|way| line.contains(way));
            if way
                && !line.trim_start().starts_with("//")
                && !ALLOWED.iter().any(|allowed| line.contains(allowed))
            {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "use crate::buffer, or say in ALLOWED why not:\n{}", found.join("\n"));
}

/// Whether `value; length` has a length that isn't a number or a constant.
fn grows(inside: &str) -> bool {
    let Some((_, length)) = inside.rsplit_once("; ") else { return false };
    length.chars().any(|letter| letter.is_ascii_lowercase()) && !SMALL.contains(&length)
}

/// Lengths that follow from a network's channels or nodes, not from its weights or a volume.
const SMALL: [&str; 7] = [
    "users.len()",
    "FAR as usize",
    "network.nodes().len()",
    "node.channels",
    "buffers.len()",
    "listed.iter().max().map_or(0, |&label| usize::from(label) + 1)",
    "rule.labels.iter().max().map_or(0, |&label| usize::from(label) + 1)",
];
