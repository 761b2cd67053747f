//! Convolutions by Winograd's algorithm along all three axes at once: tiles of the image are transformed, multiplied
//! with transformed weights, one matrix product for each point, and the products transformed to results (Lavin and
//! Gray, "Fast Algorithms for Convolutional Neural Networks", 2016; here in three dimensions).

mod axis;
mod cost;
mod transform;
mod weights;

use super::direct::Direct;
use super::memory::Memory;
use super::product::{Product, multiply};
use super::program::{Activated, Context, Label, Load, Plain, Step};
use super::simd::{Kernel, Simd, dispatch};
use super::statistics::{Gather, Partials};
use crate::engine::lowering::{Block, BufferId, LANES};
use crate::error::Result;
pub(super) use axis::Axis;
pub(super) use cost::cost;
use cost::{group, tiles};
use transform::{Image, LINE, RESULTS, TILE};
pub(super) use weights::Weights;

/// Columns that a group of tiles is a multiple of: as many as any kernel holds.
const COLUMNS: usize = 12;
/// Tasks that a slab should have, so that threads seldom wait for its end.
const SLAB_TASKS: usize = 24;

/// A convolution by Winograd's algorithm.
pub(super) struct Winograd {
    pub axes: [Axis; 3],
    pub inputs: Vec<Block>,
    pub input_size: [usize; 3],
    pub output: BufferId,
    pub output_blocks: usize,
    pub output_size: [usize; 3],
    pub weights: Weights,
    /// A value for each output lane.
    pub bias: Memory,
    /// Added to the results: as many blocks as the output has, of its size.
    pub residual: Vec<Block>,
    pub statistics: Option<Partials>,
    /// Buffers for all factors and all products, when the points are shared out instead of the tiles: right for
    /// large weights that serve few tiles, which are then read once.
    pub whole: Option<[BufferId; 2]>,
    pub slabs: Option<Slabs>,
    pub label: Label,
}

/// Layers of tiles, one slab after the other: what lies behind is no longer read, what lies ahead needn't be there yet.
pub(super) struct Slabs {
    /// Layers of tiles in a slab.
    layers: usize,
    /// A step that writes one of the inputs just ahead of each slab, and the planes of that input's buffer.
    feeder: Option<(Box<Direct>, usize)>,
}

impl Winograd {
    fn points(&self) -> usize {
        self.weights.points
    }

    fn tiles(&self) -> [usize; 3] {
        tiles(self.axes, self.output_size)
    }

    fn tile_count(&self) -> usize {
        self.tiles().iter().product()
    }

    fn group(&self) -> usize {
        let most = group(self.axes, self.inputs.len(), self.output_blocks);
        let tiles = match &self.slabs {
            None => self.tile_count().next_multiple_of(COLUMNS),
            Some(slabs) => (slabs.layers * self.layer_tiles() / SLAB_TASKS) / COLUMNS * COLUMNS,
        };
        most.min(tiles).max(COLUMNS)
    }

    /// Tiles of a layer along the first axis.
    fn layer_tiles(&self) -> usize {
        let [_, rows, columns] = self.tiles();
        rows * columns
    }

    pub(super) fn groups(&self) -> usize {
        match &self.slabs {
            None => self.tile_count().div_ceil(self.group()),
            Some(slabs) => self.slab_count(slabs) * self.groups_of_slab(slabs.layers),
        }
    }

    fn slab_count(&self, slabs: &Slabs) -> usize {
        self.tiles()[0].div_ceil(slabs.layers)
    }

    /// Floats between points of the factors and of the products of so many tiles. An odd number of lines, so that
    /// the points don't fall on the same sets of the cache.
    fn planes(&self, tiles: usize) -> [usize; 2] {
        [self.inputs.len(), self.output_blocks].map(|blocks| ((tiles * blocks) | 1) * LANES)
    }

    /// Floats of the buffers that [`Winograd::whole`] needs.
    pub(super) fn whole_floats(axes: [Axis; 3], size: [usize; 3], blocks: usize) -> usize {
        let points = axes.iter().map(|axis| axis.points()).product::<usize>();
        ((tiles(axes, size).iter().product::<usize>() * blocks) | 1) * LANES * points
    }

    /// Layers of tiles in a slab with enough tasks for threads.
    fn layers(&self) -> usize {
        (SLAB_TASKS * COLUMNS).div_ceil(self.layer_tiles()).clamp(1, self.tiles()[0])
    }

    /// Planes by which results may follow the input that they are written over.
    pub(super) fn distance(&self) -> usize {
        self.layers() * self.axes[0].results() + self.axes[0].padding()
    }

    /// Runs slab by slab from now on.
    pub(super) fn by_slabs(&mut self) {
        let layers = self.layers();
        self.slabs.get_or_insert(Slabs { layers, feeder: None });
    }

    /// Planes of a buffer that a step may write just ahead, `at_once` planes together.
    pub(super) fn ring(&self, at_once: usize) -> usize {
        let ring = self.layers() * self.axes[0].step() + 2 * self.axes[0].padding() + at_once;
        ring.min(self.input_size[0])
    }

    /// Lets a step write one of the inputs ahead of each slab.
    pub(super) fn feed(&mut self, mut feeder: Box<Direct>) -> Result<()> {
        let ring = self.ring(feeder.planes_at_once());
        feeder.write_round(ring)?;
        let layers = self.layers();
        self.slabs = Some(Slabs { layers, feeder: Some((feeder, ring)) });
        Ok(())
    }

    /// Groups of tiles of a slab.
    fn groups_of_slab(&self, layers: usize) -> usize {
        (layers * self.layer_tiles()).div_ceil(self.group())
    }

    /// What writes one of the inputs, slab by slab.
    fn feeder(&self) -> Option<&Direct> {
        Some(&self.slabs.as_ref()?.feeder.as_ref()?.0)
    }

    /// Planes of results of the feeder that are there before a slab runs, in its own count.
    fn fed(&self, slab: usize, slabs: &Slabs, feeder: &Direct) -> usize {
        let read = (slab + 1) * slabs.layers * self.axes[0].step() + self.axes[0].padding();
        read.min(self.input_size[0]).div_ceil(feeder.planes_at_once())
    }

    /// First voxel of a tile's results.
    fn corner(&self, tile: usize) -> [usize; 3] {
        let [_, rows, columns] = self.tiles();
        let [z, y, x] = self.axes;
        [
            tile / (rows * columns) * z.results(),
            tile / columns % rows * y.results(),
            tile % columns * x.results(),
        ]
    }

    /// First voxel of the image that a tile reads.
    fn start(&self, tile: usize) -> [isize; 3] {
        let [_, rows, columns] = self.tiles();
        let first = |axis: Axis, at: usize| (at * axis.step()) as isize - axis.padding() as isize;
        let [z, y, x] = self.axes;
        [first(z, tile / (rows * columns)), first(y, tile / columns % rows), first(x, tile % columns)]
    }
}

/// The part of a convolution that a task does.
struct Task<'a> {
    layer: &'a Winograd,
    context: &'a Context<'a>,
    tiles: std::ops::Range<usize>,
    inputs: std::ops::Range<usize>,
    points: std::ops::Range<usize>,
    outputs: std::ops::Range<usize>,
    /// Slot for statistics.
    slot: usize,
    /// Factors and products of the first tile, and the floats between points.
    factors: (*mut f32, usize),
    products: (*mut f32, usize),
    tile: *mut f32,
}

impl Kernel for Task<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the pointers belong to this task, for as much as the layer's sizes say.
        unsafe {
            for input in self.inputs.clone() {
                let block = &self.layer.inputs[input];
                match self.context.reader(block) {
                    table if table.is_null() => self.transform_image::<S, Plain>(Plain, input),
                    table => self.transform_image::<S, Activated<S>>(Activated::new(table), input),
                }
            }
            for point in self.points.clone() {
                self.multiply::<S>(point);
            }
            for output in self.outputs.clone() {
                self.transform_products::<S>(output);
            }
        }
    }
}

impl Task<'_> {
    /// # Safety
    /// As [`Kernel::run`].
    #[inline(always)]
    unsafe fn transform_image<S: Simd, L: Load<S>>(&self, load: L, input: usize) {
        let layer = self.layer;
        let block = &layer.inputs[input];
        let fed = layer.slabs.as_ref().and_then(|slabs| slabs.feeder.as_ref());
        let ring = match fed {
            Some((feeder, ring)) if feeder.buffer() == Some(block.buffer) => *ring,
            _ => layer.input_size[0],
        };
        let image = Image { values: self.context.block(block), size: layer.input_size, ring };
        for (index, tile) in self.tiles.clone().enumerate() {
            // SAFETY: the scratch has a tile and a line; the factors have room for these tiles and inputs.
            unsafe {
                let to = self.factors.0.add((index * layer.inputs.len() + input) * LANES);
                let scratch = (self.tile, self.tile.add(TILE));
                transform::image::<S, L>(
                    layer.axes,
                    load,
                    image,
                    layer.start(tile),
                    scratch,
                    (to, self.factors.1),
                );
            }
        }
    }

    /// # Safety
    /// As [`Kernel::run`].
    #[inline(always)]
    unsafe fn multiply<S: Simd>(&self, point: usize) {
        let (weights, layer) = (&self.layer.weights, self.layer);
        for panel in 0..weights.panels() {
            let (first, blocks, b) = weights.panel(panel, point);
            // SAFETY: factors and products have a plane for the point and room for these tiles.
            unsafe {
                multiply::<S>(&Product {
                    a: self.factors.0.add(point * self.factors.1),
                    a_step: layer.inputs.len() * LANES,
                    taps: &[0],
                    depth: weights.depth,
                    b,
                    bias: std::ptr::null(),
                    c: self.products.0.add(point * self.products.1 + first * LANES),
                    c_step: layer.output_blocks * LANES,
                    c_block: LANES,
                    columns: self.tiles.len(),
                    blocks,
                });
            }
        }
    }

    /// # Safety
    /// As [`Kernel::run`].
    #[inline(always)]
    unsafe fn transform_products<S: Simd>(&self, output: usize) {
        let (layer, context) = (self.layer, self.context);
        let [_, height, width] = layer.output_size;
        // SAFETY: results of these tiles are this task's alone; residuals were written by earlier steps.
        unsafe {
            let to = context.output(layer.output, output);
            let bias = S::load(layer.bias.pointer().add(output * LANES));
            let residual = layer.residual.get(output).map(|block| {
                let table = context.reader(block);
                (context.block(block), table)
            });
            let line = self.tile.add(TILE);
            let next = layer.output_blocks * LANES;
            let results = line.add(LINE);
            let gathers = layer.statistics.is_some();
            let mut sums = Gather::<S>::new();
            for (index, tile) in self.tiles.clone().enumerate() {
                let from = self.products.0.add((index * layer.output_blocks + output) * LANES);
                transform::products::<S>(layer.axes, (from, self.products.1, next), self.tile);
                let corner = layer.corner(tile);
                let until =
                    |axis: usize| layer.axes[axis].results().min(layer.output_size[axis] - corner[axis]);
                let (planes, rows, columns) = (until(0), until(1), until(2));
                let mut count = 0;
                for z in 0..planes {
                    for y in 0..rows {
                        transform::row::<S>(layer.axes, self.tile, z, y, line);
                        let at = ((corner[0] + z) * height + corner[1] + y) * width + corner[2];
                        let to = to.add(at * LANES);
                        for x in 0..columns {
                            let value = S::add(S::load(line.add(x * LANES)), bias);
                            S::store(to.add(x * LANES), value);
                        }
                        if let Some((values, table)) = residual {
                            add_row::<S>(to, values.add(at * LANES), table, columns);
                        }
                        if gathers {
                            for x in 0..columns {
                                S::store(results.add((count + x) * LANES), S::load(to.add(x * LANES)));
                            }
                            count += columns;
                        }
                    }
                }
                if gathers {
                    sums.add(results, count);
                }
            }
            if let Some(partials) = &layer.statistics {
                sums.store(partials.pointer(context, self.slot, output));
            }
        }
    }
}

/// Adds a row of other values to a row of results.
///
/// # Safety
/// As [`Simd`]; the rows have so many blocks.
#[inline(always)]
unsafe fn add_row<S: Simd>(to: *mut f32, from: *const f32, table: *const f32, count: usize) {
    // SAFETY: passed on.
    unsafe {
        for x in 0..count {
            let other = match table.is_null() {
                true => S::load(from.add(x * LANES)),
                false => Activated::<S>::new(table).get(from.add(x * LANES)),
            };
            S::store(to.add(x * LANES), S::add(S::load(to.add(x * LANES)), other));
        }
    }
}

impl Step for Winograd {
    fn phases(&self) -> Vec<usize> {
        match (&self.slabs, self.whole) {
            (None, None) => vec![self.groups()],
            (None, Some(_)) => {
                vec![self.groups() * self.inputs.len(), self.points(), self.groups() * self.output_blocks]
            }
            (Some(slabs), _) => {
                let groups = self.groups_of_slab(slabs.layers);
                let mut phases = Vec::new();
                let mut fed = 0;
                for slab in 0..self.slab_count(slabs) {
                    if let Some((feeder, _)) = &slabs.feeder {
                        let until = self.fed(slab, slabs, feeder);
                        phases.push((until - fed) * feeder.tasks_of_plane());
                        fed = until;
                    }
                    phases.push(groups);
                }
                phases
            }
        }
    }

    fn scratch(&self) -> usize {
        let [factors, products] = self.planes(self.group());
        let group = if self.whole.is_some() { 0 } else { self.points() * (factors + products) };
        let feeder = self.slabs.as_ref().and_then(|slabs| slabs.feeder.as_ref());
        (group + TILE + LINE + RESULTS).max(feeder.map_or(0, |(feeder, _)| feeder.scratch()))
    }

    fn weight_bytes(&self) -> u64 {
        let fed = self.feeder().map_or(0, |feeder| feeder.weight_bytes());
        self.weights.bytes() + self.bias.bytes() + fed
    }

    fn run(&self, phase: usize, task: usize, context: &Context) {
        let (count, size) = (self.tile_count(), self.group());
        let (mut slot, mut tiles_of) = (task, task * size..((task + 1) * size).min(count));
        if let Some(slabs) = &self.slabs {
            let slab = match &slabs.feeder {
                Some((feeder, _)) if phase.is_multiple_of(2) => {
                    let slab = phase / 2;
                    let fed = if slab == 0 { 0 } else { self.fed(slab - 1, slabs, feeder) };
                    return feeder.run(0, fed * feeder.tasks_of_plane() + task, context);
                }
                Some(_) => phase / 2,
                None => phase,
            };
            let of_slab = slabs.layers * self.layer_tiles();
            let (first, end) = (slab * of_slab, ((slab + 1) * of_slab).min(count));
            tiles_of = (first + tiles_of.start).min(end)..(first + (task + 1) * size).min(end);
            slot += slab * self.groups_of_slab(slabs.layers);
        }
        let tiles_of_group = |group: usize| group * size..((group + 1) * size).min(count);
        let (inputs, points, outputs) = (0..self.inputs.len(), 0..self.points(), 0..self.output_blocks);
        let one = |index: usize| index..index + 1;
        let task = match self.whole {
            None => {
                let [factor_plane, product_plane] = self.planes(size);
                let tile = context.scratch;
                // SAFETY: `scratch` counts these parts.
                let factors = unsafe { tile.add(TILE + LINE + RESULTS) };
                // SAFETY: as above.
                let products = unsafe { factors.add(self.points() * factor_plane) };
                let (factors, products) = ((factors, factor_plane), (products, product_plane));
                let tiles = tiles_of;
                Task { layer: self, context, tiles, inputs, points, outputs, slot, factors, products, tile }
            }
            Some([factors, products]) => {
                let [factor_plane, product_plane] = self.planes(count);
                let blocks = if phase == 0 { self.inputs.len() } else { self.output_blocks };
                let (group, block) = (task / blocks, task % blocks);
                let tiles = if phase == 1 { 0..count } else { tiles_of_group(group) };
                // SAFETY: the buffers have room for all tiles.
                let (factors, products) = unsafe {
                    (
                        context.buffer(factors).add(tiles.start * self.inputs.len() * LANES),
                        context.buffer(products).add(tiles.start * self.output_blocks * LANES),
                    )
                };
                Task {
                    layer: self,
                    context,
                    tiles,
                    inputs: if phase == 0 { one(block) } else { 0..0 },
                    points: if phase == 1 { one(task) } else { 0..0 },
                    outputs: if phase == 2 { one(block) } else { 0..0 },
                    slot: group,
                    factors: (factors, factor_plane),
                    products: (products, product_plane),
                    tile: context.scratch,
                }
            }
        };
        dispatch(context.isa, task);
    }

    fn describe(&self) -> String {
        let way = if self.whole.is_some() { " by points" } else { "" };
        let fed = self.feeder().map_or(String::new(), |feeder| format!(", fed by {}", feeder.describe()));
        format!("{} as {:?}{way}{fed}", self.label.name, self.axes)
    }

    fn multiply_adds(&self) -> u64 {
        self.label.multiply_adds + self.feeder().map_or(0, |feeder| feeder.multiply_adds())
    }
}
