//! What happens around a network, as data: the steps from the caller's volume to the network's image, each of
//! which `restore` can undo, and the rule that turns class scores into labels.

use crate::error::Result;
use crate::preprocess::normalize::Normalization;
use crate::preprocess::resample::{Orders, resampled_shape, separate_axis};
use crate::volume::{AxisMap, Geometry};

/// The way from a volume to labels, beside the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// From the caller's volume to the network's image, in order.
    pub steps: Vec<Step>,
    /// How the image is cut into tiles.
    pub tiling: Tiling,
    /// How class scores become labels.
    pub decision: Decision,
    /// What is done to the labels afterwards, in order, when [`crate::plan::PlanOptions::postprocess`] asks for
    /// it.
    pub postprocess: Vec<KeepLargest>,
}

/// Removes all but the largest connected component of some labels together. Voxels that touch by a corner are
/// connected; of components with the same size all stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepLargest {
    /// The labels, whose voxels together make the components.
    pub labels: Vec<u16>,
    /// What removed voxels become.
    pub background: u16,
}

/// One step from a volume to the network's image.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Chooses the array's axes; always the first step.
    Orient {
        /// Whether the axes are first brought to the patient's (RAS), or stay as the volume has them.
        canonical: bool,
        /// Order of the network's axes: network axis n is axis `transpose[n]` of the (z, y, x) array.
        transpose: [usize; 3],
    },
    /// Cuts off margins in which every channel is zero.
    CropToNonzero,
    /// Brings intensities into the range that the network knows, one rule a channel.
    Normalize(Vec<Normalization>),
    /// Brings the grid to the network's spacing.
    Resample(Resample),
    /// Adds a channel for each of these labels, which is 1 where the previous stage of a cascade found it.
    AddPreviousStage {
        /// The labels, in the order of the channels.
        labels: Vec<u16>,
    },
}

/// Change of the grid's spacing, and back.
#[derive(Clone, Debug, PartialEq)]
pub struct Resample {
    /// The network's spacing in millimetres along its axes; `None` keeps the volume's.
    pub spacing: [Option<f64>; 3],
    /// How images are resampled.
    pub image: Resampler,
    /// How class scores are resampled on the way back.
    pub scores: Resampler,
    /// How labels of a previous stage are resampled.
    pub labels: Resampler,
}

/// nnU-Net's ways to change a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resampler {
    /// `resample_data_or_seg_to_shape`: splines on the grid of pixel areas.
    Spline(Spline),
    /// `resample_torch_fornnunet`: PyTorch's linear interpolation in single precision.
    Torch {
        /// As for splines; the separate axis is resampled to the nearest.
        separate: Option<bool>,
        /// For labels: its memory-saving variant, which decides by one half and not by the best.
        frugal: bool,
    },
    /// `no_resampling_hack`: the grid stays.
    None,
}

/// Splines, coarse axes apart from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spline {
    /// Their orders.
    pub orders: Orders,
    /// Whether the coarsest axis is resampled by itself; `None`: when it is over three times coarser.
    pub separate: Option<bool>,
}

/// How an image is cut into tiles.
#[derive(Clone, Debug, PartialEq)]
pub struct Tiling {
    /// Size of a tile along the network's axes.
    pub patch: [usize; 3],
    /// Whether tiles are slices of axis 0.
    pub slices: bool,
    /// Distance between tiles as a share of the patch.
    pub step: f64,
    /// Network axes along which tiles are mirrored and averaged.
    pub mirror: Vec<usize>,
}

/// How class scores become labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Each voxel gets the class with the highest score, the first of equals.
    Highest,
    /// Scores are independent; where one passes probability 0.5 the voxel gets that region's label, later
    /// regions over earlier ones.
    Regions(Vec<u16>),
}

impl Recipe {
    /// The network's axes in a volume with this geometry.
    pub fn axes(&self, geometry: &Geometry) -> AxisMap {
        match self.steps.first() {
            Some(Step::Orient { canonical: true, transpose }) => {
                AxisMap::closest_canonical(geometry).transposed([2, 1, 0]).transposed(*transpose)
            }
            Some(Step::Orient { canonical: false, transpose }) => AxisMap::reversed().transposed(*transpose),
            _ => AxisMap::identity(),
        }
    }

    /// The resampling step, if there is one.
    pub fn resample(&self) -> Option<&Resample> {
        self.steps.iter().find_map(|step| match step {
            Step::Resample(resample) => Some(resample),
            _ => None,
        })
    }
}

impl KeepLargest {
    /// In words.
    pub fn describe(&self) -> String {
        let KeepLargest { labels, background } = self;
        format!("keep the largest component of labels {labels:?}, the rest becomes {background}")
    }
}

impl Resample {
    /// The network's spacing for an image of `spacing`.
    pub fn target(&self, spacing: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|axis| self.spacing[axis].unwrap_or(spacing[axis]))
    }

    /// Shape of an image after this step.
    pub fn shape(&self, shape: [usize; 3], spacing: [f64; 3]) -> [usize; 3] {
        match self.image {
            Resampler::None => shape,
            _ => resampled_shape(shape, spacing, self.target(spacing)),
        }
    }
}

impl Spline {
    /// Orders in all axes and along an axis that is resampled apart.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for orders that aren't implemented.
    pub fn new(order: u8, order_z: u8, separate: Option<bool>) -> Result<Self> {
        Ok(Spline { orders: Orders::new(order, order_z)?, separate })
    }
}

impl Resampler {
    /// The axis that is resampled by itself on the way from one spacing to another.
    pub fn separate_axis(&self, from: [f64; 3], to: [f64; 3]) -> Option<usize> {
        match self {
            Resampler::Spline(Spline { separate, .. }) | Resampler::Torch { separate, .. } => {
                separate_axis(from, to, *separate)
            }
            Resampler::None => None,
        }
    }
}
