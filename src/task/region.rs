//! The part of each model's image that the labels of a region depend on.

use super::TaskPlan;
use super::image::network_grid;
use crate::error::{Error, Result};
use crate::preprocess::resample::corners;
use crate::volume::{AxisMap, Box3, Geometry, Region, WhenGlobal};

impl TaskPlan {
    /// The boxes that the models of the last link are asked for, of the labels' grid; `None` where they compute all.
    /// Links before it find what it looks at, in all of the volume.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for boxes that aren't on the grid, [`Error::Unsupported`] where labels depend on the
    /// whole image and the region doesn't want that computed.
    pub(super) fn boxes<'a>(&self, grid: &Geometry, region: &'a Region) -> Result<Option<&'a [Box3]>> {
        region.check(&self.label_grid(grid)?)?;
        if region.is_whole() {
            return Ok(None);
        }
        match self.global(grid)? {
            None => Ok(Some(&region.boxes)),
            Some(_) if region.when_global == WhenGlobal::Compute => Ok(None),
            Some(what) => Err(Error::unsupported(format!("a region alone: {what}"))),
        }
    }

    /// What the task's labels depend on beyond the tiles around them.
    pub(super) fn global(&self, geometry: &Geometry) -> Result<Option<String>> {
        let (last, main) = (self.task.links.len() - 1, self.main_link());
        let options = &self.task.options;
        let own = if main != last || !self.task.links[last].task.rules.is_empty() {
            Some("the task has rules about pieces of labels")
        } else if options.remove_small.is_some() {
            Some("small pieces of labels are removed")
        } else if options.smooth {
            Some("labels come back with smooth borders")
        } else {
            None
        };
        if let Some(own) = own {
            return Ok(Some(own.into()));
        }
        let grid = network_grid(geometry, self.resampling(last).0)?;
        let slots = self.ranges().nth(last).unwrap_or_default();
        for slot in &self.slots[slots] {
            if let Some(what) = slot.told.global(&grid)? {
                return Ok(Some(what));
            }
        }
        Ok(None)
    }

    /// Boxes of the labels' grid in the image of a link that looks at a part of the volume, along the image's axes.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(super) fn in_image(
        &self,
        boxes: &[Box3],
        volume: &Geometry,
        part: Option<Box3>,
        network: [usize; 3],
    ) -> Result<Vec<Box3>> {
        let axes = AxisMap::closest_canonical(volume);
        if self.task.options.on_network_grid {
            let grid = axes.undo(network);
            return Ok(boxes.iter().map(|asked| axes.to_array(grid, asked)).collect());
        }
        let part = part.unwrap_or(Box3::whole(volume.shape));
        let mut found = Vec::new();
        for asked in boxes.iter().filter_map(|asked| asked.common(&part)) {
            let shape = axes.apply(part.shape());
            let mut array_box = axes.to_array(part.shape(), &asked.from(part.start));
            for axis in (0..3).filter(|&axis| network[axis] != shape[axis]) {
                let nearest = corners::nearest_indices(network[axis], shape[axis])?;
                let of_box = &nearest[array_box.start[axis]..array_box.end[axis]];
                let first = of_box.iter().min().copied().unwrap_or(0);
                let last = of_box.iter().max().copied().unwrap_or(0);
                (array_box.start[axis], array_box.end[axis]) = (first, last + 1);
            }
            found.push(array_box);
        }
        Ok(found)
    }
}

/// The voxels of boxes that lie in some planes of an image, in a piece that begins at one of its planes.
pub(super) fn in_piece(boxes: &[Box3], planes: std::ops::Range<usize>, start: usize) -> Vec<Box3> {
    let end = [usize::MAX, usize::MAX, planes.end];
    let piece = Box3 { start: [0, 0, planes.start], end };
    boxes.iter().filter_map(|part| part.common(&piece)).map(|part| part.from([0, 0, start])).collect()
}
