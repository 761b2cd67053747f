//! Files known by a list of names: buffers of the caller, or the entries of a zip archive.

use std::collections::BTreeMap;
use std::path::Path;

use crate::checkpoint::{Archive, Checkpoint};
use crate::error::{Error, Result};
use crate::file::{Budget, Bytes};

/// Bytes that an entry of an archive may inflate to. A checkpoint holds its optimizer's state beside the weights,
/// which makes some hundred megabytes for the largest networks in use; all of it has to be in memory at once,
/// since a compressed entry has no places to read from.
pub(super) const LARGEST_ENTRY: u64 = 4 << 30;

/// Files by their names.
pub(in crate::model) struct Listed {
    title: String,
    files: BTreeMap<String, Content>,
    archive: Option<Archive>,
    budget: Budget,
}

enum Content {
    Memory(Bytes),
    /// The archive's entry of this name.
    Entry(String),
}

/// A file's name as names are compared here. Tools for Windows separate folders by `\`, against zip's own rule.
fn plain(name: &str) -> String {
    let name = name.replace('\\', "/");
    name.strip_prefix("./").map_or_else(|| name.clone(), str::to_owned)
}

impl Listed {
    /// The caller's own memory counts as files do.
    pub(super) fn memory(files: Vec<(String, Bytes)>, budget: &Budget) -> Self {
        for (_, bytes) in &files {
            budget.admit(bytes.len() as u64);
            budget.watch().expect(bytes.len() as u64);
        }
        let title = format!("{} files in memory", files.len());
        // The first of equal names counts.
        let files =
            files.into_iter().rev().map(|(name, bytes)| (plain(&name), Content::Memory(bytes))).collect();
        Listed { title, files, archive: None, budget: budget.clone() }
    }

    /// A zip archive; its number of entries, their compression and its directory are bounded as a checkpoint's.
    pub(super) fn zip(path: &Path, budget: &Budget) -> Result<Self> {
        let archive = Archive::open_any(path, LARGEST_ENTRY, budget)?;
        let entries = archive.names().into_iter().map(|name| (plain(&name), Content::Entry(name)));
        let files = entries.filter(|(name, _)| !name.ends_with('/')).collect();
        let title = path.display().to_string();
        Ok(Listed { title, files, archive: Some(archive), budget: budget.clone() })
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What the list is called, for error texts.
    pub(super) fn title(&self) -> String {
        self.title.clone()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// The size of a file in bytes; `None` where it isn't there.
    pub(super) fn size(&self, name: &str) -> Option<u64> {
        match (self.files.get(name)?, &self.archive) {
            (Content::Memory(bytes), _) => Some(bytes.len() as u64),
            (Content::Entry(entry), archive) => archive.as_ref()?.size(entry),
        }
    }

    /// The names that start with `folder`, without it.
    pub(super) fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.range(folder.to_owned()..).map_while(move |(name, _)| name.strip_prefix(folder))
    }

    /// A whole file of up to `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Bytes>> {
        match (self.files.get(name), &self.archive) {
            (Some(Content::Memory(bytes)), _) if bytes.len() as u64 > limit => {
                Err(Error::refused(name, format!("more than {limit} bytes, which is the limit")))
            }
            (Some(Content::Memory(bytes)), _) => self.whole(bytes).map(Some),
            (Some(Content::Entry(entry)), Some(archive)) => archive.read(entry, limit).map(Some),
            _ => Ok(None),
        }
    }

    /// A whole file, however large.
    pub(super) fn bytes(&self, name: &str) -> Result<Bytes> {
        match (self.files.get(name), &self.archive) {
            (Some(Content::Memory(bytes)), _) => self.whole(bytes),
            (Some(Content::Entry(entry)), Some(archive)) => archive.read(entry, LARGEST_ENTRY),
            _ => Err(Error::NotAModel { reason: format!("{name} is not among the files") }),
        }
    }

    /// The caller's memory, which is read at once.
    fn whole(&self, bytes: &Bytes) -> Result<Bytes> {
        self.budget.advance(bytes.len() as u64)?;
        Ok(bytes.clone())
    }

    pub(super) fn checkpoint(&self, name: &str) -> Result<Checkpoint> {
        match (self.files.get(name), &self.archive) {
            (Some(Content::Memory(bytes)), _) => {
                Checkpoint::from_bytes_within(name, self.whole(bytes)?, &self.budget)
            }
            (Some(Content::Entry(entry)), Some(archive)) => {
                let bytes = archive.read(entry, LARGEST_ENTRY)?;
                Checkpoint::from_bytes_within(&archive.label(name), bytes, &self.budget)
            }
            _ => Err(Error::NotAModel { reason: format!("{name} is not among the files") }),
        }
    }
}
