//! Auto3DSeg's config within its checkpoint, and its table of labels.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use voxseg_fuzz::samples::AUTO3DSEG_TENSORS;
use voxseg_fuzz::{file, open, parts, write};
use zip::CompressionMethod;

fuzz_target!(|data: &[u8]| {
    let [config, labels] = parts(data);
    let Ok(config) = serde_json::from_slice::<Value>(config) else { return };
    let beside = Map::from_iter([("config".to_owned(), config)]);
    let weights =
        write::checkpoint(AUTO3DSEG_TENSORS, Some("state_dict"), &beside, CompressionMethod::Stored);
    open(vec![("model.pt", weights.into()), ("labels.csv", file(labels))]);
});
