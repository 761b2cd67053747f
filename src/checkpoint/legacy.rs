//! Files of `torch.save` before 1.6, or of `_use_new_zipfile_serialization=False`: pickles one after another (a magic
//! number, a version, facts about the machine, the object, the keys of its storages), then each storage in the order of
//! the keys, its number of elements before it. There are no checksums: damage in a storage isn't seen.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::value::{Arena, Id, Node, Value};
use super::{limits, pickle};
use crate::error::{Error, Result};
use crate::file::{self, Budget, Bytes, Held, shorten, title};

/// How such a file starts: protocol 2, then the magic number as a LONG1.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
const VERSION: i64 = 1001;
/// Bytes in which the pickles are looked for first; most have less.
const FIRST: u64 = 1 << 20;

/// The storages of a file.
pub(super) struct Legacy {
    name: String,
    path: PathBuf,
    source: Mutex<Box<dyn Source>>,
    length: u64,
    /// Where each storage's bytes are, and how many.
    storages: BTreeMap<String, (u64, u64)>,
    budget: Budget,
    /// What the table of storages takes.
    held: Held,
}

trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// A file and the object in it.
pub(super) type Opened = (Legacy, Arena, Id);

impl Legacy {
    /// Opens a file; `None` where it isn't one of this kind.
    pub(super) fn open(path: &Path, budget: &Budget) -> Result<Option<Opened>> {
        let fail = |source| Error::Read { path: path.into(), source };
        let mut file = file::open(path)?;
        let mut head = Vec::new();
        (&mut file).take(MAGIC.len() as u64).read_to_end(&mut head).map_err(fail)?;
        if head != MAGIC {
            return Ok(None);
        }
        let length = file.seek(SeekFrom::End(0)).map_err(fail)?;
        let file = Box::new(budget.counted(path, file)?);
        Self::new(title(path), path.into(), file, length, budget).map(Some)
    }

    /// Opens a file that is in memory; `None` where it isn't one of this kind.
    pub(super) fn from_bytes(name: &str, bytes: &Bytes, budget: &Budget) -> Result<Option<Opened>> {
        if !bytes.starts_with(MAGIC) {
            return Ok(None);
        }
        let length = bytes.len() as u64;
        Self::new(name.into(), name.into(), Box::new(Cursor::new(bytes.clone())), length, budget).map(Some)
    }

    fn new(
        name: String,
        path: PathBuf,
        source: Box<dyn Source>,
        length: u64,
        budget: &Budget,
    ) -> Result<Opened> {
        let (source, held, budget) = (Mutex::new(source), budget.take(&name, 0)?, budget.clone());
        let mut file = Legacy { name, path, source, length, storages: BTreeMap::new(), budget, held };
        let most = length.min(limits::PICKLE_BYTES);
        let mut size = FIRST.min(most);
        // How long the pickles are shows only where they end.
        let head = loop {
            let bytes = file.read_at(0, size)?;
            match Head::read(&file.name, &bytes, &file.budget) {
                Err(Error::Malformed { .. }) if size < most => size = size.saturating_mul(8).min(most),
                head => break head?,
            }
        };
        file.held.grow(&file.name, limits::ENTRY_BYTES.saturating_mul(head.keys.len() as u64))?;
        file.storages = file.find_storages(&head, length)?;
        Ok((file, head.arena, head.root))
    }

    /// The file's size in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Walks over the storages, whose sizes are those that the object's tensors say.
    fn find_storages(&self, head: &Head, length: u64) -> Result<BTreeMap<String, (u64, u64)>> {
        let malformed = |reason: String| Error::malformed(&self.name, reason);
        let known = head.storages().map_err(malformed)?;
        let mut storages = BTreeMap::new();
        let mut at = head.end;
        for key in &head.keys {
            let named = shorten(key);
            let Some(&(item, numel)) = known.get(key.as_str()) else {
                return Err(malformed(format!("storage `{named}` is in the file, but no tensor is in it")));
            };
            let Some(item) = item else {
                let what = format!("{}: storage `{named}` has a type that isn't known", self.name);
                return Err(Error::unsupported(what));
            };
            let beyond = || malformed(format!("the file ends before or within storage `{named}`"));
            let start = at.checked_add(8).filter(|start| *start <= length).ok_or_else(beyond)?;
            let count = self.read_at(at, 8)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
            if count != Some(numel) {
                let found = count.unwrap_or(0);
                let reason = format!("storage `{named}` has {found} elements, its tensors say {numel}");
                return Err(malformed(reason));
            }
            let bytes = numel.checked_mul(item as u64).ok_or_else(beyond)?;
            at = start.checked_add(bytes).filter(|end| *end <= length).ok_or_else(beyond)?;
            if storages.insert(key.clone(), (start, bytes)).is_some() {
                return Err(malformed(format!("storage `{named}` is in the file twice")));
            }
        }
        Ok(storages)
    }

    /// The file's name for error texts.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// File and storage, for error texts.
    pub(super) fn label(&self, key: &str) -> String {
        format!("{}: storage {}", self.name, shorten(key))
    }

    /// Bytes of a storage, or `None` where there is no such storage.
    pub(super) fn size(&self, key: &str) -> Option<u64> {
        self.storages.get(key).map(|(_, bytes)| *bytes)
    }

    /// Reads `count` bytes of a storage from `start`.
    pub(super) fn read_range(&self, key: &str, start: u64, count: u64) -> Result<Bytes> {
        let source = self.storages.get(key).and_then(|(first, bytes)| {
            let end = start.checked_add(count)?;
            (end <= *bytes).then(|| first + start)
        });
        let source = source.ok_or_else(|| {
            Error::malformed(self.label(key), format!("{count} bytes from {start} are not in it"))
        })?;
        self.read_at(source, count)
    }

    fn read_at(&self, start: u64, count: u64) -> Result<Bytes> {
        let mut held = self.budget.take(&self.name, 0)?;
        let mut bytes = Vec::new();
        // Sizes are within the file, as it was when its length was asked for.
        held.reserve(&self.name, &mut bytes, count as usize)?;
        // A reader that panicked leaves no state behind: each read seeks first.
        let mut file = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let read =
            file.seek(SeekFrom::Start(start)).and_then(|_| (&mut *file).take(count).read_to_end(&mut bytes));
        match read {
            Ok(_) if bytes.len() as u64 == count => Ok(Bytes::held(bytes, held)),
            Ok(_) => Err(Error::malformed(&self.name, "the file ends early")),
            Err(source) => Err(self.budget.unless_cancelled(Error::Read { path: self.path.clone(), source })),
        }
    }
}

/// What stands before the storages.
struct Head {
    arena: Arena,
    root: Id,
    keys: Vec<String>,
    /// Where the storages start.
    end: u64,
}

impl Head {
    fn read(name: &str, bytes: &[u8], budget: &Budget) -> Result<Self> {
        let mut at = 0;
        let mut next = |what: &str| {
            let left = bytes.get(at..).unwrap_or_default();
            let (arena, root, length) = pickle::load_first(&format!("{name}: {what}"), left, budget)?;
            at += length;
            Ok::<_, Error>((arena, root))
        };
        next("magic number")?;
        let (version, root) = next("version")?;
        let version = Value { arena: &version, id: root }.as_int();
        if version != Some(VERSION) {
            let found = version.map_or("none".into(), |version| version.to_string());
            return Err(Error::unsupported(format!(
                "{name} has version {found} of its format, not {VERSION}"
            )));
        }
        // Storages are little-endian on every machine.
        next("system")?;
        let (arena, root) = next("object")?;
        let (list, listed) = next("keys")?;
        let list = Value { arena: &list, id: listed };
        let keys: Option<Vec<String>> = list
            .iter()
            .map(|key| Some(key.as_str()?.to_owned()).filter(|key| key.len() <= limits::KEY_BYTES))
            .collect();
        let keys = keys.filter(|_| list.is_sequence());
        let keys = keys.ok_or_else(|| Error::malformed(name, "its storages' keys aren't a list of texts"))?;
        if keys.len() > limits::ENTRIES {
            let reason = format!("{} storages, the limit is {}", keys.len(), limits::ENTRIES);
            return Err(Error::refused(name, reason));
        }
        Ok(Head { arena, root, keys, end: at as u64 })
    }

    /// Bytes of an element, where its type is known, and the number of elements of each storage that the object has.
    fn storages(&self) -> std::result::Result<BTreeMap<&str, (Option<usize>, u64)>, String> {
        let mut storages = BTreeMap::new();
        for node in &self.arena.nodes {
            let Node::Storage { dtype, untyped, key, numel } = node else { continue };
            let Some(key) = self.arena.str(*key) else { continue };
            let item = if *untyped { Some(1) } else { dtype.map(|dtype| dtype.size()) };
            if storages.insert(key, (item, *numel)).is_some_and(|other| other != (item, *numel)) {
                return Err(format!("storage `{}` has two types or sizes", shorten(key)));
            }
        }
        Ok(storages)
    }
}
