//! A session that takes its turn where its provider needs that.

use std::mem::ManuallyDrop;

use ort::session::Session;

use super::device::{left_to_cpu, turn};
use crate::engine::Provider;
use crate::error::Result;

/// A session of ONNX Runtime. Everything that is done with it goes through [`Turned::with`].
pub(super) struct Turned {
    session: ManuallyDrop<Session>,
    provider: Option<Provider>,
}

impl Turned {
    /// The session that `make` gives.
    pub(super) fn new(provider: Option<Provider>, make: impl FnOnce() -> Result<Session>) -> Result<Self> {
        let _turn = turn(provider);
        Ok(Turned { session: ManuallyDrop::new(make()?), provider })
    }

    /// Uses the session.
    pub(super) fn with<T>(&mut self, use_it: impl FnOnce(&mut Session) -> T) -> T {
        let _turn = turn(self.provider);
        use_it(&mut self.session)
    }

    /// Operators that run on the CPU although it has a provider.
    pub(super) fn left_to_cpu(&self) -> Result<Vec<(String, usize)>> {
        if self.provider.is_some() { left_to_cpu(&self.session) } else { Ok(Vec::new()) }
    }
}

impl Drop for Turned {
    fn drop(&mut self) {
        let _turn = turn(self.provider);
        // SAFETY: dropped here and nowhere else, and not used after.
        unsafe { ManuallyDrop::drop(&mut self.session) };
    }
}
