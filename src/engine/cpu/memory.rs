//! Zeroed memory for floats, aligned to cache lines; a failure to get it is an error and not an abort.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use crate::error::{Error, Result};

/// Bytes of a cache line, and of a block's channels at one voxel.
const LINE: usize = 64;

pub(super) struct Memory {
    start: NonNull<f32>,
    layout: Layout,
}

// SAFETY: it owns its floats; whoever writes through `pointer` states who else may.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(super) fn zeroed(floats: usize) -> Result<Self> {
        let bytes = floats.max(LINE).saturating_mul(size_of::<f32>());
        let layout = Layout::from_size_align(bytes, LINE).ok();
        // SAFETY: the layout isn't empty.
        let start = layout.and_then(|layout| NonNull::new(unsafe { alloc_zeroed(layout) }.cast::<f32>()));
        match (start, layout) {
            (Some(start), Some(layout)) => {
                crate::ffi::prefer_huge_pages(start.as_ptr().cast(), bytes);
                Ok(Memory { start, layout })
            }
            _ => Err(Error::Runtime {
                action: "allocate memory for a network".into(),
                reason: format!("the system has no {bytes} bytes left"),
            }),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.layout.size() as u64
    }

    pub(super) fn pointer(&self) -> *mut f32 {
        self.start.as_ptr()
    }

    pub(super) fn slice_mut(&mut self) -> &mut [f32] {
        // SAFETY: the memory is initialised and of this size, and `&mut self` has it alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size() / size_of::<f32>()) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout.
        unsafe { dealloc(self.start.as_ptr().cast(), self.layout) }
    }
}
