//! The memory that the networks of a plan share, since one runs after the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::vulkan::{Buffer, Gpu, Kind, Stage};
use crate::error::Result;

/// Memory for tensors, as large as the largest need, and memory that the host reaches.
#[derive(Clone, Default)]
pub(crate) struct Arena(Arc<Mutex<Memory>>);

#[derive(Default)]
pub(super) struct Memory {
    /// Bytes of tensors that the programs need at most.
    reserved: u64,
    arena: Option<Buffer>,
    stage: Option<Stage>,
}

impl Arena {
    pub(super) fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What reserving so many bytes would add.
    pub(super) fn growth(&self, bytes: u64) -> u64 {
        bytes.saturating_sub(self.lock().reserved)
    }

    /// Counts so many bytes in. Returns what that adds.
    pub(super) fn reserve(&self, bytes: u64) -> u64 {
        let mut memory = self.lock();
        let growth = bytes.saturating_sub(memory.reserved);
        memory.reserved += growth;
        growth
    }

    /// Gives the memory back until the next run.
    pub(super) fn trim(&self) {
        let mut memory = self.lock();
        (memory.arena, memory.stage) = (None, None);
    }
}

impl Memory {
    /// The arena, and at least so many bytes that the host reaches.
    pub(super) fn get(&mut self, gpu: &Arc<Gpu>, staged: u64) -> Result<(&Buffer, &mut Stage)> {
        if self.arena.as_ref().is_none_or(|arena| arena.bytes < self.reserved) {
            // The old one goes first, so that both needn't fit.
            self.arena = None;
        }
        if self.stage.as_ref().is_none_or(|stage| stage.buffer.bytes < staged) {
            self.stage = None;
        }
        let arena = match &mut self.arena {
            Some(arena) => arena,
            none => none.insert(Buffer::new(gpu, self.reserved, Kind::Device)?),
        };
        let stage = match &mut self.stage {
            Some(stage) => stage,
            none => none.insert(Stage::new(gpu, staged)?),
        };
        Ok((arena, stage))
    }
}
