//! Which boxes of a volume a run computes one after the other, and what labels depend on beyond the tiles around them.

use super::Plan;
use crate::error::{Error, Result};
use crate::preprocess::{GridChange, Trace};
use crate::recipe::{Cleanup, LabelRule, Resampler, Step};
use crate::restore::interpolates_whole;
use crate::volume::{Box3, Geometry, Region, WhenGlobal};

/// Boxes that are computed together, in the order of the volume's axes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    /// The box around them.
    pub around: Box3,
    /// The boxes whose labels are asked for.
    pub boxes: Vec<Box3>,
}

impl Plan {
    /// The boxes of a region in groups: some are computed together where that takes no more tiles.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for boxes that aren't on the grid, [`Error::Unsupported`] where labels depend on the
    /// whole image and the region doesn't want that computed.
    pub(super) fn groups(&self, geometry: &Geometry, region: &Region) -> Result<Vec<Group>> {
        region.check(geometry)?;
        let whole = Box3::whole(geometry.shape);
        if region.is_whole() {
            return Ok(vec![Group { around: whole, boxes: vec![whole] }]);
        }
        if let Some(what) = self.global(geometry)? {
            if region.when_global == WhenGlobal::Refuse {
                return Err(Error::unsupported(format!("a region alone: {what}")));
            }
            return Ok(vec![Group { around: whole, boxes: region.boxes.clone() }]);
        }
        let mut groups: Vec<(Group, usize)> = Vec::new();
        for &part in &region.boxes {
            let mut group = Group { around: part, boxes: vec![part] };
            let mut tiles = self.tiles_around(geometry, &part)?;
            let mut index = 0;
            while index < groups.len() {
                let around = groups[index].0.around.around(&group.around);
                let together = self.tiles_around(geometry, &around)?;
                if together <= tiles + groups[index].1 {
                    let (other, _) = groups.swap_remove(index);
                    group.boxes.extend(other.boxes);
                    (group.around, tiles, index) = (around, together, 0);
                } else {
                    index += 1;
                }
            }
            groups.push((group, tiles));
        }
        Ok(groups.into_iter().map(|(group, _)| group).collect())
    }

    /// What labels depend on beyond the tiles around them, of this model, its stages and members.
    pub(crate) fn global(&self, geometry: &Geometry) -> Result<Option<String>> {
        let rules = self.recipe.cleanup.iter().find_map(|Cleanup { rule, .. }| match rule {
            LabelRule::Largest(_) => Some("the model keeps the largest components of labels"),
            LabelRule::RemoveSmall(_) => Some("the model removes small objects"),
            LabelRule::FillHoles(_) => Some("the model fills holes"),
            LabelRule::Filter(_) | LabelRule::Map(_) => None,
        });
        let rules = rules.or((self.postprocess).then_some("its postprocessing keeps largest components"));
        if let Some(rules) = rules {
            return Ok(Some(rules.into()));
        }
        let map = self.recipe.network_axes(geometry);
        let shape = map.apply(geometry.shape);
        let mut trace = Trace::new(map, geometry);
        if self.recipe.resample().is_some() {
            trace.changes.push(GridChange::Resampled(shape));
        }
        if interpolates_whole(&self.recipe, &trace, self.recipe.network_shape(geometry)?)? {
            return Ok(Some(
                "the model's scores are interpolated by splines that reach over the whole image".into(),
            ));
        }
        for earlier in self.earlier() {
            if let Some(what) = earlier.global(geometry)? {
                return Ok(Some(what));
            }
        }
        Ok(None)
    }

    /// The box of the network's image that a box of the volume needs, where nothing is cut off.
    pub(super) fn needed(&self, geometry: &Geometry, part: &Box3) -> Result<Box3> {
        let network = self.recipe.network_shape(geometry)?;
        // What a resizing makes of a box depends on what was cut off before.
        if part.is_whole(geometry.shape)
            || self.recipe.steps.iter().any(|step| matches!(step, Step::Resize(_)))
        {
            return Ok(Box3::whole(network));
        }
        let map = self.recipe.network_axes(geometry);
        let shape = map.apply(geometry.shape);
        Ok(map.to_array(geometry.shape, part).scaled(shape, network))
    }

    /// Tiles that touch a box of the volume, where nothing is cut off.
    pub(super) fn tiles_around(&self, geometry: &Geometry, part: &Box3) -> Result<usize> {
        let tiles = self.tiles(self.recipe.network_shape(geometry)?)?;
        if part.is_whole(geometry.shape) {
            return Ok(tiles.len());
        }
        Ok(tiles.touching(&self.needed(geometry, part)?)?.0.len())
    }

    /// The largest part of the network's image that tiles around a box of the volume may cover, wherever they lie.
    pub(super) fn covered(&self, geometry: &Geometry, part: &Box3) -> Result<[usize; 3]> {
        let network = self.recipe.network_shape(geometry)?;
        let (needed, patch) = (self.needed(geometry, part)?.shape(), self.recipe.tiling.patch);
        // Two voxels more on each side where labels are brought back.
        Ok([0, 1, 2].map(|axis| network[axis].min(needed[axis] + 4 + 2 * (patch[axis] - 1))))
    }

    /// The boxes of the volume that a previous stage is asked for.
    pub(super) fn seen_by(&self, geometry: &Geometry, groups: &[Group]) -> Result<Vec<Group>> {
        let seen = |group: &Group| {
            let around = self.seen_around(geometry, &group.around)?;
            Ok(Group { around, boxes: vec![around] })
        };
        groups.iter().map(seen).collect()
    }

    /// The region that earlier stages and members are asked for.
    pub(super) fn earlier_region(
        &self,
        geometry: &Geometry,
        region: &Region,
        groups: &[Group],
    ) -> Result<Region> {
        if self.previous.is_none() || region.is_whole() {
            return Ok(region.clone());
        }
        let boxes = self.seen_by(geometry, groups)?.into_iter().map(|group| group.around).collect();
        Ok(Region { boxes, when_global: region.when_global })
    }

    /// The box of the volume in which tiles around another one may see labels of a previous stage.
    pub(super) fn seen_around(&self, geometry: &Geometry, part: &Box3) -> Result<Box3> {
        if part.is_whole(geometry.shape) {
            return Ok(*part);
        }
        let splines = |rule: &Resampler| match rule {
            Resampler::Spline(spline) => spline.orders.order > 1 || spline.orders.order_z > 1,
            _ => false,
        };
        if self.recipe.resample().is_some_and(|step| splines(&step.labels)) {
            return Ok(Box3::whole(geometry.shape));
        }
        let map = self.recipe.network_axes(geometry);
        let (shape, network) = (map.apply(geometry.shape), self.recipe.network_shape(geometry)?);
        let tiles = self.needed(geometry, part)?.widened(self.recipe.tiling.patch, network);
        // Both neighbours of an interpolation, wherever a crop to nonzero voxels lets the grid begin.
        let more = [0, 1, 2].map(|axis| 2 + 2 * shape[axis].div_ceil(network[axis].max(1)));
        Ok(map.to_volume(geometry.shape, &tiles.scaled(network, shape).widened(more, shape)))
    }
}
