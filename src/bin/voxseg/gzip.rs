//! The gzip container around image files. Compressing is left to the `zip` crate, which the library has
//! anyway: an entry of an archive and a gzip file hold the same deflate stream.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::path::Path;

use nifti::object::GzDecodedFile;

/// The first bytes of every gzip file.
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Magic, deflate, no flags, no time (so that equal contents give equal files), no hint, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The contents of a file, decompressed when it is a gzip file whatever its name.
pub fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    let mut contents = Vec::new();
    if !file.fill_buf()?.starts_with(&MAGIC) {
        file.read_to_end(&mut contents)?;
        return Ok(contents);
    }
    // A gzip file may be several streams one after the other, as parallel compressors write it.
    while file.fill_buf()?.starts_with(&MAGIC) {
        let mut stream = GzDecodedFile::new(file);
        stream.read_to_end(&mut contents)?;
        file = stream.into_inner();
    }
    Ok(contents)
}

/// `contents` as a gzip file.
pub fn compress(contents: &[u8]) -> std::io::Result<Vec<u8>> {
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .large_file(contents.len() > u32::MAX as usize);
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("", options)?;
    archive.write_all(contents)?;
    let mut archive = archive.finish_into_readable()?;
    let mut entry = archive.by_index_raw(0)?;
    let checksum = entry.crc32();
    let mut file = HEADER.to_vec();
    entry.read_to_end(&mut file)?;
    file.extend(checksum.to_le_bytes());
    file.extend((contents.len() as u32).to_le_bytes());
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_file::tests::Folder;

    #[test]
    fn round_trip_of_several_streams() {
        let folder = Folder::new("gzip");
        let parts = [b"first ".repeat(40_000), Vec::new(), b"second".to_vec()];
        let file: Vec<u8> = parts.iter().flat_map(|part| compress(part).unwrap()).collect();
        let path = folder.file("streams.gz");
        std::fs::write(&path, file).unwrap();
        assert_eq!(read(&path).unwrap(), parts.concat());
    }

    #[test]
    fn damage_is_noticed() {
        let folder = Folder::new("gzip-damage");
        let mut file = compress(&[7; 1000]).unwrap();
        let end = file.len();
        file[end - 6] ^= 1;
        let path = folder.file("damaged.gz");
        std::fs::write(&path, file).unwrap();
        assert!(read(&path).is_err());
    }
}
