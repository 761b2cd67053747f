//! A thread that is made without the standard library where that can be: for what goes with one, its own start ends the
//! process when there is no memory.

use std::io;

use system::Started;

/// A thread that must be joined.
pub(crate) struct Thread(Started);

impl Thread {
    /// Starts it; the error is the system's.
    pub(crate) fn start(work: Work) -> io::Result<Self> {
        system::start(work).map(Thread)
    }

    /// Waits for its end. What it panicked with is gone.
    pub(crate) fn join(self) {
        system::join(self.0);
    }
}

pub(crate) type Work = Box<dyn FnOnce() + Send>;

#[cfg(all(unix, not(miri)))]
mod system {
    use std::ffi::c_void;
    use std::io;
    use std::mem::MaybeUninit;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::ptr::null_mut;

    use super::Work;

    pub(super) type Started = libc::pthread_t;

    /// As the standard library's threads have it, whatever the system's default is.
    const STACK: usize = 2 << 20;

    pub(super) fn start(work: Work) -> io::Result<Started> {
        // One more box makes a plain address of it.
        let work = Box::into_raw(Box::new(work));
        let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
        let mut thread = MaybeUninit::uninit();
        // SAFETY: attributes are made before they are used and end here; `begin` gets what was boxed for it.
        let failed = unsafe {
            let attributes = attributes.as_mut_ptr();
            let mut failed = libc::pthread_attr_init(attributes);
            if failed == 0 {
                // Refused only for sizes that a system can't have; its default will do then.
                libc::pthread_attr_setstacksize(attributes, STACK);
                failed = libc::pthread_create(thread.as_mut_ptr(), attributes, begin, work.cast());
                libc::pthread_attr_destroy(attributes);
            }
            failed
        };
        if failed != 0 {
            // SAFETY: no thread has it.
            drop(unsafe { Box::from_raw(work) });
            return Err(io::Error::from_raw_os_error(failed));
        }
        // SAFETY: written by the call that succeeded.
        Ok(unsafe { thread.assume_init() })
    }

    extern "C" fn begin(work: *mut c_void) -> *mut c_void {
        // SAFETY: boxed by `start` for this thread alone.
        let work = unsafe { Box::from_raw(work.cast::<Work>()) };
        name();
        // Work that panics is its caller's matter.
        let _ = catch_unwind(AssertUnwindSafe(work));
        null_mut()
    }

    /// For debuggers and lists of threads.
    fn name() {
        // SAFETY: a constant text, short enough for any system.
        #[cfg(target_os = "linux")]
        unsafe {
            libc::pthread_setname_np(libc::pthread_self(), c"voxseg".as_ptr());
        }
        // SAFETY: as above.
        #[cfg(target_vendor = "apple")]
        unsafe {
            libc::pthread_setname_np(c"voxseg".as_ptr());
        }
    }

    pub(super) fn join(thread: Started) {
        // SAFETY: joined once, as the handle is given away.
        unsafe { libc::pthread_join(thread, null_mut()) };
    }
}

#[cfg(not(all(unix, not(miri))))]
mod system {
    use std::io;
    use std::thread::{Builder, JoinHandle};

    use super::Work;

    pub(super) type Started = JoinHandle<()>;

    pub(super) fn start(work: Work) -> io::Result<Started> {
        Builder::new().name("voxseg".into()).spawn(work)
    }

    pub(super) fn join(thread: Started) {
        let _ = thread.join();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    static CAME: AtomicBool = AtomicBool::new(false);

    #[test]
    fn joining_waits_for_work_and_for_panics() {
        let thread = Thread::start(Box::new(|| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            CAME.store(true, Ordering::Relaxed);
        }));
        thread.unwrap().join();
        assert!(CAME.load(Ordering::Relaxed));
        Thread::start(Box::new(|| panic!("of a thread"))).unwrap().join();
    }
}
