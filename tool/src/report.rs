//! The report of a run as JSON, for machines: the library's record, and the labels that occur.

use serde_json::{Value, json};

use crate::counts::Count;

/// All that is known after a run; `before` are warnings about the files.
pub fn report(mut record: Value, counts: &[Count], before: &[String]) -> Value {
    let label = |count: &Count| {
        json!({
            "value": count.label.value,
            "name": count.label.name,
            "voxels": count.voxels,
            "milliliters": count.milliliters,
        })
    };
    if let Some(warnings) = record.pointer_mut("/warnings").and_then(Value::as_array_mut) {
        warnings.splice(0..0, before.iter().map(|warning| json!(warning)));
    }
    record["labels"] = counts.iter().map(label).collect();
    record
}
