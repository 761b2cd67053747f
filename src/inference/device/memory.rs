//! The arrays of a tiled run on a device: how large they are, and how they are made.

use std::sync::Arc;

use super::backend::{Array, Backend, failure};
use super::tiled_run::TiledRun;
use crate::error::Result;
use crate::restore::Labelling;

/// Planes of labels that are decided at a time.
pub(super) const SLAB: usize = 16;

/// What decides how much memory a tiled run needs.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Channels of the image.
    pub channels: usize,
    /// Channels of the scores.
    pub classes: usize,
    /// Planes, rows and columns of the image.
    pub image: [usize; 3],
    /// The same of a tile.
    pub patch: [usize; 3],
    /// Networks whose scores are averaged.
    pub folds: usize,
    /// Tiles that the network computes at once.
    pub batch: usize,
    /// Whether tiles are mirrored.
    pub mirrored: bool,
    /// Whether scores are summed in half precision.
    pub half: bool,
    /// Planes, rows and columns of the labels, where they are decided there.
    pub labels: Option<[usize; 3]>,
}

impl Sizes {
    /// Planes of the image and of sums that are held at a time: those that one row of tiles touches.
    pub(super) fn ring(&self) -> usize {
        self.image[0].min(self.patch[0])
    }

    /// Planes of finished scores that are held: one stays from row to row.
    pub(super) fn held(&self) -> usize {
        self.ring() + 1
    }

    /// Voxels of a plane of the image.
    pub(super) fn plane(&self) -> usize {
        self.image[1] * self.image[2]
    }

    /// Voxels of a tile.
    pub(super) fn tile(&self) -> usize {
        self.patch.iter().product()
    }

    /// Bytes of a score in the sums.
    pub(super) fn width(&self) -> usize {
        if self.half { 2 } else { 4 }
    }

    /// Voxels of the labels that are decided at a time.
    pub(super) fn slab(&self) -> usize {
        self.labels.map_or(0, |[planes, rows, columns]| planes.min(SLAB) * rows * columns)
    }

    /// Bytes that the arrays need, beside the network's own.
    pub fn bytes(&self) -> u64 {
        let single = size_of::<f32>();
        let scores = self.classes * if self.mirrored { 2 } else { 1 };
        let tiles = self.batch * (self.channels + scores) * self.tile() * single;
        let planes = self.plane() * self.width();
        let sums = self.folds * (self.classes + 1) * self.ring() * planes;
        let finished = self.classes * self.held() * planes;
        let image = self.channels * self.ring() * self.plane() * single;
        // Two inputs and a weight for each label along an axis.
        let taps = self.labels.map_or(0, |labels| labels.iter().sum::<usize>() * 3 * single);
        let labels = self.slab() * size_of::<u16>() + taps;
        (image + self.tile() * single + tiles + sums + finished + labels) as u64
    }
}

/// The image, tiles and the sums of their scores on a device.
pub struct Memory {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) sizes: Sizes,
    /// [channels, ring, rows, columns].
    pub(super) image: Array,
    pub(super) window: Array,
    /// [batch, channels, patch] and [batch, classes, patch].
    pub(super) input: Array,
    pub(super) scores: Array,
    /// Means over mirrorings; none without.
    pub(super) gathered: Option<Array>,
    /// Sums [classes, ring, rows, columns] and weights [ring, rows, columns] of each fold.
    pub(super) sums: Vec<[Array; 2]>,
    /// Finished scores, [classes, held, rows, columns].
    pub(super) means: Array,
    pub(super) counter: Array,
    pub(super) labels: Option<Labels>,
    /// Whether the network's scores may leave the range of its precision.
    pub(super) may_overflow: bool,
}

/// What the kernel that decides reads and writes.
pub(super) struct Labels {
    pub between: Array,
    pub weights: Array,
    pub regions: Array,
    pub labels: Array,
}

impl Labels {
    fn new(backend: &Arc<dyn Backend>, labelling: &Labelling, slab: usize) -> Result<Self> {
        let between = labelling.between.iter().flatten().flatten().map(|&input| input as i32);
        let regions = labelling.regions.iter().flat_map(|region| [region.class as i32, region.label.into()]);
        Ok(Labels {
            between: Array::of(backend, &between.collect::<Vec<_>>())?,
            weights: Array::of(backend, &labelling.weights.concat())?,
            regions: Array::of(backend, &regions.collect::<Vec<_>>())?,
            labels: Array::new(backend, slab * size_of::<u16>())?,
        })
    }
}

impl Memory {
    /// Room for a tiled run on a backend; `may_overflow`: whether scores can leave the range of the network's
    /// precision.
    pub(in crate::inference) fn new(
        backend: &Arc<dyn Backend>,
        tiled: &TiledRun,
        may_overflow: bool,
    ) -> Result<Self> {
        let sizes = tiled.sizes();
        let (ring, plane, width) = (sizes.ring(), sizes.plane(), sizes.width());
        let single = size_of::<f32>();
        let window = tiled.window.as_slice().ok_or_else(|| failure("the weights aren't dense"))?;
        let scores = sizes.batch * sizes.classes * sizes.tile() * single;
        let fold = |_| -> Result<[Array; 2]> {
            let sums = Array::zeros(backend, sizes.classes * ring * plane * width)?;
            Ok([sums, Array::zeros(backend, ring * plane * width)?])
        };
        Ok(Memory {
            image: Array::new(backend, sizes.channels * ring * plane * single)?,
            window: Array::of(backend, window)?,
            // The last tiles of a row may leave some of a batch as it is.
            input: Array::zeros(backend, sizes.batch * sizes.channels * sizes.tile() * single)?,
            scores: Array::new(backend, scores)?,
            gathered: if sizes.mirrored { Some(Array::new(backend, scores)?) } else { None },
            sums: (0..sizes.folds).map(fold).collect::<Result<_>>()?,
            means: Array::new(backend, sizes.classes * sizes.held() * plane * width)?,
            counter: Array::zeros(backend, size_of::<u64>())?,
            labels: match tiled.labelling {
                Some(labelling) => Some(Labels::new(backend, labelling, sizes.slab())?),
                None => None,
            },
            backend: backend.clone(),
            sizes,
            may_overflow,
        })
    }

    /// The counter's value, which becomes 0 again.
    pub(super) fn counted(&self) -> Result<u64> {
        let mut bytes = [0; size_of::<u64>()];
        self.backend.download(self.counter.address, &mut bytes)?;
        self.backend.zero(self.counter.address, size_of::<u64>())?;
        Ok(u64::from_ne_bytes(bytes))
    }
}
