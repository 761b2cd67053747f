//! The zip container: which entries there are, and bounded reads from them.

use std::collections::HashMap;
use std::io::{self, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::limits;
use crate::error::{Error, Result};
use crate::file::{Budget, Bytes, Counted, Held, out_of_memory, title};

/// A zip archive. Of one written by `torch.save`, entries are addressed below its one root folder.
pub(crate) struct Archive {
    name: String,
    path: PathBuf,
    length: u64,
    root: String,
    /// Bytes that a compressed entry may inflate to.
    inflated: u64,
    meter: Arc<Meter>,
    zip: Mutex<Zip>,
    /// Storages that were compressed, by their index: they have no places to read from, so that each is inflated once
    /// and stays.
    storages: Mutex<HashMap<usize, Bytes>>,
    budget: Budget,
    /// What the directory took.
    _held: Held,
}

type Zip = ZipArchive<BufReader<Source>>;

/// A part of an entry.
pub(super) struct Part {
    of: Bytes,
    range: Range<usize>,
}

impl Part {
    pub(super) fn whole(of: Bytes) -> Self {
        let range = 0..of.len();
        Part { of, range }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.of.get(self.range.clone()).unwrap_or_default()
    }
}

/// What is known of an entry before it is read.
struct Entry {
    index: usize,
    size: u64,
    is_stored: bool,
}

impl Archive {
    /// Opens a file of `torch.save`; its last component is used in error texts.
    pub(super) fn open(path: &Path, budget: &Budget) -> Result<Self> {
        Self::open_any(path, limits::INFLATED_STORAGE_BYTES, budget)?.below_root()
    }

    /// Opens any zip file, whose entries have their whole names and inflate to at most `inflated` bytes each.
    pub(crate) fn open_any(path: &Path, inflated: u64, budget: &Budget) -> Result<Self> {
        let file = Medium::File(budget.open(path)?);
        Self::new(title(path), path.to_path_buf(), file, inflated, budget)
    }

    /// Opens an archive of `torch.save` that is in memory.
    pub(super) fn from_bytes(name: &str, bytes: Bytes, budget: &Budget) -> Result<Self> {
        let (bytes, most) = (Medium::Memory(Cursor::new(bytes)), limits::INFLATED_STORAGE_BYTES);
        Self::new(name.to_owned(), PathBuf::from(name), bytes, most, budget)?.below_root()
    }

    fn below_root(mut self) -> Result<Self> {
        let root = find_root(&self.name, &self.lock())?;
        self.root = root;
        Ok(self)
    }

    fn new(name: String, path: PathBuf, medium: Medium, inflated: u64, budget: &Budget) -> Result<Self> {
        let meter =
            Arc::new(Meter { read: AtomicU64::new(0), limit: AtomicU64::new(limits::DIRECTORY_BYTES) });
        let mut source = Source { medium, meter: meter.clone() };
        let fail = |error: io::Error| {
            budget.unless_cancelled(match error.kind() {
                ErrorKind::UnexpectedEof | ErrorKind::InvalidData => {
                    Error::malformed(&name, error.to_string())
                }
                _ => Error::Read { path: path.clone(), source: error },
            })
        };
        let length = source.seek(SeekFrom::End(0)).map_err(fail)?;
        sniff(&name, &read_at(&mut source, 0, length.min(512)).map_err(fail)?)?;
        let declared = declared_entries(&name, &mut source, length, fail)?;
        let mut held = budget.take(&name, declared.saturating_mul(limits::ENTRY_BYTES))?;

        let config = zip::read::Config { archive_offset: zip::read::ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, BufReader::new(source));
        if meter.read.load(Relaxed) >= limits::DIRECTORY_BYTES {
            let limit = limits::DIRECTORY_BYTES;
            return Err(Error::refused(&name, format!("the zip directory takes more than {limit} bytes")));
        }
        let zip = zip.map_err(|error| match error {
            ZipError::Io(error) => fail(error),
            error => budget.unless_cancelled(Error::malformed(&name, error.to_string())),
        })?;
        meter.limit.store(u64::MAX, Relaxed);
        let entries = zip.len() as u64;
        if entries > limits::ENTRIES as u64 {
            return Err(too_many_entries(&name, entries));
        }
        held.grow(&name, entries.saturating_sub(declared).saturating_mul(limits::ENTRY_BYTES))?;
        Ok(Self {
            name,
            path,
            length,
            root: String::new(),
            inflated,
            meter,
            zip: Mutex::new(zip),
            storages: Mutex::default(),
            budget: budget.clone(),
            _held: held,
        })
    }

    /// The file's size in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The file's name for error texts.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it holds a program of TorchScript's beside the weights.
    pub(super) fn is_program(&self) -> bool {
        self.size("constants.pkl").is_some()
    }

    /// Names of all entries; those that aren't UTF-8 can't be asked for, and are left out.
    pub(crate) fn names(&self) -> Vec<String> {
        let zip = self.lock();
        zip.file_names_raw().filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect()
    }

    /// File and entry, for error texts.
    pub(crate) fn label(&self, entry: &str) -> String {
        format!("{}: {}{}", self.name, self.root, crate::file::shorten(entry))
    }

    /// How many bytes were read from the file so far.
    #[cfg_attr(not(test), expect(dead_code))]
    pub(super) fn bytes_read(&self) -> u64 {
        self.meter.read.load(Relaxed)
    }

    /// The inflated size of an entry, or `None` where there is no such entry.
    pub(crate) fn size(&self, entry: &str) -> Option<u64> {
        let zip = self.lock();
        let index = zip.index_for_name_raw(format!("{}{entry}", self.root).as_bytes())?;
        zip.by_index_data(index).ok().map(|data| data.size())
    }

    /// Reads a whole entry of at most `limit` bytes, checked against its CRC.
    pub(crate) fn read(&self, entry: &str, limit: u64) -> Result<Bytes> {
        let mut zip = self.lock();
        let found = self.find(&mut zip, entry)?;
        if found.size > limit {
            let reason = format!("{} bytes, the limit is {limit}", found.size);
            return Err(Error::refused(self.label(entry), reason));
        }
        self.whole(&mut zip, &found, entry)
    }

    /// Reads `count` bytes of a storage from `start`. What is whole, or inflated, is checked against its CRC.
    pub(super) fn read_range(&self, entry: &str, start: u64, count: u64) -> Result<Part> {
        let mut zip = self.lock();
        let found = self.find(&mut zip, entry)?;
        let end = start.checked_add(count).filter(|end| *end <= found.size);
        let end = end.ok_or_else(|| {
            let reason = format!("{count} bytes from {start} are not in its {} bytes", found.size);
            Error::malformed(self.label(entry), reason)
        })?;
        if !found.is_stored {
            let mut storages = self.storages.lock().unwrap_or_else(PoisonError::into_inner);
            let of = match storages.get(&found.index) {
                Some(bytes) => bytes.clone(),
                None => self.whole(&mut zip, &found, entry)?,
            };
            storages.insert(found.index, of.clone());
            return Ok(Part { of, range: start as usize..end as usize });
        }
        let of = if count == found.size {
            self.whole(&mut zip, &found, entry)?
        } else {
            let mut file = zip.by_index_seek(found.index).map_err(|error| self.fail(entry, error))?;
            file.seek(SeekFrom::Start(start)).map_err(|error| self.fail(entry, error.into()))?;
            self.exactly(&mut file, count, entry)?
        };
        Ok(Part::whole(of))
    }

    /// An entry whose sizes are no larger than the file, or than a limit.
    fn find(&self, zip: &mut Zip, entry: &str) -> Result<Entry> {
        let malformed = |reason: String| Error::malformed(self.label(entry), reason);
        let index = zip
            .index_for_name_raw(format!("{}{entry}", self.root).as_bytes())
            .ok_or_else(|| malformed("no such entry in the archive".into()))?;
        let data = zip.by_index_data(index).map_err(|error| self.fail(entry, error))?;
        let (method, size, packed) = (data.compression(), data.size(), data.compressed_size());
        if packed > self.length {
            return Err(malformed(format!("{packed} bytes in a file of {}", self.length)));
        }
        match method {
            CompressionMethod::Stored if size != packed => {
                return Err(malformed(format!("stored, but its sizes differ: {size} and {packed}")));
            }
            CompressionMethod::Stored => {}
            CompressionMethod::Deflated => self.check_inflation(entry, size, packed)?,
            other => {
                return Err(Error::unsupported(format!("{} is compressed with {other}", self.label(entry))));
            }
        }
        Ok(Entry { index, size, is_stored: method == CompressionMethod::Stored })
    }

    fn whole(&self, zip: &mut Zip, found: &Entry, entry: &str) -> Result<Bytes> {
        let mut file = zip.by_index(found.index).map_err(|error| self.fail(entry, error))?;
        let bytes = self.exactly(&mut file, found.size, entry)?;
        // Only the read that finds the end compares the CRC.
        file.read(&mut [0]).map_err(|error| self.fail(entry, error.into()))?;
        Ok(bytes)
    }

    /// Reads so many bytes. They are counted at once, and allocated as they arrive: sizes from the directory are mere
    /// claims.
    fn exactly(&self, file: &mut impl Read, count: u64, entry: &str) -> Result<Bytes> {
        let held = self.budget.take(&self.label(entry), count)?;
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < count {
            let left = count - bytes.len() as u64;
            let more = left.min(bytes.len().max(FIRST_READ) as u64);
            // Exactly what is missing at the end, so that no more is allocated than was counted.
            bytes.try_reserve_exact(more as usize).map_err(|_| out_of_memory(&self.label(entry), count))?;
            let read = file.by_ref().take(more).read_to_end(&mut bytes);
            if read.map_err(|error| self.fail(entry, error.into()))? == 0 {
                return Err(self.fail(entry, io::Error::from(ErrorKind::UnexpectedEof).into()));
            }
        }
        Ok(Bytes::held(bytes, held))
    }

    fn check_inflation(&self, entry: &str, size: u64, packed: u64) -> Result<()> {
        let most = packed.saturating_mul(limits::COMPRESSION_RATIO).min(self.inflated);
        if size > most {
            let reason = format!("{packed} bytes inflate to {size}, the limit is {most}");
            return Err(Error::refused(self.label(entry), reason));
        }
        Ok(())
    }

    fn fail(&self, entry: &str, error: ZipError) -> Error {
        use ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
        self.budget.unless_cancelled(match error {
            ZipError::Io(error)
                if !matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof) =>
            {
                Error::Read { path: self.path.clone(), source: error }
            }
            ZipError::UnsupportedArchive(what) => {
                Error::unsupported(format!("{}: {what}", self.label(entry)))
            }
            error => Error::malformed(self.label(entry), error.to_string()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Zip> {
        // A reader that panicked leaves no state behind: each read seeks first.
        self.zip.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that a buffer has room for at first.
const FIRST_READ: usize = 1 << 20;

/// Refuses, with advice, what is no zip archive.
fn sniff(name: &str, head: &[u8]) -> Result<()> {
    let resave = "load it with a current torch and save it again with torch.save";
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        Ok(())
    } else if head.starts_with(b"version https://git-lfs.github.com/") {
        let reason =
            format!("{name} is a pointer of Git LFS and not the file itself; `git lfs pull` fetches it");
        Err(Error::NotAModel { reason })
    } else if head.get(257..262) == Some(b"ustar") {
        Err(Error::unsupported(format!(
            "{name} is a tar archive, the format of torch before 0.1.10; {resave}"
        )))
    } else if head.is_empty() {
        Err(Error::malformed(name, "the file is empty, expected a zip archive written by torch.save"))
    } else {
        let found = head.get(..16).unwrap_or(head).escape_ascii();
        let reason = format!("{name} starts with `{found}`, expected a zip archive written by torch.save");
        Err(Error::NotAModel { reason })
    }
}

/// The number of entries that the end records declare. More than the limit are refused: the `zip` crate reserves memory
/// by that number before it reads the first entry.
fn declared_entries(
    name: &str,
    source: &mut Source,
    length: u64,
    fail: impl Fn(io::Error) -> Error,
) -> Result<u64> {
    // The longest comment and the three end records; torch's own records are always in there.
    let start = length.saturating_sub((1 << 16) + 256);
    let tail = read_at(source, start, length - start).map_err(&fail)?;
    let number = |at: usize| {
        tail.get(at..)
            .and_then(|rest| rest.first_chunk())
            .map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes))
    };
    let mut declared = 0;
    let mut others = Vec::new();
    for (at, signature) in tail.windows(4).enumerate() {
        match signature {
            b"PK\x05\x06" => {
                let count = tail.get(at + 10..).and_then(|rest| rest.first_chunk());
                declared = declared.max(count.map_or(0, |count| u64::from(u16::from_le_bytes(*count))));
            }
            b"PK\x06\x06" if number(at + 4) > tail.len() as u64 => {
                return Err(Error::malformed(name, "the zip64 end record is larger than the file's tail"));
            }
            b"PK\x06\x06" => {
                let entries = number(at + 24).max(number(at + 32));
                if entries > limits::ENTRIES as u64 {
                    return Err(too_many_entries(name, entries));
                }
                declared = declared.max(entries);
            }
            b"PK\x06\x07" if number(at + 8) < start => {
                if is_at_the_end(&tail, at) {
                    return Err(Error::malformed(name, "the zip64 end record isn't at the file's end"));
                }
                // That of an archive which is stored in this one: its places count from its own start.
                others.push(number(at + 8));
            }
            _ => {}
        }
    }
    for place in others.into_iter().take(limits::ENTRIES) {
        let record = read_at(source, place, ZIP64_RECORD.min(length - place)).map_err(&fail)?;
        if record.starts_with(b"PK\x06\x06") {
            let count = |at: usize| record.get(at..).and_then(|rest| rest.first_chunk());
            let entries = [24, 32].map(|at| count(at).map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes)));
            if let Some(&most) = entries.iter().max().filter(|&&most| most > limits::ENTRIES as u64) {
                return Err(too_many_entries(name, most));
            }
        }
    }
    Ok(declared)
}

/// Bytes of a zip64 end record without what may follow in it.
const ZIP64_RECORD: u64 = 56;

/// Whether the zip64 locator at a place of a file's tail belongs to the end record that ends the file.
fn is_at_the_end(tail: &[u8], locator: usize) -> bool {
    let end = tail.get(locator + 20..).filter(|end| end.starts_with(b"PK\x05\x06"));
    let comment = end.and_then(|end| end.get(20..)?.first_chunk());
    comment.is_some_and(|comment| tail.len() == locator + 20 + 22 + usize::from(u16::from_le_bytes(*comment)))
}

fn too_many_entries(name: &str, found: u64) -> Error {
    Error::refused(name, format!("{found} entries in the archive, the limit is {}", limits::ENTRIES))
}

/// The one folder with a `data.pkl`, as a prefix that ends with a slash.
fn find_root(name: &str, zip: &Zip) -> Result<String> {
    let names = || zip.file_names_raw();
    let roots = names().filter_map(|entry| entry.strip_suffix(b"data.pkl"));
    let mut roots = roots.filter(|root| root.is_empty() || root.ends_with(b"/"));
    let Some(root) = roots.next() else {
        let reason = format!("{name} is a zip archive of {} entries without a data.pkl", zip.len());
        return Err(Error::NotAModel { reason });
    };
    if roots.next().is_some() {
        return Err(Error::malformed(name, "the archive has more than one data.pkl"));
    }
    String::from_utf8(root.to_vec()).map_err(|_| Error::malformed(name, "the archive's root is not UTF-8"))
}

/// Reads some bytes of the file's head or tail.
fn read_at(reader: &mut (impl Read + Seek), start: u64, count: u64) -> io::Result<Vec<u8>> {
    reader.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    reader.take(count).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == count { Ok(bytes) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// Counts the bytes read, and stops at a limit.
struct Meter {
    read: AtomicU64,
    limit: AtomicU64,
}

enum Medium {
    File(Counted),
    Memory(Cursor<Bytes>),
}

struct Source {
    medium: Medium,
    meter: Arc<Meter>,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.meter.limit.load(Relaxed).saturating_sub(self.meter.read.load(Relaxed));
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let (buffer, _) = buffer.split_at_mut(most);
        let count = match &mut self.medium {
            Medium::File(file) => file.read(buffer),
            Medium::Memory(cursor) => cursor.read(buffer),
        }?;
        self.meter.read.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}

impl Seek for Source {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        match &mut self.medium {
            Medium::File(file) => file.seek(position),
            Medium::Memory(cursor) => cursor.seek(position),
        }
    }
}
