//! MONAI's `Spacing` with `diagonal=False` and `scale_extent=False`: the grid that it chooses, where that grid's
//! voxels lie in the image, and the way back.

use super::grid::Grid;
use super::matrix::{cholesky, product, solve, times, transposed};
use super::sampling::Sampling;
use crate::recipe::{PaddingMode, Spacing};
use crate::{Error, Result};

/// How close spacings and affines must be to count as equal (MONAI's `AFFINE_TOL`).
const TOLERANCE: f64 = 1e-3;

/// NumPy's `allclose`: the relative part, and the absolute part where none is given.
const RELATIVE: f64 = 1e-5;
const ABSOLUTE: f64 = 1e-8;

/// No image has as many voxels: a spacing that gives more is a mistake.
const MOST_VOXELS: f64 = (1u64 << 33) as f64;

/// What a step made of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Spaced {
    /// The new grid, as MONAI goes on with it.
    pub grid: Grid,
    /// Where its voxels lie in the image; `None` when the step leaves the image as it is.
    pub sampling: Option<Sampling>,
}

/// Where an image's voxels lie in the grid that a step made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct InverseSpacing {
    /// For linear interpolation.
    pub linear: Sampling,
    /// For the nearest voxels: `Invertd` forgets `align_corners` there.
    pub nearest: Sampling,
}

impl Spacing {
    /// MONAI's defaults for a new spacing.
    pub fn new(pixdim: [f64; 3]) -> Self {
        Spacing {
            pixdim: pixdim.map(Some),
            min_pixdim: [None; 3],
            max_pixdim: [None; 3],
            align_corners: false,
            outside: PaddingMode::Border,
            single: false,
            orthogonal: false,
        }
    }

    /// Refuses values that no grid can have.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], which names the field.
    pub fn check(&self) -> Result<()> {
        for axis in 0..3 {
            let (low, high) = (self.min_pixdim[axis], self.max_pixdim[axis]);
            if let (Some(low), Some(high)) = (low, high)
                && (high < low || low < 0.0)
            {
                let found = format!("{low} with max_pixdim {high}");
                return Err(Error::argument("min_pixdim", found, "from 0 to max_pixdim"));
            }
            let infinite = |value: &Option<f64>| value.is_some_and(f64::is_infinite);
            if [&self.pixdim[axis], &low, &high].into_iter().any(infinite) {
                return Err(Error::argument("pixdim", "an infinite number", "millimetres"));
            }
        }
        Ok(())
    }

    /// The new spacing of an image.
    pub fn spacing(&self, spacing: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|axis| {
            let own = spacing[axis];
            let Some(target) = self.pixdim[axis].filter(|target| *target > 0.0) else { return own };
            let low = self.min_pixdim[axis].unwrap_or(target).min(target);
            let high = self.max_pixdim[axis].unwrap_or(target).max(target);
            if low - TOLERANCE <= own && own <= high + TOLERANCE { own } else { target }
        })
    }

    /// The step for an image.
    ///
    /// The new grid's first voxel lies on the image's first voxel. If the image's axes aren't orthogonal, as after
    /// rounding in a file, that voxel may be no corner of the image on the new axes; then MONAI lets the middles of
    /// both grids coincide.
    ///
    /// # Errors
    /// [`Error::Geometry`] for a grid with more voxels than any image, or axes that lie in one plane.
    pub fn forward(&self, image: &Grid) -> Result<Spaced> {
        let target = self.target(image)?;
        let Some(indices) = indices(image, &target)? else {
            return Ok(Spaced { grid: image.clone(), sampling: None });
        };
        let sampling = self.sampling([image.shape, target.shape], &indices, self.align_corners);
        let grid = Grid { affine: product(&image.affine, &indices), shape: target.shape };
        Ok(Spaced { grid, sampling: Some(sampling) })
    }

    /// The way back from the grid that [`Spacing::forward`] made of an image; `None` where it changes nothing.
    ///
    /// # Errors
    /// As [`Spacing::forward`].
    pub fn back(&self, from: &Grid, image: &Grid) -> Result<Option<InverseSpacing>> {
        Ok(indices(from, image)?.map(|indices| {
            let sampling = |align_corners| self.sampling([from.shape, image.shape], &indices, align_corners);
            InverseSpacing { linear: sampling(self.align_corners), nearest: sampling(false) }
        }))
    }

    fn sampling(&self, shapes: [[usize; 3]; 2], indices: &[[f64; 4]; 4], align_corners: bool) -> Sampling {
        let [from, to] = shapes;
        let scale = [0, 1, 2].map(|row: usize| [0, 1, 2].map(|axis: usize| indices[row][axis]));
        let shift = [0, 1, 2].map(|row: usize| indices[row][3]);
        Sampling::new(from, to, &scale, &shift, align_corners, self.outside, self.single)
    }

    /// The grid that MONAI asks for: `zoom_affine` and `compute_shape_offset`.
    fn target(&self, image: &Grid) -> Result<Grid> {
        let flat = || Error::Geometry { reason: "an axis lies in the plane of the others".into() };
        let sides = image.sides();
        let upper = transposed(&cholesky(&product(&transposed(&sides), &sides)).ok_or_else(flat)?);
        let rotation = product(&sides, &solve(upper, &super::matrix::identity()).ok_or_else(flat)?);
        let spacing = self.spacing(image.spacing());
        let sides = rotation.map(|row| [0, 1, 2].map(|axis: usize| row[axis] * spacing[axis]));
        let row = |row: usize| [sides[row][0], sides[row][1], sides[row][2], 0.0];
        let mut affine = [row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]];

        // The image's eight corners in the new grid; the last axis of the image changes first.
        let last = |axis: usize, corner: usize| {
            if corner >> (2 - axis) & 1 == 1 { image.shape[axis] as f64 - 1.0 } else { 0.0 }
        };
        let corners: [[f64; 8]; 4] = std::array::from_fn(|axis| {
            std::array::from_fn(|corner| if axis < 3 { last(axis, corner) } else { 1.0 })
        });
        let placed = product(&solve(affine, &image.affine).ok_or_else(flat)?, &corners);
        let length = |axis: usize| {
            let high = placed[axis].into_iter().fold(f64::NEG_INFINITY, f64::max);
            let low = placed[axis].into_iter().fold(f64::INFINITY, f64::min);
            ((high - low) + 1.0).round_ties_even()
        };
        let lengths = [length(0), length(1), length(2)];
        let shape = lengths.map(|length| length as usize);
        let count = lengths.iter().product::<f64>();
        if count.is_nan() || count > MOST_VOXELS {
            let reason = format!("{shape:?} voxels of {spacing:?} mm, at most {MOST_VOXELS} are allowed");
            return Err(Error::Geometry { reason });
        }
        let is_lowest = |corner: &usize| {
            placed[..3].iter().all(|along| along.iter().all(|at| at - along[*corner] >= -ABSOLUTE))
        };
        match (0..8).find(is_lowest) {
            Some(corner) => {
                let places = product(&image.affine, &corners);
                (0..3).for_each(|row| affine[row][3] = places[row][corner]);
            }
            None => {
                let middle = times(&image.sides(), &image.shape.map(|length| length as f64 / 2.0));
                let other = times(&sides, &lengths.map(|length| length / 2.0));
                (0..3).for_each(|row| affine[row][3] = middle[row] + image.affine[row][3] - other[row]);
            }
        }
        Ok(Grid { shape, affine })
    }
}

/// The indices in one grid of another's voxels, as `spatial_resample` solves for them; `None` where it sees no
/// difference between both grids.
fn indices(from: &Grid, to: &Grid) -> Result<Option<[[f64; 4]; 4]>> {
    let singular = || Error::Geometry { reason: "an axis lies in the plane of the others".into() };
    let indices = solve(from.affine, &to.affine).ok_or_else(singular)?;
    let close = |values: &[[f64; 4]; 4], others: &[[f64; 4]; 4]| {
        let pairs = values.as_flattened().iter().zip(others.as_flattened());
        pairs.into_iter().all(|(value, other)| (value - other).abs() <= TOLERANCE + RELATIVE * other.abs())
    };
    let same = close(&from.affine, &to.affine) || close(&indices, &super::matrix::identity());
    Ok((!(same && from.shape == to.shape)).then_some(indices))
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use proptest::prelude::*;

    use super::*;
    use crate::volume::Geometry;

    fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Grid {
        Grid::new(&Geometry { spacing, ..Geometry::with_shape(shape) })
    }

    fn back(rule: &Spacing, image: &Grid) -> Option<InverseSpacing> {
        rule.back(&rule.forward(image).unwrap().grid, image).unwrap()
    }

    fn line(values: &[f32]) -> Array3<f32> {
        Array3::from_shape_vec((1, 1, values.len()), values.to_vec()).unwrap()
    }

    #[test]
    fn lines_equal_monai() {
        // monai.transforms.Spacing on MetaTensors of spacing 1, MONAI 1.6.1, as in the other tests here
        let image = line(&[0.0, 1.0, 4.0, 9.0, 16.0, 25.0]);
        let geometry = grid([1, 1, 6], [1.0; 3]);
        let resampled = |rule: Spacing| {
            rule.forward(&geometry).unwrap().sampling.unwrap().linear(image.view(), 1).unwrap()
        };
        let coarse = Spacing::new([1.0, 1.0, 1.5]);
        let noise = 5.960_464_5e-8;
        for (single, align_corners, first) in
            [(false, false, 0.0), (false, true, 0.0), (true, false, noise), (true, true, 0.0)]
        {
            let rule = Spacing { single, align_corners, ..coarse.clone() };
            assert_eq!(resampled(rule), line(&[first, 2.5, 9.0, 20.5]));
        }
        let beyond = Spacing::new([1.0, 1.0, 1.7]);
        assert_eq!(resampled(beyond.clone()), line(&[0.0, 3.1, 11.8, 25.0]));
        assert_eq!(
            resampled(Spacing { outside: PaddingMode::Zeros, ..beyond }),
            line(&[0.0, 3.1, 11.8, 22.5])
        );
    }

    #[test]
    fn nearest_halves_equal_monai() {
        // The inverse of a step from 1.5 mm to 3 mm, where every second voxel lies between two.
        let geometry = grid([1, 1, 25], [1.0, 1.0, 1.5]);
        let cases = [
            (false, false, [0, 0, 1, 2, 2, 2, 3, 4, 4, 4, 5, 6, 6, 7, 7, 8, 8, 8, 9, 10, 10, 10, 11, 12, 12]),
            (false, true, [0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6, 6, 7, 7, 8, 8, 8, 9, 10, 10, 10, 11, 12, 12]),
            (true, false, [0, 1, 1, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 8, 9, 10, 10, 11, 11, 12, 12]),
            (true, true, [0, 0, 1, 2, 2, 2, 3, 4, 4, 4, 5, 6, 6, 6, 7, 8, 8, 8, 9, 10, 10, 10, 11, 12, 12]),
        ];
        for (single, align_corners, expected) in cases {
            let rule = Spacing { single, align_corners, ..Spacing::new([1.0, 1.0, 3.0]) };
            let inverse = back(&rule, &geometry).unwrap().linear;
            let labels = Array3::from_shape_fn((1, 1, 13), |(_, _, x)| x as u8);
            assert_eq!(inverse.nearest(labels.view(), 0, 1).unwrap().into_raw_vec_and_offset().0, expected);
        }
    }

    #[test]
    fn skewed_axes_let_the_middles_coincide() {
        let mut geometry = Geometry::with_shape([1, 8, 1]);
        let ramp = Array3::from_shape_fn((1, 8, 1), |(_, y, _)| y as f32);
        let rule = Spacing::new([1.0, 1.5, 1.0]);
        for (skew, expected, origin) in [
            (-1e-6, [0.0, 1.0, 2.5, 4.0, 5.5, 7.0], [-4e-6, -0.5, 0.0]),
            (1e-6, [0.0, 1.5, 3.0, 4.5, 6.0, 7.0], [0.0; 3]),
        ] {
            geometry.direction[0][1] = skew;
            let step = rule.forward(&Grid::new(&geometry)).unwrap();
            let found = step.sampling.unwrap();
            assert!(found.skew() > 0.0 && found.skew() < 1e-5);
            let found = found.linear(ramp.view(), 1).unwrap();
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found}");
            let place = [0, 1, 2].map(|row: usize| step.grid.affine[row][3]);
            assert!(place.iter().zip(origin).all(|(a, b)| (a - b).abs() < 1e-9), "{place:?}");
        }
    }

    #[test]
    fn spacings_within_the_bounds_stay() {
        let slicer =
            Spacing { min_pixdim: [Some(1.5); 3], max_pixdim: [Some(2.5); 3], ..Spacing::new([2.0; 3]) };
        assert_eq!(slicer.spacing([1.5, 2.501, 2.502]), [1.5, 2.501, 2.0]);
        assert_eq!(Spacing::new([2.0; 3]).spacing([1.999, 2.001, 2.0011]), [1.999, 2.001, 2.0]);
        let kept = Spacing { pixdim: [None, Some(-1.0), Some(0.0)], ..slicer };
        assert_eq!(kept.spacing([0.3, 4.0, 5.0]), [0.3, 4.0, 5.0]);
        let geometry = grid([3, 4, 5], [0.3, 4.0, 5.0]);
        assert_eq!(kept.forward(&geometry).unwrap(), Spaced { grid: geometry.clone(), sampling: None });
        assert_eq!(back(&kept, &geometry), None);
    }

    #[test]
    fn bad_values_are_refused() {
        let rule = Spacing::new([1.0; 3]);
        assert!(rule.check().is_ok());
        let wrong = Spacing { min_pixdim: [Some(2.0); 3], max_pixdim: [Some(1.0); 3], ..rule.clone() };
        assert!(matches!(wrong.check(), Err(Error::InvalidArgument { .. })));
        assert!(Spacing::new([f64::INFINITY; 3]).check().is_err());
        let tiny = Spacing::new([1e-9; 3]);
        assert!(matches!(tiny.forward(&grid([100; 3], [1.0; 3])), Err(Error::Geometry { .. })));
        let mut flat = Geometry::with_shape([2; 3]);
        flat.direction[1][1] = 0.0;
        assert!(matches!(rule.forward(&Grid::new(&flat)), Err(Error::Geometry { .. })));
    }

    proptest! {
        #[test]
        fn a_ramp_stays_a_ramp(
            shape in prop::array::uniform3(2..12usize), own in prop::array::uniform3(0.5..4.0f64),
            new in prop::array::uniform3(0.5..4.0f64), single: bool, align_corners: bool,
        ) {
            let geometry = grid(shape, own);
            let rule = Spacing { single, align_corners, ..Spacing::new(new) };
            let Spaced { grid: to, sampling } = rule.forward(&geometry).unwrap();
            let millimetres = |grid: &Grid, at: [usize; 3]| {
                [0, 1, 2].map(|axis: usize| (at[axis] as f64 * grid.spacing()[axis]).min((shape[axis] - 1) as f64 * own[axis])).iter().sum::<f64>() as f32
            };
            let ramp = |grid: &Grid| Array3::from_shape_fn(grid.shape, |(z, y, x)| millimetres(grid, [z, y, x]));
            // With corners aligned, PyTorch puts a single voxel into the middle.
            let corner = !align_corners || !to.shape.contains(&1);
            if let Some(forward) = sampling.filter(|_| corner) {
                prop_assert_eq!((forward.from(), forward.to(), forward.skew()), (shape, to.shape, 0.0));
                let found = forward.linear(ramp(&geometry).view(), 2).unwrap();
                prop_assert!(found.iter().zip(&ramp(&to)).all(|(a, b)| (a - b).abs() < 1e-3));
            }
        }

        #[test]
        fn nearest_is_there_and_back(shape in prop::array::uniform3(1..9usize), factor in prop::array::uniform3(1..4usize)) {
            let geometry = grid(shape, factor.map(|factor| factor as f64));
            let rule = Spacing::new([1.0; 3]);
            let labels = Array3::from_shape_fn(shape, |(z, y, x)| (z * 100 + y * 10 + x) as u16);
            let (Some(forward), Some(inverse)) = (rule.forward(&geometry).unwrap().sampling, back(&rule, &geometry)) else {
                prop_assert!((0..3).all(|axis| factor[axis] == 1 || shape[axis] == 1));
                return Ok(());
            };
            let fine = forward.nearest(labels.view(), 0, 2).unwrap();
            prop_assert_eq!(inverse.nearest.nearest(fine.view(), 0, 2).unwrap(), labels);
        }
    }
}
