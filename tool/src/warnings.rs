//! What a user should know although a command goes on: a line on stderr each, and an entry of the report.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use voxseg::log::{self, Level};

static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Says a warning.
pub fn say(text: &str) {
    // Nothing can be done about a terminal that is closed.
    let _ = writeln!(io::stderr(), "voxseg: warning: {text}");
    SAID.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
}

/// All that was said so far.
pub fn said() -> Vec<String> {
    SAID.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// From now on the library's own warnings are said, too.
pub fn listen() {
    log::set(Level::Warning, Some(Box::new(|_, text| say(text))));
}

/// From now on they aren't: a run's come with its report.
pub fn ignore() {
    log::set(Level::Warning, None);
}
