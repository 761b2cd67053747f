//! Names and colours of label values.

/// One label of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The value in the label map.
    pub value: u32,
    /// The model's name for the structure.
    pub name: String,
    /// A colour to show it in: red, green, blue.
    pub color: [u8; 3],
}

/// A colour for each of `count` labels: hues a golden angle apart, so that neighbours in the list differ most,
/// with lightness in three steps. The first, for the background, is black.
pub fn colors(count: usize) -> Vec<[u8; 3]> {
    (0..count).map(|index| if index == 0 { [0; 3] } else { color(index - 1) }).collect()
}

fn color(index: usize) -> [u8; 3] {
    let hue = (index as f64 * 137.507_764) % 360.0 / 60.0;
    let (saturation, lightness) = ([0.85, 0.65, 0.95][index % 3], [0.55, 0.68, 0.45][index / 2 % 3]);
    let chroma = (1.0 - (2.0_f64 * lightness - 1.0).abs()) * saturation;
    let second = chroma * (1.0 - (hue % 2.0 - 1.0).abs());
    let [red, green, blue] = match hue as u8 {
        0 => [chroma, second, 0.0],
        1 => [second, chroma, 0.0],
        2 => [0.0, chroma, second],
        3 => [0.0, second, chroma],
        4 => [second, 0.0, chroma],
        _ => [chroma, 0.0, second],
    };
    [red, green, blue].map(|part| ((part + lightness - chroma / 2.0) * 255.0).round() as u8)
}
