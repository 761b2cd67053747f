//! A label map, read plane by plane in the order of its memory.

use std::collections::BTreeMap;

use super::room::zeros;
use crate::error::{Error, Result};
use crate::parallel;
use crate::progress::{Run, Stage};
use crate::volume::{AxisMap, Geometry, Volume};

/// Planes that one piece of work takes: enough that those it reads beside them cost little.
pub(super) const PLANES: usize = 8;

/// A label map as an array.
#[derive(Clone, Copy)]
pub(super) struct LabelMap<'a> {
    volume: &'a Volume<'a>,
    /// Its name in errors.
    argument: &'static str,
    /// How the array's axes follow from the volume's.
    pub(super) axes: AxisMap,
    /// The array's shape.
    pub(super) shape: [usize; 3],
}

/// Voxels from `start` to before `end`, along the array's axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BoundingBox {
    pub(super) start: [usize; 3],
    pub(super) end: [usize; 3],
}

impl<'a> LabelMap<'a> {
    /// `argument` is the map's name in errors.
    pub(super) fn new(volume: &'a Volume<'a>, argument: &'static str) -> Result<Self> {
        let field = |field: &str| format!("{argument}.{field}");
        if volume.dtype().largest_label().is_none() {
            return Err(Error::argument(
                field("dtype"),
                format!("{:?}", volume.dtype()),
                "an integer type, for a label map",
            ));
        }
        if volume.channels() != 1 {
            return Err(Error::argument(field("channels"), volume.channels(), "1, for a label map"));
        }
        if !volume.is_unscaled() {
            return Err(Error::argument(field("slope"), "a scaling", "none, for a label map"));
        }
        Ok(Self::along(volume, argument, volume.memory_order()))
    }

    /// The same voxels with the array's axes along those of `other`, which lies on the same grid.
    pub(super) fn like(self, other: &LabelMap) -> Self {
        Self::along(self.volume, self.argument, other.axes)
    }

    fn along(volume: &'a Volume<'a>, argument: &'static str, axes: AxisMap) -> Self {
        LabelMap { volume, argument, axes, shape: axes.apply(volume.geometry().shape) }
    }

    /// Memory for a plane of it.
    pub(super) fn plane(&self) -> Result<Vec<u32>> {
        zeros(&self.shape[1..], self.argument)
    }

    /// The grid along the array's axes.
    pub(super) fn grid(&self) -> Geometry {
        self.axes.grid(self.volume.geometry())
    }

    /// The labels of a box.
    pub(super) fn read(&self, start: [usize; 3], shape: [usize; 3], out: &mut [u32]) {
        self.volume.read_labels(&self.axes, start, shape, out);
    }

    /// Refuses labels that aren't: negative numbers.
    pub(super) fn check<'l>(&self, labels: impl IntoIterator<Item = &'l u32>) -> Result<()> {
        let largest = self.volume.dtype().largest_label().unwrap_or(0);
        match labels.into_iter().find(|&&label| label > largest) {
            Some(&label) => Err(Error::argument(self.argument, label.cast_signed(), "labels of at least 0")),
            None => Ok(()),
        }
    }
}

impl BoundingBox {
    /// Nothing yet: any voxel widens it.
    pub(super) const NONE: BoundingBox = BoundingBox { start: [usize::MAX; 3], end: [0; 3] };

    /// Widens it by a run of voxels along the last axis.
    pub(super) fn include_run(&mut self, [z, y]: [usize; 2], from: usize, to: usize) {
        *self = self.union(&BoundingBox { start: [z, y, from], end: [z + 1, y + 1, to] });
    }

    /// The smallest box around both.
    pub(super) fn union(&self, other: &BoundingBox) -> BoundingBox {
        BoundingBox {
            start: [0, 1, 2].map(|axis| self.start[axis].min(other.start[axis])),
            end: [0, 1, 2].map(|axis| self.end[axis].max(other.end[axis])),
        }
    }

    pub(super) fn shape(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.end[axis].saturating_sub(self.start[axis]))
    }
}

/// Runs `work` on pieces of planes, from one to before another, and puts together what it finds for each key, in the
/// order of the planes.
///
/// # Errors
/// [`Error::Cancelled`], after a piece of each thread at most, and those of `work`.
pub(super) fn gather<K: Ord, V, F: IntoIterator<Item = (K, V)> + Send>(
    planes: usize,
    threads: usize,
    run: &mut Run,
    work: impl Fn(usize, usize) -> Result<F> + Sync,
) -> Result<BTreeMap<K, Vec<V>>> {
    let count = planes.div_ceil(PLANES);
    let mut all = BTreeMap::<K, Vec<V>>::new();
    // A few at a time, so that progress comes on the calling thread.
    let few = 4 * threads.max(1);
    for first in (0..count).step_by(few) {
        run.checkpoint(Stage::Measure, first, count + 1)?;
        let cancel = run.cancel();
        let mut pieces: Vec<_> =
            (first..count.min(first + few)).map(|n| (n, Err(Error::Cancelled))).collect();
        parallel::for_each(threads, &mut pieces, |(n, piece)| {
            if !cancel.requested() {
                *piece = work(*n * PLANES, ((*n + 1) * PLANES).min(planes));
            }
        });
        for (_, piece) in pieces {
            for (key, value) in piece? {
                all.entry(key).or_default().push(value);
            }
        }
    }
    run.checkpoint(Stage::Measure, count, count + 1)?;
    Ok(all)
}

/// Calls with label, start and end of each run of equal labels in a row, background left out.
///
/// # Errors
/// Those of `run`.
pub(super) fn each_run<T: Copy + PartialEq>(
    row: &[T],
    background: T,
    mut run: impl FnMut(T, usize, usize) -> Result<()>,
) -> Result<()> {
    let mut start = 0;
    for labels in row.chunk_by(|a, b| a == b) {
        let end = start + labels.len();
        if labels[0] != background {
            run(labels[0], start, end)?;
        }
        start = end;
    }
    Ok(())
}
