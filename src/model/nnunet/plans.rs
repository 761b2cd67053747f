//! plans.json: configurations and what they inherit.

use serde_json::Value;

use super::PLANS;
use crate::error::Result;
use crate::model::json::Json;

/// One configuration of the plans with all that it inherits.
pub(super) struct Configuration {
    value: Value,
    pub name: String,
    /// 3, or 2 for networks that see slices.
    pub dimensions: usize,
}

impl Configuration {
    pub(super) fn resolve(plans: &Json, name: &str) -> Result<Self> {
        let configurations = plans.get("configurations")?;
        let mut merged = serde_json::Map::new();
        let (mut next, mut seen) = (name.to_owned(), Vec::new());
        loop {
            let entry = configurations.get(&next)?;
            seen.push(next);
            for (key, _) in entry.members()? {
                // A child's entries go before its parent's.
                if !merged.contains_key(key) {
                    merged.insert(key.to_owned(), entry.raw(key));
                }
            }
            let Some(parent) = entry.find("inherits_from") else { break };
            next = parent.text()?.to_owned();
            if seen.contains(&next) {
                return Err(parent.wrong("a parent that doesn't inherit from this configuration"));
            }
        }
        let value = Value::Object(merged);
        let patch = Json::new(PLANS, &value).get("patch_size")?;
        let dimensions = patch.list()?.len();
        if !(2..=3).contains(&dimensions) {
            return Err(patch.wrong("two or three sizes"));
        }
        Ok(Configuration { value, name: name.to_owned(), dimensions })
    }

    pub(super) fn json(&self) -> Json<'_> {
        Json::new(PLANS, &self.value)
    }

    /// The configuration whose labels are further channels of this one, in a cascade.
    pub(super) fn previous_stage(&self) -> Result<Option<String>> {
        self.json().find("previous_stage").map(|stage| Ok(stage.text()?.to_owned())).transpose()
    }
}
