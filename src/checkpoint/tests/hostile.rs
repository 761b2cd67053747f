//! Damaged and malicious files: each is an error that says what is wrong, and none costs memory or panics.

use proptest::prelude::*;
use zip::CompressionMethod;

use super::*;
use crate::file::Budget;

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

/// Whatever part of it tensors are, and however many.
#[test]
fn compressed_storages_are_inflated_once() {
    const N: usize = 2 << 20;
    let noise = floats(&(0..N as u32).map(|i| (i.wrapping_mul(0x9E37_79B9) >> 8) as f32).collect::<Vec<_>>());
    let part =
        |storage: &str, at: usize| tensor("FloatStorage", storage, N as i64, (N - 1 - at) as i64, &[1], &[1]);
    let names: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
    let parts = names.iter().enumerate().map(|(n, name)| (name.as_str(), part(["0", "1"][n % 2], n)));
    let root = pickle(dict(&parts.collect::<Vec<_>>()));
    let entries = [("data.pkl", root), ("data/0", noise.clone()), ("data/1", noise)];
    let bytes = archive_with(CompressionMethod::Deflated, &entries);
    let size = bytes.len() as u64;
    let checkpoint = open(bytes).unwrap();
    for (_, value) in checkpoint.root().items() {
        assert_eq!(checkpoint.read_f32(&value.as_tensor().unwrap()).unwrap().len(), 1);
    }
    assert!(checkpoint.archive.bytes_read() < size + 1_000_000, "{}", checkpoint.archive.bytes_read());
}

#[test]
fn tensors_over_each_other_are_read_so_often_only() {
    const N: usize = 8 << 20;
    let view = |at: i64| tensor("FloatStorage", "0", N as i64, 0, &[2], &[N as i64 - 1 - at]);
    let names: Vec<String> = (0..2000).map(|n| format!("t{n}")).collect();
    let views: Vec<_> = names.iter().zip(0..).map(|(name, at)| (name.as_str(), view(at))).collect();
    let checkpoint = checkpoint(dict(&views), &vec![0; 4 * N]);
    let mut weights = crate::network::StateDict::new(&checkpoint, checkpoint.root()).unwrap();
    let failed = names.iter().find_map(|name| weights.take(name, &[2]).err());
    assert!(
        matches!(&failed, Some(Error::Refused { reason, .. }) if reason.contains("over each other")),
        "{failed:?}"
    );
}

#[test]
fn what_a_pickle_takes_is_counted() {
    let values: [(&str, Vec<u8>); 8] = [
        ("tuples", b")".repeat(1 << 20)),
        ("lists", b"]".repeat(1 << 20)),
        ("dicts", b"}".repeat(1 << 20)),
        ("numbers", b"K\x01".repeat(1 << 20)),
        (
            "a memo",
            (0..1_u32 << 20).flat_map(|n| [b"Nr".to_vec(), n.to_le_bytes().to_vec()].concat()).collect(),
        ),
        ("a long list", [b"](".to_vec(), b"N".repeat(1 << 20), b"e".to_vec()].concat()),
        ("a stack", b"N2".repeat(1 << 20)),
        ("no text", [b"X".to_vec(), (16_u32 << 20).to_le_bytes().to_vec(), vec![0xff; 16 << 20]].concat()),
    ];
    for (name, code) in values {
        let code = [&code[..], b"."].concat();
        let budget = Budget::new(Some(24 << 20));
        match super::super::pickle::load("x.pth", &code, &budget) {
            Err(Error::Refused { reason, .. }) => {
                assert!(reason.contains("memory_budget"), "{name}: {reason}")
            }
            other => panic!("{name}: {:?}", other.map(drop)),
        }
        assert!(budget.take("x", 24 << 20).is_ok(), "{name}: what was refused holds nothing");
    }
}

/// Comparing long keys, memoised and used in many places, took time by the length of the keys for each place.
#[test]
fn long_keys_in_many_places_are_compared_once() {
    let key =
        |last: u8| [b"X\x00\x04\x00\x00".to_vec(), vec![b'k'; 1023], vec![last], vec![b'q', last]].concat();
    let keys: Vec<u8> = (1..=100).flat_map(|last| [key(last), b"0".to_vec()].concat()).collect();
    let items: Vec<u8> = (0..200_000_u32).flat_map(|n| [b'h', 1 + (n * 37 % 100) as u8, b'N']).collect();
    let started = std::time::Instant::now();
    let checkpoint = load([b"\x80\x02", &keys[..], b"}(", &items, b"u."].concat()).unwrap();
    assert_eq!(checkpoint.root().items().count(), 100);
    // 200,000 keys of a kilobyte, compared some seventeen times each, would take longer.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[test]
fn configurations_are_bounded() {
    let text = [b"X\x00\x04\x00\x00".to_vec(), vec![b'k'; 1024], b"q\x01".to_vec()].concat();
    let list = |count: usize| [b"](", &text[..], &b"h\x01".repeat(count), b"e."].concat();
    assert!(load(list(1000)).unwrap().root().to_json("x").is_ok());
    // Where a file's own budget holds less than the largest configuration.
    let large = archive(&[("data.pkl", list(90_000))]);
    let large = Checkpoint::from_bytes_within("x.pt", large.into(), &Budget::new(Some(64 << 20))).unwrap();
    assert_error!(large.root().to_json("x"), Refused, "memory_budget");
    let many = [&b"]("[..], &b"N".repeat(200_000), b"e."].concat();
    assert_error!(load(many).unwrap().root().to_json("x"), Refused, "100000 values");
    let keys: Vec<u8> = (0..200_000).flat_map(|n| [text_of(n), b"N".to_vec()].concat()).collect();
    assert_error!(
        load([b"}(", &keys[..], b"u."].concat()).unwrap().root().to_json("x"),
        Refused,
        "100000 values"
    );
    let deep = [&b"K\x01"[..], &b"\x85".repeat(1000), b"."].concat();
    let checkpoint = load(deep).unwrap();
    let read = move || assert_error!(checkpoint.root().to_json("x"), Malformed, "nesting");
    std::thread::Builder::new().stack_size(64 << 10).spawn(read).unwrap().join().unwrap();
}

fn text_of(number: i32) -> Vec<u8> {
    text(&number.to_string())
}

#[test]
fn other_files_are_told_apart() {
    let entries = [("data.pkl", pickle(b"N".to_vec())), ("constants.pkl", Vec::new())];
    let program = open(archive(&entries)).unwrap();
    assert!(program.is_program() && program.root().is_none());
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
