//! `labels.csv`: label values, their names and coded terms.

use crate::error::{Error, Result};
use crate::labels::{Label, Terms, coded, colors};
use crate::model::files::Files;

/// Reads the table; a background is added where it has none.
pub(super) fn read(files: &Files, name: &str) -> Result<Vec<Label>> {
    let Some(bytes) = files.read(name)? else {
        return Err(Error::NotAModel { reason: format!("{} has no {name}", files.title()) });
    };
    table(coded::parse(&bytes, name)?, name)
}

fn table(rows: Vec<coded::Row>, file: &str) -> Result<Vec<Label>> {
    let mut labels = Vec::new();
    for coded::Row { value, name, terms } in rows {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Label>> {
        table(coded::parse(text.as_bytes(), "labels.csv")?, "labels.csv")
    }

    #[test]
    fn labels_are_sorted_and_have_a_background() {
        let labels = read("LabelValue,Name\n2,kidney\n1,spleen\n").unwrap();
        let names: Vec<_> = labels.iter().map(|label| (label.value, label.name.as_str())).collect();
        assert_eq!(names, [(0, "background"), (1, "spleen"), (2, "kidney")]);
        assert_ne!(labels[1].color, labels[2].color);
    }

    #[test]
    fn values_must_be_there_once() {
        assert!(read("LabelValue,Name\n1,a\n1,b\n").unwrap_err().to_string().contains("label 1 twice"));
        assert!(read("Name\na\n").unwrap_err().to_string().contains("LabelValue"));
    }
}
