//! Files of torch before 1.6: whole ones, and damaged ones.

use proptest::prelude::*;

use super::*;

const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// A storage's persistent id, which has one part more than in zip archives.
fn old_storage(kind: &str, key: &str, numel: i64, piece: &[u8]) -> Vec<u8> {
    let parts = [text("storage"), global("torch", kind), text(key), text("cpu"), int(numel), piece.to_vec()];
    [tuple(&parts), b"Q".to_vec()].concat()
}

fn old_tensor(kind: &str, key: &str, numel: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let hooks = call(global("collections", "OrderedDict"), &[]);
    let arguments =
        [old_storage(kind, key, numel, b"N"), int(0), ints(shape), ints(strides), b"\x89".to_vec(), hooks];
    call(global("torch._utils", "_rebuild_tensor_v2"), &arguments)
}

/// A file of an object and its storages: keys, numbers of elements and bytes.
fn file(version: i64, object: Vec<u8>, storages: &[(&str, u64, Vec<u8>)]) -> Vec<u8> {
    let system = dict(&[("protocol_version", int(1001)), ("little_endian", b"\x88".to_vec())]);
    let keys: Vec<u8> = storages.iter().flat_map(|(key, ..)| text(key)).collect();
    let keys = [&b"]("[..], &keys, b"e"].concat();
    let data = storages.iter().flat_map(|(_, numel, bytes)| [&numel.to_le_bytes()[..], bytes].concat());
    let pickles = [pickle(int(version)), pickle(system), pickle(object), pickle(keys)].concat();
    [MAGIC, &pickles, &data.collect::<Vec<u8>>()].concat()
}

fn sample() -> Vec<u8> {
    let object = dict(&[
        ("a", old_tensor("FloatStorage", "94", 6, &[2, 3], &[1, 2])),
        ("b", old_tensor("HalfStorage", "17", 2, &[2], &[1])),
        ("c", old_tensor("FloatStorage", "94", 6, &[6], &[1])),
        ("epoch", int(7)),
    ]);
    let half = half::f16::from_f32(-2.5).to_le_bytes();
    let floats = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    file(1001, object, &[("17", 2, [half, half].concat()), ("94", 6, floats)])
}

fn read(checkpoint: &Checkpoint, key: &str) -> Result<Vec<f32>> {
    checkpoint.read_f32(&checkpoint.root().get(key).unwrap().as_tensor().unwrap())
}

#[test]
fn files_of_before_1_6_are_read() {
    let path = std::env::temp_dir().join(format!("voxseg-legacy-{}.pth", std::process::id()));
    std::fs::write(&path, sample()).unwrap();
    let opened = [open(sample()).unwrap(), Checkpoint::open(&path).unwrap()];
    std::fs::remove_file(&path).unwrap();
    for checkpoint in &opened {
        assert_eq!(read(checkpoint, "a").unwrap(), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        assert_eq!(read(checkpoint, "b").unwrap(), [-2.5, -2.5]);
        assert_eq!(read(checkpoint, "c").unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(checkpoint.root().get("epoch").unwrap().as_int(), Some(7));
    }
}

#[test]
fn pickles_may_be_longer_than_what_is_read_first() {
    let long = "x".repeat(3 << 20);
    let object = dict(&[("note", text(&long)), ("a", old_tensor("FloatStorage", "0", 1, &[1], &[1]))]);
    let checkpoint = open(file(1001, object, &[("0", 1, floats(&[3.0]))])).unwrap();
    assert_eq!(read(&checkpoint, "a").unwrap(), [3.0]);
}

#[test]
fn what_is_wrong_is_named() {
    let one = || dict(&[("a", old_tensor("FloatStorage", "0", 2, &[2], &[1]))]);
    let data = floats(&[1.0, 2.0]);
    assert!(open(file(1001, one(), &[("0", 2, data.clone())])).is_ok());
    assert_error!(open(file(1000, one(), &[("0", 2, data.clone())])), Unsupported, "version 1000");
    assert_error!(
        open(file(1001, one(), &[("0", 3, data.clone())])),
        Malformed,
        "3 elements, its tensors say 2"
    );
    assert_error!(open(file(1001, one(), &[("0", 2, data[..7].to_vec())])), Malformed, "within storage `0`");
    let storage = ("0", 2, data.clone());
    assert_error!(open(file(1001, one(), &[storage.clone(), storage])), Malformed, "twice");
    assert_error!(open(file(1001, one(), &[("1", 2, data.clone())])), Malformed, "no tensor is in it");
    let none = open(file(1001, one(), &[])).unwrap();
    assert_error!(read(&none, "a"), Malformed, "no such entry");
    let two = dict(&[
        ("a", old_tensor("FloatStorage", "0", 2, &[2], &[1])),
        ("b", old_tensor("DoubleStorage", "0", 2, &[2], &[1])),
    ]);
    assert_error!(open(file(1001, two, &[("0", 2, data.clone())])), Malformed, "two types or sizes");
    let complex = dict(&[("a", old_tensor("ComplexFloatStorage", "0", 1, &[1], &[1]))]);
    assert_error!(
        open(file(1001, complex, &[("0", 1, data.clone())])),
        Unsupported,
        "a type that isn't known"
    );
    let piece = old_storage("FloatStorage", "0", 2, &ints(&[1, 0, 2]));
    assert_error!(
        open(file(1001, dict(&[("a", piece)]), &[("0", 2, data)])),
        Malformed,
        "no tensor is in it"
    );
    assert_error!(open(file(1001, one(), &[("0", u64::MAX, Vec::new())])), Malformed, "elements");
    let huge = dict(&[("a", old_tensor("FloatStorage", "0", i64::MAX, &[2], &[1]))]);
    assert_error!(open(file(1001, huge, &[("0", i64::MAX as u64, Vec::new())])), Malformed, "within storage");
    // Nothing in it is called here either.
    let system = call(global("os", "system"), &[text("exit 1")]);
    let bad = open(file(1001, dict(&[("bad", system)]), &[])).unwrap();
    assert_eq!(bad.root().get("bad").unwrap().describe(), "opaque os.system");
}

#[test]
fn every_truncation_and_every_flipped_bit_is_an_error_or_other_numbers() {
    let whole = sample();
    for length in 0..whole.len() {
        assert!(open(whole[..length].to_vec()).is_err(), "{length}");
    }
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            if let Ok(checkpoint) = open(bytes) {
                explore(&checkpoint);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(changes in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 1..6)) {
        let mut bytes = sample();
        for (index, value) in changes {
            let at = MAGIC.len() + index.index(bytes.len() - MAGIC.len());
            bytes[at] = value;
        }
        if let Ok(checkpoint) = open(bytes) {
            explore(&checkpoint);
        }
    }
}
