//! The unpickled values: an arena of nodes, and the handle by which they are looked at.
//!
//! Nodes refer to each other by number, so shared and cyclic values are nothing special, and neither looking
//! at them nor dropping them ever recurses.

use std::sync::{Arc, OnceLock};

use super::globals::Known;
use super::limits;
use super::tensor::{DType, Tensor};

/// A node's number in its arena.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Id(pub(super) u32);

/// One unpickled value.
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits, rounded.
    BigInt(f64),
    Float(f64),
    Str(Box<str>),
    Bytes(Box<[u8]>),
    /// Bytes, as the string whose code points they are. Decoding when needed keeps many encodings of one
    /// string from taking memory.
    Latin1(Id),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Set(Vec<Id>),
    Dict(Box<Dict>),
    /// A class or function that has a meaning here.
    Global(Known, Arc<str>),
    /// A class, function or object without a meaning here, by the dotted name of its class or function.
    Opaque(Arc<str>),
    NumpyType {
        kind: u8,
        size: u8,
        big_endian: bool,
    },
    /// `numel` counts bytes where `untyped`; no `dtype` means that it is untyped or unknown.
    Storage {
        dtype: Option<DType>,
        untyped: bool,
        key: Id,
        numel: u64,
    },
    Tensor(Box<TensorNode>),
}

/// The arguments of a tensor's reconstruction; they are looked at when a [`Tensor`] is made of them.
pub(super) struct TensorNode {
    pub(super) storage: Id,
    pub(super) offset: Id,
    pub(super) shape: Id,
    pub(super) strides: Id,
    pub(super) dtype: Option<DType>,
}

/// A dictionary in the order of insertion.
#[derive(Default)]
pub(super) struct Dict {
    pub(super) items: Vec<(Id, Id)>,
    /// Positions in `items` sorted by string key, made at the first look-up. Sorting, unlike hashing, has no
    /// bad case that a hostile file could choose.
    index: OnceLock<Vec<u32>>,
}

#[derive(Default)]
pub(super) struct Arena(pub(super) Vec<Node>);

impl Dict {
    pub(super) fn new(items: Vec<(Id, Id)>) -> Self {
        Self { items, index: OnceLock::new() }
    }
}

impl Arena {
    pub(super) fn node(&self, id: Id) -> &Node {
        // An `Id` comes from this arena's `push` only; an absent node still must not panic.
        self.0.get(id.0 as usize).unwrap_or(&Node::None)
    }

    pub(super) fn str(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Str(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn int(&self, id: Id) -> Option<i64> {
        match self.node(id) {
            Node::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The items of a list, tuple or set.
    pub(super) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) | Node::Set(items) => Some(items),
            _ => None,
        }
    }

    /// The first `count` bytes of a bytes object that has that many.
    pub(super) fn bytes(&self, id: Id, count: usize) -> Option<Vec<u8>> {
        let bytes: Vec<u8> = match self.node(id) {
            Node::Bytes(bytes) => bytes.iter().copied().take(count).collect(),
            Node::Latin1(text) => {
                let chars = self.str(*text)?.chars().take(count);
                chars.map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<_>>()?
            }
            _ => return None,
        };
        (bytes.len() == count).then_some(bytes)
    }

    /// A string that can be asked for as a key. Comparing longer ones, memoised and used many times, could
    /// take hours.
    fn key(&self, id: Id) -> Option<&str> {
        self.str(id).filter(|key| key.len() <= limits::KEY_BYTES)
    }

    /// The last item with this key.
    fn find(&self, dict: &Dict, key: &str) -> Option<usize> {
        let key_at = |at: u32| dict.items.get(at as usize).and_then(|item| self.key(item.0));
        let index = dict.index.get_or_init(|| {
            let mut index: Vec<u32> =
                (0..dict.items.len() as u32).filter(|at| key_at(*at).is_some()).collect();
            index.sort_by_key(|at| key_at(*at));
            index
        });
        let end = index.partition_point(|at| key_at(*at).is_some_and(|found| found <= key));
        let at = *index.get(end.checked_sub(1)?)?;
        (key_at(at) == Some(key)).then_some(at as usize)
    }

    fn tensor(&self, node: &TensorNode) -> Option<Tensor> {
        let unsigned = |id: &Id| self.int(*id).and_then(|value| u64::try_from(value).ok());
        let Node::Storage { dtype, untyped, key, numel } = self.node(node.storage) else { return None };
        let dtype = node.dtype.or(*dtype)?;
        let shape = self.sequence(node.shape)?;
        let strides = self.sequence(node.strides)?;
        if shape.len() != strides.len() || shape.len() > limits::RANK {
            return None;
        }
        Some(Tensor {
            shape: shape.iter().map(|id| usize::try_from(self.int(*id)?).ok()).collect::<Option<_>>()?,
            dtype,
            storage: self.key(*key)?.to_owned(),
            storage_numel: if *untyped { numel / dtype.size() as u64 } else { *numel },
            offset: unsigned(&node.offset)?,
            strides: strides.iter().map(unsigned).collect::<Option<_>>()?,
        })
    }
}

/// A value of a checkpoint: a cheap handle with questions for what it is.
///
/// Values may contain themselves. Each question looks at one value only, but whoever walks down must bound
/// it.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    pub(super) arena: &'a Arena,
    pub(super) id: Id,
}

impl<'a> Value<'a> {
    fn node(self) -> &'a Node {
        self.arena.node(self.id)
    }

    fn at(self, id: Id) -> Self {
        Self { id, ..self }
    }

    /// Whether it is `None`.
    pub fn is_none(self) -> bool {
        matches!(self.node(), Node::None)
    }

    /// Whether it is a dictionary of any kind.
    pub fn is_dict(self) -> bool {
        matches!(self.node(), Node::Dict(_))
    }

    /// Whether it is a list, tuple or set.
    pub fn is_sequence(self) -> bool {
        self.arena.sequence(self.id).is_some()
    }

    /// Whether both are one object, not merely equal.
    pub fn is(self, other: Value<'_>) -> bool {
        std::ptr::eq(self.arena, other.arena) && self.id == other.id
    }

    /// A boolean, of Python or NumPy.
    pub fn as_bool(self) -> Option<bool> {
        match self.node() {
            Node::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// An integer of 64 bits, of Python or NumPy.
    pub fn as_int(self) -> Option<i64> {
        self.arena.int(self.id)
    }

    /// A number, of Python or NumPy; large integers are rounded.
    pub fn as_float(self) -> Option<f64> {
        match self.node() {
            Node::Float(value) | Node::BigInt(value) => Some(*value),
            Node::Int(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// A string.
    pub fn as_str(self) -> Option<&'a str> {
        self.arena.str(self.id)
    }

    /// A tensor. `None` as well for one whose description makes no sense; [`Value::describe`] tells them
    /// apart.
    pub fn as_tensor(self) -> Option<Tensor> {
        match self.node() {
            Node::Tensor(node) => self.arena.tensor(node),
            _ => None,
        }
    }

    /// The value of a dictionary's string key. The last one wins where a key occurs twice.
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        let Node::Dict(dict) = self.node() else { return None };
        dict.items.get(self.arena.find(dict, key)?).map(|item| self.at(item.1))
    }

    /// The items of a dictionary in order, without those that a later one with the same string key replaces;
    /// nothing for other values.
    pub fn items(self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        let dict = match self.node() {
            Node::Dict(dict) => Some(&**dict),
            _ => None,
        };
        let items = dict.map_or(&[][..], |dict| &dict.items).iter().enumerate();
        let wins = move |position: usize, key: Id| match (dict, self.arena.key(key)) {
            (Some(dict), Some(key)) => self.arena.find(dict, key) == Some(position),
            _ => true,
        };
        items
            .filter(move |(at, item)| wins(*at, item.0))
            .map(move |(_, item)| (self.at(item.0), self.at(item.1)))
    }

    /// The items of a list, tuple or set; nothing for other values.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Value<'a>> {
        self.arena.sequence(self.id).unwrap_or_default().iter().map(move |id| self.at(*id))
    }

    /// Numbers, texts, lists and dictionaries as JSON, as configurations are made of. Numbers that aren't finite, and
    /// members of dictionaries that aren't plain, become texts that say so: what they would have been isn't guessed.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] for anything else, too much of it, or a nesting that is too deep.
    pub fn to_json(self, file: &str) -> crate::Result<serde_json::Value> {
        let mut left = limits::JSON_VALUES;
        self.json(file, limits::JSON_DEPTH, &mut left)
    }

    fn json(self, file: &str, depth: usize, left: &mut usize) -> crate::Result<serde_json::Value> {
        use serde_json::Value as Json;
        let wrong = |what: &str| {
            Err(crate::Error::malformed(
                file,
                format!("{what} in a configuration of numbers, texts, lists and dicts"),
            ))
        };
        if depth == 0 || *left == 0 {
            return wrong("too much");
        }
        *left -= 1;
        if self.is_none() {
            return Ok(Json::Null);
        }
        if let Some(value) = self.as_bool() {
            return Ok(value.into());
        }
        if let Some(value) = self.as_int() {
            return Ok(value.into());
        }
        if let Some(value) = self.as_float() {
            return Ok(
                serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Json::Number)
            );
        }
        if let Some(text) = self.as_str() {
            return if text.len() > limits::KEY_BYTES { wrong("a long text") } else { Ok(text.into()) };
        }
        if self.is_sequence() {
            return self.iter().map(|value| value.json(file, depth - 1, left)).collect();
        }
        if self.is_dict() {
            let mut map = serde_json::Map::new();
            for (key, value) in self.items() {
                let Some(key) = key.as_str().filter(|key| key.len() <= limits::KEY_BYTES) else {
                    return wrong(&format!("a key that is {}", key.describe()));
                };
                // Training may leave anything in a configuration; only what is asked for must be plain.
                let plain = value.json(file, depth - 1, left);
                map.insert(key.to_owned(), plain.unwrap_or_else(|_| value.describe().into()));
            }
            return Ok(Json::Object(map));
        }
        wrong(&self.describe())
    }

    /// What it is, in a few words for error texts.
    pub fn describe(self) -> String {
        let plain = match self.node() {
            Node::None => "None",
            Node::Bool(_) => "bool",
            Node::Int(_) | Node::BigInt(_) => "int",
            Node::Float(_) => "float",
            Node::Str(_) => "str",
            Node::Bytes(_) | Node::Latin1(_) => "bytes",
            Node::Tuple(_) => "tuple",
            Node::List(_) => "list",
            Node::Set(_) => "set",
            Node::Dict(_) => "dict",
            Node::NumpyType { .. } => "numpy.dtype",
            Node::Storage { .. } => "storage",
            Node::Global(_, name) => return format!("global {}", shorten(name)),
            Node::Opaque(name) => return format!("opaque {}", shorten(name)),
            Node::Tensor(node) => {
                return self.arena.tensor(node).map_or("malformed tensor".to_owned(), |tensor| {
                    format!("{} tensor of shape {:?}", tensor.dtype.name(), tensor.shape)
                });
            }
        };
        plain.to_owned()
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}

/// Text of the file, made fit for an error text: short, and without control characters.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut short: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}
