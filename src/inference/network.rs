//! A plan's network: what its engine tells, and the engine while the weights are in memory.

use std::sync::Arc;

use crate::engine::{Engine, EngineInfo};
use crate::error::{Error, Result};

/// One fold's network.
#[derive(Clone)]
pub(super) enum Fold {
    Awake(Arc<dyn Engine>),
    /// The weights aren't in memory; this is what the engine told.
    Asleep(Arc<EngineInfo>),
}

impl Fold {
    pub(super) fn info(&self) -> EngineInfo {
        match self {
            Fold::Awake(engine) => engine.info(),
            Fold::Asleep(info) => (**info).clone(),
        }
    }

    /// # Errors
    /// [`Error::Runtime`] where it sleeps.
    pub(super) fn engine(&self) -> Result<&Arc<dyn Engine>> {
        match self {
            Fold::Awake(engine) => Ok(engine),
            Fold::Asleep(_) => {
                let reason = "its weights aren't in memory".to_owned();
                Err(Error::Runtime { action: "run a network".into(), reason })
            }
        }
    }

    /// Forgets the engine.
    pub(super) fn sleep(&mut self) {
        if let Fold::Awake(engine) = self {
            // What it keeps for itself goes with it.
            let info = EngineInfo { held_bytes: 0, ..engine.info() };
            *self = Fold::Asleep(Arc::new(info));
        }
    }
}
