//! Zeros as the system gives them: pages that nobody touched aren't resident.

use std::alloc::{Layout, alloc_zeroed};

use half::f16;

/// A type whose bytes may all be zero, and need no dropping.
///
/// # Safety
/// Zero bytes are a value of it.
pub(crate) unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($name:ty)*) => { $(
        // SAFETY: zero bytes are 0, or false.
        unsafe impl Plain for $name {}
    )* };
}

plain!(bool u8 u16 u32 u64 usize i32 f16 f32 f64);

/// So many zeros; `None` where the system doesn't give them.
pub(crate) fn zeroed<T: Plain>(len: usize) -> Option<Vec<T>> {
    let layout = Layout::array::<T>(len).ok()?;
    if layout.size() == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the layout isn't empty.
    let start = unsafe { alloc_zeroed(layout) }.cast::<T>();
    if start.is_null() {
        return None;
    }
    // SAFETY: allocated as a vector of this length allocates, and zeros are values of the type.
    Some(unsafe { Vec::from_raw_parts(start, len, len) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_or_nothing() {
        assert_eq!(zeroed::<f32>(1000).unwrap(), vec![0.0; 1000]);
        assert_eq!(zeroed::<bool>(3).unwrap(), [false; 3]);
        assert!(zeroed::<u16>(0).unwrap().is_empty());
        assert!(zeroed::<u64>(usize::MAX).is_none());
        assert!(zeroed::<u64>(1 << 56).is_none());
    }
}
