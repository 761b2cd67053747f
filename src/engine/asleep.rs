//! What stands for an engine whose network isn't in memory.

use super::Engine;
use crate::error::{Error, Result};

/// Knows what the engine needs, and runs nothing.
pub(crate) struct Asleep {
    name: String,
    workspace: u64,
    loaded: u64,
    device: u64,
    elsewhere: bool,
    batch: usize,
    narrowed: bool,
    cuts_and_blends: bool,
    left_to_cpu: Vec<(String, usize)>,
}

impl Asleep {
    pub(crate) fn of(engine: &dyn Engine) -> Self {
        Asleep {
            name: engine.name(),
            workspace: engine.workspace_bytes(),
            loaded: engine.loaded_bytes(),
            device: engine.device_bytes(),
            elsewhere: engine.runs_elsewhere(),
            batch: engine.batch(),
            narrowed: engine.narrowed(),
            cuts_and_blends: engine.cuts_and_blends(),
            left_to_cpu: engine.left_to_cpu().to_vec(),
        }
    }
}

impl Engine for Asleep {
    fn run(&mut self, _: &[f32], _: &mut [f32]) -> Result<()> {
        Err(Error::Runtime { action: "run a network".into(), reason: "its weights aren't in memory".into() })
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn workspace_bytes(&self) -> u64 {
        self.workspace
    }

    fn loaded_bytes(&self) -> u64 {
        self.loaded
    }

    fn device_bytes(&self) -> u64 {
        self.device
    }

    fn runs_elsewhere(&self) -> bool {
        self.elsewhere
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn narrowed(&self) -> bool {
        self.narrowed
    }

    fn cuts_and_blends(&self) -> bool {
        self.cuts_and_blends
    }

    fn left_to_cpu(&self) -> &[(String, usize)] {
        &self.left_to_cpu
    }
}
