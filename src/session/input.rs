//! The network's input: the image and the prompts around a voxel, near or from further away.

use half::f16;
use ndarray::{Array3, Array4, ArrayViewMut3, Axis, s};

use super::painted::Prompts;
use super::region::{Placed, Region};
use super::spread::spread;
use crate::error::Result;
use crate::preprocess::resample::torch;
use crate::recipe::{Painting, PromptKind};
use crate::{buffer, parallel};

/// What the network's input is cut from.
pub(super) struct Source<'a> {
    /// Channel, z, y, x.
    pub image: &'a Array4<f32>,
    pub volume: Region,
    pub prompts: &'a Prompts,
    pub prompting: &'a Painting,
    pub patch: [usize; 3],
    pub threads: usize,
}

/// The size of what is seen at a zoom.
pub(super) fn seen(patch: [usize; 3], zoom: f64) -> [usize; 3] {
    patch.map(|length| (length as f64 * zoom).round_ties_even() as usize)
}

/// How wide cubes are that points and strokes become when they are seen from further away: the nearest odd number.
fn spread_at(zoom: f64) -> usize {
    let width = 2.0 * zoom - 1.0;
    let odd = |number: f64| (number as usize) % 2 == 1;
    match (width.ceil(), width.floor()) {
        (up, _) if odd(up) => up as usize,
        (_, down) if odd(down) => down as usize,
        _ => width.round_ties_even() as usize + 1,
    }
}

impl Source<'_> {
    /// Fills the input, [channel, patch…], with what lies in `crop`; `previous` is the mask so far.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn cut(&self, crop: &Region, zoom: f64, previous: &Placed, input: &mut [f32]) -> Result<()> {
        let channels = self.image.dim().0;
        let voxels: usize = self.patch.iter().product();
        let (image, prompts) = input.split_at_mut(channels * voxels);
        let near = crop.shape() == self.patch;
        for (channel, out) in image.chunks_exact_mut(voxels).enumerate() {
            if near { self.copy_image(channel, crop, out) } else { self.shrink_image(channel, crop, out)? }
        }
        for (channel, out) in prompts.chunks_exact_mut(voxels).enumerate() {
            match (channel == self.prompting.previous, near) {
                (true, true) => {
                    let mask = previous.copy(*crop)?;
                    out.iter_mut().zip(&mask.values).for_each(|(out, &value)| *out = f32::from(value));
                }
                (true, false) => {
                    self.shrink(crop, crop, out, |place| f32::from(previous.at(place)), |mean| mean)
                }
                (false, _) => self.prompts(channel, crop, zoom, near, out)?,
            }
        }
        Ok(())
    }

    /// The image as it is, zeros beyond it.
    fn copy_image(&self, channel: usize, crop: &Region, out: &mut [f32]) {
        let part = crop.clip(&self.volume);
        out.fill(0.0);
        if part.is_empty() {
            return;
        }
        let ([z, y, x], [planes, rows, columns]) = (part.offset_in(&self.volume), part.shape());
        let source = self.image.slice(s![channel, z..z + planes, y..y + rows, x..x + columns]);
        let to = part.offset_in(crop);
        for (z, plane) in source.outer_iter().enumerate() {
            for (y, row) in plane.outer_iter().enumerate() {
                let first = ((to[0] + z) * self.patch[1] + to[1] + y) * self.patch[2] + to[2];
                out[first..first + columns].iter_mut().zip(row).for_each(|(out, &value)| *out = value);
            }
        }
    }

    /// The image between its voxels, as PyTorch interpolates a copy of it with zeros around.
    fn shrink_image(&self, channel: usize, crop: &Region, out: &mut [f32]) -> Result<()> {
        let size = crop.shape();
        let taps = |axis: usize| torch::linear(size[axis], self.patch[axis]);
        let (planes, rows, columns) = (taps(0)?, taps(1)?, taps(2)?);
        let shape = self.volume.shape();
        let value = |z: usize, y: usize, x: usize| {
            let place = [z as i64 + crop.start[0], y as i64 + crop.start[1], x as i64 + crop.start[2]];
            let inside = (0..3).all(|axis| place[axis] >= 0 && place[axis] < shape[axis] as i64);
            if inside {
                self.image[[channel, place[0] as usize, place[1] as usize, place[2] as usize]]
            } else {
                0.0
            }
        };
        let whole = out.chunks_exact_mut(self.patch[1] * self.patch[2]).zip(&planes);
        parallel::for_each(self.threads, whole, |(plane, (z, weights))| {
            for (row, (y, down)) in plane.chunks_exact_mut(self.patch[2]).zip(&rows) {
                for (out, (x, across)) in row.iter_mut().zip(&columns) {
                    let along = |z, y| value(z, y, x[0]) * across[0] + value(z, y, x[1]) * across[1];
                    let area = |z| along(z, y[0]) * down[0] + along(z, y[1]) * down[1];
                    *out = area(z[0]) * weights[0] + area(z[1]) * weights[1];
                }
            }
        });
        Ok(())
    }

    /// A channel of prompts in units of the last one's strength.
    fn prompts(&self, channel: usize, crop: &Region, zoom: f64, near: bool, out: &mut [f32]) -> Result<()> {
        out.fill(0.0);
        let strength = self.prompts.strength as f32;
        let relative = |value: f32| f16::from_f32(f16::from_f32(value).to_f32() / strength).to_f32();
        let Some(extent) = self.prompts.extent(channel, crop) else { return Ok(()) };
        if near {
            let mut painted = blank(extent.shape())?;
            self.prompts.paint(channel, &extent, &self.volume, painted.view_mut());
            let place = ArrayViewMut3::from_shape(self.patch, out);
            let Ok(mut place) = place else { return Ok(()) };
            let ([z, y, x], [planes, rows, columns]) = (extent.offset_in(crop), extent.shape());
            let mut place = place.slice_mut(s![z..z + planes, y..y + rows, x..x + columns]);
            place.zip_mut_with(&painted, |out, value| *out = relative(value.to_f32()));
            return Ok(());
        }
        // Points and strokes are thin, and would vanish.
        let thin = [PromptKind::Point, PromptKind::Scribble];
        let mut thin = thin.iter().filter_map(|&kind| self.prompting.channels_of(kind));
        let radius = if thin.any(|channels| channels.contains(&channel)) { spread_at(zoom) / 2 } else { 0 };
        let extent = extent.grown(radius as i64).clip(crop);
        let mut painted = blank(extent.shape())?;
        self.prompts.paint(channel, &extent, &self.volume, painted.view_mut());
        if radius > 0 {
            spread(&mut painted, radius, self.threads, f16::max)?;
        }
        let at = |place: [i64; 3]| {
            let index = [0, 1, 2].map(|axis| (place[axis] - extent.start[axis]) as usize);
            painted[index].to_f32()
        };
        self.shrink(crop, &extent, out, at, relative);
        Ok(())
    }

    /// Means of what lies in `extent` of the crop, zeros around it, over the voxels that one of the patch stands for;
    /// each through `finish`.
    fn shrink(
        &self,
        crop: &Region,
        extent: &Region,
        out: &mut [f32],
        at: impl Fn([i64; 3]) -> f32 + Sync,
        finish: impl Fn(f32) -> f32 + Sync,
    ) {
        let (patch, size) = (self.patch, crop.shape());
        let window = |axis: usize, index: usize| {
            let low = index * size[axis] / patch[axis];
            let high = ((index + 1) * size[axis]).div_ceil(patch[axis]);
            let start = crop.start[axis];
            (start + low as i64, start + high as i64)
        };
        let inside =
            |axis: usize, (low, high): (i64, i64)| low.max(extent.start[axis])..high.min(extent.end[axis]);
        let planes = out.chunks_exact_mut(patch[1] * patch[2]).enumerate();
        parallel::for_each(self.threads, planes, |(z, plane)| {
            let deep = window(0, z);
            for (index, out) in plane.iter_mut().enumerate() {
                let (high, wide) = (window(1, index / patch[2]), window(2, index % patch[2]));
                let (mut sum, count) = (0.0_f32, [deep, high, wide].map(|(low, high)| (high - low) as f32));
                for z in inside(0, deep) {
                    for y in inside(1, high) {
                        inside(2, wide).for_each(|x| sum += at([z, y, x]));
                    }
                }
                *out = finish(f16::from_f32(sum / count[0] / count[1] / count[2]).to_f32());
            }
        });
    }
}

fn blank(shape: [usize; 3]) -> Result<Array3<f16>> {
    buffer::array("painted prompts", shape, f16::ZERO)
}

/// The mask so far as it is at the network's size, to the nearest voxel.
pub(super) fn nearest(previous: &Placed, crop: &Region, patch: [usize; 3]) -> Result<Array3<u8>> {
    if crop.shape() == patch {
        return Ok(previous.copy(*crop)?.values);
    }
    let size = crop.shape();
    let place = |axis: usize, index: usize| crop.start[axis] + (index * size[axis] / patch[axis]) as i64;
    buffer::from_fn("a mask", patch, |z, y, x| previous.at([place(0, z), place(1, y), place(2, x)]))
}

/// A mask of the network's size as it is in the part of a crop that lies in the volume: at least a half between voxels.
pub(super) fn enlarged(mask: &Array3<u8>, crop: &Region, part: Region, threads: usize) -> Result<Placed> {
    let mut placed = Placed::empty(part)?;
    let (patch, size): ([usize; 3], _) = (mask.dim().into(), crop.shape());
    let taps = |axis: usize| torch::linear(patch[axis], size[axis]);
    let (planes, rows, columns) = (taps(0)?, taps(1)?, taps(2)?);
    let [first, down, across] = part.offset_in(crop);
    let value = |z: usize, y: usize, x: usize| f32::from(mask[[z, y, x]]);
    let whole = placed.values.axis_iter_mut(Axis(0)).zip(planes.get(first..).unwrap_or_default());
    parallel::for_each(threads, whole, |(mut plane, (z, weights))| {
        for (mut row, (y, heights)) in plane.outer_iter_mut().zip(&rows[down..]) {
            for (out, (x, widths)) in row.iter_mut().zip(&columns[across..]) {
                let along = |z, y| value(z, y, x[0]) * widths[0] + value(z, y, x[1]) * widths[1];
                let area = |z| along(z, y[0]) * heights[0] + along(z, y[1]) * heights[1];
                *out = u8::from(area(z[0]) * weights[0] + area(z[1]) * weights[1] >= 0.5);
            }
        }
    });
    Ok(placed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thin_prompts_grow_with_the_distance() {
        assert_eq!([1.5, 2.25, 3.375, 4.0].map(spread_at), [3, 3, 5, 7]);
        assert_eq!(seen([96, 97, 192], 1.5), [144, 146, 288]);
    }

    #[test]
    fn masks_keep_their_place_when_they_are_enlarged() {
        let mut mask = Array3::<u8>::zeros((4, 4, 4));
        mask.slice_mut(s![1..3, 1..3, 1..3]).fill(1);
        let crop = Region { start: [-2; 3], end: [6; 3] };
        let large = enlarged(&mask, &crop, crop.clip(&Region::of_shape([6; 3])), 2).unwrap();
        assert_eq!(large.extent(), Some(Region { start: [0; 3], end: [4; 3] }));
        // Corners are less than half of the object between voxels.
        mask[[1, 1, 1]] = 0;
        assert_eq!(nearest(&large, &crop, [4; 3]).unwrap(), mask);
    }
}
