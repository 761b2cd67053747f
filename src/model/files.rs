//! The files of a model: a folder on disk, or named buffers.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};

/// Configuration files are small; a larger one is something else.
const LARGEST_TEXT: u64 = 64 << 20;

/// Where a model's files come from.
pub(super) enum Files {
    Folder(PathBuf),
    Memory(Vec<(String, Arc<[u8]>)>),
}

impl Files {
    pub(super) fn folder(path: &Path) -> Result<Self> {
        let about = std::fs::metadata(path).map_err(|source| Error::Read { path: path.into(), source })?;
        if !about.is_dir() {
            return Err(Error::NotAModel { reason: format!("{} is not a folder", path.display()) });
        }
        Ok(Files::Folder(path.into()))
    }

    pub(super) fn memory(files: Vec<(String, Arc<[u8]>)>) -> Self {
        Files::Memory(files)
    }

    /// What the files are called as a whole, for error texts.
    pub(super) fn title(&self) -> String {
        match self {
            Files::Folder(path) => path.display().to_string(),
            Files::Memory(files) => format!("{} files in memory", files.len()),
        }
    }

    /// The name of the folder; `None` in memory.
    pub(super) fn folder_name(&self) -> Option<&str> {
        match self {
            Files::Folder(path) => path.file_name()?.to_str(),
            Files::Memory(_) => None,
        }
    }

    /// Names of the folders at the top.
    pub(super) fn folders(&self) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Files::Folder(path) => std::fs::read_dir(path)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| entry.path().is_dir())
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect(),
            Files::Memory(files) => {
                files.iter().filter_map(|(name, _)| Some(name.split_once('/')?.0.to_owned())).collect()
            }
        };
        names.sort();
        names.dedup();
        names
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Files::Folder(path) => path.join(name).is_file(),
            Files::Memory(files) => files.iter().any(|(file, _)| file == name),
        }
    }

    /// A small file, whole; `None` when it isn't there.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Files::Folder(folder) => {
                let path = folder.join(name);
                let size = match std::fs::metadata(&path) {
                    Ok(about) => about.len(),
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                    Err(source) => return Err(Error::Read { path, source }),
                };
                if size > LARGEST_TEXT {
                    return Err(Error::refused(name, format!("{size} bytes, the limit is {LARGEST_TEXT}")));
                }
                std::fs::read(&path).map(Some).map_err(|source| Error::Read { path, source })
            }
            Files::Memory(files) => {
                Ok(files.iter().find(|(file, _)| file == name).map(|(_, bytes)| bytes.to_vec()))
            }
        }
    }

    pub(super) fn checkpoint(&self, name: &str) -> Result<Checkpoint> {
        match self {
            Files::Folder(folder) => Checkpoint::open(&folder.join(name)),
            Files::Memory(files) => match files.iter().find(|(file, _)| file == name) {
                Some((_, bytes)) => Checkpoint::from_bytes(name, bytes.clone()),
                None => Err(Error::NotAModel { reason: format!("{name} is not among the files") }),
            },
        }
    }
}
