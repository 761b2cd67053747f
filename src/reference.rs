//! The reference data that some tests compare with; tests that need it say so and pass where it is absent.

use std::path::Path;

use serde_json::Value;
pub(crate) use voxseg_reference::{file, path};

use crate::nifti::Header;

/// A file of small exact vectors.
pub(crate) fn golden(name: &str) -> Option<Value> {
    Some(serde_json::from_slice(&file(&format!("golden/{name}"))?).unwrap())
}

/// A list of whole numbers.
pub(crate) fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as usize).collect()
}

/// A NIfTI file: its header, and its first volume as it is stored.
pub(crate) fn nifti(path: &Path) -> (Header, Vec<u8>) {
    let contents = voxseg_reference::contents(path);
    let header = Header::parse(&contents).unwrap();
    let size = header.shape.iter().product::<usize>() * header.stored.size();
    let voxels = contents[header.data_offset as usize..][..size].to_vec();
    (header, voxels)
}
