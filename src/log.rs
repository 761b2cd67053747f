//! Messages for the host's log. Without a receiver the library is silent.

use std::sync::{PoisonError, RwLock};

use crate::floating_point::as_host;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// For the developers of this library.
    Debug = 0,
    /// What happens.
    Info = 1,
    /// Something that the user may want to know.
    Warning = 2,
    /// Something failed; the call that failed returns it too.
    Error = 3,
}

/// Receives messages, from any thread.
pub type Receiver = Box<dyn Fn(Level, &str) + Send + Sync>;

static RECEIVER: RwLock<Option<(Level, Receiver)>> = RwLock::new(None);

/// Sets the process-wide receiver of messages of at least `level`; `None` ends it.
pub fn set(level: Level, receiver: Option<Receiver>) {
    *RECEIVER.write().unwrap_or_else(PoisonError::into_inner) = receiver.map(|receiver| (level, receiver));
}

/// Hands a message to the receiver, if there is one.
pub(crate) fn write(level: Level, message: impl FnOnce() -> String) {
    let receiver = RECEIVER.read().unwrap_or_else(PoisonError::into_inner);
    if let Some((least, receiver)) = &*receiver
        && level >= *least
    {
        let message = message();
        as_host(|| receiver(level, &message));
    }
}
