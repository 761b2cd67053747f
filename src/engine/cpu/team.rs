//! The threads of one run. They live as long as the run, sleep where they wait, and leave nothing behind.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

/// Calls `work(phase, task, thread)` for every task of every phase. A phase begins when the one before is done; which
/// thread gets a task is left to chance, so its result may not depend on that.
///
/// A panic in `work` is passed on to the caller when the phase is done.
pub(super) fn run(threads: usize, phases: &[usize], work: impl Fn(usize, usize, usize) + Sync) {
    let most = phases.iter().copied().max().unwrap_or(0);
    let threads = threads.clamp(1, most.max(1));
    if threads == 1 {
        for (phase, &tasks) in phases.iter().enumerate() {
            (0..tasks).for_each(|task| work(phase, task, 0));
        }
        return;
    }
    let next: Vec<AtomicUsize> = phases.iter().map(|_| AtomicUsize::new(0)).collect();
    let barrier = Barrier::new(threads);
    let panicked: Mutex<Option<Box<dyn Any + Send>>> = Mutex::new(None);
    let member = |thread: usize| {
        for (phase, &tasks) in phases.iter().enumerate() {
            // Whoever panics still comes to the barrier, where the others wait.
            let share = AssertUnwindSafe(|| {
                loop {
                    let task = next[phase].fetch_add(1, Ordering::Relaxed);
                    if task >= tasks {
                        break;
                    }
                    work(phase, task, thread);
                }
            });
            if let (Err(panic), Ok(mut first)) = (catch_unwind(share), panicked.lock()) {
                first.get_or_insert(panic);
            }
            barrier.wait();
            if panicked.lock().is_ok_and(|panic| panic.is_some()) {
                break;
            }
        }
    };
    std::thread::scope(|scope| {
        for thread in 1..threads {
            scope.spawn(move || member(thread));
        }
        member(0);
    });
    if let Ok(Some(panic)) = panicked.into_inner() {
        resume_unwind(panic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_each_other_and_every_task_runs_once() {
        for threads in [1, 2, 5] {
            let phases = [7, 1, 0, 100];
            let counts: Vec<AtomicUsize> = (0..108).map(|_| AtomicUsize::new(0)).collect();
            let starts = [0, 7, 8, 8];
            run(threads, &phases, |phase, task, thread| {
                assert!(thread < threads);
                let before = &counts[..starts[phase]];
                assert!(before.iter().all(|count| count.load(Ordering::SeqCst) == 1));
                counts[starts[phase] + task].fetch_add(1, Ordering::SeqCst);
            });
            assert!(counts.iter().all(|count| count.load(Ordering::SeqCst) == 1));
        }
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        for threads in [1, 3] {
            let result = catch_unwind(|| run(threads, &[10, 10], |_, task, _| assert_ne!(task, 4)));
            assert!(result.is_err());
        }
    }
}
