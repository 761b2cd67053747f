//! Damaged and malicious files: each is an error that says what is wrong, and none costs memory or panics.

use proptest::prelude::*;
use zip::CompressionMethod;

use super::*;

#[test]
fn damage_in_a_storage_is_found() {
    let root = tensor("FloatStorage", "0", 2, 0, &[2], &[1]);
    let mut bytes = archive(&[("data.pkl", pickle(root)), ("data/0", floats(&[1234.5, 2.0]))]);
    let needle = 1234.5f32.to_le_bytes();
    let at = bytes.windows(4).position(|window| window == needle).unwrap();
    bytes[at] ^= 1;
    let checkpoint = open(bytes).unwrap();
    let tensor = checkpoint.root().as_tensor().unwrap();
    assert_error!(checkpoint.read_f32(&tensor), Malformed, "archive/data/0", "checksum");
}

#[test]
fn bad_opcodes_are_named() {
    assert_error!(
        load(b"\x80\x02N\xff.".to_vec()),
        Malformed,
        "test.pth: archive/data.pkl",
        "0xff",
        "byte 3"
    );
    assert_error!(load(b"\x80\x09.".to_vec()), Malformed, "protocol 9");
    assert_error!(load(b".".to_vec()), Malformed, "stack is empty");
    assert_error!(load(b"".to_vec()), Malformed, "1 bytes are needed");
    assert_error!(load(b"N(\x85.".to_vec()), Malformed, "too short");
    assert_error!(load(b"Nt.".to_vec()), Malformed, "no mark");
    assert_error!(load(b"h\x07.".to_vec()), Malformed, "memo entry 7");
    assert_error!(load(b"}(K\x01u.".to_vec()), Malformed, "no value");
    assert_error!(load(b"NK\x01a.".to_vec()), Malformed, "no list");
    assert_error!(load(b"cos\nsystem".to_vec()), Malformed, "doesn't end");
}

#[test]
fn declared_sizes_take_no_memory() {
    assert_error!(load(b"X\xff\xff\xff\xff.".to_vec()), Malformed, "4294967295 bytes are declared");
    assert_error!(load(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.".to_vec()), Malformed, "are declared");
    assert_error!(load(b"\x8b\xff\xff\xff\x7f.".to_vec()), Refused, "integer");
    assert_error!(load([&b"("[..]; 100_000].concat()), Refused, "open marks");
    // A long list, copied into a set again and again.
    let many = [&b"](".to_vec()[..], &b"N".repeat(60_000), b"eq\x01"].concat();
    let copies: Vec<u8> = b"c__builtin__\nset\nh\x01\x85R0".repeat(1000);
    assert_error!(load([many, copies].concat()), Refused, "copied");
}

#[test]
fn deep_nesting_is_no_recursion() {
    let checkpoint = load([&b")"[..], &b"\x85".repeat(1_000_000), b"."].concat()).unwrap();
    let mut value = checkpoint.root();
    let mut depth = 0;
    while let Some(inner) = value.iter().next() {
        (value, depth) = (inner, depth + 1);
    }
    assert_eq!(depth, 1_000_000);
}

#[test]
fn bombs_are_refused() {
    let zeros = |size| archive_with(CompressionMethod::Deflated, &[("data.pkl", vec![0; size])]);
    assert_error!(open(zeros(8 << 20)), Refused, "archive/data.pkl", "inflate");
    assert_error!(open(zeros((256 << 20) + 1)), Refused, "archive/data.pkl", "limit");
    // A zip64 end record that declares more entries than memory could hold.
    let mut bytes = archive(&[("data.pkl", pickle(b"N".to_vec()))]);
    let end =
        [b"PK\x06\x06".to_vec(), 44u64.to_le_bytes().into(), vec![0; 12], [0xff; 16].into(), vec![0; 16]];
    bytes.extend(end.concat());
    assert_error!(open(bytes), Refused, "entries");
}

#[test]
fn other_files_are_told_apart() {
    let entries = [("data.pkl", pickle(b"N".to_vec())), ("constants.pkl", Vec::new())];
    assert_error!(open(archive(&entries)), Unsupported, "TorchScript", "state_dict");
    assert_error!(
        open(b"version https://git-lfs.github.com/spec/v1\noid".to_vec()),
        NotAModel,
        "git lfs pull"
    );
    let tar = [vec![0; 257], b"ustar".to_vec(), vec![0; 300]].concat();
    assert_error!(open(tar), Unsupported, "tar");
    assert_error!(open(b"<!DOCTYPE html>".to_vec()), NotAModel, "<!DOCTYPE html>");
    assert_error!(open(Vec::new()), Malformed, "empty");
    assert_error!(open(archive(&[("readme", Vec::new())])), NotAModel, "data.pkl");
    assert_error!(
        open(archive(&[("data.pkl", Vec::new()), ("x/data.pkl", Vec::new())])),
        Malformed,
        "more than one"
    );
    assert_error!(Checkpoint::open("/no/such/file".as_ref()), Read, "/no/such/file");
    let whole = sample();
    for length in (4..whole.len()).step_by(7) {
        assert!(matches!(open(whole[..length].to_vec()), Err(Error::Malformed { .. })), "{length}");
    }
}

fn changes(end: usize) -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec(any::<(prop::sample::Index, u8)>(), 1..end)
}

fn mutate(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    for (index, value) in changes {
        let at = index.index(bytes.len());
        bytes[at] = *value;
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_archives_never_panic(changes in changes(4)) {
        if let Ok(checkpoint) = open(mutate(sample(), &changes)) {
            explore(&checkpoint);
        }
    }

    #[test]
    fn mutated_directories_never_panic(changes in changes(4)) {
        let mut bytes = sample();
        let directory = bytes.split_off(bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap());
        bytes.extend(mutate(directory, &changes));
        if let Ok(checkpoint) = open(bytes) {
            explore(&checkpoint);
        }
    }

    #[test]
    fn mutated_pickles_never_panic(changes in changes(6)) {
        let code = mutate(sample_pickle(), &changes);
        if let Ok(checkpoint) = open(archive(&[("data.pkl", code), ("data/0", floats(&[1.0; 6]))])) {
            explore(&checkpoint);
        }
    }

    #[test]
    fn random_opcodes_never_panic(code in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(checkpoint) = load(code) {
            explore(&checkpoint);
        }
    }
}
