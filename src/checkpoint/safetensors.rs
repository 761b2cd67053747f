//! The safetensors format (<https://github.com/huggingface/safetensors>): eight bytes with the header's length, a
//! JSON header that gives each tensor's type, shape and place, and the tensors' bytes. There is nothing in it that
//! could be executed; sizes are claims all the same.

use serde_json::Value;

use super::limits;
use super::tensor::{DType, Tensor};
use crate::buffer;
use crate::error::{Error, Result};
use crate::file::{Budget, Bytes, Held, json};

/// Tensors of a file that is in memory.
pub struct SafeTensors {
    name: String,
    bytes: Bytes,
    /// Where the tensors' bytes begin.
    data: usize,
    tensors: Vec<(String, Tensor)>,
    budget: Budget,
    /// What the header took.
    _held: Held,
}

/// Bytes that a tensor's description takes, with those of the header that it is read from.
const DESCRIPTION: u64 = 1 << 10;

impl SafeTensors {
    /// Reads the header; `name` stands for the file in error texts.
    ///
    /// # Errors
    /// [`Error::Malformed`] for damage, [`Error::Refused`] for more than a model has.
    pub fn from_bytes(name: &str, bytes: Bytes) -> Result<Self> {
        let budget = Budget::default();
        budget.admit(bytes.len() as u64);
        Self::from_bytes_within(name, bytes, &budget)
    }

    /// As [`SafeTensors::from_bytes`], as a part of what opening a model takes.
    pub(crate) fn from_bytes_within(name: &str, bytes: Bytes, budget: &Budget) -> Result<Self> {
        let malformed = |reason: &str| Error::malformed(name, reason);
        let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
            return Err(malformed("less than eight bytes, expected a safetensors file"));
        };
        let length = u64::from_le_bytes(*length);
        if length > limits::SAFETENSORS_HEADER {
            let limit = limits::SAFETENSORS_HEADER;
            return Err(Error::refused(name, format!("a header of {length} bytes, the limit is {limit}")));
        }
        let length = length as usize;
        let header = rest.get(..length).ok_or_else(|| malformed("it ends within its header"))?;
        let header = json::parse(&format!("{name}: its header"), header, budget)?;
        let Value::Object(entries) = header else {
            return Err(malformed("its header is no object"));
        };
        let available = rest.len() - length;
        let mut tensors = Vec::new();
        let mut held = budget.take(name, DESCRIPTION.saturating_mul(entries.len() as u64))?;
        held.reserve(name, &mut tensors, entries.len())?;
        for (key, entry) in &entries {
            if key != "__metadata__" {
                let wrong = |what: &str| Error::malformed(name, format!("tensor `{key}`: {what}"));
                tensors.push((key.clone(), tensor(key, entry, available).map_err(wrong)?));
            }
        }
        let budget = budget.clone();
        Ok(SafeTensors {
            name: name.into(),
            bytes: bytes.clone(),
            data: 8 + length,
            tensors,
            budget,
            _held: held,
        })
    }

    /// What reading from it is counted against.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The file's size in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The file's name for error texts.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All tensors with their names.
    pub fn tensors(&self) -> &[(String, Tensor)] {
        &self.tensors
    }

    /// Reads a tensor's elements in row-major order, converted to single precision.
    ///
    /// # Errors
    /// [`Error::TensorMismatch`] for booleans, which are no numbers.
    pub fn read_f32(&self, tensor: &Tensor) -> Result<Vec<f32>> {
        let item = tensor.dtype.size();
        let (start, count) = (self.data + tensor.offset as usize * item, tensor.storage_numel as usize);
        // The header's claims were compared with the file's size.
        let bytes = self.bytes.get(start..start + count * item).unwrap_or_default();
        let mut values = Vec::new();
        buffer::reserve(&mut values, &self.name, count)?;
        tensor.append_f32(bytes, count, false, &mut values).ok_or_else(|| Error::TensorMismatch {
            file: self.name.clone(),
            tensor: tensor.storage.clone(),
            found: tensor.dtype.name().to_owned(),
            expected: "numbers".to_owned(),
        })?;
        Ok(values)
    }
}

/// One entry of the header.
fn tensor(key: &str, entry: &Value, available: usize) -> std::result::Result<Tensor, &'static str> {
    let dtype = match entry["dtype"].as_str() {
        Some("F16") => DType::F16,
        Some("BF16") => DType::Bf16,
        Some("F32") => DType::F32,
        Some("F64") => DType::F64,
        Some("I8") => DType::I8,
        Some("U8") => DType::U8,
        Some("I16") => DType::I16,
        Some("I32") => DType::I32,
        Some("I64") => DType::I64,
        Some("BOOL") => DType::Bool,
        _ => return Err("a type that isn't known"),
    };
    let numbers = |value: &Value| -> Option<Vec<u64>> {
        value.as_array().filter(|list| list.len() <= limits::RANK)?.iter().map(Value::as_u64).collect()
    };
    let shape = numbers(&entry["shape"]).ok_or("no shape")?;
    let offsets = numbers(&entry["data_offsets"]).ok_or("no place")?;
    let [start, end] = offsets[..] else { return Err("a place that isn't a start and an end") };
    let count = shape.iter().try_fold(1_u64, |product, &size| product.checked_mul(size));
    let count =
        count.filter(|&count| count <= available as u64).ok_or("more elements than the file holds")?;
    let item = dtype.size() as u64;
    if end > available as u64 || start > end || end - start != count * item {
        return Err("a place that doesn't fit its shape or the file");
    }
    if start % item != 0 {
        return Err("a place that isn't a whole number of elements");
    }
    let shape: Vec<usize> = shape.into_iter().map(|size| size as usize).collect();
    let mut step = 1_u64;
    let stride = |&size: &usize| {
        let stride = step;
        step = stride.saturating_mul(size as u64);
        stride
    };
    let mut strides: Vec<u64> = shape.iter().rev().map(stride).collect();
    strides.reverse();
    Ok(Tensor { shape, dtype, storage: key.into(), storage_numel: count, offset: start / item, strides })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Bytes {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes.into()
    }

    #[test]
    fn tensors_are_read() {
        let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]},
            "b":{"dtype":"I16","shape":[],"data_offsets":[0,2]}}"#;
        let data: Vec<u8> = [7_i16, 0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .chain([1.5_f32, -2.0].iter().flat_map(|v| v.to_le_bytes()))
            .collect();
        let file = SafeTensors::from_bytes("x", file(header, &data)).unwrap();
        let read = |name: &str| {
            let (_, tensor) = file.tensors().iter().find(|(key, _)| key == name).unwrap();
            (tensor.shape.clone(), file.read_f32(tensor).unwrap())
        };
        assert_eq!(read("a"), (vec![2, 1], vec![1.5, -2.0]));
        assert_eq!(read("b"), (vec![], vec![7.0]));
    }

    #[test]
    fn damage_is_refused() {
        let refused = |header: &str, data: &[u8], part: &str| {
            let error = SafeTensors::from_bytes("x", file(header, data)).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        };
        refused("{", b"", "header");
        refused("[]", b"", "no object");
        refused(r#"{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}"#, b"0000", "`a`: a type");
        refused(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, b"00000000", "doesn't fit");
        refused(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, b"0000", "doesn't fit");
        refused(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}"#, b"00000", "whole number");
        refused(
            r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,9],"data_offsets":[0,4]}}"#,
            b"0000",
            "more",
        );
        refused(r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, b"0000", "no shape");
        let huge: Bytes = u64::MAX.to_le_bytes().to_vec().into();
        assert!(matches!(SafeTensors::from_bytes("x", huge), Err(Error::Refused { .. })));
        let short: Bytes = vec![1, 2].into();
        assert!(SafeTensors::from_bytes("x", short).is_err());
    }
}
