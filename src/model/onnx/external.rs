//! Tensors that lie in a file of their own, and these files.

use std::collections::BTreeMap;

use super::protobuf::{Field, Value, fields, varint};
use super::{Files, LARGEST};
use crate::error::{Error, Result};
use crate::file::{Bytes, shorten};
use crate::model::files::inside;

const DIMS: u64 = 1;
const DATA_TYPE: u64 = 2;
pub(super) const RAW_DATA: u64 = 9;
const EXTERNAL_DATA: u64 = 13;
const DATA_LOCATION: u64 = 14;

/// Files that the weights of one network may be in: exporters write one, or one for each tensor.
const MOST_FILES: usize = 10_000;

/// Where a tensor's bytes are.
#[derive(Debug)]
pub(super) struct ExternalRange {
    location: String,
    offset: u64,
    length: u64,
}

impl ExternalRange {
    /// What a tensor says of it; `None` where its bytes are in it.
    pub(super) fn of_tensor(tensor: &[u8]) -> std::result::Result<Option<ExternalRange>, String> {
        let (mut elements, mut kind, mut outside, mut entries) = (Some(1_u64), 0, false, BTreeMap::new());
        let mut dim = |size: u64| elements = elements.and_then(|product| product.checked_mul(size));
        for field in fields(tensor) {
            let field = field?;
            match (field.number, field.value) {
                (DIMS, Value::Number(size)) => dim(size),
                (DIMS, Value::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        dim(varint(&mut packed).ok_or("sizes of a tensor that don't end")?);
                    }
                }
                (DATA_TYPE, Value::Number(number)) => kind = number,
                (DATA_LOCATION, Value::Number(number)) => outside = number == 1,
                (EXTERNAL_DATA, Value::Bytes(entry)) => {
                    let (key, value) = entry_of(entry)?;
                    entries.insert(key, value);
                }
                _ => {}
            }
        }
        if !outside {
            return Ok(None);
        }
        let location = entries.remove("location").ok_or("a tensor in another file that it doesn't name")?;
        let mut number = |key: &str| match entries.remove(key) {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| {
                format!("a tensor in {} with the {key} \"{}\"", shorten(&location), shorten(&text))
            }),
        };
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let bits = bits(kind).ok_or_else(|| format!("a tensor of type {kind} in {}", shorten(&location)))?;
        let needed = elements.and_then(|count| count.checked_mul(bits)).map(|bits| bits.div_ceil(8));
        let needed =
            needed.ok_or_else(|| format!("a tensor in {} with too many elements", shorten(&location)))?;
        if let Some(other) = length.filter(|length| *length != needed) {
            let place = shorten(&location);
            return Err(format!("a tensor in {place} of {other} bytes whose shape and type need {needed}"));
        }
        Ok(Some(ExternalRange { location, offset, length: needed }))
    }

    /// Whether a field of a tensor says where its bytes are, or is them.
    pub(super) fn is_told_by(field: &Field) -> bool {
        [RAW_DATA, EXTERNAL_DATA, DATA_LOCATION].contains(&field.number)
    }
}

/// A key with its value.
fn entry_of(entry: &[u8]) -> std::result::Result<(String, String), String> {
    let (mut key, mut value) = (String::new(), String::new());
    for field in fields(entry) {
        let field = field?;
        let Value::Bytes(bytes) = field.value else { continue };
        let text = || String::from_utf8(bytes.to_vec()).map_err(|_| "a name that isn't UTF-8".to_owned());
        match field.number {
            1 => key = text()?,
            2 => value = text()?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Bits of an element, by ONNX's number of its type. Texts have none, and are never outside.
fn bits(kind: u64) -> Option<u64> {
    Some(match kind {
        25 | 26 => 2,
        21..=23 => 4,
        2 | 3 | 9 | 17..=20 | 24 => 8,
        4 | 5 | 10 | 16 => 16,
        1 | 6 | 12 => 32,
        7 | 11 | 13 | 14 => 64,
        15 => 128,
        _ => return None,
    })
}

/// The files that tensors lie in, by how the ONNX file calls them.
pub(super) struct Data {
    files: BTreeMap<String, Bytes>,
    total: u64,
}

impl Data {
    /// Reads the files of these places; `name` is the ONNX file's, in whose folder they are.
    pub(super) fn read(files: &Files, name: &str, places: &[ExternalRange]) -> Result<Self> {
        let folder = name.rfind('/').map_or("", |slash| &name[..=slash]);
        let mut data = Data { files: BTreeMap::new(), total: 0 };
        for ExternalRange { location, length, .. } in places {
            data.total = data.total.saturating_add(*length);
            if data.files.contains_key(location) {
                continue;
            }
            let Some(own) = inside(location) else {
                let reason = format!("its weights are in {}, outside of its folder", shorten(location));
                return Err(Error::refused(name, reason));
            };
            if data.files.len() >= MOST_FILES {
                return Err(Error::refused(name, format!("its weights are in more than {MOST_FILES} files")));
            }
            let own = format!("{folder}{own}");
            if !files.has(&own) {
                let reason = format!("{name} keeps weights in {own}, which is missing in {}", files.title());
                return Err(Error::NotAModel { reason });
            }
            data.files.insert(location.clone(), files.bytes(&own)?);
        }
        for place in places {
            let ExternalRange { location, offset, length } = place;
            let size = data.files.get(location).map_or(0, |file| file.len() as u64);
            if offset.checked_add(*length).is_none_or(|end| end > size) {
                let location = shorten(location);
                let reason = format!(
                    "{length} bytes from {offset} of {location} are a tensor, but it has {size} bytes"
                );
                return Err(Error::malformed(name, reason));
            }
        }
        // Tensors may share bytes, but a small file isn't to become a large one by that.
        let held: u64 = data.files.values().map(|file| file.len() as u64).sum();
        if data.total > held.saturating_mul(2).min(LARGEST) {
            let reason = format!("its tensors take {} bytes of files of {held} bytes", data.total);
            return Err(Error::refused(name, reason));
        }
        Ok(data)
    }

    /// Bytes of all tensors together.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// A tensor's bytes; [`Data::read`] has seen that they are there.
    pub(super) fn bytes(&self, place: &ExternalRange) -> &[u8] {
        let range = place.offset as usize..(place.offset + place.length) as usize;
        self.files.get(&place.location).and_then(|file| file.get(range)).unwrap_or_default()
    }
}
