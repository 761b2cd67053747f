//! The report of a run as JSON, for machines.

use serde_json::{Value, json};
use voxseg::plan::PlanReport;
use voxseg::segment::RunReport;
use voxseg::task::{AnyModel, AnyPlan};
use voxseg::volume::Geometry;

use crate::counts::Count;
use crate::options::precision_name;

/// All that is known after a run.
pub fn report(
    model: &AnyModel,
    plan: &AnyPlan,
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
            "weight_bytes": planned.weight_bytes,
        },
        "run": {
            "tiles": run.tiles,
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
