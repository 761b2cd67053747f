//! The files of a model: a folder on disk, or one in a list of files, which are in memory or in a zip archive.
//! Names of listed files are only compared: nothing is ever written under them. All that is read counts against one
//! [`Budget`].

mod listed;

use std::io::ErrorKind;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::{Checkpoint, SafeTensors};
use crate::error::{Error, Result};
use crate::file::{self, Budget, Bytes};
use listed::{LARGEST_ENTRY, Listed};

/// Configuration files have some ten or hundred kilobytes; a larger one is something else.
pub(super) const LARGEST_TEXT: u64 = 4 << 20;
/// Folders and files that are looked at in one.
const MOST_FOLDERS: usize = 10_000;

/// The JSON that describes a file of weights.
fn description_of(name: &str) -> Option<String> {
    let (stem, ending) = name.rsplit_once('.')?;
    ["onnx", "safetensors", "pt", "pth", "ts"].contains(&ending).then(|| format!("{stem}.json"))
}

/// A path below a folder as its files are called; none for one that leads elsewhere.
pub(super) fn inside(path: &str) -> Option<String> {
    let elsewhere = path.starts_with('/') || path.contains(['\\', ':', '\0']);
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!elsewhere && !parts.is_empty() && !parts.contains(&"..")).then(|| parts.join("/"))
}

/// A folder with the files of a model, or with folders of models.
#[derive(Clone)]
pub(super) enum Files {
    /// A folder on disk.
    Disk(PathBuf, Budget),
    /// The files whose names start with `folder`, which is empty or ends with a slash.
    Listed { list: Arc<Listed>, folder: String },
}

impl Files {
    /// A folder, or a zip archive, which is known by its content and not by its name.
    pub(super) fn open(path: &Path, budget: &Budget) -> Result<Self> {
        let unreadable = |source| Error::Read { path: path.into(), source };
        let about = std::fs::metadata(path).map_err(unreadable)?;
        if about.is_dir() {
            return Ok(Files::Disk(path.into(), budget.clone()));
        }
        if about.is_file() {
            let mut head = Vec::new();
            file::open(path)?.take(4).read_to_end(&mut head).map_err(unreadable)?;
            if head.starts_with(b"PK") {
                return Ok(Self::listed(Listed::zip(path, budget)?));
            }
        }
        let kind = if about.is_file() { "" } else { file::kind(&about) };
        let comma = if kind.is_empty() { "" } else { ", " };
        let reason = format!("{} is {kind}{comma}neither a folder nor a zip archive", path.display());
        Err(Error::NotAModel { reason })
    }

    /// Files in memory, by their names with `/` between folders.
    pub(super) fn memory_within(files: Vec<(String, Bytes)>, budget: &Budget) -> Self {
        Self::listed(Listed::memory(files, budget))
    }

    #[cfg(test)]
    pub(super) fn memory(files: Vec<(String, Bytes)>) -> Self {
        Self::memory_within(files, &Budget::default())
    }

    /// What reading the files counts against.
    pub(super) fn budget(&self) -> &Budget {
        match self {
            Files::Disk(_, budget) => budget,
            Files::Listed { list, .. } => list.budget(),
        }
    }

    fn listed(list: Listed) -> Self {
        Files::Listed { list: Arc::new(list), folder: String::new() }
    }

    /// Whether they are the entries of a file of `torch.save`.
    pub(super) fn is_checkpoint(&self) -> bool {
        match self {
            Files::Disk(..) => false,
            Files::Listed { .. } => self.has("data.pkl") || !self.folders_with("data.pkl").is_empty(),
        }
    }

    /// What the files are called as a whole, for error texts.
    pub(super) fn title(&self) -> String {
        match self {
            Files::Disk(path, _) => path.display().to_string(),
            Files::Listed { list, folder } if folder.is_empty() => list.title(),
            Files::Listed { list, folder } => format!("{} in {}", folder.trim_end_matches('/'), list.title()),
        }
    }

    /// Where the folder lies among others, for error texts.
    pub(super) fn place(&self) -> String {
        match self {
            Files::Disk(..) => self.folder_name().map_or_else(|| self.title(), str::to_owned),
            Files::Listed { folder, .. } => folder.trim_end_matches('/').to_owned(),
        }
    }

    /// The name of the folder; `None` where the files lie in none.
    pub(super) fn folder_name(&self) -> Option<&str> {
        match self {
            Files::Disk(path, _) => path.file_name()?.to_str(),
            Files::Listed { folder, .. } => folder.strip_suffix('/')?.rsplit('/').next(),
        }
    }

    /// Names of the folders at the top, in order.
    pub(super) fn folders(&self) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Files::Disk(path, _) => std::fs::read_dir(path)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| entry.path().is_dir())
                .filter_map(|entry| entry.file_name().into_string().ok())
                .take(MOST_FOLDERS)
                .collect(),
            Files::Listed { list, folder } => {
                list.below(folder).filter_map(|name| Some(name.split_once('/')?.0.to_owned())).collect()
            }
        };
        names.sort();
        names.dedup();
        names
    }

    /// Names of the files at the top, in order.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Files::Disk(path, _) => std::fs::read_dir(path)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| entry.path().is_file())
                .filter_map(|entry| entry.file_name().into_string().ok())
                .take(MOST_FOLDERS)
                .collect(),
            Files::Listed { list, folder } => {
                list.below(folder).filter(|name| !name.contains('/')).map(str::to_owned).collect()
            }
        };
        names.sort();
        names
    }

    /// The folder of this name below this one, whether there is one or not; of an empty name, this one.
    pub(super) fn below(&self, name: &str) -> Files {
        match self {
            _ if name.is_empty() => self.clone(),
            Files::Disk(path, budget) => Files::Disk(path.join(name), budget.clone()),
            Files::Listed { list, folder } => {
                Files::Listed { list: list.clone(), folder: format!("{folder}{name}/") }
            }
        }
    }

    /// Folders below this one that have a file of this name: on disk those at the top, elsewhere all.
    pub(super) fn folders_with(&self, file: &str) -> Vec<Files> {
        match self {
            Files::Disk(path, budget) => {
                let folders =
                    self.folders().into_iter().map(|name| Files::Disk(path.join(name), budget.clone()));
                folders.filter(|folder| folder.has(file)).collect()
            }
            Files::Listed { list, folder } => {
                let folders = list.below(folder).filter_map(|name| name.strip_suffix(file));
                folders
                    .filter(|inside| inside.ends_with('/'))
                    .map(|inside| Files::Listed { list: list.clone(), folder: format!("{folder}{inside}") })
                    .collect()
            }
        }
    }

    /// The folder of this name beside this one, if it is there.
    pub(super) fn sibling(&self, name: &str) -> Option<Files> {
        match self {
            Files::Disk(path, budget) => {
                path.file_name()?;
                let beside = path.with_file_name(name);
                beside.is_dir().then(|| Files::Disk(beside, budget.clone()))
            }
            Files::Listed { list, folder } => {
                let own = folder.strip_suffix('/')?;
                let parent = own.rfind('/').map_or("", |slash| &own[..=slash]);
                let folder = format!("{parent}{name}/");
                list.below(&folder).next()?;
                Some(Files::Listed { list: list.clone(), folder })
            }
        }
    }

    /// Whether something has this name that is no folder. Reading it tells its kind.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Files::Disk(path, _) => is_there(&path.join(name)),
            Files::Listed { list, folder } => list.has(&format!("{folder}{name}")),
        }
    }

    /// A small file, whole; `None` when it isn't there.
    pub(super) fn read(&self, name: &str) -> Result<Option<Bytes>> {
        match self {
            Files::Disk(..) if !self.has(name) => Ok(None),
            Files::Disk(folder, budget) => budget.read(&folder.join(name), LARGEST_TEXT).map(Some),
            Files::Listed { list, folder } => list.read(&format!("{folder}{name}"), LARGEST_TEXT),
        }
    }

    /// A large file, whole.
    pub(super) fn bytes(&self, name: &str) -> Result<Bytes> {
        match self {
            Files::Disk(folder, budget) => budget.read(&folder.join(name), LARGEST_ENTRY),
            Files::Listed { list, folder } => list.bytes(&format!("{folder}{name}")),
        }
    }

    /// The size of a file in bytes; `None` where it isn't there.
    pub(super) fn size(&self, name: &str) -> Option<u64> {
        match self {
            Files::Disk(folder, _) => {
                let about = std::fs::metadata(folder.join(name)).ok()?;
                about.is_file().then_some(about.len())
            }
            Files::Listed { list, folder } => list.size(&format!("{folder}{name}")),
        }
    }

    /// Tells how many bytes there are in files that will be read.
    pub(super) fn announce(&self, names: &[String]) {
        if let Files::Disk(_, budget) = self {
            budget.watch().announce(names.iter().filter_map(|name| self.size(name)).sum());
        }
    }

    /// A safetensors file.
    pub(super) fn safetensors(&self, name: &str) -> Result<SafeTensors> {
        SafeTensors::from_bytes_within(name, self.bytes(name)?, self.budget())
    }

    /// A file of weights with a JSON of the same name beside it: the folder and both names.
    pub(super) fn described(&self) -> Option<(Files, String, String)> {
        let Files::Listed { list, folder } = self else { return None };
        list.below(folder).find_map(|name| {
            let description = description_of(name)?;
            self.has(&description).then(|| (self.clone(), name.to_owned(), description))
        })
    }

    /// As [`Files::described`], for the path of the file of weights.
    pub(super) fn described_at(path: &Path, budget: &Budget) -> Option<(Files, String, String)> {
        let name = path.file_name()?.to_str()?;
        let description = description_of(name)?;
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let files = Files::Disk(folder.unwrap_or(Path::new(".")).into(), budget.clone());
        files.has(&description).then(|| (files, name.to_owned(), description))
    }

    pub(super) fn checkpoint(&self, name: &str) -> Result<Checkpoint> {
        match self {
            Files::Disk(folder, budget) => Checkpoint::open_within(&folder.join(name), budget),
            Files::Listed { list, folder } => list.checkpoint(&format!("{folder}{name}")),
        }
    }
}

fn is_there(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(about) => !about.is_dir(),
        // What can't be looked at is there, too: reading it says why it can't.
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

#[cfg(test)]
mod tests;
