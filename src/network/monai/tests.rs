use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Context, from_config};
use crate::checkpoint::Checkpoint;
use crate::engine::{self, Device};
use crate::error::{Error, Result};
use crate::network::{Network, StateDict};
use crate::plan::Precision;

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

/// Builds a network from a checkpoint that is a state dict, or has one as `key`.
fn build(
    target: &str,
    arguments: &Value,
    version: &str,
    file: &Checkpoint,
    key: Option<&str>,
) -> Result<Network> {
    let context = Context { file: "inference.json", monai_version: Some(version) };
    let weights = key.map_or(file.root(), |key| file.root().get(key).unwrap());
    from_config(target, object(arguments), &context)?.build(StateDict::new(file, weights)?)
}

fn floats(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// The largest difference from the expected scores, in terms of the largest of these.
fn deviation(
    network: &Arc<Network>,
    tile: [usize; 3],
    precision: Precision,
    image: &[f32],
    expected: &[f32],
) -> f32 {
    let mut engine = engine::create(Device::OrtCpu, network, tile, precision, 2).unwrap();
    let mut scores = vec![f32::NAN; network.output_channels() * tile.iter().product::<usize>()];
    assert_eq!(scores.len(), expected.len());
    engine.run(image, &mut scores).unwrap();
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let pairs = scores.iter().zip(expected);
    pairs.fold(0.0_f32, |worst, (a, b)| if a.is_nan() { f32::NAN } else { worst.max((a - b).abs()) })
        / largest
}

/// Cases that `tests/parity/make_networks.py` made, where `VOXSEG_NETWORK_CASES` names their folder.
#[test]
fn networks_of_monai() {
    let Some(folder) = std::env::var_os("VOXSEG_NETWORK_CASES").map(PathBuf::from) else {
        eprintln!("skipped: VOXSEG_NETWORK_CASES names no folder with networks");
        return;
    };
    let cases: Vec<Value> =
        serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let file = Checkpoint::open(&folder.join(format!("{name}.pt"))).unwrap();
        let (target, version) = (case["target"].as_str().unwrap(), case["monai_version"].as_str().unwrap());
        let network = match build(target, &case["arguments"], version, &file, case["key"].as_str()) {
            Ok(network) => Arc::new(network),
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let tile = crate::reference::numbers(&case["tile"]).try_into().unwrap();
        let image = floats(&folder.join(format!("{name}.image.f32")));
        let expected = floats(&folder.join(format!("{name}.scores.f32")));
        let single = deviation(&network, tile, Precision::F32, &image, &expected);
        let half = deviation(&network, tile, Precision::F16, &image, &expected);
        eprintln!("{name}: {single:.1e} in single precision, {half:.1e} in half");
        if !(single < 2e-5 && half < 2e-2) {
            wrong.push(format!("{name}: {single:e} {half:e}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
