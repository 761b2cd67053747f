//! Tensors and values, by name, out of PyTorch checkpoints that nobody has to trust.
//!
//! A checkpoint is a zip archive with one pickle, `data.pkl`, and one entry for each storage; before PyTorch 1.6 it was
//! one file with both, one after another (`legacy`). A pickle is a
//! program that may call any Python function; here it runs on a machine that knows data only. Names of
//! classes and functions either have a fixed meaning (tensors, ordered dictionaries, NumPy numbers) or become
//! opaque values, which fail where somebody needs them to be something else. So any checkpoint loads, and
//! none does anything.
//!
//! Opening reads the zip directory and the pickle. A storage's bytes are read when a tensor is asked for, and
//! of a stored entry only the part that the tensor spans. All sizes in the file are claims that are checked
//! before memory is taken: [`Error::Refused`] is a limit exceeded, [`Error::Malformed`] is damage.

mod archive;
mod container;
mod globals;
mod legacy;
mod limits;
mod pickle;
mod safetensors;
mod tensor;
#[cfg(test)]
pub(crate) mod tests;
mod value;

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
pub(crate) use archive::Archive;
use container::Container;
use legacy::Legacy;
pub use safetensors::SafeTensors;
pub use tensor::{DType, Tensor};
pub use value::Value;

/// An open checkpoint.
pub struct Checkpoint {
    archive: Container,
    arena: value::Arena,
    root: value::Id,
    big_endian: bool,
}

impl Checkpoint {
    /// Opens a file: reads its directory and its pickle.
    pub fn open(path: &Path) -> Result<Self> {
        match Legacy::open(path)? {
            Some(opened) => Ok(Self::legacy(opened)),
            None => Archive::open(path).and_then(Self::new),
        }
    }

    /// Opens a file that is in memory; `name` stands for it in error texts.
    pub fn from_bytes(name: &str, bytes: Arc<[u8]>) -> Result<Self> {
        match Legacy::from_bytes(name, &bytes)? {
            Some(opened) => Ok(Self::legacy(opened)),
            None => Archive::from_bytes(name, bytes).and_then(Self::new),
        }
    }

    fn legacy((file, arena, root): legacy::Opened) -> Self {
        Self { archive: Container::Legacy(file), arena, root, big_endian: false }
    }

    fn new(archive: Archive) -> Result<Self> {
        let order = archive.size("byteorder").map(|_| archive.read("byteorder", 64)).transpose()?;
        let big_endian = match order.as_deref().map(<[u8]>::trim_ascii) {
            None | Some(b"little") => false,
            Some(b"big") => true,
            Some(other) => {
                let reason = format!("found `{}`, expected `little` or `big`", other.escape_ascii());
                return Err(Error::malformed(archive.label("byteorder"), reason));
            }
        };
        let pickle = archive.read("data.pkl", limits::PICKLE_BYTES)?;
        let (arena, root) = pickle::load(&archive.label("data.pkl"), &pickle)?;
        Ok(Self { archive: Container::Zip(archive), arena, root, big_endian })
    }

    /// The file's name for error texts.
    pub fn name(&self) -> &str {
        self.archive.name()
    }

    /// The pickled object, normally a dictionary.
    pub fn root(&self) -> Value<'_> {
        Value { arena: &self.arena, id: self.root }
    }

    /// Reads a tensor's elements in row-major order, converted to single precision.
    ///
    /// Fails where the tensor doesn't fit its storage, and for booleans, which are no numbers.
    pub fn read_f32(&self, tensor: &Tensor) -> Result<Vec<f32>> {
        let entry = format!("data/{}", tensor.storage);
        let label = self.archive.label(&entry);
        let available = self
            .archive
            .size(&entry)
            .ok_or_else(|| Error::malformed(&label, "no such entry in the archive"))?;
        let (numel, span) = tensor.check(&label, available)?;
        if numel == 0 {
            return Ok(Vec::new());
        }
        // Both products are within the entry's size, which `check` has compared.
        let item = tensor.dtype.size() as u64;
        let bytes = self.archive.read_range(&entry, tensor.offset * item, span * item)?;
        tensor.to_f32(&bytes, numel as usize, self.big_endian).ok_or_else(|| Error::TensorMismatch {
            file: self.name().to_owned(),
            tensor: entry,
            found: tensor.dtype.name().to_owned(),
            expected: "numbers".to_owned(),
        })
    }
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint").field("name", &self.name()).field("root", &self.root()).finish()
    }
}
