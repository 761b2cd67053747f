//! Resolves items: follows references and macros, evaluates expressions, gathers the arguments of objects.
//! Each
//! reference is resolved anew, so time and memory are bounded by the number of steps.

use serde_json::{Map, Value as Raw};

use super::expression::{self, Context, evaluate, parse};
use super::id;
use super::value::{Component, Value};
use super::{Config, child, shorten};
use crate::error::{Error, Result};
use crate::model::files::inside;

/// Values and bytes of text that one item may stand for.
const MOST_STEPS: usize = 1 << 18;
/// Values, references and parts of expressions within each other; configs of published bundles have some ten. Each
/// takes up to a kilobyte of stack, since what isn't on the way down is in functions that aren't inlined.
const DEEPEST: usize = 32;
/// Macros on the way to an item.
const MOST_MACROS: usize = 16;

/// Members of an object that aren't arguments; what `_requires_` runs beforehand has no part in its value.
const NO_ARGUMENTS: [&str; 5] = ["_target_", "_disabled_", "_requires_", "_desc_", "_mode_"];

pub(super) struct Resolver<'a> {
    config: &'a Config,
    steps: usize,
    depth: usize,
    /// Ids of the references that are being resolved.
    open: Vec<String>,
}

/// A value as it is written, and where it stands.
#[derive(Clone)]
struct Item<'a> {
    raw: &'a Raw,
    /// Where it was asked for, which for a macro's copy isn't where it is written.
    id: String,
    /// Where relative ids start; nowhere in a copy from another file.
    base: Option<String>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        Resolver { config, steps: 0, depth: 0, open: Vec::new() }
    }

    pub(super) fn get(mut self, id: &str) -> Result<Value> {
        self.reference(id, id)
    }

    #[cold]
    #[inline(never)]
    fn error(&self, id: &str, reason: impl std::fmt::Display) -> Error {
        Error::malformed(&self.config.file, format!("`{}`: {reason}", shorten(id)))
    }

    #[inline(never)]
    fn spend(&mut self, id: &str, steps: usize) -> Result<()> {
        self.steps += steps;
        if self.steps > MOST_STEPS {
            let reason = format!("`{}`: it stands for more than {MOST_STEPS} values", shorten(id));
            return Err(Error::refused(&self.config.file, reason));
        }
        Ok(())
    }

    #[inline(never)]
    fn enter(&mut self, id: &str) -> Result<()> {
        self.spend(id, 1)?;
        self.depth += 1;
        if self.depth > DEEPEST {
            let reason = format!("`{}`: more than {DEEPEST} values within each other", shorten(id));
            return Err(Error::refused(&self.config.file, reason));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// What the item `from` means by an id.
    #[inline(never)]
    fn reference(&mut self, id: &str, from: &str) -> Result<Value> {
        if let Some(start) = self.open.iter().position(|open| open == id) {
            let circle: Vec<&str> = self.open.iter().skip(start).map(String::as_str).chain([id]).collect();
            return Err(self.error(id, format!("it refers to itself: {}", shorten(&circle.join(" -> ")))));
        }
        self.spend(id, id.len())?;
        let item = self.locate(id, from, &mut 0)?;
        self.open.push(id.to_owned());
        let value = self.value(&item)?;
        self.open.pop();
        Ok(value)
    }

    #[inline(never)]
    fn locate(&mut self, id: &str, from: &str, macros: &mut usize) -> Result<Item<'a>> {
        let root = Item { raw: &self.config.root, id: String::new(), base: Some(String::new()) };
        self.descend(root, id, from, macros)
    }

    /// The item that the keys of an id lead to from another one.
    fn descend(&mut self, start: Item<'a>, id: &str, from: &str, macros: &mut usize) -> Result<Item<'a>> {
        let mut item = start;
        for key in id::keys(id).map_err(|reason| self.error(from, reason))? {
            let missing = || self.error(from, format!("there is no item `{}`", shorten(id)));
            let raw = child(item.raw, key).ok_or_else(missing)?;
            let base = item.base.map(|base| id::join(&base, key));
            item = self.copied(Item { raw, id: id::join(&item.id, key), base }, macros)?;
        }
        Ok(item)
    }

    /// What a macro copies, for any other item itself.
    #[inline(never)]
    fn copied(&mut self, item: Item<'a>, macros: &mut usize) -> Result<Item<'a>> {
        let Some(text) = item.raw.as_str().and_then(|text| text.strip_prefix('%')) else { return Ok(item) };
        *macros += 1;
        if *macros > MOST_MACROS {
            return Err(self.error(&item.id, format!("more than {MOST_MACROS} macros to one item")));
        }
        let text = id::normalize(text);
        self.spend(&item.id, text.len())?;
        let place = |reason| self.error(&item.id, format!("`%{}`: {reason}", shorten(&text)));
        let from = match id::split_file(&text) {
            (None, id) => {
                let id = id::absolute(id, item.base.as_deref()).map_err(place)?;
                self.locate(&id, &item.id, macros)?
            }
            (Some(file), id) => {
                let other = inside(file).and_then(|file| self.config.imported.get(&file));
                let raw = other.ok_or_else(|| place("there is no such config in the bundle".into()))?;
                self.descend(Item { raw, id: String::new(), base: None }, id, &item.id, macros)?
            }
        };
        Ok(Item { id: item.id, ..from })
    }

    fn value(&mut self, item: &Item<'a>) -> Result<Value> {
        self.enter(&item.id)?;
        let value = match item.raw {
            Raw::Null => Value::None,
            Raw::Bool(value) => Value::Bool(*value),
            Raw::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => Value::Int(value),
                (None, Some(value)) if value.is_finite() => Value::Float(value),
                _ => return Err(self.error(&item.id, format!("the number {number} is too large"))),
            },
            Raw::String(text) => self.text(text, item)?,
            Raw::Array(items) => self.list(items.len(), item)?,
            Raw::Object(members) if members.contains_key("_target_") => self.component(members, item)?,
            Raw::Object(members) => self.dict(members, item)?,
        };
        self.leave();
        Ok(value)
    }

    #[inline(never)]
    fn list(&mut self, length: usize, item: &Item<'a>) -> Result<Value> {
        let mut list = Vec::new();
        for index in 0..length {
            list.extend(self.member(item, &index.to_string())?);
        }
        Ok(Value::List(list))
    }

    #[inline(never)]
    fn dict(&mut self, members: &Map<String, Raw>, item: &Item<'a>) -> Result<Value> {
        let mut dict = Vec::new();
        for key in members.keys() {
            self.spend(&item.id, key.len())?;
            dict.extend(self.member(item, key)?.map(|value| (key.clone(), value)));
        }
        Ok(Value::Dict(dict))
    }

    /// A member or an element; none where it is an object that is disabled.
    #[inline(never)]
    fn member(&mut self, item: &Item<'a>, key: &str) -> Result<Option<Value>> {
        let Some(raw) = child(item.raw, key) else { return Ok(None) };
        let base = item.base.as_ref().map(|base| id::join(base, key));
        let member = self.copied(Item { raw, id: id::join(&item.id, key), base }, &mut 0)?;
        self.spend(&member.id, member.id.len())?;
        let value = self.value(&member)?;
        let disabled = matches!(value, Value::None) && member.raw.get("_target_").is_some();
        Ok((!disabled).then_some(value))
    }

    #[inline(never)]
    fn component(&mut self, members: &Map<String, Raw>, item: &Item<'a>) -> Result<Value> {
        let disabled = match self.member(item, "_disabled_")? {
            Some(Value::Text(text)) => text.trim().eq_ignore_ascii_case("true"),
            Some(value) => value.is_truthy(),
            None => false,
        };
        if disabled {
            return Ok(Value::None);
        }
        let target = match self.member(item, "_target_")? {
            Some(Value::Text(target)) => target,
            other => {
                let found = other.unwrap_or(Value::None).describe();
                return Err(self.error(&item.id, format!("`_target_` is {found}, expected a name")));
            }
        };
        let callable = match self.member(item, "_mode_")? {
            None => false,
            Some(Value::Text(mode)) if mode == "default" => false,
            Some(Value::Text(mode)) if mode == "callable" => true,
            Some(mode) => {
                let reason = format!("`_mode_` is {}, expected default or callable", mode.describe());
                return Err(self.error(&item.id, reason));
            }
        };
        let mut arguments = Vec::new();
        for key in members.keys().filter(|key| !NO_ARGUMENTS.contains(&key.as_str())) {
            self.spend(&item.id, key.len())?;
            let (depth, open) = (self.depth, self.open.len());
            let value = match self.member(item, key) {
                // Not every argument has a part in what the object is used for here: where to save, for one.
                Err(Error::Unsupported { what }) => {
                    self.depth = depth;
                    self.open.truncate(open);
                    Some(Value::Unsupported(what))
                }
                value => value?,
            };
            arguments.extend(value.map(|value| (key.clone(), value)));
        }
        Ok(Value::Component(Component { target, arguments, id: item.id.clone(), callable }.into()))
    }

    #[inline(never)]
    fn text(&mut self, text: &str, item: &Item<'a>) -> Result<Value> {
        self.spend(&item.id, text.len())?;
        // The reference does so in every text.
        let text = id::normalize(text);
        if let Some(source) = text.strip_prefix('$') {
            let mut context = Scope { resolver: self, item, source, variables: Vec::new() };
            // What is much deeper can't be evaluated here; parsing takes twice as much stack for each level.
            let levels = expression::DEEPEST.min(DEEPEST.saturating_sub(context.resolver.depth) / 2);
            let tree = parse(source, levels).map_err(|reason| context.refuse(&reason))?;
            return evaluate(&tree, &mut context);
        }
        match text.strip_prefix('@') {
            Some(id) if id::length(id) == id.len() => {
                let id =
                    id::absolute(id, item.base.as_deref()).map_err(|reason| self.error(&item.id, reason))?;
                self.reference(&id, &item.id)
            }
            _ => Ok(Value::Text(text)),
        }
    }
}

/// An expression in an item.
struct Scope<'r, 'a> {
    resolver: &'r mut Resolver<'a>,
    item: &'r Item<'a>,
    source: &'r str,
    variables: Vec<(String, Value)>,
}

impl Context for Scope<'_, '_> {
    fn variables(&mut self) -> &mut Vec<(String, Value)> {
        &mut self.variables
    }

    fn reference(&mut self, id: &str) -> Result<Value> {
        let id = id::absolute(id, self.item.base.as_deref()).map_err(|reason| self.refuse(&reason))?;
        self.resolver.reference(&id, &self.item.id)
    }

    fn load(&mut self, path: &str) -> Result<Value> {
        let expected = "expected a checkpoint in the bundle";
        let name = inside(path)
            .filter(|name| self.resolver.config.files.has(name))
            .ok_or_else(|| self.refuse(&format!("`{}`: {expected}", shorten(path))))?;
        let value = self.resolver.config.load(&name)?;
        self.resolver.spend(&self.item.id, value.size())?;
        Ok(value)
    }

    fn enter(&mut self) -> Result<()> {
        self.resolver.enter(&self.item.id)
    }

    fn leave(&mut self) {
        self.resolver.leave();
    }

    fn id(&self) -> &str {
        &self.item.id
    }

    fn source(&self) -> &str {
        self.source
    }

    fn refuse(&self, reason: &str) -> Error {
        let (file, id) = (&self.resolver.config.file, shorten(&self.item.id));
        Error::unsupported(format!("{file}: `{id}` is `${}`: {reason}", shorten(self.source)))
    }
}
