//! What a run did that its user should know of, in words.

use std::fmt;

use super::intensities::Unusual;
use crate::volume::NonFiniteVoxels;

/// Something that a run did, or met, that may make its labels wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// Voxels whose intensity isn't finite were read as another one.
    NonFiniteReplaced {
        /// Which.
        voxels: NonFiniteVoxels,
        /// What they were read as.
        substitute: f32,
    },
    /// A channel's intensities aren't those that the model was trained with.
    UnusualIntensities {
        /// The channel's number.
        channel: usize,
        /// What the model calls it.
        name: String,
        /// What is unusual.
        found: Unusual,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Warning::NonFiniteReplaced { voxels, substitute } => {
                let NonFiniteVoxels { count, channel, voxel } = voxels;
                let (are, they) =
                    if *count == 1 { ("voxel is", "it is") } else { ("voxels are", "they are") };
                let value = f64::from(*substitute);
                write!(
                    formatter,
                    "{count} {are} NaN or infinite, the first in channel {channel} at voxel {voxel:?}; {they} read as {value}"
                )
            }
            Warning::UnusualIntensities { channel, name, found } => {
                write!(formatter, "channel {channel} ({name}): {found}")
            }
        }
    }
}
