//! Reads the arguments of an object that a config creates, with errors that say where and what was expected.

use super::config::{Component, Value};
use crate::error::{Error, Result};

/// The arguments of an object, whose names are all known.
pub(super) struct Arguments<'a> {
    file: &'a str,
    component: &'a Component,
}

/// An argument that is given, which knows its place for error texts.
#[derive(Clone)]
pub(super) struct Argument<'a> {
    file: &'a str,
    path: String,
    value: &'a Value,
}

impl<'a> Arguments<'a> {
    /// An argument that isn't among the known ones is refused: it might change what the object does.
    pub(super) fn new(file: &'a str, component: &'a Component, known: &[&str]) -> Result<Self> {
        let Component { target, id, .. } = component;
        if component.callable {
            let what = format!("{file}: `{id}` is the function `{target}` itself, expected what it returns");
            return Err(Error::unsupported(what));
        }
        match component.arguments.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(Arguments { file, component }),
            Some((name, value)) => {
                let found = value.describe();
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                let what =
                    format!("{file}: `{id}`: `{target}` with argument `{name}` = {found}, known are {known}");
                Err(Error::unsupported(what))
            }
        }
    }

    /// An argument that may be missing or `None`.
    pub(super) fn find(&self, name: &str) -> Option<Argument<'a>> {
        let value = self.component.argument(name).filter(|value| **value != Value::None)?;
        Some(Argument { file: self.file, path: format!("{}::{name}", self.component.id), value })
    }

    /// An argument that must be there.
    pub(super) fn get(&self, name: &str) -> Result<Argument<'a>> {
        self.find(name).ok_or_else(|| {
            let Component { target, id, .. } = self.component;
            Error::malformed(self.file, format!("`{id}`: `{target}` needs argument `{name}`"))
        })
    }

    /// An argument, or its default value.
    pub(super) fn get_or<T>(
        &self,
        name: &str,
        default: T,
        read: impl FnOnce(&Argument<'a>) -> Result<T>,
    ) -> Result<T> {
        self.find(name).map_or(Ok(default), |argument| read(&argument))
    }
}

impl<'a> Argument<'a> {
    /// The error that this value isn't what it should be.
    pub(super) fn wrong(&self, expected: &str) -> Error {
        if let Value::Unsupported(what) = self.value {
            return Error::unsupported(what);
        }
        let found = self.value.describe();
        Error::malformed(self.file, format!("`{}` is {found}, expected {expected}", self.path))
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    pub(super) fn number(&self) -> Result<f64> {
        match self.value {
            Value::Int(value) => Ok(*value as f64),
            Value::Float(value) => Ok(*value),
            _ => Err(self.wrong("a number")),
        }
    }

    /// A size or count: from 0, and small enough that products of a few can't overflow.
    pub(super) fn count(&self) -> Result<usize> {
        match self.value {
            Value::Int(value @ 0..=0x10_0000) => Ok(*value as usize),
            _ => Err(self.wrong("a whole number from 0 to 1048576")),
        }
    }

    /// A published config writes "True" in quotes, which Python takes for true, as it would take "False".
    pub(super) fn boolean(&self) -> Result<bool> {
        match self.value {
            Value::Bool(value) => Ok(*value),
            Value::Int(value @ 0..=1) => Ok(*value == 1),
            Value::Text(text) if text == "True" || text == "true" => Ok(true),
            _ => Err(self.wrong("true or false")),
        }
    }

    pub(super) fn text(&self) -> Result<&'a str> {
        match self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.wrong("text")),
        }
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.value, Value::List(_))
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Result<Vec<Argument<'a>>> {
        let Value::List(list) = self.value else { return Err(self.wrong("a list")) };
        let element =
            |(index, value)| Argument { file: self.file, path: format!("{}::{index}", self.path), value };
        Ok(list.iter().enumerate().map(element).collect())
    }

    /// The elements of a list, or the value itself where it is alone: how keys are given.
    pub(super) fn one_or_more(&self) -> Result<Vec<Argument<'a>>> {
        if self.is_list() { self.list() } else { Ok(vec![self.clone()]) }
    }

    /// The first of the elements of a list, or the value itself where it is alone: what counts for the prediction,
    /// which is the first of the keys.
    pub(super) fn first(&self) -> Result<Argument<'a>> {
        self.one_or_more()?.into_iter().next().ok_or_else(|| self.wrong("a value, or a list of one or more"))
    }

    /// One value for each of `count` keys or axes: a list of as many, or one for all.
    pub(super) fn for_each(&self, count: usize) -> Result<Vec<Argument<'a>>> {
        if !self.is_list() {
            return Ok(vec![self.clone(); count]);
        }
        let list = self.list()?;
        if list.len() == count {
            Ok(list)
        } else {
            Err(self.wrong(&format!("one value or a list of {count}")))
        }
    }

    /// One value for each of the three axes.
    pub(super) fn axes<T>(&self, read: impl Fn(&Argument<'a>) -> Result<T>) -> Result<[T; 3]> {
        let values = self.for_each(3)?.iter().map(read).collect::<Result<Vec<T>>>()?;
        values.try_into().map_err(|_| self.wrong("three values"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component() -> Component {
        let text = |text: &str| Value::Text(text.into());
        let arguments = [
            ("keys", text("image")),
            ("pixdim", Value::List(vec![Value::Float(1.5), Value::Int(1), Value::Int(2)])),
            ("nonzero", text("True")),
            ("clip", text("False")),
            ("size", Value::Int(96)),
            ("dtype", Value::None),
            ("mode", Value::Unsupported("x.json: `mode` is `$f()`".into())),
        ];
        let arguments = arguments.map(|(name, value)| (name.to_owned(), value)).into();
        Component {
            target: "Spacingd".into(),
            arguments,
            id: "preprocessing::transforms::3".into(),
            callable: false,
        }
    }

    #[test]
    fn values_are_read_by_type() {
        let component = component();
        let known = ["keys", "pixdim", "nonzero", "clip", "size", "dtype", "mode", "padding_mode"];
        let arguments = Arguments::new("x.json", &component, &known).unwrap();
        assert_eq!(arguments.get("pixdim").unwrap().axes(Argument::number).unwrap(), [1.5, 1.0, 2.0]);
        assert_eq!(arguments.get("size").unwrap().axes(Argument::count).unwrap(), [96; 3]);
        assert!(arguments.get("nonzero").unwrap().boolean().unwrap());
        assert_eq!(arguments.get_or("padding_mode", "border", Argument::text).unwrap(), "border");
        assert!(arguments.find("dtype").is_none());
        let keys = arguments.get("keys").unwrap().one_or_more().unwrap();
        assert_eq!(keys[0].text().unwrap(), "image");
    }

    #[test]
    fn errors_say_where_and_what() {
        let component = component();
        let Err(error) = Arguments::new("x.json", &component, &["keys"]) else { panic!() };
        let expected = "unsupported model: x.json: `preprocessing::transforms::3`: `Spacingd` with argument \
                        `pixdim` = a list of 3, known are keys";
        assert_eq!(error.to_string(), expected);
        let known = ["keys", "pixdim", "nonzero", "clip", "size", "dtype", "mode", "padding_mode"];
        let arguments = Arguments::new("x.json", &component, &known).unwrap();
        let message = |error: Option<Error>| error.unwrap().to_string();
        let error = message(arguments.get("clip").unwrap().boolean().err());
        assert!(error.contains("`preprocessing::transforms::3::clip` is text \"False\""), "{error}");
        let error = message(arguments.get("padding_mode").err());
        assert!(error.contains("`Spacingd` needs argument `padding_mode`"), "{error}");
        let error = message(arguments.get("mode").unwrap().text().err());
        assert_eq!(error, "unsupported model: x.json: `mode` is `$f()`");
        let error = message(arguments.get("pixdim").unwrap().for_each(2).err());
        assert!(error.contains("expected one value or a list of 2"), "{error}");
        let error = message(arguments.get("pixdim").unwrap().axes(Argument::count).err());
        assert!(error.contains("::pixdim::0` is 1.5"), "{error}");
    }
}
