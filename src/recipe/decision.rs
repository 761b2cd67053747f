//! How class scores become labels, and what is done to labels then.

/// How class scores become labels.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Each voxel gets the class with the highest score, the first of equals.
    Highest,
    /// Scores are independent: where a region's probability passes a threshold the voxel gets its label, later
    /// regions over earlier ones.
    Regions {
        /// The regions, in order.
        regions: Vec<Region>,
        /// The probability to pass, one half nearly always.
        threshold: f32,
        /// Whether exactly the threshold is enough.
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

/// What is brought back from the network's grid onto the volume's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreMode {
    /// The scores, which are decided there.
    Scores,
    /// Their probabilities, which are decided there.
    Probabilities,
    /// Labels, to the nearest.
    Labels,
    /// Labels as numbers that are interpolated, which MONAI's `Invertd` does unless it is told not to; rounded.
    InterpolatedLabels,
}

/// A change of labels that belongs to a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Cleanup {
    /// What it does.
    pub rule: LabelRule,
    /// Whether that is decided on the network's grid, before labels are brought back; else on the volume's.
    pub on_network_grid: bool,
}

/// What MONAI's transforms of label maps do.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelRule {
    /// `KeepLargestConnectedComponent`.
    Largest(LargestComponents),
    /// `RemoveSmallObjects`.
    RemoveSmall(SmallObjects),
    /// `FillHoles`.
    FillHoles(FillHoles),
    /// `LabelFilter`: only these labels stay, others become 0.
    Filter(Vec<u16>),
    /// `MapLabelValue`: the first of each pair becomes the second, all at once.
    Map(Vec<(u16, u16)>),
}

/// Which labels or components are too small to stay; they become 0.
#[derive(Clone, Debug, PartialEq)]
pub struct SmallObjects {
    /// What stays is larger.
    pub least: f64,
    /// Whether that is in cubic millimetres; else in voxels.
    pub by_measure: bool,
    /// Whether the components of all labels together are measured. Else each label is an object as a whole, as
    /// scikit-image has it, unless no label is over 1: then its components are the objects.
    pub together: bool,
    /// How many axes may differ between neighbours; 1 for voxel faces up to 3 for corners.
    pub connectivity: u8,
}

/// Fills what a label encloses, whatever it is, label after label in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillHoles {
    /// The labels; `None`: all but 0.
    pub labels: Option<Vec<u16>>,
    /// How many axes may differ between neighbours within a hole; 1 for voxel faces up to 3 for corners.
    pub connectivity: u8,
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

/// Which components of which labels stay; the other voxels of these labels become 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargestComponents {
    /// The labels; `None`: all but 0.
    pub labels: Option<Vec<u16>>,
    /// Whether each label has its own components; else those of all labels together are ranked.
    pub independent: bool,
    /// How many axes may differ between neighbours; 1 for voxel faces up to 3 for corners.
    pub connectivity: u8,
    /// How many components stay. Of equals those stay whose first voxel comes later in the array: MONAI leaves
    /// it to NumPy's unstable sort, which with few components does so.
    pub components: usize,
}

impl Decision {
    /// Regions that classes stand for one by one; exactly one half is not enough.
    pub fn regions(labels: impl IntoIterator<Item = u16>) -> Self {
        let region = |(class, label)| Region { class, label };
        let regions = labels.into_iter().enumerate().map(region).collect();
        Decision::Regions { regions, threshold: 0.5, at_half: false }
    }
}

impl KeepLargest {
    /// In words.
    pub fn describe(&self) -> String {
        let KeepLargest { labels, background } = self;
        format!("keep the largest component of labels {labels:?}, the rest becomes {background}")
    }
}
