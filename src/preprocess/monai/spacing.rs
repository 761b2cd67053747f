//! MONAI's `Spacing` with `diagonal=False` and `scale_extent=False`: the grid that it chooses, and where that
//! grid's voxels lie in the image.

use super::sampling::{Outside, Sampling};
use crate::volume::Geometry;
use crate::{Error, Result};

/// How close spacings and affines must be to count as equal (MONAI's `AFFINE_TOL`).
const TOLERANCE: f64 = 1e-3;

/// NumPy's `allclose`: the relative part, and the absolute part where none is given.
const RELATIVE: f64 = 1e-5;
const ABSOLUTE: f64 = 1e-8;

/// No image has as many voxels: a spacing that gives more is a mistake.
const MOST_VOXELS: f64 = (1u64 << 33) as f64;

/// Change of a grid's spacing with its axes kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Spacing {
    /// The new spacing; an axis keeps its own where this is `None` or not positive.
    pub pixdim: [Option<f64>; 3],
    /// An axis keeps its spacing from here on (up to `max_pixdim`); `None`: from `pixdim`.
    pub min_pixdim: [Option<f64>; 3],
    /// An axis keeps its spacing up to here; `None`: up to `pixdim`.
    pub max_pixdim: [Option<f64>; 3],
    /// Whether coordinates are normalised by the outermost voxels' centres (else by their faces).
    pub align_corners: bool,
    /// What lies beyond the image.
    pub outside: Outside,
    /// Whether resampling is in single precision; MONAI's default is double precision.
    pub single: bool,
    /// Whether the image's axes are taken to be at right angles, as ITK leaves them when it reads a file; else
    /// rounding in a file counts as MONAI counts it.
    pub straight: bool,
}

/// How the new grid lies in the old one. Indices of the image are `scale · o + shift`, with `scale` an upper
/// triangle since the new axes are the image's, made orthogonal one after the other.
struct Relation {
    target: Geometry,
    scale: [[f64; 3]; 3],
    shift: [f64; 3],
    /// The diagonal, and the part above it, of the triangle that turns indices into millimetres along the
    /// orthogonal axes.
    triangle: [[f64; 3]; 3],
}

impl Spacing {
    /// MONAI's defaults for a new spacing.
    pub fn new(pixdim: [f64; 3]) -> Self {
        Spacing {
            pixdim: pixdim.map(Some),
            min_pixdim: [None; 3],
            max_pixdim: [None; 3],
            align_corners: false,
            outside: Outside::Border,
            single: false,
            straight: false,
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

    /// The grid after this step.
    ///
    /// Its first voxel lies on the image's first voxel. If the image's axes aren't orthogonal, as after
    /// rounding in a file, that voxel may be no corner of the image on the new axes; then MONAI lets the
    /// middles of both grids coincide.
    ///
    /// # Errors
    /// [`Error::Geometry`] for a grid with more voxels than any image, or a sheared image.
    pub fn grid(&self, image: &Geometry) -> Result<Geometry> {
        let Relation { target, .. } = self.relation(image)?;
        Ok(target)
    }

    /// Where the new grid's voxels lie in the image; `None` when this step leaves the image as it is.
    ///
    /// # Errors
    /// As [`Spacing::grid`].
    pub fn forward(&self, image: &Geometry) -> Result<Option<Sampling>> {
        let relation = self.relation(image)?;
        Ok((!relation.is_identity(image)).then(|| {
            let shapes = [image.shape, relation.target.shape];
            self.sampling(shapes, &relation.scale, &relation.shift)
        }))
    }

    /// Where the image's voxels lie in the new grid; `None` when this step leaves the image as it is.
    ///
    /// # Errors
    /// As [`Spacing::grid`].
    pub fn inverse(&self, image: &Geometry) -> Result<Option<Sampling>> {
        let relation = self.relation(image)?;
        Ok((!relation.is_identity(image)).then(|| {
            let shapes = [relation.target.shape, image.shape];
            let (scale, shift) = relation.inverse();
            self.sampling(shapes, &scale, &shift)
        }))
    }

    fn sampling(&self, [from, to]: [[usize; 3]; 2], scale: &[[f64; 3]; 3], shift: &[f64; 3]) -> Sampling {
        Sampling::new(from, to, scale, shift, self.align_corners, self.outside, self.single)
    }

    /// The order of operations is that of MONAI's matrices (`zoom_affine`, `compute_shape_offset`,
    /// `spatial_resample`) as they come out for axes along those of the patient, to the last bit.
    fn relation(&self, image: &Geometry) -> Result<Relation> {
        let straight = if self.straight { Some(image.clone().straightened()) } else { None };
        let image = straight.as_ref().unwrap_or(image);
        let triangle = triangle(image)?;
        let spacing = self.spacing(image.spacing);
        let columns: [f64; 3] = std::array::from_fn(|axis| {
            let own = triangle[axis][axis];
            (own * (1.0 / own)) * spacing[axis]
        });
        let direction = orthogonal(image, &triangle);
        let last = image.shape.map(|length| length as f64 - 1.0);
        let mut target = Geometry { shape: [0; 3], spacing, direction, origin: image.origin };
        let mut count = 1.0;
        let mut corner = true;
        for axis in 0..3 {
            let reciprocal = 1.0 / columns[axis];
            // MONAI measures the extent between far points, whose position rounds it.
            let place =
                (0..3).map(|row| image.direction[row][axis] * image.origin[row]).sum::<f64>() * reciprocal;
            let (mut low, mut high) = (place, place);
            let mut below = 0.0;
            for (&side, &last) in triangle[axis].iter().zip(&last) {
                let reach = side * reciprocal * last;
                let end = if reach < 0.0 { &mut low } else { &mut high };
                *end += reach;
                below += reach.min(0.0);
            }
            corner &= below >= -ABSOLUTE;
            let length = ((high - low) + 1.0).round_ties_even();
            count *= length;
            target.shape[axis] = length as usize;
        }
        if count.is_nan() || count > MOST_VOXELS {
            let reason =
                format!("{:?} voxels of {spacing:?} mm, at most {MOST_VOXELS} are allowed", target.shape);
            return Err(Error::Geometry { reason });
        }
        let back = inverse_triangle(&triangle);
        let scale = std::array::from_fn(|row| std::array::from_fn(|axis| back[row][axis] * columns[axis]));
        let mut shift = [0.0; 3];
        if !corner {
            let half = |shape: [usize; 3]| shape.map(|length| length as f64 / 2.0);
            let (from, to) = (half(image.shape), half(target.shape));
            shift = std::array::from_fn(|row| from[row] - dot(&scale[row], &to));
            for row in 0..3 {
                let along = |axis: usize| image.direction[row][axis] * image.spacing[axis] * shift[axis];
                target.origin[row] += (0..3).map(along).sum::<f64>();
            }
        }
        Ok(Relation { target, scale, shift, triangle })
    }
}

impl Relation {
    /// Whether MONAI sees no change: same shape, and an affine within the tolerance.
    fn is_identity(&self, image: &Geometry) -> bool {
        let close = |value: f64, other: f64| (value - other).abs() <= TOLERANCE + RELATIVE * other.abs();
        let Relation { target, scale, shift, .. } = self;
        let unit = |row: usize, axis: usize| if row == axis { 1.0 } else { 0.0 };
        let every = |test: &dyn Fn(usize, usize) -> bool| (0..9).all(|at| test(at / 3, at % 3));
        let side = |grid: &Geometry, row: usize, axis: usize| grid.direction[row][axis] * grid.spacing[axis];
        let affines = every(&|row, axis| close(side(image, row, axis), side(target, row, axis)))
            && (0..3).all(|row| close(image.origin[row], target.origin[row]));
        let indices = every(&|row, axis| close(scale[row][axis], unit(row, axis)))
            && shift.iter().all(|&shift| close(shift, 0.0));
        target.shape == image.shape && (affines || indices)
    }

    /// Indices of the new grid from those of the image.
    fn inverse(&self) -> ([[f64; 3]; 3], [f64; 3]) {
        let Relation { scale, shift, triangle, .. } = self;
        let back = std::array::from_fn(|row| {
            // The affine of the resampled image is the image's times the scale.
            let reciprocal = 1.0 / (triangle[row][row] * scale[row][row]);
            triangle[row].map(|side| side * reciprocal)
        });
        let centred = shift.iter().any(|&shift| shift != 0.0);
        let shift = std::array::from_fn(|row| if centred { -dot(&back[row], shift) } else { 0.0 });
        (back, shift)
    }
}

fn dot(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The upper triangle of the Gram–Schmidt process on the image's axes, in millimetres.
fn triangle(image: &Geometry) -> Result<[[f64; 3]; 3]> {
    let column = |axis: usize| [0, 1, 2].map(|row: usize| image.direction[row][axis] * image.spacing[axis]);
    let mut triangle = [[0.0; 3]; 3];
    for axis in 0..3 {
        for before in 0..axis {
            let known: f64 = (0..before).map(|row| triangle[row][before] * triangle[row][axis]).sum();
            triangle[before][axis] = (dot(&column(before), &column(axis)) - known) / triangle[before][before];
        }
        let known: f64 = (0..axis).map(|row| triangle[row][axis] * triangle[row][axis]).sum();
        triangle[axis][axis] = (dot(&column(axis), &column(axis)) - known).sqrt();
        if triangle[axis][axis].is_nan() || triangle[axis][axis] <= 0.0 {
            return Err(Error::Geometry { reason: format!("axis {axis} lies in the plane of the others") });
        }
    }
    Ok(triangle)
}

/// The inverse of an upper triangle.
fn inverse_triangle(triangle: &[[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let mut inverse = [[0.0; 3]; 3];
    for axis in 0..3 {
        inverse[axis][axis] = 1.0 / triangle[axis][axis];
        for row in (0..axis).rev() {
            let known: f64 = (row + 1..=axis).map(|at| triangle[row][at] * inverse[at][axis]).sum();
            inverse[row][axis] = -known * (1.0 / triangle[row][row]);
        }
    }
    inverse
}

/// The image's axes, made orthogonal.
fn orthogonal(image: &Geometry, triangle: &[[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let inverse = inverse_triangle(triangle);
    image.direction.map(|row| {
        let row: [f64; 3] = std::array::from_fn(|axis| row[axis] * image.spacing[axis]);
        std::array::from_fn(|axis| (0..=axis).map(|at| row[at] * inverse[at][axis]).sum())
    })
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use proptest::prelude::*;

    use super::*;

    fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Geometry {
        Geometry { spacing, ..Geometry::with_shape(shape) }
    }

    fn line(values: &[f32]) -> Array3<f32> {
        Array3::from_shape_vec((1, 1, values.len()), values.to_vec()).unwrap()
    }

    #[test]
    fn lines_equal_monai() {
        // monai.transforms.Spacing on MetaTensors of spacing 1, MONAI 1.6.1, as in the other tests here
        let image = line(&[0.0, 1.0, 4.0, 9.0, 16.0, 25.0]);
        let geometry = grid([1, 1, 6], [1.0; 3]);
        let resampled = |rule: Spacing| rule.forward(&geometry).unwrap().unwrap().linear(image.view(), 1);
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
        assert_eq!(resampled(Spacing { outside: Outside::Zeros, ..beyond }), line(&[0.0, 3.1, 11.8, 22.5]));
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
            let inverse = rule.inverse(&geometry).unwrap().unwrap();
            let labels = Array3::from_shape_fn((1, 1, 13), |(_, _, x)| x as u8);
            assert_eq!(inverse.nearest(labels.view(), 0, 1).into_raw_vec_and_offset().0, expected);
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
            let found = rule.forward(&geometry).unwrap().unwrap();
            assert!(found.skew() > 0.0 && found.skew() < 1e-5);
            let found = found.linear(ramp.view(), 1);
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found}");
            let place = rule.grid(&geometry).unwrap().origin;
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
        assert_eq!(kept.forward(&geometry).unwrap(), None);
        assert_eq!(kept.inverse(&geometry).unwrap(), None);
        assert_eq!(kept.grid(&geometry).unwrap().shape, [3, 4, 5]);
    }

    #[test]
    fn bad_values_are_refused() {
        let rule = Spacing::new([1.0; 3]);
        assert!(rule.check().is_ok());
        let wrong = Spacing { min_pixdim: [Some(2.0); 3], max_pixdim: [Some(1.0); 3], ..rule.clone() };
        assert!(matches!(wrong.check(), Err(Error::InvalidArgument { .. })));
        assert!(Spacing::new([f64::INFINITY; 3]).check().is_err());
        let tiny = Spacing::new([1e-9; 3]);
        assert!(matches!(tiny.grid(&Geometry::with_shape([100; 3])), Err(Error::Geometry { .. })));
        let mut flat = Geometry::with_shape([2; 3]);
        flat.direction[1][1] = 0.0;
        assert!(matches!(rule.forward(&flat), Err(Error::Geometry { .. })));
    }

    proptest! {
        #[test]
        fn a_ramp_stays_a_ramp(
            shape in prop::array::uniform3(2..12usize), own in prop::array::uniform3(0.5..4.0f64),
            new in prop::array::uniform3(0.5..4.0f64), single: bool, align_corners: bool,
        ) {
            let geometry = grid(shape, own);
            let rule = Spacing { single, align_corners, ..Spacing::new(new) };
            let to = rule.grid(&geometry).unwrap();
            let millimetres = |grid: &Geometry, at: [usize; 3]| {
                [0, 1, 2].map(|axis: usize| (at[axis] as f64 * grid.spacing[axis]).min((shape[axis] - 1) as f64 * own[axis])).iter().sum::<f64>() as f32
            };
            let ramp = |grid: &Geometry| Array3::from_shape_fn(grid.shape, |(z, y, x)| millimetres(grid, [z, y, x]));
            // With corners aligned, PyTorch puts a single voxel into the middle.
            let corner = !align_corners || !to.shape.contains(&1);
            if let Some(forward) = rule.forward(&geometry).unwrap().filter(|_| corner) {
                prop_assert_eq!((forward.from(), forward.to(), forward.skew()), (shape, to.shape, 0.0));
                let found = forward.linear(ramp(&geometry).view(), 2);
                prop_assert!(found.iter().zip(&ramp(&to)).all(|(a, b)| (a - b).abs() < 1e-3));
            }
        }

        #[test]
        fn nearest_is_there_and_back(shape in prop::array::uniform3(1..9usize), factor in prop::array::uniform3(1..4usize)) {
            let geometry = grid(shape, factor.map(|factor| factor as f64));
            let rule = Spacing::new([1.0; 3]);
            let labels = Array3::from_shape_fn(shape, |(z, y, x)| (z * 100 + y * 10 + x) as u16);
            let (Some(forward), Some(inverse)) = (rule.forward(&geometry).unwrap(), rule.inverse(&geometry).unwrap()) else {
                prop_assert!((0..3).all(|axis| factor[axis] == 1 || shape[axis] == 1));
                return Ok(());
            };
            let fine = forward.nearest(labels.view(), 0, 2);
            prop_assert_eq!(inverse.nearest(fine.view(), 0, 2), labels);
        }
    }
}
