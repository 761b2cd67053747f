//! The runs of a plan that are under way, and the memory that they leave to the next.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::WhenBusy;
use crate::engine::Workspace;
use crate::error::{Error, Result};
use crate::progress::Run;

/// How often a run that waits looks whether it is cancelled.
const PERIOD: Duration = Duration::from_millis(20);

/// As many runs as may be under way at once.
#[derive(Clone)]
pub(crate) struct Runs(Arc<Shared>);

struct Shared {
    most: usize,
    when_busy: WhenBusy,
    state: Mutex<State>,
    /// A run has ended.
    ended: Condvar,
    /// Bytes of the device's memory that runs have around the networks.
    on_device: AtomicU64,
}

#[derive(Default)]
struct State {
    under_way: usize,
    idle: Vec<Workspace>,
}

/// A place among the runs, with memory to work in, until it is dropped.
pub(crate) struct Turn {
    runs: Runs,
    pub workspace: Workspace,
}

/// Memory of a device, until it is dropped.
pub(super) struct OnDevice {
    runs: Runs,
    bytes: u64,
}

impl Runs {
    /// # Errors
    /// [`Error::InvalidArgument`] for a number that makes no sense.
    pub(crate) fn new(most: usize, when_busy: WhenBusy) -> Result<Self> {
        if most > 1024 {
            return Err(Error::argument("options.concurrent_runs", most, "0 to 1024"));
        }
        Ok(Runs(Arc::new(Shared {
            most: most.max(1),
            when_busy,
            state: Mutex::default(),
            ended: Condvar::new(),
            on_device: AtomicU64::new(0),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a run.
    ///
    /// # Errors
    /// [`Error::Busy`] where nobody waits and there is none, [`Error::Cancelled`] while it waits.
    pub(crate) fn begin(&self, run: &Run) -> Result<Turn> {
        let mut state = self.state();
        while state.under_way == self.0.most {
            if self.0.when_busy == WhenBusy::Fail {
                return Err(Error::Busy);
            }
            run.check()?;
            let waited = self.0.ended.wait_timeout(state, PERIOD);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.under_way += 1;
        // The last to be left is the one that caches know best.
        let workspace = state.idle.pop().unwrap_or_default();
        Ok(Turn { runs: self.clone(), workspace })
    }

    /// Bytes that wait for a next run.
    #[cfg(test)]
    pub(crate) fn idle_bytes(&self) -> u64 {
        self.state().idle.iter().map(Workspace::bytes).sum()
    }

    /// Gives back what waits for a next run.
    pub(crate) fn trim(&self) {
        // Freed when nobody waits for the lock.
        let idle = std::mem::take(&mut self.state().idle);
        drop(idle);
    }

    /// Bytes of the device's memory that runs have around the networks.
    pub(super) fn device_bytes(&self) -> u64 {
        self.0.on_device.load(Ordering::Acquire)
    }

    /// Counts memory of the device that a run has from now on.
    pub(super) fn on_device(&self, bytes: u64) -> OnDevice {
        self.0.on_device.fetch_add(bytes, Ordering::AcqRel);
        OnDevice { runs: self.clone(), bytes }
    }
}

impl Drop for OnDevice {
    fn drop(&mut self) {
        self.runs.0.on_device.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.runs.state();
        state.idle.push(std::mem::take(&mut self.workspace));
        state.under_way -= 1;
        drop(state);
        self.runs.0.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Cancel;

    #[test]
    fn a_run_without_a_place_fails_or_waits() {
        let fails = Runs::new(2, WhenBusy::Fail).unwrap();
        let turns = [(); 2].map(|()| fails.begin(&Run::default()).unwrap());
        assert!(matches!(fails.begin(&Run::default()), Err(Error::Busy)));
        drop(turns);
        assert!(fails.begin(&Run::default()).is_ok());

        let waits = Runs::new(0, WhenBusy::Wait).unwrap();
        let turn = waits.begin(&Run::default()).unwrap();
        let cancel = Cancel::new();
        cancel.request();
        assert!(matches!(waits.begin(&Run::new(cancel)), Err(Error::Cancelled)));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| waits.begin(&Run::default()).is_ok());
            std::thread::sleep(Duration::from_millis(5));
            assert!(!waiting.is_finished());
            drop(turn);
            assert!(waiting.join().unwrap());
        });
        assert!(Runs::new(1025, WhenBusy::Fail).is_err());
    }

    #[test]
    fn memory_of_the_device_counts_as_long_as_a_run_has_it() {
        let runs = Runs::new(2, WhenBusy::Fail).unwrap();
        let first = runs.on_device(100);
        let second = runs.clone().on_device(11);
        assert_eq!(runs.device_bytes(), 111);
        drop(first);
        assert_eq!(runs.device_bytes(), 11);
        drop(second);
        assert_eq!(runs.device_bytes(), 0);
    }
}
