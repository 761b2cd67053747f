//! `labels.csv`: label values, their names and coded terms.

use crate::error::{Error, Result};
use crate::labels::{Label, Term, Terms, colors};
use crate::model::files::Files;

/// More labels than any model has.
const MOST: usize = 1 << 16;

/// Reads the table; a background is added where it has none.
pub(super) fn read(files: &Files, name: &str) -> Result<Vec<Label>> {
    let Some(bytes) = files.read(name)? else {
        return Err(Error::NotAModel { reason: format!("{} has no {name}", files.title()) });
    };
    parse(&bytes, name)
}

fn parse(bytes: &[u8], name: &str) -> Result<Vec<Label>> {
    let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let damaged = |error: csv::Error| Error::malformed(name, error.to_string());
    let header = table.headers().map_err(damaged)?.clone();
    let column = |key: &str| header.iter().position(|column| column.trim() == key);
    let (Some(value_at), Some(name_at)) = (column("LabelValue"), column("Name")) else {
        return Err(Error::malformed(name, "the columns `LabelValue` and `Name` are missing"));
    };
    let parts = ["CodingSchemeDesignator", "CodeValue", "CodeMeaning"];
    let term_at = |sequence: &str| parts.map(|part| column(&format!("{sequence}.{part}")));
    let columns = [
        "SegmentedPropertyCategoryCodeSequence",
        "SegmentedPropertyTypeCodeSequence",
        "SegmentedPropertyTypeModifierCodeSequence",
        "AnatomicRegionSequence",
        "AnatomicRegionModifierSequence",
    ]
    .map(term_at);
    let mut labels = Vec::new();
    for (row, record) in table.records().enumerate() {
        let record = record.map_err(damaged)?;
        let text = |at: usize| record.get(at).unwrap_or_default().trim();
        let value = text(value_at).parse::<u16>().map_err(|_| {
            let found = crate::model::json::shorten(text(value_at));
            Error::malformed(name, format!("label `{found}` in row {}, expected 0 to 65535", row + 2))
        })?;
        let term = |columns: [Option<usize>; 3]| {
            let [scheme, code, meaning] = columns.map(|column| column.map_or("", text).to_owned());
            (!code.is_empty()).then_some(Term { scheme, code, meaning })
        };
        let [category, property, modifier, region, region_modifier] = columns.map(term);
        labels.push(Label {
            value: value.into(),
            name: text(name_at).to_owned(),
            color: [0; 3],
            terms: Terms { category, property, modifier, region, region_modifier },
        });
        if labels.len() > MOST {
            return Err(Error::refused(name, format!("more than {MOST} labels")));
        }
    }
    if labels.iter().all(|label| label.value != 0) {
        let (name, terms) = ("background".into(), Terms::default());
        labels.push(Label { value: 0, name, color: [0; 3], terms });
    }
    labels.sort_by_key(|label| label.value);
    if let Some(pair) = labels.windows(2).find(|pair| pair[0].value == pair[1].value) {
        return Err(Error::malformed(name, format!("label {} twice", pair[0].value)));
    }
    let colors = colors(labels.len());
    for (label, color) in labels.iter_mut().zip(colors) {
        label.color = color;
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "LabelValue,Name,SegmentedPropertyTypeCodeSequence.CodingSchemeDesignator,\
                          SegmentedPropertyTypeCodeSequence.CodeValue,SegmentedPropertyTypeCodeSequence.CodeMeaning";

    #[test]
    fn names_and_codes_are_read() {
        let text = format!("{HEADER}\n2,\"kidney, right\",SCT,64033007,Kidney\n1,spleen,,,\n");
        let labels = parse(text.as_bytes(), "labels.csv").unwrap();
        let names: Vec<_> = labels.iter().map(|label| (label.value, label.name.as_str())).collect();
        assert_eq!(names, [(0, "background"), (1, "spleen"), (2, "kidney, right")]);
        assert!(labels[1].terms.is_empty());
        let term = labels[2].terms.property.as_ref().unwrap();
        assert_eq!((&*term.scheme, &*term.code, &*term.meaning), ("SCT", "64033007", "Kidney"));
    }

    #[test]
    fn damage_is_named() {
        for (text, part) in [
            ("a,b\n1,2\n".to_owned(), "columns"),
            (format!("{HEADER}\nx,spleen,,,\n"), "`x` in row 2"),
            (format!("{HEADER}\n70000,spleen,,,\n"), "70000"),
            (format!("{HEADER}\n1,a,,,\n1,b,,,\n"), "label 1 twice"),
        ] {
            let error = parse(text.as_bytes(), "labels.csv").unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(parse(&[0xff, 0xfe, b'\n', 0x80], "labels.csv").is_err());
    }
}
