//! Borrowed voxels with their layout.

use half::f16;

use super::{AxisMap, DType, Element, Geometry, LOWEST};
use crate::error::{Error, Result};
use crate::parallel;

/// Where voxels lie in a buffer, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Position of voxel (0, 0, 0).
    pub offset: usize,
    /// Distance between neighbours along each axis.
    pub strides: [isize; 3],
}

impl Layout {
    /// Axis 0 the fastest, nothing between the voxels.
    pub fn dense(shape: [usize; 3], dtype: DType) -> Self {
        let size = dtype.size() as isize;
        Layout { offset: 0, strides: [size, size * shape[0] as isize, size * (shape[0] * shape[1]) as isize] }
    }

    /// Where a voxel lies.
    fn position(&self, voxel: [usize; 3]) -> usize {
        let steps = voxel.iter().zip(&self.strides).map(|(&index, &stride)| index as isize * stride);
        self.offset.wrapping_add_signed(steps.sum())
    }

    /// The first byte and the end of all voxels; `None` when they don't fit into any buffer.
    fn extent(&self, shape: [usize; 3], size: usize) -> Option<(usize, usize)> {
        let (mut low, mut high) = (self.offset as i128, self.offset as i128);
        for (&count, &stride) in shape.iter().zip(&self.strides) {
            let reach = (count as i128 - 1) * stride as i128;
            if reach < 0 { low += reach } else { high += reach }
        }
        high += size as i128;
        Some((usize::try_from(low).ok()?, usize::try_from(high).ok().filter(|&h| h <= isize::MAX as usize)?))
    }

    /// Refuses layouts that leave a buffer of `available` bytes, and voxels that share bytes: so what is made for each
    /// of them isn't larger than memory that is there. `names` are those of the buffer and its strides.
    pub(crate) fn check(
        &self,
        shape: [usize; 3],
        size: usize,
        available: usize,
        names: [&'static str; 2],
    ) -> Result<()> {
        let [argument, strides] = names;
        match self.extent(shape, size) {
            Some((_, end)) if end <= available => {}
            Some((_, end)) => {
                return Err(Error::BufferTooSmall {
                    argument,
                    found: available as u64,
                    expected: end as u64,
                });
            }
            None => {
                return Err(Error::argument(
                    strides,
                    format!("{:?} with offset {} and shape {shape:?}", self.strides, self.offset),
                    "voxels that all lie in the buffer",
                ));
            }
        }
        let mut axes: Vec<usize> = (0..3).filter(|&axis| shape[axis] > 1).collect();
        axes.sort_by_key(|&axis| self.strides[axis].unsigned_abs());
        let mut reach = size;
        for axis in axes {
            let stride = self.strides[axis].unsigned_abs();
            if stride < reach {
                let found = format!("{:?} with shape {shape:?}", self.strides);
                return Err(Error::argument(strides, found, "strides that give each voxel bytes of its own"));
            }
            reach += stride * (shape[axis] - 1);
        }
        Ok(())
    }
}

/// An image: one or several channels on one grid, borrowed from the caller.
#[derive(Clone, Debug)]
pub struct Volume<'a> {
    geometry: Geometry,
    dtype: DType,
    layout: Layout,
    channels: Vec<&'a [u8]>,
    swapped: bool,
    slope: f64,
    intercept: f64,
    /// What intensities that aren't finite are read as.
    substitute: Option<f32>,
}

impl<'a> Volume<'a> {
    /// One buffer a channel, all with the same type and layout.
    ///
    /// # Errors
    /// [`Error::Geometry`] for an impossible grid, [`Error::BufferTooSmall`] or [`Error::InvalidArgument`] when
    /// voxels lie outside of a buffer, [`Error::InvalidArgument`] when they share bytes.
    pub fn new(geometry: Geometry, dtype: DType, layout: Layout, channels: Vec<&'a [u8]>) -> Result<Self> {
        geometry.check()?;
        if channels.is_empty() {
            return Err(Error::argument("volume.channels", 0, "at least 1"));
        }
        for channel in &channels {
            layout.check(geometry.shape, dtype.size(), channel.len(), ["volume.data", "volume.strides"])?;
        }
        let (slope, intercept) = (1.0, 0.0);
        Ok(Volume { geometry, dtype, layout, channels, swapped: false, slope, intercept, substitute: None })
    }

    /// Intensity = stored value · slope + intercept.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a slope of zero or values that are not finite.
    pub fn with_scaling(mut self, slope: f64, intercept: f64) -> Result<Self> {
        if !slope.is_finite() || slope == 0.0 {
            return Err(Error::argument("volume.slope", slope, "a finite number other than 0"));
        }
        if !intercept.is_finite() {
            return Err(Error::argument("volume.intercept", intercept, "a finite number"));
        }
        (self.slope, self.intercept) = (slope, intercept);
        Ok(self)
    }

    /// Whether voxels are in the other byte order than the machine's.
    #[must_use]
    pub fn with_swapped_bytes(mut self, swapped: bool) -> Self {
        self.swapped = swapped;
        self
    }

    /// The voxels from `start` to before `end` along each axis.
    pub(crate) fn part(&self, start: [usize; 3], end: [usize; 3]) -> Self {
        let mut part = self.clone();
        let Geometry { shape, spacing, origin, direction } = &mut part.geometry;
        for axis in 0..3 {
            shape[axis] = end[axis] - start[axis];
            let skipped = spacing[axis] * start[axis] as f64;
            origin.iter_mut().zip(&*direction).for_each(|(origin, row)| *origin += row[axis] * skipped);
        }
        part.layout.offset = self.layout.position(start);
        part
    }

    /// The same voxels with their axes in the order and direction of the array that `map` makes.
    pub(crate) fn along(&self, map: &AxisMap) -> Self {
        let shape = self.geometry.shape;
        let first = [0, 1, 2].map(|axis| {
            let flipped = (0..3).any(|n| map.axis[n] == axis && map.flip[n]);
            if flipped { shape[axis] - 1 } else { 0 }
        });
        let stride = |n: usize| {
            let stride = self.layout.strides[map.axis[n]];
            if map.flip[n] { -stride } else { stride }
        };
        let layout = Layout { offset: self.layout.position(first), strides: [0, 1, 2].map(stride) };
        Volume { geometry: map.grid(&self.geometry), layout, ..self.clone() }
    }

    /// The same voxels with other distances.
    pub(crate) fn with_spacing(mut self, spacing: [f64; 3]) -> Self {
        self.geometry.spacing = spacing;
        self
    }

    /// The same voxels, those whose intensity isn't finite read as this; `None`: as they are.
    pub(crate) fn with_substitute(mut self, substitute: Option<f32>) -> Self {
        self.substitute = substitute;
        self
    }

    /// The same voxels; those that would be read as the lowest integer ([`super::NonFinite::Lowest`]) as they are.
    pub(crate) fn without_lowest(self) -> Self {
        let substitute = self.substitute.filter(|&substitute| substitute != LOWEST as f32);
        self.with_substitute(substitute)
    }

    /// Every so many voxels along each axis.
    pub(crate) fn every(&self, steps: [usize; 3]) -> Self {
        let mut thinned = self.clone();
        thinned.layout.offset = self.layout.position(steps.map(|step| (step - 1) / 2));
        for (axis, &step) in steps.iter().enumerate() {
            let count = &mut thinned.geometry.shape[axis];
            *count = (*count - (step - 1) / 2).div_ceil(step);
            thinned.layout.strides[axis] *= step as isize;
        }
        thinned
    }

    /// Its grid.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// The type of its stored voxels.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Whether an intensity may not be finite: integers always are, unless their scaling leaves single precision.
    pub(crate) fn may_be_non_finite(&self) -> bool {
        let largest = match self.dtype {
            DType::F16 | DType::F32 | DType::F64 => return true,
            DType::I8 | DType::U8 => f64::from(u8::MAX),
            DType::I16 | DType::U16 => f64::from(u16::MAX),
            DType::I32 | DType::U32 => f64::from(u32::MAX),
        };
        !((largest * self.slope.abs() + self.intercept.abs()) as f32).is_finite()
    }

    /// The bytes of a channel, and how they become intensities.
    pub(super) fn stored_channel(&self, channel: usize) -> (&'a [u8], Decode) {
        let scale = (!self.is_unscaled()).then_some((self.slope, self.intercept));
        (self.channels[channel], Decode { swapped: self.swapped, scale, substitute: self.substitute })
    }

    /// A walk over all voxels as an array along `map`, and the array's shape.
    pub(super) fn walk(&self, map: &AxisMap) -> (Walk, [usize; 3]) {
        let shape = map.apply(self.geometry.shape);
        (Walk::new(&self.layout, self.geometry.shape, map, [0; 3], shape), shape)
    }

    /// Whether stored values are intensities.
    pub(crate) fn is_unscaled(&self) -> bool {
        self.slope == 1.0 && self.intercept == 0.0
    }

    /// Whether voxels are in the other byte order than the machine's.
    pub(crate) fn is_swapped(&self) -> bool {
        self.swapped
    }

    /// The bytes of a voxel of the first channel.
    pub(crate) fn stored(&self, voxel: [usize; 3]) -> &'a [u8] {
        &self.channels[0][self.layout.position(voxel)..][..self.dtype.size()]
    }

    /// The map whose array has its last axis along the voxels that lie closest in memory, its first along the
    /// furthest.
    pub(crate) fn memory_order(&self) -> AxisMap {
        let mut axis = [2, 1, 0];
        axis.sort_by_key(|&axis| std::cmp::Reverse(self.layout.strides[axis].unsigned_abs()));
        AxisMap { axis, flip: [false; 3] }
    }

    /// The labels of the box `start..start+shape` of the array that `map` makes of the first channel, last array
    /// axis fastest.
    pub(crate) fn read_labels(&self, map: &AxisMap, start: [usize; 3], shape: [usize; 3], out: &mut [u32]) {
        let read = match self.dtype {
            DType::I8 => read_labels::<i8>,
            DType::U8 => read_labels::<u8>,
            DType::I16 => read_labels::<i16>,
            DType::U16 => read_labels::<u16>,
            DType::I32 => read_labels::<i32>,
            DType::U32 => read_labels::<u32>,
            DType::F16 => read_labels::<f16>,
            DType::F32 => read_labels::<f32>,
            DType::F64 => read_labels::<f64>,
        };
        let walk = Walk::new(&self.layout, self.geometry.shape, map, start, shape);
        read(self.channels[0], &walk, shape, self.swapped, out);
    }

    /// The intensities of the box `start..start+shape` of the array that `map` makes of this volume, as f32,
    /// last array axis fastest.
    pub(crate) fn read(
        &self,
        channel: usize,
        map: &AxisMap,
        start: [usize; 3],
        shape: [usize; 3],
        out: &mut [f32],
        threads: usize,
    ) {
        let read = match self.dtype {
            DType::I8 => read::<i8>,
            DType::U8 => read::<u8>,
            DType::I16 => read::<i16>,
            DType::U16 => read::<u16>,
            DType::I32 => read::<i32>,
            DType::U32 => read::<u32>,
            DType::F16 => read::<f16>,
            DType::F32 => read::<f32>,
            DType::F64 => read::<f64>,
        };
        let walk = Walk::new(&self.layout, self.geometry.shape, map, start, shape);
        let (bytes, decode) = self.stored_channel(channel);
        let planes = out.chunks_exact_mut((shape[1] * shape[2]).max(1)).enumerate();
        parallel::for_each(threads, planes, |(z, plane)| read(bytes, &walk, z, decode, plane));
    }
}

/// Byte positions of an array's voxels in a buffer.
pub(crate) struct Walk {
    start: isize,
    pub(super) strides: [isize; 3],
    row: usize,
}

impl Walk {
    pub(crate) fn new(
        layout: &Layout,
        volume: [usize; 3],
        map: &AxisMap,
        start: [usize; 3],
        shape: [usize; 3],
    ) -> Self {
        let mut walk = Walk { start: layout.offset as isize, strides: [0; 3], row: shape[2] };
        for (n, (&axis, &flip)) in map.axis.iter().zip(&map.flip).enumerate() {
            let stride = layout.strides[axis];
            let first = if flip { volume[axis] - 1 - start[n] } else { start[n] };
            walk.start += first as isize * stride;
            walk.strides[n] = if flip { -stride } else { stride };
        }
        walk
    }

    /// The same in a buffer that has only the voxels from `origin` on.
    pub(crate) fn from(mut self, layout: &Layout, origin: [usize; 3]) -> Self {
        self.start -= (0..3).map(|axis| origin[axis] as isize * layout.strides[axis]).sum::<isize>();
        self
    }

    /// Positions of the row (z, y), in order.
    #[inline]
    pub(crate) fn row(&self, z: usize, y: usize) -> impl Iterator<Item = usize> {
        let start = self.start + z as isize * self.strides[0] + y as isize * self.strides[1];
        let step = self.strides[2];
        (0..self.row as isize).map(move |x| (start + x * step) as usize)
    }
}

/// How stored voxels become intensities.
#[derive(Clone, Copy)]
pub(super) struct Decode {
    swapped: bool,
    /// Slope and intercept.
    scale: Option<(f64, f64)>,
    /// What intensities that aren't finite become.
    substitute: Option<f32>,
}

impl Decode {
    /// The intensity of a stored voxel.
    #[inline]
    pub(super) fn intensity<T: Element>(self, stored: &[u8]) -> f32 {
        let stored = if self.swapped { T::from_swapped(stored) } else { T::from_bytes(stored) };
        let value = match self.scale {
            None => stored.to_f32(),
            Some((slope, intercept)) => (stored.to_f64() * slope + intercept) as f32,
        };
        match self.substitute {
            Some(substitute) if !value.is_finite() => substitute,
            _ => value,
        }
    }
}

fn read_labels<T: Element>(bytes: &[u8], walk: &Walk, shape: [usize; 3], swapped: bool, out: &mut [u32]) {
    for (n, row) in out.chunks_exact_mut(walk.row.max(1)).enumerate() {
        each_stored::<T, u32>(bytes, walk, [n / shape[1], n % shape[1]], row, |label, stored| {
            *label = if swapped { T::from_swapped(stored) } else { T::from_bytes(stored) }.to_label();
        });
    }
}

/// Calls with each value of a row and the bytes of its voxel.
#[inline]
fn each_stored<T: Element, V>(
    bytes: &[u8],
    walk: &Walk,
    [z, y]: [usize; 2],
    row: &mut [V],
    put: impl Fn(&mut V, &[u8]),
) {
    let size = T::SIZE;
    match walk.row(z, y).next() {
        // Without gaps, so that the compiler sees it.
        Some(start) if walk.strides[2] == size as isize => {
            let stored = bytes[start..start + size * row.len()].chunks_exact(size);
            row.iter_mut().zip(stored).for_each(|(value, stored)| put(value, stored));
        }
        _ => {
            let positions = walk.row(z, y);
            row.iter_mut().zip(positions).for_each(|(value, at)| put(value, &bytes[at..at + size]));
        }
    }
}

fn read<T: Element>(bytes: &[u8], walk: &Walk, z: usize, decode: Decode, plane: &mut [f32]) {
    for (y, row) in plane.chunks_exact_mut(walk.row.max(1)).enumerate() {
        each_stored::<T, f32>(bytes, walk, [z, y], row, |value, stored| {
            *value = decode.intensity::<T>(stored);
        });
    }
}
