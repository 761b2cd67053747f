//! Splitting work over a fixed number of threads. Each piece is computed the same way whichever thread
//! runs it, so results don't depend on the thread count.

use std::sync::{Mutex, PoisonError};

use crate::error::Result;

/// Calls `work` once for each item, on up to `threads` threads, and returns when all are done.
///
/// A panic in `work` is passed on to the caller.
pub fn for_each<T: Send>(
    threads: usize,
    items: impl IntoIterator<Item = T, IntoIter: Send>,
    work: impl Fn(T) + Sync,
) {
    let items = items.into_iter();
    let most = items.size_hint().1.unwrap_or(threads);
    let items = Mutex::new(items);
    let run = || {
        loop {
            let next = items.lock().unwrap_or_else(PoisonError::into_inner).next();
            match next {
                Some(item) => work(item),
                None => return,
            }
        }
    };
    let threads = threads.clamp(1, most.max(1));
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

/// As [`for_each`], for work that can fail; what isn't begun after a failure is left out.
///
/// # Errors
/// That of `work` which came first.
pub fn try_for_each<T: Send>(
    threads: usize,
    items: impl IntoIterator<Item = T, IntoIter: Send>,
    work: impl Fn(T) -> Result<()> + Sync,
) -> Result<()> {
    let outcome = Mutex::new(Ok(()));
    let outcome_now = || outcome.lock().unwrap_or_else(PoisonError::into_inner);
    for_each(threads, items, |item| {
        if outcome_now().is_ok()
            && let Err(error) = work(item)
        {
            let mut outcome = outcome_now();
            if outcome.is_ok() {
                *outcome = Err(error);
            }
        }
    });
    outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
}
