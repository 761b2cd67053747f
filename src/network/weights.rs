//! A state dict on its way into a network: each tensor is taken once, and none is left over.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::checkpoint::{Checkpoint, SafeTensors, Tensor, Value};
use crate::error::{Error, Result};
use crate::file::{Budget, Held};

/// A tensor of weights, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Its name in the checkpoint, or a name of its own for a constant.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub data: Vec<f32>,
}

/// The tensors of a checkpoint by name, with a record of those that were used.
pub struct StateDict<'a> {
    file: File<'a>,
    tensors: BTreeMap<String, (Tensor, bool)>,
    /// Bytes that were read and made of what was read.
    work: u64,
    /// What the descriptions of the tensors take.
    _held: Held,
}

/// Bytes that a tensor takes beside its name and its values: its description here, and its part of a network.
const TENSOR: u64 = 1 << 10;
/// Bytes that may be read and made of what was read, for any file and for each of its bytes: tensors that lie over each
/// other could be read for hours otherwise.
const WORK: (u64, u64) = (1 << 30, 64);

/// Modules within each other, their attributes altogether, and the name of one.
const DEEPEST_MODULE: usize = 64;
const MOST_ATTRIBUTES: usize = 1 << 20;
const LONGEST_PART: usize = 256;

/// Where the tensors' bytes are.
#[derive(Clone, Copy)]
enum File<'a> {
    Checkpoint(&'a Checkpoint),
    SafeTensors(&'a SafeTensors),
}

impl File<'_> {
    fn name(&self) -> &str {
        match self {
            File::Checkpoint(file) => file.name(),
            File::SafeTensors(file) => file.name(),
        }
    }

    fn read_f32(&self, tensor: &Tensor) -> Result<Vec<f32>> {
        match self {
            File::Checkpoint(file) => file.read_f32(tensor),
            File::SafeTensors(file) => file.read_f32(tensor),
        }
    }

    fn budget(&self) -> &Budget {
        match self {
            File::Checkpoint(file) => file.budget(),
            File::SafeTensors(file) => file.budget(),
        }
    }

    fn length(&self) -> u64 {
        match self {
            File::Checkpoint(file) => file.length(),
            File::SafeTensors(file) => file.length(),
        }
    }
}

/// A tensor's name without what wrappers put before it.
fn plain(mut name: &str) -> &str {
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
        name = rest;
    }
    name
}

/// What wrappers put before every name: DistributedDataParallel and torch.compile.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

impl<'a> StateDict<'a> {
    /// The tensors of the dict `weights`.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it isn't a dict of tensors.
    pub fn new(checkpoint: &'a Checkpoint, weights: Value<'a>) -> Result<Self> {
        let mut tensors = BTreeMap::new();
        let mut held = checkpoint.budget().take(checkpoint.name(), 0)?;
        if checkpoint.is_program() {
            modules(checkpoint, weights, &mut tensors, &mut held)?;
            return Ok(StateDict { file: File::Checkpoint(checkpoint), tensors, work: 0, _held: held });
        }
        for (key, value) in weights.items() {
            let Some(name) = key.as_str() else {
                let reason = format!("the state dict has a key that is {}, expected text", key.describe());
                return Err(Error::malformed(checkpoint.name(), reason));
            };
            let Some(tensor) = value.as_tensor() else {
                let reason = format!("`{name}` in the state dict is {}, expected a tensor", value.describe());
                return Err(Error::malformed(checkpoint.name(), reason));
            };
            held.grow(checkpoint.name(), TENSOR + name.len() as u64)?;
            tensors.insert(plain(name).to_owned(), (tensor, false));
        }
        if tensors.is_empty() {
            return Err(Error::malformed(checkpoint.name(), "the state dict has no tensors"));
        }
        Ok(StateDict { file: File::Checkpoint(checkpoint), tensors, work: 0, _held: held })
    }

    /// The tensors of a safetensors file.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it has none.
    pub fn of_safetensors(file: &'a SafeTensors) -> Result<Self> {
        let entries = file.tensors().iter();
        let tensors: BTreeMap<_, _> =
            entries.map(|(name, tensor)| (plain(name).to_owned(), (tensor.clone(), false))).collect();
        if tensors.is_empty() {
            return Err(Error::malformed(file.name(), "it has no tensors"));
        }
        let held = file.budget().take(file.name(), TENSOR * tensors.len() as u64)?;
        Ok(StateDict { file: File::SafeTensors(file), tensors, work: 0, _held: held })
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor, where there is one of that name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(tensor, _)| &tensor.shape[..])
    }

    fn find(&mut self, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        let Some((tensor, used)) = self.tensors.get_mut(name) else { return Ok(None) };
        if tensor.shape != shape {
            return Err(Error::TensorMismatch {
                file: self.file.name().into(),
                tensor: name.into(),
                found: format!("{:?}", tensor.shape),
                expected: format!("{shape:?}"),
            });
        }
        *used = true;
        Ok(Some(tensor.clone()))
    }

    /// Reads a tensor that the network needs.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::TensorMismatch`] for another shape and for values that aren't finite, or a
    /// failure to read it.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Arc<Weight>> {
        let missing = || Error::MissingTensor { file: self.file.name().into(), tensor: name.into() };
        let missing = missing();
        let tensor = self.find(name, shape)?.ok_or(missing)?;
        let (data, held) = self.read(&tensor)?;
        self.check_finite(name, shape, &data)?;
        // They are a part of the model now.
        held.keep();
        Ok(Arc::new(Weight { name: name.into(), shape: shape.to_vec(), data }))
    }

    /// Refuses values of which all scores would become NaN, and all labels the background.
    fn check_finite(&self, name: &str, shape: &[usize], values: &[f32]) -> Result<()> {
        // All of them, without a way out in between: that goes as fast as memory.
        if values.iter().fold(true, |finite, value| finite & value.is_finite()) {
            return Ok(());
        }
        let count = values.iter().filter(|value| !value.is_finite()).count();
        let first = values.iter().position(|value| !value.is_finite()).unwrap_or_default();
        let mut rest = first;
        let mut place: Vec<usize> = shape.iter().rev().map(|&size| (rest % size, rest /= size).0).collect();
        place.reverse();
        Err(Error::TensorMismatch {
            file: self.file.name().into(),
            tensor: name.into(),
            found: format!("{} at {place:?}, one of {count} values that aren't finite", values[first]),
            expected: "finite values".into(),
        })
    }

    /// A tensor's values, and what they take.
    fn read(&mut self, tensor: &Tensor) -> Result<(Vec<f32>, Held)> {
        let name = self.file.name();
        let values = tensor.numel().unwrap_or(u64::MAX).saturating_mul(size_of::<f32>() as u64);
        let held = self.file.budget().take(name, values.saturating_add(TENSOR))?;
        let most = WORK.1.saturating_mul(self.file.length()).saturating_add(WORK.0);
        self.work = self.work.saturating_add(values).saturating_add(tensor.span_bytes());
        if self.work > most {
            let reason =
                format!("its tensors lie over each other: reading them takes more than {most} bytes");
            return Err(Error::refused(name, reason));
        }
        Ok((self.file.read_f32(tensor)?, held))
    }

    /// Accounts for a second name of a tensor that was taken; it must hold the same values.
    ///
    /// # Errors
    /// [`Error::TensorMismatch`] when it holds others.
    pub fn alias(&mut self, name: &str, of: &Weight) -> Result<()> {
        let Some(tensor) = self.find(name, &of.shape)? else { return Ok(()) };
        let shared = self.tensors.get(&of.name).is_some_and(|(original, _)| original.same_data(&tensor));
        if shared || self.read(&tensor)?.0 == of.data {
            return Ok(());
        }
        Err(Error::TensorMismatch {
            file: self.file.name().into(),
            tensor: name.into(),
            found: "a tensor with other values".into(),
            expected: format!("the values of `{}`, of which it is a second name", of.name),
        })
    }

    /// Accounts for a tensor that inference doesn't evaluate, where there is one.
    ///
    /// # Errors
    /// [`Error::TensorMismatch`] when its shape is wrong.
    pub fn skip(&mut self, name: &str, shape: &[usize]) -> Result<()> {
        self.find(name, shape).map(|_| ())
    }

    /// Accounts for a second name of a module: what the file has below `name` must equal what it has below `of`.
    ///
    /// # Errors
    /// [`Error::TensorMismatch`] when it holds others.
    pub fn alias_module(&mut self, name: &str, of: &str) -> Result<()> {
        for (tensor, original) in
            self.module(name).into_iter().map(|part| (join(name, &part), join(of, &part)))
        {
            let Some(shape) = self.tensors.get(&original).map(|(tensor, _)| tensor.shape.clone()) else {
                continue;
            };
            let Some(second) = self.find(&tensor, &shape)? else { continue };
            let first = self.tensors[&original].0.clone();
            if first.same_data(&second) || self.read(&first)?.0 == self.read(&second)?.0 {
                continue;
            }
            return Err(Error::TensorMismatch {
                file: self.file.name().into(),
                tensor,
                found: "a tensor with other values".into(),
                expected: format!("the values of `{original}`, of which it is a second name"),
            });
        }
        Ok(())
    }

    /// Accounts for a module that inference doesn't evaluate, whatever it holds.
    pub fn skip_module(&mut self, name: &str) {
        for part in self.module(name) {
            if let Some((_, used)) = self.tensors.get_mut(&join(name, &part)) {
                *used = true;
            }
        }
    }

    /// Names of the tensors below a module, without the module's.
    fn module(&self, name: &str) -> Vec<String> {
        let prefix = join(name, "");
        let below =
            self.tensors.range(prefix.clone()..).map_while(|(tensor, _)| tensor.strip_prefix(&prefix));
        below.map(str::to_owned).collect()
    }

    /// All tensors must have been accounted for.
    ///
    /// # Errors
    /// [`Error::UnusedTensor`].
    pub fn finish(self) -> Result<()> {
        let mut unused = self.tensors.iter().filter(|(_, (_, used))| !used).map(|(name, _)| name);
        match unused.next() {
            None => Ok(()),
            Some(first) => Err(Error::UnusedTensor {
                file: self.file.name().into(),
                tensor: first.clone(),
                count: 1 + unused.count(),
            }),
        }
    }
}

/// The tensors of TorchScript's modules, by the names that they have in a state dict: attributes of modules within each
/// other.
fn modules(
    checkpoint: &Checkpoint,
    root: Value,
    tensors: &mut BTreeMap<String, (Tensor, bool)>,
    held: &mut Held,
) -> Result<()> {
    let file = checkpoint.name();
    let mut open = vec![(String::new(), root, 0)];
    let mut seen = 0;
    while let Some((name, module, depth)) = open.pop() {
        if depth > DEEPEST_MODULE {
            return Err(Error::refused(
                file,
                format!("more than {DEEPEST_MODULE} modules within each other"),
            ));
        }
        for (key, value) in module.items() {
            seen += 1;
            if seen > MOST_ATTRIBUTES {
                return Err(Error::refused(
                    file,
                    format!("modules with more than {MOST_ATTRIBUTES} attributes"),
                ));
            }
            let Some(key) = key.as_str().filter(|key| key.len() <= LONGEST_PART) else { continue };
            let name = if name.is_empty() { key.to_owned() } else { join(&name, key) };
            if let Some(tensor) = value.as_tensor() {
                held.grow(file, TENSOR + name.len() as u64)?;
                tensors.insert(plain(&name).to_owned(), (tensor, false));
            } else if value.is_dict() {
                open.push((name, value, depth + 1));
            }
        }
    }
    if tensors.is_empty() {
        return Err(Error::malformed(file, "the TorchScript archive has no tensors"));
    }
    Ok(())
}

fn join(module: &str, part: &str) -> String {
    format!("{module}.{part}")
}
