//! The tests write their own small checkpoints; the reference ones are read where they are present.

use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::sync::Arc;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{Checkpoint, Value};
use crate::error::{Error, Result};

// A writer of pickles: each function yields the opcodes of one value.

fn text(value: &str) -> Vec<u8> {
    [b"X", &(value.len() as u32).to_le_bytes()[..], value.as_bytes()].concat()
}

fn int(value: i64) -> Vec<u8> {
    [&b"\x8a\x08"[..], &value.to_le_bytes()].concat()
}

fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

fn ints(values: &[i64]) -> Vec<u8> {
    tuple(&values.iter().map(|value| int(*value)).collect::<Vec<_>>())
}

fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = items.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
    [b"}(", &items[..], b"u"].concat()
}

fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

fn call(function: Vec<u8>, arguments: &[Vec<u8>]) -> Vec<u8> {
    [function, tuple(arguments), b"R".to_vec()].concat()
}

fn storage(kind: Vec<u8>, key: &str, numel: i64) -> Vec<u8> {
    [tuple(&[text("storage"), kind, text(key), text("cuda:0"), int(numel)]), b"Q".to_vec()].concat()
}

fn tensor(kind: &str, key: &str, numel: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let storage = storage(global("torch", kind), key, numel);
    let hooks = call(global("collections", "OrderedDict"), &[]);
    let arguments = [storage, int(offset), ints(shape), ints(strides), b"\x89".to_vec(), hooks];
    call(global("torch._utils", "_rebuild_tensor_v2"), &arguments)
}

fn pickle(value: Vec<u8>) -> Vec<u8> {
    [b"\x80\x02", &value[..], b"."].concat()
}

fn archive_with(method: CompressionMethod, entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(method);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(format!("archive/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn archive(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    archive_with(CompressionMethod::Stored, entries)
}

fn open(bytes: Vec<u8>) -> Result<Checkpoint> {
    Checkpoint::from_bytes("test.pth", bytes.into())
}

/// A checkpoint with this root and one storage `0` of these bytes.
fn checkpoint(root: Vec<u8>, data: &[u8]) -> Checkpoint {
    open(archive(&[("data.pkl", pickle(root)), ("data/0", data.to_vec())])).unwrap()
}

/// A state dict of single-precision tensors with these names and shapes, all zero.
pub(crate) fn state_dict(tensors: &[(&str, Vec<usize>)]) -> Checkpoint {
    let most = tensors.iter().map(|(_, shape)| shape.iter().product::<usize>()).max().unwrap_or(0);
    checkpoint(dict(&zeros(tensors, most)), &vec![0; 4 * most])
}

/// Tensors of these shapes that all have the storage `0` of `most` elements.
fn zeros<'a>(tensors: &[(&'a str, Vec<usize>)], most: usize) -> Vec<(&'a str, Vec<u8>)> {
    let item = |(name, shape): &(&'a str, Vec<usize>)| {
        let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        let strides: Vec<i64> = (1..=shape.len()).map(|axis| shape[axis..].iter().product()).collect();
        (*name, tensor("FloatStorage", "0", most as i64, 0, &shape, &strides))
    };
    tensors.iter().map(item).collect()
}

/// A file with a state dict of such tensors under a key, and a JSON object's members beside it.
pub(crate) fn file_with(tensors: &[(&str, Vec<usize>)], key: &str, others: &serde_json::Value) -> Vec<u8> {
    let most = tensors.iter().map(|(_, shape)| shape.iter().product::<usize>()).max().unwrap_or(0);
    let weights = dict(&zeros(tensors, most));
    let others = others.as_object().unwrap().iter().map(|(key, value)| (key.as_str(), of_json(value)));
    let root = dict(&others.chain([(key, weights)]).collect::<Vec<_>>());
    archive(&[("data.pkl", pickle(root)), ("data/0", vec![0; 4 * most])])
}

fn of_json(value: &serde_json::Value) -> Vec<u8> {
    use serde_json::Value as Json;
    match value {
        Json::Null => b"N".to_vec(),
        Json::Bool(value) => vec![0x89 - u8::from(*value)],
        Json::Number(number) => match number.as_i64() {
            Some(value) => int(value),
            None => [&b"G"[..], &number.as_f64().unwrap().to_be_bytes()].concat(),
        },
        Json::String(value) => text(value),
        Json::Array(list) => [&b"]("[..], &list.iter().flat_map(of_json).collect::<Vec<u8>>(), b"e"].concat(),
        Json::Object(members) => {
            dict(&members.iter().map(|(key, value)| (key.as_str(), of_json(value))).collect::<Vec<_>>())
        }
    }
}

fn load(opcodes: Vec<u8>) -> Result<Checkpoint> {
    open(archive(&[("data.pkl", opcodes)]))
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn read_root(root: Vec<u8>, data: &[u8]) -> Result<Vec<f32>> {
    let checkpoint = checkpoint(root, data);
    let tensor = checkpoint.root().as_tensor().expect("a tensor");
    checkpoint.read_f32(&tensor)
}

macro_rules! assert_error {
    ($result:expr, $variant:ident, $($part:expr),*) => {
        match $result {
            Err(error @ Error::$variant { .. }) => {
                let text = error.to_string();
                $(assert!(text.contains($part), "{text}");)*
            }
            other => panic!("{other:?}"),
        }
    };
}

mod hostile;
mod legacy;

#[test]
fn values_have_their_types() {
    let scalar = |module: &str, code: &str, order: &str, bytes: &str| {
        let kind = call(global("numpy", "dtype"), &[text(code), b"\x89".to_vec(), b"\x88".to_vec()]);
        let state = tuple(&[int(3), text(order), b"N".to_vec(), b"N".to_vec(), b"N".to_vec()]);
        let kind = [kind, state, b"b".to_vec()].concat();
        let bytes = call(global("_codecs", "encode"), &[text(bytes), text("latin1")]);
        call(global(module, "scalar"), &[kind, bytes])
    };
    let root = dict(&[
        ("none", b"N".to_vec()),
        ("true", b"\x88".to_vec()),
        ("int", b"J\xfe\xff\xff\xff".to_vec()),
        ("long", b"\x8a\x02\x00\xff".to_vec()),
        ("huge", [&b"\x8a\x09"[..], &[0, 0, 0, 0, 0, 0, 0, 0, 1]].concat()),
        ("float", b"G\x3f\xf8\0\0\0\0\0\0".to_vec()),
        ("twice", int(1)),
        ("f8", scalar("numpy.core.multiarray", "f8", "<", "\0\0\0\0\0\0\u{f8}\u{3f}")),
        ("big f4", scalar("numpy._core.multiarray", "f4", ">", "\u{3f}\u{c0}\0\0")),
        ("i2", scalar("numpy._core.multiarray", "i2", "<", "\u{fe}\u{ff}")),
        ("device", call(global("torch", "device"), &[text("cuda"), int(0)])),
        ("size", call(global("torch", "Size"), &[ints(&[4, 5])])),
        ("set", call(global("__builtin__", "set"), &[[b"](", &int(7)[..], b"e"].concat()])),
        ("twice", int(2)),
    ]);
    let checkpoint = load(pickle(root)).unwrap();
    let get = |key: &str| checkpoint.root().get(key).unwrap();
    assert!(get("none").is_none());
    assert_eq!(get("true").as_bool(), Some(true));
    assert_eq!((get("int").as_int(), get("int").as_float()), (Some(-2), Some(-2.0)));
    assert_eq!(get("long").as_int(), Some(-256));
    assert_eq!((get("huge").as_int(), get("huge").as_float()), (None, Some(2f64.powi(64))));
    assert_eq!(get("float").as_float(), Some(1.5));
    assert_eq!(get("twice").as_int(), Some(2));
    assert_eq!(get("f8").as_float(), Some(1.5));
    assert_eq!(get("big f4").as_float(), Some(1.5));
    assert_eq!(get("i2").as_int(), Some(-2));
    assert_eq!(get("device").describe(), "opaque torch.device");
    assert_eq!(get("size").iter().filter_map(Value::as_int).collect::<Vec<_>>(), [4, 5]);
    assert_eq!((get("set").describe(), get("set").iter().len()), ("set".to_owned(), 1));
    assert_eq!(checkpoint.root().items().count(), 13);
    assert!(checkpoint.root().get("absent").is_none());
}

#[test]
fn memoised_containers_are_shared_and_may_be_cyclic() {
    // A list, memoised before it is filled with itself, twice in a dict.
    let root = dict(&[("a", b"]q\x00h\x00aK\x05a".to_vec()), ("b", b"h\x00".to_vec())]);
    let checkpoint = load(pickle(root)).unwrap();
    let (a, b) = (checkpoint.root().get("a").unwrap(), checkpoint.root().get("b").unwrap());
    assert!(a.is(b) && b.iter().next().unwrap().is(a));
    assert_eq!(b.iter().nth(1).unwrap().as_int(), Some(5));
}

#[test]
fn opaque_values_do_nothing() {
    let marker = std::env::temp_dir().join("voxseg-must-not-exist");
    let command = text(&format!("touch {}", marker.display()));
    let system = call(global("os", "system"), std::slice::from_ref(&command));
    let built = [call(global("my.pkg", "Trainer"), &[]), dict(&[("x", int(1))]), b"b".to_vec()].concat();
    let filled = [global("my.pkg", "Dict"), b")\x81(".to_vec(), text("k"), int(1), b"u".to_vec()].concat();
    let nested = call(call(global("builtins", "getattr"), std::slice::from_ref(&command)), &[command]);
    let root =
        dict(&[("bad", system), ("built", built), ("filled", filled), ("n", nested), ("good", int(3))]);
    let checkpoint = load(pickle(root)).unwrap();
    let describe = |key: &str| checkpoint.root().get(key).unwrap().describe();
    assert_eq!(describe("bad"), "opaque os.system");
    assert_eq!(describe("built"), "opaque my.pkg.Trainer");
    assert_eq!(describe("filled"), "opaque my.pkg.Dict");
    assert_eq!(describe("n"), "opaque builtins.getattr");
    assert!(checkpoint.root().get("bad").unwrap().as_tensor().is_none());
    assert_eq!(checkpoint.root().get("good").unwrap().as_int(), Some(3));
    assert!(!marker.exists());
}

#[test]
fn every_type_converts_in_both_byte_orders() {
    let cases: [(&str, Vec<u8>, f32); 9] = [
        ("HalfStorage", half::f16::from_f32(-2.5).to_le_bytes().into(), -2.5),
        ("BFloat16Storage", half::bf16::from_f32(-2.5).to_le_bytes().into(), -2.5),
        ("FloatStorage", (-2.5f32).to_le_bytes().into(), -2.5),
        ("DoubleStorage", (-2.5f64).to_le_bytes().into(), -2.5),
        ("CharStorage", (-3i8).to_le_bytes().into(), -3.0),
        ("ByteStorage", vec![200], 200.0),
        ("ShortStorage", (-300i16).to_le_bytes().into(), -300.0),
        ("IntStorage", (-70_000i32).to_le_bytes().into(), -70_000.0),
        ("LongStorage", (-70_000i64).to_le_bytes().into(), -70_000.0),
    ];
    for (kind, mut bytes, expected) in cases {
        for order in ["little", "big"] {
            let root = tensor(kind, "0", 2, 1, &[1], &[1]);
            let data = [vec![0; bytes.len()], bytes.clone()].concat();
            let entries = [("data.pkl", pickle(root)), ("byteorder", order.into()), ("data/0", data)];
            let checkpoint = open(archive(&entries)).unwrap();
            let tensor = checkpoint.root().as_tensor().unwrap();
            assert_eq!(checkpoint.read_f32(&tensor).unwrap(), [expected], "{kind} {order}");
            bytes.reverse();
        }
    }
    let found = read_root(tensor("BoolStorage", "0", 1, 0, &[], &[]), &[1]);
    assert_error!(found, TensorMismatch, "bool");
    let complex = checkpoint(tensor("ComplexFloatStorage", "0", 1, 0, &[1], &[1]), &[0; 8]);
    assert!(complex.root().as_tensor().is_none());
    let entries = [("data.pkl", pickle(b"N".to_vec())), ("byteorder", b"middle".to_vec())];
    assert_error!(open(archive(&entries)), Malformed, "archive/byteorder");
}

#[test]
fn untyped_storages_take_the_type_of_the_tensor() {
    let storage = storage(global("torch.storage", "UntypedStorage"), "0", 8);
    let hooks = b"N".to_vec();
    let kind = global("torch", "float32");
    let rest = [storage, int(0), ints(&[2]), ints(&[1]), b"\x89".to_vec(), hooks, kind];
    let parameter = call(global("torch._utils", "_rebuild_tensor_v3"), &rest);
    let root =
        call(global("torch._utils", "_rebuild_parameter"), &[parameter, b"\x88".to_vec(), b"N".to_vec()]);
    assert_eq!(read_root(root, &floats(&[1.0, 2.0])).unwrap(), [1.0, 2.0]);
}

#[test]
fn views_are_read_in_row_major_order() {
    let data = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let read = |offset, shape: &[i64], strides: &[i64]| {
        read_root(tensor("FloatStorage", "0", 7, offset, shape, strides), &data)
    };
    assert_eq!(read(0, &[2, 3], &[3, 1]).unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(read(1, &[3, 2], &[1, 3]).unwrap(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(read(2, &[2, 1, 2], &[3, 99, 1]).unwrap(), [2.0, 3.0, 5.0, 6.0]);
    assert_eq!(read(6, &[2, 2], &[0, 0]).unwrap(), [6.0; 4]);
    assert_eq!(read(6, &[], &[]).unwrap(), [6.0]);
    assert_eq!(read(99, &[4, 0], &[1, 1]).unwrap(), [0.0; 0]);
    assert_error!(read(1, &[2, 3], &[4, 1]), Malformed, "test.pth: archive/data/0", "[4, 1]", "7 elements");
    assert_error!(read(7, &[1], &[1]), Malformed, "exceeds");
    assert_error!(read(0, &[2], &[i64::MAX]), Malformed, "exceeds");
    assert_error!(read(i64::MAX, &[3, 3], &[i64::MAX, i64::MAX]), Malformed, "exceeds");
    assert_error!(read(0, &[i64::MAX; 3], &[0; 3]), Malformed, "overflows");
    assert_error!(read(0, &[1 << 40], &[0]), Refused, "limit");
    for (shape, strides) in [(&[2][..], &[-1][..]), (&[-1], &[1]), (&[2, 2], &[1]), (&[1; 17], &[1; 17])] {
        let checkpoint = checkpoint(tensor("FloatStorage", "0", 7, 0, shape, strides), &data);
        assert!(checkpoint.root().as_tensor().is_none());
        assert_eq!(checkpoint.root().describe(), "malformed tensor");
    }
}

#[test]
fn aliases_are_recognised_and_storages_checked() {
    let data = floats(&[1.0, 2.0]);
    let view = |numel, offset| tensor("FloatStorage", "0", numel, offset, &[1], &[1]);
    let missing = tensor("FloatStorage", "../../1", 1, 0, &[1], &[1]);
    let root =
        dict(&[("a", view(2, 0)), ("b", view(2, 0)), ("c", view(2, 1)), ("d", view(3, 0)), ("e", missing)]);
    let checkpoint = checkpoint(root, &data);
    let get = |key| checkpoint.root().get(key).unwrap().as_tensor().unwrap();
    assert!(get("a").same_data(&get("b")) && !get("a").same_data(&get("c")));
    assert_error!(checkpoint.read_f32(&get("d")), Malformed, "8 bytes", "3 elements");
    assert_error!(checkpoint.read_f32(&get("e")), Malformed, "no such entry");
}

#[test]
fn only_the_spanned_bytes_are_read() {
    const N: usize = 1 << 20;
    let data = floats(&vec![1.0; N]);
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let root = tensor("FloatStorage", "0", N as i64, (N - 2) as i64, &[2], &[1]);
        let entries = [("data.pkl", pickle(root)), ("data/1", data.clone()), ("data/0", data.clone())];
        let checkpoint = match method {
            CompressionMethod::Stored => open(archive(&entries)).unwrap(),
            // Zeros would exceed the limit, so some noise is put in.
            _ => {
                let noise: Vec<u8> =
                    (0..N as u32).flat_map(|i| i.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect();
                let noise = [&noise[..noise.len() - 8], &floats(&[1.0, 1.0])].concat();
                let entries = [entries[0].clone(), ("data/0", noise)];
                open(archive_with(method, &entries)).unwrap()
            }
        };
        let before = checkpoint.archive.bytes_read();
        assert!(before < 200_000, "{before} bytes to open");
        let tensor = checkpoint.root().as_tensor().unwrap();
        assert_eq!(checkpoint.read_f32(&tensor).unwrap(), [1.0, 1.0]);
        let read = checkpoint.archive.bytes_read() - before;
        assert!(method != CompressionMethod::Stored || read < 50_000, "{read} bytes for two elements");
    }
}

#[test]
fn protocol_4_loads() {
    let mut code = b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94".to_vec();
    code.extend(b"\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94\x8c\x01k\x94K\x01s");
    code.extend(b"\x8c\x01b\x94\x8f\x94(K\x01K\x02\x90h\x01C\x03xyz\x94u.");
    let checkpoint = load(code).unwrap();
    let root = checkpoint.root();
    // The memo is numbered in the order of MEMOIZE: 0 is the dict, 1 its first key.
    assert_eq!(root.items().filter_map(|item| item.0.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(root.get("a").unwrap().describe(), "bytes");
    assert_eq!(root.get("b").unwrap().iter().len(), 2);
}

/// A valid archive with all kinds of values.
fn sample() -> Vec<u8> {
    archive(&[
        ("data.pkl", sample_pickle()),
        ("byteorder", b"little".to_vec()),
        ("data/0", floats(&[1.0; 6])),
    ])
}

fn sample_pickle() -> Vec<u8> {
    let kind = call(global("numpy", "dtype"), &[text("f8"), b"\x89".to_vec(), b"\x88".to_vec()]);
    let bytes = call(global("_codecs", "encode"), &[text("\0\0\0\0\0\0\u{f8}?"), text("latin1")]);
    let weights = dict(&[
        ("a", tensor("FloatStorage", "0", 6, 0, &[2, 3], &[1, 2])),
        ("b", tensor("FloatStorage", "0", 6, 0, &[6], &[1])),
    ]);
    pickle(dict(&[
        ("network_weights", weights),
        ("ema", call(global("numpy.core.multiarray", "scalar"), &[kind, bytes])),
        ("list", b"]q\x00h\x00a(K\x05NG\0\0\0\0\0\0\0\0e".to_vec()),
        ("order", call(global("collections", "OrderedDict"), &[])),
        ("set", call(global("builtins", "set"), &[b"h\x00".to_vec()])),
        ("os", call(global("os", "system"), &[text("true")])),
    ]))
}

/// Asks every reachable value everything.
fn explore(checkpoint: &Checkpoint) {
    let mut left = vec![checkpoint.root()];
    for _ in 0..500 {
        let Some(value) = left.pop() else { return };
        let _ = (value.describe(), value.as_int(), value.as_float(), value.as_str(), value.get("a"));
        left.extend(value.iter().take(50));
        left.extend(value.items().take(50).flat_map(|(key, value)| [key, value]));
        if let Some(tensor) = value.as_tensor() {
            let _ = checkpoint.read_f32(&tensor);
        }
    }
}

fn reference_files(suffix: &str) -> Vec<PathBuf> {
    let mut folders = vec![voxseg_reference::folder()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                // Files that are made to be refused, and those of networks that plans don't describe.
                path if path.ends_with("bugs/hostile") || path.ends_with("coverage") => {}
                path if path.is_dir() => folders.push(path),
                path if path.to_string_lossy().ends_with(suffix) => files.push(path),
                _ => {}
            }
        }
    }
    if files.is_empty() {
        eprintln!("no reference files *{suffix}, skipped");
    }
    files
}

#[test]
fn reference_nnunet_checkpoints_load() {
    for path in reference_files("checkpoint_final.pth") {
        let checkpoint = Checkpoint::open(&path).unwrap();
        let root = checkpoint.root();
        let mut read = 0;
        let mut seen: Vec<super::Tensor> = Vec::new();
        for (name, value) in root.get("network_weights").unwrap().items() {
            let tensor = value.as_tensor().unwrap_or_else(|| panic!("{name:?}: {}", value.describe()));
            if !seen.iter().any(|other| other.same_data(&tensor)) {
                let values = checkpoint.read_f32(&tensor).unwrap();
                assert_eq!(values.len() as u64, tensor.numel().unwrap());
                assert!(values.iter().all(|value| value.is_finite()));
                read += 4 * values.len() as u64;
                seen.push(tensor);
            }
        }
        assert!(root.get("trainer_name").unwrap().as_str().unwrap().starts_with("nnUNetTrainer"));
        let axes = root.get("inference_allowed_mirroring_axes").unwrap();
        assert!(axes.is_none() || axes.iter().all(|axis| axis.as_int().is_some()), "{axes:?}");
        assert!(root.get("init_args").unwrap().get("configuration").unwrap().as_str().is_some());
        // What is read beyond the weights is the directory, the pickle and a buffer for each read.
        let total = checkpoint.archive.bytes_read();
        assert!(total < read + 400_000 + seen.len() as u64 * 20_000, "{total} bytes read for {read}");
    }
}

#[test]
fn reference_monai_checkpoints_load() {
    for path in reference_files("model.pt") {
        let checkpoint = Checkpoint::open(&path).unwrap();
        let root = checkpoint.root();
        let weights = ["state_dict", "model"].iter().find_map(|key| root.get(key)).unwrap_or(root);
        let tensors: Vec<_> = weights.items().filter_map(|(_, value)| value.as_tensor()).collect();
        assert!(!tensors.is_empty(), "{}: {:?}", path.display(), root);
        for tensor in tensors {
            let values = checkpoint.read_f32(&tensor).unwrap();
            assert_eq!(values.len() as u64, tensor.numel().unwrap());
        }
    }
}

#[test]
fn checkpoints_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let checkpoint = Arc::new(open(sample()).unwrap());
    shared(&checkpoint);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let checkpoint = checkpoint.clone();
            std::thread::spawn(move || explore(&checkpoint))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
