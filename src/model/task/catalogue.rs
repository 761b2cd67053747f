//! The tasks that come with the library: TotalSegmentator's.

use std::sync::LazyLock;

use serde_json::Value;

use super::{Task, read};
use crate::error::{Error, Result};
use crate::model::json::Json;

const FILE: &str = "totalsegmentator.json";

static TASKS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_slice(include_bytes!("data/totalsegmentator.json")).unwrap_or_default()
});

pub(super) fn names() -> Vec<String> {
    let tasks = TASKS.get("tasks").and_then(Value::as_object);
    tasks.map_or(Vec::new(), |tasks| tasks.keys().cloned().collect())
}

pub(super) fn find(name: &str) -> Result<Task> {
    match TASKS.get("tasks").and_then(|tasks| tasks.get(name)) {
        Some(task) => read::task(Some(name), &Json::new(FILE, task), &find),
        None => Err(Error::argument("task", name, format!("one of {}", names().join(", ")))),
    }
}
