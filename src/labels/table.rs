//! Names and colours of label values.

use super::terms::Terms;

/// One label of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The value in the label map.
    pub value: u32,
    /// The model's name for the structure.
    pub name: String,
    /// A colour to show it in: red, green, blue.
    pub color: [u8; 3],
    /// What it is, in codes, where that is known.
    pub terms: Terms,
}

/// A colour for each of `count` labels: hues a golden angle apart, so that neighbours in the list differ most, in
/// three steps of lightness. The first, for the background, is black.
pub fn colors(count: usize) -> Vec<[u8; 3]> {
    (0..count).map(|index| if index == 0 { [0; 3] } else { color(index - 1) }).collect()
}

/// Chosen in Oklab (Ottosson 2020), where equal steps look equal.
fn color(index: usize) -> [u8; 3] {
    let (lightness, chroma) = [(0.70, 0.17), (0.58, 0.19), (0.86, 0.13)][index % 3];
    let (b, a) = libm::sincos(0.45 + index as f64 * 2.399_963_229_728_653);
    let (a, b) = (a * chroma, b * chroma);
    let [l, m, s] = [
        lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b,
        lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b,
        lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b,
    ]
    .map(|root| root.powi(3));
    [
        4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
        -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
        -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s,
    ]
    .map(|linear: f64| {
        let linear = linear.clamp(0.0, 1.0);
        let encoded =
            if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * libm::pow(linear, 1.0 / 2.4) - 0.055 };
        (encoded * 255.0).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_distinct_and_neighbours_far_apart() {
        let colors = colors(120);
        let distance = |a: [u8; 3], b: [u8; 3]| -> u32 { (0..3).map(|k| a[k].abs_diff(b[k]) as u32).sum() };
        for (index, &one) in colors.iter().enumerate() {
            assert!(colors[index + 1..].iter().all(|&other| one != other), "{index}");
        }
        assert!(colors.windows(2).all(|pair| distance(pair[0], pair[1]) > 100));
    }
}
