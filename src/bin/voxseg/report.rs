//! The report of a run as JSON, for machines: the library's record, and the labels that occur.

use serde_json::{Value, json};

use crate::counts::Count;

/// All that is known after a run.
pub fn report(mut record: Value, counts: &[Count]) -> Value {
    let label = |count: &Count| {
        json!({
            "value": count.label.value,
            "name": count.label.name,
            "voxels": count.voxels,
            "milliliters": count.milliliters,
        })
    };
    record["labels"] = counts.iter().map(label).collect();
    record
}
