//! Writes the files that seeds and fixed parts of models consist of.

use std::io::{Cursor, Write};

use serde_json::{Map, Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Names and shapes of tensors in single precision, all of whose elements are zero.
pub type Tensors<'a> = [(&'a str, &'a [usize])];

fn elements(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// A zip archive with these entries below `archive/`.
pub fn zip(entries: &[(&str, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(method);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(format!("archive/{name}"), options).expect("memory takes all");
        zip.write_all(bytes).expect("memory takes all");
    }
    zip.finish().expect("memory takes all").into_inner()
}

/// A checkpoint of `torch.save`: the tensors as a dictionary under `key` (or as the root), and members beside it.
pub fn checkpoint(
    tensors: &Tensors,
    key: Option<&str>,
    beside: &Map<String, Value>,
    method: CompressionMethod,
) -> Vec<u8> {
    let most = tensors.iter().map(|(_, shape)| elements(shape)).max().unwrap_or(0);
    let root = root(tensors, key, beside, most, b"");
    let data = vec![0; 4 * most];
    let entries = [("data.pkl", root), ("byteorder", b"little".to_vec()), ("data/0", data)];
    zip(&entries, method)
}

/// As [`checkpoint`], as torch wrote it before 1.6.
pub fn legacy(tensors: &Tensors) -> Vec<u8> {
    const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let most = tensors.iter().map(|(_, shape)| elements(shape)).max().unwrap_or(0);
    let system = json!({"protocol_version": 1001, "little_endian": true});
    let pickles = [
        pickle(&json!(1001)),
        pickle(&system),
        root(tensors, None, &Map::new(), most, b"N"),
        pickle(&json!(["0"])),
    ];
    let storage = [&(most as u64).to_le_bytes()[..], &vec![0; 4 * most]].concat();
    [MAGIC, &pickles.concat(), &storage].concat()
}

/// The pickle of a checkpoint whose tensors share a storage of `most` elements.
fn root(
    tensors: &Tensors,
    key: Option<&str>,
    beside: &Map<String, Value>,
    most: usize,
    view: &[u8],
) -> Vec<u8> {
    let mut state = b"}(".to_vec();
    for (name, shape) in tensors {
        put(&json!(name), &mut state);
        put_tensor(shape, most, view, &mut state);
    }
    state.push(b'u');
    let Some(key) = key else { return [b"\x80\x02", &state[..], b"."].concat() };
    let mut root = b"\x80\x02}(".to_vec();
    put(&json!(key), &mut root);
    root.extend(state);
    for (key, value) in beside {
        put(&json!(key), &mut root);
        put(value, &mut root);
    }
    [&root[..], b"u."].concat()
}

fn put_tensor(shape: &[usize], most: usize, view: &[u8], out: &mut Vec<u8>) {
    let strides: Vec<usize> = (1..=shape.len()).map(|axis| elements(&shape[axis..])).collect();
    out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    put(&json!("storage"), out);
    out.extend(b"ctorch\nFloatStorage\n");
    put(&json!("0"), out);
    put(&json!("cpu"), out);
    put(&json!(most), out);
    out.extend(view);
    out.extend(b"tQ");
    put(&json!(0), out);
    for sizes in [shape, &strides] {
        out.push(b'(');
        sizes.iter().for_each(|size| put(&json!(size), out));
        out.push(b't');
    }
    out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
}

/// The pickle of a JSON value.
pub fn pickle(value: &Value) -> Vec<u8> {
    let mut out = b"\x80\x02".to_vec();
    put(value, &mut out);
    out.push(b'.');
    out
}

/// The opcodes of a JSON value.
fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(b'N'),
        Value::Bool(value) => out.push(0x89 - u8::from(*value)),
        Value::Number(number) => match number.as_i64() {
            Some(value) => {
                out.extend([0x8a, 8]);
                out.extend(value.to_le_bytes());
            }
            None => {
                out.push(b'G');
                out.extend(number.as_f64().unwrap_or(0.0).to_be_bytes());
            }
        },
        Value::String(text) => {
            out.push(b'X');
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text.as_bytes());
        }
        Value::Array(list) => {
            out.extend(b"](");
            list.iter().for_each(|value| put(value, out));
            out.push(b'e');
        }
        Value::Object(members) => {
            out.extend(b"}(");
            for (key, value) in members {
                put(&json!(key), out);
                put(value, out);
            }
            out.push(b'u');
        }
    }
}

/// A safetensors file.
pub fn safetensors(tensors: &Tensors) -> Vec<u8> {
    let (mut header, mut at) = (Map::new(), 0);
    for (name, shape) in tensors {
        let end = at + 4 * elements(shape);
        header.insert((*name).to_owned(), json!({"dtype": "F32", "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; at]].concat()
}

/// A field of a protobuf message; `content` is under 16 KiB, `number` under 16.
pub fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    [&[number << 3 | 2, length as u8 | 0x80, (length >> 7) as u8][..], content].concat()
}

/// A field with a small number.
pub fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}
