//! Zeroed memory for floats, aligned to cache lines; a failure to get it is an error and not an abort.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use crate::buffer;
use crate::error::Result;

/// Bytes of a cache line, and of a block's channels at one voxel.
pub(super) const LINE: usize = 64;

/// Alignment that the system gives without more ado: what it hands out zeroed isn't touched, and so not resident,
/// before it is written.
const PLAIN: usize = 16;

pub(in crate::engine) struct Memory {
    /// As allocated, at most a line before the floats.
    allocation: NonNull<u8>,
    layout: Layout,
    start: NonNull<f32>,
    floats: usize,
}

// SAFETY: it owns its floats; whoever writes through `pointer` states who else may.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(in crate::engine) fn zeroed(floats: usize) -> Result<Self> {
        let bytes = floats.max(1).saturating_mul(size_of::<f32>());
        let layout = Layout::from_size_align(bytes.saturating_add(LINE), PLAIN).ok();
        // SAFETY: the layout isn't empty.
        let allocation = layout.and_then(|layout| NonNull::new(unsafe { alloc_zeroed(layout) }));
        #[cfg(test)]
        let allocation = allocation.filter(|_| buffer::scarce::allowed());
        match (allocation, layout) {
            (Some(allocation), Some(layout)) => {
                let ahead = allocation.align_offset(LINE);
                // SAFETY: the allocation is a line larger than the floats.
                let start = unsafe { allocation.add(ahead) }.cast::<f32>();
                crate::platform::prefer_huge_pages(start.as_ptr().cast(), bytes);
                Ok(Memory { allocation, layout, start, floats: floats.max(1) })
            }
            _ => Err(buffer::missing::<f32>("a network", floats)),
        }
    }

    /// Memory that isn't there: only its size is known. Its pointer must not be used.
    pub(super) fn planned(floats: usize) -> Self {
        let (allocation, layout) = (NonNull::dangling(), Layout::new::<()>());
        Memory { allocation, layout, start: NonNull::dangling(), floats: floats.max(1) }
    }

    /// Whether only its size is known.
    pub(super) fn is_planned(&self) -> bool {
        self.layout.size() == 0
    }

    pub(super) fn floats(&self) -> usize {
        self.floats
    }

    pub(in crate::engine) fn bytes(&self) -> u64 {
        (self.floats * size_of::<f32>()) as u64
    }

    pub(in crate::engine) fn pointer(&self) -> *mut f32 {
        self.start.as_ptr()
    }

    /// Its floats; none where it is only planned.
    pub(in crate::engine) fn slice_mut(&mut self) -> &mut [f32] {
        if self.is_planned() {
            return &mut [];
        }
        // SAFETY: the memory is initialised and of this size, and `&mut self` has it alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.floats) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if !self.is_planned() {
            // SAFETY: it was allocated with this layout.
            unsafe { dealloc(self.allocation.as_ptr(), self.layout) }
        }
    }
}
