//! Compiling a network, which takes TensorRT minutes: the log says how long, and it can be stopped.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use ort::session::builder::LoadCanceler;

use super::device::Target;
use crate::error::{Error, Result};
use crate::log::{self, Level};
use crate::threads;

/// How often somebody looks whether compiling is to stop.
const PERIOD: Duration = Duration::from_millis(50);

/// Compiles by `work`, which `canceler` stops when the target's flag is set. ONNX Runtime looks between its own steps:
/// a provider's one step, such as TensorRT's search for kernels, isn't interrupted.
pub(super) fn watched<T>(
    target: &Target,
    canceler: LoadCanceler,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    if target.cancel.requested() {
        return Err(Error::Cancelled);
    }
    log::write(Level::Info, || format!("compiling a network for {}", target.device));
    let (started, cancel) = (Instant::now(), target.cancel);
    let (done, ended) = channel::<()>();
    let outcome = std::thread::scope(|scope| {
        // Without this thread the compiling goes on to its end.
        threads::spawn(scope, move || {
            while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                if cancel.requested() {
                    // A failure leaves the compiling to go on to its end.
                    let _ = canceler.cancel();
                    return;
                }
            }
        });
        let outcome = work();
        drop(done);
        outcome
    });
    if target.cancel.requested() {
        return Err(Error::Cancelled);
    }
    let seconds = started.elapsed().as_secs_f64();
    log::write(Level::Info, || format!("compiled for {} in {seconds:.1} s", target.device));
    outcome
}
