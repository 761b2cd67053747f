//! What a bundle's metadata.json says of the model: names and versions, and what channels and classes mean.

use serde_json::Value as Raw;

use crate::error::{Error, Result};
use crate::model::inspect::licence;

pub(super) const METADATA: &str = "configs/metadata.json";

/// Names of channels and classes.
const MOST_NAMES: usize = 1 << 16;

/// The parts of the metadata that tell what the labels mean.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Metadata {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    pub(super) monai_version: Option<String>,
    pub(super) licence: Option<String>,
    /// Names of the image's channels in their order.
    pub(super) channels: Vec<String>,
    /// Names of the prediction's channels by their numbers, in ascending order.
    pub(super) classes: Vec<(usize, String)>,
}

impl Metadata {
    pub(super) fn read(raw: &Raw) -> Result<Self> {
        let text = |key: &str| raw.get(key).and_then(Raw::as_str).map(str::to_owned);
        let channels = definition(raw, "inputs", "image")?;
        let classes = definition(raw, "outputs", "pred")?;
        let gaps = channels.iter().enumerate().any(|(index, (channel, _))| index != *channel);
        if gaps {
            let path = "network_data_format.inputs.image.channel_def";
            return Err(Error::malformed(METADATA, format!("`{path}` has gaps, expected channels from 0")));
        }
        let channels = channels.into_iter().map(|(_, name)| name).collect();
        let (name, version) = (text("name"), text("version"));
        let licence = licence(raw);
        Ok(Metadata { name, version, monai_version: text("monai_version"), licence, channels, classes })
    }
}

/// The names of an entry's channels by their numbers. Where the entry isn't called as usual, the only image
/// of that side counts.
fn definition(raw: &Raw, side: &str, usual: &str) -> Result<Vec<(usize, String)>> {
    let Some(entries) = raw.pointer(&format!("/network_data_format/{side}")).and_then(Raw::as_object) else {
        return Ok(Vec::new());
    };
    let entry = match (entries.get(usual), entries.len()) {
        (Some(entry), _) => Some(entry),
        (None, 1) => entries.values().next(),
        _ => None,
    };
    let Some(names) = entry.and_then(|entry| entry.get("channel_def")).and_then(Raw::as_object) else {
        return Ok(Vec::new());
    };
    let path = || format!("`network_data_format.{side}.{usual}.channel_def`");
    if names.len() > MOST_NAMES {
        return Err(Error::refused(METADATA, format!("{} names in {}", names.len(), path())));
    }
    let read = |(number, name): (&String, &Raw)| match (number.parse(), name.as_str()) {
        (Ok(number), Some(name)) => Ok((number, name.to_owned())),
        _ => Err(Error::malformed(
            METADATA,
            format!("{} has `{number}`: {name}, expected \"0\": a name", path()),
        )),
    };
    let mut definition: Vec<(usize, String)> = names.iter().map(read).collect::<Result<_>>()?;
    definition.sort();
    Ok(definition)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn channels_and_classes_are_named_in_order() {
        let metadata = Metadata::read(&json!({
            "version": "0.5.2", "name": "x", "monai_version": "1.4.0",
            "network_data_format": {
                "inputs": {"image": {"channel_def": {"1": "T1", "0": "T1c"}}},
                "outputs": {"pred": {"channel_def": {"10": "ten", "0": "background", "2": "two"}}},
            },
        }));
        let metadata = metadata.unwrap();
        assert_eq!(metadata.channels, ["T1c", "T1"]);
        let classes = [(0, "background"), (2, "two"), (10, "ten")];
        assert_eq!(metadata.classes, classes.map(|(number, name)| (number, name.to_owned())));
        assert_eq!(metadata.monai_version.as_deref(), Some("1.4.0"));
    }

    #[test]
    fn what_is_missing_is_empty_and_what_is_wrong_is_an_error() {
        assert_eq!(Metadata::read(&json!({})).unwrap(), Metadata::default());
        let wrong = |definition: Raw, part: &str| {
            let raw = json!({"network_data_format": {"inputs": {"image": {"channel_def": definition}}}});
            let error = Metadata::read(&raw).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        wrong(json!({"1": "T1"}), "gaps");
        wrong(json!({"first": "T1"}), "`first`: \"T1\", expected");
    }
}
