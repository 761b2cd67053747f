//! The caller's memory for the labels.

use ndarray::ArrayView3;

use crate::error::{Error, Result};
use crate::volume::{AxisMap, Box3, DType, Geometry, Layout, Walk};

/// A label for each voxel of a grid or of a part of it, in the caller's own memory.
#[derive(Debug)]
pub struct LabelBuffer<'a> {
    grid: [usize; 3],
    /// The voxels that it has.
    part: Box3,
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
        LabelBuffer::of_part(grid, Box3::whole(grid.shape), dtype, layout, bytes)
    }

    /// A buffer that has a part of the voxels of `grid` only: `layout` says where those of the part lie.
    ///
    /// # Errors
    /// As [`LabelBuffer::new`].
    ///
    /// # Panics
    /// When the part leaves the grid.
    pub fn of_part(
        grid: &Geometry,
        part: Box3,
        dtype: DType,
        layout: Layout,
        bytes: &'a mut [u8],
    ) -> Result<Self> {
        assert!(part.common(&Box3::whole(grid.shape)) == Some(part), "a part of the grid");
        if dtype.largest_label().is_none() {
            return Err(Error::argument("labels.dtype", format!("{dtype:?}"), "an integer type"));
        }
        layout.check(part.shape(), dtype.size(), bytes.len(), ["labels.data", "labels.strides"])?;
        Ok(LabelBuffer { grid: grid.shape, part, dtype, layout, bytes })
    }

    /// Its shape, in voxels.
    pub fn shape(&self) -> [usize; 3] {
        self.part.shape()
    }

    /// The voxels of the grid that it has.
    pub fn part(&self) -> Box3 {
        self.part
    }

    /// The type of its voxels.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Copies voxels of its own type that lie densely, axis 0 the fastest.
    pub(crate) fn copy_from(&mut self, dense: &[u8]) {
        let size = self.dtype.size();
        let map = AxisMap::identity().transposed([2, 1, 0]);
        let shape = map.apply(self.shape());
        let walk = Walk::new(&self.layout, self.shape(), &map, [0; 3], shape);
        for (n, row) in dense.chunks_exact(size * shape[2]).enumerate() {
            for (voxel, at) in row.chunks_exact(size).zip(walk.row(n / shape[1], n % shape[1])) {
                self.bytes[at..at + size].copy_from_slice(voxel);
            }
        }
    }

    /// Refuses a buffer that isn't on `grid` or whose type can't hold `largest`.
    pub(crate) fn check(&self, grid: &Geometry, largest: u32) -> Result<()> {
        if self.grid != grid.shape {
            let expected = format!("{:?}, those of the labels' grid", grid.shape);
            return Err(Error::argument("labels.shape", format!("{:?}", self.grid), expected));
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

    /// Calls with the labels of a box of the grid, which the buffer has, some of a row along axis 0 at a time, in the
    /// order of rows and planes.
    pub(crate) fn each_part(&self, of: &Box3, mut part: impl FnMut(&[u32])) {
        let map = AxisMap::identity().transposed([2, 1, 0]);
        let array_box = map.to_array(self.shape(), &of.from(self.part.start));
        let shape = array_box.shape();
        let walk = Walk::new(&self.layout, self.shape(), &map, array_box.start, shape);
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

    /// Writes the voxels of some boxes of the grid: `labels` where they lie at `start` of the array that `map` makes of
    /// the grid, `outside` around them.
    pub(crate) fn write(
        &mut self,
        labels: ArrayView3<u16>,
        map: &AxisMap,
        start: [usize; 3],
        outside: u16,
        boxes: &[Box3],
    ) {
        let put = (labels, map, start, outside, boxes);
        match self.dtype.size() {
            1 => self.write_as(put, |label| [label as u8]),
            2 => self.write_as(put, u16::to_ne_bytes),
            _ => self.write_as(put, |label| u32::from(label).to_ne_bytes()),
        }
    }

    fn write_as<const N: usize>(
        &mut self,
        (labels, map, start, outside, boxes): (ArrayView3<u16>, &AxisMap, [usize; 3], u16, &[Box3]),
        bytes: impl Fn(u16) -> [u8; N],
    ) {
        let there = Box3 { start, end: [0, 1, 2].map(|axis| start[axis] + labels.shape()[axis]) };
        let own = self.part;
        for part in boxes.iter().filter_map(|part| part.common(&own)) {
            let part = map.to_array(self.grid, &part);
            let inside = part.common(&there);
            if inside != Some(part) {
                let outside = bytes(outside);
                self.walk(map, &part, |_| outside);
            }
            if let Some(inside) = inside {
                let first = inside.from(start).start;
                self.walk(map, &inside, |at| {
                    bytes(labels[[first[0] + at[0], first[1] + at[1], first[2] + at[2]]])
                });
            }
        }
    }

    /// Writes a value for each voxel of a box of the array that `map` makes of the grid.
    fn walk<const N: usize>(&mut self, map: &AxisMap, part: &Box3, value: impl Fn([usize; 3]) -> [u8; N]) {
        let shape = part.shape();
        let walk = Walk::new(&self.layout, self.grid, map, part.start, shape);
        let walk = walk.from(&self.layout, self.part.start);
        for z in 0..shape[0] {
            for y in 0..shape[1] {
                for (x, position) in walk.row(z, y).enumerate() {
                    self.bytes[position..position + N].copy_from_slice(&value([z, y, x]));
                }
            }
        }
    }
}
