//! The pickle machine: opcodes in, an arena of values out. It runs nothing.

use std::collections::HashMap;

use super::limits;
use super::value::{Arena, Id, Node};
use crate::error::{Error, Result};
use crate::file::{Budget, Held, out_of_memory};

/// Unpickles `bytes`; `label` names them in errors.
pub(super) fn load(label: &str, bytes: &[u8], budget: &Budget) -> Result<(Arena, Id)> {
    load_first(label, bytes, budget).map(|(arena, root, _)| (arena, root))
}

/// Unpickles what `bytes` start with, and says how many of them that took.
pub(super) fn load_first(label: &str, bytes: &[u8], budget: &Budget) -> Result<(Arena, Id, usize)> {
    let mut machine = Unpickler {
        label,
        bytes,
        at: 0,
        arena: Arena::new(budget.take(label, 0)?),
        held: budget.take(label, 0)?,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        copies_left: bytes.len().saturating_add(limits::COPY_ALLOWANCE),
    };
    loop {
        let start = machine.at;
        match machine.step() {
            Ok(None) => {}
            Ok(Some(root)) => {
                machine.arena.index(label)?;
                return Ok((machine.arena, root, machine.at));
            }
            Err(fault) => {
                let opcode =
                    bytes.get(start).map_or(String::new(), |opcode| format!(", opcode 0x{opcode:02x}"));
                let place = format!("(at byte {start}{opcode})");
                return Err(match fault {
                    Fault::Malformed(reason) => Error::malformed(label, format!("{reason} {place}")),
                    Fault::Refused(reason) => Error::refused(label, format!("{reason} {place}")),
                    Fault::Budget(error) => error,
                });
            }
        }
    }
}

/// Why the machine stopped; where is added by [`load`].
pub(super) enum Fault {
    Malformed(String),
    Refused(String),
    /// Too much memory, which has no place.
    Budget(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Budget(error)
    }
}

impl Fault {
    pub(super) fn malformed(reason: &str) -> Self {
        Fault::Malformed(reason.to_owned())
    }
}

type Outcome<T = ()> = std::result::Result<T, Fault>;

/// The state between two opcodes.
pub(super) struct Unpickler<'a> {
    label: &'a str,
    bytes: &'a [u8],
    at: usize,
    pub(super) arena: Arena,
    /// What all but the arena takes.
    held: Held,
    stack: Vec<Id>,
    /// The stack's heights at the open MARKs.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    copies_left: usize,
}

impl<'a> Unpickler<'a> {
    /// Runs one opcode; the root at STOP.
    fn step(&mut self) -> Outcome<Option<Id>> {
        match self.byte()? {
            b'.' => return self.pop().map(Some),
            // PROTO and FRAME say nothing that the opcodes don't.
            0x80 => match self.byte()? {
                0..=5 => {}
                version => return Err(Fault::Malformed(format!("pickle protocol {version}"))),
            },
            0x95 => self.length::<8>().map(drop)?,

            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            b'K' => {
                let value = self.byte()?;
                self.push(Node::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            0x8a => {
                let length = self.byte()?.into();
                self.long(length)?;
            }
            0x8b => {
                let length = self.number::<4>()?;
                let length = usize::try_from(length).ok().filter(|length| *length <= limits::LONG_BYTES);
                self.long(length.ok_or_else(|| Fault::Refused("an integer of too many bytes".to_owned()))?)?;
            }
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(value))?;
            }
            b'X' | b'T' => self.string::<4>()?,
            0x8c | b'U' => self.string::<1>()?,
            0x8d => self.string::<8>()?,
            b'B' => self.byte_string::<4>()?,
            b'C' => self.byte_string::<1>()?,
            0x8e | 0x96 => self.byte_string::<8>()?,

            b']' => self.push(Node::List(Vec::new()))?,
            b'}' => self.push(Node::Dict(Box::default()))?,
            0x8f => self.push(Node::Set(Vec::new()))?,
            b')' => self.push(Node::Tuple(Vec::new()))?,
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items))?;
            }
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Node::List(items))?;
            }
            0x91 => {
                let items = self.pop_mark()?;
                self.push(Node::Set(items))?;
            }
            b'd' => {
                let items = self.pop_mark()?;
                self.push(Node::Dict(Box::default()))?;
                self.insert(&items)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.insert(&items)?;
            }

            b'(' => {
                if self.marks.len() >= limits::MARKS {
                    return Err(Fault::Refused(format!("more than {} open marks", limits::MARKS)));
                }
                self.marks.push(self.stack.len());
            }
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => self.pop().map(drop)?,
            b'1' => self.pop_mark().map(drop)?,
            b'2' => {
                let top = self.top()?;
                self.push_id(top)?;
            }

            b'q' => {
                let index = self.byte()?.into();
                self.memoise(index)?;
            }
            b'r' => {
                let index = self.number::<4>()?;
                self.memoise(index)?;
            }
            0x94 => self.memoise(self.memo.len() as u64)?,
            b'h' => {
                let index = self.byte()?.into();
                self.recall(index)?;
            }
            b'j' => {
                let index = self.number::<4>()?;
                self.recall(index)?;
            }

            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let global = self.global(module, name)?;
                self.push(global)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let short = |text: &&str| text.len() <= limits::GLOBAL_NAME_BYTES;
                let text = |id| self.arena.str(id).filter(short).map(str::to_owned);
                let names = text(module).zip(text(name));
                let (module, name) =
                    names.ok_or_else(|| Fault::malformed("a global's name is no string, or too long"))?;
                let global = self.global(&module, &name)?;
                self.push(global)?;
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.push_call(function, arguments)?;
            }
            0x92 => {
                let (_keywords, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.push_call(class, arguments)?;
            }
            b'b' => {
                let state = self.pop()?;
                let object = self.top()?;
                self.build(object, state)?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(self.persistent(id))?;
            }
            opcode => return Err(Fault::Malformed(format!("unknown pickle opcode 0x{opcode:02x}"))),
        }
        Ok(None)
    }

    /// A new value.
    pub(super) fn make(&mut self, node: Node) -> Outcome<Id> {
        let Arena { nodes, held } = &mut self.arena;
        let count = nodes.len();
        if count >= limits::VALUES {
            return Err(Fault::Refused(format!("more than {} values", limits::VALUES)));
        }
        held.grow(self.label, node.heap_bytes())?;
        held.reserve(self.label, nodes, 1)?;
        nodes.push(node);
        Ok(Id(count as u32))
    }

    /// Another value in the place of one.
    pub(super) fn replace(&mut self, id: Id, node: Node) -> Outcome {
        self.arena.held.grow(self.label, node.heap_bytes())?;
        if let Some(place) = self.arena.nodes.get_mut(id.0 as usize) {
            *place = node;
        }
        Ok(())
    }

    /// Accounts for `count` items or bytes that are copied from values, rather than read from the pickle.
    pub(super) fn copy(&mut self, count: usize) -> Outcome {
        let left = self.copies_left.checked_sub(count);
        self.copies_left = left.ok_or_else(|| Fault::Refused("values are copied too often".to_owned()))?;
        Ok(())
    }

    fn take(&mut self, count: usize) -> Outcome<&'a [u8]> {
        let left = self.bytes.get(self.at..).unwrap_or_default();
        let taken = left.get(..count).ok_or_else(|| {
            Fault::Malformed(format!("{count} bytes are needed, but {} are left", left.len()))
        })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let taken = self.take(N)?;
        taken.first_chunk().copied().ok_or_else(|| Fault::malformed("the pickle ends early"))
    }

    fn byte(&mut self) -> Outcome<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn number<const N: usize>(&mut self) -> Outcome<u64> {
        let bytes = self.array::<N>()?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// The declared length of what follows, which must be there.
    fn length<const N: usize>(&mut self) -> Outcome<usize> {
        let declared = self.number::<N>()?;
        let left = self.bytes.len() - self.at;
        let length = usize::try_from(declared).ok().filter(|length| *length <= left);
        length.ok_or_else(|| Fault::Malformed(format!("{declared} bytes are declared, but {left} are left")))
    }

    fn line(&mut self) -> Outcome<&'a str> {
        let left = self.bytes.get(self.at..).unwrap_or_default();
        let end = left.iter().take(limits::GLOBAL_NAME_BYTES).position(|byte| *byte == b'\n');
        let line = self.take(end.ok_or_else(|| Fault::malformed("a global's name doesn't end"))?)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| Fault::malformed("a global's name is not UTF-8"))
    }

    fn string<const N: usize>(&mut self) -> Outcome {
        let length = self.length::<N>()?;
        let bytes = self.take(length)?;
        // Lone surrogates, which Python can pickle, are no reason to fail: nobody asks for such a key. What replaces
        // them may take three times as much.
        let parts = || {
            bytes
                .utf8_chunks()
                .map(|part| (part.valid(), if part.invalid().is_empty() { "" } else { "\u{fffd}" }))
        };
        let length = parts().map(|(valid, replaced)| valid.len() + replaced.len()).sum::<usize>();
        self.arena.held.grow(self.label, length as u64)?;
        let mut text = String::new();
        text.try_reserve_exact(length).map_err(|_| out_of_memory(self.label, length as u64))?;
        parts().for_each(|(valid, replaced)| text.extend([valid, replaced]));
        self.push(Node::Str(text.into()))
    }

    fn byte_string<const N: usize>(&mut self) -> Outcome {
        let length = self.length::<N>()?;
        let mut bytes = Vec::new();
        self.arena.held.reserve(self.label, &mut bytes, length)?;
        bytes.extend_from_slice(self.take(length)?);
        self.push(Node::Bytes(bytes))
    }

    /// An integer in little-endian two's complement.
    fn long(&mut self, length: usize) -> Outcome {
        let bytes = self.take(length)?;
        let fill = if bytes.last().is_some_and(|top| top & 0x80 != 0) { 0xff } else { 0 };
        let mut wide = [fill; 8];
        let (low, high) = bytes.split_at(length.min(8));
        wide.iter_mut().zip(low).for_each(|(byte, low)| *byte = *low);
        let value = i64::from_le_bytes(wide);
        let negative = fill != 0;
        if high.iter().all(|byte| *byte == fill) && (value < 0) == negative {
            return self.push(Node::Int(value));
        }
        let magnitude = bytes.iter().rev().fold(0.0, |sum, byte| sum * 256.0 + f64::from(byte ^ fill));
        self.push(Node::BigInt(if negative { -magnitude - 1.0 } else { magnitude }))
    }

    fn push(&mut self, node: Node) -> Outcome {
        let id = self.make(node)?;
        self.push_id(id)
    }

    fn push_call(&mut self, function: Id, arguments: Id) -> Outcome {
        let id = self.call(function, arguments)?;
        self.push_id(id)
    }

    fn push_id(&mut self, id: Id) -> Outcome {
        if self.stack.len() >= limits::VALUES {
            return Err(Fault::Refused(format!("more than {} values on the stack", limits::VALUES)));
        }
        self.held.reserve(self.label, &mut self.stack, 1)?;
        self.stack.push(id);
        Ok(())
    }

    /// The part of the stack above the last open MARK.
    fn base(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Outcome<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn top(&self) -> Outcome<Id> {
        let above = self.stack.get(self.base()..).and_then(<[Id]>::last);
        above.copied().ok_or_else(|| Fault::malformed("the stack is empty"))
    }

    fn pop_mark(&mut self) -> Outcome<Vec<Id>> {
        let mark = self.marks.pop().ok_or_else(|| Fault::malformed("no mark is open"))?;
        self.pop_from(mark.min(self.stack.len()))
    }

    fn tuple(&mut self, count: usize) -> Outcome {
        let start = self.stack.len().checked_sub(count).filter(|start| *start >= self.base());
        let items = self.pop_from(start.ok_or_else(|| Fault::malformed("the stack is too short"))?)?;
        self.push(Node::Tuple(items))
    }

    /// What is on the stack from a height on.
    fn pop_from(&mut self, height: usize) -> Outcome<Vec<Id>> {
        let items = self.copied(self.stack.get(height..).unwrap_or_default())?;
        self.stack.truncate(height);
        Ok(items)
    }

    /// A copy of a list of values, which counts once it is a part of one.
    pub(super) fn copied<T: Copy>(&self, items: &[T]) -> Outcome<Vec<T>> {
        let mut copy = Vec::new();
        let missing = |_| out_of_memory(self.label, size_of_val(items) as u64);
        copy.try_reserve_exact(items.len()).map_err(missing)?;
        copy.extend_from_slice(items);
        Ok(copy)
    }

    fn memoise(&mut self, index: u64) -> Outcome {
        let top = self.top()?;
        if self.memo.len() >= limits::MEMO {
            return Err(Fault::Refused(format!("more than {} memo entries", limits::MEMO)));
        }
        self.held.grow(self.label, limits::MEMO_BYTES)?;
        self.memo
            .try_reserve(1)
            .map_err(|_| out_of_memory(self.label, self.memo.len() as u64 * limits::MEMO_BYTES))?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u64) -> Outcome {
        let id = self.memo.get(&index).ok_or_else(|| Fault::Malformed(format!("no memo entry {index}")))?;
        self.push_id(*id)
    }

    /// Appends to the container on the stack's top.
    fn append(&mut self, new: &[Id]) -> Outcome {
        let top = self.top()?;
        let Arena { nodes, held } = &mut self.arena;
        match nodes.get_mut(top.0 as usize) {
            Some(Node::List(items) | Node::Set(items)) => {
                held.reserve(self.label, items, new.len())?;
                items.extend_from_slice(new);
            }
            Some(Node::Opaque(_)) => {}
            _ => return Err(Fault::malformed("items are appended to what is no list")),
        }
        Ok(())
    }

    /// Inserts keys and values into the dictionary on the stack's top.
    fn insert(&mut self, new: &[Id]) -> Outcome {
        let (pairs, rest) = new.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(Fault::malformed("a key has no value"));
        }
        let top = self.top()?;
        let Arena { nodes, held } = &mut self.arena;
        match nodes.get_mut(top.0 as usize) {
            Some(Node::Dict(dict)) => {
                held.reserve(self.label, &mut dict.items, pairs.len())?;
                dict.items.extend(pairs.iter().map(|[key, value]| (*key, *value)));
            }
            Some(Node::Opaque(_)) => {}
            _ => return Err(Fault::malformed("items are set in what is no dict")),
        }
        Ok(())
    }
}
