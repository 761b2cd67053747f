//! What happens around a network, as data: the steps from the caller's volume to the network's image, each of
//! which `restore` can undo, and the rule that turns class scores into labels.

use crate::error::Result;
use crate::nifti::Reader;
use crate::preprocess::monai::{CropForeground, Grid, MonaiIntensity, Padding, Spacing, SpatialPad};
use crate::preprocess::normalize::Normalization;
use crate::preprocess::resample::{Orders, resampled_shape, separate_axis};
use crate::restore::LargestComponents;
use crate::volume::{AxisMap, Geometry};

/// The way from a volume to labels, beside the network. nnU-Net's steps and MONAI's share this type and nothing of
/// each other's conventions: each step says whose grid it computes.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// What read the images that the model was trained with, and so reads the headers of those that it segments.
    pub reader: Reader,
    /// From the caller's volume to the network's image, in order.
    pub steps: Vec<Step>,
    /// How the image is cut into tiles, and their scores put together.
    pub tiling: Tiling,
    /// What is brought back onto the volume's grid.
    pub back: Back,
    /// How class scores become labels.
    pub decision: Decision,
    /// What the model always does to its labels.
    pub cleanup: Vec<Cleanup>,
    /// What is done to the labels afterwards, in order, when [`crate::inference::PlanOptions::postprocess`] asks for
    /// it.
    pub postprocess: Vec<KeepLargest>,
}

/// What is brought back from the network's grid onto the volume's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// The scores, which are decided there.
    Scores,
    /// Their probabilities, which are decided there.
    Probabilities,
    /// Labels, to the nearest.
    Labels,
    /// Labels as numbers that are interpolated, which MONAI's `Invertd` does unless it is told not to; rounded.
    InterpolatedLabels,
}

/// Removal of small components that belongs to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleanup {
    /// What stays.
    pub rule: LargestComponents,
    /// Whether that is decided on the network's grid, before labels are brought back; else on the volume's.
    pub on_network_grid: bool,
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
    /// Chooses the array's axes; the first step, where there is one.
    Orient {
        /// Whether the axes are first brought to the patient's (x to the right, y to the front, z to the head),
        /// or stay as the volume has them.
        canonical: bool,
        /// Which of the patient's axes run the other way, (x, y, z).
        flip: [bool; 3],
        /// Order of the network's axes: network axis n is axis `order[n]` of (x, y, z).
        order: [usize; 3],
    },
    /// Cuts off margins in which every channel is zero.
    CropToNonzero,
    /// Brings intensities into the range that the network knows, one rule a channel.
    Normalize(Vec<Normalization>),
    /// Brings the grid to the network's spacing.
    Resample(Resample),
    /// MONAI's change of intensities, of one channel or of all together.
    Intensity {
        /// The only channel that it is for.
        channel: Option<usize>,
        /// What it does.
        rule: MonaiIntensity,
    },
    /// MONAI's cut to the foreground.
    CropForeground {
        /// The box.
        crop: CropForeground,
        /// What fills it where it reaches beyond the image.
        padding: Padding,
        /// What the box is found in.
        source: BoxSource,
    },
    /// MONAI's change of the grid's spacing.
    Space(Spacing),
    /// MONAI's padding to a least shape.
    Pad {
        /// The shape.
        pad: SpatialPad,
        /// What fills it.
        padding: Padding,
    },
    /// Adds a channel for each of these labels, which is 1 where the previous stage of a cascade found it.
    AddPreviousStage {
        /// The labels, in the order of the channels.
        labels: Vec<u16>,
    },
}

/// What the foreground's box is found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoxSource {
    /// The present image, all channels.
    Image,
    /// The volume's first channel along the network's axes, not normalised.
    FirstChannel,
    /// The volume's first channel along the volume's own axes, although the box is then taken for one of the
    /// present image: what SlicerMONAIAuto3DSeg's script does.
    Misplaced,
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

impl Decision {
    /// Regions that classes stand for one by one; exactly one half is not enough.
    pub fn regions(labels: impl IntoIterator<Item = u16>) -> Self {
        let region = |(class, label)| Region { class, label };
        Decision::Regions { regions: labels.into_iter().enumerate().map(region).collect(), at_half: false }
    }
}

impl Placement {
    /// The distance of tiles as a share of a tile: of the axis along which they lie closest.
    pub fn step(&self) -> f64 {
        match self {
            Placement::Even(step) => *step,
            Placement::Overlapping(overlap) => {
                1.0 - overlap.iter().fold(0.0, |most: f64, &one| most.max(one))
            }
        }
    }

    /// The same rule with another distance.
    pub fn with_step(&self, step: f64) -> Self {
        match self {
            Placement::Even(_) => Placement::Even(step),
            Placement::Overlapping(_) => Placement::Overlapping([1.0 - step; 3]),
        }
    }
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

/// How an image is cut into tiles, and how their scores are put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Tiling {
    /// Size of a tile along the network's axes.
    pub patch: [usize; 3],
    /// Whether tiles are slices of axis 0.
    pub slices: bool,
    /// Where tiles lie.
    pub placement: Placement,
    /// How much each of a tile's voxels counts.
    pub weights: Weights,
    /// What surrounds an image that is smaller than a tile.
    pub fill: Fill,
    /// The type that scores are summed and kept in.
    pub sums: Sums,
    /// Network axes along which tiles are mirrored and averaged.
    pub mirror: Vec<usize>,
}

/// Where tiles lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Placement {
    /// nnU-Net's: spread evenly, at most this share of a tile apart.
    Even(f64),
    /// MONAI's: whole voxels apart so that at least these shares of a tile overlap, the last ones drawn back.
    Overlapping([f64; 3]),
}

/// How much each of a tile's voxels counts where tiles overlap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights {
    /// nnU-Net's Gaussian.
    Gaussian,
    /// All the same.
    Constant,
    /// MONAI's Gaussian, its standard deviations as shares of a tile.
    MonaiGaussian([f64; 3]),
}

/// What surrounds an image that is smaller than a tile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// A number.
    Constant(f32),
    /// The border goes on.
    Edge,
}

/// The type that tiles' scores are summed and kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sums {
    /// Half precision, nnU-Net's.
    Half,
    /// Single precision, MONAI's.
    Single,
}

/// How class scores become labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Each voxel gets the class with the highest score, the first of equals.
    Highest,
    /// Scores are independent: where a region's probability passes one half the voxel gets its label, later
    /// regions over earlier ones.
    Regions {
        /// The regions, in order.
        regions: Vec<Region>,
        /// Whether exactly one half is enough.
        at_half: bool,
    },
}

/// A class that may overlap others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The network's class.
    pub class: usize,
    /// The label that it gives.
    pub label: u16,
}

/// Intensities of one channel that a model was trained with: nearly all of them, of what it looks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntensityRange {
    /// The lowest.
    pub lower: f32,
    /// The highest.
    pub upper: f32,
}

impl Recipe {
    /// nnU-Net's conventions, no steps, the highest score.
    #[cfg(test)]
    pub(crate) fn for_tests(patch: [usize; 3]) -> Self {
        Recipe {
            reader: Reader::Itk,
            steps: Vec::new(),
            tiling: Tiling {
                patch,
                slices: false,
                placement: Placement::Even(0.5),
                weights: Weights::Gaussian,
                fill: Fill::Constant(0.0),
                sums: Sums::Half,
                mirror: Vec::new(),
            },
            back: Back::Scores,
            decision: Decision::Highest,
            cleanup: Vec::new(),
            postprocess: Vec::new(),
        }
    }

    /// The network's axes in a volume with this geometry.
    pub fn axes(&self, geometry: &Geometry) -> AxisMap {
        let Some(&Step::Orient { canonical, flip, order }) = self.steps.first() else {
            return AxisMap::identity();
        };
        let map = if canonical { AxisMap::closest_canonical(geometry) } else { AxisMap::identity() };
        map.flipped(flip).transposed(order)
    }

    /// A volume's grid along the network's axes, as MONAI's steps begin with it.
    pub fn grid(&self, geometry: &Geometry) -> Grid {
        let straight = self.steps.iter().any(|step| matches!(step, Step::Space(spacing) if spacing.straight));
        let grid = if straight { Grid::new(&geometry.clone().straightened()) } else { Grid::new(geometry) };
        grid.turned(&self.axes(geometry))
    }

    /// The order of the network's axes among (x, y, z).
    pub fn order(&self) -> [usize; 3] {
        match self.steps.first() {
            Some(Step::Orient { order, .. }) => *order,
            _ => [0, 1, 2],
        }
    }

    /// The shape of the network's image for a volume on this grid, where nothing is cut off.
    ///
    /// # Errors
    /// [`crate::Error::Geometry`] for a grid that a step can't change.
    pub fn network_shape(&self, geometry: &Geometry) -> Result<[usize; 3]> {
        let mut grid = self.grid(geometry);
        for step in &self.steps {
            match step {
                Step::Resample(resample) => {
                    grid.shape = resample.shape(grid.shape, self.axes(geometry).apply(geometry.spacing));
                }
                Step::Space(spacing) => grid = spacing.forward(&grid)?.grid,
                Step::Pad { pad, .. } => grid = grid.cut(&pad.window(grid.shape)),
                _ => {}
            }
        }
        Ok(grid.shape)
    }

    /// The spacing that the network works at along its axes; `None` where the volume's own is kept.
    pub fn spacing(&self) -> [Option<f64>; 3] {
        let spacing = self.steps.iter().rev().find_map(|step| match step {
            Step::Resample(resample) => Some(resample.spacing),
            Step::Space(spacing) => Some(spacing.pixdim.map(|length| length.filter(|length| *length > 0.0))),
            _ => None,
        });
        spacing.unwrap_or([None; 3])
    }

    /// The intensities that each of so many channels should have, where the recipe tells: those that nnU-Net's plans
    /// and MONAI's transforms clip to. `None` for channels that are brought to a scale of their own.
    pub fn expected_intensities(&self, channels: usize) -> Vec<Option<IntensityRange>> {
        use MonaiIntensity::{ScaleRange, Sigmoid};
        let range = |channel: usize| {
            let normalized = self.steps.iter().find_map(|step| match step {
                Step::Normalize(rules) => rules.get(channel),
                _ => None,
            });
            let mut rules = self.steps.iter().filter_map(|step| match step {
                Step::Intensity { channel: only, rule } => {
                    only.is_none_or(|only| only == channel).then_some(rule)
                }
                _ => None,
            });
            match (normalized, rules.next(), rules.next()) {
                (Some(&Normalization::Ct { lower, upper, .. }), ..) => Some(IntensityRange { lower, upper }),
                (None, Some(&ScaleRange { from: [lower, upper], clip: true, .. }), _)
                | (None, Some(&ScaleRange { from: [lower, upper], .. }), Some(Sigmoid)) => {
                    Some(IntensityRange { lower: lower as f32, upper: upper as f32 })
                }
                _ => None,
            }
        };
        let proper = |range: &IntensityRange| range.lower < range.upper;
        (0..channels).map(|channel| range(channel).filter(proper)).collect()
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
