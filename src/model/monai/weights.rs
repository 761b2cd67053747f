//! Where a bundle's config says that the network's weights lie.

use super::config::{Config, Value};
use crate::error::{Error, Result};
use crate::file::shorten;
use crate::model::files::inside;

/// Loaders that are looked at.
const MOST_LOADERS: usize = 16;
/// The file that bundles have unless they say otherwise.
const USUAL: &str = "models/model.pt";
/// Items that name the file in configs without a loader.
const PATHS: [&str; 4] = ["load_path", "ckpt_path", "checkpoint", "model_path"];

/// A checkpoint in a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Weights {
    /// Its name in the bundle.
    pub(super) file: String,
    /// The key that the weights have in it. Where the file has no such key, all of it is the weights.
    pub(super) key: Option<String>,
}

impl Weights {
    /// What the config's `CheckpointLoader` loads, else what its usual items name, else the usual file.
    pub(super) fn find(config: &Config) -> Result<Self> {
        let mut found: Option<(Weights, String)> = None;
        for id in config.objects("CheckpointLoader", MOST_LOADERS) {
            // A condition that asks for the file's existence can't be evaluated: a model needs its weights.
            let disabled = format!("{id}::_disabled_");
            if config.has(&disabled) && config.get(&disabled).is_ok_and(|disabled| is_true(&disabled)) {
                continue;
            }
            let weights =
                Weights { file: path(config, &format!("{id}::load_path"))?, key: key(config, &id)? };
            match &found {
                Some((other, first)) if *other != weights => {
                    let (a, b) = (shorten(&other.file), shorten(&weights.file));
                    let what = format!("{}: `{first}` loads {a} and `{id}` loads {b}", config.file());
                    return Err(Error::unsupported(what));
                }
                Some(_) => {}
                None => found = Some((weights, id)),
            }
        }
        if let Some((weights, _)) = found {
            return Ok(weights);
        }
        let file = match PATHS.iter().find(|id| config.has(id)) {
            Some(id) => path(config, id)?,
            None => USUAL.into(),
        };
        Ok(Weights { file, key: None })
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.trim().eq_ignore_ascii_case("true"),
        value => value.is_truthy(),
    }
}

/// The file in the bundle that an item names.
fn path(config: &Config, id: &str) -> Result<String> {
    let value = config.get(id)?;
    let wrong = || {
        let reason = format!("`{id}` is {}, expected a file in the bundle", value.describe());
        Error::malformed(config.file(), reason)
    };
    let Value::Text(text) = &value else { return Err(wrong()) };
    inside(text).ok_or_else(wrong)
}

/// The name under which the loader fills the network.
fn key(config: &Config, loader: &str) -> Result<Option<String>> {
    let Some(raw) = config.raw(&format!("{loader}::load_dict")) else { return Ok(None) };
    let keys: Vec<&String> = raw.as_object().map_or(Vec::new(), |members| members.keys().collect());
    match keys[..] {
        [key] => Ok(Some(key.clone())),
        _ => {
            let what = format!("{}: `{loader}::load_dict` has {} members", config.file(), keys.len());
            Err(Error::unsupported(format!("{what}, expected the network only")))
        }
    }
}
