//! Convolutions and transposed convolutions as sums over kernel positions: any kernel, stride and padding.
//!
//! A task copies the image rows that it needs to its own memory, normalised, activated and framed with zeros; after
//! that each row of results is a matrix product whose terms lie at fixed distances. A transposed convolution has
//! results of stride³ kinds, each a convolution with the weights that reach it.

use super::memory::Memory;
use super::product::{Panels, Product, multiply};
use super::program::{Activated, Context, Label, Load, Plain, Step};
use super::simd::{Kernel, Simd, dispatch};
use super::statistics::{Gather, Partials};
use crate::buffer;
use crate::engine::lowering::{Block, BufferId, LANES, Reach};
use crate::error::Result;

/// Floats of a task's copy of the image, unless a single row needs more: half of a second-level cache.
const COPY: usize = 100_000;
/// Tasks that a layer should have, so that threads find work.
const TASKS: usize = 16;

/// Where the image comes from.
pub(super) enum Input {
    /// The caller's image, row-major, with so many channels.
    Image(usize),
    Blocks(Vec<Block>),
}

/// Where results go.
#[derive(Clone, Copy)]
pub(super) enum Output {
    Buffer(BufferId),
    /// The caller's scores, row-major.
    Scores,
}

/// Results that use the same weights: those at `start`, `start + out_step`, ….
pub(super) struct Kind {
    pub start: [usize; 3],
    /// Voxels from the first one that any kind of result reads to the one that each kernel position meets.
    pub taps: Vec<[usize; 3]>,
    /// [panel][block of channels][tap][channel][block][lane].
    pub panels: Panels,
}

struct Class {
    kind: Kind,
    /// Floats from a result's first voxel in the copy to each of its terms.
    taps: Vec<usize>,
}

/// A convolution.
pub(super) struct Direct {
    input: Input,
    input_size: [usize; 3],
    reach: Reach,
    classes: Vec<Class>,
    /// Results of each kind.
    count: [usize; 3],
    output: Output,
    pub output_channels: usize,
    output_size: [usize; 3],
    /// A value for each output lane.
    bias: Memory,
    /// Added to the results: as many blocks as the output has, of its size.
    pub residual: Vec<Block>,
    pub statistics: Option<Partials>,
    /// Planes and rows of results, of each kind, of a task.
    rows: [usize; 2],
    /// Into how many tasks the output channels are divided.
    panel_groups: usize,
    /// Planes of the output's buffer: fewer than the output has when a reader follows closely.
    ring: usize,
    label: Label,
}

impl Input {
    /// Channels that lie together in the copy.
    pub(super) fn depth(&self) -> usize {
        match self {
            Input::Image(channels) => *channels,
            Input::Blocks(_) => LANES,
        }
    }

    /// How many times there are so many.
    pub(super) fn blocks(&self) -> usize {
        match self {
            Input::Image(_) => 1,
            Input::Blocks(blocks) => blocks.len(),
        }
    }
}

impl Direct {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        (input, input_size): (Input, [usize; 3]),
        reach: Reach,
        kinds: Vec<Kind>,
        (output, output_channels, output_size): (Output, usize, [usize; 3]),
        bias: Memory,
        residual: Vec<Block>,
        label: Label,
    ) -> Result<Self> {
        let count: [usize; 3] = std::array::from_fn(|axis| output_size[axis] / reach.out_step[axis]);
        let mut direct = Direct {
            input,
            input_size,
            reach,
            classes: Vec::new(),
            count,
            output,
            output_channels,
            output_size,
            bias,
            residual,
            statistics: None,
            rows: [1, 1],
            panel_groups: 1,
            ring: output_size[0],
            label,
        };
        // Rows, then planes, as long as the copy stays small and there are tasks enough.
        let fits = |direct: &Direct| direct.copy_floats() <= COPY;
        for axis in [1, 0] {
            loop {
                direct.rows[axis] += 1;
                let enough = direct.spatial_tasks() >= TASKS;
                if direct.rows[axis] > count[axis] || !fits(&direct) || !enough {
                    direct.rows[axis] -= 1;
                    break;
                }
            }
        }
        let panels = kinds.first().map_or(1, |kind| kind.panels.len());
        direct.panel_groups = TASKS.div_ceil(direct.spatial_tasks()).min(panels);
        let classes = kinds.into_iter().map(|kind| Ok(Class { taps: direct.offsets(&kind.taps)?, kind }));
        direct.classes = classes.collect::<Result<_>>()?;
        Ok(direct)
    }

    /// Where the terms of a result are in the copy: all kernel positions of a block of channels, then the next block's,
    /// as oneDNN sums them.
    fn offsets(&self, taps: &[[usize; 3]]) -> Result<Vec<usize>> {
        let ([planes, rows, columns], depth) = (self.copy_size(), self.input.depth());
        let offsets = (0..self.input.blocks()).flat_map(|block| {
            let block = block * planes * rows * columns;
            taps.iter().map(move |&[z, y, x]| (block + (z * rows + y) * columns + x) * depth)
        });
        buffer::collect("a network", offsets)
    }

    /// Floats of a task's copy.
    fn copy_floats(&self) -> usize {
        self.copy_size().iter().product::<usize>() * self.input.depth() * self.input.blocks()
    }

    /// Voxels of a task's copy.
    fn copy_size(&self) -> [usize; 3] {
        let results = [self.rows[0], self.rows[1], self.count[2]];
        std::array::from_fn(|axis| (results[axis] - 1) * self.reach.step[axis] + self.reach.span[axis])
    }

    pub(super) fn spatial_tasks(&self) -> usize {
        self.count[0].div_ceil(self.rows[0]) * self.count[1].div_ceil(self.rows[1])
    }

    /// The image's blocks.
    pub(super) fn inputs(&self) -> &[Block] {
        match &self.input {
            Input::Image(_) => &[],
            Input::Blocks(blocks) => blocks,
        }
    }

    pub(super) fn buffer(&self) -> Option<BufferId> {
        match self.output {
            Output::Buffer(buffer) => Some(buffer),
            Output::Scores => None,
        }
    }

    /// Planes of output that come of one plane of results of each kind.
    pub(super) fn planes_at_once(&self) -> usize {
        self.reach.out_step[0]
    }

    /// Makes a task of each plane and writes to a buffer of so many planes, round and round.
    pub(super) fn write_round(&mut self, ring: usize) -> Result<()> {
        self.rows[0] = 1;
        self.ring = ring;
        for index in 0..self.classes.len() {
            self.classes[index].taps = self.offsets(&self.classes[index].kind.taps)?;
        }
        Ok(())
    }

    /// Tasks of each plane.
    pub(super) fn tasks_of_plane(&self) -> usize {
        self.count[1].div_ceil(self.rows[1]) * self.panel_groups
    }

    /// Blocks of results.
    pub(super) fn blocks(&self) -> usize {
        self.output_channels.div_ceil(LANES)
    }
}

/// What a convolution costs this way, in cycles of one core, as fitted to measurements.
pub(super) fn cycles(results: [usize; 3], taps: usize, input_blocks: usize, output_blocks: usize) -> f64 {
    let voxels = results.iter().product::<usize>() as f64;
    // Rows that are shorter than a kernel's columns reuse the weights less.
    let short = 1.0 + 2.0 / results[2] as f64;
    let weights = (taps * input_blocks * output_blocks * 1024) as f64;
    voxels * (taps * input_blocks * output_blocks * LANES) as f64 * 1.3 * short + weights / 8.0
}

struct Task<'a> {
    layer: &'a Direct,
    context: &'a Context<'a>,
    /// First and last plane and row of results of each kind.
    planes: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
    panels: std::ops::Range<usize>,
    slot: usize,
}

impl Kernel for Task<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the scratch has room for the copy; results of these rows and panels are this task's alone.
        unsafe {
            match &self.layer.input {
                Input::Image(channels) => self.copy_image(*channels),
                Input::Blocks(blocks) => {
                    for (index, block) in blocks.iter().enumerate() {
                        match self.context.reader(block) {
                            table if table.is_null() => self.copy_block::<S, Plain>(Plain, index, block),
                            table => self.copy_block::<S, _>(Activated::<S>::new(table), index, block),
                        }
                    }
                }
            }
            for class in &self.layer.classes {
                for panel in self.panels.clone() {
                    self.multiply::<S>(class, panel);
                }
            }
            if !self.layer.residual.is_empty() || self.layer.statistics.is_some() {
                for panel in self.panels.clone() {
                    let (first, count) = self.layer.classes[0].kind.panels.blocks(panel);
                    (first..first + count).for_each(|block| self.finish::<S>(block));
                }
            }
        }
    }
}

/// Part of a line of the image that lies inside it.
fn inside(start: isize, length: usize, size: usize) -> std::ops::Range<usize> {
    let from = (-start).clamp(0, length as isize);
    let until = (size as isize - start).clamp(from, length as isize);
    from as usize..until as usize
}

impl Task<'_> {
    /// First voxel of the copy in the image.
    fn corner(&self) -> [isize; 3] {
        let at = [self.planes.start, self.rows.start, 0];
        let reach = &self.layer.reach;
        std::array::from_fn(|axis| (at[axis] * reach.step[axis]) as isize + reach.first[axis])
    }

    /// # Safety
    /// As [`Kernel::run`].
    #[inline(always)]
    unsafe fn copy_image(&self, channels: usize) {
        let ([planes, rows, columns], corner) = (self.layer.copy_size(), self.corner());
        let size = self.layer.input_size;
        let voxels = size.iter().product::<usize>();
        let [in_z, in_y, in_x] = [(0, planes), (1, rows), (2, columns)]
            .map(|(axis, length)| inside(corner[axis], length, size[axis]));
        // SAFETY: see `Kernel::run`; only voxels inside the image are read.
        unsafe {
            for z in 0..planes {
                for y in 0..rows {
                    let to = self.context.scratch.add((z * rows + y) * columns * channels);
                    std::ptr::write_bytes(to, 0, columns * channels);
                    if !in_z.contains(&z) || !in_y.contains(&y) {
                        continue;
                    }
                    let row = (corner[0] + z as isize) * size[1] as isize + corner[1] + y as isize;
                    for channel in 0..channels {
                        let from = self.context.input.add(channel * voxels);
                        let from = from.offset(row * size[2] as isize + corner[2]);
                        for x in in_x.clone() {
                            *to.add(x * channels + channel) = *from.add(x);
                        }
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`Kernel::run`].
    #[inline(always)]
    unsafe fn copy_block<S: Simd, L: Load<S>>(&self, load: L, index: usize, block: &Block) {
        let ([planes, rows, columns], corner) = (self.layer.copy_size(), self.corner());
        let size = self.layer.input_size;
        let values = self.context.block(block);
        let [in_z, in_y, in_x] = [(0, planes), (1, rows), (2, columns)]
            .map(|(axis, length)| inside(corner[axis], length, size[axis]));
        // SAFETY: see `Kernel::run`; only voxels inside the image are read.
        unsafe {
            for z in 0..planes {
                for y in 0..rows {
                    let to = self.context.scratch.add(((index * planes + z) * rows + y) * columns * LANES);
                    let within = in_z.contains(&z) && in_y.contains(&y);
                    let in_x = if within { in_x.clone() } else { 0..0 };
                    for x in (0..in_x.start).chain(in_x.end..columns) {
                        S::store(to.add(x * LANES), S::zero());
                    }
                    let row = (corner[0] + z as isize) * size[1] as isize + corner[1] + y as isize;
                    let from = values.offset((row * size[2] as isize + corner[2]) * LANES as isize);
                    for x in in_x {
                        S::store(to.add(x * LANES), load.get(from.add(x * LANES)));
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`Kernel::run`].
    #[inline(always)]
    unsafe fn multiply<S: Simd>(&self, class: &Class, panel: usize) {
        let layer = self.layer;
        let (depth, reach) = (layer.input.depth(), &layer.reach);
        let ([_, rows, columns], [_, height, width]) = (layer.copy_size(), layer.output_size);
        let voxels = layer.output_size.iter().product::<usize>();
        let (first, blocks) = class.kind.panels.blocks(panel);
        for z in self.planes.clone() {
            for y in self.rows.clone() {
                let from =
                    (z - self.planes.start) * reach.step[0] * rows + (y - self.rows.start) * reach.step[1];
                let plane = (z * reach.out_step[0] + class.kind.start[0]) % layer.ring;
                let row = plane * height + y * reach.out_step[1] + class.kind.start[1];
                let to = row * width + class.kind.start[2];
                // SAFETY: see `Kernel::run`; the scratch has room for a row of two blocks behind the copy.
                unsafe {
                    let (c, c_step, c_block) = match layer.output {
                        Output::Buffer(buffer) => (
                            self.context.output(buffer, first).add(to * LANES),
                            reach.out_step[2] * LANES,
                            self.context.stride(buffer),
                        ),
                        Output::Scores => (self.context.scratch.add(layer.copy_floats()), 2 * LANES, LANES),
                    };
                    multiply::<S>(&Product {
                        a: self.context.scratch.add(from * columns * depth),
                        a_step: reach.step[2] * depth,
                        taps: &class.taps,
                        depth,
                        b: class.kind.panels.pointer(panel),
                        bias: layer.bias.pointer().add(first * LANES),
                        c,
                        c_step,
                        c_block,
                        columns: layer.count[2],
                        blocks,
                    });
                    if let Output::Scores = layer.output {
                        let channels = (layer.output_channels - first * LANES).min(blocks * LANES);
                        for first_lane in (0..channels).step_by(LANES) {
                            let scores = self.context.output.add((first * LANES + first_lane) * voxels + to);
                            let lanes = LANES.min(channels - first_lane);
                            self.leave::<S>(c.add(first_lane), c_step, scores, voxels, lanes);
                        }
                    }
                }
            }
        }
    }

    /// Brings a row of a block's results to the caller's scores.
    ///
    /// # Safety
    /// As [`Kernel::run`].
    #[inline(always)]
    unsafe fn leave<S: Simd>(
        &self,
        from: *const f32,
        step: usize,
        to: *mut f32,
        to_step: usize,
        lanes: usize,
    ) {
        let (count, apart) = (self.layer.count[2], self.layer.reach.out_step[2]);
        let whole = if apart == 1 { count / LANES * LANES } else { 0 };
        // SAFETY: see `Kernel::run`.
        unsafe {
            for x in (0..whole).step_by(LANES) {
                S::transpose(from.add(x * step), step, to.add(x), to_step, lanes);
            }
            for x in whole..count {
                for lane in 0..lanes {
                    *to.add(lane * to_step + x * apart) = *from.add(x * step + lane);
                }
            }
        }
    }

    /// Adds the residual and gathers statistics, while the results are in the cache.
    ///
    /// # Safety
    /// As [`Kernel::run`].
    #[inline(always)]
    unsafe fn finish<S: Simd>(&self, block: usize) {
        let (layer, context) = (self.layer, self.context);
        let Output::Buffer(buffer) = layer.output else { return };
        let [_, height, width] = layer.output_size;
        let [out_z, out_y, _] = layer.reach.out_step;
        // SAFETY: see `Kernel::run`; residuals were written by earlier steps.
        unsafe {
            let values = context.output(buffer, block);
            let residual = layer.residual.get(block).map(|block| {
                let table = context.reader(block);
                (context.block(block), table)
            });
            let mut sums = Gather::<S>::new();
            for z in self.planes.start * out_z..self.planes.end * out_z {
                for y in self.rows.start * out_y..self.rows.end * out_y {
                    for x in 0..width {
                        let at = ((z * height + y) * width + x) * LANES;
                        if let Some((other, table)) = residual {
                            let other = match table.is_null() {
                                true => S::load(other.add(at)),
                                false => Activated::<S>::new(table).get(other.add(at)),
                            };
                            S::store(values.add(at), S::add(S::load(values.add(at)), other));
                        }
                    }
                    if layer.statistics.is_some() {
                        sums.add(values.add((z * height + y) * width * LANES), width);
                    }
                }
            }
            if let Some(partials) = &layer.statistics {
                sums.store(partials.pointer(context, self.slot, block));
            }
        }
    }
}

impl Step for Direct {
    fn phases(&self) -> Vec<usize> {
        vec![self.spatial_tasks() * self.panel_groups]
    }

    fn scratch(&self) -> usize {
        let row = match self.output {
            Output::Buffer(_) => 0,
            Output::Scores => self.count[2] * 2 * LANES,
        };
        self.copy_floats() + row
    }

    fn weight_bytes(&self) -> u64 {
        let places = |class: &Class| size_of_val(&*class.taps) + size_of_val(&*class.kind.taps);
        let of_class = |class: &Class| class.kind.panels.bytes() + places(class) as u64;
        self.bias.bytes() + self.classes.iter().map(of_class).sum::<u64>()
    }

    fn run(&self, _: usize, task: usize, context: &Context) {
        let (slot, group) = (task / self.panel_groups, task % self.panel_groups);
        let across = self.count[1].div_ceil(self.rows[1]);
        let range = |index: usize, axis: usize| {
            let start = index * self.rows[axis];
            start..(start + self.rows[axis]).min(self.count[axis])
        };
        let panels = self.classes.first().map_or(0, |class| class.kind.panels.len());
        let share = panels.div_ceil(self.panel_groups);
        let task = Task {
            layer: self,
            context,
            planes: range(slot / across, 0),
            rows: range(slot % across, 1),
            panels: (group * share).min(panels)..((group + 1) * share).min(panels),
            slot,
        };
        dispatch(context.isa, task);
    }

    fn describe(&self) -> String {
        format!("{} directly", self.label.name)
    }

    fn multiply_adds(&self) -> u64 {
        self.label.multiply_adds
    }
}
