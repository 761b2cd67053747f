//! Tiles in the memory of the device: the image goes there plane by plane, each tile is cut, computed and blended
//! there, and what comes back are labels, or finished planes of scores where those are asked for.

use super::arguments::arguments;
use super::backend::{Averaged, Decided, Kernel, Placed, Work, during, failure};
use super::memory::{Memory, SLAB};
use super::tiled_run::TiledRun;
use crate::buffer;
use crate::engine::{DeviceEngine, Workspace};
use crate::error::{Error, Result};
use crate::recipe::Fill;
use crate::restore::Labelling;
use crate::tiling::grid::TileRow;

/// A tiled run whose arrays lie on a device.
pub struct DeviceTiles<'a> {
    memory: Memory,
    engines: Vec<&'a dyn DeviceEngine>,
    workspace: &'a mut Workspace,
    tiled: TiledRun<'a>,
    /// Planes of the image that were uploaded.
    uploaded: usize,
    /// First plane that isn't taken.
    first: usize,
    /// Planes of labels that are done.
    labelled: usize,
}

impl<'a> DeviceTiles<'a> {
    /// A tiled run in memory that was made for it, with the engines that run its networks.
    pub(crate) fn new(
        memory: Memory,
        engines: Vec<&'a dyn DeviceEngine>,
        workspace: &'a mut Workspace,
        tiled: TiledRun<'a>,
    ) -> Self {
        DeviceTiles { memory, engines, workspace, tiled, uploaded: 0, first: 0, labelled: 0 }
    }

    /// Uploads the planes of the image that a row of tiles needs and no row before did.
    ///
    /// # Errors
    /// The driver's as [`Error::Runtime`].
    pub(crate) fn enter(&mut self, row: &TileRow) -> Result<()> {
        let (sizes, below) = (self.memory.sizes, self.tiled.tiles.pad_below()[0]);
        let start = row.tiles.first().map_or(0, |start| start[0]);
        let end = (start + sizes.patch[0]).saturating_sub(below).min(sizes.image[0]);
        let (ring, plane) = (sizes.ring(), sizes.plane());
        let upload = || -> Result<()> {
            let image = self.tiled.image.as_slice().ok_or_else(|| failure("the image isn't dense"))?;
            for channel in 0..sizes.channels {
                for index in self.uploaded.max(end.saturating_sub(ring))..end {
                    let from = (channel * sizes.image[0] + index) * plane;
                    let to = (channel * ring + index % ring) * plane;
                    self.memory.image.put(to, &image[from..from + plane])?;
                }
            }
            Ok(())
        };
        upload().map_err(during("upload the image"))?;
        self.uploaded = self.uploaded.max(end);
        Ok(())
    }

    fn placed(&self, start: [usize; 3]) -> Placed {
        let whole = |values: [usize; 3]| values.map(|value| value as i32);
        let tiles = self.tiled.tiles;
        Placed {
            image: whole(tiles.image()),
            patch: whole(tiles.patch()),
            start: whole(start),
            below: whole(tiles.pad_below()),
        }
    }

    /// One run of a fold's network on tiles mirrored along the axes in `flips`.
    fn compute(&mut self, fold: usize, tiles: &[Placed], flips: i32) -> Result<()> {
        let sizes = self.memory.sizes;
        let (edge, value) = match self.tiled.fill {
            Fill::Constant(value) => (0_i32, value),
            Fill::Edge => (1_i32, 0.0_f32),
        };
        let (channels, ring) = (sizes.channels as i32, sizes.ring() as i32);
        let (image, input, scores) =
            (self.memory.image.address, self.memory.input.address, self.memory.scores.address);
        let numbers = sizes.channels * sizes.tile();
        let work = Work { lines: sizes.channels, voxels: sizes.tile() };
        let cut = tiles.iter().enumerate().try_for_each(|(place, tile)| {
            let to = input + (place * numbers * size_of::<f32>()) as u64;
            let of_tile = arguments![image, to, *tile, channels, ring, flips, edge, value];
            self.memory.backend.launch(Kernel::Cut, work, of_tile)
        });
        cut.and_then(|()| self.memory.backend.finish()).map_err(during("cut a tile"))?;
        let batch = self.tiled.batch;
        self.engines[fold].run_at(self.workspace, batch, input, scores, false)?;
        if self.memory.may_overflow {
            let numbers = (tiles.len() * sizes.classes * sizes.tile()) as i64;
            let counter = self.memory.counter.address;
            let launched = self.memory.backend.launch(
                Kernel::CountNotFinite,
                Work { lines: 1, voxels: numbers as usize },
                arguments![scores, numbers, counter],
            );
            let lost =
                launched.and_then(|()| self.memory.counted()).map_err(during("check a tile's scores"))?;
            if lost > 0 {
                self.engines[fold].run_at(self.workspace, batch, input, scores, true)?;
            }
        }
        Ok(())
    }

    /// Cuts, computes and blends the tiles that begin at `starts` (in the padded image), as many as the network
    /// computes at once or fewer.
    ///
    /// # Errors
    /// The network's, or the driver's as [`Error::Runtime`].
    pub(crate) fn tiles(&mut self, fold: usize, starts: &[[usize; 3]]) -> Result<()> {
        let tiles: Vec<Placed> = starts.iter().map(|&start| self.placed(start)).collect();
        let sizes = self.memory.sizes;
        let numbers = sizes.classes * sizes.tile();
        let place_of = |array: u64, place: usize| array + (place * numbers * size_of::<f32>()) as u64;
        let classes = sizes.classes as i32;
        self.compute(fold, &tiles, 0)?;
        let mut scores = self.memory.scores.address;
        let mirrored = self.tiled.mirror;
        if let Some(gathered) = self.memory.gathered.as_ref().map(|array| array.address) {
            let runs = mirrored.len() + 1;
            for (run, flips) in std::iter::once(0).chain(mirrored.iter().copied()).enumerate() {
                if run > 0 {
                    self.compute(fold, &tiles, flips)?;
                }
                let first = i32::from(run == 0);
                let divisor = if run + 1 == runs { runs as f32 } else { 1.0 };
                for (place, tile) in tiles.iter().enumerate() {
                    let (from, to) = (place_of(scores, place), place_of(gathered, place));
                    let of_tile = arguments![from, to, *tile, classes, flips, first, divisor];
                    let work = Work { lines: sizes.classes, voxels: sizes.tile() };
                    let launched = self.memory.backend.launch(Kernel::Gather, work, of_tile);
                    launched.map_err(during("average mirrored tiles"))?;
                }
            }
            scores = gathered;
        }
        let kernel = if sizes.half { Kernel::BlendHalf } else { Kernel::BlendSingle };
        let [sums, weights] = [0, 1].map(|which| self.memory.sums[fold][which].address);
        let (window, ring) = (self.memory.window.address, sizes.ring() as i32);
        for (place, tile) in tiles.iter().enumerate() {
            let from = place_of(scores, place);
            let of_tile = arguments![from, window, sums, weights, *tile, classes, ring];
            // The next tiles' input may be cut while these are blended: their scores only come after that.
            let work = Work { lines: sizes.classes + 1, voxels: sizes.tile() };
            let launched = self.memory.backend.launch(kernel, work, of_tile);
            launched.map_err(during("blend a tile"))?;
        }
        Ok(())
    }

    /// Takes out the planes before `end`, which no further tile touches: their weighted means
    /// [classes, planes, rows, columns], in the type of the sums and the host's byte order.
    ///
    /// # Errors
    /// [`Error::NotFinite`], or the driver's as [`Error::Runtime`].
    pub(crate) fn take(&mut self, end: usize) -> Result<Vec<u8>> {
        let sizes = self.memory.sizes;
        let count = self.count(end);
        self.average(end, count, 0)?;
        let size = sizes.classes * count * sizes.plane() * sizes.width();
        let mut bytes = buffer::zeroed("planes of scores", size)?;
        let backend = &self.memory.backend;
        backend.download(self.memory.means.address, &mut bytes).map_err(during("take finished planes"))?;
        Ok(bytes)
    }

    /// Planes that aren't taken before `end`.
    fn count(&self, end: usize) -> usize {
        end.saturating_sub(self.first).min(self.memory.sizes.ring())
    }

    /// Moves the planes before `end` out of the sums: their means over all folds go into the ring of finished planes,
    /// which has `ring` planes, from its plane `to` on.
    fn average(&mut self, end: usize, ring: usize, to: usize) -> Result<()> {
        let count = self.count(end);
        for fold in 0..self.memory.sizes.folds {
            let out = Averaged {
                first: self.first as i32,
                count: count as i32,
                ring: ring as i32,
                to: to as i32,
                fold: fold as i32,
                folds: self.memory.sizes.folds as i32,
            };
            match self.average_fold(out).map_err(during("finish planes"))? {
                0 => {}
                count => return Err(Error::NotFinite { count: count as usize }),
            }
        }
        self.first = end;
        Ok(())
    }

    fn average_fold(&self, out: Averaged) -> Result<u64> {
        let sizes = self.memory.sizes;
        let [sums, weights] = [0, 1].map(|which| self.memory.sums[out.fold as usize][which].address);
        let (means, counter) = (self.memory.means.address, self.memory.counter.address);
        let (classes, ring, lines) = (sizes.classes as i32, sizes.ring() as i32, 1_i32);
        let (plane, voxels) = (sizes.plane() as i64, out.count as usize * sizes.plane());
        let [mean, clear] = match sizes.half {
            true => [Kernel::MeanHalf, Kernel::ClearHalf],
            false => [Kernel::MeanSingle, Kernel::ClearSingle],
        };
        let backend = &self.memory.backend;
        let of_means = arguments![sums, weights, means, plane, classes, ring, out, counter];
        backend.launch(mean, Work { lines: sizes.classes, voxels }, of_means)?;
        let of_sums = arguments![sums, plane, classes, ring, out.first, out.count];
        backend.launch(clear, Work { lines: sizes.classes, voxels }, of_sums)?;
        let of_weights = arguments![weights, plane, lines, ring, out.first, out.count];
        backend.launch(clear, Work { lines: 1, voxels }, of_weights)?;
        self.memory.counted()
    }

    /// Decides the labels that the planes before `end` allow, which no further tile touches: planes after planes as
    /// [`Labelling`] says, and the number of near ties among them. `check` may stop it between.
    ///
    /// # Errors
    /// As [`DeviceTiles::take`], or those of `check`.
    pub(crate) fn labels(
        &mut self,
        end: usize,
        labelling: &Labelling,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<(Vec<u16>, usize)> {
        let (held, count, first) = (self.memory.sizes.held(), self.count(end), self.first);
        self.average(end, held, first % held)?;
        if labelling.activated {
            self.activate(first, count, labelling).map_err(during("make probabilities"))?;
        }
        let [_, rows, columns] = labelling.to;
        let mut ready = labelling.ready(self.labelled, end);
        let mut labels = buffer::with_room("planes of labels", ready * rows * columns)?;
        while ready > 0 {
            check()?;
            let planes = ready.min(SLAB);
            self.decide(planes, labelling, &mut labels).map_err(during("decide labels"))?;
            self.labelled += planes;
            ready -= planes;
        }
        let near_ties = self.memory.counted().map_err(during("decide labels"))?;
        Ok((labels, near_ties as usize))
    }

    fn activate(&self, first: usize, count: usize, labelling: &Labelling) -> Result<()> {
        let sizes = self.memory.sizes;
        let kernel = if sizes.half { Kernel::ActivateHalf } else { Kernel::ActivateSingle };
        let (scores, plane) = (self.memory.means.address, sizes.plane() as i64);
        let (classes, ring) = (sizes.classes as i32, sizes.held() as i32);
        let (from, planes) = (first as i32, count as i32);
        let regions = i32::from(!labelling.regions.is_empty());
        let of_planes = arguments![scores, plane, classes, ring, from, planes, regions];
        let work = Work { lines: sizes.classes, voxels: count * sizes.plane() };
        self.memory.backend.launch(kernel, work, of_planes)
    }

    fn decide(&self, planes: usize, labelling: &Labelling, out: &mut Vec<u16>) -> Result<()> {
        let sizes = self.memory.sizes;
        let arrays = self.memory.labels.as_ref().ok_or_else(|| failure("there is no room for labels"))?;
        let [depth, height, width] = labelling.to.map(|size| size as i32);
        let [of_planes, rows, columns] = labelling.from.map(|size| size as i32);
        let how = Decided {
            classes: sizes.classes as i32,
            ring: sizes.held() as i32,
            planes: of_planes,
            rows,
            columns,
            depth,
            height,
            width,
            first: self.labelled as i32,
            count: planes as i32,
            round: labelling.rounded.into(),
            regions: labelling.regions.len() as i32,
            at_half: labelling.at_half.into(),
            on_probabilities: labelling.on_probabilities.into(),
            mark: labelling.mark.into(),
            clear: labelling.clear,
            near_tie: labelling.near_tie,
            step: labelling.step,
        };
        let kernel = if sizes.half { Kernel::RestoreHalf } else { Kernel::RestoreSingle };
        let (scores, between, weights) =
            (self.memory.means.address, arrays.between.address, arrays.weights.address);
        let (regions, labels, counter) =
            (arrays.regions.address, arrays.labels.address, self.memory.counter.address);
        let voxels = planes * labelling.to[1] * labelling.to[2];
        let of_slab = arguments![scores, between, weights, regions, labels, how, counter];
        self.memory.backend.launch(kernel, Work { lines: sizes.classes, voxels }, of_slab)?;
        let size = voxels * size_of::<u16>();
        let mut bytes = buffer::zeroed("planes of labels", size)?;
        self.memory.backend.download(labels, &mut bytes)?;
        out.extend(bytes.as_chunks().0.iter().map(|&two| u16::from_ne_bytes(two)));
        Ok(())
    }
}
