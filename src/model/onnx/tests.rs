//! Small ONNX files, written here field by field.

use proptest::prelude::*;

use super::*;
use crate::model::{Model, ModelOptions};

/// A field with bytes: its number is under 16, so that its key is one byte.
fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, content.len() as u8 | 0x80, (content.len() >> 7) as u8][..], content].concat()
}

/// A field with a small number.
fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn entry(key: &str, value: &str) -> Vec<u8> {
    bytes(13, &[bytes(1, key.as_bytes()), bytes(2, value.as_bytes())].concat())
}

/// A tensor of two float32 in another file.
fn outside(location: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let entries: Vec<u8> = more.iter().flat_map(|(key, value)| entry(key, value)).collect();
    [number(1, 2), number(2, 1), bytes(8, b"w"), entry("location", location), entries, number(14, 1)].concat()
}

fn inline(values: &[u8]) -> Vec<u8> {
    [number(1, 2), number(2, 1), bytes(8, b"w"), bytes(9, values)].concat()
}

/// A file whose graph has these tensors.
fn file(tensors: &[Vec<u8>]) -> Vec<u8> {
    let node = [bytes(1, b"x"), bytes(4, b"Conv")].concat();
    let graph: Vec<u8> = tensors.iter().flat_map(|tensor| bytes(5, tensor)).collect();
    [number(1, 8), bytes(7, &[bytes(1, &node), graph].concat()), bytes(2, b"test")].concat()
}

fn files(list: &[(&str, &[u8])]) -> Files {
    Files::memory(list.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec().into())).collect())
}

/// Bytes of all tensors in a file, in their order.
fn tensors(message: Message, content: &[u8]) -> Vec<Vec<u8>> {
    if message == Message::Tensor {
        assert!(ExternalRange::of_tensor(content).unwrap().is_none());
        let raw = fields(content).map(std::result::Result::unwrap).filter(|field| field.number == 9);
        return raw
            .map(|field| if let Value::Bytes(raw) = field.value { raw.to_vec() } else { panic!() })
            .collect();
    }
    let inner = fields(content).map(std::result::Result::unwrap).filter_map(|field| match field.value {
        Value::Bytes(content) => Some(tensors(message.inner(&field)?, content)),
        _ => None,
    });
    inner.flatten().collect()
}

const DATA: &[u8] = b"0123456789abcdefghijklmnopqrst";

#[test]
fn weights_in_other_files_are_put_into_the_file() {
    let list = [
        outside("net.data", &[]),
        inline(b"raw data"),
        outside("net.data", &[("offset", "16"), ("length", "8"), ("checksum", "x")]),
        outside("deeper/./more.bin", &[("offset", "4")]),
    ];
    let net = file(&list);
    let all = files(&[
        ("a/net.onnx", &net),
        ("a/net.data", DATA),
        ("a/deeper/more.bin", &DATA[10..]),
        ("net.data", b""),
    ]);
    let found = read(&all, "a/net.onnx").unwrap();
    let expected = [&DATA[..8], b"raw data", &DATA[16..24], &DATA[14..22]];
    assert_eq!(tensors(Message::Model, &found), expected);
    // All else is as it was.
    let node = [bytes(1, b"x"), bytes(4, b"Conv")].concat();
    assert!(found.windows(node.len()).any(|window| window == node) && found.ends_with(&bytes(2, b"test")));
    // A file that is whole stays as it is.
    let whole = file(&[inline(b"raw data")]);
    assert_eq!(read(&files(&[("x.onnx", &whole)]), "x.onnx").unwrap()[..], whole);
}

#[test]
fn tensors_are_found_wherever_they_may_be() {
    let tensor = outside("d", &[]);
    let wide = |key: u8, content: &[u8]| {
        // Numbers from 16 on take two bytes.
        [
            &[(key << 3 | 2) | 0x80, key >> 4, content.len() as u8 | 0x80, (content.len() >> 7) as u8][..],
            content,
        ]
        .concat()
    };
    let sparse = [bytes(1, &tensor), bytes(2, &tensor)].concat();
    let graph = bytes(5, &tensor);
    let attributes = [
        bytes(5, &tensor),
        bytes(10, &tensor),
        bytes(6, &graph),
        bytes(11, &graph),
        wide(22, &sparse),
        wide(23, &sparse),
    ];
    let attributes: Vec<u8> = attributes.iter().flat_map(|attribute| bytes(5, attribute)).collect();
    let node = bytes(1, &attributes);
    let function = [bytes(7, &attributes), bytes(11, &bytes(5, &tensor))].concat();
    let model = [
        bytes(7, &[node, bytes(15, &sparse), graph.clone()].concat()),
        wide(20, &[bytes(1, &graph), bytes(2, &graph)].concat()),
        wide(25, &function),
    ];
    let model = model.concat();
    let found = read(&files(&[("x.onnx", &model), ("d", &DATA.repeat(4))]), "x.onnx").unwrap();
    assert_eq!(tensors(Message::Model, &found), vec![DATA[..8].to_vec(); 8 + 3 + 2 + 8 + 1]);
}

fn refused(net: &[u8], status: i32, part: &str) {
    let error = read(&files(&[("x.onnx", net), ("d", DATA), ("../e", DATA)]), "x.onnx").unwrap_err();
    assert!(error.status() == status && error.to_string().contains(part), "{part}: {error}");
}

#[test]
fn what_is_wrong_with_other_files_is_named() {
    let of = |location: &str, more: &[(&str, &str)]| file(&[outside(location, more)]);
    refused(&of("net.onnx.data", &[]), 202, "x.onnx keeps weights in net.onnx.data, which is missing");
    for elsewhere in ["../e", "/etc/passwd", "a/../../e", "C:\\d", "a\\d", ""] {
        refused(&of(elsewhere, &[]), 204, "outside of its folder");
    }
    // ONNX Runtime's name for an address in memory is no file either.
    refused(&of("*/_ORT_MEM_ADDR_/*", &[("offset", "4096")]), 202, "_ORT_MEM_ADDR_");
    refused(&of("d", &[("length", "9")]), 203, "9 bytes whose shape and type need 8");
    refused(&of("d", &[("offset", "23")]), 203, "8 bytes from 23 of d are a tensor, but it has 30 bytes");
    refused(&of("d", &[("offset", "18446744073709551615")]), 203, "a tensor, but it has 30 bytes");
    for wrong in ["-1", "1.0", "x", ""] {
        refused(&of("d", &[("offset", wrong)]), 203, "with the offset");
    }
    let nameless = [number(1, 2), number(2, 1), number(14, 1)].concat();
    refused(&file(&[nameless]), 203, "that it doesn't name");
    let text = [number(1, 2), number(2, 8), entry("location", "d"), number(14, 1)].concat();
    refused(&file(&[text]), 203, "of type 8");
    let huge =
        [&[1 << 3][..], &[0xff; 9], &[1], &number(2, 1), &entry("location", "d"), &number(14, 1)].concat();
    refused(&file(&[huge]), 203, "too many elements");
    refused(&file(&vec![outside("d", &[]); 20]), 204, "take 160 bytes of files of 30 bytes");
    let compiled = bytes(7, &bytes(1, &bytes(4, b"EPContext")));
    refused(&compiled, 205, "compiled for one device");
    refused(b"\x20\x00\x00\x00ORTM", 205, "ONNX Runtime's own format");
    refused(b"<!DOCTYPE html>", 203, "not a right ONNX file");
    let mut deep = bytes(5, &outside("d", &[]));
    for _ in 0..40 {
        deep = bytes(1, &bytes(5, &bytes(6, &deep)));
    }
    refused(&bytes(7, &deep), 204, "within each other");
}

#[test]
fn the_identity_is_that_of_the_weights_too() {
    let description =
        br#"{"preprocessing": [], "inferer": {"_target_": "SlidingWindowInferer", "roi_size": 8},
        "postprocessing": [{"_target_": "AsDiscreted", "keys": "pred", "argmax": true}],
        "channels": ["CT"], "labels": {"0": "background", "1": "a"}}"#;
    let open = |net: &[u8], data: &[u8]| {
        let list = [("x.onnx", net), ("x.json", &description[..]), ("d", data)];
        let owned = list.map(|(name, bytes)| (name.to_owned(), bytes.to_vec().into()));
        Model::from_files(owned.into(), &ModelOptions::default()).unwrap().identity().to_owned()
    };
    let net = file(&[outside("d", &[])]);
    assert_eq!(open(&net, DATA), open(&net, &DATA[..9]));
    assert_ne!(open(&net, DATA), open(&net, &DATA[1..]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_never_panic(
        changes in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..4),
        length in any::<prop::sample::Index>(),
    ) {
        let attribute = bytes(1, &bytes(5, &bytes(6, &bytes(5, &outside("d", &[("length", "8")])))));
        let mut net = file(&[outside("d", &[("offset", "16")]), inline(b"raw data")]);
        net.extend(bytes(7, &attribute));
        for (index, value) in changes {
            let at = index.index(net.len());
            net[at] = value;
        }
        net.truncate(length.index(net.len() + 1));
        let list = files(&[("x.onnx", &net), ("d", DATA)]);
        if let Ok(found) = read(&list, "x.onnx") {
            // What was read is whole.
            prop_assert!(read(&files(&[("x.onnx", &found)]), "x.onnx").is_ok());
        }
    }
}
