//! The memory that the networks of a plan share, since one runs after the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::vulkan::{Buffer, Gpu, Kind, Stage};
use crate::error::Result;

/// Memory for tensors, as large as the largest need, and memory that the host reaches. The ends of a tile that the host
/// cuts and blends, its image and its scores, are apart: on the device these are somebody else's arrays.
#[derive(Clone, Default)]
pub(crate) struct Arena(Arc<Mutex<Memory>>);

#[derive(Default)]
pub(super) struct Memory {
    /// Bytes of tensors, and of ends, that the programs need at most.
    reserved: [u64; 2],
    arena: Option<Buffer>,
    ends: Option<Buffer>,
    stage: Option<Stage>,
}

impl Arena {
    pub(super) fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What reserving so many bytes of tensors and of ends would add.
    pub(super) fn growth(&self, bytes: [u64; 2]) -> u64 {
        self.lock().growth(bytes)
    }

    /// Counts so many bytes in. Returns what that adds.
    pub(super) fn reserve(&self, bytes: [u64; 2]) -> u64 {
        let mut memory = self.lock();
        let growth = memory.growth(bytes);
        memory.reserved.iter_mut().zip(bytes).for_each(|(there, bytes)| *there = bytes.max(*there));
        growth
    }

    /// Bytes of tensors that the next run will take.
    pub(super) fn coming(&self) -> u64 {
        let memory = self.lock();
        memory.reserved[0].saturating_sub(memory.arena.as_ref().map_or(0, |arena| arena.bytes))
    }

    /// Gives the memory back until the next run.
    pub(super) fn trim(&self) {
        let mut memory = self.lock();
        (memory.arena, memory.ends, memory.stage) = (None, None, None);
    }
}

/// What a run works in.
pub(super) struct Parts<'a> {
    pub arena: &'a Buffer,
    /// The image and the scores of a tile, where these aren't elsewhere.
    pub ends: Option<&'a Buffer>,
    pub stage: &'a mut Stage,
}

impl Memory {
    fn growth(&self, bytes: [u64; 2]) -> u64 {
        bytes.iter().zip(self.reserved).map(|(bytes, there)| bytes.saturating_sub(there)).sum()
    }

    /// The arena, the ends if they are wanted, and at least so many bytes that the host reaches.
    pub(super) fn get(&mut self, gpu: &Arc<Gpu>, with_ends: bool, staged: u64) -> Result<Parts<'_>> {
        let Memory { reserved, arena, ends, stage } = self;
        if stage.as_ref().is_none_or(|stage| stage.buffer.bytes < staged) {
            *stage = None;
        }
        Ok(Parts {
            arena: at_least(arena, gpu, reserved[0])?,
            ends: if with_ends { Some(at_least(ends, gpu, reserved[1])?) } else { None },
            stage: match stage {
                Some(stage) => stage,
                none => none.insert(Stage::new(gpu, staged)?),
            },
        })
    }
}

/// The buffer, made anew if it is too small.
fn at_least<'a>(buffer: &'a mut Option<Buffer>, gpu: &Arc<Gpu>, bytes: u64) -> Result<&'a Buffer> {
    if buffer.as_ref().is_none_or(|buffer| buffer.bytes < bytes) {
        // The old one goes first, so that both needn't fit.
        *buffer = None;
    }
    Ok(match buffer {
        Some(buffer) => buffer,
        none => none.insert(Buffer::new(gpu, bytes, Kind::Device)?),
    })
}
