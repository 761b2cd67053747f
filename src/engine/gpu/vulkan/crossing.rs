//! In tests, the bytes that cross between the host and a device, by the thread that submits.

use std::cell::Cell;

use super::memory::{Buffer, Kind};

thread_local! {
    static CROSSED: Cell<[u64; 2]> = const { Cell::new([0; 2]) };
}

pub(super) fn count(from: &Buffer, to: &Buffer, bytes: u64) {
    let [mut there, mut back] = CROSSED.get();
    match (from.kind, to.kind) {
        (Kind::Host, Kind::Device) => there += bytes,
        (Kind::Device, Kind::Host) => back += bytes,
        _ => {}
    }
    CROSSED.set([there, back]);
}

/// What `work` gives, and the bytes that this thread sent to devices and fetched from them meanwhile.
pub(crate) fn crossed<T>(work: impl FnOnce() -> T) -> (T, [u64; 2]) {
    let [there, back] = CROSSED.get();
    let done = work();
    let [there_now, back_now] = CROSSED.get();
    (done, [there_now - there, back_now - back])
}
