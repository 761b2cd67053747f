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

// Files of strangers are read here: each place is asked for, none is taken for granted.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

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

use crate::buffer;
use crate::error::{Error, Result};
use crate::file::{Budget, Bytes};
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
    budget: Budget,
}

impl Checkpoint {
    /// Opens a file: reads its directory and its pickle.
    ///
    /// # Errors
    /// What is wrong with the file; [`Error::Refused`] for more than a checkpoint has, or more than [`Budget`] allows.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_within(path, &Budget::default())
    }

    /// Opens a file that is in memory; `name` stands for it in error texts.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_bytes(name: &str, bytes: Bytes) -> Result<Self> {
        let budget = Budget::default();
        budget.admit(bytes.len() as u64);
        Self::from_bytes_within(name, bytes, &budget)
    }

    /// As [`Checkpoint::open`], as a part of what opening a model takes.
    pub(crate) fn open_within(path: &Path, budget: &Budget) -> Result<Self> {
        match Legacy::open(path, budget)? {
            Some(opened) => Ok(Self::legacy(opened, budget)),
            None => Self::new(Archive::open(path, budget)?, budget),
        }
    }

    /// As [`Checkpoint::from_bytes`], as a part of what opening a model takes.
    pub(crate) fn from_bytes_within(name: &str, bytes: Bytes, budget: &Budget) -> Result<Self> {
        match Legacy::from_bytes(name, &bytes, budget)? {
            Some(opened) => Ok(Self::legacy(opened, budget)),
            None => Self::new(Archive::from_bytes(name, bytes, budget)?, budget),
        }
    }

    fn legacy((file, arena, root): legacy::Opened, budget: &Budget) -> Self {
        Self { archive: Container::Legacy(file), arena, root, big_endian: false, budget: budget.clone() }
    }

    fn new(archive: Archive, budget: &Budget) -> Result<Self> {
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
        let (arena, root) = pickle::load(&archive.label("data.pkl"), &pickle, budget)?;
        Ok(Self { archive: Container::Zip(archive), arena, root, big_endian, budget: budget.clone() })
    }

    /// What reading from it is counted against.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The file's size in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.archive.length()
    }

    /// Whether it is an archive of TorchScript: its root is a module then, whose attributes are tensors and modules,
    /// and its program is never looked at.
    pub fn is_program(&self) -> bool {
        matches!(&self.archive, Container::Zip(archive) if archive.is_program())
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
        let part = self.archive.read_range(&entry, tensor.offset * item, span * item)?;
        let mut values = Vec::new();
        buffer::reserve(&mut values, &label, numel as usize)?;
        tensor.append_f32(part.bytes(), numel as usize, self.big_endian, &mut values).ok_or_else(|| {
            Error::TensorMismatch {
                file: self.name().to_owned(),
                tensor: entry,
                found: tensor.dtype.name().to_owned(),
                expected: "numbers".to_owned(),
            }
        })?;
        Ok(values)
    }
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint").field("name", &self.name()).field("root", &self.root()).finish()
    }
}
