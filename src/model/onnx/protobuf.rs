//! The coding of protobuf, as far as copying messages needs it (<https://protobuf.dev/programming-guides/encoding>).

use crate::error::Result;

/// Bytes of a length that is written before it is known: enough for messages of up to 2 GiB.
const LENGTH: usize = 5;

/// A field of a message.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) value: Value<'a>,
    /// All of it, as it stands in the message.
    pub(super) whole: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    /// A text, a message or a packed list.
    Bytes(&'a [u8]),
    /// Four or eight bytes of a number.
    Fixed,
}

/// The fields of a message in their order; after an error there are none.
pub(super) fn fields(message: &[u8]) -> impl Iterator<Item = std::result::Result<Field<'_>, String>> {
    let mut left = message;
    std::iter::from_fn(move || {
        if left.is_empty() {
            return None;
        }
        let start = left;
        let field =
            take(&mut left).ok_or_else(|| "a field that doesn't end, or isn't of a known kind".into());
        let field = field.map(|(number, value)| Field {
            number,
            value,
            whole: start.get(..start.len() - left.len()).unwrap_or_default(),
        });
        if field.is_err() {
            left = &[];
        }
        Some(field)
    })
}

fn take<'a>(left: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let key = varint(left)?;
    let value = match key & 7 {
        0 => Value::Number(varint(left)?),
        1 => fixed(left, 8)?,
        2 => {
            let length = usize::try_from(varint(left)?).ok()?;
            let (bytes, rest) = left.split_at_checked(length)?;
            *left = rest;
            Value::Bytes(bytes)
        }
        5 => fixed(left, 4)?,
        _ => return None,
    };
    // Numbers have 29 bits; a reader that cuts them off would take a larger one for another field.
    (1..1 << 29).contains(&(key >> 3)).then_some((key >> 3, value))
}

fn fixed<'a>(left: &mut &[u8], size: usize) -> Option<Value<'a>> {
    *left = left.split_at_checked(size)?.1;
    Some(Value::Fixed)
}

/// A number of up to ten groups of seven bits, the lowest first.
pub(super) fn varint(left: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for group in 0..10 {
        let (&byte, rest) = left.split_first()?;
        *left = rest;
        // The bits beyond 64 are dropped, as other readers do it.
        value |= u64::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Writes a field of bytes; `write` writes these.
pub(super) fn bytes(
    whole: &mut Vec<u8>,
    number: u64,
    write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let mut key = number << 3 | 2;
    while key >= 0x80 {
        whole.push(key as u8 | 0x80);
        key >>= 7;
    }
    whole.push(key as u8);
    let start = whole.len();
    whole.extend([0; LENGTH]);
    write(whole)?;
    let length = (whole.len() - start - LENGTH) as u64;
    // All five groups are written, whether they are needed or not.
    for (group, byte) in whole.iter_mut().skip(start).take(LENGTH).enumerate() {
        let more = if group + 1 < LENGTH { 0x80 } else { 0 };
        *byte = (length >> (7 * group)) as u8 & 0x7f | more;
    }
    Ok(())
}
