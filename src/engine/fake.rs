//! An engine for tests that need no network: a rule computes the scores of each tile.

use super::Engine;
use crate::error::Result;

type Rule = Box<dyn FnMut(&[f32], &mut [f32]) -> Result<()> + Send>;

pub(crate) struct FakeEngine(pub(crate) Rule);

impl Engine for FakeEngine {
    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<()> {
        (self.0)(input, output)
    }

    fn name(&self) -> String {
        "fake".into()
    }

    fn workspace_bytes(&self) -> u64 {
        0
    }
}
