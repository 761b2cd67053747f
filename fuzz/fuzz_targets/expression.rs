//! One expression of a MONAI config, in each place that asks for another kind of value.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use voxseg_fuzz::{file, open, samples};

static BUNDLE: LazyLock<Value> = LazyLock::new(|| {
    let mut bundle = samples::bundle();
    bundle["other"] = json!({"channels": [16, 32], "copy": "%::channels", "up": "@::::sizes::1"});
    bundle
});
static METADATA: LazyLock<Vec<u8>> = LazyLock::new(|| samples::metadata().to_string().into_bytes());

fuzz_target!(|data: &[u8]| {
    let Some((&place, text)) = data.split_first() else { return };
    let expression = json!(format!("${}", String::from_utf8_lossy(text)));
    let mut bundle = BUNDLE.clone();
    match place % 6 {
        0 => bundle["network_def"] = expression,
        1 => bundle["preprocessing"] = expression,
        2 => bundle["inferer"]["roi_size"] = expression,
        3 => bundle["postprocessing"]["transforms"][0]["softmax"] = expression,
        4 => bundle["preprocessing"]["transforms"][3]["pixdim"] = expression,
        _ => bundle["checkpointloader"]["load_path"] = expression,
    }
    open(vec![
        ("configs/inference.json", file(bundle.to_string().as_bytes())),
        ("configs/metadata.json", file(&METADATA)),
        ("models/model.pt", samples::MONAI_WEIGHTS.clone()),
    ]);
});
