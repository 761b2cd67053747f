//! Files that come from strangers: only regular ones are read, up to a limit, and whatever grows with them is counted
//! against a budget before it is made.

// Files of strangers are read here: each place is asked for, none is taken for granted.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod budget;
mod bytes;
mod counted;
mod excerpt;
pub(crate) mod json;

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error as IoError, Read};
use std::path::Path;

use crate::buffer;
use crate::error::{Error, Result};

pub use budget::Budget;
pub(crate) use budget::Held;
pub use bytes::Bytes;
pub(crate) use counted::Counted;
pub(crate) use excerpt::shorten;

/// Opens a file for reading. Pipes, sockets and devices are an error at once, as reading one may wait for ever or never
/// end.
///
/// # Errors
/// [`Error::Read`], which names the path and what it is.
pub fn open(path: &Path) -> Result<File> {
    let failed = |source| Error::Read { path: path.into(), source };
    // Opening a device can have effects of its own, so what is there is asked first, and again once it is open.
    let about = std::fs::metadata(path).map_err(failed)?;
    regular(&about).map_err(failed)?;
    let mut options = OpenOptions::new();
    options.read(true);
    without_waiting(&mut options);
    let file = options.open(path).map_err(failed)?;
    file.metadata().and_then(|about| regular(&about)).map_err(failed)?;
    Ok(file)
}

/// Reads a whole file of at most `limit` bytes, whatever the system says of its size.
///
/// # Errors
/// As [`open`]; [`Error::Refused`] for a larger file, [`Error::OutOfMemory`].
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = open(path)?;
    let size = size(path, &file)?;
    read_into(&mut bytes, path, size, &file, limit, |bytes, more| buffer::grow(bytes, &title(path), more))?;
    Ok(bytes)
}

/// The size of an open file, as the system says.
fn size(path: &Path, file: &File) -> Result<u64> {
    file.metadata().map(|about| about.len()).map_err(|source| Error::Read { path: path.into(), source })
}

/// Reads an open file, of which the system says its size, to its end; `reserve` makes room before bytes come.
fn read_into(
    bytes: &mut Vec<u8>,
    path: &Path,
    size: u64,
    file: impl Read,
    limit: u64,
    mut reserve: impl FnMut(&mut Vec<u8>, usize) -> Result<()>,
) -> Result<()> {
    let failed = |source| Error::Read { path: path.into(), source };
    if size > limit {
        return Err(too_large(path, limit));
    }
    // One byte more than expected, so that the end is found without growing.
    reserve(bytes, usize::try_from(size).unwrap_or(usize::MAX).saturating_add(1))?;
    let mut file = file.take(limit.saturating_add(1));
    loop {
        if bytes.len() == bytes.capacity() {
            reserve(bytes, CHUNK)?;
        }
        let room = (bytes.capacity() - bytes.len()) as u64;
        // Never beyond the capacity, so that nothing is allocated here.
        if file.by_ref().take(room).read_to_end(bytes).map_err(failed)? == 0 {
            break;
        }
    }
    if bytes.len() as u64 > limit { Err(too_large(path, limit)) } else { Ok(()) }
}

/// By how much a buffer grows for a file that has more than its size said.
const CHUNK: usize = 64 << 10;

fn too_large(path: &Path, limit: u64) -> Error {
    Error::refused(title(path), format!("more than {limit} bytes, which is the limit"))
}

/// The file's name for error texts.
pub(crate) fn title(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

pub(crate) fn out_of_memory(what: &str, bytes: u64) -> Error {
    Error::OutOfMemory { what: what.to_owned(), bytes }
}

fn regular(about: &Metadata) -> std::io::Result<()> {
    if about.is_file() {
        return Ok(());
    }
    Err(IoError::other(format!("it is {}, expected a file", kind(about))))
}

/// What is at a path, in words.
pub(crate) fn kind(about: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = about.file_type();
        if kind.is_fifo() {
            return "a pipe";
        } else if kind.is_socket() {
            return "a socket";
        } else if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    match (about.is_file(), about.is_dir()) {
        (true, _) => "a file",
        (_, true) => "a folder",
        _ => "neither a file nor a folder",
    }
}

/// Opening doesn't wait, should a pipe have come to the path in the meantime.
#[cfg(unix)]
fn without_waiting(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    // Means nothing to a regular file.
    options.custom_flags(libc::O_NONBLOCK);
}

#[cfg(not(unix))]
fn without_waiting(_options: &mut OpenOptions) {}

#[cfg(test)]
mod tests;
