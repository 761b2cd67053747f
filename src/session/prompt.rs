//! What a user asks of a session.

use std::sync::Arc;

use ndarray::Array3;

use super::region::Region;
use crate::buffer;
use crate::error::{Error, Result};
use crate::recipe::PromptKind;
use crate::volume::{AxisMap, Volume};

/// A prompt. Coordinates are voxels of the volume, x, y, z; a voxel's centre has whole numbers. Labels are 1 for the
/// object and 0 for what isn't the object; where a model takes points per label, the model's.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// One voxel, the nearest to a place.
    Point {
        /// The place.
        at: [f64; 3],
        /// What is there.
        label: u32,
    },
    /// A box: flat, along one of the axes, for most models.
    Box {
        /// Its first voxel.
        start: [i64; 3],
        /// The voxel behind its last.
        end: [i64; 3],
        /// What it encloses.
        label: u32,
    },
    /// A stroke.
    Scribble {
        /// The voxels that were drawn.
        mask: Mask,
        /// What is there.
        label: u32,
    },
    /// A closed line in a slice.
    Lasso {
        /// The voxels that it encloses.
        mask: Mask,
        /// What is there.
        label: u32,
    },
    /// The object as it is known so far: all prompts before are forgotten.
    Mask(Mask),
}

/// Voxels of a box.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    /// Of the array: z, y, x.
    pub(super) region: Region,
    pub(super) voxels: Arc<Array3<u8>>,
}

impl Mask {
    /// All voxels of a label map other than 0, the first of which lies at voxel `start` of the volume.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(start: [i64; 3], labels: &Volume) -> Result<Self> {
        let [columns, rows, planes] = labels.geometry().shape;
        let map = AxisMap::identity().transposed([2, 1, 0]);
        let mut voxels = buffer::zeros("a prompt's mask", [planes, rows, columns])?;
        let mut row = buffer::zeroed::<u32>("a row of a mask", columns)?;
        for (z, mut plane) in voxels.outer_iter_mut().enumerate() {
            for (y, mut line) in plane.outer_iter_mut().enumerate() {
                labels.read_labels(&map, [z, y, 0], [1, 1, columns], &mut row);
                line.iter_mut().zip(&row).for_each(|(voxel, &label)| *voxel = u8::from(label != 0));
            }
        }
        Ok(Self::of_array(start, voxels))
    }

    /// The same for an array of zeros and ones, z, y, x.
    pub(super) fn of_array([x, y, z]: [i64; 3], voxels: Array3<u8>) -> Self {
        let (planes, rows, columns) = voxels.dim();
        let start = [z, y, x];
        let end = [0, 1, 2].map(|axis| start[axis].saturating_add([planes, rows, columns][axis] as i64));
        Mask { region: Region { start, end }, voxels: Arc::new(voxels) }
    }
}

impl Prompt {
    /// Its name in records.
    pub fn name(&self) -> &'static str {
        match self {
            Prompt::Point { .. } => "point",
            Prompt::Box { .. } => "box",
            Prompt::Scribble { .. } => "scribble",
            Prompt::Lasso { .. } => "lasso",
            Prompt::Mask(_) => "mask",
        }
    }

    /// What a model has to take, of which one is enough.
    fn kinds(&self) -> &'static [PromptKind] {
        match self {
            Prompt::Point { .. } => &[PromptKind::Point, PromptKind::PointPerLabel],
            Prompt::Box { start, end, .. }
                if (0..3).any(|axis| end[axis].saturating_sub(start[axis]) == 1) =>
            {
                &[PromptKind::Box2d, PromptKind::Box3d]
            }
            Prompt::Box { .. } => &[PromptKind::Box3d],
            Prompt::Scribble { .. } => &[PromptKind::Scribble],
            Prompt::Lasso { .. } => &[PromptKind::Lasso],
            Prompt::Mask(_) => &[PromptKind::Mask],
        }
    }

    /// The kind that it is for a model.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where the model takes no such prompts.
    pub(super) fn kind(&self, takes: &[PromptKind]) -> Result<PromptKind> {
        let found = self.kinds().iter().copied().find(|kind| takes.contains(kind));
        found.ok_or_else(|| {
            let names: Vec<&str> = takes.iter().map(|kind| kind.name()).collect();
            let wanted = self.kinds().first().map_or("", |kind| kind.name());
            Error::argument("prompt", wanted, format!("what the model takes: {}", names.join(", ")))
        })
    }

    /// What isn't right about it for a volume of this extent and a model with these labels.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] that names it.
    pub(super) fn check(&self, volume: &Region, labels: &[u16]) -> Result<()> {
        let [columns, rows, planes] = {
            let [z, y, x] = volume.shape();
            [x, y, z]
        };
        let of_volume = format!("voxels of a volume of {columns} x {rows} x {planes}");
        let (label, region) = match self {
            Prompt::Point { at, label } => {
                if at.iter().any(|place| !place.is_finite()) {
                    return Err(Error::argument("point", format!("{at:?}"), "finite coordinates"));
                }
                let [x, y, z] = at.map(|place| place.round_ties_even());
                let inside = |place: f64, length: usize| place >= 0.0 && place < length as f64;
                if !(inside(x, columns) && inside(y, rows) && inside(z, planes)) {
                    return Err(Error::argument("point", format!("{at:?}"), of_volume));
                }
                (*label, *volume)
            }
            Prompt::Box { start, end, label } => {
                if (0..3).any(|axis| end[axis] <= start[axis]) {
                    let found = format!("{start:?} to {end:?}");
                    return Err(Error::argument("box", found, "at least one voxel along each axis"));
                }
                let turned = |[x, y, z]: [i64; 3]| [z, y, x];
                (*label, Region { start: turned(*start), end: turned(*end) })
            }
            Prompt::Scribble { mask, label } | Prompt::Lasso { mask, label } => (*label, mask.region),
            Prompt::Mask(mask) => (1, mask.region),
        };
        if !labels.iter().any(|&known| u32::from(known) == label) {
            let expected = match labels {
                [0, 1] => "1 for the object, or 0 for what isn't the object".into(),
                labels => format!("one of the labels that the model takes points for: {labels:?}"),
            };
            return Err(Error::argument("label", label, expected));
        }
        if region.clip(volume).is_empty() {
            let [z, y, x] = region.start;
            let found = format!("a box at voxel {:?}", [x, y, z]);
            return Err(Error::argument(self.name(), found, of_volume));
        }
        Ok(())
    }
}
