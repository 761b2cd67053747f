//! Data flows one way: a module of `src/` uses only those that stand above it in [`ORDER`]. docs/architecture.md
//! says what each is for.

use std::collections::BTreeSet;
use std::path::Path;

/// The modules of `src/`, from those that everybody may use to the C interface, which nobody may.
const ORDER: [&str; 27] = [
    "error",
    "floating_point",
    "log",
    "threads",
    "platform",
    "buffer",
    "parallel",
    "volume",
    "progress",
    "file",
    "checkpoint",
    "nifti",
    "recipe",
    "labels",
    "metrics",
    "tiling",
    "network",
    "runtime",
    "engine",
    "preprocess",
    "restore",
    "model",
    "inference",
    "session",
    "task",
    "record",
    "ffi",
];

/// The code of a file without comments and tests.
fn code(text: &str) -> String {
    let before = |text, tests| str::split(text, tests).next().unwrap_or_default();
    let code = before(before(text, "#[cfg(test)]\nmod "), "\nmod tests {");
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The modules that a file's paths begin with: `crate::engine::…` and `use crate::{engine, …}`.
fn used(code: &str) -> BTreeSet<&str> {
    let mut used = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let list = after.strip_prefix('{').and_then(|list| list.split('}').next());
        let names = list.map_or_else(|| vec![after], |list| list.split(',').collect());
        let first = |name: &'_ str| {
            name.trim().split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().map(str::len)
        };
        used.extend(names.into_iter().filter_map(|name| Some(&name.trim()[..first(name)?])));
    }
    used
}

fn check(path: &Path, module: &str, backwards: &mut Vec<String>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            check(&entry.unwrap().path(), module, backwards);
        }
        return;
    }
    let (name, shown) = (path.file_stem().unwrap().to_string_lossy(), path.display().to_string());
    if path.extension().is_none_or(|kind| kind != "rs")
        || name.ends_with("tests")
        || shown.contains("/tests/")
    {
        return;
    }
    let rank = |module: &str| ORDER.iter().position(|name| *name == module);
    let here = rank(module).unwrap_or_else(|| panic!("{module} has no place in ORDER"));
    let text = code(&std::fs::read_to_string(path).unwrap());
    let wrong =
        used(&text).into_iter().filter(|name| rank(name).is_some_and(|rank| rank > here)).map(str::to_owned);
    backwards.extend(wrong.map(|name| format!("{shown} uses {name}")));
}

#[test]
fn no_arrow_points_backwards() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut backwards = Vec::new();
    for entry in std::fs::read_dir(src).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !["lib", "bin", "reference"].contains(&module.as_str()) {
            check(&path, &module, &mut backwards);
        }
    }
    assert!(backwards.is_empty(), "{backwards:#?}");
}
