//! Progress of work that is asked for by options and not by a [`super::Run`].

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Progress, Stage};
use crate::error::{Error, Result};
use crate::floating_point::as_host;

type Receiver = Box<dyn FnMut(&Progress) -> bool + Send>;

/// Receives the progress of opening a model or of making a plan, from the options of one such call. Clones share the
/// receiver; the call tells it on its own thread.
#[derive(Clone, Default)]
pub struct Watch(Option<Arc<Mutex<Watched>>>);

struct Watched {
    receiver: Option<Receiver>,
    /// Parts that are done, and parts in all: bytes of files, or networks.
    done: u64,
    total: u64,
    /// Bytes that were told before their files are opened.
    announced: u64,
    /// Whether all bytes were told.
    is_whole: bool,
    fraction: f64,
    stopped: bool,
}

/// Less than so many bytes are read before anybody could look: the files around weights, which come first.
const FEW_BYTES: u64 = 1 << 20;

impl Watch {
    /// Calls `receiver`, which returns `false` to cancel.
    pub fn new(receiver: impl FnMut(&Progress) -> bool + Send + 'static) -> Self {
        let receiver: Option<Receiver> = Some(Box::new(receiver));
        let (announced, is_whole, stopped) = (0, false, false);
        let watched = Watched { receiver, done: 0, total: 0, announced, is_whole, fraction: 0.0, stopped };
        Watch(Some(Arc::new(Mutex::new(watched))))
    }

    /// Ends it: the receiver is dropped, whoever has clones.
    pub fn close(&self) {
        if let Some(mut watched) = self.lock() {
            watched.receiver = None;
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, Watched>> {
        self.0.as_ref().map(|watched| watched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the receiver has cancelled.
    pub(crate) fn stopped(&self) -> bool {
        self.lock().is_some_and(|watched| watched.stopped)
    }

    /// Bytes of files that will be opened.
    pub(crate) fn announce(&self, bytes: u64) {
        if let Some(mut watched) = self.lock().filter(|watched| !watched.is_whole) {
            watched.announced += bytes;
            watched.total += bytes;
        }
    }

    /// Bytes of all files that will be opened, of several models.
    pub(crate) fn announce_all(&self, bytes: u64) {
        self.announce(bytes);
        if let Some(mut watched) = self.lock() {
            watched.is_whole = true;
        }
    }

    /// There are so many parts more, unless they were announced.
    pub(crate) fn expect(&self, parts: u64) {
        if let Some(mut watched) = self.lock() {
            let known = watched.announced.min(parts);
            watched.announced -= known;
            watched.total += parts - known;
        }
    }

    /// So many parts are done that nobody need hear of.
    pub(crate) fn skip(&self, parts: u64) {
        if let Some(mut watched) = self.lock() {
            watched.done = (watched.done + parts).min(watched.total);
        }
    }

    /// So many parts more are done.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the receiver wants to stop.
    pub(crate) fn advance(&self, stage: Stage, parts: u64) -> Result<()> {
        self.skip(parts);
        match self.lock() {
            Some(watched) if stage == Stage::Open && watched.total < FEW_BYTES => Ok(()),
            Some(watched) => watched.tell(stage),
            None => Ok(()),
        }
    }

    /// All is done.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the receiver wants to stop even now.
    pub(crate) fn finish(&self, stage: Stage) -> Result<()> {
        let Some(mut watched) = self.lock() else { return Ok(()) };
        (watched.done, watched.fraction) = (watched.total, 1.0);
        watched.tell(stage)
    }
}

#[cfg(test)]
impl Watch {
    /// Parts that are done, and parts in all.
    pub(crate) fn counted(&self) -> (u64, u64) {
        self.lock().map_or((0, 0), |watched| (watched.done, watched.total))
    }
}

trait Tell {
    fn tell(self, stage: Stage) -> Result<()>;
}

impl Tell for MutexGuard<'_, Watched> {
    fn tell(mut self, stage: Stage) -> Result<()> {
        let watched = &mut *self;
        watched.fraction = watched.fraction.max(watched.done as f64 / watched.total.max(1) as f64);
        let mut progress = Progress::new(stage, watched.fraction);
        if stage == Stage::Open {
            (progress.bytes_read, progress.bytes) = (watched.done, watched.total);
        }
        if let Some(receiver) = &mut watched.receiver
            && !watched.stopped
        {
            watched.stopped = !as_host(|| receiver(&progress));
        }
        if watched.stopped { Err(Error::Cancelled) } else { Ok(()) }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Watch" } else { "Watch, nobody's" })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn watch(go_on: impl Fn(f64) -> bool + Send + 'static) -> (Watch, mpsc::Receiver<Progress>) {
        let (sender, receiver) = mpsc::channel();
        let receive = move |progress: &Progress| sender.send(*progress).is_ok() && go_on(progress.fraction);
        (Watch::new(receive), receiver)
    }

    #[test]
    fn bytes_are_counted_once() {
        let (watch, told) = watch(|_| true);
        watch.expect(1000);
        watch.advance(Stage::Open, 1000).unwrap();
        watch.announce(3 << 20);
        for file in [1, 2] {
            watch.expect(file << 20);
            watch.advance(Stage::Open, file << 19).unwrap();
            watch.skip(file << 19);
        }
        watch.finish(Stage::Open).unwrap();
        watch.close();
        watch.advance(Stage::Open, 1).unwrap();
        let told: Vec<_> = told.iter().map(|one| (one.bytes_read, one.bytes, one.fraction == 1.0)).collect();
        let all = 1000 + (3 << 20);
        assert_eq!(told, [(1000 + (1 << 19), all, false), (1000 + (2 << 20), all, false), (all, all, true)]);
    }

    #[test]
    fn who_stops_stays_stopped() {
        let (watch, told) = watch(|fraction| fraction < 0.5);
        watch.expect(3);
        watch.advance(Stage::Compile, 1).unwrap();
        assert!(matches!(watch.advance(Stage::Compile, 1), Err(Error::Cancelled)));
        assert!(watch.clone().stopped());
        assert!(matches!(watch.finish(Stage::Compile), Err(Error::Cancelled)));
        watch.close();
        assert_eq!(told.iter().count(), 2);
    }
}
