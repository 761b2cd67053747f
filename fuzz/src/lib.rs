//! What the fuzz targets share: how an input becomes files, small models to change, and words that parsers know.
//!
//! A target takes bytes as an attacker would choose them and gives them to one reader. It ends the process by a panic,
//! an overflow or a memory error in the library; a typed error is the right answer to nearly every input.

#![forbid(unsafe_code)]

pub mod samples;
pub mod seeds;
pub mod words;
pub mod write;

use std::path::PathBuf;
use std::sync::LazyLock;

use voxseg::checkpoint::{Checkpoint, Value};
use voxseg::model::Bytes;
use voxseg::model::{Model, ModelOptions};

/// Between the texts of an input that stands for several files: a byte that UTF-8 doesn't have.
pub const BETWEEN: u8 = 0xff;

/// The texts of an input; missing ones are empty.
pub fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |&byte| byte == BETWEEN);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Opens a model of these files, within less memory than any attack would like to have, and looks at all of it.
pub fn open(files: Vec<(&str, Bytes)>) {
    let files = files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    let options = ModelOptions { memory_budget: Some(64 << 20), ..ModelOptions::default() };
    if let Ok(model) = Model::from_files(files, &options) {
        let _ = (model.describe(), model.postprocessing().map(<[_]>::len), model.spacing(), model.patch());
    }
}

/// A file of these bytes.
pub fn file(bytes: &[u8]) -> Bytes {
    bytes.to_vec().into()
}

/// Asks for all values of a checkpoint, and for the elements of its tensors.
pub fn read_all(checkpoint: &Checkpoint) {
    const MOST_VALUES: usize = 2000;
    let (mut values, mut left) = (vec![(checkpoint.root(), 0)], MOST_VALUES);
    while let Some((value, depth)) = values.pop() {
        left -= 1;
        look_at(checkpoint, &value);
        if depth < 40 {
            let inner = value.items().flat_map(|(key, value)| [key, value]).chain(value.iter());
            let room = left.saturating_sub(values.len());
            values.extend(inner.take(room).map(|value| (value, depth + 1)));
        }
        if left == 0 {
            break;
        }
    }
    let _ = checkpoint.root().to_json(checkpoint.name());
}

fn look_at(checkpoint: &Checkpoint, value: &Value) {
    let _ = (value.is_none(), value.as_bool(), value.as_int(), value.as_float(), value.as_str());
    let _ = (value.describe(), value.get("state_dict").is_some());
    if let Some(tensor) = value.as_tensor() {
        let _ = (tensor.numel(), tensor.is_contiguous(), checkpoint.read_f32(&tensor));
    }
}

/// A path for the readers that take nothing else, one for each process; `end` is its suffix.
pub fn path(end: &str) -> PathBuf {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let memory = PathBuf::from("/dev/shm");
        if memory.is_dir() { memory } else { std::env::temp_dir() }
    });
    FOLDER.join(format!("voxseg-fuzz-{}{end}", std::process::id()))
}
