//! MONAI's sliding window: where windows start, and how much each of a window's voxels counts.

use ndarray::Array3;

use crate::{Error, Result, buffer};

/// No image needs as many: an overlap that gives more is a mistake.
const MOST_WINDOWS: f64 = 1e7;

/// What its memory is for, in errors.
const WINDOW: &str = "the weights of a window's voxels";

/// The smallest weight.
const FLOOR: f32 = 1e-3;

/// The usual standard deviation of the weights, as a share of the window.
pub const SIGMA_SCALE: f64 = 0.125;

/// The ascending first positions of windows of shape `roi` along each axis of an image, which is padded to at
/// least that shape: `dense_patch_slices` with `_get_scan_interval`.
///
/// # Errors
/// [`Error::InvalidArgument`] for an overlap outside of [0, 1) or one that gives too many windows, and for
/// an image or window without voxels.
pub fn starts(image: [usize; 3], roi: [usize; 3], overlap: [f64; 3]) -> Result<[Vec<usize>; 3]> {
    if let Some(overlap) = overlap.iter().find(|overlap| !(0.0..1.0).contains(*overlap)) {
        return Err(Error::argument("overlap", overlap, "a number from 0 up to but not including 1"));
    }
    if image.contains(&0) || roi.contains(&0) {
        let found = format!("an image of {image:?} and windows of {roi:?} voxels");
        return Err(Error::argument("roi_size", found, "at least one voxel along each axis"));
    }
    // Positions follow from the distance of windows until one reaches the end; it is drawn back to end there.
    let rules = [0, 1, 2].map(|axis| {
        let room = image[axis].saturating_sub(roi[axis]);
        let interval = ((roi[axis] as f64 * (1.0 - overlap[axis])) as usize).max(1);
        (room, interval, room.div_ceil(interval) + 1)
    });
    if rules.iter().map(|&(_, _, count)| count as f64).product::<f64>() > MOST_WINDOWS {
        let found = format!("{overlap:?}, for an image of {image:?} and windows of {roi:?} voxels");
        return Err(Error::argument(
            "overlap",
            found,
            format!("one that gives at most {MOST_WINDOWS} windows"),
        ));
    }
    let places = |(room, interval, count): (usize, usize, usize)| {
        buffer::collect("the places of windows", (0..count).map(|index| (index * interval).min(room)))
    };
    let [planes, rows, columns] = rules.map(places);
    Ok([planes?, rows?, columns?])
}

/// How many padding voxels come before an image that is smaller than a window; an odd one comes after it.
pub fn pad_below(image: [usize; 3], roi: [usize; 3]) -> [usize; 3] {
    [0, 1, 2].map(|axis| roi[axis].saturating_sub(image[axis]) / 2)
}

/// The weights of a window's voxels, a Gaussian around its middle whose standard deviations are shares of the
/// window: `compute_importance_map`.
///
/// The exponential is rounded correctly; that of PyTorch's vector library is one unit in the last place off in
/// about one of a hundred values.
///
/// # Errors
/// [`Error::InvalidArgument`] for a standard deviation that isn't positive, [`Error::OutOfMemory`].
pub fn importance(roi: [usize; 3], sigma_scale: [f64; 3]) -> Result<Array3<f32>> {
    if let Some(scale) = sigma_scale.iter().find(|scale| !(**scale > 0.0 && scale.is_finite())) {
        return Err(Error::argument("sigma_scale", scale, "a positive number"));
    }
    let [planes, rows, columns] = [0, 1, 2].map(|axis| line(roi[axis], sigma_scale[axis]));
    let (planes, rows, columns) = (planes?, rows?, columns?);
    let mut map = buffer::from_fn(WINDOW, roi, |z, y, x| (planes[z] * rows[y]) * columns[x])?;
    let least = map.iter().copied().fold(f32::INFINITY, f32::min).max(FLOOR);
    map.mapv_inplace(|weight| weight.max(least));
    Ok(map)
}

/// A Gaussian around the middle of an axis.
fn line(length: usize, scale: f64) -> Result<Vec<f32>> {
    let sigma = length as f64 * scale;
    let divisor = (-2.0 * (sigma * sigma)) as f32;
    let middle = (length as f64 - 1.0) / 2.0;
    let weight = |index: usize| {
        let distance = (index as f64 - middle) as f32;
        libm::exp(f64::from(distance * distance / divisor)) as f32
    };
    buffer::collect(WINDOW, (0..length).map(weight))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{golden, numbers};

    #[test]
    fn starts_equal_the_reference() {
        let Some(golden) = golden("sliding.json") else { return };
        for case in golden["monai_starts"].as_array().unwrap() {
            let shape = |key: &str| <[usize; 3]>::try_from(numbers(&case[key])).unwrap();
            let found = starts(shape("image"), shape("roi"), [case["overlap"].as_f64().unwrap(); 3]).unwrap();
            for (axis, found) in found.iter().enumerate() {
                assert_eq!(*found, numbers(&case["starts"][axis]));
            }
        }
    }

    #[test]
    fn starts_of_monai() {
        // dense_patch_slices(image, roi, _get_scan_interval(image, roi, 3, overlap)), MONAI 1.6.1
        let found = starts([200, 96, 97], [96, 96, 96], [0.7, 0.5, 0.25]).unwrap();
        assert_eq!(found, [vec![0, 28, 56, 84, 104], vec![0], vec![0, 1]]);
        assert_eq!(
            starts([5, 3, 9], [2, 4, 3], [0.9, 0.5, 0.0]).unwrap(),
            [vec![0, 1, 2, 3], vec![0], vec![0, 3, 6]]
        );
        assert_eq!(pad_below([5, 3, 9], [8, 5, 9]), [1, 1, 0]);
    }

    #[test]
    fn importance_equals_the_reference() {
        let Some(golden) = golden("sliding.json") else { return };
        for case in golden["monai_gauss_line"].as_array().unwrap() {
            let roi = <[usize; 3]>::try_from(numbers(&case["roi"])).unwrap();
            let map = importance(roi, [0.125; 3]).unwrap();
            let close = |found: f32, value: &serde_json::Value| {
                let expected = value.as_f64().unwrap() as f32;
                // Three exponentials and two products, each up to a unit off.
                assert!(found.to_bits().abs_diff(expected.to_bits()) <= 4, "{found} {expected}");
            };
            let line = case["centre_line_axis0"].as_array().unwrap();
            line.iter().enumerate().for_each(|(z, value)| close(map[(z, roi[1] / 2, roi[2] / 2)], value));
            close(map[(0, 0, 0)], &case["corner"]);
        }
    }

    #[test]
    fn importance_of_other_shapes() {
        // compute_importance_map((3, 1, 4), "gaussian", (0.125, 0.125, 0.3)), MONAI 1.6.1
        let map = importance([3, 1, 4], [0.125, 0.125, 0.3]).unwrap();
        let expected = [0.013_078_24, 0.026_190_432, 0.457_833_38, 0.916_855_3];
        let found = [map[(0, 0, 0)], map[(2, 0, 1)], map[(1, 0, 3)], map[(1, 0, 2)]];
        assert!(
            found.iter().zip(expected).all(|(found, expected)| (found / expected - 1.0).abs() < 1e-6),
            "{found:?}"
        );
    }

    #[test]
    fn bad_arguments_are_refused() {
        for overlap in [-0.1, 1.0, f64::NAN] {
            assert!(starts([4; 3], [2; 3], [0.5, overlap, 0.5]).is_err());
        }
        assert!(starts([4, 0, 4], [2; 3], [0.5; 3]).is_err() && starts([4; 3], [2, 0, 2], [0.5; 3]).is_err());
        assert!(starts([1000; 3], [1; 3], [0.5; 3]).is_err());
        for scale in [0.0, -0.1, f64::NAN] {
            assert!(importance([2; 3], [0.1, scale, 0.1]).is_err());
        }
    }

    proptest! {
        #[test]
        fn windows_cover_the_image(image in [1..60usize, 1..60, 1..60], roi in [1..20usize, 1..20, 1..20], overlap in 0.0..0.99f64) {
            for (axis, starts) in starts(image, roi, [overlap; 3]).unwrap().iter().enumerate() {
                prop_assert_eq!((starts[0], starts[starts.len() - 1]), (0, image[axis].saturating_sub(roi[axis])));
                for pair in starts.windows(2) {
                    prop_assert!(pair[0] < pair[1] && pair[1] <= pair[0] + roi[axis]);
                }
            }
        }
    }
}
