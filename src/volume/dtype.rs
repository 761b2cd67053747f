//! Voxel types.

use half::f16;

/// The type of a stored voxel, in the machine's byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DType {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    F16,
    F32,
    F64,
}

impl DType {
    /// Size of one voxel in bytes.
    pub fn size(self) -> usize {
        match self {
            DType::I8 | DType::U8 => 1,
            DType::I16 | DType::U16 | DType::F16 => 2,
            DType::I32 | DType::U32 | DType::F32 => 4,
            DType::F64 => 8,
        }
    }

    /// The largest label value that this type holds; `None` for types that aren't for labels.
    pub fn largest_label(self) -> Option<u32> {
        match self {
            DType::I8 => Some(i8::MAX as u32),
            DType::U8 => Some(u8::MAX.into()),
            DType::I16 => Some(i16::MAX as u32),
            DType::U16 => Some(u16::MAX.into()),
            DType::I32 => Some(i32::MAX as u32),
            DType::U32 => Some(u32::MAX),
            DType::F16 | DType::F32 | DType::F64 => None,
        }
    }

    /// Stored voxels as numbers, in their order. What follows the last whole voxel is left out.
    pub fn numbers(self, bytes: &[u8]) -> impl Iterator<Item = f64> {
        bytes.chunks_exact(self.size()).map(self.decoder())
    }

    /// Makes a number of exactly [`DType::size`] bytes.
    pub(crate) fn decoder(self) -> fn(&[u8]) -> f64 {
        match self {
            DType::I8 => decode::<i8>,
            DType::U8 => decode::<u8>,
            DType::I16 => decode::<i16>,
            DType::U16 => decode::<u16>,
            DType::I32 => decode::<i32>,
            DType::U32 => decode::<u32>,
            DType::F16 => decode::<f16>,
            DType::F32 => decode::<f32>,
            DType::F64 => decode::<f64>,
        }
    }
}

fn decode<T: Element>(bytes: &[u8]) -> f64 {
    T::from_bytes(bytes).to_f64()
}

/// A voxel type that can be read from bytes of any alignment.
pub(crate) trait Element: Copy + Send + Sync {
    const SIZE: usize;
    /// From exactly `SIZE` bytes.
    fn from_bytes(bytes: &[u8]) -> Self;
    /// From exactly `SIZE` bytes in the other byte order.
    fn from_swapped(bytes: &[u8]) -> Self;
    fn to_f64(self) -> f64;
    /// As a C cast does it: straight to the nearest f32.
    fn to_f32(self) -> f32;
    /// As a label; a negative number becomes one that its type can't hold.
    fn to_label(self) -> u32;
}

macro_rules! element {
    ($($type:ty),*) => {$(
        impl Element for $type {
            const SIZE: usize = size_of::<$type>();
            #[inline]
            fn from_bytes(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<$type>()];
                array.copy_from_slice(bytes);
                <$type>::from_ne_bytes(array)
            }
            #[inline]
            fn from_swapped(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<$type>()];
                array.copy_from_slice(bytes);
                array.reverse();
                <$type>::from_ne_bytes(array)
            }
            #[inline]
            fn to_f64(self) -> f64 { self as f64 }
            #[inline]
            fn to_f32(self) -> f32 { self as f32 }
            #[inline]
            fn to_label(self) -> u32 { self as u32 }
        }
    )*};
}
element!(i8, u8, i16, u16, i32, u32, f32, f64);

impl Element for f16 {
    const SIZE: usize = 2;
    #[inline]
    fn from_bytes(bytes: &[u8]) -> Self {
        f16::from_ne_bytes([bytes[0], bytes[1]])
    }
    #[inline]
    fn from_swapped(bytes: &[u8]) -> Self {
        f16::from_ne_bytes([bytes[1], bytes[0]])
    }
    #[inline]
    fn to_f64(self) -> f64 {
        self.into()
    }
    #[inline]
    fn to_f32(self) -> f32 {
        self.into()
    }
    #[inline]
    fn to_label(self) -> u32 {
        self.to_f32() as u32
    }
}
