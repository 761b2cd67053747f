//! What a run was, as JSON: enough to prove later which software and weights made its labels.

use std::time::SystemTime;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::inference::RunReport;
use crate::labels::LabelBuffer;
use crate::task::AnyPlan;
use crate::volume::{Region, Volume};

/// Major and minor version of the C interface, as the record names it and `src/ffi/version.rs` publishes it.
pub(crate) const INTERFACE: [u32; 2] = [0, 1];

/// The record of a run that `plan` just did: versions, the model (what [`crate::task::AnyModel::describe`] says), the
/// image's grid, what was planned and what happened, and SHA-256 of the labels, each as two bytes, the less significant
/// first, axis 0 the fastest; where regions were asked for, those of one after the other.
///
/// # Errors
/// As [`AnyPlan::report`].
pub fn record(
    model: &Value,
    plan: &AnyPlan,
    volume: &Volume,
    labels: &LabelBuffer,
    run: &RunReport,
) -> Result<Value> {
    let geometry = volume.geometry();
    let region = Region { boxes: run.regions.clone(), ..Region::whole() };
    let planned = plan.report_for(geometry, &region)?;
    let mut hash = Sha256::new();
    let parts = if region.is_whole() { vec![labels.part()] } else { run.regions.clone() };
    for part in &parts {
        labels.each_part(part, |labels| {
            let mut bytes = [0; 2 * LabelBuffer::PART];
            let parts = bytes.as_chunks_mut().0.iter_mut();
            parts.zip(labels).for_each(|(bytes, &label)| *bytes = (label as u16).to_le_bytes());
            hash.update(&bytes[..2 * labels.len()]);
        });
    }
    let finished = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Ok(json!({
        "versions": {
            "voxseg": env!("CARGO_PKG_VERSION"),
            "abi": format!("{}.{}", INTERFACE[0], INTERFACE[1]),
            "onnxruntime": crate::runtime::current().map(|runtime| runtime.version()),
        },
        "system": { "os": std::env::consts::OS, "processor": std::env::consts::ARCH },
        "finished_unix_seconds": finished.map_or(0, |time| time.as_secs()),
        "model": model,
        "image": {
            "shape": geometry.shape,
            "spacing": geometry.spacing,
            "origin": geometry.origin,
            "direction": geometry.direction,
            "type": format!("{:?}", volume.dtype()).to_lowercase(),
            "channels": volume.channels(),
        },
        "label_shape": labels.shape(),
        "plan": plan.describe(),
        "plan_report": {
            "device": planned.device.name(),
            "precision": planned.precision.name(),
            "threads": planned.threads,
            "network_shape": planned.network_shape,
            "tiles": planned.tiles,
            "network_runs": planned.network_runs,
            "host_peak_bytes": planned.host_peak_bytes,
            "device_peak_bytes": planned.device_peak_bytes,
            "weight_bytes": planned.weight_bytes,
            "tile_batch": planned.tile_batch,
        },
        "run": {
            "tiles": run.tiles,
            "tiles_in_all": run.tiles_in_all,
            "tiles_in_single": run.tiles_in_single,
            "tiles_on_device": run.tiles_on_device,
            "tile_batch": run.tile_batch,
            "memory_step": run.memory_step.name(),
            "voxels": run.voxels,
            "regions": run.regions.iter().map(|part| json!({ "start": part.start, "end": part.end })).collect::<Vec<_>>(),
            "near_ties": run.near_ties,
            "preprocess_seconds": run.preprocess_seconds,
            "network_seconds": run.network_seconds,
            "blend_seconds": run.blend_seconds,
            "restore_seconds": run.restore_seconds,
            "total_seconds": run.total_seconds,
            "process_peak_bytes": run.process_peak_bytes,
            "non_finite_voxels": run.non_finite.map_or(0, |voxels| voxels.count),
            "first_non_finite": run.non_finite.map(|voxels| json!({
                "channel": voxels.channel,
                "voxel": voxels.voxel,
            })),
        },
        "warnings": run.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "output": { "labels_sha256": crate::model::hexadecimal(hash) },
    }))
}
