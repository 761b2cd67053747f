//! Attention among the voxels of windows: softmax(Q Kᵀ / √d + bias) V for each head.
//!
//! A task has one head of one window. Its keys and values become panels for the matrix kernel; queries come a few rows
//! at a time, so that scores of all pairs of voxels never exist at once, however large the window.

use super::exponential::exp;
use super::memory::Memory;
use super::product::{Product, multiply};
use super::program::{Context, Step};
use super::simd::{Kernel, Simd, dispatch};
use crate::buffer;
use crate::engine::lowering::{APART, Block, BufferId, LANES, NETWORK, RelativePlaces, TABLE, Windows};
use crate::error::Result;
use crate::network::Weight;

/// Queries at a time: two of the matrix kernel's tallest.
const ROWS: usize = 24;

/// Neighbouring channels of a head within a block.
#[derive(Clone, Copy, Debug)]
struct Run {
    block: usize,
    lane: usize,
    lanes: usize,
    /// The first one's place in the head.
    at: usize,
}

/// What is added to scores by the difference of two voxels' places.
pub(super) struct Bias {
    places: RelativePlaces,
    /// [head][row of relative places].
    table: Memory,
}

impl Bias {
    /// From [row of relative places, head].
    pub(super) fn new(
        table: &Weight,
        heads: usize,
        window: [usize; 3],
        memory: impl Fn(usize) -> Result<Memory>,
    ) -> Result<Self> {
        let places = RelativePlaces::new(window);
        let mut transposed = memory(heads * places.len())?;
        for (index, value) in transposed.slice_mut().iter_mut().enumerate().take(heads * places.len()) {
            *value = table.data[index % places.len() * heads + index / places.len()];
        }
        Ok(Bias { places, table: transposed })
    }
}

pub(super) struct Attention {
    inputs: Vec<Block>,
    windows: Windows,
    heads: usize,
    /// Channels of a head.
    width: usize,
    bias: Option<Bias>,
    /// Of queries, keys and values, head by head: [3 · heads].
    runs: Vec<Vec<Run>>,
    output: BufferId,
}

impl Attention {
    /// `channels` of the blocks: queries, keys and values, each of them head by head.
    pub(super) fn new(
        inputs: Vec<Block>,
        channels: usize,
        heads: usize,
        windows: Windows,
        bias: Option<Bias>,
        output: BufferId,
    ) -> Result<Self> {
        let width = channels / (3 * heads);
        let mut runs: Vec<Vec<Run>> = buffer::collect(NETWORK, (0..3 * heads).map(|_| Vec::new()))?;
        let mut first = 0;
        for (block, lanes) in inputs.iter().map(|block| block.lanes).enumerate() {
            let mut lane = 0;
            while lane < lanes {
                let (part, at) = ((first + lane) / width, (first + lane) % width);
                let lanes = (lanes - lane).min(width - at);
                if let Some(runs) = runs.get_mut(part) {
                    buffer::grow(runs, NETWORK, 1)?;
                    runs.push(Run { block, lane, lanes, at });
                }
                lane += lanes;
            }
            first += lanes;
        }
        Ok(Attention { inputs, windows, heads, width, bias, runs, output })
    }

    /// Channels of a head in whole blocks.
    fn padded_width(&self) -> usize {
        self.width.next_multiple_of(LANES)
    }

    fn padded_tokens(&self) -> usize {
        self.windows.tokens().next_multiple_of(LANES)
    }

    /// Starts of a task's parts in its scratch memory, and the end: keys, values, scores, queries, results, a token,
    /// places in the table of the bias and stretches.
    fn parts(&self) -> [usize; 9] {
        let (tokens, width) = (self.padded_tokens(), self.padded_width());
        let sizes = [
            tokens * self.width,
            tokens * width,
            ROWS * tokens,
            ROWS * width,
            ROWS * width,
            width,
            tokens,
            tokens,
        ];
        let mut starts = [0; 9];
        for (index, size) in sizes.into_iter().enumerate() {
            starts[index + 1] = starts[index] + size;
        }
        starts
    }
}

struct Task<'a> {
    layer: &'a Attention,
    context: &'a Context<'a>,
    window: usize,
    head: usize,
}

impl Task<'_> {
    /// A voxel's queries, keys or values of this head, side by side.
    ///
    /// # Safety
    /// The voxel is one of the image, and `to` has room for the head's channels.
    #[inline(always)]
    unsafe fn token(&self, part: usize, voxel: usize, to: *mut f32) {
        for run in &self.layer.runs[part * self.layer.heads + self.head] {
            let block = &self.layer.inputs[run.block];
            // SAFETY: a run's lanes lie within its block, and within the head; a table has three numbers a lane.
            unsafe {
                let from = self.context.block(block).add(voxel * LANES + run.lane);
                let to = to.add(run.at);
                let table = self.context.reader(block);
                for lane in 0..run.lanes {
                    let mut value = *from.add(lane);
                    if !table.is_null() {
                        let numbers = table.add(run.lane + lane);
                        debug_assert!(run.lane + lane + 2 * LANES < TABLE);
                        value = value * *numbers + *numbers.add(LANES);
                        let negative = value * *numbers.add(2 * LANES);
                        value = if value > negative { value } else { negative };
                    }
                    *to.add(lane) = value;
                }
            }
        }
    }

    /// Writes a voxel's results to its channels, and zeros behind the last one.
    ///
    /// # Safety
    /// As [`Task::token`].
    #[inline(always)]
    unsafe fn leave(&self, voxel: usize, from: *const f32, factor: f32) {
        let (width, all) = (self.layer.width, self.layer.width * self.layer.heads);
        let first = self.head * width;
        let end = if first + width == all { all.next_multiple_of(LANES) } else { first + width };
        for channel in first..end {
            let (block, lane) = (channel / LANES, channel % LANES);
            // SAFETY: the channel is one of the output's, or a lane behind its last one.
            unsafe {
                let to = self.context.output(self.layer.output, block).add(voxel * LANES + lane);
                *to = if channel < all { *from.add(channel - first) * factor } else { 0.0 };
            }
        }
    }
}

impl Kernel for Task<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let layer = self.layer;
        let (tokens, padded) = (layer.windows.tokens(), layer.padded_tokens());
        let (width, padded_width) = (layer.width, layer.padded_width());
        let panel = self.context.isa.panel_blocks() * LANES;
        let scale = (1.0 / (width as f64).sqrt()) as f32;
        let parts = layer.parts();
        // SAFETY: the parts lie one behind the other in this thread's scratch memory, and each is as long as its use
        // below; a task writes the channels of its head for the voxels of its window.
        unsafe {
            let [keys, values, scores, queries, results, token, places, stretches] =
                std::array::from_fn(|part| self.context.scratch.add(parts[part]));
            // Whole numbers are as long as floats.
            let places = std::slice::from_raw_parts_mut(places.cast::<u32>(), tokens);
            let stretches = std::slice::from_raw_parts_mut(stretches.cast::<u32>(), tokens);
            let apart = layer.windows.shift != [0; 3];
            for (stretch, of) in stretches.iter_mut().zip(layer.windows.stretches(self.window)) {
                *stretch = u32::from(of);
            }
            let apart = apart && stretches.iter().any(|&stretch| stretch != stretches[0]);
            let bias = layer.bias.as_ref().map(|bias| {
                places
                    .iter_mut()
                    .enumerate()
                    .for_each(|(index, place)| *place = bias.places.of(index) as u32);
                bias.table.pointer().add(self.head * bias.places.len()).cast_const()
            });
            let centre = layer.bias.as_ref().map_or(0, |bias| bias.places.centre());

            // Lanes of tokens that there aren't hold zeros, and so do those of channels.
            std::slice::from_raw_parts_mut(keys, padded * width).fill(0.0);
            std::slice::from_raw_parts_mut(values, padded * padded_width).fill(0.0);
            for (index, voxel) in layer.windows.indices(self.window).enumerate() {
                self.token(1, voxel, token);
                let (start, lanes) = panel_of(index, padded, panel);
                for channel in 0..width {
                    *keys.add(start * width + channel * lanes + index - start) = *token.add(channel);
                }
                self.token(2, voxel, token);
                for channel in 0..width {
                    let (start, lanes) = panel_of(channel, padded_width, panel);
                    *values.add(start * tokens + index * lanes + channel - start) = *token.add(channel);
                }
            }
            let mut voxels = layer.windows.indices(self.window);
            for first in (0..tokens).step_by(ROWS) {
                let rows = ROWS.min(tokens - first);
                let mut places_of_rows = [0; ROWS];
                for row in 0..rows {
                    places_of_rows[row] = voxels.next().unwrap_or(0);
                    let to = queries.add(row * width);
                    self.token(0, places_of_rows[row], to);
                    (0..width).for_each(|channel| *to.add(channel) *= scale);
                }
                products::<S>([queries, keys, scores], [width, padded, rows, width, padded], panel);
                let mut factors = [0.0; ROWS];
                for row in 0..rows {
                    let query = first + row;
                    let scores = std::slice::from_raw_parts_mut(scores.add(row * padded), padded);
                    if let Some(table) = bias {
                        let row = table.add(places[query] as usize + centre);
                        for (score, &place) in scores.iter_mut().zip(places.iter()) {
                            *score += *row.sub(place as usize);
                        }
                    }
                    if apart {
                        for (score, &stretch) in scores.iter_mut().zip(stretches.iter()) {
                            *score += if stretch == stretches[query] { 0.0 } else { APART };
                        }
                    }
                    factors[row] = 1.0 / softmax(scores, tokens);
                }
                products::<S>(
                    [scores, values, results],
                    [tokens, padded_width, rows, padded, padded_width],
                    panel,
                );
                for row in 0..rows {
                    self.leave(places_of_rows[row], results.add(row * padded_width), factors[row]);
                }
            }
        }
    }
}

/// Start of a column's panel, and the panel's width.
#[inline(always)]
fn panel_of(column: usize, columns: usize, panel: usize) -> (usize, usize) {
    let start = column / panel * panel;
    (start, panel.min(columns - start))
}

/// Scores become e to their distance from the highest, and those behind the tokens zeros. Returns the sum.
#[inline(always)]
fn softmax(scores: &mut [f32], tokens: usize) -> f32 {
    let (scores, behind) = scores.split_at_mut(tokens);
    behind.fill(0.0);
    let mut highest = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = scores.as_chunks::<LANES>();
    for chunk in whole {
        for lane in 0..LANES {
            highest[lane] = if chunk[lane] > highest[lane] { chunk[lane] } else { highest[lane] };
        }
    }
    let highest = highest.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0; LANES];
    let (whole, rest) = scores.as_chunks_mut::<LANES>();
    for chunk in whole {
        for lane in 0..LANES {
            chunk[lane] = exp(chunk[lane] - highest);
            sums[lane] += chunk[lane];
        }
    }
    for (score, sum) in rest.iter_mut().zip(&mut sums) {
        *score = exp(*score - highest);
        *sum += *score;
    }
    sums.iter().sum()
}

/// c[row, column] = Σ a[row, term] · b[term, column], b in panels of columns.
///
/// # Safety
/// As [`Simd`]; a has `rows` rows of `a_step` floats, c rows of `c_step`; b has `terms` × `columns` floats.
#[inline(always)]
unsafe fn products<S: Simd>(
    [a, b, c]: [*mut f32; 3],
    [terms, columns, rows, a_step, c_step]: [usize; 5],
    panel: usize,
) {
    for start in (0..columns).step_by(panel) {
        let (_, lanes) = panel_of(start, columns, panel);
        // SAFETY: the panel's columns are some of b's and c's.
        unsafe {
            multiply::<S>(&Product {
                a,
                a_step,
                taps: &[0],
                depth: terms,
                b: b.add(start * terms),
                bias: std::ptr::null(),
                c: c.add(start),
                c_step,
                c_block: LANES,
                columns: rows,
                blocks: lanes / LANES,
            });
        }
    }
}

impl Step for Attention {
    fn phases(&self) -> Vec<usize> {
        vec![self.windows.len() * self.heads]
    }

    fn scratch(&self) -> usize {
        self.parts()[8]
    }

    fn weight_bytes(&self) -> u64 {
        self.bias.as_ref().map_or(0, |bias| bias.table.bytes())
    }

    fn run(&self, _: usize, task: usize, context: &Context) {
        let (window, head) = (task / self.heads, task % self.heads);
        dispatch(context.isa, Task { layer: self, context, window, head });
    }

    fn describe(&self) -> String {
        let (count, tokens) = (self.windows.len(), self.windows.tokens());
        format!("attention, {} heads of {}, {count} windows of {tokens}", self.heads, self.width)
    }

    fn multiply_adds(&self) -> u64 {
        let tokens = self.windows.tokens() as u64;
        2 * self.windows.len() as u64 * tokens * tokens * (self.heads * self.width) as u64
    }
}
