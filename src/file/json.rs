//! Reads JSON into [`serde_json::Value`] with bounds on all that a text can make: its values and their nesting are
//! limited, and what they take is counted first. It goes down without recursion, so that it needs little stack.
//!
//! Python reads and writes numbers that JSON doesn't have. They become texts, which are wrong wherever a number is
//! needed, and go unnoticed where nothing is.

use serde_json::{Map, Number, Value};

use super::{Budget, Held};
use crate::error::{Error, Result};

/// Values of one text, keys not counted: 65,535 labels in lists of their own make half of them.
const MOST_VALUES: usize = 1 << 18;
/// Lists and objects within each other.
const DEEPEST: usize = 32;
/// Python's numbers that aren't finite.
const NOT_FINITE: [&str; 3] = ["NaN", "Infinity", "-Infinity"];
/// Bytes that an object's member takes beside its key and value, with the room that is kept for more.
const MEMBER: u64 = 256;
/// Bytes that a text takes beside its own.
const TEXT: u64 = 16;

/// The value of a JSON text; `name` stands for it in error texts. What it takes stays counted.
///
/// # Errors
/// [`Error::Malformed`] with line and column, [`Error::Refused`] for too much of it.
pub(crate) fn parse(name: &str, text: &[u8], budget: &Budget) -> Result<Value> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = Reader { name, text, at: 0, values: 0, held: budget.take(name, 0)?, open: Vec::new() };
    let value = reader.document()?;
    reader.held.keep();
    Ok(value)
}

/// A list or an object whose end isn't read yet.
enum Open {
    List(Vec<Value>),
    /// With the key of the member that is being read.
    Object(Map<String, Value>, String),
}

struct Reader<'a> {
    name: &'a str,
    text: &'a [u8],
    at: usize,
    values: usize,
    held: Held,
    open: Vec<Open>,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Value> {
        loop {
            let mut value = match self.peek() {
                Some(b'[') => {
                    self.start(Open::List(Vec::new()))?;
                    if self.peek() != Some(b']') {
                        continue;
                    }
                    self.end()
                }
                Some(b'{') => {
                    self.start(Open::Object(Map::new(), String::new()))?;
                    if self.peek() != Some(b'}') {
                        self.key()?;
                        continue;
                    }
                    self.end()
                }
                _ => self.scalar()?,
            };
            // A value may be the last of what it is in, and that again.
            loop {
                let next = self.peek();
                let held = &mut self.held;
                let is_list = match self.open.last_mut() {
                    None if next.is_none() => return Ok(value),
                    None => return Err(self.wrong("trailing characters")),
                    Some(Open::List(list)) => {
                        held.reserve(self.name, list, 1)?;
                        list.push(value);
                        true
                    }
                    Some(Open::Object(members, key)) => {
                        held.grow(self.name, MEMBER)?;
                        members.insert(std::mem::take(key), value);
                        false
                    }
                };
                match (next, is_list) {
                    (Some(b','), true) => self.at += 1,
                    (Some(b','), false) => {
                        self.at += 1;
                        self.key()?;
                    }
                    (Some(b']'), true) | (Some(b'}'), false) => {
                        value = self.end();
                        continue;
                    }
                    (_, true) => return Err(self.wrong("expected `,` or `]`")),
                    (_, false) => return Err(self.wrong("expected `,` or `}`")),
                }
                break;
            }
        }
    }

    fn start(&mut self, open: Open) -> Result<()> {
        if self.open.len() >= DEEPEST {
            return Err(self.refused(&format!("more than {DEEPEST} lists and objects within each other")));
        }
        self.count()?;
        self.at += 1;
        self.open.push(open);
        Ok(())
    }

    /// The list or object whose end is here.
    fn end(&mut self) -> Value {
        self.at += 1;
        match self.open.pop() {
            Some(Open::List(list)) => Value::Array(list),
            Some(Open::Object(members, _)) => Value::Object(members),
            None => Value::Null,
        }
    }

    fn count(&mut self) -> Result<()> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(self.refused(&format!("more than {MOST_VALUES} values")));
        }
        Ok(())
    }

    /// A member's key and the colon after it.
    fn key(&mut self) -> Result<()> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong("expected a key in quotes"));
        }
        let text = self.quoted()?;
        if self.peek() != Some(b':') {
            return Err(self.wrong("expected `:`"));
        }
        self.at += 1;
        if let Some(Open::Object(_, key)) = self.open.last_mut() {
            *key = text;
        }
        Ok(())
    }

    fn scalar(&mut self) -> Result<Value> {
        self.count()?;
        let first = self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        for (word, value) in [("true", true.into()), ("false", false.into()), ("null", Value::Null)] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        if let Some(word) = NOT_FINITE.into_iter().find(|word| rest.starts_with(word.as_bytes())) {
            self.held.grow(self.name, word.len() as u64 + TEXT)?;
            self.at += word.len();
            return Ok(word.into());
        }
        match first {
            Some(b'"') => self.quoted().map(Value::String),
            Some(b'-' | b'0'..=b'9') => {
                let part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                let length = rest.iter().position(|byte| !part(byte)).unwrap_or(rest.len());
                let number = rest.get(..length).and_then(|number| std::str::from_utf8(number).ok());
                let number = number.and_then(|number| number.parse::<Number>().ok());
                let number = number.ok_or_else(|| self.wrong("a number that is malformed or too large"))?;
                self.at += length;
                Ok(Value::Number(number))
            }
            Some(_) => Err(self.wrong("expected a value")),
            None => Err(self.wrong("it ends too early")),
        }
    }

    /// A text in quotes, which is ahead.
    fn quoted(&mut self) -> Result<String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut escaped = true;
        let end = rest.iter().position(|&byte| {
            let ends = byte == b'"' && !escaped;
            // The opening quote ends nothing, as one after a backslash.
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let quoted =
            end.and_then(|end| rest.get(..=end)).ok_or_else(|| self.wrong("a text without its end"))?;
        self.held.grow(self.name, quoted.len() as u64 + TEXT)?;
        let text = serde_json::from_slice(quoted).map_err(|_| self.wrong("a text that is malformed"))?;
        self.at += quoted.len();
        Ok(text)
    }

    /// The next byte that isn't white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..)?;
        let blank = rest.iter().position(|byte| !b" \t\r\n".contains(byte)).unwrap_or(rest.len());
        self.at += blank;
        rest.get(blank).copied()
    }

    fn place(&self) -> String {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        format!("line {line} column {column}")
    }

    fn wrong(&self, what: &str) -> Error {
        Error::malformed(self.name, format!("{what} at {}", self.place()))
    }

    fn refused(&self, what: &str) -> Error {
        Error::refused(self.name, format!("{what} at {}", self.place()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Value> {
        parse("x.json", text.as_bytes(), &Budget::default())
    }

    fn error(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn values_are_those_of_any_reader() {
        let text = r#" {"a": [1, -2.5e-3, 18446744073709551615, "é\n\"\\\u00e9\ud83d\ude00", true, false, null],
            "": {}, "b": [], "c": {"d": [[{"e": 0.1}]]}, "a": 3} "#;
        assert_eq!(read(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(read("\u{feff}[1]").unwrap(), json!([1]));
        assert_eq!(read("7").unwrap(), json!(7));
        let text = r#"[NaN, -Infinity, {"a": Infinity}, "NaN", 1]"#;
        assert_eq!(read(text).unwrap(), json!(["NaN", "-Infinity", {"a": "Infinity"}, "NaN", 1]));
    }

    #[test]
    fn mistakes_have_a_place() {
        assert!(error("{\"a\": 1,\n \"b\": }").contains("expected a value at line 2 column 7"));
        for text in
            ["", "[", "{", "[1", "[1,", "{\"a\"", "{\"a\":", "{\"a\":1", "\"a", "\"a\\", "tru", "-", "1e999"]
        {
            assert!(read(text).is_err(), "{text}");
        }
        for text in [
            "[1,]",
            "{\"a\":1,}",
            "{1:2}",
            "[1}",
            "{\"a\":1]",
            "1 2",
            "[1 2]",
            "\"\\x\"",
            "nan",
            "Nan",
            "01",
            "\"\n\"",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn too_much_is_refused() {
        assert!(error(&"[".repeat(100_000)).contains("more than 32 lists and objects"));
        assert!(error(&"{\"a\":".repeat(100_000)).contains("more than 32 lists and objects"));
        assert!(error(&format!("[{}0]", "0,".repeat(MOST_VALUES))).contains("more than 262144 values"));
        let small = Budget::new(Some(1 << 20));
        let text = format!("[{}0]", "0,".repeat(100_000));
        let error = parse("x.json", text.as_bytes(), &small).unwrap_err().to_string();
        assert!(error.contains("memory_budget") && error.contains("1048576"), "{error}");
    }

    #[test]
    fn little_stack_is_enough() {
        let text = format!("{}1{}", "[{\"a\":".repeat(16), "}]".repeat(16));
        let read = move || drop(read(&text).unwrap().clone());
        std::thread::Builder::new().stack_size(64 << 10).spawn(read).unwrap().join().unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_reads_as_by_serde(text in "[\\[\\]{},:\"\\\\a0-9.eE +\\-ntrufalse\n]{0,24}") {
            let expected = serde_json::from_str::<Value>(&text).ok();
            prop_assert_eq!(read(&text).ok(), expected);
        }
    }
}
