//! Further results of a run, one number a voxel, in the caller's own memory: probabilities, margins, entropy.

use half::f16;

use super::decide::RowScratch;
use super::kernels::{self, Row};
use crate::error::{Error, Result};
use crate::recipe::Decision;
use crate::volume::{AxisMap, DType, Geometry, Layout, Walk};

/// What a map tells of each voxel. It is about the network's answer: postprocessing changes labels only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// The probability of one of the model's labels (with regions: of that label's region), in
    /// [`DType::F32`] or [`DType::F16`]. Outside of the part of the volume that the network saw it is 1 for the
    /// background and 0 for all others.
    Probability(u16),
    /// By how many thousandths the highest probability is over the second highest, rounded, at most 255, in
    /// [`DType::U8`]. With regions: twice the distance of the nearest region's probability from one half.
    /// Outside it is 255.
    Margin,
    /// The entropy of the probabilities in nats, in [`DType::F32`] or [`DType::F16`]; with regions the sum of
    /// each region's. Outside it is 0.
    Entropy,
}

impl Map {
    /// Fills a row from probabilities.
    pub(super) fn fill(self, row: Row, decision: &Decision, scratch: &mut RowScratch, out: &mut [f32]) {
        let binary = matches!(decision, Decision::Regions { .. });
        match self {
            Map::Probability(label) => match class_of(decision, label) {
                Some(class) => out.copy_from_slice(&row.a[class * row.width..][..row.width]),
                // With regions the background is where none is.
                None => {
                    for (x, out) in out.iter_mut().enumerate() {
                        let regions = (0..row.classes()).map(|class| row.score(class, x));
                        *out = 1.0 - regions.fold(0.0, f32::max);
                    }
                }
            },
            Map::Margin if binary => {
                out.fill(1.0);
                let twice = match decision {
                    Decision::Regions { threshold, .. } => 2.0 * threshold,
                    Decision::Highest => 1.0,
                };
                for line in row.a.chunks_exact(row.width) {
                    let margins = line.iter().map(|probability| (2.0 * probability - twice).abs());
                    out.iter_mut().zip(margins).for_each(|(out, margin)| *out = out.min(margin));
                }
            }
            Map::Margin => {
                let RowScratch { score, lead, class } = scratch;
                kernels::contest(row, score, lead, class);
                out.copy_from_slice(lead);
            }
            Map::Entropy => {
                out.fill(0.0);
                for line in row.a.chunks_exact(row.width) {
                    for (out, &probability) in out.iter_mut().zip(line) {
                        *out +=
                            surprise(probability) + if binary { surprise(1.0 - probability) } else { 0.0 };
                    }
                }
            }
        }
    }

    /// What it is where the network saw nothing.
    pub(crate) fn outside(self) -> f32 {
        match self {
            Map::Probability(0) | Map::Margin => 1.0,
            Map::Probability(_) | Map::Entropy => 0.0,
        }
    }
}

/// −p ln p; most classes of most voxels have a probability of nearly 0, whose share is 0.
fn surprise(probability: f32) -> f32 {
    if probability > 1e-9 { -probability * libm::logf(probability) } else { 0.0 }
}

/// The class that stands for a label.
fn class_of(decision: &Decision, label: u16) -> Option<usize> {
    match decision {
        Decision::Highest => Some(label.into()),
        Decision::Regions { regions, .. } => {
            regions.iter().find(|region| region.label == label).map(|region| region.class)
        }
    }
}

/// A map in the caller's memory. It is written slab by slab; when the run fails, all of it is zero or as it was.
#[derive(Debug)]
pub struct MapBuffer<'a> {
    map: Map,
    shape: [usize; 3],
    dtype: DType,
    layout: Layout,
    bytes: &'a mut [u8],
    written: bool,
}

impl<'a> MapBuffer<'a> {
    /// A buffer on `grid`, with voxels of `dtype` where `layout` says.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a type that isn't the map's or voxels that share bytes,
    /// [`Error::BufferTooSmall`] when voxels lie outside.
    pub fn new(map: Map, grid: &Geometry, dtype: DType, layout: Layout, bytes: &'a mut [u8]) -> Result<Self> {
        let (fits, expected) = match map {
            Map::Margin => (dtype == DType::U8, "U8 for a margin"),
            _ => (matches!(dtype, DType::F32 | DType::F16), "F32 or F16 for a probability or entropy"),
        };
        if !fits {
            return Err(Error::argument("map.dtype", format!("{dtype:?}"), expected));
        }
        layout.check(grid.shape, dtype.size(), bytes.len(), ["map.data", "map.strides"])?;
        Ok(MapBuffer { map, shape: grid.shape, dtype, layout, bytes, written: false })
    }

    /// What it tells.
    pub fn map(&self) -> Map {
        self.map
    }

    /// Refuses a buffer that isn't on `grid`, and a label that a model with this decision doesn't have.
    pub(crate) fn check(&self, grid: &Geometry, decision: &Decision, classes: usize) -> Result<()> {
        if self.shape != grid.shape {
            let expected = format!("the volume's {:?}", grid.shape);
            return Err(Error::argument("map.shape", format!("{:?}", self.shape), expected));
        }
        match self.map {
            Map::Probability(label) if label != 0 => match class_of(decision, label) {
                Some(class) if class < classes => Ok(()),
                _ => Err(Error::argument("map.label", label, "one of the model's labels")),
            },
            _ => Ok(()),
        }
    }

    /// Writes what holds where the network sees nothing, before anything else.
    pub(crate) fn begin(&mut self) {
        self.written = true;
        self.fill(self.map.outside());
    }

    fn fill(&mut self, value: f32) {
        let [planes, rows, _] = self.shape;
        let map = AxisMap::identity();
        let of_map = Walk::new(&self.layout, self.shape, &map, [0; 3], self.shape);
        let (bytes, size) = bytes(self.dtype, value);
        for (z, y) in (0..planes).flat_map(|z| (0..rows).map(move |y| (z, y))) {
            for position in of_map.row(z, y) {
                self.bytes[position..position + size].copy_from_slice(&bytes[..size]);
            }
        }
    }

    /// Writes values, dense in the order of axes that `map` gives, at `start`.
    pub(crate) fn write(&mut self, values: &[f32], map: &AxisMap, start: [usize; 3], shape: [usize; 3]) {
        let walk = Walk::new(&self.layout, self.shape, map, start, shape);
        for (index, row) in values.chunks_exact(shape[2].max(1)).enumerate() {
            for (&value, position) in row.iter().zip(walk.row(index / shape[1], index % shape[1])) {
                let (bytes, size) = bytes(self.dtype, value);
                self.bytes[position..position + size].copy_from_slice(&bytes[..size]);
            }
        }
    }

    /// After a run that failed: nothing half-written stays.
    pub(crate) fn clear(&mut self) {
        if self.written {
            self.fill(0.0);
            self.written = false;
        }
    }
}

/// A map's value as it is stored, and how many bytes that takes.
fn bytes(dtype: DType, value: f32) -> ([u8; 4], usize) {
    match dtype {
        DType::U8 => ([(1000.0 * value).round_ties_even().clamp(0.0, 255.0) as u8, 0, 0, 0], 1),
        DType::F16 => {
            let [first, second] = f16::from_f32(value).to_ne_bytes();
            ([first, second, 0, 0], 2)
        }
        _ => (value.to_ne_bytes(), 4),
    }
}
