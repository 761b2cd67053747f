//! What happens around a network, as data: the steps from the caller's volume to the network's image, each of
//! which `restore` can undo, and the rule that turns class scores into labels.

mod decision;
mod intensity;
mod monai;
mod prompting;
mod resampling;
mod tiling;

use crate::nifti::Reader;
use crate::volume::{AxisMap, Geometry};
pub use decision::{
    Cleanup, Decision, FillHoles, KeepLargest, LabelRule, LargestComponents, Region, RestoreMode,
    SmallObjects,
};
pub use intensity::{IntensityRange, MonaiIntensity, Normalization};
pub use monai::{CropForeground, Frame, Padding, PaddingMode, Resize, ResizeMode, Size, Spacing, SpatialPad};
pub use prompting::{Painting, PromptKind, Prompting};
pub use resampling::{Orders, Resample, Resampler, Spline, resampled_shape, separate_axis};
pub use tiling::{Fill, ImportanceMap, ScorePrecision, TilePlacement, Tiling};

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
    pub restore: RestoreMode,
    /// How class scores become labels.
    pub decision: Decision,
    /// What the model always does to its labels.
    pub cleanup: Vec<Cleanup>,
    /// What is done to the labels afterwards, in order, when a plan's options ask for it.
    pub postprocess: Vec<KeepLargest>,
    /// For a model that answers to prompts: how its network sees them.
    pub prompting: Option<Prompting>,
}

/// One step from a volume to the network's image.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Chooses the array's axes. As the first step it chooses how the volume is read.
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
    /// MONAI's cropping and padding by sizes.
    Frame {
        /// What becomes the image.
        frame: Frame,
        /// What fills it beyond the image before.
        padding: Padding,
    },
    /// MONAI's change of the shape alone.
    Resize(Resize),
    /// Other axes for the image, as it is: `Flip`, `Rotate90`, `Transpose`.
    Turn(AxisMap),
    /// Adds a channel of zeros for each of these labels, into which a session paints a user's clicks: DeepEdit's.
    AddClicks {
        /// The labels, in the order of the channels.
        labels: Vec<u16>,
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

impl Step {
    /// An image's axes in a volume with this geometry, from those before the step.
    pub fn axes(&self, before: AxisMap, geometry: &Geometry) -> AxisMap {
        match *self {
            Step::Orient { canonical, flip, order } => {
                let map = if canonical { AxisMap::closest_canonical(geometry) } else { AxisMap::identity() };
                map.flipped(flip).transposed(order)
            }
            Step::Turn(turn) => before.then(&turn),
            _ => before,
        }
    }

    /// The order of an image's axes among (x, y, z), from that before the step.
    fn order(&self, before: [usize; 3]) -> [usize; 3] {
        match self {
            Step::Orient { order, .. } => *order,
            Step::Turn(turn) => turn.apply(before),
            _ => before,
        }
    }
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
                placement: TilePlacement::Even(0.5),
                importance: ImportanceMap::Gaussian,
                fill: Fill::Constant(0.0),
                score_precision: ScorePrecision::Half,
                mirror: Vec::new(),
            },
            restore: RestoreMode::Scores,
            decision: Decision::Highest,
            cleanup: Vec::new(),
            postprocess: Vec::new(),
            prompting: None,
        }
    }

    /// The axes along which a volume with this geometry is read.
    pub fn axes(&self, geometry: &Geometry) -> AxisMap {
        self.steps.first().map_or_else(AxisMap::identity, |step| step.axes(AxisMap::identity(), geometry))
    }

    /// The network's axes in a volume with this geometry.
    pub fn network_axes(&self, geometry: &Geometry) -> AxisMap {
        self.steps.iter().fold(AxisMap::identity(), |axes, step| step.axes(axes, geometry))
    }

    /// The order of the network's axes among (x, y, z).
    pub fn order(&self) -> [usize; 3] {
        self.steps.iter().fold([0, 1, 2], |order, step| step.order(order))
    }

    /// The spacing that the network works at along its axes; `None` where the volume's own is kept.
    pub fn spacing(&self) -> [Option<f64>; 3] {
        let mut spacing = [None; 3];
        let mut order = [0, 1, 2];
        for step in &self.steps {
            let next = step.order(order);
            spacing = next.map(|axis| order.iter().position(|&old| old == axis).and_then(|old| spacing[old]));
            order = next;
            match step {
                Step::Resample(resample) => spacing = resample.spacing,
                Step::Space(rule) => {
                    spacing = rule.pixdim.map(|length| length.filter(|length| *length > 0.0))
                }
                Step::Resize(_) => spacing = [None; 3],
                _ => {}
            }
        }
        spacing
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
