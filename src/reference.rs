//! The reference data that some tests compare with. It lies beside the repository, or where
//! `VOXSEG_REFERENCE` points; tests that need it say so and pass where it is absent.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::nifti::{Header, Stored};
use crate::volume::DType;

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

/// A NIfTI file: its header, and its first volume as it is stored.
pub(crate) fn nifti(path: &Path) -> (Header, Vec<u8>) {
    let file = std::fs::read(path).unwrap();
    let mut contents = Vec::new();
    if file.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(&file[..]).read_to_end(&mut contents).unwrap();
    } else {
        contents = file;
    }
    let header = Header::parse(&contents).unwrap();
    let size = header.shape.iter().product::<usize>() * header.stored.size();
    let voxels = contents[header.data_offset as usize..][..size].to_vec();
    (header, voxels)
}

/// Stored voxels as numbers.
pub(crate) fn values(stored: Stored, bytes: &[u8]) -> Vec<f64> {
    macro_rules! decode {
        ($type:ty) => {
            bytes
                .chunks_exact(size_of::<$type>())
                .map(|bytes| <$type>::from_ne_bytes(std::array::from_fn(|n| bytes[n])) as f64)
                .collect()
        };
    }
    match stored {
        Stored::Library(DType::I8) => decode!(i8),
        Stored::Library(DType::U8) => decode!(u8),
        Stored::Library(DType::I16) => decode!(i16),
        Stored::Library(DType::U16) => decode!(u16),
        Stored::Library(DType::I32) => decode!(i32),
        Stored::Library(DType::U32) => decode!(u32),
        Stored::Library(DType::F32) => decode!(f32),
        Stored::Library(_) => decode!(f64),
        Stored::I64 => decode!(i64),
        Stored::U64 => decode!(u64),
    }
}
