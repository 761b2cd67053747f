//! Voxels as files store them: numbers of a type, plain, compressed or as text.

use std::fs::File;
use std::io::{BufReader, Read};

use flate2::bufread::ZlibDecoder;
use voxseg::nifti::Stored;
use voxseg::volume::DType;

use crate::{gzip, source};

/// Longest number in a text.
const WORD: usize = 64;

/// How they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Byte by byte.
    Raw,
    /// Deflate in a gzip container.
    Gzip,
    /// Deflate in a zlib container; ITK takes gzip's for it too.
    Zlib,
    /// Numbers between spaces.
    Text,
}

/// All that is needed to read them.
#[derive(Clone, Copy, Debug)]
pub struct Storage {
    /// What they are.
    pub kind: Stored,
    /// How many of them.
    pub count: usize,
    /// How they are stored.
    pub coding: Coding,
    /// Bytes before them, after decompression.
    pub skip: u64,
    /// Whether the first byte of each is the most significant one.
    pub big_endian: bool,
}

/// Reads voxels from where `file` is, in the machine's byte order.
pub fn read(mut file: BufReader<File>, storage: &Storage) -> Result<(DType, Vec<u8>), String> {
    let Storage { kind, count, skip, .. } = *storage;
    let needed = count.checked_mul(kind.size()).ok_or("impossible size")?;
    let gzip = gzip::is_next(&mut file).map_err(source::words)?;
    let coding = if storage.coding == Coding::Zlib && gzip { Coding::Gzip } else { storage.coding };
    let most = source::most(&file, matches!(coding, Coding::Gzip | Coding::Zlib));
    let mut bytes = match coding {
        Coding::Raw => after(file, skip, needed, most),
        Coding::Gzip => after(gzip::Reader::new(file), skip, needed, most),
        Coding::Zlib => after(ZlibDecoder::new(file), skip, needed, most),
        Coding::Text => text(file.bytes(), kind, count),
    }?;
    if coding != Coding::Text && storage.big_endian != cfg!(target_endian = "big") {
        swap_bytes(&mut bytes, kind.size());
    }
    Ok(typed(kind, bytes))
}

fn after(mut from: impl Read, skip: u64, needed: usize, most: u64) -> Result<Vec<u8>, String> {
    std::io::copy(&mut from.by_ref().take(skip), &mut std::io::sink()).map_err(source::words)?;
    source::exactly(from, needed, most)
}

/// `count` numbers between spaces.
fn text(
    letters: impl Iterator<Item = std::io::Result<u8>>,
    kind: Stored,
    count: usize,
) -> Result<Vec<u8>, String> {
    let (mut bytes, mut word, mut found) = (Vec::new(), String::new(), 0);
    for letter in letters.chain([Ok(b' ')]) {
        let letter = letter.map_err(|error| error.to_string())?;
        if !letter.is_ascii_whitespace() {
            word.push(char::from(letter));
        }
        let ends = letter.is_ascii_whitespace() && !word.is_empty();
        if ends || word.len() > WORD {
            if !ends || push(&word, kind, &mut bytes).is_none() {
                return Err(format!("voxel {found} is `{word}`, which is no number of the file's type"));
            }
            word.clear();
            found += 1;
        }
        if found == count {
            return Ok(bytes);
        }
    }
    Err(format!("truncated: {found} voxels instead of {count}"))
}

/// Adds the bytes of a number that is written as text; nothing if it is none of this type.
fn push(word: &str, kind: Stored, bytes: &mut Vec<u8>) -> Option<()> {
    macro_rules! whole {
        ($type:ty) => {{
            // Other programs may write 5 as 5.0.
            let whole = |value: f64| {
                let near = value as $type;
                (near as f64 == value).then_some(near)
            };
            let value = word.parse::<$type>().ok().or_else(|| word.parse().ok().and_then(whole))?;
            bytes.extend(value.to_ne_bytes());
        }};
    }
    match kind {
        Stored::Library(DType::I8) => whole!(i8),
        Stored::Library(DType::U8) => whole!(u8),
        Stored::Library(DType::I16) => whole!(i16),
        Stored::Library(DType::U16) => whole!(u16),
        Stored::Library(DType::I32) => whole!(i32),
        Stored::Library(DType::U32) => whole!(u32),
        Stored::I64 => whole!(i64),
        Stored::U64 => whole!(u64),
        Stored::Library(DType::F32) => bytes.extend((word.parse::<f64>().ok()? as f32).to_ne_bytes()),
        Stored::Library(DType::F64) => bytes.extend(word.parse::<f64>().ok()?.to_ne_bytes()),
        Stored::Library(DType::F16) => return None,
    }
    Some(())
}

/// Voxels in a type of the library: their own except for 64-bit whole numbers.
pub fn typed(kind: Stored, bytes: Vec<u8>) -> (DType, Vec<u8>) {
    let words = || bytes.as_chunks().0.iter();
    match kind {
        Stored::Library(dtype) => (dtype, bytes),
        Stored::I64 => narrowed(words().map(|&word| i64::from_ne_bytes(word).into())),
        Stored::U64 => narrowed(words().map(|&word| u64::from_ne_bytes(word).into())),
    }
}

/// Whole numbers of 64 bits as the narrowest type of the library that holds them all.
fn narrowed(values: impl Iterator<Item = i128> + Clone) -> (DType, Vec<u8>) {
    let fits = |low: i128, high: i128| values.clone().all(|value| (low..=high).contains(&value));
    if fits(i32::MIN.into(), i32::MAX.into()) {
        (DType::I32, values.flat_map(|value| (value as i32).to_ne_bytes()).collect())
    } else if fits(0, u32::MAX.into()) {
        (DType::U32, values.flat_map(|value| (value as u32).to_ne_bytes()).collect())
    } else {
        (DType::F64, values.flat_map(|value| (value as f64).to_ne_bytes()).collect())
    }
}

/// Turns the byte order of values of `size` bytes around.
pub fn swap_bytes(bytes: &mut [u8], size: usize) {
    if size > 1 {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
}

/// Voxels with the channels outermost, which lie between `inner` faster and `outer` slower voxels in the file.
pub fn planar(bytes: Vec<u8>, size: usize, [inner, channels, outer]: [usize; 3]) -> Vec<u8> {
    if channels == 1 || outer == 1 {
        return bytes;
    }
    let run = inner * size;
    let mut planar = Vec::with_capacity(bytes.len());
    for channel in 0..channels {
        for block in 0..outer {
            planar.extend(&bytes[(block * channels + channel) * run..][..run]);
        }
    }
    planar
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text_of: &str, kind: Stored, count: usize) -> Result<Vec<u8>, String> {
        text(text_of.bytes().map(Ok), kind, count)
    }

    #[test]
    fn numbers_between_spaces() {
        let short = Stored::Library(DType::I16);
        let bytes: Vec<u8> = [1_i16, -2, 3, 4].iter().flat_map(|value| value.to_ne_bytes()).collect();
        assert_eq!(numbers("1 -2\r\n 3.0\t+4", short, 4).unwrap(), bytes);
        assert_eq!(numbers("1 -2 3 4 what follows", short, 4).unwrap(), bytes);
        assert!(numbers("1 2 3", short, 4).unwrap_err().contains("3 voxels instead of 4"));
        for wrong in ["1 70000", "1 1.5", "1 nan", "1 2,3", "1 x", &"1".repeat(100)] {
            assert!(numbers(wrong, short, 2).unwrap_err().contains("is no number"), "{wrong}");
        }
        let floats = numbers("1.5 nan -inf 1e-3", Stored::Library(DType::F32), 4).unwrap();
        let floats: Vec<f32> = floats.as_chunks().0.iter().map(|&word| f32::from_ne_bytes(word)).collect();
        assert_eq!(
            (floats[0], floats[1].is_nan(), floats[2], floats[3]),
            (1.5, true, f32::NEG_INFINITY, 1e-3)
        );
        assert_eq!(numbers("18446744073709551615", Stored::U64, 1).unwrap(), [255; 8]);
    }

    #[test]
    fn channels_come_outermost() {
        let interleaved = vec![1, 2, 1, 2, 1, 2];
        assert_eq!(planar(interleaved.clone(), 1, [1, 2, 3]), [1, 1, 1, 2, 2, 2]);
        assert_eq!(planar(interleaved.clone(), 1, [3, 2, 1]), interleaved);
        assert_eq!(planar(vec![1, 1, 2, 2, 3, 3, 4, 4], 2, [1, 2, 2]), [1, 1, 3, 3, 2, 2, 4, 4]);
        assert_eq!(planar(vec![1, 2, 3, 4, 5, 6, 7, 8], 1, [2, 2, 2]), [1, 2, 5, 6, 3, 4, 7, 8]);
    }
    #[test]
    fn sixty_four_bits_are_narrowed() {
        assert_eq!(narrowed([-1, 5].into_iter()).0, DType::I32);
        assert_eq!(narrowed([0, 1 << 31].into_iter()).0, DType::U32);
        assert_eq!(narrowed([0, 1 << 40].into_iter()).0, DType::F64);
    }
}
