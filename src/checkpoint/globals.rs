//! What the classes and functions that a pickle names mean here.
//!
//! None is ever looked up or called: a name either has a meaning below, or yields an opaque value.

use std::sync::Arc;

use half::f16;

use super::limits;
use super::pickle::{Fault, Unpickler};
use super::tensor::DType;
use super::value::{Dict, Id, Node, TensorNode};

/// What the names of TorchScript's modules begin with.
const MODULE: &str = "__torch__.";

/// A class or function with a meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    Dict,
    DefaultDict,
    List,
    Tuple,
    Set,
    Bytes,
    Encode,
    Storage(Option<DType>),
    UntypedStorage,
    DType(DType),
    RebuildTensor,
    RebuildTensorV3,
    RebuildParameter,
    NumpyType,
    NumpyScalar,
}

impl Known {
    fn find(name: &str) -> Option<Self> {
        use DType::*;
        Some(match name {
            "collections.OrderedDict" | "collections.Counter" | "builtins.dict" | "__builtin__.dict" => {
                Known::Dict
            }
            "collections.defaultdict" => Known::DefaultDict,
            "builtins.list" | "__builtin__.list" => Known::List,
            "builtins.tuple" | "__builtin__.tuple" | "torch.Size" => Known::Tuple,
            "builtins.set" | "__builtin__.set" | "builtins.frozenset" | "__builtin__.frozenset" => Known::Set,
            "builtins.bytes" | "__builtin__.bytes" | "builtins.bytearray" | "__builtin__.bytearray" => {
                Known::Bytes
            }
            "_codecs.encode" => Known::Encode,
            "torch.HalfStorage" => Known::Storage(Some(F16)),
            "torch.BFloat16Storage" => Known::Storage(Some(Bf16)),
            "torch.FloatStorage" => Known::Storage(Some(F32)),
            "torch.DoubleStorage" => Known::Storage(Some(F64)),
            "torch.CharStorage" => Known::Storage(Some(I8)),
            "torch.ByteStorage" => Known::Storage(Some(U8)),
            "torch.ShortStorage" => Known::Storage(Some(I16)),
            "torch.IntStorage" => Known::Storage(Some(I32)),
            "torch.LongStorage" => Known::Storage(Some(I64)),
            "torch.BoolStorage" => Known::Storage(Some(Bool)),
            "torch.storage.UntypedStorage" | "torch.UntypedStorage" => Known::UntypedStorage,
            "torch.float16" | "torch.half" => Known::DType(F16),
            "torch.bfloat16" => Known::DType(Bf16),
            "torch.float32" | "torch.float" => Known::DType(F32),
            "torch.float64" | "torch.double" => Known::DType(F64),
            "torch.int8" => Known::DType(I8),
            "torch.uint8" => Known::DType(U8),
            "torch.int16" | "torch.short" => Known::DType(I16),
            "torch.int32" | "torch.int" => Known::DType(I32),
            "torch.int64" | "torch.long" => Known::DType(I64),
            "torch.bool" => Known::DType(Bool),
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" => Known::RebuildTensor,
            "torch._utils._rebuild_tensor_v3" => Known::RebuildTensorV3,
            "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" => {
                Known::RebuildParameter
            }
            "numpy.dtype" => Known::NumpyType,
            "numpy.core.multiarray.scalar" | "numpy._core.multiarray.scalar" => Known::NumpyScalar,
            _ => return None,
        })
    }
}

impl Unpickler<'_> {
    /// The value of a name.
    pub(super) fn global(&mut self, module: &str, name: &str) -> Result<Node, Fault> {
        let length = module.len().saturating_add(name.len());
        if length > limits::GLOBAL_NAME_BYTES {
            return Err(Fault::Refused(format!("a global's name of {length} bytes")));
        }
        // STACK_GLOBAL can name memoised strings again and again.
        self.copy(length)?;
        let name: Arc<str> = format!("{module}.{name}").into();
        Ok(match Known::find(&name) {
            Some(known) => Node::Global(known, name),
            None => Node::Opaque(name),
        })
    }

    /// What calling `function` with the tuple `arguments` yields; an opaque value where that has no meaning.
    pub(super) fn call(&mut self, function: Id, arguments: Id) -> Result<Id, Fault> {
        let (known, name) = match self.arena.node(function) {
            Node::Global(known, name) => (*known, name.clone()),
            Node::Opaque(name) => {
                let node = Node::Opaque(name.clone());
                return self.make(node);
            }
            // Such as an attribute of an opaque object that a reduction yielded: nothing here can be called.
            _ => return self.make(Node::Opaque("call".into())),
        };
        let Node::Tuple(arguments) = self.arena.node(arguments) else {
            return Err(Fault::malformed("the arguments of a call are not a tuple"));
        };
        let argument = |at: usize| arguments.get(at).copied();
        let (first, second, third, fourth) = (argument(0), argument(1), argument(2), argument(3));
        let node = match (known, first, second) {
            (Known::Dict, None, _) | (Known::DefaultDict, _, None) => Some(Node::Dict(Box::default())),
            (Known::Dict, Some(items), _) | (Known::DefaultDict, _, Some(items)) => self.dict_of(items)?,
            (Known::List, None, _) => Some(Node::List(Vec::new())),
            (Known::Set, None, _) => Some(Node::Set(Vec::new())),
            (Known::Tuple, None, _) => Some(Node::Tuple(Vec::new())),
            (Known::Bytes, None, _) => Some(Node::Bytes(Vec::new())),
            (Known::List, Some(items), _) => self.copy_of(items)?.map(Node::List),
            (Known::Set, Some(items), _) => self.copy_of(items)?.map(Node::Set),
            (Known::Tuple, Some(items), _) => self.copy_of(items)?.map(Node::Tuple),
            (Known::Encode | Known::Bytes, Some(text), Some(encoding)) => {
                let latin1 = matches!(self.arena.str(encoding), Some("latin1" | "latin-1"));
                (latin1 && self.arena.str(text).is_some()).then_some(Node::Latin1(text))
            }
            (Known::RebuildParameter, Some(tensor), _)
                if matches!(self.arena.node(tensor), Node::Tensor(_)) =>
            {
                return Ok(tensor);
            }
            (Known::RebuildTensor | Known::RebuildTensorV3, Some(storage), Some(offset)) => {
                // A third-version tensor carries its type, because its storage has none.
                let dtype = argument(6).filter(|_| known == Known::RebuildTensorV3);
                let dtype = dtype.and_then(|id| self.dtype(id));
                third.zip(fourth).map(|(shape, strides)| {
                    Node::Tensor(Box::new(TensorNode { storage, offset, shape, strides, dtype }))
                })
            }
            (Known::NumpyType, Some(code), _) => self.arena.str(code).and_then(numpy_type),
            (Known::NumpyScalar, Some(kind), Some(bytes)) => self.numpy_scalar(kind, bytes),
            _ => None,
        };
        self.make(node.unwrap_or(Node::Opaque(name)))
    }

    /// Sets an object's state. A NumPy type's byte order matters, the attributes of TorchScript's modules, which are
    /// dictionaries then, and the numbers of small NumPy arrays, which are lists; attributes such as `_metadata` don't.
    pub(super) fn build(&mut self, object: Id, state: Id) -> Result<(), Fault> {
        let order = self.arena.sequence(state).and_then(|state| state.get(1));
        let order = order.and_then(|order| self.arena.str(*order)).map(|order| order == ">");
        let node = self.arena.nodes.get_mut(object.0 as usize);
        if let (Some(Node::NumpyType { big_endian, .. }), Some(order)) = (node, order) {
            *big_endian = order;
        }
        let Node::Opaque(name) = self.arena.node(object) else { return Ok(()) };
        let built = match &**name {
            "numpy.core.multiarray._reconstruct" | "numpy._core.multiarray._reconstruct" => {
                self.numbers(state)?
            }
            name if name.starts_with(MODULE) && matches!(self.arena.node(state), Node::Dict(_)) => {
                self.dict_of(state)?
            }
            _ => None,
        };
        let Some(built) = built else { return Ok(()) };
        self.replace(object, built)
    }

    /// A NumPy array of one or two axes as lists of numbers; `None` for larger ones, and those of other things.
    fn numbers(&mut self, state: Id) -> Result<Option<Node>, Fault> {
        let Some(&[_, shape, kind, fortran, bytes]) = self.arena.sequence(state) else { return Ok(None) };
        let lengths = self.arena.sequence(shape).unwrap_or_default().iter();
        let lengths = lengths.map(|id| usize::try_from(self.arena.int(*id)?).ok());
        let Some(lengths) = lengths.take(3).collect::<Option<Vec<usize>>>() else { return Ok(None) };
        let [rows, columns] = match lengths[..] {
            [count] => [1, count],
            [rows, columns] => [rows, columns],
            _ => return Ok(None),
        };
        let count = rows.saturating_mul(columns);
        let &Node::NumpyType { kind, size, big_endian } = self.arena.node(kind) else { return Ok(None) };
        let in_rows = matches!(self.arena.node(fortran), Node::Bool(false));
        if !in_rows || !(1..=limits::ARRAY_NUMBERS).contains(&count) || size == 0 {
            return Ok(None);
        }
        let Some(bytes) = self.arena.bytes(bytes, count * usize::from(size)) else { return Ok(None) };
        self.copy(count)?;
        let mut lists = Vec::new();
        for row in bytes.chunks_exact(columns * usize::from(size)) {
            let mut numbers = Vec::new();
            for bytes in row.chunks_exact(size.into()) {
                let Some(number) = number(kind, size, big_endian, bytes) else { return Ok(None) };
                numbers.push(self.make(number)?);
            }
            lists.push(numbers);
        }
        if let ([_], Some(numbers)) = (&lengths[..], lists.first()) {
            return Ok(Some(Node::List(numbers.clone())));
        }
        let lists = lists.into_iter().map(|numbers| self.make(Node::List(numbers)));
        Ok(Some(Node::List(lists.collect::<Result<_, _>>()?)))
    }

    /// The storage that a persistent id `('storage', type, key, location, numel)` names. In the older format a sixth
    /// part makes it a piece of that storage, which torch hasn't written since 0.4.
    pub(super) fn persistent(&self, id: Id) -> Node {
        let storage = self.arena.sequence(id).and_then(|parts| {
            let &[tag, kind, key, _, numel, ref piece @ ..] = parts else { return None };
            if piece.iter().any(|piece| !matches!(self.arena.node(*piece), Node::None)) {
                return None;
            }
            let numel = u64::try_from(self.arena.int(numel)?).ok()?;
            let (dtype, untyped) = match self.arena.node(kind) {
                Node::Global(Known::Storage(dtype), _) => (*dtype, false),
                Node::Global(Known::UntypedStorage, _) => (None, true),
                // A storage of a type unknown here, such as a complex one.
                Node::Opaque(_) => (None, false),
                _ => return None,
            };
            let named = self.arena.str(tag) == Some("storage") && self.arena.str(key).is_some();
            named.then_some(Node::Storage { dtype, untyped, key, numel })
        });
        storage.unwrap_or_else(|| Node::Opaque("persistent id".into()))
    }

    fn dtype(&self, id: Id) -> Option<DType> {
        match self.arena.node(id) {
            Node::Global(Known::DType(dtype), _) => Some(*dtype),
            _ => None,
        }
    }

    /// The items of a dictionary, or a sequence of pairs, as a new dictionary.
    fn dict_of(&mut self, source: Id) -> Result<Option<Node>, Fault> {
        let items = match self.arena.node(source) {
            Node::Dict(dict) => {
                let count = dict.items.len();
                self.copy(count)?;
                let Node::Dict(dict) = self.arena.node(source) else { return Ok(None) };
                self.copied(&dict.items)?
            }
            _ => {
                let Some(pairs) = self.copy_of(source)? else { return Ok(None) };
                let mut items = Vec::new();
                crate::buffer::reserve(&mut items, "a dictionary", pairs.len())?;
                for pair in pairs {
                    let Some(&[key, value]) = self.arena.sequence(pair) else { return Ok(None) };
                    items.push((key, value));
                }
                items
            }
        };
        Ok(Some(Node::Dict(Box::new(Dict::new(items)))))
    }

    fn copy_of(&mut self, source: Id) -> Result<Option<Vec<Id>>, Fault> {
        let Some(count) = self.arena.sequence(source).map(<[Id]>::len) else { return Ok(None) };
        self.copy(count)?;
        self.arena.sequence(source).map(|items| self.copied(items)).transpose()
    }

    /// A NumPy scalar as the plain number that it stands for.
    fn numpy_scalar(&self, kind: Id, bytes: Id) -> Option<Node> {
        let &Node::NumpyType { kind, size, big_endian } = self.arena.node(kind) else { return None };
        number(kind, size, big_endian, &self.arena.bytes(bytes, size.into())?)
    }
}

/// A number of one of NumPy's types from its bytes.
fn number(kind: u8, size: u8, big_endian: bool, bytes: &[u8]) -> Option<Node> {
    let mut wide = [0; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    if big_endian {
        wide.get_mut(..bytes.len())?.reverse();
    }
    let unsigned = u64::from_le_bytes(wide);
    let unused_bits = 64 - 8 * u32::from(size);
    Some(match (kind, size) {
        (b'b', 1) => Node::Bool(unsigned != 0),
        (b'i', 1 | 2 | 4 | 8) => Node::Int((unsigned << unused_bits) as i64 >> unused_bits),
        (b'u', 1 | 2 | 4 | 8) => i64::try_from(unsigned).map_or(Node::BigInt(unsigned as f64), Node::Int),
        (b'f', 2) => Node::Float(f16::from_bits(unsigned as u16).to_f64()),
        (b'f', 4) => Node::Float(f32::from_bits(unsigned as u32).into()),
        (b'f', 8) => Node::Float(f64::from_bits(unsigned)),
        _ => return None,
    })
}

/// A NumPy type from its code, such as `f8` or `<i4`.
fn numpy_type(code: &str) -> Option<Node> {
    let plain = code.trim_start_matches(['<', '>', '|', '=']);
    let kind = *plain.as_bytes().first()?;
    let size = plain.get(1..)?.parse().ok().filter(|size| (1..=8).contains(size))?;
    Some(Node::NumpyType { kind, size, big_endian: code.starts_with('>') })
}
