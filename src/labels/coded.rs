//! Tables of structures with coded terms, one a row, as 3D Slicer's models carry them and TotalSegmentator publishes
//! one: the columns of a term are its DICOM sequence's keyword with `.CodingSchemeDesignator`, `.CodeValue` and
//! `.CodeMeaning`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::table::{Label, colors};
use super::terms::{Term, Terms};
use crate::error::{Error, Result};

/// More rows than any table has.
const MOST: usize = 1 << 16;

/// A structure.
pub(crate) struct Row {
    /// The value in the label map, where the table gives one.
    pub value: Option<u16>,
    pub name: String,
    pub terms: Terms,
}

/// The columns of each term.
const SEQUENCES: [&str; 5] = [
    "SegmentedPropertyCategoryCodeSequence",
    "SegmentedPropertyTypeCodeSequence",
    "SegmentedPropertyTypeModifierCodeSequence",
    "AnatomicRegionSequence",
    "AnatomicRegionModifierSequence",
];
const PARTS: [&str; 3] = ["CodingSchemeDesignator", "CodeValue", "CodeMeaning"];

/// Reads a table with the column `Name` and perhaps `LabelValue`; `file` stands for it in error texts.
pub(crate) fn parse(bytes: &[u8], file: &str) -> Result<Vec<Row>> {
    let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let damaged = |error: csv::Error| Error::malformed(file, error.to_string());
    let header = table.headers().map_err(damaged)?.clone();
    let column = |key: &str| header.iter().position(|column| column.trim() == key);
    let Some(name_at) = column("Name") else {
        return Err(Error::malformed(file, "the column `Name` is missing"));
    };
    let value_at = column("LabelValue");
    let columns = SEQUENCES.map(|sequence| PARTS.map(|part| column(&format!("{sequence}.{part}"))));
    let mut rows = Vec::new();
    for (number, record) in table.records().enumerate() {
        let record = record.map_err(damaged)?;
        let text = |at: usize| record.get(at).unwrap_or_default().trim();
        let value = |at: usize| {
            text(at).parse::<u16>().map_err(|_| {
                let found: String = text(at).chars().take(40).collect();
                Error::malformed(file, format!("label `{found}` in row {}, expected 0 to 65535", number + 2))
            })
        };
        let term = |columns: [Option<usize>; 3]| {
            let [scheme, code, meaning] = columns.map(|column| column.map_or("", text).to_owned());
            (!code.is_empty()).then_some(Term { scheme, code, meaning })
        };
        let [category, property, modifier, region, region_modifier] = columns.map(term);
        let terms = Terms { category, property, modifier, region, region_modifier };
        rows.push(Row { value: value_at.map(value).transpose()?, name: text(name_at).to_owned(), terms });
        if rows.len() > MOST {
            return Err(Error::refused(file, format!("more than {MOST} rows")));
        }
    }
    Ok(rows)
}

/// The labels of a table in CSV with the columns `LabelValue` and `Name` and those of coded terms, as Auto3DSeg models
/// for 3D Slicer have it beside their weights; a background is added where it has none. `file` stands for it in error
/// texts.
///
/// # Errors
/// [`Error::Malformed`] for damage, missing columns and values that stand twice, [`Error::Refused`] for too many rows.
pub fn label_table(csv: &[u8], file: &str) -> Result<Vec<Label>> {
    let mut labels = Vec::new();
    for Row { value, name, terms } in parse(csv, file)? {
        let Some(value) = value else {
            return Err(Error::malformed(file, "the column `LabelValue` is missing"));
        };
        labels.push(Label { value: value.into(), name, color: [0; 3], terms });
    }
    if labels.iter().all(|label| label.value != 0) {
        let (name, terms) = ("background".into(), Terms::default());
        labels.push(Label { value: 0, name, color: [0; 3], terms });
    }
    labels.sort_by_key(|label| label.value);
    if let Some(pair) = labels.windows(2).find(|pair| pair[0].value == pair[1].value) {
        return Err(Error::malformed(file, format!("label {} twice", pair[0].value)));
    }
    let colors = colors(labels.len());
    for (label, color) in labels.iter_mut().zip(colors) {
        label.color = color;
    }
    Ok(labels)
}

/// The terms of TotalSegmentator's structures by their names: the table `totalsegmentator_snomed_mapping.csv` of
/// wasserth/TotalSegmentator at 0e65a44 (2026-08-13, Apache-2.0), without its colours.
static STRUCTURES: LazyLock<BTreeMap<String, Terms>> = LazyLock::new(|| {
    let rows = parse(include_bytes!("data/structures.csv"), "structures.csv").unwrap_or_default();
    rows.into_iter().map(|row| (row.name, row.terms)).collect()
});

impl Terms {
    /// The terms of a structure that has one of TotalSegmentator's names, such as `kidney_left`; none for others.
    pub fn of_structure(name: &str) -> Terms {
        STRUCTURES.get(name).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "LabelValue,Name,SegmentedPropertyTypeCodeSequence.CodingSchemeDesignator,\
                          SegmentedPropertyTypeCodeSequence.CodeValue,SegmentedPropertyTypeCodeSequence.CodeMeaning";

    #[test]
    fn names_and_codes_are_read() {
        let text = format!("{HEADER}\n2,\"kidney, right\",SCT,64033007,Kidney\n1,spleen,,,\n");
        let rows = parse(text.as_bytes(), "labels.csv").unwrap();
        let names: Vec<_> = rows.iter().map(|row| (row.value, row.name.as_str())).collect();
        assert_eq!(names, [(Some(2), "kidney, right"), (Some(1), "spleen")]);
        assert!(rows[1].terms.is_empty());
        let term = rows[0].terms.property.as_ref().unwrap();
        assert_eq!((&*term.scheme, &*term.code, &*term.meaning), ("SCT", "64033007", "Kidney"));
    }

    #[test]
    fn damage_is_named() {
        for (text, part) in [
            ("a,b\n1,2\n".to_owned(), "column `Name`"),
            (format!("{HEADER}\nx,spleen,,,\n"), "`x` in row 2"),
            (format!("{HEADER}\n70000,spleen,,,\n"), "70000"),
        ] {
            let error = parse(text.as_bytes(), "labels.csv").err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(parse(&[0xff, 0xfe, b'\n', 0x80], "labels.csv").is_err());
    }

    #[test]
    fn structures_have_terms() {
        assert_eq!(STRUCTURES.len(), 170);
        let kidney = Terms::of_structure("kidney_left");
        assert_eq!(kidney.property.unwrap().code, "64033007");
        assert_eq!(kidney.modifier.unwrap().meaning, "Left");
        assert!(Terms::of_structure("no such thing").is_empty());
    }

    #[test]
    fn labels_are_sorted_and_have_a_background() {
        let labels = label_table(b"LabelValue,Name\n2,kidney\n1,spleen\n", "labels.csv").unwrap();
        let names: Vec<_> = labels.iter().map(|label| (label.value, label.name.as_str())).collect();
        assert_eq!(names, [(0, "background"), (1, "spleen"), (2, "kidney")]);
        assert_ne!(labels[1].color, labels[2].color);
    }

    #[test]
    fn values_must_be_there_once() {
        assert!(
            label_table(b"LabelValue,Name\n1,a\n1,b\n", "labels.csv")
                .unwrap_err()
                .to_string()
                .contains("label 1 twice")
        );
        assert!(label_table(b"Name\na\n", "labels.csv").unwrap_err().to_string().contains("LabelValue"));
    }
}
