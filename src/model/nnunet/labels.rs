//! dataset.json: channels, labels and regions.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::labels::{Label, Terms, colors};
use crate::model::json::Json;
use crate::recipe::Decision;

/// Names of the image's channels.
pub(super) fn channels(dataset: &Json) -> Result<Vec<String>> {
    let names = match dataset.find("channel_names") {
        Some(names) => names,
        // The key of nnU-Net v1 and its converted datasets.
        None => match dataset.find("modality") {
            Some(names) => names,
            None => dataset.get("channel_names")?,
        },
    };
    let channels: Vec<String> =
        names.members()?.into_iter().map(|(_, name)| Ok(name.text()?.to_owned())).collect::<Result<_>>()?;
    if channels.is_empty() { Err(names.wrong("at least one channel")) } else { Ok(channels) }
}

/// What the network's channels mean.
pub(super) struct Labels {
    /// Names of the values that voxels can get.
    pub table: Vec<Label>,
    pub decision: Decision,
    /// Channels of the network's result.
    pub classes: usize,
    /// All label values but the background, ascending: the channels that a previous stage adds.
    pub foreground: Vec<u16>,
}

/// An entry of `labels`: its name, its values, and whether they stand in a list.
struct Entry<'a> {
    name: &'a str,
    values: Vec<u16>,
    list: bool,
}

impl Labels {
    pub(super) fn read(dataset: &Json) -> Result<Self> {
        let labels = dataset.get("labels")?;
        let mut entries = Vec::new();
        for (name, label) in labels.members()? {
            // Voxels with the ignore label taught the network nothing; it never predicts it.
            if name == "ignore" {
                continue;
            }
            let list = label.is_list();
            let values = if list {
                label.list()?.iter().map(value).collect::<Result<_>>()?
            } else {
                vec![value(&label)?]
            };
            entries.push(Entry { name, values, list });
        }
        if !entries.iter().any(|entry| entry.name == "background" && entry.values == [0]) {
            return Err(labels.wrong("`background` with value 0"));
        }
        let mut all: Vec<u16> = entries.iter().flat_map(|entry| entry.values.clone()).collect();
        all.sort_unstable();
        all.dedup();
        let foreground: Vec<u16> = all.iter().copied().filter(|&value| value != 0).collect();
        if entries.iter().any(|entry| entry.list && entry.values.len() > 1) {
            Self::regions(dataset, &labels, &entries, foreground)
        } else if all.iter().enumerate().any(|(index, &value)| index != usize::from(value)) {
            Err(labels.wrong("consecutive values from 0"))
        } else {
            // The first entry that has a value names it.
            let names =
                entries.iter().rev().flat_map(|entry| entry.values.iter().map(|value| (*value, entry.name)));
            let names: BTreeMap<u16, &str> = names.collect();
            Ok(Labels {
                table: table(names.into_iter().map(|(value, name)| (value.into(), name)).collect()),
                decision: Decision::Highest,
                classes: all.len(),
                foreground,
            })
        }
    }

    fn regions(dataset: &Json, labels: &Json, entries: &[Entry], foreground: Vec<u16>) -> Result<Self> {
        let regions: Vec<&Entry> = entries.iter().filter(|entry| entry.values != [0]).collect();
        let order = dataset.get("regions_class_order")?;
        let values = order.list()?.iter().map(value).collect::<Result<Vec<u16>>>()?;
        if values.len() != regions.len() {
            return Err(order.wrong(&format!("one value for each of the {} regions", regions.len())));
        }
        let mut named = vec![(0, "background")];
        named.extend(values.iter().zip(&regions).map(|(&value, region)| (u32::from(value), region.name)));
        named.sort_by_key(|&(value, _)| value);
        if named.iter().zip(named.iter().skip(1)).any(|(one, next)| one.0 == next.0) {
            return Err(labels.wrong("regions with a value of their own each"));
        }
        Ok(Labels {
            table: table(named),
            classes: values.len(),
            decision: Decision::regions(values),
            foreground,
        })
    }
}

/// A label, as nnU-Net takes it: by Python's `int`.
pub(super) fn value(json: &Json) -> Result<u16> {
    let wrong = || json.wrong("a label from 0 to 65535");
    json.integer().ok().and_then(|value| u16::try_from(value).ok()).ok_or_else(wrong)
}

fn table(named: Vec<(u32, &str)>) -> Vec<Label> {
    let colors = colors(named.len());
    let label = |((value, name), color): ((u32, &str), [u8; 3])| Label {
        value,
        name: name.into(),
        color,
        terms: Terms::of_structure(name),
    };
    named.into_iter().zip(colors).map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Result<Labels> {
        Labels::read(&Json::new("dataset.json", &json))
    }

    fn many(count: u32) -> serde_json::Value {
        let label = |value: u32| {
            let name = if value == 0 { "background".into() } else { format!("label {value}") };
            (name, serde_json::Value::from(value))
        };
        serde_json::json!({ "labels": (0..count).map(label).collect::<serde_json::Map<_, _>>() })
    }

    #[test]
    fn the_ignore_label_is_no_class() {
        let labels = read(serde_json::json!({"labels": {"background": 0, "liver": 1, "ignore": 2}})).unwrap();
        assert_eq!((labels.classes, labels.foreground), (2, vec![1]));
        assert_eq!(
            labels.table.iter().map(|label| label.name.as_str()).collect::<Vec<_>>(),
            ["background", "liver"]
        );
        assert_eq!(labels.decision, Decision::Highest);
    }

    #[test]
    fn as_many_labels_as_there_are_values() {
        let labels = many(65_536);
        let started = std::time::Instant::now();
        assert_eq!(read(labels).unwrap().table[65_535].name, "label 65535");
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }

    #[test]
    fn more_labels_than_a_byte_holds() {
        let labels = read(many(300)).unwrap();
        assert_eq!((labels.classes, labels.table[299].value), (300, 299));
        assert!(read(serde_json::json!({"labels": {"background": 0, "far": 65_536}})).is_err());
    }

    #[test]
    fn regions_have_a_value_each() {
        let regions = serde_json::json!({"background": 0, "whole": [1, 2], "core": [2], "ignore": 3});
        let order = serde_json::json!([1, 2]);
        let labels = read(serde_json::json!({"labels": regions, "regions_class_order": order})).unwrap();
        assert_eq!((labels.classes, labels.foreground), (2, vec![1, 2]));
        assert_eq!(labels.decision, Decision::regions([1, 2]));
        for order in [serde_json::json!([1]), serde_json::json!([1, 1]), serde_json::json!("1, 2")] {
            assert!(read(serde_json::json!({"labels": regions, "regions_class_order": order})).is_err());
        }
        assert!(read(serde_json::json!({"labels": regions})).is_err());
    }

    #[test]
    fn labels_are_what_pythons_int_makes_of_them() {
        let labels = serde_json::json!({"background": "0", "liver": 1.0, "spleen": " 2 ", "ignore": "3"});
        let read_as = read(serde_json::json!({ "labels": labels })).unwrap();
        assert_eq!(read_as.table.iter().map(|label| label.value).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(read_as.table[2].name, "spleen");
        let regions = serde_json::json!({"background": "0", "whole": ["1", 2.0], "core": [2]});
        let order = serde_json::json!(["1", 2.0]);
        let regions = read(serde_json::json!({"labels": regions, "regions_class_order": order})).unwrap();
        assert_eq!(regions.decision, Decision::regions([1, 2]));
        for wrong in [
            serde_json::json!(true),
            serde_json::json!(1.5),
            serde_json::json!("one"),
            serde_json::json!("1.0"),
            serde_json::json!(null),
        ] {
            let error = read(serde_json::json!({"labels": {"background": 0, "liver": wrong}}));
            let error = error.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("`labels.liver` is"), "{wrong}: {error}");
        }
    }

    #[test]
    fn gaps_and_a_missing_background_are_refused() {
        for labels in [
            serde_json::json!({"background": 0, "liver": 2}),
            serde_json::json!({"liver": 1}),
            serde_json::json!({"background": 1, "liver": 0}),
            serde_json::json!({"background": 0, "liver": -1}),
            serde_json::json!([0, 1]),
        ] {
            assert!(read(serde_json::json!({ "labels": labels })).is_err(), "{labels}");
        }
    }
}
