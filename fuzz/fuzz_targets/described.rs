//! The description beside a file of weights.

#![no_main]

use libfuzzer_sys::fuzz_target;
use voxseg_fuzz::{file, open, samples};

fuzz_target!(|data: &[u8]| {
    open(vec![("x.json", file(data)), ("x.safetensors", samples::SAFETENSORS.clone())]);
});
