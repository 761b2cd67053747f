//! Tensors as a checkpoint describes them, and the conversion of their bytes.

use half::{bf16, f16};

use super::limits;
use crate::error::{Error, Result};

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// Half precision.
    F16,
    /// Brain floating point: the upper half of an [`DType::F32`].
    Bf16,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// A byte that is 0 or 1.
    Bool,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            DType::I8 | DType::U8 | DType::Bool => 1,
            DType::F16 | DType::Bf16 | DType::I16 => 2,
            DType::F32 | DType::I32 => 4,
            DType::F64 | DType::I64 => 8,
        }
    }

    /// The name that torch uses, such as `float32`.
    pub fn name(self) -> &'static str {
        match self {
            DType::F16 => "float16",
            DType::Bf16 => "bfloat16",
            DType::F32 => "float32",
            DType::F64 => "float64",
            DType::I8 => "int8",
            DType::U8 => "uint8",
            DType::I16 => "int16",
            DType::I32 => "int32",
            DType::I64 => "int64",
            DType::Bool => "bool",
        }
    }
}

/// A tensor's description: a strided view of a storage, whose bytes stay in the file until they are asked
/// for.
///
/// It is what the file claims; [`Checkpoint::read_f32`](super::Checkpoint::read_f32) checks that the claim
/// fits the storage.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The sizes, slowest axis first.
    pub shape: Vec<usize>,
    /// The type of the elements.
    pub dtype: DType,
    /// The storage's key: its entry in the archive is `data/<key>`.
    pub storage: String,
    /// How many elements the storage is said to have.
    pub storage_numel: u64,
    /// The first element's index in the storage.
    pub offset: u64,
    /// The step along each axis, in elements.
    pub strides: Vec<u64>,
}

impl Tensor {
    /// The number of elements; `None` where it doesn't fit 64 bits.
    pub fn numel(&self) -> Option<u64> {
        // A zero anywhere makes the tensor empty, however large the other sizes are.
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64))
    }

    /// Whether both are the same view of the same storage. Only tensors of one checkpoint can be compared.
    pub fn same_data(&self, other: &Tensor) -> bool {
        self == other
    }

    /// Whether elements follow each other in row-major order.
    pub fn is_contiguous(&self) -> bool {
        let mut step = 1u64;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size <= 1 || stride == step;
            step = step.saturating_mul(size as u64);
            fits
        })
    }

    /// Bytes of the storage from its first element to its last, as far as they can be counted.
    pub(crate) fn span_bytes(&self) -> u64 {
        let reach = |(&size, &stride): (&usize, &u64)| (size as u64).saturating_sub(1).saturating_mul(stride);
        let span = self.shape.iter().zip(&self.strides).map(reach).fold(1, u64::saturating_add);
        span.saturating_mul(self.dtype.size() as u64)
    }

    /// Checks the view against a storage of `available` bytes, which `label` names in errors. Returns its
    /// number of elements, and how many elements it spans from [`Tensor::offset`].
    pub(super) fn check(&self, label: &str, available: u64) -> Result<(u64, u64)> {
        let Tensor { shape, strides, offset, storage_numel, dtype, .. } = self;
        let malformed = |reason: String| Error::malformed(label, reason);
        if storage_numel.checked_mul(dtype.size() as u64).is_none_or(|bytes| bytes > available) {
            let name = dtype.name();
            return Err(malformed(format!("{available} bytes, expected {storage_numel} elements of {name}")));
        }
        let numel = self.numel().ok_or_else(|| malformed(format!("the shape {shape:?} overflows")))?;
        if numel == 0 {
            return Ok((0, 0));
        }
        let mut axes = shape.iter().zip(strides);
        let span = axes.try_fold(1u64, |span, (&size, &stride)| {
            (size as u64 - 1).checked_mul(stride).and_then(|reach| span.checked_add(reach))
        });
        let inside = |span: &u64| offset.checked_add(*span).is_some_and(|end| end <= *storage_numel);
        let span = span.filter(inside).ok_or_else(|| {
            malformed(format!(
                "a tensor of shape {shape:?}, strides {strides:?} and offset {offset} exceeds the storage's \
                 {storage_numel} elements"
            ))
        })?;
        let most = limits::EXPANDED_ELEMENTS.max(*storage_numel);
        if numel > most {
            return Err(Error::refused(label, format!("a tensor of {numel} elements, the limit is {most}")));
        }
        Ok((numel, span))
    }

    /// Converts the spanned bytes to `numel` values in row-major order, for which `values` has room; `None` for a type
    /// that isn't a number.
    pub(super) fn append_f32(
        &self,
        bytes: &[u8],
        numel: usize,
        big_endian: bool,
        values: &mut Vec<f32>,
    ) -> Option<()> {
        let view = View { tensor: self, bytes, numel, big_endian };
        match self.dtype {
            DType::F16 => view.append(values, |b| f16::from_le_bytes(b).to_f32()),
            DType::Bf16 => view.append(values, |b| bf16::from_le_bytes(b).to_f32()),
            DType::F32 => view.append(values, f32::from_le_bytes),
            DType::F64 => view.append(values, |b| f64::from_le_bytes(b) as f32),
            DType::I8 => view.append(values, |b| f32::from(i8::from_le_bytes(b))),
            DType::U8 => view.append(values, |b| f32::from(u8::from_le_bytes(b))),
            DType::I16 => view.append(values, |b| f32::from(i16::from_le_bytes(b))),
            DType::I32 => view.append(values, |b| i32::from_le_bytes(b) as f32),
            DType::I64 => view.append(values, |b| i64::from_le_bytes(b) as f32),
            DType::Bool => return None,
        }
        Some(())
    }
}

/// The spanned bytes of a tensor, ready to be walked in row-major order.
struct View<'a> {
    tensor: &'a Tensor,
    bytes: &'a [u8],
    numel: usize,
    big_endian: bool,
}

impl View<'_> {
    fn append<const N: usize>(&self, values: &mut Vec<f32>, decode: impl Fn([u8; N]) -> f32) {
        let elements = self.bytes.as_chunks::<N>().0;
        let decode = |mut bytes: [u8; N]| {
            if self.big_endian {
                bytes.reverse();
            }
            decode(bytes)
        };
        if self.tensor.is_contiguous() {
            return values.extend(elements.iter().take(self.numel).map(|bytes| decode(*bytes)));
        }
        let axes: Vec<_> =
            self.tensor.shape.iter().copied().zip(self.tensor.strides.iter().map(|s| *s as usize)).collect();
        let mut index = vec![0usize; axes.len()];
        let mut at = 0usize;
        for _ in 0..self.numel {
            values.push(elements.get(at).map_or(0.0, |bytes| decode(*bytes)));
            for (index, &(size, stride)) in index.iter_mut().zip(&axes).rev() {
                *index += 1;
                if *index < size {
                    at += stride;
                    break;
                }
                at -= (size - 1) * stride;
                *index = 0;
            }
        }
    }
}
