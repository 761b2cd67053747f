//! The gzip container around image files.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};

use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};

/// The first bytes of every gzip file.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Whether a gzip stream comes next.
pub fn is_next(file: &mut BufReader<File>) -> std::io::Result<bool> {
    Ok(file.fill_buf()?.starts_with(&MAGIC))
}

/// The contents of a gzip file. It may be several streams one after the other, as parallel compressors write it.
pub struct Reader(Option<GzDecoder<BufReader<File>>>);

impl Reader {
    /// Decompresses from where `file` is.
    pub fn new(file: BufReader<File>) -> Self {
        Reader(Some(GzDecoder::new(file)))
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while let Some(stream) = &mut self.0 {
            let count = stream.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            // Padding after the last stream is no part of the file. One byte must be enough to tell, since a buffer may
            // end anywhere.
            let more = stream.get_mut().fill_buf()?.first() == Some(&MAGIC[0]);
            self.0 = self.0.take().filter(|_| more).map(|stream| GzDecoder::new(stream.into_inner()));
        }
        Ok(0)
    }
}

/// Writes `contents` as a gzip file, without a time, so that equal contents give equal files.
pub fn write(out: impl Write, contents: &[u8]) -> std::io::Result<()> {
    let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(out, Compression::new(6));
    encoder.write_all(contents)?;
    encoder.finish()?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_file::tests::Folder;
    use crate::source;

    fn compress(contents: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        write(&mut file, contents).unwrap();
        file
    }

    fn read(folder: &Folder, file: &[u8]) -> std::io::Result<Vec<u8>> {
        let path = folder.file("file.gz");
        std::fs::write(&path, file).unwrap();
        let mut source = source::open(&path).unwrap();
        assert!(is_next(&mut source).unwrap());
        let mut contents = Vec::new();
        Reader::new(source).read_to_end(&mut contents).map(|_| contents)
    }

    #[test]
    fn round_trip_of_several_streams() {
        let folder = Folder::new("gzip");
        let parts = [b"first ".repeat(40_000), Vec::new(), b"second".to_vec()];
        let file: Vec<u8> = parts.iter().flat_map(|part| compress(part)).collect();
        assert_eq!(read(&folder, &file).unwrap(), parts.concat());
        assert_eq!(read(&folder, &[file, vec![0; 512]].concat()).unwrap(), parts.concat());
    }

    /// The second stream begins where a buffer of the reader has one byte left.
    #[test]
    fn streams_meet_anywhere() {
        let folder = Folder::new("gzip-border");
        let noise = |length: usize| -> Vec<u8> {
            let mut state = 1_u32;
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            (0..length).map(|_| next()).collect()
        };
        let border = (1 << 16) - 1;
        let first = (65_400..).map(noise).find(|noise| compress(noise).len() == border).unwrap();
        let file = [compress(&first), compress(b"second")].concat();
        assert_eq!(read(&folder, &file).unwrap(), [first, b"second".to_vec()].concat());
    }

    #[test]
    fn damage_is_noticed_and_named() {
        let folder = Folder::new("gzip-damage");
        let mut file = compress(&[7; 1000]);
        let end = file.len();
        let cut = read(&folder, &file[..end - 5]).unwrap_err();
        assert!(source::words(cut).contains("too early"));
        file[end - 6] ^= 1;
        let damaged = read(&folder, &file).unwrap_err();
        assert!(source::words(damaged).contains("damaged"));
    }
}
