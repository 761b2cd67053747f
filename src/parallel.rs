//! Splitting work over a fixed number of threads. Each piece is computed the same way whichever thread
//! runs it, so results don't depend on the thread count.

use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::threads;

/// Calls `work` once for each item, on up to `threads` threads, and returns when all are done. Fewer threads will do,
/// down to the calling one.
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
            if threads::spawn(scope, run).is_none() {
                break;
            }
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

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Error;
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
    fn the_first_error_ends_the_work() {
        for threads in [1, 3] {
            let work = |n| if n == 40 { Err(Error::Busy) } else { Ok(()) };
            assert!(matches!(try_for_each(threads, 0..100, work), Err(Error::Busy)));
            assert!(try_for_each(threads, 50..100, work).is_ok());
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
