//! YAML as PyYAML's safe loader reads it: YAML 1.1's plain scalars, so that `no` is false and `1e-4` is text.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Tag, options};
use serde_json::{Map, Number, Value as Raw};

/// Values that one file may stand for, aliases written out.
const MOST_VALUES: usize = 1 << 16;
/// Bytes of text that one file may stand for, aliases written out.
const MOST_TEXT: usize = 4 << 20;
/// Collections within each other.
const DEEPEST: usize = 32;

/// Reads a file of one document; of equal keys the last counts.
pub(super) fn parse(text: &str) -> Result<Raw, String> {
    let options = options! {
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
        block_scalar_eof_without_line_feed: true,
    };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        builder.take(event).map_err(|reason| format!("{reason} at line {}", span.start.line()))?;
    }
    Ok(builder.root.unwrap_or_default())
}

/// A collection whose end isn't read yet, with its anchor.
enum Open {
    Sequence(Vec<Raw>, usize),
    Mapping(Map<String, Raw>, Option<String>, usize),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    /// Values by their anchors, with what a copy costs.
    anchors: BTreeMap<usize, (Raw, Size)>,
    root: Option<Raw>,
    total: Size,
}

#[derive(Clone, Copy, Default)]
struct Size {
    values: usize,
    text: usize,
    depth: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => Err("a second document".into()),
            Event::Alias(anchor) => {
                // The anchor of a collection is known from its end on, so none can hold itself.
                let (value, size) = self.anchors.get(&anchor).ok_or("an alias within what it stands for")?;
                let (value, size) = (value.clone(), *size);
                if self.open.len() + size.depth > DEEPEST {
                    return Err(format!("more than {DEEPEST} collections within each other"));
                }
                self.spend(size)?;
                self.add(value)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref())?;
                self.spend(Size { values: 1, text: text.len(), depth: 0 })?;
                self.anchor(anchor, &value)?;
                self.add(value)
            }
            Event::SequenceStart(_, anchor, tag) => {
                known(tag.as_deref(), "seq")?;
                self.start(Open::Sequence(Vec::new(), anchor))
            }
            Event::MappingStart(_, anchor, tag) => {
                known(tag.as_deref(), "map")?;
                self.start(Open::Mapping(Map::new(), None, anchor))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (value, anchor) = match self.open.pop() {
                    Some(Open::Sequence(list, anchor)) => (Raw::Array(list), anchor),
                    Some(Open::Mapping(map, None, anchor)) => (Raw::Object(map), anchor),
                    _ => return Err("a key without its value".into()),
                };
                self.anchor(anchor, &value)?;
                self.add(value)
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, collection: Open) -> Result<(), String> {
        if self.open.len() >= DEEPEST {
            return Err(format!("more than {DEEPEST} collections within each other"));
        }
        if matches!(self.open.last(), Some(Open::Mapping(_, None, _))) {
            return Err("a collection as a key".into());
        }
        self.spend(Size { values: 1, ..Size::default() })?;
        self.open.push(collection);
        Ok(())
    }

    fn spend(&mut self, size: Size) -> Result<(), String> {
        self.total.values += size.values;
        self.total.text += size.text;
        if self.total.values > MOST_VALUES || self.total.text > MOST_TEXT {
            return Err(format!("more than {MOST_VALUES} values or {MOST_TEXT} bytes of text"));
        }
        Ok(())
    }

    fn anchor(&mut self, anchor: usize, value: &Raw) -> Result<(), String> {
        if anchor != 0 {
            let size = measure(value);
            self.spend(size)?;
            self.anchors.insert(anchor, (value.clone(), size));
        }
        Ok(())
    }

    fn add(&mut self, value: Raw) -> Result<(), String> {
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open::Sequence(list, _)) => list.push(value),
            Some(Open::Mapping(map, key, _)) => match key.take() {
                Some(key) => drop(map.insert(key, value)),
                None => *key = Some(key_text(value)?),
            },
        }
        Ok(())
    }
}

fn measure(value: &Raw) -> Size {
    let mut size = Size { values: 1, ..Size::default() };
    let mut include = |inner: &Raw, key: usize| {
        let inner = measure(inner);
        size.values += inner.values;
        size.text += inner.text + key;
        size.depth = size.depth.max(inner.depth + 1);
    };
    match value {
        Raw::String(text) => size.text = text.len(),
        Raw::Array(list) => list.iter().for_each(|inner| include(inner, 0)),
        Raw::Object(map) => map.iter().for_each(|(key, inner)| include(inner, key.len())),
        _ => {}
    }
    size
}

/// Ids are made of keys, so numbers and such become what Python's `str` makes of them.
fn key_text(value: Raw) -> Result<String, String> {
    match value {
        Raw::String(text) if text == "<<" => Err("a merge key `<<`, which is not supported".into()),
        Raw::String(text) => Ok(text),
        Raw::Number(number) => Ok(number.to_string()),
        Raw::Bool(true) => Ok("True".into()),
        Raw::Bool(false) => Ok("False".into()),
        Raw::Null => Ok("None".into()),
        Raw::Array(_) | Raw::Object(_) => Err("a collection as a key".into()),
    }
}

fn known(tag: Option<&Tag>, expected: &str) -> Result<(), String> {
    match tag {
        Some(tag) if tag.core_suffix() != Some(expected) => {
            Err(format!("the tag `{tag}`, which is not supported"))
        }
        _ => Ok(()),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Raw, String> {
    let Some(tag) = tag else {
        return if style == ScalarStyle::Plain { plain(text) } else { Ok(text.into()) };
    };
    if tag.core_suffix() == Some("str") {
        return Ok(text.into());
    }
    let value = plain(text)?;
    let expected = match &value {
        Raw::Null => "null",
        Raw::Bool(_) => "bool",
        Raw::Number(number) if number.is_f64() => "float",
        Raw::Number(_) => "int",
        _ => "str",
    };
    known(Some(tag), expected).map(|()| value)
}

/// What a plain scalar means; the forms of YAML 1.1's type repository (<https://yaml.org/type/>) as far as
/// PyYAML's safe loader has them, without numbers to base 60 and dates, which stay text.
fn plain(text: &str) -> Result<Raw, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Raw::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => true.into(),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => false.into(),
        _ => {
            if let Some(whole) = whole(text) {
                whole.map_err(|()| format!("the number {text}, which is too large"))?.into()
            } else if let Some(float) = float(text) {
                // Without a number of JSON's it stays text, which is wrong wherever a number is needed.
                Number::from_f64(float).map_or_else(|| text.into(), Raw::Number)
            } else {
                text.into()
            }
        }
    })
}

fn whole(text: &str) -> Option<Result<i64, ()>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (radix, digits) = match digits.as_bytes() {
        [b'0'] => (10, digits),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', ..] => (8, &digits[1..]),
        [b'1'..=b'9', ..] => (10, digits),
        _ => return None,
    };
    let valid = |digit: char| digit == '_' || digit.is_digit(radix);
    let plain = digits.replace('_', "");
    if plain.is_empty() || !digits.chars().all(valid) {
        return None;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    Some(i64::from_str_radix(&format!("{sign}{plain}"), radix).map_err(drop))
}

fn float(text: &str) -> Option<f64> {
    let number = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(number, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(f64::INFINITY);
    }
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "+0"));
    let (before, after) = mantissa.split_once('.')?;
    let digits = |part: &str| part.bytes().all(|byte| byte == b'_' || byte.is_ascii_digit());
    let starts = |part: &str| part.starts_with(|first: char| first.is_ascii_digit());
    // An exponent needs its sign: without it, this is text.
    let power = exponent.strip_prefix(['-', '+'])?;
    let valid = digits(before) && digits(after) && !power.is_empty() && digits(power) && !power.contains('_');
    if !valid || !(starts(before) || before.is_empty() && starts(after)) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_mean_what_pyyaml_makes_of_them() {
        let text = "a: [yes, 'yes', No, on, ~, 1, -0x1f, 0b11, 017, 1_000, 08]\n\
                    n: [1.5, -1.5e-3, 1e-4, 1.0e4, .5, 1., .nan, -.inf]\n\
                    b: {1: x, 2.5: y, true: z, null: n}\nc: !!str 12\n\
                    d: 2024-10-11\ne: 1:30\nf: |\n  two\n  lines\ng:\nh: |\n  end";
        let expected = json!({
            "a": [true, "yes", false, true, null, 1, -31, 3, 15, 1000, "08"],
            "n": [1.5, -1.5e-3, "1e-4", "1.0e4", 0.5, 1.0, ".nan", "-.inf"],
            "b": {"1": "x", "2.5": "y", "True": "z", "None": "n"},
            "c": "12", "d": "2024-10-11", "e": "1:30", "f": "two\nlines\n", "g": null, "h": "end",
        });
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn of_equal_keys_the_last_counts_where_the_first_stands() {
        let value = parse("a: 1\nb: 2\na: 3\n").unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn aliases_are_copies_within_limits() {
        assert_eq!(parse("a: &x [1, 2]\nb: *x\n").unwrap(), json!({"a": [1, 2], "b": [1, 2]}));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb += &format!("a{level}: &a{level} [{aliases}]\n");
        }
        assert!(parse(&bomb).unwrap_err().contains("more than 65536 values"));
        assert!(parse("a: &x [*x]").unwrap_err().contains("alias"));
        assert!(parse("a: *x").is_err());
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let refused = |text: &str, part: &str| {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        refused("a: 1\n---\nb: 2\n", "second document");
        refused("a: !!python/name:os.system x", "tag");
        refused("x: &x {a: 1}\ny:\n  <<: *x\n", "merge key");
        refused("[1, 2]: x", "as a key");
        refused("a: 99999999999999999999", "too large");
        refused(&"[".repeat(1000), "");
        refused(&"- ".repeat(1000), "");
    }
}
