//! The exact Euclidean distance transform, in linear time: distances along the first axis by two scans (Meijster,
//! Roerdink and Hesselink 2000), then in each plane by lower envelopes of parabolas along one axis after the other
//! (Felzenszwalb and Huttenlocher 2012). Planes don't depend on each other once the scans are done.

use ndarray::{Array3, ArrayView3, Axis, Zip};

use crate::error::{Error, Result};
use crate::{buffer, parallel};

/// No feature along this line.
const NONE: u16 = u16::MAX;

/// What its memory is for, in errors.
const DISTANCES: &str = "distances of voxels";

/// The distance from each voxel to the nearest one that is set, between their centres, in the unit of `spacing`
/// (of the array's axes); infinite where none is set. The result doesn't depend on `threads`.
///
/// # Errors
/// [`Error::InvalidArgument`] when the first axis has 65535 voxels or more or a spacing isn't positive.
pub fn distance_transform(mask: ArrayView3<bool>, spacing: [f64; 3], threads: usize) -> Result<Array3<f64>> {
    if !spacing.iter().all(|spacing| spacing.is_finite() && *spacing > 0.0) {
        return Err(Error::argument("spacing", format!("{spacing:?}"), "three positive numbers"));
    }
    let nearest = Nearest::new(mask, |&set| set, spacing, threads)?;
    let mut distances: Array3<f64> = buffer::zeros(DISTANCES, mask.raw_dim())?;
    let planes = distances.axis_iter_mut(Axis(0)).enumerate();
    parallel::try_for_each(threads, planes, |(z, mut plane)| {
        let mut scratch = Scratch::default();
        let squared = nearest.plane(z, |_| true, &mut scratch)?;
        plane.iter_mut().zip(squared).for_each(|(distance, squared)| *distance = squared.sqrt());
        Ok(())
    })?;
    Ok(distances)
}

/// What is known after the first axis.
pub(super) struct Nearest {
    /// Voxels between each one and the nearest feature along the first axis.
    steps: Array3<u16>,
    spacing: [f64; 3],
}

impl Nearest {
    /// For the features among `voxels`.
    pub(super) fn new<T: Sync>(
        voxels: ArrayView3<T>,
        is_feature: impl Fn(&T) -> bool + Sync,
        spacing: [f64; 3],
        threads: usize,
    ) -> Result<Self> {
        let (planes, rows, _) = voxels.dim();
        if planes >= usize::from(NONE) {
            return Err(Error::argument("shape", planes, "less than 65535 voxels along the axis"));
        }
        let mut steps = buffer::array(DISTANCES, voxels.raw_dim(), NONE)?;
        let share = rows.div_ceil(4 * threads.max(1)).max(1);
        let bands = steps.axis_chunks_iter_mut(Axis(1), share).zip(voxels.axis_chunks_iter(Axis(1), share));
        parallel::for_each(threads, bands, |(mut steps, voxels)| {
            for z in 0..planes {
                let (before, mut current) = steps.view_mut().split_at(Axis(0), z);
                let mut current = current.index_axis_mut(Axis(0), 0);
                let voxels = voxels.index_axis(Axis(0), z);
                match z.checked_sub(1) {
                    None => Zip::from(&mut current).and(voxels).for_each(|steps, voxel| {
                        *steps = if is_feature(voxel) { 0 } else { NONE };
                    }),
                    Some(last) => Zip::from(&mut current)
                        .and(before.index_axis(Axis(0), last))
                        .and(voxels)
                        .for_each(|steps, before, voxel| {
                            *steps = if is_feature(voxel) { 0 } else { before.saturating_add(1) };
                        }),
                }
            }
            for z in (1..planes).rev() {
                let (mut current, after) = steps.view_mut().split_at(Axis(0), z);
                Zip::from(current.index_axis_mut(Axis(0), z - 1))
                    .and(after.index_axis(Axis(0), 0))
                    .for_each(|steps, after| *steps = (*steps).min(after.saturating_add(1)));
            }
        });
        Ok(Nearest { steps, spacing })
    }

    /// Whether a voxel is a feature itself.
    pub(super) fn is_feature(&self, voxel: [usize; 3]) -> bool {
        self.steps[voxel] == 0
    }

    /// The squared distances of a plane, row by row. Only the wanted rows are filled.
    pub(super) fn plane<'s>(
        &self,
        z: usize,
        wanted: impl Fn(usize) -> bool,
        scratch: &'s mut Scratch,
    ) -> Result<&'s [f64]> {
        let steps = self.steps.index_axis(Axis(0), z);
        let (rows, columns) = steps.dim();
        let along = self.spacing[0];
        let Scratch { plane, line, envelope } = scratch;
        buffer::reserve(plane, DISTANCES, (rows * columns).saturating_sub(plane.len()))?;
        buffer::reserve(line, DISTANCES, rows.saturating_sub(line.len()))?;
        plane.resize(rows * columns, 0.0);
        line.resize(rows, 0.0);
        envelope.parabolas.clear();
        buffer::reserve(&mut envelope.parabolas, DISTANCES, rows.max(columns))?;
        for x in 0..columns {
            let height = |&steps: &u16| match steps {
                NONE => f64::INFINITY,
                steps => (f64::from(steps) * along).powi(2),
            };
            envelope.build(steps.column(x).iter().map(height), self.spacing[1]);
            envelope.draw(line);
            line.iter().enumerate().for_each(|(y, squared)| plane[y * columns + x] = *squared);
        }
        for (_, row) in plane.chunks_exact_mut(columns.max(1)).enumerate().filter(|(y, _)| wanted(*y)) {
            envelope.build(row.iter().copied(), self.spacing[2]);
            envelope.draw(row);
        }
        Ok(plane)
    }
}

/// Memory of one plane's work, for the next.
#[derive(Default)]
pub(super) struct Scratch {
    plane: Vec<f64>,
    line: Vec<f64>,
    envelope: Envelope,
}

/// The lower envelope of the parabolas over a line's voxels.
#[derive(Default)]
struct Envelope {
    parabolas: Vec<Parabola>,
    spacing: f64,
}

struct Parabola {
    /// The voxel that it stands on.
    center: f64,
    /// Its lowest value.
    height: f64,
    /// Where it starts to be the lowest one, in voxels.
    from: f64,
}

impl Envelope {
    fn build(&mut self, heights: impl Iterator<Item = f64>, spacing: f64) {
        self.spacing = spacing;
        self.parabolas.clear();
        let scale = 1.0 / (spacing * spacing);
        for (center, height) in heights.enumerate().filter(|(_, height)| height.is_finite()) {
            let center = center as f64;
            let from = loop {
                let Some(last) = self.parabolas.last() else { break f64::NEG_INFINITY };
                let rise = (height - last.height) * scale + (center - last.center) * (center + last.center);
                let from = rise / (2.0 * (center - last.center));
                if from > last.from {
                    break from;
                }
                self.parabolas.pop();
            };
            self.parabolas.push(Parabola { center, height, from });
        }
    }

    /// Its value at each of the line's voxels.
    fn draw(&self, line: &mut [f64]) {
        if self.parabolas.is_empty() {
            line.fill(f64::INFINITY);
        }
        let mut end = line.len();
        for parabola in self.parabolas.iter().rev() {
            // The first voxel behind where it starts; casts saturate.
            let start = ((parabola.from + 1.0).floor().max(0.0) as usize).min(end);
            for (n, squared) in line[start..end].iter_mut().enumerate() {
                let steps = (start + n) as f64 - parabola.center;
                *squared = parabola.height + (steps * self.spacing).powi(2);
            }
            end = start;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn brute_force(mask: &Array3<bool>, spacing: [f64; 3]) -> Array3<f64> {
        let features: Vec<_> = mask.indexed_iter().filter(|(_, set)| **set).map(|(at, _)| at).collect();
        Array3::from_shape_fn(mask.raw_dim(), |(z, y, x)| {
            let squared = |&(fz, fy, fx): &(usize, usize, usize)| {
                let steps = [fz.abs_diff(z), fy.abs_diff(y), fx.abs_diff(x)];
                (0..3).map(|axis| (steps[axis] as f64 * spacing[axis]).powi(2)).sum::<f64>()
            };
            features.iter().map(squared).fold(f64::INFINITY, f64::min).sqrt()
        })
    }

    proptest! {
        #[test]
        fn is_that_of_all_pairs(
            shape in (1_usize..9, 1_usize..9, 1_usize..9),
            spacing in prop::array::uniform3(0.2_f64..5.0),
            density in 0.0_f64..0.3,
            seed: u64,
            threads in 1_usize..4,
        ) {
            let mut state = seed | 1;
            let mask = Array3::from_shape_fn(shape, |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((state >> 33) as f64) < density * 2_147_483_648.0
            });
            let expected = brute_force(&mask, spacing);
            let found = distance_transform(mask.view(), spacing, threads).unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!(found == expected || (found - expected).abs() <= 1e-12 * expected, "{found} {expected}");
            }
        }
    }

    #[test]
    fn nothing_set_is_infinitely_far() {
        let found = distance_transform(Array3::from_elem((2, 3, 4), false).view(), [1.0; 3], 2).unwrap();
        assert!(found.iter().all(|distance| *distance == f64::INFINITY));
    }

    #[test]
    fn spacings_must_be_positive() {
        let mask = Array3::from_elem((1, 1, 1), true);
        assert!(distance_transform(mask.view(), [1.0, 0.0, 1.0], 1).is_err());
    }

    /// `scipy.ndimage.distance_transform_edt` 1.17.1 with `sampling=(2.5, 0.7, 1.1)`.
    #[test]
    fn matches_scipy() {
        let mut mask = Array3::from_elem((3, 4, 5), false);
        mask[[0, 1, 4]] = true;
        mask[[2, 3, 0]] = true;
        let found = distance_transform(mask.view(), [2.5, 0.7, 1.1], 1).unwrap();
        for (at, expected) in SCIPY {
            assert!((found[at] - expected).abs() < 1e-12, "{at:?}: {} instead of {expected}", found[at]);
        }
    }

    /// The same on random masks, by `tests/parity/make_rules.py`.
    #[test]
    fn matches_scipy_on_random_masks() {
        let file: serde_json::Value = serde_json::from_str(include_str!("tests/distances.json")).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let shape: [usize; 3] = crate::reference::numbers(&case["shape"]).try_into().unwrap();
            let numbers = |key: &str| -> Vec<f64> {
                case[key].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
            };
            let mask = case["mask"].as_str().unwrap().bytes().map(|letter| letter == b'b').collect();
            let mask = Array3::from_shape_vec(shape, mask).unwrap();
            let spacing = numbers("spacing").try_into().unwrap();
            let found = distance_transform(mask.view(), spacing, 2).unwrap();
            for (found, expected) in found.iter().zip(numbers("distances")) {
                assert!((found - expected).abs() < 1e-12, "{shape:?}: {found} instead of {expected}");
            }
        }
    }

    const SCIPY: [([usize; 3], f64); 4] = [
        ([0, 0, 0], 4.455_333_881_989_093),
        ([1, 2, 2], 3.402_939_905_434_711),
        ([2, 0, 4], 4.875_448_697_299_562),
        ([0, 3, 1], 3.584_689_665_786_984),
    ];
}
