//! The unpickled values: an arena of nodes, and the handle by which they are looked at.
//!
//! Nodes refer to each other by number, so shared and cyclic values are nothing special, and neither looking
//! at them nor dropping them ever recurses.

use std::sync::Arc;

use super::globals::Known;
use super::limits;
use super::tensor::{DType, Tensor};
use crate::error::{Error, Result};
use crate::file::{Held, shorten};

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
    Bytes(Vec<u8>),
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
    /// Positions in `items` of the keys that can be asked for, sorted by key, the last position of each.
    index: Vec<u32>,
    /// Positions that a later one with the same key replaces, in order.
    replaced: Vec<u32>,
}

/// All values of a pickle, and what they take.
pub(super) struct Arena {
    pub(super) nodes: Vec<Node>,
    pub(super) held: Held,
}

impl Dict {
    pub(super) fn new(items: Vec<(Id, Id)>) -> Self {
        Self { items, ..Self::default() }
    }
}

impl Node {
    /// What a new value has beside its node. Texts and bytes are counted before they are made.
    pub(super) fn heap_bytes(&self) -> u64 {
        let items = match self {
            Node::Tuple(items) | Node::List(items) | Node::Set(items) => size_of_val(&**items),
            Node::Dict(dict) => size_of::<Dict>() + size_of_val(&*dict.items),
            Node::Tensor(_) => size_of::<TensorNode>(),
            Node::Global(_, name) | Node::Opaque(name) => name.len(),
            Node::Str(_) | Node::Bytes(_) => 0,
            _ => return 0,
        };
        items as u64 + limits::HEAP_BYTES
    }
}

impl Arena {
    pub(super) fn new(held: Held) -> Self {
        Self { nodes: Vec::new(), held }
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        // An `Id` comes from this arena's `push` only; an absent node still must not panic.
        self.nodes.get(id.0 as usize).unwrap_or(&Node::None)
    }

    /// Makes all dictionaries' keys ready to be asked for. Keys are texts that may be memoised and used in millions of
    /// places, so that texts are compared once and their ranks from then on. Sorting, unlike hashing, has no bad case
    /// that a hostile file could choose.
    pub(super) fn index(&mut self, label: &str) -> Result<()> {
        let Arena { nodes, held } = self;
        let key = |id: usize| match nodes.get(id) {
            Some(Node::Str(text)) if text.len() <= limits::KEY_BYTES => Some(&**text),
            _ => None,
        };
        let mut work = held.budget().take(label, 0)?;
        let mut texts: Vec<u32> = Vec::new();
        for id in 0..nodes.len() {
            if key(id).is_some() {
                work.reserve(label, &mut texts, 1)?;
                texts.push(id as u32);
            }
        }
        texts.sort_unstable_by_key(|id| key(*id as usize));
        let mut ranks: Vec<u32> = Vec::new();
        work.reserve(label, &mut ranks, nodes.len())?;
        ranks.resize(nodes.len(), u32::MAX);
        let (mut rank, mut before) = (0, None);
        for id in texts {
            let text = key(id as usize);
            rank += u32::from(before.is_some_and(|before| before != text));
            before = Some(text);
            if let Some(place) = ranks.get_mut(id as usize) {
                *place = rank;
            }
        }
        let mut keys: Vec<(u32, u32)> = Vec::new();
        for node in nodes {
            let Node::Dict(dict) = node else { continue };
            keys.clear();
            work.reserve(label, &mut keys, dict.items.len())?;
            let ranks =
                dict.items.iter().map(|(key, _)| ranks.get(key.0 as usize).copied().unwrap_or(u32::MAX));
            keys.extend(ranks.zip(0..).filter(|(rank, _)| *rank != u32::MAX));
            keys.sort_unstable();
            held.reserve(label, &mut dict.index, keys.len())?;
            for (at, (rank, position)) in keys.iter().enumerate() {
                if keys.get(at + 1).is_some_and(|(next, _)| next == rank) {
                    held.reserve(label, &mut dict.replaced, 1)?;
                    dict.replaced.push(*position);
                } else {
                    dict.index.push(*position);
                }
            }
            dict.replaced.sort_unstable();
        }
        Ok(())
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
        let found = dict.index.binary_search_by(|at| key_at(*at).cmp(&Some(key))).ok()?;
        dict.index.get(found).map(|at| *at as usize)
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
        let (items, replaced) = dict.map_or((&[][..], &[][..]), |dict| (&*dict.items, &*dict.replaced));
        items
            .iter()
            .zip(0..)
            .filter(|(_, position)| replaced.binary_search(position).is_err())
            .map(move |(item, _)| (self.at(item.0), self.at(item.1)))
    }

    /// The items of a list, tuple or set; nothing for other values.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Value<'a>> {
        self.arena.sequence(self.id).unwrap_or_default().iter().map(move |id| self.at(*id))
    }

    /// Numbers, texts, lists and dictionaries as JSON, as configurations are made of. Numbers that aren't finite, and
    /// members of dictionaries that aren't plain, become texts that say so: what they would have been isn't guessed.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything else or a nesting that is too deep, [`Error::Refused`] for too much of it.
    pub fn to_json(self, file: &str) -> Result<serde_json::Value> {
        let mut left = limits::JSON_VALUES;
        let mut held = self.arena.held.budget().take(file, 0)?;
        let value = self.json(file, limits::JSON_DEPTH, &mut left, &mut held)?;
        held.keep();
        Ok(value)
    }

    fn json(self, file: &str, depth: usize, left: &mut usize, held: &mut Held) -> Result<serde_json::Value> {
        use serde_json::Value as Json;
        if *left == 0 {
            return Err(Error::refused(
                file,
                format!("a configuration of more than {} values", limits::JSON_VALUES),
            ));
        }
        *left -= 1;
        held.grow(file, limits::JSON_BYTES)?;
        if let Some(plain) = self.plain_json(file, held)? {
            return Ok(plain);
        }
        if depth == 0 {
            return Err(unlike(file, "too deep a nesting"));
        }
        if self.is_sequence() {
            return self.iter().map(|value| value.json(file, depth - 1, left, held)).collect();
        }
        let mut map = serde_json::Map::new();
        for (key, value) in self.items() {
            let Some(key) = key.as_str().filter(|key| key.len() <= limits::KEY_BYTES) else {
                return Err(unlike(file, &format!("a key that is {}", key.describe())));
            };
            held.grow(file, key.len() as u64)?;
            // Training may leave anything in a configuration; only what is asked for must be plain.
            let plain = match value.json(file, depth - 1, left, held) {
                Err(Error::Malformed { .. }) => value.describe().into(),
                plain => plain?,
            };
            map.insert(key.to_owned(), plain);
        }
        Ok(Json::Object(map))
    }

    /// As JSON what is neither a list nor a dictionary, for which it is `None`.
    fn plain_json(self, file: &str, held: &mut Held) -> Result<Option<serde_json::Value>> {
        use serde_json::Value as Json;
        Ok(Some(if self.is_sequence() || self.is_dict() {
            return Ok(None);
        } else if self.is_none() {
            Json::Null
        } else if let Some(value) = self.as_bool() {
            value.into()
        } else if let Some(value) = self.as_int() {
            value.into()
        } else if let Some(value) = self.as_float() {
            serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Json::Number)
        } else if let Some(text) = self.as_str() {
            if text.len() > limits::KEY_BYTES {
                return Err(unlike(file, "a long text"));
            }
            held.grow(file, text.len() as u64)?;
            text.into()
        } else {
            return Err(unlike(file, &self.describe()));
        }))
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

fn unlike(file: &str, what: &str) -> Error {
    Error::malformed(file, format!("{what} in a configuration of numbers, texts, lists and dicts"))
}
