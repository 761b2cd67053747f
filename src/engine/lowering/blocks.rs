//! Tensors in blocks of channels: a block holds sixteen channels of each voxel side by side.

/// Channels of a block.
pub(in crate::engine) const LANES: usize = 16;

/// Floats of a block's table: scale, shift, and the slope of the negative side, a lane each.
pub(in crate::engine) const TABLE: usize = 3 * LANES;

/// A tensor or other memory in the arena, by position.
pub(in crate::engine) type BufferId = usize;

/// A block of channels as a step reads it.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Block {
    pub buffer: BufferId,
    /// Position of the block in its tensor.
    pub index: usize,
    /// Where among the tables' floats its numbers are; `None` when values are read as they are.
    pub table: Option<usize>,
    /// Channels in it.
    pub lanes: usize,
}

/// A tensor in plain blocks.
pub(in crate::engine) fn blocks_of(buffer: BufferId, channels: usize) -> Vec<Block> {
    (0..channels.div_ceil(LANES))
        .map(|index| Block { buffer, index, table: None, lanes: LANES.min(channels - index * LANES) })
        .collect()
}

/// The channel of each lane.
pub(in crate::engine) fn channels(blocks: &[Block]) -> Vec<Option<usize>> {
    let mut first = 0;
    let mut result = Vec::new();
    for block in blocks {
        result.extend((0..LANES).map(|lane| (lane < block.lanes).then_some(first + lane)));
        first += block.lanes;
    }
    result
}
