//! Threads that help. The system may have none to give (limits, sandboxes): then whoever asked does the work alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crate::floating_point::Ours;
use crate::log::{self, Level};

/// Whether the log has heard that threads are scarce.
static TOLD: AtomicBool = AtomicBool::new(false);

/// Starts a thread that ends with its scope; `None` where the system gives none, and `work` won't run.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, T>> {
    #[cfg(test)]
    if !scarce::allowed() {
        return None;
    }
    let begin = || {
        // What a thread begins with is the system's choice.
        let _ours = Ours::enter();
        work()
    };
    match Builder::new().name("voxseg".into()).spawn_scoped(scope, begin) {
        Ok(thread) => Some(thread),
        Err(error) => {
            if !TOLD.swap(true, Ordering::Relaxed) {
                log::write(Level::Debug, || format!("working with fewer threads than asked for: {error}"));
            }
            None
        }
    }
}

/// For tests: a system that gives few threads.
#[cfg(test)]
pub(crate) mod scarce {
    use std::cell::Cell;

    thread_local! {
        static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    /// As long as `work` runs, the calling thread gets so many threads and then no more.
    pub(crate) fn with<T>(threads: usize, work: impl FnOnce() -> T) -> T {
        struct Restore(usize);
        impl Drop for Restore {
            fn drop(&mut self) {
                LEFT.set(self.0);
            }
        }
        let _restore = Restore(LEFT.replace(threads));
        work()
    }

    pub(super) fn allowed() -> bool {
        let left = LEFT.get();
        LEFT.set(if left == usize::MAX { left } else { left.saturating_sub(1) });
        left > 0
    }
}
