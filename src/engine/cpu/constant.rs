//! Numbers from training for each voxel of a tile.

use super::memory::Memory;
use super::program::{Context, Step};
use crate::engine::lowering::{BufferId, LANES};

pub(super) struct Constant {
    /// [block, voxel, lane].
    pub values: Memory,
    pub blocks: usize,
    pub voxels: usize,
    pub output: BufferId,
}

impl Step for Constant {
    fn phases(&self) -> Vec<usize> {
        vec![self.blocks]
    }

    fn weight_bytes(&self) -> u64 {
        self.values.bytes()
    }

    fn run(&self, _: usize, block: usize, context: &Context) {
        let floats = self.voxels * LANES;
        // SAFETY: a task writes its own block, for which there are so many values.
        unsafe {
            let from = self.values.pointer().add(block * floats);
            context.output(self.output, block).copy_from_nonoverlapping(from, floats);
        }
    }

    fn describe(&self) -> String {
        format!("numbers from training for {} voxels", self.voxels)
    }
}
