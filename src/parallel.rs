//! Splitting work over threads. Each piece is computed the same way whichever thread runs it, so results depend neither
//! on the number of threads nor on whose they are.
//!
//! Which threads those are is the matter of whoever begins a run: it enters an [`Executor`] of the host, or a crew of
//! the library's own threads that lives as long as the run. The code in between only says how many it can use.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::floating_point::Ours;
use crate::platform::Crew;
use crate::threads;

/// Threads of the host that the library may compute on. Any number of runs may use one at the same time.
pub trait Executor: Send + Sync {
    /// Calls `task` once for each number below `tasks` and returns when the last call has returned. Calls may run one
    /// after another, in any order, or on as many threads as there are; tasks never wait for one that hasn't begun. A
    /// call never panics.
    fn parallel_for(&self, tasks: usize, task: &(dyn Fn(usize) + Sync));
}

impl fmt::Debug for dyn Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Executor")
    }
}

/// Where a thread's work is shared out.
#[derive(Clone, Default)]
enum Context {
    /// To threads that come for that work alone.
    #[default]
    Nowhere,
    /// To the threads of its run.
    Crew(Arc<Crew>),
    /// To the host's.
    Host(Arc<dyn Executor>),
    /// It is a share itself, which isn't split any further.
    Within,
}

thread_local! {
    /// Nowhere again when a thread ends, so that nothing is dropped then: where the C library can't note down that
    /// something is to be, it ends the process.
    static CONTEXT: RefCell<ManuallyDrop<Context>> = const { RefCell::new(ManuallyDrop::new(Context::Nowhere)) };
}

/// The calling thread's context from now on; returns what was so before.
fn replace(context: Context) -> Context {
    ManuallyDrop::into_inner(CONTEXT.replace(ManuallyDrop::new(context)))
}

fn context() -> Context {
    CONTEXT.with_borrow(|context| Context::clone(context))
}

/// As long as it lives, the calling thread's work is shared out in a given context.
pub(crate) struct Entered {
    before: Context,
    might_start: bool,
    /// It belongs to one thread.
    _thread: PhantomData<*const ()>,
}

impl Entered {
    fn new(context: Context) -> Self {
        // Whoever computes on the host's threads starts none.
        let might_start = threads::may_start(false);
        threads::may_start(might_start && !matches!(context, Context::Host(_)));
        Entered { before: replace(context), might_start, _thread: PhantomData }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        threads::may_start(self.might_start);
        // Threads of a crew end here, so they must not find the context borrowed.
        drop(replace(std::mem::take(&mut self.before)));
    }
}

/// Begins what is computed on the host's threads, or on up to `threads` of the library's own. Within another such part
/// that one's threads are used.
pub(crate) fn enter(host: Option<&Arc<dyn Executor>>, threads: usize) -> Entered {
    Entered::new(match (context(), host) {
        (Context::Nowhere, Some(host)) => Context::Host(host.clone()),
        (Context::Nowhere, None) => Context::Crew(Arc::new(Crew::new(threads))),
        (context, _) => context,
    })
}

/// Calls `member` for up to `count` members, whose numbers begin with 0, at the same time if there are threads; the
/// first to come may have to do everything. Returns when none is under way.
///
/// A panic of a member is passed on to the caller.
pub(crate) fn share(count: usize, member: impl Fn(usize) + Sync) {
    let context = context();
    if count <= 1 || matches!(context, Context::Within) {
        return member(0);
    }
    let next = AtomicUsize::new(0);
    let panic: Mutex<Option<Box<dyn Any + Send>>> = Mutex::new(None);
    let join = |_: usize| {
        // An executor that calls a task twice finds nobody left.
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return;
        }
        let _within = Entered::new(Context::Within);
        let _ours = Ours::enter();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| member(number))) {
            panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(payload);
        }
    };
    match context {
        Context::Crew(crew) => crew.parallel_for(count, &join),
        Context::Host(host) => host.parallel_for(count, &join),
        Context::Nowhere | Context::Within => Crew::new(count).parallel_for(count, &join),
    }
    // An executor that calls no task leaves all to this thread.
    join(count);
    if let Some(payload) = panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
        resume_unwind(payload);
    }
}

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
    share(threads.min(most), |_| {
        loop {
            let next = items.lock().unwrap_or_else(PoisonError::into_inner).next();
            match next {
                Some(item) => work(item),
                None => return,
            }
        }
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
    use super::*;
    use crate::error::Error;
    use crate::threads::scarce;

    /// Calls tasks as a host may, well or badly.
    struct Odd(fn(usize, &(dyn Fn(usize) + Sync)));

    impl Executor for Odd {
        fn parallel_for(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
            (self.0)(tasks, task);
        }
    }

    #[test]
    fn a_host_calls_tasks_in_its_own_way() {
        type Way = fn(usize, &(dyn Fn(usize) + Sync));
        let ways: [Way; 4] = [
            |tasks, task| (0..tasks).rev().for_each(task),
            |_, _| {},
            |tasks, task| (0..3 * tasks).for_each(task),
            |tasks, task| {
                std::thread::scope(|scope| (0..tasks).for_each(|n| drop(scope.spawn(move || task(n)))));
            },
        ];
        for way in ways {
            let host: Arc<dyn Executor> = Arc::new(Odd(way));
            let entered = enter(Some(&host), 4);
            assert!(!threads::may_start(false));
            let done = AtomicUsize::new(0);
            for_each(4, 0..100, |n| {
                // What is shared out within a share isn't split.
                let thread = std::thread::current().id();
                for_each(3, 0..2, |_| assert_eq!(std::thread::current().id(), thread));
                done.fetch_add(n, Ordering::Relaxed);
            });
            assert_eq!(done.into_inner(), 4950);
            assert!(catch_unwind(|| for_each(4, 0..100, |n| assert_ne!(n, 40))).is_err());
            drop(entered);
            assert!(threads::may_start(true));
        }
    }

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
