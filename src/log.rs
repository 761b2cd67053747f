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

struct Entry {
    number: u64,
    least: Level,
    receiver: Receiver,
}

struct Receivers {
    entries: Vec<Entry>,
    /// How many there ever were.
    count: u64,
}

static RECEIVERS: RwLock<Receivers> = RwLock::new(Receivers { entries: Vec::new(), count: 0 });

/// A receiver that listens until this is dropped, which returns when no call of the receiver is under way.
#[derive(Debug)]
#[must_use = "the receiver listens until this is dropped"]
pub struct Listening(u64);

/// Adds a receiver of messages of at least `level`. Each receiver of the process gets each message: those of a program
/// and of plug-ins that share the library don't know of each other.
pub fn add(level: Level, receiver: Receiver) -> Listening {
    let mut receivers = RECEIVERS.write().unwrap_or_else(PoisonError::into_inner);
    receivers.count += 1;
    let number = receivers.count;
    receivers.entries.push(Entry { number, least: level, receiver });
    Listening(number)
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut receivers = RECEIVERS.write().unwrap_or_else(PoisonError::into_inner);
        let place = receivers.entries.iter().position(|entry| entry.number == self.0);
        let removed = place.map(|place| receivers.entries.remove(place));
        // What the receiver owns may log when it ends.
        drop(receivers);
        drop(removed);
    }
}

/// Hands a message to the receivers that want it.
pub(crate) fn write(level: Level, message: impl FnOnce() -> String) {
    let receivers = RECEIVERS.read().unwrap_or_else(PoisonError::into_inner);
    let mut wanted = receivers.entries.iter().filter(|entry| level >= entry.least).peekable();
    if wanted.peek().is_some() {
        let message = message();
        wanted.for_each(|entry| as_host(|| (entry.receiver)(level, &message)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn receivers_do_not_know_of_each_other() {
        let listen = |level| {
            let heard = Arc::new(Mutex::new(Vec::new()));
            let own = heard.clone();
            // Other tests log at the same time.
            let receive = move |level: Level, text: &str| {
                if text.starts_with("receivers: ") {
                    own.lock().unwrap().push((level, text.to_owned()));
                }
            };
            (heard, add(level, Box::new(receive)))
        };
        let say = |level, text: &str| write(level, || format!("receivers: {text}"));
        let (first, first_ends) = listen(Level::Warning);
        let (second, second_ends) = listen(Level::Info);
        say(Level::Warning, "a");
        say(Level::Info, "b");
        drop(first_ends);
        say(Level::Error, "c");
        drop(second_ends);
        say(Level::Error, "d");
        let text = |heard: &Mutex<Vec<(Level, String)>>| {
            heard.lock().unwrap().iter().map(|(_, text)| text[11..].to_owned()).collect::<String>()
        };
        assert_eq!((text(&first).as_str(), text(&second).as_str()), ("a", "abc"));
        assert_eq!(first.lock().unwrap()[0].0, Level::Warning);
        assert_eq!(Arc::strong_count(&first), 1);
    }
}
