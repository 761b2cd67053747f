//! ONNX files and the places of their weights in another file.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use voxseg::model::Bytes;
use voxseg_fuzz::{file, open, samples};

static DESCRIPTION: LazyLock<Bytes> =
    LazyLock::new(|| samples::onnx_description().to_string().into_bytes().into());

fuzz_target!(|data: &[u8]| {
    let beside = file(b"0123456789abcdefghijklmnopqrst");
    open(vec![("x.json", DESCRIPTION.clone()), ("x.onnx", file(data)), ("d", beside)]);
});
