//! Splitting work over a fixed number of threads. Each piece is computed the same way whichever thread
//! runs it, so results don't depend on the thread count.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::threads;

/// Calls `work` once for each item, on up to `threads` threads, and returns when all are done. Fewer threads will do,
/// down to the calling one.
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
            if threads::spawn(scope, run).is_none() {
                break;
            }
        }
        run();
    });
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;
    use crate::threads::scarce;

    #[test]
    fn any_number_of_threads_is_enough() {
        for (wanted, given) in [(1, 0), (2, 0), (8, 0), (8, 1), (8, 3), (8, 100)] {
            let done = AtomicUsize::new(0);
            scarce::with(given, || {
                for_each(wanted, 0..1000, |n| {
                    done.fetch_add(n, Ordering::Relaxed);
                });
            });
            assert_eq!(done.into_inner(), 499_500, "{given} of {wanted} threads");
        }
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        for given in [0, 1, 5] {
            let work = || scarce::with(given, || for_each(4, 0..100, |n| assert_ne!(n, 40)));
            assert!(catch_unwind(work).is_err());
        }
    }
}
