//! Prompts as the network sees them. They are kept as what they are, and painted where the network looks; nothing as
//! large as the volume is made of them. The numbers are those of nnInteractive's half-precision channels.

use std::sync::Arc;

use half::f16;
use ndarray::{Array3, ArrayViewMut3, Axis};

use super::Prompt;
use super::region::{Placed, Region};
use crate::buffer;
use crate::error::Result;
use crate::recipe::{Painting, PromptKind};

/// The largest number of half precision, beyond which all that is painted becomes less.
const LARGEST: f64 = 65504.0;
/// What the largest becomes then.
const RESCALED: f64 = 6550.4;

/// Where the network looks next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Look {
    pub center: [i64; 3],
    /// How much more than the patch it sees.
    pub zoom: f64,
    /// Whether all of the object is looked at again.
    pub all: bool,
}

/// One prompt in a channel.
#[derive(Clone)]
struct Painted {
    channel: usize,
    /// May reach beyond the volume.
    region: Region,
    shape: Shape,
    strength: f64,
    /// What it was multiplied by since.
    rescaled: Vec<f32>,
}

#[derive(Clone)]
enum Shape {
    /// Takes the place of what was there.
    Box,
    /// Adds to what was there.
    Ball(Arc<Array3<f64>>),
    /// As a ball.
    Mask(Arc<Array3<u8>>),
}

/// All that a session was asked so far.
#[derive(Clone)]
pub(super) struct Prompts {
    painted: Vec<Painted>,
    /// What the next prompt is painted with grows, so that earlier ones count less.
    pub strength: f64,
    /// What the next run looks at.
    pub look: Option<Look>,
    ball: Arc<Array3<f64>>,
}

/// The largest in the middle of a ball, falling to its edge: each voxel's distance from what isn't the ball.
fn ball(radius: usize) -> Result<Array3<f64>> {
    let from_middle = |index: usize| index.abs_diff(radius).pow(2);
    let square = |z, y, x| {
        let inside = from_middle(z) + from_middle(y) + from_middle(x) <= radius * radius;
        if inside { f64::INFINITY } else { 0.0 }
    };
    let mut ball = buffer::from_fn("a point's ball", [2 * radius + 1; 3], square)?;
    // Squares of distances along one axis after the other.
    for axis in 0..3 {
        for mut line in ball.lanes_mut(Axis(axis)) {
            let before = buffer::collect("a point's ball", line.iter().copied())?;
            let distance = |at: usize, from: usize| at.abs_diff(from).pow(2) as f64 + before[from];
            let nearest = |at| (0..before.len()).map(|from| distance(at, from)).fold(f64::INFINITY, f64::min);
            line.iter_mut().enumerate().for_each(|(at, value)| *value = nearest(at));
        }
    }
    let most = ball.iter().fold(0.0, |most: f64, &one| most.max(one)).sqrt();
    // Without an edge a point is one voxel.
    ball.iter_mut().for_each(|value| *value = if most.is_finite() { value.sqrt() / most } else { 1.0 });
    Ok(ball)
}

impl Prompts {
    pub fn new(prompting: &Painting) -> Result<Self> {
        let ball = Arc::new(ball(prompting.point_radius)?);
        Ok(Prompts { painted: Vec::new(), strength: 1.0, look: None, ball })
    }

    /// Forgets all.
    pub fn reset(&mut self) {
        self.painted.clear();
        (self.strength, self.look) = (1.0, None);
    }

    /// Adds a prompt that was checked; not a mask that a session begins with.
    pub fn add(
        &mut self,
        prompt: &Prompt,
        kind: PromptKind,
        prompting: &Painting,
        volume: &Region,
        patch: [usize; 3],
    ) {
        if prompting.decay < 1.0 {
            self.strength /= prompting.decay;
        }
        if self.strength > LARGEST {
            let factor = (RESCALED / self.strength) as f32;
            self.painted.iter_mut().for_each(|painted| painted.rescaled.push(factor));
            self.strength = RESCALED;
        }
        let Some(channels) = prompting.channels_of(kind) else { return };
        let (label, region, shape, look) = match prompt {
            Prompt::Point { at, label } => {
                let [x, y, z] = at.map(|place| place.round_ties_even() as i64);
                let center = [z, y, x];
                let region = Region::around(center, [2 * prompting.point_radius + 1; 3]);
                (*label, region, Shape::Ball(self.ball.clone()), Look { center, zoom: 1.0, all: false })
            }
            Prompt::Box { start, end, label } => {
                let turned = |[x, y, z]: [i64; 3]| [z, y, x];
                let region = Region { start: turned(*start), end: turned(*end) }.clip(volume);
                (*label, region, Shape::Box, Look::at(&region, patch, false))
            }
            Prompt::Scribble { mask, label } | Prompt::Lasso { mask, label } => {
                let Some(extent) = extent(&mask.voxels, &mask.region, volume) else { return };
                let shape = Shape::Mask(mask.voxels.clone());
                (*label, mask.region, shape, Look::at(&extent, patch, false))
            }
            Prompt::Mask(_) => return,
        };
        let channel = channels[usize::from(label == 0)];
        self.painted.push(Painted { channel, region, shape, strength: self.strength, rescaled: Vec::new() });
        self.look = Some(look);
    }

    /// The part of a region in which a channel may have something.
    pub fn extent(&self, channel: usize, region: &Region) -> Option<Region> {
        let regions = self.painted.iter().filter(|painted| painted.channel == channel);
        let regions = regions.map(|painted| painted.region.clip(region)).filter(|part| !part.is_empty());
        regions.reduce(|all, one| all.union(&one))
    }

    /// Paints a channel of a region into an array of zeros; what lies outside of the volume stays.
    pub fn paint(&self, channel: usize, region: &Region, volume: &Region, mut out: ArrayViewMut3<f16>) {
        for painted in self.painted.iter().filter(|painted| painted.channel == channel) {
            let part = painted.region.clip(region).clip(volume);
            if part.is_empty() {
                continue;
            }
            let flat = painted.value(1.0);
            let (from, to, [planes, rows, columns]) =
                (part.offset_in(&painted.region), part.offset_in(region), part.shape());
            for (z, y) in (0..planes).flat_map(|z| (0..rows).map(move |y| (z, y))) {
                for x in 0..columns {
                    let value = &mut out[[to[0] + z, to[1] + y, to[2] + x]];
                    let source = [from[0] + z, from[1] + y, from[2] + x];
                    match &painted.shape {
                        Shape::Box => *value = flat,
                        Shape::Ball(ball) => *value = value.max(painted.value(ball[source])),
                        Shape::Mask(mask) if mask[source] != 0 => *value = value.max(flat),
                        Shape::Mask(_) => {}
                    }
                }
            }
        }
    }
}

impl Painted {
    /// The stored number of a voxel with this share of the strength.
    fn value(&self, share: f64) -> f16 {
        let first = f16::from_f64(share * self.strength);
        self.rescaled.iter().fold(first, |value, factor| f16::from_f32(value.to_f32() * factor))
    }
}

impl Look {
    /// At a box, from so far away that a third of the patch is left around the box.
    pub fn at(region: &Region, patch: [usize; 3], all: bool) -> Self {
        let middle = |axis: usize| (region.start[axis] + region.end[axis]) as f64 / 2.0;
        let zoom = |axis: usize| (region.shape()[axis] + patch[axis] / 3) as f64 / patch[axis] as f64;
        Look {
            center: [0, 1, 2].map(|axis| middle(axis).round_ties_even() as i64),
            zoom: (0..3).map(zoom).fold(1.0, f64::max),
            all,
        }
    }
}

/// The part of the volume that a mask's voxels lie in.
pub(super) fn extent(voxels: &Array3<u8>, region: &Region, volume: &Region) -> Option<Region> {
    let mut found: Option<Region> = None;
    for ((z, y, x), _) in voxels.indexed_iter().filter(|(_, voxel)| **voxel != 0) {
        let start = [0, 1, 2].map(|axis| [z, y, x][axis] as i64 + region.start[axis]);
        let voxel = Region { start, end: start.map(|index| index + 1) };
        if !voxel.clip(volume).is_empty() {
            found = Some(found.map_or(voxel, |found| found.union(&voxel)));
        }
    }
    found
}

/// A mask in the whole volume.
pub(super) fn in_volume(mask: &super::Mask, volume: &Region) -> Result<Placed> {
    let mut whole = Placed::empty(*volume)?;
    let part = mask.region.clip(volume);
    let (from, to) = (part.offset_in(&mask.region), part.offset_in(volume));
    let [planes, rows, columns] = part.shape();
    for (z, y) in (0..planes).flat_map(|z| (0..rows).map(move |y| (z, y))) {
        for x in 0..columns {
            let voxel = mask.voxels[[from[0] + z, from[1] + y, from[2] + x]];
            whole.values[[to[0] + z, to[1] + y, to[2] + x]] = voxel;
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balls_fall_from_the_middle_to_the_edge() {
        let ball = ball(4).unwrap();
        assert_eq!((ball[[4, 4, 4]], ball[[0, 0, 0]], ball.dim()), (1.0, 0.0, (9, 9, 9)));
        // What isn't the ball is nearest to its middle at (4, 1, 0) and the like.
        let most = 17.0_f64.sqrt();
        assert!((ball[[4, 4, 0]] - 1.0 / most).abs() < 1e-12, "{}", ball[[4, 4, 0]]);
        assert_eq!(super::ball(0).unwrap()[[0, 0, 0]], 1.0);
    }

    #[test]
    fn strengths_stay_within_half_precision() {
        let prompting = Painting {
            point_radius: 1,
            decay: 0.5,
            channels: 3,
            previous: 0,
            painted: vec![(PromptKind::Point, [1, 2])],
            initial: false,
        };
        let volume = Region::of_shape([5; 3]);
        let mut prompts = Prompts::new(&prompting).unwrap();
        let point = Prompt::Point { at: [2.0; 3], label: 1 };
        for _ in 0..40 {
            prompts.add(&point, PromptKind::Point, &prompting, &volume, [4; 3]);
            assert!(prompts.strength <= LARGEST);
        }
        let mut out = Array3::from_elem((5, 5, 5), f16::ZERO);
        prompts.paint(1, &volume, &volume, out.view_mut());
        assert_eq!(out[[2, 2, 2]], f16::from_f64(prompts.strength));
        assert!(out.iter().all(|value| value.is_finite()));
        assert_eq!(prompts.extent(2, &volume), None);
        assert_eq!(prompts.extent(1, &volume), Some(Region { start: [1; 3], end: [4; 3] }));
    }
}
