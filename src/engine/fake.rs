//! An engine for tests that need no network: a rule computes the scores of each tile.

use std::sync::Mutex;

use super::{DeviceEngine, Engine, EngineInfo, Workspace};
use crate::error::Result;

type Rule = Box<dyn FnMut(&[f32], &mut [f32]) -> Result<()> + Send>;

pub(crate) struct FakeEngine(Mutex<Rule>);

impl FakeEngine {
    pub(crate) fn new(rule: impl FnMut(&[f32], &mut [f32]) -> Result<()> + Send + 'static) -> Self {
        FakeEngine(Mutex::new(Box::new(rule)))
    }
}

impl Engine for FakeEngine {
    fn info(&self) -> EngineInfo {
        EngineInfo { name: "fake".into(), ..EngineInfo::default() }
    }

    fn run(&self, _: &mut Workspace, input: &[f32], output: &mut [f32]) -> Result<()> {
        let mut rule = self.0.lock().unwrap();
        rule(input, output)
    }

    fn one_tile_at_a_time(&self) -> Result<bool> {
        Ok(true)
    }

    fn trim(&self) -> Result<()> {
        Ok(())
    }

    fn device(&self) -> Option<&dyn DeviceEngine> {
        None
    }
}
