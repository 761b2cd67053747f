//! A session that one run uses at a time.

use std::mem::ManuallyDrop;

use ort::environment::Environment;
use ort::session::Session;

use super::bound::Bound;
use super::device::{left_to_cpu, turn};
use crate::engine::Provider;
use crate::error::Result;
use crate::log::{self, Level};

/// A session of ONNX Runtime. Everything that is done with it goes through [`Turned::with`]; where its provider needs
/// that, sessions take turns too.
pub(super) struct Turned {
    session: ManuallyDrop<Session>,
    /// Its tensors on the device, where it has such.
    bound: Option<Bound>,
    provider: Option<Provider>,
}

impl Turned {
    /// The session that `make` gives.
    pub(super) fn new(provider: Option<Provider>, make: impl FnOnce() -> Result<Session>) -> Result<Self> {
        let _turn = turn(provider);
        Ok(Turned { session: ManuallyDrop::new(make()?), bound: None, provider })
    }

    /// Keeps tensors of these shapes in the memory of WebGPU's device of that number.
    pub(super) fn bind(&mut self, environment: &Environment, index: u32, shapes: [[usize; 5]; 2]) {
        let _turn = turn(self.provider);
        if self.provider == Some(Provider::WebGpu) {
            let bound = Bound::new(&self.session, environment, (Provider::WebGpu, index), shapes);
            // Without them each run has tensors of its own.
            self.bound = bound.unwrap_or_else(|error| {
                log::write(Level::Info, || error.to_string());
                None
            });
        }
    }

    /// Runs on the tensors that it keeps on the device; `None` where it keeps none.
    pub(super) fn run_bound(
        &mut self,
        environment: &Environment,
        input: &[f32],
        output: &mut [f32],
    ) -> Option<Result<()>> {
        let _turn = turn(self.provider);
        let session = &mut self.session;
        self.bound.as_mut().map(|bound| bound.run(session, environment, input, output))
    }

    /// Uses the session.
    pub(super) fn with<T>(&mut self, use_it: impl FnOnce(&mut Session) -> T) -> T {
        let _turn = turn(self.provider);
        use_it(&mut self.session)
    }

    /// Whether it keeps tensors on the device.
    #[cfg(test)]
    pub(super) fn is_bound(&self) -> bool {
        self.bound.is_some()
    }

    /// Operators that run on the CPU although it has a provider.
    pub(super) fn left_to_cpu(&self) -> Result<Vec<(String, usize)>> {
        if self.provider.is_some() { left_to_cpu(&self.session) } else { Ok(Vec::new()) }
    }
}

impl Drop for Turned {
    fn drop(&mut self) {
        let _turn = turn(self.provider);
        self.bound = None;
        // SAFETY: dropped here and nowhere else, and not used after.
        unsafe { ManuallyDrop::drop(&mut self.session) };
    }
}
