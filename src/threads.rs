//! Threads that help. The system may have none to give (limits, sandboxes), and a host that computes on its own threads
//! wants none of ours: then whoever asked does the work alone.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crate::floating_point::Ours;
use crate::log::{self, Level};

/// Whether the log has heard that threads are scarce.
static TOLD: AtomicBool = AtomicBool::new(false);

thread_local! {
    static MAY_START: Cell<bool> = const { Cell::new(true) };
}

/// Says whether the calling thread may start others from now on; returns what was so before.
pub(crate) fn may_start(may: bool) -> bool {
    MAY_START.replace(may)
}

/// Starts a thread that ends with its scope; `None` where there is none, and `work` won't run.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, T>> {
    let begin = || {
        // What a thread begins with is the system's choice.
        let _ours = Ours::enter();
        work()
    };
    allowed()?;
    told(Builder::new().name("voxseg".into()).spawn_scoped(scope, begin))
}

/// Starts a thread that the caller joins, as `make` does it; `None` as for [`spawn`].
pub(crate) fn start<T>(
    work: impl FnOnce() + Send + 'static,
    make: impl FnOnce(Box<dyn FnOnce() + Send>) -> std::io::Result<T>,
) -> Option<T> {
    let begin = || {
        let _ours = Ours::enter();
        work();
    };
    allowed()?;
    told(make(Box::new(begin)))
}

/// Whether this thread may start others.
fn allowed() -> Option<()> {
    #[cfg(test)]
    if !scarce::allowed() {
        return None;
    }
    MAY_START.get().then_some(())
}

fn told<T>(started: std::io::Result<T>) -> Option<T> {
    let tell = |error: &std::io::Error| {
        if !TOLD.swap(true, Ordering::Relaxed) {
            log::write(Level::Debug, || format!("working with fewer threads than asked for: {error}"));
        }
    };
    started.inspect_err(tell).ok()
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
