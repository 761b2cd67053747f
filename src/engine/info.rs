//! What an engine tells of itself.

use std::sync::Arc;

/// An engine's settings and needs, which stay the same but for [`Engine::one_tile_at_a_time`](super::Engine).
#[derive(Clone, Debug)]
pub struct EngineInfo {
    /// The engine's name and version.
    pub name: String,
    /// Tiles that it computes at once.
    pub batch: usize,
    /// Whether those are fewer than were asked for, because the device has too little memory.
    pub narrowed: bool,
    /// Bytes that all runs share from the start: weights in the engine's own forms.
    pub loaded_bytes: u64,
    /// Bytes of the [`Workspace`](super::Workspace) of each run, which engines that run one after another have in
    /// common.
    pub workspace_bytes: u64,
    /// Bytes that the engine keeps by itself for each run at a time, from the first one on.
    pub arena_bytes: u64,
    /// The part of `arena_bytes` that is there now.
    pub held_bytes: u64,
    /// Bytes of the device's own memory, weights included; 0 for a CPU.
    pub device_bytes: u64,
    /// Whether it computes elsewhere than on the processors of the host, which has time for other tiles meanwhile.
    pub runs_elsewhere: bool,
    /// Operators that run on the CPU although the device was asked for, by name and number.
    pub left_to_cpu: Vec<(String, usize)>,
    /// What our own engine for GPUs does for a tile, in order; empty for others.
    pub dispatches: Arc<[DispatchInfo]>,
}

/// One run of a kernel on a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DispatchInfo {
    /// The kernel's name.
    pub kernel: &'static str,
    /// Groups of invocations along x, y, z.
    pub groups: [u32; 3],
    /// Multiply-adds, or what takes as long, padded channels included.
    pub multiply_adds: u64,
    /// Bytes of tensors and weights that it reads, each counted once.
    pub read: u64,
    /// Bytes that it writes.
    pub written: u64,
}

/// One tile at a time on the host, without needs.
impl Default for EngineInfo {
    fn default() -> Self {
        EngineInfo {
            name: String::new(),
            batch: 1,
            narrowed: false,
            loaded_bytes: 0,
            workspace_bytes: 0,
            arena_bytes: 0,
            held_bytes: 0,
            device_bytes: 0,
            runs_elsewhere: false,
            left_to_cpu: Vec::new(),
            dispatches: Arc::default(),
        }
    }
}
