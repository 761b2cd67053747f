//! A few neighbouring rows of every plane: interpolated for all classes, then decided.

use half::f16;
use half::slice::HalfFloatSliceExt;
use ndarray::{Array4, ArrayView1, Axis, s};

use super::decide::Decider;
use super::taps::Taps;

/// Rows that are restored together: the interpolated planes of a band for all classes stay in the cache.
pub(super) const BAND: usize = 8;

/// The planes of scores at hand, [class, plane, row, column].
pub(super) struct Planes {
    /// What is left of the planes that came before.
    pub before: Option<Array4<f16>>,
    pub planes: Array4<f16>,
    /// Number of the first plane at hand.
    pub first: usize,
}

impl Planes {
    pub(super) fn len(&self) -> usize {
        self.kept() + self.planes.dim().1
    }

    fn kept(&self) -> usize {
        self.before.as_ref().map_or(0, |before| before.dim().1)
    }

    fn classes(&self) -> usize {
        self.planes.dim().0
    }

    fn line(&self, class: usize, plane: usize, row: usize) -> ArrayView1<'_, f16> {
        let index = plane - self.first;
        match &self.before {
            Some(before) if index < self.kept() => before.slice(s![class, index, row, ..]),
            _ => self.planes.slice(s![class, index - self.kept(), row, ..]),
        }
    }

    /// A copy of the last plane, which the next planes continue.
    pub(super) fn last(&self) -> Option<Array4<f16>> {
        let count = self.planes.dim().1;
        (count > 0).then(|| self.planes.slice_axis(Axis(1), (count - 1..count).into()).to_owned())
    }
}

/// Restores the rows from `first_row` on of `planes` planes from `first_plane` on, given plane after plane;
/// returns the number of near ties.
pub(super) fn restore_band(
    scores: &Planes,
    taps: &[Taps; 3],
    first_row: usize,
    first_plane: usize,
    planes: usize,
    rows: Vec<&mut [u16]>,
    decider: &Decider,
) -> usize {
    let (classes, height, width) = (scores.classes(), rows.len() / planes.max(1), taps[2].len());
    // For each class the two planes of the scores that the present output plane lies between, already
    // interpolated along the other axes: [slot][class][row][x].
    let size = classes * height * width;
    let mut slots = [vec![0.0; size], vec![0.0; size]];
    let mut held = [usize::MAX; 2];
    let mut row_of_classes = vec![0.0; classes * width];
    let mut scratch = Scratch::new(scores.planes.dim().3, width);
    let mut decision = decider.scratch(width);
    let mut near_ties = 0;
    for (index, out) in rows.into_iter().enumerate() {
        let (plane, row) = (first_plane + index / height, index % height);
        let [low, high] = taps[0].between(plane);
        if held[1] == low && held[0] != low {
            slots.swap(0, 1);
            held.swap(0, 1);
        }
        let weight = taps[0].weight(plane);
        let needed = if weight == 0.0 { 1 } else { 2 };
        for (slot, source) in [low, high].into_iter().enumerate().take(needed) {
            if held[slot] != source {
                held[slot] = source;
                interpolate_plane(scores, taps, source, first_row, height, &mut slots[slot], &mut scratch);
            }
        }
        for (class, values) in row_of_classes.chunks_exact_mut(width).enumerate() {
            let start = (class * height + row) * width;
            let [a, b] = [&slots[0][start..start + width], &slots[1][start..start + width]];
            // The reference keeps interpolated scores in half precision, but for PyTorch's.
            if taps[2].single {
                taps[0].blend(a, b, plane, values);
            } else {
                taps[0].blend_to_half(a, b, plane, values);
            }
        }
        near_ties += decider.decide(&row_of_classes, out, &mut decision);
    }
    near_ties
}

/// Buffers of one band.
struct Scratch {
    source: Vec<f32>,
    across: [Vec<f32>; 2],
}

impl Scratch {
    fn new(source: usize, width: usize) -> Self {
        let across = [vec![0.0; width], vec![0.0; width]];
        Scratch { source: vec![0.0; source], across }
    }
}

/// One plane of the scores, all classes, interpolated along axes 1 and 2 at the rows of a band.
fn interpolate_plane(
    scores: &Planes,
    taps: &[Taps; 3],
    plane: usize,
    first_row: usize,
    height: usize,
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let width = taps[2].len();
    let Scratch { source, across, .. } = scratch;
    for (class, out) in out.chunks_exact_mut(height * width).enumerate() {
        let mut held = [usize::MAX; 2];
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let between = taps[1].between(first_row + row);
            if held[1] == between[0] && held[0] != between[0] {
                across.swap(0, 1);
                held.swap(0, 1);
            }
            for slot in 0..2 {
                if held[slot] != between[slot] {
                    held[slot] = between[slot];
                    if let Some(line) = scores.line(class, plane, between[slot]).as_slice() {
                        line.convert_to_f32_slice(source);
                    }
                    taps[2].interpolate(source, &mut across[slot]);
                }
            }
            taps[1].blend(&across[0], &across[1], first_row + row, out);
        }
    }
}
