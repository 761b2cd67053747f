//! Models as named data, the one form that identities are hashed from and descriptions are printed from
//! (docs/identity.md). Names are written out here, so that renaming a type or a field changes none of them; everything
//! is taken apart without `..`, so that a new field that has no name yet doesn't compile.

mod network;
mod recipe;
mod task;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

pub(super) use network::node;
pub(super) use recipe::recipe;
pub(super) use task::{link, options, part, resampling, rule};

/// Named data.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    Nothing,
    Flag(bool),
    Whole(u64),
    Single(f32),
    Double(f64),
    Text(String),
    List(Vec<Form>),
    Fields(BTreeMap<&'static str, Form>),
}

/// Fields by their names.
pub(super) fn fields<const N: usize>(fields: [(&'static str, Form); N]) -> Form {
    Form::Fields(fields.into())
}

/// Something that has no other fields than its kind.
fn kind(key: &'static str, name: &str) -> Form {
    fields([(key, name.into())])
}

impl Form {
    /// The same fields and one more.
    fn with(self, name: &'static str, value: Form) -> Form {
        match self {
            Form::Fields(mut fields) => {
                fields.insert(name, value);
                Form::Fields(fields)
            }
            other => other,
        }
    }

    /// As people and programs read it: JSON. A number that JSON doesn't have becomes Python's word for it.
    pub(super) fn json(&self) -> Value {
        match self {
            Form::Nothing => Value::Null,
            Form::Flag(flag) => (*flag).into(),
            Form::Whole(number) => (*number).into(),
            // The shortest decimal that gives the single again.
            Form::Single(number) => Form::Double(number.to_string().parse().unwrap_or(f64::NAN)).json(),
            Form::Double(number) if number.is_finite() => (*number).into(),
            Form::Double(number) if number.is_nan() => "NaN".into(),
            Form::Double(number) => if *number > 0.0 { "Infinity" } else { "-Infinity" }.into(),
            Form::Text(text) => text.as_str().into(),
            Form::List(list) => list.iter().map(Form::json).collect(),
            Form::Fields(fields) => {
                Value::Object(fields.iter().map(|(&name, value)| (name.into(), value.json())).collect())
            }
        }
    }
}

/// The canonical text: JSON without blanks, fields in the order of their names' bytes, numbers with a fraction as text
/// with their IEEE bits in hexadecimal.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::Nothing => f.write_str("null"),
            Form::Flag(flag) => write!(f, "{flag}"),
            Form::Whole(number) => write!(f, "{number}"),
            Form::Single(number) => write!(f, "\"{:08x}\"", number.to_bits()),
            Form::Double(number) => write!(f, "\"{:016x}\"", number.to_bits()),
            Form::Text(text) => write!(f, "{}", Value::from(text.as_str())),
            Form::List(list) => {
                f.write_str("[")?;
                for (index, element) in list.iter().enumerate() {
                    write!(f, "{}{element}", if index == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Form::Fields(fields) => {
                f.write_str("{")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}\"{name}\":{value}", if index == 0 { "" } else { "," })?;
                }
                f.write_str("}")
            }
        }
    }
}

macro_rules! from {
    ($($type:ty => $value:ident: $form:expr),* $(,)?) => {
        $(impl From<$type> for Form {
            fn from($value: $type) -> Form {
                $form
            }
        })*
    };
}

from! {
    bool => flag: Form::Flag(flag),
    u8 => number: Form::Whole(number.into()),
    u16 => number: Form::Whole(number.into()),
    u32 => number: Form::Whole(number.into()),
    usize => number: Form::Whole(number as u64),
    f32 => number: Form::Single(number),
    f64 => number: Form::Double(number),
    &str => text: Form::Text(text.into()),
    &String => text: Form::Text(text.clone()),
}

impl<T: Into<Form>> From<Option<T>> for Form {
    fn from(value: Option<T>) -> Form {
        value.map_or(Form::Nothing, T::into)
    }
}

impl<T: Into<Form>, const N: usize> From<[T; N]> for Form {
    fn from(list: [T; N]) -> Form {
        Form::List(list.into_iter().map(T::into).collect())
    }
}

impl<T: Clone + Into<Form>> From<&[T]> for Form {
    fn from(list: &[T]) -> Form {
        Form::List(list.iter().cloned().map(T::into).collect())
    }
}

impl<T: Clone + Into<Form>> From<&Vec<T>> for Form {
    fn from(list: &Vec<T>) -> Form {
        list.as_slice().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_text_is_that_of_the_format() {
        let form = fields([
            ("z", [1_u16, 2].into()),
            ("a", fields([("single", 0.1_f32.into()), ("double", (-0.5).into())])),
            ("none", Form::Nothing),
            ("flag", true.into()),
            ("text", "ä\"\n".into()),
        ]);
        let text = r#"{"a":{"double":"bfe0000000000000","single":"3dcccccd"},"flag":true,"none":null,"text":"ä\"\n","z":[1,2]}"#;
        assert_eq!(form.to_string(), text);
        let json = r#"{"a":{"double":-0.5,"single":0.1},"flag":true,"none":null,"text":"ä\"\n","z":[1,2]}"#;
        assert_eq!(form.json().to_string(), json);
        assert_eq!(
            Form::from([f64::INFINITY, f64::NEG_INFINITY, f64::NAN]).json().to_string(),
            r#"["Infinity","-Infinity","NaN"]"#
        );
    }
}
