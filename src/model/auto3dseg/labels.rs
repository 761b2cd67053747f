//! `labels.csv`: label values, their names and coded terms.

use crate::error::{Error, Result};
use crate::labels::{Label, label_table};
use crate::model::files::Files;

/// Bytes that a row of the table takes beside its text, with the label that is made of it.
const ROW: u64 = 1 << 10;

/// Reads the table; a background is added where it has none.
pub(super) fn read(files: &Files, name: &str) -> Result<Vec<Label>> {
    let Some(bytes) = files.read(name)? else {
        return Err(Error::NotAModel { reason: format!("{} has no {name}", files.title()) });
    };
    let rows = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    files.budget().take(name, ROW.saturating_mul(rows))?.keep();
    label_table(&bytes, name)
}
