//! Reading JSON files with errors that say where and what was expected.

use serde_json::Value;

use super::files::Files;
use crate::error::{Error, Result};
use crate::file::{self, Budget, shorten};

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

/// Parses a JSON text that isn't among a model's files.
pub(super) fn from_slice(name: &str, bytes: &[u8]) -> Result<Value> {
    let budget = Budget::default();
    budget.admit(bytes.len() as u64);
    file::json::parse(name, bytes, &budget)
}

/// What Python's `int` makes of a text: digits with a sign, single underscores between them, and space around.
pub(super) fn python_int(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let groups = || digits.split('_');
    let right = groups().all(|group| !group.is_empty() && group.bytes().all(|digit| digit.is_ascii_digit()));
    let value: i64 = right.then(|| groups().collect::<String>())?.parse().ok()?;
    Some(if negative { -value } else { value })
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

    /// A whole number as Python's `int` takes it: a number, or a text with one. Not true and false, which it takes
    /// too, nor numbers with a fraction, which it cuts off.
    pub(super) fn integer(&self) -> Result<i64> {
        let value = match self.value {
            Value::Number(number) => {
                let whole = |number: &f64| number.fract() == 0.0 && number.abs() <= (1_i64 << 53) as f64;
                number.as_i64().or_else(|| number.as_f64().filter(whole).map(|number| number as i64))
            }
            Value::String(text) => python_int(text),
            _ => None,
        };
        value.ok_or_else(|| self.wrong("a whole number"))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_of_python_that_json_lacks_are_texts() {
        let read = |text: &str| from_slice("x.json", text.as_bytes());
        let value =
            read(r#"{"a": NaN, "b": [1, -Infinity, Infinity], "NaN": "Infinity, \\\"NaN \\"}"#).unwrap();
        let expected = json!({"a": "NaN", "b": [1, "-Infinity", "Infinity"], "NaN": "Infinity, \\\"NaN \\"});
        assert_eq!(value, expected);
        let json = Json::new("x.json", &value);
        let error = json.get("a").unwrap().number().unwrap_err().to_string();
        assert_eq!(error, "malformed x.json: `a` is \"NaN\", expected a number");
        for wrong in
            ["{\"a\": nan}", "{\"a\": NaNN}", "{\"a\": -NaN}", "{\"a\": \"NaN}", "[Infinity", "{\"a\": \"\\"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn whole_numbers_are_those_of_pythons_int() {
        let read = |value: Value| Json::new("x.json", &value).integer().ok();
        for (value, expected) in [
            (json!(3), 3),
            (json!(3.0), 3),
            (json!(-0.0), 0),
            (json!("1"), 1),
            (json!(" +2\n"), 2),
            (json!("-07"), -7),
            (json!("1_000"), 1000),
        ] {
            assert_eq!(read(value.clone()), Some(expected), "{value}");
        }
        let nonsense = ["", "1.0", "one", "0x1", "1__0", "_1", "1_", "+-1", "1 2", "NaN"];
        let others = [json!(true), json!(1.5), json!(null), json!([1]), json!({}), json!(1e300)];
        for value in nonsense.map(Value::from).into_iter().chain(others) {
            assert_eq!(read(value.clone()), None, "{value}");
        }
    }
}
