//! The memory that one run's networks work in, one after another.

use super::cpu::Memory;
use crate::error::{Error, Result};
use crate::progress::Cancel;

/// Memory for activations and the threads' scratch, as large as the largest need of the engines that ran in it, and
/// what they counted. It belongs to one run at a time; a plan keeps it for the next.
#[derive(Default)]
pub struct Workspace {
    memory: Option<Memory>,
    tiles_in_single: usize,
    cancel: Cancel,
}

impl Workspace {
    /// Bytes that it has now.
    pub fn bytes(&self) -> u64 {
        self.memory.as_ref().map_or(0, Memory::bytes)
    }

    /// The flag that stops the run, for engines that can look at it within a tile.
    pub fn stop_by(&mut self, cancel: &Cancel) {
        self.cancel = cancel.clone();
    }

    /// The check that such an engine makes.
    pub(super) fn check(&self) -> impl Fn() -> Result<()> + use<> {
        let cancel = self.cancel.clone();
        move || if cancel.requested() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Runs in single precision after half overflowed, since this was asked last.
    pub fn take_tiles_in_single(&mut self) -> usize {
        std::mem::take(&mut self.tiles_in_single)
    }

    /// Counts a run in single precision after half overflowed.
    pub(super) fn count_single(&mut self) {
        self.tiles_in_single += 1;
    }

    /// At least so many floats from the start of a cache line on. Their content is arbitrary: what a run that panicked
    /// has left is as good as any other.
    pub(super) fn floats(&mut self, count: usize) -> Result<*mut f32> {
        let needed = (count * size_of::<f32>()) as u64;
        let memory = match self.memory.take_if(|memory| memory.bytes() >= needed) {
            Some(memory) => memory,
            // Never both at a time.
            None => {
                self.memory = None;
                Memory::zeroed(count)?
            }
        };
        Ok(self.memory.insert(memory).pointer())
    }

    /// Fills the memory with what would show in any result that it reaches.
    #[cfg(test)]
    pub(super) fn poison(&mut self) {
        self.memory.iter_mut().for_each(|memory| memory.slice_mut().fill(f32::NAN));
    }
}
