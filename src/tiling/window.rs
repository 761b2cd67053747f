//! How much each voxel of a tile counts where tiles overlap.

use half::f16;
use ndarray::Array3;

use crate::buffer;
use crate::error::Result;

/// The largest weight, chosen by nnU-Net to keep more of the small ones apart in half precision.
const PEAK: f64 = 10.0;

/// What its memory is for, in errors.
const WINDOW: &str = "the weights of a tile's voxels";

/// nnU-Net's Gaussian importance map for tiles of shape `patch`: the standard deviation is an eighth of the
/// tile.
///
/// A weight that would be zero in half precision is the smallest that isn't, so that each voxel counts.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn gaussian(patch: [usize; 3]) -> Result<Array3<f16>> {
    let [a, b, c] = [line(patch[0])?, line(patch[1])?, line(patch[2])?];
    to_half(patch, (largest(&a) * largest(&b)) * largest(&c), |z, y, x| (a[z] * b[y]) * c[x])
}

/// The map for tiles of a two-dimensional network, of shape [1, rows, columns].
///
/// It isn't `gaussian([1, rows, columns])`, where a third factor close to one changes the last bits.
///
/// # Errors
/// As [`gaussian`].
pub fn gaussian2d(patch: [usize; 2]) -> Result<Array3<f16>> {
    let [b, c] = [line(patch[0])?, line(patch[1])?];
    to_half([1, patch[0], patch[1]], largest(&b) * largest(&c), |_, y, x| b[y] * c[x])
}

/// The response of SciPy's `gaussian_filter1d` to one at the centre of zeros: the middle of its kernel, which
/// is normalised over its support of four standard deviations.
fn line(length: usize) -> Result<Vec<f64>> {
    let sigma = length as f64 * 0.125;
    let radius = (4.0 * sigma + 0.5) as usize;
    let factor = -0.5 / (sigma * sigma);
    let weight = |index: usize| libm::exp(factor * (index as f64 - radius as f64).powi(2));
    let kernel = buffer::collect(WINDOW, (0..=2 * radius).map(weight))?;
    let sum = pairwise_sum(&kernel);
    buffer::collect(WINDOW, (0..length).map(|index| kernel[radius - (length / 2).abs_diff(index)] / sum))
}

fn largest(line: &[f64]) -> f64 {
    line.iter().copied().fold(0.0, f64::max)
}

/// A sum in the order of NumPy's `sum`, for the same last bit.
fn pairwise_sum(values: &[f64]) -> f64 {
    match values.len() {
        ..8 => values.iter().sum(),
        8..=128 => {
            let (blocks, rest) = values.as_chunks::<8>();
            let parts = blocks[1..]
                .iter()
                .fold(blocks[0], |parts, block| std::array::from_fn(|index| parts[index] + block[index]));
            let [a, b, c, d, e, f, g, h] = parts;
            rest.iter().fold(((a + b) + (c + d)) + ((e + f) + (g + h)), |sum, value| sum + value)
        }
        length => {
            let (left, right) = values.split_at(length / 2 - length / 2 % 8);
            pairwise_sum(left) + pairwise_sum(right)
        }
    }
}

/// Products, scaled so that the largest of them becomes [`PEAK`]. The largest factors give it: rounding keeps the
/// order.
fn to_half(
    shape: [usize; 3],
    largest: f64,
    product: impl Fn(usize, usize, usize) -> f64,
) -> Result<Array3<f16>> {
    let divisor = largest / PEAK;
    // By way of single precision, since that is how PyTorch converts; it changes a few weights in a million.
    let weight = |z, y, x| f16::from_f32((product(z, y, x) / divisor) as f32);
    let mut map = buffer::from_fn(WINDOW, shape, weight)?;
    let smallest = map.iter().copied().filter(|weight| *weight > f16::ZERO).fold(f16::MAX, f16::min);
    map.mapv_inplace(|weight| if weight == f16::ZERO { smallest } else { weight });
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{golden, numbers};

    /// Rounds once. `half` itself rounds to single precision first, or drops digits.
    fn round(value: f64) -> f16 {
        let near = value as f32;
        let odd = match f64::from(near) {
            wide if wide == value || near.to_bits() % 2 == 1 => near,
            wide if wide > value => near.next_down(),
            _ => near.next_up(),
        };
        f16::from_f32(odd)
    }

    /// In double precision, by the largest product that there is.
    fn exact(patch: [usize; 3]) -> Array3<f64> {
        let [a, b, c] = patch.map(|length| line(length).unwrap());
        let products = Array3::from_shape_fn(patch, |(z, y, x)| (a[z] * b[y]) * c[x]);
        let divisor = products.iter().copied().fold(0.0, f64::max) / PEAK;
        products / divisor
    }

    #[test]
    fn gaussian_equals_the_reference() {
        let Some(golden) = golden("sliding.json") else { return };
        for case in golden["gauss"].as_array().unwrap() {
            let patch = <[usize; 3]>::try_from(numbers(&case["tile"])).unwrap();
            let (map, [z, y, x]) = (gaussian(patch).unwrap(), patch.map(|length| length / 2));
            let bits = |line: ndarray::ArrayView1<f16>| {
                line.iter().map(|w| w.to_bits().into()).collect::<Vec<usize>>()
            };
            assert_eq!(bits(map.slice(ndarray::s![.., y, x])), numbers(&case["line_axis0_fp16_bits"]));
            assert_eq!(bits(map.slice(ndarray::s![z, y, ..])), numbers(&case["line_axis2_fp16_bits"]));
            let exact = exact(patch);
            let close = |a: f64, key: &str| (a / case[key].as_f64().unwrap() - 1.0).abs() < 1e-12;
            assert!(close(exact.sum(), "sum_f64"));
            // The reference's file was rounded by NumPy, without the detour over single precision.
            let direct = exact.mapv(round).mapv(|weight| weight.max(f16::from_bits(1)));
            let sum: f64 = direct.iter().map(|weight| weight.to_f64()).sum();
            assert!(sum == case["sum_fp16_as_f64"].as_f64().unwrap());
            assert!(map.iter().zip(&direct).all(|(a, b)| a.to_bits().abs_diff(b.to_bits()) <= 1));
            let zeros = exact.iter().filter(|weight| round(**weight) == f16::ZERO).count();
            assert_eq!(zeros as u64, case["zeros_replaced"].as_u64().unwrap());
            let smallest = map.iter().map(|weight| weight.to_bits()).min().unwrap();
            assert_eq!(u64::from(smallest), case["min_fp16_bits"].as_u64().unwrap());
        }
    }

    #[test]
    fn maps_peak_at_the_centre() {
        assert_eq!(gaussian2d([9, 14]).unwrap()[(0, 4, 7)], f16::from_f32(10.0));
        assert_eq!(gaussian2d([9, 14]).unwrap().dim(), (1, 9, 14));
        assert_eq!(gaussian([1, 1, 1]).unwrap()[(0, 0, 0)], f16::from_f32(10.0));
        for patch in [[200, 210, 190], [3, 2, 1]] {
            assert!(gaussian(patch).unwrap().iter().all(|weight| *weight > f16::ZERO));
        }
    }
}
