//! How an image is cut into tiles, and how their scores are put together.

/// How an image is cut into tiles, and how their scores are put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Tiling {
    /// Size of a tile along the network's axes.
    pub patch: [usize; 3],
    /// Whether tiles are slices along one axis, for a two-dimensional network.
    pub slices: bool,
    /// Where tiles lie.
    pub placement: TilePlacement,
    /// How much each of a tile's voxels counts.
    pub importance: ImportanceMap,
    /// What surrounds an image that is smaller than a tile.
    pub fill: Fill,
    /// The type that scores are summed and kept in.
    pub score_precision: ScorePrecision,
    /// Network axes along which tiles are mirrored and averaged.
    pub mirror: Vec<usize>,
}

/// Where tiles lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TilePlacement {
    /// nnU-Net's: spread evenly, at most this share of a tile apart.
    Even(f64),
    /// MONAI's: whole voxels apart so that at least these shares of a tile overlap, the last ones drawn back.
    Overlapping([f64; 3]),
}

/// How much each of a tile's voxels counts where tiles overlap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ImportanceMap {
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
pub enum ScorePrecision {
    /// Half precision, nnU-Net's.
    Half,
    /// Single precision, MONAI's.
    Single,
}

impl Tiling {
    /// A tile as the network sees it. Networks have a slice's own axis in front, wherever it is in the image: moving an
    /// axis of length 1 moves no number.
    pub fn network_tile(&self) -> [usize; 3] {
        match (self.slices, self.patch) {
            (true, [rows, 1, columns] | [rows, columns, 1]) if rows != 1 => [1, rows, columns],
            (_, patch) => patch,
        }
    }
}

impl TilePlacement {
    /// The distance of tiles as a share of a tile: of the axis along which they lie closest.
    pub fn step(&self) -> f64 {
        match self {
            TilePlacement::Even(step) => *step,
            TilePlacement::Overlapping(overlap) => {
                1.0 - overlap.iter().fold(0.0, |most: f64, &one| most.max(one))
            }
        }
    }

    /// The same rule with another distance.
    pub fn with_step(&self, step: f64) -> Self {
        match self {
            TilePlacement::Even(_) => TilePlacement::Even(step),
            TilePlacement::Overlapping(_) => TilePlacement::Overlapping([1.0 - step; 3]),
        }
    }
}
