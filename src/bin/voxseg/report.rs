//! The report of a run as JSON, for machines.

use serde_json::{Value, json};
use voxseg::model::Model;
use voxseg::plan::{Plan, PlanReport};
use voxseg::segment::RunReport;
use voxseg::volume::Geometry;

use crate::counts::Count;
use crate::options::precision_name;

/// All that is known after a run.
pub fn report(
    model: &Model,
    plan: &Plan,
    geometry: &Geometry,
    planned: &PlanReport,
    run: &RunReport,
    counts: &[Count],
) -> Value {
    let labels: Vec<Value> = counts
        .iter()
        .map(|count| {
            json!({
                "value": count.label.value,
                "name": count.label.name,
                "voxels": count.voxels,
                "milliliters": count.milliliters,
            })
        })
        .collect();
    json!({
        "versions": {
            "voxseg": env!("CARGO_PKG_VERSION"),
            "onnxruntime": voxseg::runtime::current().map(|runtime| runtime.version()),
        },
        "model": { "name": model.name(), "identity": model.identity() },
        "image": {
            "shape": geometry.shape,
            "spacing": geometry.spacing,
            "origin": geometry.origin,
            "direction": geometry.direction,
        },
        "plan": plan.describe(),
        "plan_report": {
            "device": planned.device.name(),
            "precision": precision_name(planned.precision),
            "threads": planned.threads,
            "network_shape": planned.network_shape,
            "tiles": planned.tiles,
            "network_runs": planned.network_runs,
            "host_peak_bytes": planned.host_peak_bytes,
            "device_peak_bytes": planned.device_peak_bytes,
            "weight_bytes": planned.weight_bytes,
        },
        "run": {
            "tiles": run.tiles,
            "tiles_in_single": run.tiles_in_single,
            "tiles_on_device": run.tiles_on_device,
            "voxels": run.voxels,
            "near_ties": run.near_ties,
            "preprocess_seconds": run.preprocess_seconds,
            "network_seconds": run.network_seconds,
            "blend_seconds": run.blend_seconds,
            "restore_seconds": run.restore_seconds,
            "total_seconds": run.total_seconds,
            "process_peak_bytes": run.process_peak_bytes,
        },
        "labels": labels,
    })
}
