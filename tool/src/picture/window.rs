//! The range of intensities that a picture shows.

use crate::image_file::ImageFile;

/// Hounsfield units of soft tissue: level 40, width 400.
const SOFT_TISSUE: [f64; 2] = [-160.0, 240.0];
/// Air in a CT; other images have no values this low.
const AIR: f64 = -500.0;
/// Voxels that are looked at.
const SAMPLES: usize = 1 << 18;

/// The intensities to show black and white, for the first channel of an image.
pub fn window(image: &ImageFile) -> [f64; 2] {
    let voxels = image.geometry.voxels();
    // A step without small factors doesn't run along an axis.
    let step = (voxels / SAMPLES).max(1) | 1;
    let mut values: Vec<f64> =
        image.values().take(voxels).step_by(step).filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let (Some(&lowest), Some(&highest)) = (values.first(), values.last()) else { return [0.0, 1.0] };
    if lowest <= AIR && highest > SOFT_TISSUE[0] {
        return SOFT_TISSUE;
    }
    // The background would take most percentiles for itself.
    let start = values.partition_point(|&value| value <= lowest).min(values.len() - 1);
    let inside = &values[start..];
    let percentile = |share: f64| inside[((inside.len() - 1) as f64 * share).round() as usize];
    let (low, high) = (percentile(0.01), percentile(0.99));
    if high > low { [low, high] } else { [lowest, highest.max(lowest + 1.0)] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_file::tests::example;
    use voxseg::volume::DType;

    fn shown(values: impl Fn(i16) -> i16) -> [f64; 2] {
        let bytes = (0..60).flat_map(|n| values(n).to_ne_bytes()).collect();
        window(&ImageFile { bytes, ..example(DType::I16) })
    }

    #[test]
    fn ct_is_recognised() {
        assert_eq!(shown(|n| n * 30 - 1000), SOFT_TISSUE);
    }

    #[test]
    fn other_images_show_what_is_above_the_background() {
        assert_eq!(shown(|n| if n < 40 { 0 } else { n }), [40.0, 59.0]);
        assert_eq!(shown(|_| 7), [7.0, 8.0]);
    }
}
