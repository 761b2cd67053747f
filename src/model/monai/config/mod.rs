//! MONAI's bundle configs: JSON or YAML whose items refer to each other (`@id`), copy each other (`%id`),
//! compute
//! (`$expression`) and create objects (`_target_`). Items are resolved when they are asked for, so what a
//! model
//! doesn't need may be anything. The grammar is that of MONAI 1.6.1's `monai.bundle.ConfigParser`
//! (<https://docs.monai.io/en/stable/config_syntax.html>).

// Files of strangers are read here: each place is asked for, none is taken for granted.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub(super) mod expression;
mod id;
mod resolve;
pub(super) mod value;
mod yaml;

use std::collections::BTreeMap;

use serde_json::{Map, Value as Raw};

use crate::error::{Error, Result};
use crate::file;
use crate::file::shorten;
use crate::model::files::{Files, inside};
use resolve::Resolver;

pub(super) use value::{Component, Value};

/// Bytes of a config file; published ones have some thousands.
const LARGEST: usize = 1 << 18;
/// Files that macros copy from.
const MOST_FILES: usize = 8;

/// The items of one or several config files.
pub(super) struct Config {
    file: String,
    /// The files of the bundle, for checkpoints that expressions load.
    files: Files,
    root: Raw,
    /// Files that macros name, by their names in the model; those that can't be read are missing.
    imported: BTreeMap<String, Raw>,
}

impl Config {
    /// Reads config files of a bundle; items of later ones replace those of earlier ones, or are added to
    /// them where their ids start with `+`.
    ///
    /// # Errors
    /// What is wrong with a file.
    pub(super) fn read(files: &Files, names: &[&str]) -> Result<Self> {
        let mut root = Raw::Object(Map::new());
        for &name in names {
            let Raw::Object(items) = parse(files, name)? else {
                return Err(Error::malformed(name, "it is not a mapping, expected items by their ids"));
            };
            for (id, value) in items {
                merge(&mut root, &id, value)
                    .map_err(|reason| Error::malformed(name, format!("`{}`: {reason}", shorten(&id))))?;
            }
        }
        let mut named = Vec::new();
        macro_files(&root, &mut named);
        named.sort_unstable();
        named.dedup();
        named.truncate(MOST_FILES);
        // What is wrong with such a file counts only where it is used, and is found again there.
        let imported = named.into_iter().filter_map(|name| {
            let raw = parse(files, &name).ok()?;
            Some((name, raw))
        });
        let imported = imported.collect();
        Ok(Config { file: names.join(" + "), files: files.clone(), root, imported })
    }

    /// What the config is called in error texts.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// What a checkpoint of the bundle holds, where it is made of numbers, texts, lists and dicts.
    fn load(&self, name: &str) -> Result<Value> {
        let checkpoint = self.files.checkpoint(name)?;
        Ok(Value::from_json(&checkpoint.root().to_json(checkpoint.name())?))
    }

    /// Replaces a top-level item or adds it.
    pub(super) fn set(&mut self, id: &str, value: Raw) {
        if let Raw::Object(items) = &mut self.root {
            items.insert(id.to_owned(), value);
        }
    }

    /// Whether there is an item.
    pub(super) fn has(&self, id: &str) -> bool {
        self.raw(id).is_some()
    }

    /// An item as it is written.
    pub(super) fn raw(&self, id: &str) -> Option<&Raw> {
        let id = id::normalize(id);
        id::keys(&id).ok()?.into_iter().try_fold(&self.root, child)
    }

    /// The value of an item.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an expression outside of what is evaluated, [`Error::Malformed`] for an
    /// item that is missing or refers to itself, [`Error::Refused`] for what is out of all proportion.
    pub(super) fn get(&self, id: &str) -> Result<Value> {
        Resolver::new(self).get(&id::normalize(id))
    }

    /// Ids of the first objects in the config whose class has this name, `limit` at most.
    pub(super) fn objects(&self, class: &str, limit: usize) -> Vec<String> {
        let mut ids = Vec::new();
        objects(&self.root, &mut Vec::new(), class, limit, &mut ids);
        ids
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Reads a file by its suffix.
pub(super) fn parse(files: &Files, name: &str) -> Result<Raw> {
    let Some(bytes) = files.read(name)? else {
        return Err(Error::NotAModel { reason: format!("{} has no {name}", files.title()) });
    };
    if bytes.len() > LARGEST {
        return Err(Error::refused(name, format!("{} bytes, the limit is {LARGEST}", bytes.len())));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if name.to_ascii_lowercase().ends_with(".json") {
        return file::json::parse(name, bytes, files.budget());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Error::malformed(name, error.to_string()))?;
    yaml::parse(text).map_err(|reason| Error::malformed(name, reason))
}

fn child<'a>(raw: &'a Raw, key: &str) -> Option<&'a Raw> {
    match raw {
        Raw::Object(members) => members.get(key),
        Raw::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Puts an item of a file among the items so far, which may be in the midst of another item.
fn merge(root: &mut Raw, id: &str, value: Raw) -> std::result::Result<(), String> {
    let id = id::normalize(id);
    let (id, add) = match id.strip_prefix('+') {
        Some(id) => (id, true),
        None => (id.as_str(), false),
    };
    let keys = id::keys(id)?;
    let Some((last, parents)) = keys.split_last() else { return Err("an empty id".into()) };
    let mut parent = root;
    for key in parents {
        let next = match parent {
            Raw::Object(members) => members.get_mut(*key),
            Raw::Array(items) => key.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
            _ => None,
        };
        parent = next.ok_or_else(|| format!("there is no item `{}` to put it in", shorten(key)))?;
    }
    let place = match parent {
        Raw::Object(members) => members.entry(*last).or_insert(Raw::Null),
        Raw::Array(items) => {
            let index = last.parse::<usize>().ok();
            index.and_then(|index| items.get_mut(index)).ok_or("there is no such element of a list")?
        }
        _ => return Err("it is to be part of neither a mapping nor a list".into()),
    };
    match (add, place, value) {
        (true, place, value) if place.is_null() => *place = value,
        (true, Raw::Object(present), Raw::Object(more)) => present.extend(more),
        (true, Raw::Array(present), Raw::Array(more)) => present.extend(more),
        (true, ..) => return Err("only mappings and lists are added to such".into()),
        (false, place, value) => *place = value,
    }
    Ok(())
}

/// The files that texts which are macros name.
fn macro_files(raw: &Raw, names: &mut Vec<String>) {
    match raw {
        Raw::String(text) => {
            let file = text.strip_prefix('%').and_then(|text| id::split_file(text).0);
            names.extend(file.and_then(inside));
        }
        Raw::Array(items) => items.iter().for_each(|item| macro_files(item, names)),
        Raw::Object(members) => members.values().for_each(|member| macro_files(member, names)),
        _ => {}
    }
}

fn objects(raw: &Raw, keys: &mut Vec<String>, class: &str, limit: usize, ids: &mut Vec<String>) {
    let mut inside = |key: String, raw: &Raw| {
        keys.push(key);
        objects(raw, keys, class, limit, ids);
        keys.pop();
    };
    match raw {
        Raw::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| inside(index.to_string(), item));
        }
        Raw::Object(members) => {
            let target = members.get("_target_").and_then(Raw::as_str);
            if target.is_none_or(|target| target.rsplit('.').next() != Some(class)) {
                members.iter().for_each(|(key, member)| inside(key.clone(), member));
            } else if ids.len() < limit {
                ids.push(keys.iter().fold(String::new(), |id, key| id::join(&id, key)));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
