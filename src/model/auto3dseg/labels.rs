//! `labels.csv`: label values, their names and coded terms.

use crate::error::{Error, Result};
use crate::labels::{Label, label_table};
use crate::model::files::Files;

/// Reads the table; a background is added where it has none.
pub(super) fn read(files: &Files, name: &str) -> Result<Vec<Label>> {
    let Some(bytes) = files.read(name)? else {
        return Err(Error::NotAModel { reason: format!("{} has no {name}", files.title()) });
    };
    label_table(&bytes, name)
}
