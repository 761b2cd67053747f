//! How class scores become labels, and what is done to labels then.

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
        Decision::Regions { regions: labels.into_iter().enumerate().map(region).collect(), at_half: false }
    }
}

impl KeepLargest {
    /// In words.
    pub fn describe(&self) -> String {
        let KeepLargest { labels, background } = self;
        format!("keep the largest component of labels {labels:?}, the rest becomes {background}")
    }
}
