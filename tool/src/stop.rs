//! Ctrl-C, and the other signals that ask the tool to end.

use std::sync::{Mutex, PoisonError};

use voxseg::progress::Cancel;

use crate::output;

/// Exit code of programs that Ctrl-C ends, as shells have it.
const EXIT: i32 = 130;

/// How the run that is in progress is cancelled.
static RUN: Mutex<Option<Cancel>> = Mutex::new(None);

fn replace(run: Option<Cancel>) -> Option<Cancel> {
    std::mem::replace(&mut RUN.lock().unwrap_or_else(PoisonError::into_inner), run)
}

/// Cancels a run that is in progress; without one, and at the second time, removes what isn't complete and ends the
/// process.
pub fn watch() {
    // Where a signal is ignored already, as below nohup, it stays so, and the others keep what they do by default.
    let _ = ctrlc::try_set_handler(|| match replace(None) {
        Some(run) => run.request(),
        None => {
            output::discard();
            std::process::exit(EXIT);
        }
    });
}

/// While it lives, Ctrl-C cancels the run that has its flag.
pub struct Cancellable(Cancel);

impl Cancellable {
    /// From now on.
    pub fn new() -> Self {
        let cancel = Cancel::new();
        replace(Some(cancel.clone()));
        Cancellable(cancel)
    }

    /// The flag for the run.
    pub fn cancel(&self) -> Cancel {
        self.0.clone()
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        replace(None);
    }
}
