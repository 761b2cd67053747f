//! Reading JSON files with errors that say where and what was expected.

use serde_json::Value;

use super::files::Files;
use crate::error::{Error, Result};
use crate::file;

/// A value in a JSON file, which knows its place for error texts.
#[derive(Clone, Debug)]
pub(super) struct Json<'a> {
    file: &'a str,
    path: String,
    value: &'a Value,
}

/// Reads and parses a JSON file that must be there.
pub(super) fn parse(files: &Files, name: &str) -> Result<Value> {
    let Some(bytes) = files.read(name)? else {
        return Err(Error::NotAModel { reason: format!("{} has no {name}", files.title()) });
    };
    file::json::parse(name, &bytes, files.budget())
}

/// The start of a text that may be too long to quote.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 80;
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let cut = (0..=LONGEST).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", &text[..cut])
}

impl<'a> Json<'a> {
    pub(super) fn new(file: &'a str, value: &'a Value) -> Self {
        Json { file, path: String::new(), value }
    }

    fn child(&self, key: &str, value: &'a Value) -> Json<'a> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Json { file: self.file, path, value }
    }

    /// The error that this value isn't what it should be.
    pub(super) fn wrong(&self, expected: &str) -> Error {
        let found = shorten(&self.value.to_string());
        Error::malformed(self.file, format!("`{}` is {found}, expected {expected}", self.path))
    }

    /// A member that may be missing or null.
    pub(super) fn find(&self, key: &str) -> Option<Json<'a>> {
        self.value.get(key).filter(|value| !value.is_null()).map(|value| self.child(key, value))
    }

    /// A member that must be there.
    pub(super) fn get(&self, key: &str) -> Result<Json<'a>> {
        self.find(key).ok_or_else(|| {
            let place = if self.path.is_empty() { String::new() } else { format!(" in `{}`", self.path) };
            Error::malformed(self.file, format!("`{key}` is missing{place}"))
        })
    }

    pub(super) fn members(&self) -> Result<Vec<(&'a str, Json<'a>)>> {
        let object = self.value.as_object().ok_or_else(|| self.wrong("an object"))?;
        Ok(object.iter().map(|(key, value)| (key.as_str(), self.child(key, value))).collect())
    }

    /// A copy of a member, null when there is none.
    pub(super) fn raw(&self, key: &str) -> Value {
        self.value.get(key).cloned().unwrap_or_default()
    }

    /// The value itself.
    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    pub(super) fn list(&self) -> Result<Vec<Json<'a>>> {
        let list = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        Ok(list.iter().enumerate().map(|(index, value)| self.child(&index.to_string(), value)).collect())
    }

    pub(super) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    pub(super) fn text(&self) -> Result<&'a str> {
        self.value.as_str().ok_or_else(|| self.wrong("text"))
    }

    pub(super) fn boolean(&self) -> Result<bool> {
        self.value.as_bool().ok_or_else(|| self.wrong("true or false"))
    }

    pub(super) fn number(&self) -> Result<f64> {
        self.value.as_f64().filter(|number| number.is_finite()).ok_or_else(|| self.wrong("a number"))
    }

    /// A size or count: from 0, and small enough that products of a few can't overflow.
    pub(super) fn count(&self) -> Result<usize> {
        match self.value.as_u64() {
            Some(count) if count <= 1 << 20 => Ok(count as usize),
            _ => Err(self.wrong("a whole number from 0 to 1048576")),
        }
    }

    /// One value for each of the three axes; `fill` stands for axis 0 of two-dimensional configurations.
    pub(super) fn axes<T: Copy>(&self, fill: T, read: impl Fn(&Json<'a>) -> Result<T>) -> Result<[T; 3]> {
        if !self.is_list() {
            return Ok([read(self)?; 3]);
        }
        match self.list()?.iter().map(read).collect::<Result<Vec<T>>>()?[..] {
            [a, b, c] => Ok([a, b, c]),
            [b, c] => Ok([fill, b, c]),
            _ => Err(self.wrong("two or three values")),
        }
    }
}
