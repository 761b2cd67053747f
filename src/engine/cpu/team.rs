//! The threads of one run of a network: they go from phase to phase together, and sleep where they wait.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::parallel;

/// Calls `work(phase, task, thread)` for every task of every phase. A phase begins when the one before is done; which
/// thread gets a task is left to chance, so its result may not depend on that. Nobody waits for a thread that didn't
/// come: whoever is there takes the tasks.
///
/// A panic in `work` is passed on to the caller when the tasks under way are done.
pub(super) fn run(threads: usize, phases: &[usize], work: impl Fn(usize, usize, usize) + Sync) {
    let most = phases.iter().copied().max().unwrap_or(0);
    let threads = threads.clamp(1, most.max(1));
    if threads == 1 {
        for (phase, &tasks) in phases.iter().enumerate() {
            (0..tasks).for_each(|task| work(phase, task, 0));
        }
        return;
    }
    let run = Run::new(phases, work);
    parallel::share(threads, |thread| run.member(thread));
    if let Some(panic) = run.state.into_inner().unwrap_or_else(PoisonError::into_inner).panic {
        resume_unwind(panic);
    }
}

struct Run<'a, W> {
    /// Number of tasks of each phase.
    phases: &'a [usize],
    work: W,
    /// The first task of each phase that nobody has taken.
    next: Vec<AtomicUsize>,
    state: Mutex<State>,
    /// The state's phase has changed.
    moved: Condvar,
}

struct State {
    /// The phase whose tasks may run; after the last one, nothing is left to do.
    phase: usize,
    /// Tasks of this phase that are done.
    done: usize,
    panic: Option<Box<dyn Any + Send>>,
}

impl<'a, W: Fn(usize, usize, usize) + Sync> Run<'a, W> {
    fn new(phases: &'a [usize], work: W) -> Self {
        let next = phases.iter().map(|_| AtomicUsize::new(0)).collect();
        let state = Mutex::new(State { phase: 0, done: 0, panic: None });
        Run { phases, work, next, state, moved: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does from when it comes until all is done.
    fn member(&self, thread: usize) {
        let mut phase = self.state().phase;
        while phase < self.phases.len() {
            // A panic must not keep the others waiting.
            let share = catch_unwind(AssertUnwindSafe(|| self.share(phase, thread)));
            phase = self.finish(phase, share);
        }
    }

    /// Takes tasks of a phase until none is left; returns how many.
    fn share(&self, phase: usize, thread: usize) -> usize {
        let mut done = 0;
        loop {
            let task = self.next[phase].fetch_add(1, Ordering::Relaxed);
            if task >= self.phases[phase] {
                return done;
            }
            (self.work)(phase, task, thread);
            done += 1;
        }
    }

    /// Adds what a thread did to the phase, and waits for the next one, whose number it returns.
    fn finish(&self, phase: usize, share: std::thread::Result<usize>) -> usize {
        let mut state = self.state();
        match share {
            Ok(done) => state.done += done,
            Err(panic) => {
                state.panic.get_or_insert(panic);
                state.phase = self.phases.len();
                self.moved.notify_all();
            }
        }
        // A thread that comes late may find the phase over.
        if state.phase == phase && state.done == self.phases[phase] {
            (state.phase, state.done) = (phase + 1, 0);
            self.moved.notify_all();
        }
        while state.phase == phase {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.phase
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::scarce;

    #[test]
    fn phases_follow_each_other_and_every_task_runs_once() {
        for (threads, given) in [(1, 0), (2, 1), (5, 4), (2, 0), (5, 0), (5, 1), (5, 3)] {
            let phases = [7, 1, 0, 100, 0];
            let counts: Vec<AtomicUsize> = (0..108).map(|_| AtomicUsize::new(0)).collect();
            let starts = [0, 7, 8, 8, 108];
            let work = |phase: usize, task: usize, thread: usize| {
                assert!(thread <= given);
                let before = &counts[..starts[phase]];
                assert!(before.iter().all(|count| count.load(Ordering::SeqCst) == 1));
                counts[starts[phase] + task].fetch_add(1, Ordering::SeqCst);
            };
            scarce::with(given, || run(threads, &phases, work));
            assert!(counts.iter().all(|count| count.load(Ordering::SeqCst) == 1));
        }
    }

    #[test]
    fn threads_that_come_late_or_often_meet_every_phase_once() {
        let phases = [3; 200];
        for round in 0..20 {
            let counts: Vec<AtomicUsize> = (0..600).map(|_| AtomicUsize::new(0)).collect();
            run(3, &phases, |phase, task, thread| {
                if thread == 0 && phase % 50 == round {
                    std::thread::yield_now();
                }
                counts[phase * 3 + task].fetch_add(1, Ordering::SeqCst);
            });
            assert!(counts.iter().all(|count| count.load(Ordering::SeqCst) == 1));
        }
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        for (threads, given) in [(1, 0), (3, 2), (3, 0), (3, 1)] {
            let work = |_: usize, task: usize, _: usize| assert_ne!(task, 4);
            let result = catch_unwind(|| scarce::with(given, || run(threads, &[10, 10], work)));
            assert!(result.is_err());
        }
    }
}
