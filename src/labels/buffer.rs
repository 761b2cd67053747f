//! The caller's memory for the labels.

use ndarray::ArrayView3;

use crate::error::{Error, Result};
use crate::volume::{AxisMap, DType, Geometry, Layout};

/// A label for each voxel of a grid, in the caller's own memory. It is written once, whole.
#[derive(Debug)]
pub struct LabelBuffer<'a> {
    shape: [usize; 3],
    dtype: DType,
    layout: Layout,
    bytes: &'a mut [u8],
}

impl<'a> LabelBuffer<'a> {
    /// A buffer on `grid`, with voxels of `dtype` (an integer type) where `layout` says.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a type that isn't an integer or voxels that share bytes,
    /// [`Error::BufferTooSmall`] when voxels lie outside.
    pub fn new(grid: &Geometry, dtype: DType, layout: Layout, bytes: &'a mut [u8]) -> Result<Self> {
        if dtype.largest_label().is_none() {
            return Err(Error::argument("labels.dtype", format!("{dtype:?}"), "an integer type"));
        }
        layout.check(grid.shape, dtype.size(), bytes.len(), ["labels.data", "labels.strides"])?;
        Ok(LabelBuffer { shape: grid.shape, dtype, layout, bytes })
    }

    /// Its shape, in voxels.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The type of its voxels.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Copies voxels of its own type that lie densely, axis 0 the fastest.
    pub(crate) fn copy_from(&mut self, dense: &[u8]) {
        let size = self.dtype.size();
        let map = AxisMap::identity().transposed([2, 1, 0]);
        let shape = map.apply(self.shape);
        let walk = crate::volume::Walk::new(&self.layout, self.shape, &map, [0; 3], shape);
        for (n, row) in dense.chunks_exact(size * shape[2]).enumerate() {
            for (voxel, at) in row.chunks_exact(size).zip(walk.row(n / shape[1], n % shape[1])) {
                self.bytes[at..at + size].copy_from_slice(voxel);
            }
        }
    }

    /// Refuses a buffer that isn't on `grid` or whose type can't hold `largest`.
    pub(crate) fn check(&self, grid: &Geometry, largest: u32) -> Result<()> {
        if self.shape != grid.shape {
            let expected = format!("{:?}, those of the labels' grid", grid.shape);
            return Err(Error::argument("labels.shape", format!("{:?}", self.shape), expected));
        }
        match self.dtype.largest_label() {
            Some(limit) if limit >= largest => Ok(()),
            _ => {
                let expected = format!("a type that holds the model's largest label {largest}");
                Err(Error::argument("labels.dtype", format!("{:?}", self.dtype), expected))
            }
        }
    }

    /// Labels that [`LabelBuffer::each_part`] gives at most at once.
    pub(crate) const PART: usize = 256;

    /// Calls with all labels, some of a row along axis 0 at a time, in the order of rows and planes.
    pub(crate) fn each_part(&self, mut part: impl FnMut(&[u32])) {
        let map = AxisMap::identity().transposed([2, 1, 0]);
        let shape = map.apply(self.shape);
        let walk = crate::volume::Walk::new(&self.layout, self.shape, &map, [0; 3], shape);
        let label = |at: usize| match self.dtype.size() {
            1 => self.bytes[at].into(),
            2 => u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]).into(),
            _ => u32::from_ne_bytes([0, 1, 2, 3].map(|byte| self.bytes[at + byte])),
        };
        let mut labels = [0; Self::PART];
        for (z, y) in (0..shape[0]).flat_map(|z| (0..shape[1]).map(move |y| (z, y))) {
            let (mut row, mut left) = (walk.row(z, y).map(label), shape[2]);
            while left > 0 {
                let count = left.min(Self::PART);
                labels.iter_mut().zip(row.by_ref().take(count)).for_each(|(place, label)| *place = label);
                part(&labels[..count]);
                left -= count;
            }
        }
    }

    /// Writes the whole buffer: `labels` at `start` of the array that `map` makes of this grid, background
    /// around it.
    pub(crate) fn write(&mut self, labels: ArrayView3<u16>, map: &AxisMap, start: [usize; 3]) {
        match self.dtype.size() {
            1 => self.write_as(labels, map, start, |label| [label as u8]),
            2 => self.write_as(labels, map, start, u16::to_ne_bytes),
            _ => self.write_as(labels, map, start, |label| u32::from(label).to_ne_bytes()),
        }
    }

    fn write_as<const N: usize>(
        &mut self,
        labels: ArrayView3<u16>,
        map: &AxisMap,
        start: [usize; 3],
        bytes: impl Fn(u16) -> [u8; N],
    ) {
        let inside = labels.dim();
        let whole = map.apply(self.shape);
        if [inside.0, inside.1, inside.2] != whole {
            let zero = bytes(0);
            self.walk(map, [0; 3], whole, |_| zero);
        }
        self.walk(map, start, [inside.0, inside.1, inside.2], |index| bytes(labels[index]));
    }

    fn walk<const N: usize>(
        &mut self,
        map: &AxisMap,
        start: [usize; 3],
        shape: [usize; 3],
        value: impl Fn([usize; 3]) -> [u8; N],
    ) {
        let walk = crate::volume::Walk::new(&self.layout, self.shape, map, start, shape);
        for z in 0..shape[0] {
            for y in 0..shape[1] {
                for (x, position) in walk.row(z, y).enumerate() {
                    self.bytes[position..position + N].copy_from_slice(&value([z, y, x]));
                }
            }
        }
    }
}
