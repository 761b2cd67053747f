//! Connected components of a label map: runs along rows, joined with those of the rows before them.

use std::collections::BTreeMap;

use ndarray::{Array3, ArrayView1, ArrayView3, ArrayViewMut3, Axis};

use crate::buffer;
use crate::error::Result;
use crate::recipe::KeepLargest;

/// What its memory is for, in errors.
const PIECES: &str = "the pieces of labels";

/// Voxels from `start` to before `end` of a row, which belong to one kind.
struct Run {
    start: usize,
    end: usize,
    kind: u16,
    /// Its number in the order of the array.
    id: u32,
}

/// The runs of a plane's rows.
#[derive(Default)]
struct Plane(Vec<Vec<Run>>);

/// Disjoint sets of runs: the components.
pub(crate) struct Sets {
    /// A run of the same set that came earlier; a set's first run has itself.
    parents: Vec<u32>,
    /// Voxels of the set, at its first run.
    sizes: Vec<u32>,
}

/// Bytes that finding the components of labels of this shape needs at most, beside the labels.
pub(crate) fn bytes(shape: [usize; 3]) -> u64 {
    // Every other voxel may be a run.
    bytes_of_runs(shape, shape[2].div_ceil(2))
}

/// Bytes that [`Sets::find`] needs with at most so many runs in a row.
pub(super) fn bytes_of_runs([planes, rows, _]: [usize; 3], in_row: usize) -> u64 {
    let [planes, rows, in_row] = [planes, rows, in_row].map(|length| length as u64);
    let runs = in_row * rows;
    let plane = size_of::<Run>() as u64 * 2 * runs + 2 * rows * size_of::<Vec<Run>>() as u64;
    8 * runs * planes + 2 * plane + (1 << 16)
}

/// Gives the rule's background to the voxels of its labels that aren't in their largest component. The array has
/// less than 2^32 voxels.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub(crate) fn keep_largest(labels: &mut Array3<u16>, rule: &KeepLargest) -> Result<()> {
    let mut inside = vec![false; rule.labels.iter().max().map_or(0, |&label| usize::from(label) + 1)];
    rule.labels.iter().for_each(|&label| inside[usize::from(label)] = true);
    let kind = |label: u16| inside.get(usize::from(label)).copied().unwrap_or(false).then_some(0);
    let mut sets = Sets::find(labels.view(), kind, 3)?;
    let largest = sets.sizes.iter().copied().max().unwrap_or(0);
    sets.clear(labels, kind, rule.background, |_, voxels| voxels == largest)
}

/// Calls with start, end and kind of each run.
fn each_run(row: ArrayView1<u16>, kind: impl Fn(u16) -> Option<u16>, mut run: impl FnMut(usize, usize, u16)) {
    let mut open: Option<(usize, u16)> = None;
    for (x, &label) in row.iter().enumerate() {
        let next = kind(label);
        if open.map(|(_, kind)| kind) == next {
            continue;
        }
        if let Some((start, kind)) = open {
            run(start, x, kind);
        }
        open = next.map(|kind| (x, kind));
    }
    if let Some((start, kind)) = open {
        run(start, row.len(), kind);
    }
}

impl Plane {
    fn of(rows: usize) -> Result<Self> {
        Ok(Plane(buffer::collect(PIECES, (0..rows).map(|_| Vec::new()))?))
    }
}

impl Sets {
    /// The components of each kind of voxels; those of no kind are background. Voxels are neighbours when at
    /// most `hops` steps along axes lead from one to the other, each axis taken once.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory), as the others.
    pub(crate) fn find(labels: ArrayView3<u16>, kind: impl Fn(u16) -> Option<u16>, hops: u8) -> Result<Self> {
        let mut count = 0;
        for row in labels.rows() {
            each_run(row, &kind, |_, _, _| count += 1);
        }
        let mut sets =
            Sets { parents: buffer::with_room(PIECES, count)?, sizes: buffer::with_room(PIECES, count)? };
        let rows = labels.dim().1;
        let (mut before, mut plane) = (Plane::of(rows)?, Plane::of(rows)?);
        for labels in labels.axis_iter(Axis(0)) {
            for (y, row) in labels.rows().into_iter().enumerate() {
                let mut runs = std::mem::take(&mut plane.0[y]);
                runs.clear();
                let mut outcome = Ok(());
                each_run(row, &kind, |start, end, kind| {
                    if outcome.is_ok() {
                        let run = Run { start, end, kind, id: sets.add(end - start) };
                        outcome = buffer::push(&mut runs, PIECES, run);
                    }
                });
                outcome?;
                if let Some(above) = y.checked_sub(1) {
                    sets.join_touching(&runs, &plane.0[above], hops - 1);
                }
                for near in y.saturating_sub(1)..(y + 2).min(rows) {
                    if let Some(hops) = hops.checked_sub(1 + u8::from(near != y)) {
                        sets.join_touching(&runs, &before.0[near], hops);
                    }
                }
                plane.0[y] = runs;
            }
            std::mem::swap(&mut before, &mut plane);
        }
        Ok(sets)
    }

    /// Gives `background` to the voxels of the components that aren't kept. `keep` is asked for each run with its
    /// component's first run and voxels.
    pub(crate) fn clear(
        &mut self,
        labels: &mut Array3<u16>,
        kind: impl Fn(u16) -> Option<u16>,
        background: u16,
        keep: impl Fn(u32, u32) -> bool,
    ) -> Result<()> {
        let lost = |first, voxels| (!keep(first, voxels)).then_some(background);
        self.relabel(labels.view_mut(), kind, lost)
    }

    /// Gives the voxels of some components another label. `label` is asked as `keep` by [`Sets::clear`].
    pub(crate) fn relabel(
        &mut self,
        mut labels: ArrayViewMut3<u16>,
        kind: impl Fn(u16) -> Option<u16>,
        label: impl Fn(u32, u32) -> Option<u16>,
    ) -> Result<()> {
        let mut id = 0;
        let mut changes = Vec::new();
        for mut row in labels.rows_mut() {
            let mut outcome = Ok(());
            each_run(row.view(), &kind, |start, end, _| {
                let first = self.first(id);
                id += 1;
                if let (Some(label), Ok(())) = (label(first, self.sizes[first as usize]), &outcome) {
                    outcome = buffer::push(&mut changes, PIECES, (start..end, label));
                }
            });
            outcome?;
            for (run, label) in changes.drain(..) {
                run.for_each(|x| row[x] = label);
            }
        }
        Ok(())
    }

    /// First run, voxels and mean index along the last axis of each component, in the order of their first voxels.
    pub(crate) fn centers(
        &mut self,
        labels: ArrayView3<u16>,
        kind: impl Fn(u16) -> Option<u16>,
    ) -> Result<Vec<(u32, u32, f64)>> {
        let (mut id, mut sums) = (0, BTreeMap::<u32, u64>::new());
        for row in labels.rows() {
            each_run(row, &kind, |start, end, _| {
                *sums.entry(self.first(id)).or_default() += ((start + end - 1) * (end - start)) as u64;
                id += 1;
            });
        }
        let center = |(first, sum): (u32, u64)| {
            let voxels = self.sizes[first as usize];
            (first, voxels, sum as f64 / 2.0 / f64::from(voxels))
        };
        buffer::collect(PIECES, sums.into_iter().map(center))
    }

    /// First run, kind and voxels of each component, in the order of their first voxels.
    pub(crate) fn components(
        &self,
        labels: ArrayView3<u16>,
        kind: impl Fn(u16) -> Option<u16>,
    ) -> Result<Vec<(u32, u16, u32)>> {
        let (mut id, mut found, mut outcome) = (0, Vec::new(), Ok(()));
        for row in labels.rows() {
            each_run(row, &kind, |_, _, kind| {
                if self.parents[id as usize] == id && outcome.is_ok() {
                    outcome = buffer::push(&mut found, PIECES, (id, kind, self.sizes[id as usize]));
                }
                id += 1;
            });
        }
        outcome.map(|()| found)
    }

    /// A set of one run.
    fn add(&mut self, voxels: usize) -> u32 {
        let id = self.parents.len() as u32;
        self.parents.push(id);
        self.sizes.push(voxels as u32);
        id
    }

    /// The first run of a run's set.
    fn first(&mut self, mut run: u32) -> u32 {
        while self.parents[run as usize] != run {
            // Ways become shorter each time that they are gone.
            let next = self.parents[self.parents[run as usize] as usize];
            self.parents[run as usize] = next;
            run = next;
        }
        run
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.first(a), self.first(b));
        if a != b {
            let (low, high) = (a.min(b), a.max(b));
            self.parents[high as usize] = low;
            self.sizes[low as usize] += self.sizes[high as usize];
        }
    }

    /// Joins runs of one kind in two neighbouring rows that touch: by a corner where there is a hop left along
    /// the rows.
    fn join_touching(&mut self, row: &[Run], other: &[Run], hops: u8) {
        let reach = usize::from(hops.min(1));
        let mut first = 0;
        for run in row {
            first += other[first..].iter().take_while(|near| near.end + reach <= run.start).count();
            for near in other[first..].iter().take_while(|near| near.start < run.end + reach) {
                if near.kind == run.kind {
                    self.join(run.id, near.id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One voxel at a time.
    fn flood(labels: &Array3<u16>, rule: &KeepLargest) -> Array3<u16> {
        let mut component = Array3::<usize>::zeros(labels.dim());
        let mut sizes = vec![0];
        for (at, label) in labels.indexed_iter() {
            if component[at] > 0 || !rule.labels.contains(label) {
                continue;
            }
            let id = sizes.len();
            sizes.push(0);
            component[at] = id;
            let mut open = vec![at];
            while let Some((z, y, x)) = open.pop() {
                sizes[id] += 1;
                let near = |n: usize| n.saturating_sub(1)..n + 2;
                for next in near(z).flat_map(|z| near(y).flat_map(move |y| near(x).map(move |x| (z, y, x)))) {
                    let inside = labels.get(next).is_some_and(|label| rule.labels.contains(label));
                    if inside && component[next] == 0 {
                        component[next] = id;
                        open.push(next);
                    }
                }
            }
        }
        let largest = sizes.iter().copied().max().unwrap_or(0);
        let mut out = labels.clone();
        out.zip_mut_with(&component, |label, &id| {
            if id > 0 && sizes[id] < largest {
                *label = rule.background;
            }
        });
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn equals_flood_fill(
            shape in proptest::array::uniform3(1_usize..9),
            kept in proptest::collection::vec(1_u16..5, 0..4), background in 0_u16..6,
            full in 1_u64..100, seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let labels = Array3::from_shape_simple_fn(shape, || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if (state >> 40) % 100 < full { (state >> 33) as u16 % 5 } else { 0 }
            });
            let rule = KeepLargest { labels: kept, background };
            let mut found = labels.clone();
            keep_largest(&mut found, &rule).unwrap();
            prop_assert_eq!(found, flood(&labels, &rule));
        }
    }

    #[test]
    fn equal_components_all_stay() {
        let mut labels = Array3::from_shape_vec((1, 1, 8), vec![1, 2, 0, 2, 1, 0, 1, 3]).unwrap();
        keep_largest(&mut labels, &KeepLargest { labels: vec![1, 2], background: 0 }).unwrap();
        assert_eq!(labels.into_raw_vec_and_offset().0, [1, 2, 0, 2, 1, 0, 0, 3]);
    }
}
