//! Tiles in the memory of the device: the image goes there once, each tile is cut, computed and blended there, and only
//! finished planes come back.

use std::ffi::c_void;
use std::sync::Arc;

use super::driver::Result;
use super::machine::{Array, Kernel, Machine, Placed};
use crate::engine::{Engine, Job};
use crate::error::Error;
use crate::recipe::Fill;

/// The image, a tile and the sums of its scores on a device.
pub struct Memory {
    machine: Arc<dyn Machine>,
    image: Array,
    window: Array,
    input: Array,
    scores: Array,
    /// Means over mirrorings; none without.
    gathered: Option<Array>,
    sums: Array,
    weights: Array,
    counter: Array,
    /// Planes that the sums hold.
    ring: usize,
    /// Whether the network's scores may leave the range of its precision.
    may_overflow: bool,
}

/// A job whose arrays lie on a device.
pub struct Resident<'a> {
    memory: Memory,
    engine: &'a mut dyn Engine,
    job: Job<'a>,
    /// First plane that isn't taken.
    first: usize,
}

/// Bytes that a job needs on the device beside the network's.
pub(in crate::engine) fn bytes(job: &Job) -> u64 {
    let [depth, rows, columns] = job.tiles.image();
    let patch = job.tiles.patch().iter().product::<usize>();
    let ring = depth.min(job.tiles.patch()[0]);
    let scores = job.classes * patch * if job.mirror.is_empty() { 1 } else { 2 };
    let (channels, width) = (job.image.dim().0, job.width());
    // Sums, and the planes that leave them.
    let sums = (2 * job.classes + 1) * ring * rows * columns * width;
    (4 * (channels * (depth * rows * columns + patch) + patch + scores) + sums) as u64
}

/// The addresses of values, as launches take them.
macro_rules! arguments {
    ($($value:expr),* $(,)?) => { &mut [$((&raw const $value).cast_mut().cast::<c_void>()),*] };
}

impl Memory {
    /// The image of a job on a machine, and room for everything else.
    pub(in crate::engine) fn new(machine: &Arc<dyn Machine>, job: &Job, may_overflow: bool) -> Result<Self> {
        let [depth, rows, columns] = job.tiles.image();
        let patch = job.tiles.patch().iter().product::<usize>();
        let ring = depth.min(job.tiles.patch()[0]);
        let plane = rows * columns;
        let single = size_of::<f32>();
        let image = job.image.as_slice().ok_or("the image isn't dense")?;
        let window = job.window.as_slice().ok_or("the weights aren't dense")?;
        let scores = job.classes * patch * single;
        Ok(Memory {
            image: Array::of(machine, image)?,
            window: Array::of(machine, window)?,
            input: Array::new(machine, job.image.dim().0 * patch * single)?,
            scores: Array::new(machine, scores)?,
            gathered: match job.mirror.is_empty() {
                true => None,
                false => Some(Array::new(machine, scores)?),
            },
            sums: Array::zeros(machine, job.classes * ring * plane * job.width())?,
            weights: Array::zeros(machine, ring * plane * job.width())?,
            counter: Array::zeros(machine, size_of::<u64>())?,
            machine: machine.clone(),
            ring,
            may_overflow,
        })
    }

    /// The counter's value, which becomes 0 again.
    fn counted(&self) -> Result<u64> {
        let mut bytes = [0; size_of::<u64>()];
        self.machine.download(self.counter.address, &mut bytes)?;
        self.machine.zero(self.counter.address, size_of::<u64>())?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

impl<'a> Resident<'a> {
    /// A job in memory that was made for it, with the engine that runs its network.
    pub(crate) fn new(memory: Memory, engine: &'a mut dyn Engine, job: Job<'a>) -> Self {
        Resident { memory, engine, job, first: 0 }
    }

    fn placed(&self, start: [usize; 3]) -> Placed {
        let whole = |values: [usize; 3]| values.map(|value| value as i32);
        let tiles = self.job.tiles;
        Placed {
            image: whole(tiles.image()),
            patch: whole(tiles.patch()),
            start: whole(start),
            below: whole(tiles.pad_below()),
        }
    }

    /// One run of the network on the tile mirrored along the axes in `flips`.
    fn compute(&mut self, tile: Placed, flips: i32) -> crate::error::Result<()> {
        let patch = self.job.tiles.patch().iter().product::<usize>();
        let channels = self.job.image.dim().0;
        let (edge, value) = match self.job.fill {
            Fill::Constant(value) => (0_i32, value),
            Fill::Edge => (1_i32, 0.0_f32),
        };
        let count = channels as i32;
        let (image, input, scores) =
            (self.memory.image.address, self.memory.input.address, self.memory.scores.address);
        let cut = self.memory.machine.launch(
            Kernel::Cut,
            channels * patch,
            arguments![image, input, tile, count, flips, edge, value],
        );
        cut.and_then(|()| self.memory.machine.finish()).map_err(failed("cut a tile"))?;
        self.engine.run_at(input, scores, false)?;
        if self.memory.may_overflow {
            let numbers = (self.job.classes * patch) as i64;
            let counter = self.memory.counter.address;
            let launched = self.memory.machine.launch(
                Kernel::CountNotFinite,
                numbers as usize,
                arguments![scores, numbers, counter],
            );
            let lost =
                launched.and_then(|()| self.memory.counted()).map_err(failed("check a tile's scores"))?;
            if lost > 0 {
                self.engine.run_at(input, scores, true)?;
            }
        }
        Ok(())
    }

    /// Cuts, computes and blends the tile at `start` (in the padded image).
    ///
    /// # Errors
    /// The network's, or the driver's as [`Error::Runtime`].
    pub(crate) fn tile(&mut self, start: [usize; 3]) -> crate::error::Result<()> {
        let tile = self.placed(start);
        let patch = self.job.tiles.patch().iter().product::<usize>();
        let classes = self.job.classes as i32;
        self.compute(tile, 0)?;
        let mut scores = self.memory.scores.address;
        let mirrored = self.job.mirror;
        if let Some(gathered) = self.memory.gathered.as_ref().map(|array| array.address) {
            let runs = mirrored.len() + 1;
            for (run, flips) in std::iter::once(0).chain(mirrored.iter().copied()).enumerate() {
                if run > 0 {
                    self.compute(tile, flips)?;
                }
                let first = i32::from(run == 0);
                let divisor = if run + 1 == runs { runs as f32 } else { 1.0 };
                let from = self.memory.scores.address;
                let launched = self.memory.machine.launch(
                    Kernel::Gather,
                    self.job.classes * patch,
                    arguments![from, gathered, tile, classes, flips, first, divisor],
                );
                launched.map_err(failed("average mirrored tiles"))?;
            }
            scores = gathered;
        }
        let kernel = if self.job.half { Kernel::BlendHalf } else { Kernel::BlendSingle };
        let (window, sums, weights) =
            (self.memory.window.address, self.memory.sums.address, self.memory.weights.address);
        let ring = self.memory.ring as i32;
        let launched = self.memory.machine.launch(
            kernel,
            (self.job.classes + 1) * patch,
            arguments![scores, window, sums, weights, tile, classes, ring],
        );
        // The next tile's input may be cut while this one is blended: its scores only come after that.
        launched.map_err(failed("blend a tile"))
    }

    /// Takes out the planes before `end`, which no further tile touches: their weighted means
    /// [classes, planes, rows, columns], in the type of the sums and the host's byte order.
    ///
    /// # Errors
    /// [`Error::NotFinite`], or the driver's as [`Error::Runtime`].
    pub(crate) fn take(&mut self, end: usize) -> crate::error::Result<Vec<u8>> {
        let count = end.saturating_sub(self.first).min(self.memory.ring);
        let [_, rows, columns] = self.job.tiles.image();
        let numbers = self.job.classes * count * rows * columns;
        let mut bytes = vec![0; numbers * self.job.width()];
        let lost =
            self.take_into(count, rows * columns, &mut bytes).map_err(failed("take finished planes"))?;
        self.first = end;
        match lost {
            0 => Ok(bytes),
            count => Err(Error::NotFinite { count: count as usize }),
        }
    }

    fn take_into(&self, count: usize, plane: usize, bytes: &mut [u8]) -> Result<u64> {
        let half = self.job.half;
        let means = Array::new(&self.memory.machine, bytes.len())?;
        let (sums, weights, counter) =
            (self.memory.sums.address, self.memory.weights.address, self.memory.counter.address);
        let (classes, ring, lines) = (self.job.classes as i32, self.memory.ring as i32, 1_i32);
        let (first, planes, size) = (self.first as i32, count as i32, plane as i64);
        let out = means.address;
        let numbers = self.job.classes * count * plane;
        let mean = if half { Kernel::MeanHalf } else { Kernel::MeanSingle };
        let of_means = arguments![sums, weights, out, size, classes, ring, first, planes, counter];
        self.memory.machine.launch(mean, numbers, of_means)?;
        self.memory.machine.download(out, bytes)?;
        let clear = if half { Kernel::ClearHalf } else { Kernel::ClearSingle };
        self.memory.machine.launch(clear, numbers, arguments![sums, size, classes, ring, first, planes])?;
        self.memory.machine.launch(
            clear,
            count * plane,
            arguments![weights, size, lines, ring, first, planes],
        )?;
        self.memory.counted()
    }
}

fn failed(action: &str) -> impl FnOnce(String) -> Error {
    move |reason| Error::Runtime { action: action.into(), reason }
}
