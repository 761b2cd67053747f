//! The images of a chain, by their keys: one, or several that are loaded apart and joined as channels.

use super::base;
use crate::error::{Error, Result};
use crate::model::monai::config::{Component, Value};

/// What joins images, with its arguments for their keys and for the key of all together.
const JOINS: [(&str, &str, &str); 2] =
    [("ConcatItems", "keys", "name"), ("ConcatImages", "keys_merge", "keys_out")];

/// The images, as far as the chain has come.
pub(super) struct Inputs {
    /// Keys of the images; empty where nothing is loaded and any key will do.
    images: Vec<String>,
    /// Where they are joined, and under which key.
    join: Option<(String, String)>,
}

impl Inputs {
    /// What is loaded first is the image, unless several are joined later.
    pub(super) fn of(file: &str, chain: &[Component]) -> Result<Self> {
        for transform in chain {
            let Some((_, keys, name)) = JOINS.iter().find(|(class, ..)| *class == base(transform.name()))
            else {
                continue;
            };
            let Component { target, id, .. } = transform;
            let images = texts(transform.argument(keys));
            let (Some(Value::Text(name)), false) = (transform.argument(name), images.is_empty()) else {
                let reason = format!("`{id}`: `{target}` needs `{keys}` and `{name}`, texts");
                return Err(Error::malformed(file, reason));
            };
            if let Some(axis) = transform.argument("dim").filter(|axis| **axis != Value::Int(0)) {
                let what = format!("{file}: `{id}`: `{target}` along axis {}, expected 0", axis.describe());
                return Err(Error::unsupported(what));
            }
            return Ok(Inputs { images, join: Some((id.clone(), name.clone())) });
        }
        let load = chain.iter().find(|transform| base(transform.name()) == "LoadImage");
        let images = load.map_or(Vec::new(), |load| texts(load.argument("keys")));
        Ok(Inputs { images: images.into_iter().take(1).collect(), join: None })
    }

    /// The images that are loaded apart; none where there is one.
    pub(super) fn separate(&self) -> &[String] {
        if self.join.is_some() { &self.images } else { &[] }
    }

    /// Whether this transform joins them, which are one image from then on.
    pub(super) fn joined_by(&mut self, transform: &Component) -> bool {
        match &self.join {
            Some((id, name)) if *id == transform.id => {
                self.images = vec![name.clone()];
                true
            }
            _ => false,
        }
    }

    /// How many images there are.
    pub(super) fn count(&self) -> usize {
        self.images.len().max(1)
    }

    /// The key of the image, where it is one.
    pub(super) fn only(&self) -> Option<&str> {
        if let [one] = &self.images[..] { Some(one) } else { None }
    }

    /// The keys that a transform works on.
    pub(super) fn keys(&self, transform: &Component) -> Vec<String> {
        texts(transform.argument("keys"))
    }

    /// Which images a transform changes, each with its place among the transform's keys.
    pub(super) fn places(&self, transform: &Component) -> Vec<(usize, usize)> {
        let keys = self.keys(transform);
        if keys.is_empty() || self.images.is_empty() {
            return (0..self.count()).map(|image| (image, 0)).collect();
        }
        let place =
            |(index, image): (usize, &String)| Some((index, keys.iter().position(|key| key == image)?));
        self.images.iter().enumerate().filter_map(place).collect()
    }
}

/// A text or a list of texts.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Text(key)) => vec![key.clone()],
        Some(Value::List(list)) => {
            let text = |key: &Value| if let Value::Text(key) = key { Some(key.clone()) } else { None };
            list.iter().filter_map(text).collect()
        }
        _ => Vec::new(),
    }
}
