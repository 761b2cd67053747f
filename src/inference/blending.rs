//! How a tile's voxels are weighed where tiles overlap.

use half::f16;
use ndarray::Array3;

use crate::buffer;
use crate::error::Result;
use crate::recipe::{ImportanceMap, ScorePrecision, Tiling};
use crate::tiling::{sliding, window};

/// How overlapping tiles are weighed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blending {
    /// As the model has it.
    #[default]
    Model,
    /// Most at their centre.
    Gaussian,
    /// The same everywhere.
    Constant,
}

/// The weights of a tile's voxels.
pub(super) fn weights(tiling: &Tiling, blending: Blending) -> Result<Array3<f32>> {
    let wanted = match (blending, tiling.importance) {
        (Blending::Model, model) => model,
        (Blending::Constant, _) => ImportanceMap::Constant,
        (Blending::Gaussian, ImportanceMap::Constant) if tiling.score_precision == ScorePrecision::Single => {
            ImportanceMap::MonaiGaussian([sliding::SIGMA_SCALE; 3])
        }
        (Blending::Gaussian, ImportanceMap::Constant) => ImportanceMap::Gaussian,
        (Blending::Gaussian, gaussian) => gaussian,
    };
    let half = |window: Array3<f16>| buffer::map("the weights of a tile's voxels", &window, f16::to_f32);
    match wanted {
        ImportanceMap::Gaussian if tiling.slices => {
            half(window::gaussian2d([tiling.patch[1], tiling.patch[2]])?)
        }
        ImportanceMap::Gaussian => half(window::gaussian(tiling.patch)?),
        ImportanceMap::Constant => buffer::array("the weights of a tile's voxels", tiling.patch, 1.0),
        ImportanceMap::MonaiGaussian(sigma_scale) => sliding::importance(tiling.patch, sigma_scale),
    }
}
