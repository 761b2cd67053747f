//! Labels that leave a run while it goes on: planes that are final are written, and the caller is told.

use ndarray::{ArrayView3, s};

use super::Plan;
use super::region::Group;
use crate::error::Result;
use crate::labels::LabelBuffer;
use crate::preprocess::Trace;
use crate::progress::Run;
use crate::recipe::{Decision, RestoreMode};
use crate::restore::Part;
use crate::volume::Box3;

/// The labels of a group of boxes, plane by plane along the network's first axis.
pub(super) struct Slabs<'a> {
    trace: &'a Trace,
    group: &'a Group,
    /// Where the labels that are restored lie in the volume, along the network's axes.
    labels: Box3,
    written: usize,
}

impl Plan {
    /// Whether labels are final as soon as they are decided: no rule looks at all of them, and nothing is brought back
    /// afterwards.
    fn decides_for_good(&self) -> bool {
        let recipe = &self.recipe;
        recipe.cleanup.is_empty()
            && !self.postprocess
            && matches!(recipe.restore, RestoreMode::Scores | RestoreMode::Probabilities)
            && !matches!(recipe.decision, Decision::Regions { at_half: true, .. })
    }
}

impl<'a> Slabs<'a> {
    /// `None` where labels are final at the end of the run only.
    pub(super) fn new(plan: &Plan, trace: &'a Trace, group: &'a Group, part: &Part) -> Option<Self> {
        let labels = part.labels.within(trace.kept().start);
        plan.decides_for_good().then_some(Slabs { trace, group, labels, written: 0 })
    }

    /// Writes what is new of the planes that are done, and tells the caller.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled) when the caller wants to stop.
    pub(super) fn write(
        &mut self,
        done: ArrayView3<u16>,
        labels: &mut LabelBuffer,
        run: &mut Run,
    ) -> Result<()> {
        let planes = done.dim().0;
        if planes == self.written {
            return Ok(());
        }
        let (map, Box3 { start, .. }) = (&self.trace.map, self.labels);
        let volume = map.undo(self.trace.grid.shape);
        // What the network didn't see goes with the planes beside it.
        let mut slab = map.to_array(volume, &self.group.around);
        if self.written > 0 {
            slab.start[0] = start[0] + self.written;
        }
        if planes < self.labels.shape()[0] {
            slab.end[0] = start[0] + planes;
        }
        let slab = map.to_volume(volume, &slab);
        let boxes: Vec<Box3> = self.group.boxes.iter().filter_map(|part| part.common(&slab)).collect();
        let first = [start[0] + self.written, start[1], start[2]];
        labels.write(done.slice(s![self.written.., .., ..]), map, first, 0, &boxes);
        self.written = planes;
        run.labels_are_final(&boxes)
    }
}
