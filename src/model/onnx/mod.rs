//! ONNX files whose weights lie in other files ("external data"). ONNX Runtime would look for those wherever the
//! process happens to stand; here they come out of the model's own folder and are put into the file, so that nothing
//! opens a file later, and what runs is what was hashed.

// Files of strangers are read here: each place is asked for, none is taken for granted.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod external;
mod protobuf;
#[cfg(test)]
pub(super) mod tests;

use super::files::Files;
use crate::error::{Error, Result};
use crate::file::Bytes;
use external::{Data, ExternalRange};
use protobuf::{Field, Value, fields};

/// What protobuf can hold in one message, and so ONNX Runtime in one file.
const LARGEST: u64 = i32::MAX as u64;
/// Graphs within graphs, and other messages within each other.
const DEEPEST: usize = 64;

/// Reads an ONNX file of a model, together with the weights that it keeps in other files.
pub(super) fn read(files: &Files, name: &str) -> Result<Bytes> {
    let bytes = files.bytes(name)?;
    if bytes.get(4..8) == Some(b"ORTM") {
        let what =
            format!("{name} has ONNX Runtime's own format; the .onnx file that it was made from opens");
        return Err(Error::unsupported(what));
    }
    let mut places = Vec::new();
    find(name, Message::Model, &bytes, DEEPEST, &mut places)?;
    if places.is_empty() {
        return Ok(bytes);
    }
    let data = Data::read(files, name, &places)?;
    let size = bytes.len() as u64 + data.total();
    let too_large = |why: String| Error::refused(name, format!("{size} bytes with its other files, {why}"));
    // Lengths are written in five bytes, and each stands in two or more bytes of a message.
    let room = size + 2 * bytes.len() as u64;
    if size > LARGEST {
        return Err(too_large(format!("the limit is {LARGEST}")));
    }
    let (mut whole, mut held) = (Vec::new(), files.budget().take(name, 0)?);
    held.reserve(name, &mut whole, room as usize)?;
    fill(name, Message::Model, &bytes, &data, &mut whole)?;
    if whole.len() as u64 > LARGEST {
        return Err(too_large(format!("the limit is {LARGEST}")));
    }
    Ok(Bytes::held(whole, held))
}

/// The messages on the way from a file to its tensors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    Sparse,
    Tensor,
}

impl Message {
    /// The message in a field of this one, where tensors may be in it
    /// (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>).
    fn inner(self, field: &Field) -> Option<Message> {
        use Message::{Attribute, Function, Graph, Model, Node, Sparse, Tensor, Training};
        if !matches!(field.value, Value::Bytes(_)) {
            return None;
        }
        Some(match (self, field.number) {
            (Model, 7) | (Training, 1 | 2) | (Attribute, 6 | 11) => Graph,
            (Model, 20) => Training,
            (Model, 25) => Function,
            (Function, 7) | (Graph, 1) => Node,
            (Function, 11) | (Node, 5) => Attribute,
            (Graph, 15) | (Attribute, 22 | 23) => Sparse,
            (Graph, 5) | (Attribute, 5 | 10) | (Sparse, 1 | 2) => Tensor,
            _ => return None,
        })
    }
}

fn malformed(name: &str) -> impl Fn(String) -> Error {
    move |reason| Error::malformed(name, format!("not a right ONNX file: {reason}"))
}

/// Where the tensors are that aren't in the file.
fn find(
    name: &str,
    message: Message,
    bytes: &[u8],
    depth: usize,
    places: &mut Vec<ExternalRange>,
) -> Result<()> {
    if depth == 0 {
        return Err(Error::refused(name, format!("more than {DEEPEST} messages within each other")));
    }
    if message == Message::Tensor {
        places.extend(ExternalRange::of_tensor(bytes).map_err(malformed(name))?);
        return Ok(());
    }
    for field in fields(bytes) {
        let field = field.map_err(malformed(name))?;
        // The compiled form of a network for one device, which its provider may look for in files of its own.
        if message == Message::Node && field.number == 4 && field.value == Value::Bytes(b"EPContext") {
            let what = format!("{name} holds a network compiled for one device; export the network itself");
            return Err(Error::unsupported(what));
        }
        if let (Some(inner), Value::Bytes(bytes)) = (message.inner(&field), field.value) {
            find(name, inner, bytes, depth - 1, places)?;
        }
    }
    Ok(())
}

/// Copies a message, each tensor's bytes put into it. [`find`] has been through it, so that it isn't too deep.
fn fill(name: &str, message: Message, bytes: &[u8], data: &Data, whole: &mut Vec<u8>) -> Result<()> {
    if message == Message::Tensor
        && let Some(place) = ExternalRange::of_tensor(bytes).map_err(malformed(name))?
    {
        let others = fields(bytes).filter_map(std::result::Result::ok);
        others.filter(|field| !ExternalRange::is_told_by(field)).for_each(|field| whole.extend(field.whole));
        protobuf::bytes(whole, external::RAW_DATA, |whole| {
            whole.extend(data.bytes(&place));
            Ok(())
        })?;
        return Ok(());
    }
    for field in fields(bytes) {
        let field = field.map_err(malformed(name))?;
        match (message.inner(&field), field.value) {
            (Some(inner), Value::Bytes(bytes)) => {
                protobuf::bytes(whole, field.number, |whole| fill(name, inner, bytes, data, whole))?;
            }
            _ => whole.extend(field.whole),
        }
    }
    Ok(())
}
