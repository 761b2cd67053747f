//! The keyword arguments of a class, read one by one with errors that say where and what was expected. What
//! nobody has asked for in the end is refused by name.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::file::shorten;

/// Longest list that is accepted; no published network has as many levels.
const MOST_LEVELS: usize = 16;

/// Largest count that is accepted, so that products of a few can't overflow.
const MOST: u64 = 1 << 20;

pub(super) struct Arguments<'a> {
    file: &'a str,
    class: String,
    values: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(file: &'a str, class: &str, values: &'a Map<String, Value>) -> Self {
        Arguments { file, class: class.to_owned(), values, known: Vec::new() }
    }

    /// The error that an argument isn't what it should be.
    pub(super) fn wrong(&self, name: &str, expected: &str) -> Error {
        let found = self.values.get(name).map_or("missing".into(), |value| shorten(&value.to_string()));
        Error::malformed(self.file, format!("`{name}` of {} is {found}, expected {expected}", self.class))
    }

    /// The error that an argument makes sense to MONAI but not here.
    pub(super) fn unsupported(&self, name: &str, supported: &str) -> Error {
        let found = self.values.get(name).map_or("missing".into(), |value| shorten(&value.to_string()));
        let class = &self.class;
        Error::unsupported(format!("`{name}` of {class} in {} is {found}, supported: {supported}", self.file))
    }

    /// An argument as it stands, null included.
    pub(super) fn raw(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.values.get(name)
    }

    /// An argument that may be missing or null.
    pub(super) fn find(&mut self, name: &'static str) -> Option<&'a Value> {
        self.raw(name).filter(|value| !value.is_null())
    }

    /// Arguments that change nothing at inference.
    pub(super) fn ignore(&mut self, names: &[&'static str]) {
        self.known.extend(names);
    }

    /// A count from 1.
    pub(super) fn count(&mut self, name: &'static str, default: Option<usize>) -> Result<usize> {
        let wrong = self.wrong(name, "a whole number from 1 to 1048576");
        match self.raw(name) {
            None => default.ok_or(wrong),
            Some(value) => whole(value).filter(|&count| count > 0).ok_or(wrong),
        }
    }

    /// A list of whole numbers from 0.
    pub(super) fn counts(&mut self, name: &'static str, default: Option<&[usize]>) -> Result<Vec<usize>> {
        let wrong = self.wrong(name, "a list of 1 to 16 whole numbers");
        let Some(value) = self.raw(name) else { return default.map(<[usize]>::to_vec).ok_or(wrong) };
        let list = value.as_array().filter(|list| (1..=MOST_LEVELS).contains(&list.len()));
        list.and_then(|list| list.iter().map(whole).collect()).ok_or(wrong)
    }

    pub(super) fn flag(&mut self, name: &'static str, default: bool) -> Result<bool> {
        let wrong = self.wrong(name, "true or false");
        self.raw(name).map_or(Ok(default), |value| value.as_bool().ok_or(wrong))
    }

    pub(super) fn number(&mut self, name: &'static str, default: f64) -> Result<f64> {
        let wrong = self.wrong(name, "a number");
        self.raw(name)
            .map_or(Ok(default), |value| value.as_f64().filter(|number| number.is_finite()).ok_or(wrong))
    }

    pub(super) fn text(&mut self, name: &'static str, default: &'a str) -> Result<&'a str> {
        let wrong = self.wrong(name, "text");
        self.raw(name).map_or(Ok(default), |value| value.as_str().ok_or(wrong))
    }

    /// `spatial_dims`, 2 or 3.
    pub(super) fn spatial_dims(&mut self, default: Option<usize>) -> Result<usize> {
        match self.count("spatial_dims", default)? {
            found @ (2 | 3) => Ok(found),
            _ => Err(self.unsupported("spatial_dims", "2 and 3")),
        }
    }

    /// One value for each of three axes, from one number or a list; size 1 along axis 0 in two dimensions.
    pub(super) fn axes(&mut self, name: &'static str, dims: usize, default: usize) -> Result<[usize; 3]> {
        let wrong = self.wrong(name, "one whole number, or one for each axis, from 1 to 1048576");
        self.raw(name).map_or(Some(spread(default, dims)), |value| axes(value, dims)).ok_or(wrong)
    }

    /// As [`Arguments::axes`] for each level.
    pub(super) fn levels(&mut self, name: &'static str, dims: usize) -> Result<Vec<[usize; 3]>> {
        let wrong = self.wrong(name, "a list of 1 to 16 entries, each a whole number or one for each axis");
        let list = self.raw(name).and_then(Value::as_array);
        let list = list.filter(|list| (1..=MOST_LEVELS).contains(&list.len()));
        list.and_then(|list| list.iter().map(|value| axes(value, dims)).collect()).ok_or(wrong)
    }

    /// A layer: its name in lower case, and its own arguments. `None` where it is null or empty text.
    pub(super) fn layer<'b>(
        &mut self,
        name: &'static str,
        default: &'b Value,
    ) -> Result<Option<Arguments<'b>>>
    where
        'a: 'b,
    {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        let wrong = self.wrong(name, "a name, or a list of a name and an object with arguments");
        let value = self.raw(name).unwrap_or(default);
        let (layer, values) = match value {
            Value::Null => return Ok(None),
            Value::String(layer) => (layer.as_str(), &*NONE),
            Value::Array(pair) => match &pair[..] {
                [Value::String(layer)] => (layer.as_str(), &*NONE),
                [Value::String(layer), Value::Object(values)] => (layer.as_str(), values),
                _ => return Err(wrong),
            },
            _ => return Err(wrong),
        };
        if layer.is_empty() {
            return Ok(None);
        }
        Ok(Some(Arguments::new(self.file, &layer.to_lowercase(), values)))
    }

    /// The class, or the layer's name in lower case.
    pub(super) fn class(&self) -> &str {
        &self.class
    }

    /// The file that they stand in.
    pub(super) fn file(&self) -> &'a str {
        self.file
    }

    /// Refuses the first argument that nobody has asked for.
    pub(super) fn finish(self) -> Result<()> {
        match self.values.keys().find(|name| !self.known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(Error::unsupported(format!(
                "{} in {} has the argument `{}`, which is not known",
                shorten(&self.class),
                self.file,
                shorten(name)
            ))),
        }
    }
}

fn whole(value: &Value) -> Option<usize> {
    value.as_u64().filter(|&count| count <= MOST).map(|count| count as usize)
}

fn axes(value: &Value, dims: usize) -> Option<[usize; 3]> {
    let sizes = match value {
        Value::Array(list) if list.len() == dims => list.iter().map(whole).collect::<Option<Vec<_>>>()?,
        Value::Array(_) => return None,
        value => vec![whole(value)?; dims],
    };
    let mut axes = [1; 3];
    axes[3 - dims..].copy_from_slice(&sizes);
    (!axes.contains(&0)).then_some(axes)
}

/// The same value along each axis of a network with so many dimensions, 1 along the others.
pub(super) fn spread(value: usize, dims: usize) -> [usize; 3] {
    std::array::from_fn(|axis| if axis + dims < 3 { 1 } else { value })
}
