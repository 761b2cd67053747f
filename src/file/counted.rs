//! A file whose reading can be watched and stopped.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::Budget;

/// Bytes that are read at one time: so soon a wish to stop is heard.
const CHUNK: usize = 1 << 20;

/// A file that tells its budget of each piece that is read.
#[derive(Debug)]
pub(crate) struct Counted {
    file: File,
    /// Bytes that weren't read yet. Those that nobody wants count as read when the file is closed.
    left: u64,
    budget: Budget,
}

impl Counted {
    /// A file of `size` bytes.
    pub(super) fn new(file: File, size: u64, budget: &Budget) -> Self {
        budget.watch().expect(size);
        Counted { file, left: size, budget: budget.clone() }
    }

    /// Its size in bytes, as it was when it was opened.
    pub(super) fn size(&self) -> u64 {
        self.left
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(CHUNK);
        let count = self.file.read(buffer.get_mut(..most).unwrap_or_default())?;
        // A part that is read twice counts once.
        let new = self.left.min(count as u64);
        self.left -= new;
        self.budget.advance(new).map_err(io::Error::other)?;
        Ok(count)
    }
}

impl Seek for Counted {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.budget.watch().skip(self.left);
    }
}
