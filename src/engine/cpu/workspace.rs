//! The memory that networks work in, which those that never run at the same time have in common.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::memory::Memory;
use crate::error::Result;

/// Memory for activations and the threads' scratch, as large as the largest need of the engines that share it. It
/// exists from a first run on, and belongs to one run at a time.
#[derive(Clone, Default)]
pub struct Workspace(Arc<Mutex<Reserved>>);

/// Floats of activations and of scratch, and the memory once there is one.
#[derive(Default)]
pub(super) struct Reserved {
    floats: [usize; 2],
    memory: Option<[Memory; 2]>,
}

impl Workspace {
    /// Makes it large enough; returns the bytes that it has grown by.
    pub(super) fn reserve(&self, floats: [usize; 2]) -> u64 {
        let mut reserved = self.lock();
        let mut growth = 0;
        for (own, needed) in reserved.floats.iter_mut().zip(floats) {
            growth += needed.saturating_sub(*own);
            *own = needed.max(*own);
        }
        if growth > 0 {
            reserved.memory = None;
        }
        (growth * size_of::<f32>()) as u64
    }

    /// For the time of a run. What a run that panicked has left is as good as any other content.
    pub(super) fn lock(&self) -> MutexGuard<'_, Reserved> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the memory is there, or whoever has it runs.
    pub(super) fn is_there(&self) -> bool {
        self.0.try_lock().map_or(true, |reserved| reserved.memory.is_some())
    }

    /// Gives the memory back until the next run.
    pub(super) fn trim(&self) {
        self.lock().memory = None;
    }
}

impl Reserved {
    /// Activations and scratch. Their content is arbitrary.
    pub(super) fn pointers(&mut self) -> Result<[*mut f32; 2]> {
        let memory = match &mut self.memory {
            Some(memory) => memory,
            none => none.insert([Memory::zeroed(self.floats[0])?, Memory::zeroed(self.floats[1])?]),
        };
        Ok([memory[0].pointer(), memory[1].pointer()])
    }

    /// Fills the memory with what would show in any result that it reaches.
    #[cfg(test)]
    pub(super) fn poison(&mut self) {
        self.memory.iter_mut().flatten().for_each(|memory| memory.slice_mut().fill(f32::NAN));
    }
}
