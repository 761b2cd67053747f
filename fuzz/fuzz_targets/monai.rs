//! A MONAI bundle's config, in JSON or YAML by the first byte, and its metadata.

#![no_main]

use libfuzzer_sys::fuzz_target;
use voxseg_fuzz::{file, open, parts, samples};

fuzz_target!(|data: &[u8]| {
    let Some((&kind, data)) = data.split_first() else { return };
    let [config, metadata] = parts(data);
    let name = if kind == b'y' { "configs/inference.yaml" } else { "configs/inference.json" };
    open(vec![
        (name, file(config)),
        ("configs/metadata.json", file(metadata)),
        ("models/model.pt", samples::MONAI_WEIGHTS.clone()),
    ]);
});
