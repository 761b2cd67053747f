//! A little memory for small requests that the system refuses. Rust ends the process where a string or a node of a
//! list can't be allocated; with something kept for them, a call gets to where it can fail: the next request of
//! `buffer`, of a budget for files, or the next look at a run's cancel flag.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What is kept. Pages that nobody touched take no memory.
const BYTES: usize = 1 << 20;
/// What memory is given in.
const BLOCK: usize = 64;
const BLOCKS: usize = BYTES / BLOCK;
/// Larger requests are refused: whoever makes them can fail.
const LARGEST: usize = 64 << 10;

#[cfg_attr(feature = "reserve", global_allocator)]
static MEMORY: Reserve<System> = Reserve::over(System);

/// Whether small requests were refused by the system, and still are.
pub(crate) fn is_exhausted() -> bool {
    MEMORY.used.load(Ordering::Relaxed) > 0 && !gives(LARGEST)
}

/// Whether the system gives so many bytes.
fn gives(bytes: usize) -> bool {
    Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
}

/// An allocator with a reserve for when it has nothing.
struct Reserve<S> {
    system: S,
    memory: UnsafeCell<Memory>,
    locked: AtomicBool,
    /// Blocks that are given.
    used: AtomicUsize,
}

#[repr(C, align(64))]
struct Memory {
    bytes: [u8; BYTES],
    /// Whether a block is given.
    taken: [bool; BLOCKS],
}

// SAFETY: whoever reads or writes `taken` holds the lock, and bytes of a block belong to whom it was given.
unsafe impl<S: Sync> Sync for Reserve<S> {}

impl<S> Reserve<S> {
    const fn over(system: S) -> Self {
        let memory = Memory { bytes: [0; BYTES], taken: [false; BLOCKS] };
        Reserve {
            system,
            memory: UnsafeCell::new(memory),
            locked: AtomicBool::new(false),
            used: AtomicUsize::new(0),
        }
    }

    fn start(&self) -> *mut u8 {
        self.memory.get().cast()
    }

    /// The offset of an address in the reserve.
    fn offset(&self, address: *mut u8) -> Option<usize> {
        address.addr().checked_sub(self.start().addr()).filter(|offset| *offset < BYTES)
    }

    /// Does something with the table of blocks, alone. A mutex of the standard library might allocate.
    fn locked<T>(&self, work: impl FnOnce(&mut [bool; BLOCKS]) -> T) -> T {
        while self.locked.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        // SAFETY: only one thread is here, and the bytes beside the table aren't touched.
        let result = work(unsafe { &mut (*self.memory.get()).taken });
        self.locked.store(false, Ordering::Release);
        result
    }

    /// Gives memory, or null where the request is too large or too little is left.
    fn take(&self, layout: Layout) -> *mut u8 {
        if layout.size() >= LARGEST || layout.align() > BLOCK {
            return null_mut();
        }
        let count = layout.size().div_ceil(BLOCK).max(1);
        let first = self.locked(|taken| {
            let mut free = 0;
            for index in 0..BLOCKS {
                free = if taken[index] { 0 } else { free + 1 };
                if free == count {
                    let first = index + 1 - count;
                    taken[first..=index].fill(true);
                    return Some(first);
                }
            }
            None
        });
        let Some(first) = first else { return null_mut() };
        self.used.fetch_add(count, Ordering::Relaxed);
        // SAFETY: the block lies in the reserve.
        unsafe { self.start().add(first * BLOCK) }
    }

    fn give_back(&self, offset: usize, layout: Layout) {
        let (first, count) = (offset / BLOCK, layout.size().div_ceil(BLOCK).max(1));
        self.locked(|taken| taken[first..first + count].fill(false));
        self.used.fetch_sub(count, Ordering::Relaxed);
    }
}

// SAFETY: memory is the system's or blocks of the reserve that nobody else has; both go back where they came from.
unsafe impl<S: GlobalAlloc> GlobalAlloc for Reserve<S> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let found = unsafe { self.system.alloc(layout) };
        if found.is_null() { self.take(layout) } else { found }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let mut found = unsafe { self.system.alloc_zeroed(layout) };
        if found.is_null() {
            found = self.take(layout);
            if !found.is_null() {
                // SAFETY: it was given with this size.
                unsafe { found.write_bytes(0, layout.size()) };
            }
        }
        found
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        match self.offset(address) {
            Some(offset) => self.give_back(offset, layout),
            // SAFETY: as the caller promises, and it isn't of the reserve.
            None => unsafe { self.system.dealloc(address, layout) },
        }
    }

    unsafe fn realloc(&self, address: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let inside = self.offset(address).is_some();
        if !inside {
            // SAFETY: as the caller promises, and it isn't of the reserve.
            let found = unsafe { self.system.realloc(address, layout, size) };
            if !found.is_null() {
                return found;
            }
            if size <= layout.size() {
                // What can't move may stay: neither malloc's free nor Windows' asks for a size.
                return address;
            }
        }
        // SAFETY: the caller promises that the size is possible with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as the caller promises.
        let found = if inside { unsafe { self.alloc(wanted) } } else { self.take(wanted) };
        if !found.is_null() {
            // SAFETY: both have this size, and nobody else has them; the old one goes where it came from.
            unsafe {
                found.copy_from_nonoverlapping(address, layout.size().min(size));
                self.dealloc(address, layout);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has nothing.
    struct Nothing;

    // SAFETY: null is always allowed; nothing of its own comes back.
    unsafe impl GlobalAlloc for Nothing {
        unsafe fn alloc(&self, _: Layout) -> *mut u8 {
            null_mut()
        }

        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {
            unreachable!("nothing was given");
        }
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    fn used(reserve: &Reserve<Nothing>) -> usize {
        reserve.used.load(Ordering::Relaxed)
    }

    static EMPTY: Reserve<Nothing> = Reserve::over(Nothing);

    #[test]
    fn small_requests_get_what_is_kept() {
        // SAFETY: each address goes back once, with the layout that it has by then.
        unsafe {
            let a = EMPTY.alloc(layout(100));
            let b = EMPTY.alloc_zeroed(layout(64));
            assert!(!a.is_null() && !b.is_null() && a != b);
            assert_eq!(std::slice::from_raw_parts(b, 64), [0; 64]);
            assert_eq!(used(&EMPTY), 3);
            a.write_bytes(7, 100);
            let a = EMPTY.realloc(a, layout(100), 5000);
            assert_eq!(std::slice::from_raw_parts(a, 100), [7; 100]);
            let a = EMPTY.realloc(a, layout(5000), 10);
            assert_eq!(std::slice::from_raw_parts(a, 10), [7; 10]);
            EMPTY.dealloc(b, layout(64));
            EMPTY.dealloc(a, layout(10));
            assert_eq!(used(&EMPTY), 0);

            // Large ones don't, nor more than there is, nor what must lie elsewhere.
            assert!(EMPTY.alloc(layout(LARGEST)).is_null());
            assert!(EMPTY.alloc(Layout::from_size_align(8, 128).unwrap()).is_null());
            let all: Vec<*mut u8> = std::iter::from_fn(|| Some(EMPTY.alloc(layout(LARGEST - 64))))
                .take_while(|address| !address.is_null())
                .collect();
            assert_eq!(all.len(), BYTES / (LARGEST - 64));
            assert!(all.iter().all(|address| address.addr().is_multiple_of(BLOCK)));
            for address in all {
                EMPTY.dealloc(address, layout(LARGEST - 64));
            }
            assert_eq!(used(&EMPTY), 0);
        }
    }

    #[test]
    fn memory_of_the_system_goes_back_to_it() {
        static USUAL: Reserve<System> = Reserve::over(System);
        // SAFETY: as above.
        unsafe {
            let a = USUAL.alloc(layout(100));
            assert!(USUAL.offset(a).is_none());
            let a = USUAL.realloc(a, layout(100), 200);
            USUAL.dealloc(a, layout(200));
            // What can't grow there is moved, and goes back.
            let b = USUAL.take(layout(100));
            b.write_bytes(3, 100);
            let b = USUAL.realloc(b, layout(100), 300);
            assert!(USUAL.offset(b).is_none());
            assert_eq!(std::slice::from_raw_parts(b, 100), [3; 100]);
            USUAL.dealloc(b, layout(300));
        }
        assert_eq!(USUAL.used.load(Ordering::Relaxed), 0);
    }
}
