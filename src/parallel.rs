//! Splitting work over a fixed number of threads. Each piece is computed the same way whichever thread
//! runs it, so results don't depend on the thread count.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Calls `work` once for each item, on up to `threads` threads, and returns when all are done.
///
/// A panic in `work` is passed on to the caller.
pub fn for_each<T: Send>(threads: usize, items: impl IntoIterator<Item = T>, work: impl Fn(T) + Sync) {
    let items: Vec<Mutex<Option<T>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let threads = threads.clamp(1, items.len().max(1));
    let next = AtomicUsize::new(0);
    let run = || {
        while let Some(slot) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(item) = slot.lock().ok().and_then(|mut slot| slot.take()) {
                work(item);
            }
        }
    };
    if threads == 1 {
        return run();
    }
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(run);
        }
        run();
    });
}
