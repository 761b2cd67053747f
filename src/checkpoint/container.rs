//! What a checkpoint's storages lie in: a zip archive, or one file after the older format.

use super::archive::{Archive, Part};
use super::legacy::Legacy;
use crate::error::Result;

/// Entries are called as in an archive: `data/<key>` is a storage.
pub(super) enum Container {
    Zip(Archive),
    Legacy(Legacy),
}

impl Container {
    /// The file's name for error texts.
    pub(super) fn name(&self) -> &str {
        match self {
            Container::Zip(archive) => archive.name(),
            Container::Legacy(file) => file.name(),
        }
    }

    /// File and entry, for error texts.
    pub(super) fn label(&self, entry: &str) -> String {
        match self {
            Container::Zip(archive) => archive.label(entry),
            Container::Legacy(file) => file.label(key(entry)),
        }
    }

    /// The size of an entry, or `None` where there is no such entry.
    pub(super) fn size(&self, entry: &str) -> Option<u64> {
        match self {
            Container::Zip(archive) => archive.size(entry),
            Container::Legacy(file) => file.size(key(entry)),
        }
    }

    /// The file's size in bytes.
    pub(super) fn length(&self) -> u64 {
        match self {
            Container::Zip(archive) => archive.length(),
            Container::Legacy(file) => file.length(),
        }
    }

    /// Reads `count` bytes of an entry from `start`.
    pub(super) fn read_range(&self, entry: &str, start: u64, count: u64) -> Result<Part> {
        match self {
            Container::Zip(archive) => archive.read_range(entry, start, count),
            Container::Legacy(file) => file.read_range(key(entry), start, count).map(Part::whole),
        }
    }

    /// How many bytes of an archive were read so far.
    #[cfg(test)]
    pub(super) fn bytes_read(&self) -> u64 {
        match self {
            Container::Zip(archive) => archive.bytes_read(),
            Container::Legacy(_) => 0,
        }
    }
}

fn key(entry: &str) -> &str {
    entry.strip_prefix("data/").unwrap_or(entry)
}
