//! What opening a model may take, all in all.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Bytes, Counted, out_of_memory, read_into, size, title};
use crate::buffer;
use crate::error::{Error, Result};
use crate::progress::{Cancel, Stage, Watch};

/// Bytes that opening any model may take, unless an option says otherwise.
pub const BASE_BYTES: u64 = 128 << 20;
/// And further ones for each byte of the files that it opens. Half precision and a copy on the way make four of them.
pub const BYTES_PER_BYTE: u64 = 16;

/// Bytes of memory that opening a model may take at one time. Readers take from it before they allocate, and give back
/// what they drop; so this is where they are stopped, too. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: AtomicU64,
    /// Whether the limit was given, so that files don't add to it.
    fixed: bool,
    used: AtomicU64,
    cancel: Cancel,
    watch: Watch,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Budget {
    /// So many bytes; `None`: [`BASE_BYTES`], and [`BYTES_PER_BYTE`] for each byte of the files.
    pub fn new(bytes: Option<u64>) -> Self {
        Self::watched(bytes, Cancel::new(), Watch::default())
    }

    /// As [`Budget::new`], for readers that stop when `cancel` is set, and tell `watch` of what they read.
    pub fn watched(bytes: Option<u64>, cancel: Cancel, watch: Watch) -> Self {
        let limit = AtomicU64::new(bytes.unwrap_or(BASE_BYTES));
        Budget(Arc::new(Inner { limit, fixed: bytes.is_some(), used: AtomicU64::new(0), cancel, watch }))
    }

    /// Who is told of what is read.
    pub(crate) fn watch(&self) -> &Watch {
        &self.0.watch
    }

    /// So many bytes more of the files were read.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(crate) fn advance(&self, bytes: u64) -> Result<()> {
        self.check()?;
        self.0.watch.advance(Stage::Open, bytes)
    }

    fn check(&self) -> Result<()> {
        if self.0.cancel.requested() || self.0.watch.stopped() {
            return Err(Error::Cancelled);
        }
        buffer::check("a model's description")
    }

    /// The error that a reader met, unless it met the caller's wish to stop.
    pub(crate) fn unless_cancelled(&self, error: Error) -> Error {
        self.check().err().unwrap_or(error)
    }

    /// A file of so many bytes is about to be read, which may take more for it.
    pub(crate) fn admit(&self, bytes: u64) {
        if !self.0.fixed {
            let more = bytes.saturating_mul(BYTES_PER_BYTE);
            let _ = self.0.limit.fetch_update(Relaxed, Relaxed, |limit| Some(limit.saturating_add(more)));
        }
    }

    /// Takes bytes for a file, which is named in the error.
    ///
    /// # Errors
    /// [`Error::Refused`] where fewer are left, [`Error::Cancelled`].
    pub(crate) fn take(&self, file: &str, bytes: u64) -> Result<Held> {
        let mut held = Held { budget: self.clone(), bytes: 0 };
        held.grow(file, bytes)?;
        Ok(held)
    }

    /// Reads a whole file of at most `limit` bytes, which may take more then, and which is counted.
    ///
    /// # Errors
    /// As [`super::read`] and [`Budget::take`].
    pub(crate) fn read(&self, path: &Path, limit: u64) -> Result<Bytes> {
        let (name, file) = (title(path), self.open(path)?);
        let (mut bytes, mut held, size) = (Vec::new(), self.take(&name, 0)?, file.size());
        read_into(&mut bytes, path, size, file, limit, |bytes, more| held.reserve(&name, bytes, more))
            .map_err(|error| self.unless_cancelled(error))?;
        Ok(Bytes::held(bytes, held))
    }

    /// Opens a file for reading, as [`super::open`], which may take more then.
    pub(crate) fn open(&self, path: &Path) -> Result<Counted> {
        self.counted(path, super::open(path)?)
    }

    /// A file that is open, as [`Budget::open`] gives it.
    pub(crate) fn counted(&self, path: &Path, file: File) -> Result<Counted> {
        let size = size(path, &file)?;
        self.admit(size);
        Ok(Counted::new(file, size, self))
    }

    fn refused(&self, file: &str, more: u64, used: u64, limit: u64) -> Error {
        let needed = used.saturating_add(more);
        let origin = if self.0.fixed {
            "the option memory_budget".to_owned()
        } else {
            let base = BASE_BYTES >> 20;
            format!(
                "{base} MiB and {BYTES_PER_BYTE} bytes for each of the files' bytes; the option memory_budget sets another"
            )
        };
        Error::refused(
            file,
            format!("opening it takes {needed} bytes or more, the limit is {limit} ({origin})"),
        )
    }
}

/// Bytes that were taken from a budget, which go back with this.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Budget,
    bytes: u64,
}

impl Held {
    /// What it is a part of.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Takes more.
    ///
    /// # Errors
    /// As [`Budget::take`].
    pub(crate) fn grow(&mut self, file: &str, more: u64) -> Result<()> {
        let Inner { limit, used, .. } = &*self.budget.0;
        self.budget.check()?;
        let limit = limit.load(Relaxed);
        let taken =
            used.fetch_update(Relaxed, Relaxed, |used| used.checked_add(more).filter(|used| *used <= limit));
        match taken {
            Ok(_) => self.bytes += more,
            Err(used) => return Err(self.budget.refused(file, more, used, limit)),
        }
        Ok(())
    }

    /// Makes room in a vector, at least doubling one that has none left.
    ///
    /// # Errors
    /// As [`Budget::take`]; [`Error::OutOfMemory`].
    pub(crate) fn reserve<T>(&mut self, file: &str, vector: &mut Vec<T>, more: usize) -> Result<()> {
        let (length, capacity) = (vector.len(), vector.capacity());
        if capacity - length >= more {
            return Ok(());
        }
        let wanted = length.saturating_add(more).max(capacity.saturating_mul(2)).max(4);
        let bytes = ((wanted - capacity) as u64).saturating_mul(size_of::<T>() as u64);
        self.grow(file, bytes)?;
        vector.try_reserve_exact(wanted - length).map_err(|_| out_of_memory(file, bytes))
    }

    /// What was taken stays for as long as the budget is there.
    pub(crate) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.bytes, Relaxed);
    }
}
