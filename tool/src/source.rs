//! Files that are read: regular ones only, and no more of them than their header asks for.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

/// The largest ratio that deflate reaches, with a little room: what a compressed file can hold at most.
const DEFLATE: u64 = 1040;
/// Longest line of a text header.
const LINE: u64 = 1 << 16;
/// What is read over the voxels, so that a compressed stream comes to its checksum.
const REST: u64 = 1 << 16;

/// Opens a file. Folders, pipes and devices aren't opened: reading them could wait or go on for ever.
pub fn open(path: &Path) -> Result<BufReader<File>, String> {
    let file = voxseg::model::open_file(path).map_err(|error| match error {
        voxseg::Error::Read { source, .. } => source.to_string(),
        other => other.to_string(),
    })?;
    Ok(BufReader::with_capacity(1 << 16, file))
}

/// How many bytes the file can hold, decompressed if it is compressed.
pub fn most(file: &BufReader<File>, compressed: bool) -> u64 {
    let size = file.get_ref().metadata().map_or(0, |about| about.len());
    if compressed { size.saturating_mul(DEFLATE) } else { size }
}

/// Appends the next `count` bytes, or all that there are, of a file that can't hold more than `most`.
pub fn append(from: &mut impl Read, bytes: &mut Vec<u8>, count: usize, most: u64) -> Result<(), String> {
    let room = usize::try_from(most).map_or(count, |most| most.min(count));
    bytes.try_reserve_exact(room).map_err(|_| format!("{room} bytes don't fit into memory"))?;
    from.take(count as u64).read_to_end(bytes).map_err(words)?;
    Ok(())
}

/// Ends reading. What follows the voxels is of no interest, as to ITK, but a checksum close after them is looked at.
pub fn finish(from: impl Read) -> Result<(), String> {
    std::io::copy(&mut from.take(REST), &mut std::io::sink()).map_err(words)?;
    Ok(())
}

/// The next `needed` bytes of voxels, and nothing else, of a file that can't hold more than `most`.
pub fn exactly(mut from: impl Read, needed: usize, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    append(&mut from, &mut bytes, needed, most)?;
    if bytes.len() < needed {
        return Err(format!("truncated: {} bytes of voxels instead of {needed}", bytes.len()));
    }
    finish(from)?;
    Ok(bytes)
}

/// The next line without its end; nothing at the end of the file.
pub fn line(from: &mut impl BufRead) -> Result<Option<Vec<u8>>, String> {
    let mut line = Vec::new();
    from.take(LINE).read_until(b'\n', &mut line).map_err(words)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') && line.len() as u64 == LINE {
        return Err("no header: a line has no end".into());
    }
    while line.last().is_some_and(|&byte| byte == b'\n' || byte == b'\r') {
        line.pop();
    }
    Ok(Some(line))
}

/// What is wrong with a compressed stream, in words.
pub fn words(error: std::io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "truncated: the compressed data end too early".into(),
        ErrorKind::InvalidInput | ErrorKind::InvalidData => {
            format!("the compressed data are damaged: {error}")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_file::tests::Folder;

    #[test]
    fn no_more_than_needed_is_read_and_no_less_is_taken() {
        assert_eq!(exactly(std::io::repeat(7), 3, u64::MAX).unwrap(), [7; 3]);
        assert!(exactly(&b"ab"[..], 3, 2).unwrap_err().contains("2 bytes of voxels instead of 3"));
        assert!(exactly(std::io::repeat(7), usize::MAX, u64::MAX).unwrap_err().contains("memory"));
        assert!(exactly(&b"ab"[..], usize::MAX, 2).unwrap_err().contains("truncated"));
    }

    #[test]
    fn lines_have_ends() {
        let mut text = &b"a\r\n\nb"[..];
        let lines: Vec<_> = std::iter::from_fn(|| line(&mut text).unwrap()).collect();
        assert_eq!(lines, [b"a".to_vec(), Vec::new(), b"b".to_vec()]);
        assert!(line(&mut BufReader::new(std::io::repeat(b'a'))).is_err());
    }

    #[test]
    fn only_files_are_opened() {
        let folder = Folder::new("source");
        assert!(open(&folder.file("")).unwrap_err().contains("folder"));
        assert!(open(&folder.file("missing")).is_err());
        #[cfg(unix)]
        assert!(open(Path::new("/dev/zero")).unwrap_err().contains("device"));
    }
}
