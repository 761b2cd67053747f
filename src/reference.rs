//! The reference data that some tests compare with. It lies beside the repository, or where
//! `VOXSEG_REFERENCE` points; tests that need it say so and pass where it is absent.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The path of a file of the reference data, if it is there.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let folder = std::env::var_os("VOXSEG_REFERENCE").map_or_else(beside, Into::into);
    let path = folder.join(name);
    if !path.is_file() {
        eprintln!("skipped: the reference data has no {name} here");
        return None;
    }
    Some(path)
}

/// A file of the reference data, if it is there.
pub(crate) fn file(name: &str) -> Option<Vec<u8>> {
    std::fs::read(path(name)?).ok()
}

/// A file of small exact vectors.
pub(crate) fn golden(name: &str) -> Option<Value> {
    Some(serde_json::from_slice(&file(&format!("golden/{name}"))?).unwrap())
}

/// A list of whole numbers.
pub(crate) fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as usize).collect()
}
