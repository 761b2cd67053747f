//! The values that a kernel is launched with.

use std::ffi::c_void;

use super::backend::{Averaged, Decided, Placed};

/// A kernel's argument: plain numbers without padding between.
pub(super) trait Argument: Copy {}
impl Argument for u64 {}
impl Argument for i64 {}
impl Argument for i32 {}
impl Argument for f32 {}
impl Argument for Placed {}
impl Argument for Averaged {}
impl Argument for Decided {}

/// Bytes that every device takes.
const MOST_BYTES: usize = 128;
/// No kernel has more arguments.
const MOST: usize = 12;

/// Values one after the other, each at a multiple of its alignment, as C and shaders lay them out.
#[repr(C, align(8))]
#[derive(Clone, Debug)]
pub struct Arguments {
    bytes: [u8; MOST_BYTES],
    length: usize,
    starts: [u8; MOST],
    count: usize,
}

impl Arguments {
    pub(super) const fn new() -> Self {
        Arguments { bytes: [0; MOST_BYTES], length: 0, starts: [0; MOST], count: 0 }
    }

    /// With one more value.
    pub(super) fn with<T: Argument>(mut self, value: T) -> Self {
        let start = self.length.next_multiple_of(align_of::<T>());
        // SAFETY: an argument has no padding, so that all of its bytes may be read.
        let bytes = unsafe { std::slice::from_raw_parts((&raw const value).cast::<u8>(), size_of::<T>()) };
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.length = start + bytes.len();
        self.starts[self.count] = start as u8;
        self.count += 1;
        self
    }

    /// All of them, with what lies between.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Where each one lies, for calls that read them through pointers; those beyond the last are of no use.
    pub(super) fn pointers(&mut self) -> [*mut c_void; MOST] {
        let start = self.bytes.as_mut_ptr();
        self.starts.map(|offset| start.wrapping_add(offset.into()).cast())
    }
}

/// The arguments of a launch, in the kernel's order and of its types.
macro_rules! arguments {
    ($($value:expr),* $(,)?) => { &$crate::inference::device::arguments::Arguments::new()$(.with($value))* };
}
pub(super) use arguments;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_where_c_has_them() {
        let placed = Placed { image: [1; 3], patch: [2; 3], start: [3; 3], below: [4; 3] };
        let mut arguments = Arguments::new().with(5_i32).with(6_u64).with(placed).with(7_i32).with(8_i64);
        assert_eq!(arguments.bytes().len(), 80);
        let pointers = arguments.pointers();
        // SAFETY: each pointer is that of a value of this type, within `arguments`.
        unsafe {
            assert_eq!(pointers[0].cast::<i32>().read(), 5);
            assert_eq!(pointers[1].cast::<u64>().read(), 6);
            assert_eq!(pointers[2].cast::<Placed>().read().below, [4; 3]);
            assert_eq!(pointers[3].cast::<i32>().read(), 7);
            assert_eq!(pointers[4].cast::<i64>().read(), 8);
        }
    }
}
