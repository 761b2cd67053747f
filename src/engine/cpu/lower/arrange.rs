//! What saves memory once all steps are known: results that are written over what they are made of, and upsampled
//! tensors that are written just ahead of their only reader.

use super::super::statistics::PARTIAL;
use super::{Draft, Lowering};
use crate::engine::lowering::BufferId;
use crate::error::Result;

impl Lowering<'_> {
    pub(super) fn arrange(&mut self) -> Result<()> {
        for step in 0..self.drafts.len() {
            let Draft::Winograd(winograd) = &self.drafts[step] else { continue };
            if winograd.whole.is_some() {
                continue;
            }
            let inputs: Vec<BufferId> = winograd.inputs.iter().map(|block| block.buffer).collect();
            let result = winograd.output;
            let residual = winograd.residual.first().map(|block| block.buffer);
            for &input in &inputs {
                self.feed(step, input)?;
            }
            let input = inputs.into_iter().find(|&input| self.over(step, input, result, residual));
            if let (Some(input), Draft::Winograd(winograd)) = (input, &mut self.drafts[step]) {
                winograd.by_slabs();
                self.buffers[result].over = Some((input, winograd.distance()));
            }
            self.recount(step);
        }
        Ok(())
    }

    fn is_large(&self, buffer: BufferId) -> bool {
        let buffer = &self.buffers[buffer];
        buffer.blocks * buffer.planes * buffer.plane >= self.settings.large
    }

    /// Whether the result of a step can take over an input's memory: nothing else reads the input later.
    fn over(&self, step: usize, input: BufferId, result: BufferId, residual: Option<BufferId>) -> bool {
        let (from, to) = (&self.buffers[input], &self.buffers[result]);
        let same = from.blocks == to.blocks && from.planes == to.planes && from.plane == to.plane;
        same && from.last == step && self.is_large(input) && residual != Some(input)
    }

    /// Makes the step that writes an input a part of the step that reads it, when nothing else does.
    fn feed(&mut self, step: usize, input: BufferId) -> Result<()> {
        let writer = self.writers[&input];
        let fits = match &self.drafts[writer] {
            Draft::Direct(direct) => direct.residual.is_empty() && direct.statistics.is_none(),
            _ => false,
        };
        let taken = matches!(&self.drafts[step], Draft::Winograd(winograd) if winograd.slabs.is_some());
        if !fits || taken || self.readers[&input] != [step] || !self.is_large(input) {
            return Ok(());
        }
        let Draft::Direct(feeder) = std::mem::replace(&mut self.drafts[writer], Draft::Fed) else {
            return Ok(());
        };
        for block in feeder.inputs() {
            self.buffers[block.buffer].last = self.buffers[block.buffer].last.max(step);
        }
        if let Draft::Winograd(winograd) = &mut self.drafts[step] {
            let buffer = &mut self.buffers[input];
            (buffer.planes, buffer.first) = (winograd.ring(feeder.planes_at_once()), step);
            winograd.feed(feeder)?;
        }
        Ok(())
    }

    /// Slabs divide the tiles in their own way, so statistics have other slots.
    fn recount(&mut self, step: usize) {
        let Some((Some(partials), slots, blocks)) = self.drafts[step].statistics() else { return };
        partials.slots = slots;
        let partials = *partials;
        self.buffers[partials.buffer].plane = slots * blocks * PARTIAL;
        for draft in &mut self.drafts {
            match draft {
                Draft::Finish(finish) if finish.partials.buffer == partials.buffer => {
                    finish.partials = partials;
                }
                _ => {}
            }
        }
    }
}
