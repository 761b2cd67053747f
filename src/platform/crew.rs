//! The library's own threads: they start when work is first shared out, sleep between one piece of work and the next,
//! and end with the crew. Starting threads anew for each tile would cost more than small tiles take.

#![allow(unsafe_code, reason = "threads that outlive a piece of work run closures that borrow")]

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::Thread;
use crate::threads;

/// Up to so many threads, the calling one included.
pub(crate) struct Crew {
    most: usize,
    shared: Arc<Shared>,
    /// Those that were started; locked while a piece of work is under way.
    threads: Mutex<Vec<Thread>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is work, or the crew's end has come.
    called: Condvar,
    /// No thread is at work.
    done: Condvar,
}

#[derive(Default)]
struct State {
    work: Option<Work>,
    /// Threads that are inside the task, the calling one not counted.
    busy: usize,
    over: bool,
}

/// A task and its next number.
#[derive(Clone, Copy)]
struct Work {
    task: &'static (dyn Fn(usize) + Sync),
    next: usize,
    tasks: usize,
}

impl State {
    /// The next number that nobody has.
    fn take(&mut self) -> Option<(&'static (dyn Fn(usize) + Sync), usize)> {
        let work = self.work.as_mut().filter(|work| work.next < work.tasks)?;
        work.next += 1;
        Some((work.task, work.next - 1))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does until the crew's end.
    fn member(&self) {
        /// A task that panics ends all the same.
        struct Busy<'a>(&'a Shared);
        impl Drop for Busy<'_> {
            fn drop(&mut self) {
                let mut state = self.0.state();
                state.busy -= 1;
                if state.busy == 0 {
                    self.0.done.notify_all();
                }
            }
        }
        let mut state = self.state();
        while !state.over {
            match state.take() {
                Some((task, number)) => {
                    state.busy += 1;
                    drop(state);
                    let busy = Busy(self);
                    task(number);
                    drop(busy);
                    state = self.state();
                }
                None => state = self.called.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Crew {
    /// Nothing starts before there is work.
    pub(crate) fn new(most: usize) -> Self {
        Crew { most, shared: Arc::default(), threads: Mutex::default() }
    }

    /// Calls `task` once for each number below `tasks`, and returns when the last call has returned.
    pub(crate) fn parallel_for(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        /// The work's end: no thread is inside the task when it is dropped.
        struct Called<'a>(&'a Shared);
        impl Drop for Called<'_> {
            fn drop(&mut self) {
                let mut state = self.0.state();
                state.work = None;
                while state.busy > 0 {
                    state = self.0.done.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while threads.len() + 1 < self.most.min(tasks) {
            let shared = self.shared.clone();
            let Some(thread) = threads::start(move || shared.member(), Thread::start) else { break };
            threads.push(thread);
        }
        // SAFETY: only the lifetime changes. The reference is in `work` and in threads that are counted as busy, and
        // `called` empties the one and waits for the others before this function returns or unwinds.
        let lasting: &'static (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(task) };
        let called = Called(&self.shared);
        self.shared.state().work = Some(Work { task: lasting, next: 0, tasks });
        self.shared.called.notify_all();
        loop {
            let next = self.shared.state().take();
            let Some((_, number)) = next else { break };
            task(number);
        }
        drop(called);
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.shared.called.notify_all();
        for thread in self.threads.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::ThreadId;

    use super::*;
    use crate::threads::scarce;

    #[test]
    fn each_number_runs_once_on_threads_that_stay() {
        let crew = Crew::new(3);
        let seen: Mutex<HashSet<ThreadId>> = Mutex::default();
        for tasks in [0, 1, 2, 3, 50, 7] {
            let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            crew.parallel_for(tasks, &|task| {
                seen.lock().unwrap().insert(std::thread::current().id());
                counts[task].fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        }
        assert!(seen.into_inner().unwrap().len() <= 3);
        assert_eq!(crew.threads.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_system_without_threads_leaves_all_to_the_caller() {
        let crew = Crew::new(4);
        let done = AtomicUsize::new(0);
        scarce::with(0, || {
            crew.parallel_for(9, &|_| {
                done.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!((done.into_inner(), crew.threads.lock().unwrap().len()), (9, 0));
    }

    #[test]
    fn a_panic_of_the_caller_waits_for_the_others() {
        let crew = Crew::new(2);
        let caller = std::thread::current().id();
        for _ in 0..20 {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                crew.parallel_for(2, &|_| {
                    assert_ne!(std::thread::current().id(), caller);
                });
            }));
            // Where the other thread was quick, nothing was left for this one.
            drop(outcome);
            let done = AtomicUsize::new(0);
            crew.parallel_for(5, &|_| {
                done.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(done.into_inner(), 5);
        }
    }
}
