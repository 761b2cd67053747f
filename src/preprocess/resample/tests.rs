use ndarray::{ArrayView2, Zip};
use proptest::prelude::*;

use super::*;

/// SciPy's order of work, point by point: pad all axes, filter, then sum 64 products for each output voxel.
mod direct {
    use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};

    const PAD: usize = 12;

    fn padded(image: ArrayViewD<f64>) -> ArrayD<f64> {
        let shape: Vec<usize> = image.shape().iter().map(|length| length + 2 * PAD).collect();
        ArrayD::from_shape_fn(shape, |at| {
            let inside = |axis: usize| at[axis].clamp(PAD, image.shape()[axis] + PAD - 1) - PAD;
            image[IxDyn(&(0..image.ndim()).map(inside).collect::<Vec<_>>())]
        })
    }

    /// Mirrors the line about its outer edges, with the sum over all mirror images in the first state.
    fn filter(line: &mut [f64]) {
        let (pole, length) = (3f64.sqrt() - 2.0, line.len());
        let mirrored = |index: usize| {
            line[if (index / length).is_multiple_of(2) {
                index % length
            } else {
                length - 1 - index % length
            }]
        };
        let first: f64 =
            line[0] + (0..60).map(|index| pole.powi(index as i32 + 1) * mirrored(index)).sum::<f64>();
        line[0] = first;
        for index in 1..length {
            line[index] += pole * line[index - 1];
        }
        line[length - 1] *= pole / (pole - 1.0);
        for index in (0..length - 1).rev() {
            line[index] = pole * (line[index + 1] - line[index]);
        }
        line.iter_mut().for_each(|value| *value *= 6.0);
    }

    fn weights(order: u8, from: usize, to: usize, index: usize) -> Vec<(usize, f64)> {
        let at = (index as f64 + 0.5) * (from as f64 / to as f64) - 0.5;
        let clamped = at.clamp(0.0, (from - 1) as f64);
        let basis = |distance: f64| match distance.abs() {
            d @ ..1.0 => 2.0 / 3.0 - d * d + d * d * d / 2.0,
            d @ ..2.0 => (2.0 - d).powi(3) / 6.0,
            _ => 0.0,
        };
        match order {
            0 => vec![((clamped + 0.5).floor() as usize, 1.0)],
            1 => {
                let (low, part) = (clamped.floor() as usize, clamped.fract());
                vec![(low, 1.0 - part), ((low + 1).min(from - 1), part)]
            }
            _ => {
                let first = at.floor() as isize - 1;
                let tap =
                    |tap: isize| ((first + tap + PAD as isize) as usize, basis(at - (first + tap) as f64));
                (0..4).map(tap).collect()
            }
        }
    }

    /// Any number of axes, without clipping.
    pub fn zoom(image: ArrayViewD<f64>, to: &[usize], order: u8) -> ArrayD<f64> {
        let mut coefficients = image.to_owned();
        if order == 3 {
            coefficients = padded(image.view());
            for axis in 0..image.ndim() {
                for mut line in coefficients.lanes_mut(Axis(axis)) {
                    let mut values = line.to_vec();
                    filter(&mut values);
                    line.iter_mut().zip(values).for_each(|(target, value)| *target = value);
                }
            }
        }
        ArrayD::from_shape_fn(to, |at| {
            let mut terms = vec![(vec![], 1.0)];
            for axis in 0..to.len() {
                let taps = weights(order, image.shape()[axis], to[axis], at[axis]);
                let extended = |(index, weight): &(Vec<usize>, f64)| {
                    let (index, weight) = (index.clone(), *weight);
                    taps.clone()
                        .into_iter()
                        .map(move |(tap, part)| ([&index[..], &[tap]].concat(), weight * part))
                };
                terms = terms.iter().flat_map(extended).collect();
            }
            terms.into_iter().map(|(index, weight)| coefficients[IxDyn(&index)] * weight).sum()
        })
    }

    /// Like scikit-image's `resize`.
    pub fn resize(image: ArrayViewD<f64>, to: &[usize], order: u8) -> ArrayD<f64> {
        let low = image.iter().copied().fold(f64::INFINITY, f64::min);
        let high = image.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        zoom(image, to, order).mapv(|value| value.clamp(low, high))
    }
}

fn close(result: &Array3<f64>, expected: ArrayView3<f64>, tolerance: f64) {
    assert_eq!(result.dim(), expected.dim());
    Zip::from(result).and(expected).for_each(|a, b| assert!((a - b).abs() <= tolerance, "{a} is not {b}"));
}

/// Deterministic noise.
fn noise(shape: [usize; 3], seed: u64) -> Array3<f64> {
    let mut state = seed;
    Array3::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / 16_384.0 - 512.0
    })
}

fn orders() -> impl Strategy<Value = Orders> {
    let order = prop_oneof![Just(0u8), Just(1), Just(3)];
    (order.clone(), order).prop_map(|(order, order_z)| Orders { order, order_z })
}

fn reference(image: &Array3<f64>, to: [usize; 3], orders: Orders, separate: Option<usize>) -> Array3<f64> {
    let Some(axis) = separate else {
        return direct::resize(image.view().into_dyn(), &to, orders.order).into_dimensionality().unwrap();
    };
    let mut in_plane = to.to_vec();
    in_plane.remove(axis);
    let resized = |slice: ArrayView2<f64>| direct::resize(slice.into_dyn(), &in_plane, orders.order);
    let slices: Vec<_> = image.axis_iter(Axis(axis)).map(resized).collect();
    let slices =
        ndarray::stack(Axis(axis), &slices.iter().map(|slice| slice.view()).collect::<Vec<_>>()).unwrap();
    if image.shape()[axis] == to[axis] {
        return slices.into_dimensionality().unwrap();
    }
    direct::zoom(slices.view(), &to, orders.order_z).into_dimensionality().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn equals_point_by_point_evaluation(
        from in [1..8usize, 1..8, 1..40], to in [1..10usize, 1..10, 1..24], keep in [0..3u8, 0..3, 0..3],
        orders in orders(), separate in prop_oneof![Just(None), (0..3usize).prop_map(Some)], rotate in 0..3usize,
        seed in any::<u64>(), threads in 1..4usize,
    ) {
        let mut to = [0, 1, 2].map(|axis| if keep[axis] == 0 { from[axis] } else { to[axis] });
        let mut from = from;
        from.rotate_left(rotate);
        to.rotate_left(rotate);
        prop_assume!(from != to);
        let image = noise(from, seed);
        let result: Array3<f64> = resample_as(image.view(), to, orders, separate, threads).unwrap();
        close(&result, reference(&image, to, orders, separate).view(), 2e-10);
    }

    #[test]
    fn threads_do_not_matter(
        from in [1..12usize, 1..12, 1..40], to in [1..20usize, 1..20, 1..40], orders in orders(),
        separate in prop_oneof![Just(None), (0..3usize).prop_map(Some)],
    ) {
        let image = noise(from, 7).mapv(|value| value as f32);
        let with = |threads| resample(image.view(), to, orders, separate, threads).unwrap();
        let one = with(1);
        prop_assert!(one.is_standard_layout());
        prop_assert!(one == with(2) && one == with(3));
    }

    #[test]
    fn constants_stay_and_ramps_stay_within(from in [1..9usize, 2..9, 2..9], to in [1..20usize, 1..20, 1..20], orders in orders()) {
        let constant = Array3::from_elem(from, 0.1f32);
        for separate in [None, Some(0), Some(1), Some(2)] {
            let result = resample(constant.view(), to, orders, separate, 1).unwrap();
            prop_assert!(result.iter().all(|value| (value - 0.1).abs() < 1e-7));
        }
        // Where linear interpolation has neighbours on both sides it keeps a ramp; elsewhere it repeats the
        // edge.
        let ramp = Array3::from_shape_fn(from, |(z, y, x)| (3 * z + 2 * y + x) as f64);
        let at = |axis: usize, index| coordinate(from[axis], to[axis], index).clamp(0.0, (from[axis] - 1) as f64);
        let expected = Array3::from_shape_fn(to, |(z, y, x)| 3.0 * at(0, z) + 2.0 * at(1, y) + at(2, x));
        let result = resample_as(ramp.view(), to, Orders { order: 1, order_z: 1 }, None, 1).unwrap();
        close(&result, expected.view(), 1e-12);
    }
}

#[test]
fn equals_scikit_image() {
    let Some(golden) = crate::reference::golden("resample.json") else { return };
    let floats = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let shape =
        |value: &serde_json::Value| -> [usize; 3] { crate::reference::numbers(value).try_into().unwrap() };
    let check = |case: &serde_json::Value, expected: &str, orders: Orders, separate| {
        let (from, to) = (shape(&case["shape"]), shape(&case["out"]));
        let image = Array3::from_shape_vec(from, floats(&case["input"])).unwrap();
        let expected = Array3::from_shape_vec(to, floats(&case[expected])).unwrap();
        close(&resample_as(image.view(), to, orders, separate, 2).unwrap(), expected.view(), 1e-9);
        let single = resample(image.mapv(|value| value as f32).view(), to, orders, separate, 2).unwrap();
        close(&single.mapv(f64::from), expected.view(), 2e-4);
    };
    for case in golden["cases"].as_array().unwrap() {
        for order in [0, 1, 3] {
            check(case, &format!("skimage_resize_order{order}"), Orders { order, order_z: 0 }, None);
        }
    }
    let case = &golden["separate_z"];
    check(case, "output", Orders::new(3, 0).unwrap(), Some(case["axis"].as_u64().unwrap() as usize));
}

#[test]
fn same_shape_is_a_copy() {
    let image = noise([3, 4, 5], 1).mapv(|value| value as f32);
    for separate in [None, Some(1)] {
        let same = resample(image.view(), [3, 4, 5], Orders { order: 3, order_z: 3 }, separate, 2);
        assert_eq!(same.unwrap(), image);
    }
    assert_eq!(resample_nearest(image.view(), [3, 4, 5]).unwrap(), image);
    let none = resample(image.view(), [3, 0, 5], Orders { order: 3, order_z: 3 }, None, 2);
    assert!(none.unwrap().is_empty());
}

#[test]
fn nearest_of_labels_equals_order_zero() {
    let image = noise([5, 3, 4], 3).mapv(|value| value as i32 as f32);
    let labels = resample_nearest(image.mapv(|value| value as i32).view(), [7, 2, 9]).unwrap();
    let intensities = resample(image.view(), [7, 2, 9], Orders::new(0, 0).unwrap(), None, 1).unwrap();
    assert_eq!(labels.mapv(|label| label as f32), intensities);
}
