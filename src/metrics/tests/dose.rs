use super::{Image, assert_near, indices, oblique, position};
use crate::labels::LabelBuffer;
use crate::metrics::{LabelDose, dose, labels_on_grid, statistics, write_labels_on_grid};
use crate::progress::Run;
use crate::volume::{DType, Geometry, Layout, Volume};

const CENTER: [f64; 3] = [10.0, -5.0, 30.0];

fn sphere(radius: f64) -> Image {
    let grid = Geometry {
        spacing: [0.9, 1.1, 1.3],
        origin: [-4.0, -17.0, 14.0],
        ..Geometry::with_shape([32, 24, 26])
    };
    Image::labels(&grid, |voxel| {
        let at = position(&grid, voxel);
        u8::from((0..3).map(|axis| (at[axis] - CENTER[axis]).powi(2)).sum::<f64>() < radius * radius)
    })
}

/// Trilinear sampling is exact for it.
fn linear(at: [f64; 3]) -> f64 {
    40.0 + 0.8 * at[0] - 0.5 * at[1] + 0.3 * at[2]
}

/// Linear dose at the centres of a sphere's voxels, ascending.
fn expected(labels: &Image) -> Vec<f64> {
    let inside = indices(labels.grid.shape).zip(&labels.bytes).filter(|(_, label)| **label == 1);
    let mut doses: Vec<f64> = inside.map(|(voxel, _)| linear(position(&labels.grid, voxel))).collect();
    doses.sort_by(f64::total_cmp);
    doses
}

fn assert_close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 1e-5 * expected.abs(), "{what}: {found} instead of {expected}");
}

fn assert_doses(found: &LabelDose, expected: &[f64]) {
    let count = expected.len();
    assert_eq!((found.label, found.voxels()), (1, count as u64));
    assert_close(found.min(), expected[0], "smallest");
    assert_close(found.max(), expected[count - 1], "largest");
    assert_close(found.mean, expected.iter().sum::<f64>() / count as f64, "mean");
    for percent in [95.0, 50.0, 2.0] {
        let place = (1.0 - percent / 100.0) * (count - 1) as f64;
        let (low, high) = (expected[place as usize], expected[place as usize + 1]);
        assert_close(found.dose_to(percent), low + (high - low) * place.fract(), "dose to a share");
    }
    // Between two doses, so that rounding decides nothing.
    let level = (expected[count / 3] + expected[count / 3 + 1]) / 2.0;
    let share = expected.iter().filter(|dose| **dose >= level).count() as f64 / count as f64;
    assert_near(found.share_at(level), share, "share");
    assert_eq!(found.histogram([0.0, level, 1e9]), [1.0, share, 0.0]);
}

#[test]
fn a_linear_dose_on_a_coarse_oblique_grid() {
    let labels = sphere(8.0);
    let shape = [14, 15, 12];
    let unplaced = oblique(shape, [3.0, 2.5, 4.0], [0.0; 3]);
    let middle = position(&unplaced, shape.map(|length| length / 2));
    let grid = Geometry { origin: [0, 1, 2].map(|axis| CENTER[axis] - middle[axis]), ..unplaced };
    let field = Image::intensities(&grid, |voxel| linear(position(&grid, voxel)));
    let found = dose(&labels.volume(), &field.volume(), 2, &mut Run::default()).unwrap();
    assert_eq!((found.len(), found[0].outside), (1, 0));
    assert_doses(&found[0], &expected(&labels));
    assert_eq!(dose(&labels.volume(), &field.volume(), 1, &mut Run::default()).unwrap(), found);
    let turned = &dose(&labels.turned().volume(), &field.volume(), 2, &mut Run::default()).unwrap()[0];
    assert_doses(turned, &expected(&labels));
}

/// The other way: labels on the dose's grid, whose voxels' own doses count. The means agree within the change of the
/// dose over a voxel's half.
#[test]
fn labels_on_the_grid_of_the_dose() {
    let labels = sphere(8.0);
    let shape = [14, 15, 12];
    let unplaced = oblique(shape, [1.5, 1.2, 2.0], [0.0; 3]);
    let middle = position(&unplaced, shape.map(|length| length / 2));
    let grid = Geometry { origin: [0, 1, 2].map(|axis| CENTER[axis] - middle[axis]), ..unplaced };
    for labels in [&labels, &labels.turned()] {
        let bytes = labels_on_grid(&labels.volume(), &grid, 2, &mut Run::default()).unwrap();
        let mut bytes_of_buffer = vec![0xAB; bytes.len()];
        let layout = Layout::dense(grid.shape, labels.dtype);
        let mut out = LabelBuffer::new(&grid, labels.dtype, layout, &mut bytes_of_buffer).unwrap();
        write_labels_on_grid(&labels.volume(), &grid, &mut out, 1, &mut Run::default()).unwrap();
        assert_eq!(bytes_of_buffer, bytes);
        let map = Volume::new(grid.clone(), labels.dtype, layout, vec![&bytes]).unwrap();
        let field = Image::intensities(&grid, |voxel| linear(position(&grid, voxel)));
        let found = statistics(&map, Some((&field.volume(), 0)), 2, &mut Run::default()).unwrap();
        let sampled = &dose(&labels.volume(), &field.volume(), 2, &mut Run::default()).unwrap()[0];
        let mean = found[0].intensities.unwrap().mean;
        assert_eq!((found.len(), found[0].label), (1, 1));
        assert!((mean - linear(CENTER)).abs() < 0.5 && (mean - sampled.mean).abs() < 0.5, "{mean}");
        let volume = found[0].milliliters;
        let expected = 4.0 / 3.0 * std::f64::consts::PI * 8.0_f64.powi(3) / 1000.0;
        assert!((volume / expected - 1.0).abs() < 0.05, "{volume} mL instead of {expected}");
        // Without resampling the numbers are those that the definition gives.
        let inside = indices(grid.shape).filter(|&voxel| {
            let at = position(&grid, voxel);
            let first = position(&labels.grid, [0; 3]);
            let step = labels.grid.spacing;
            let index = [0, 1, 2].map(|axis| ((at[axis] - first[axis]) / step[axis] + 0.5).floor());
            let within = |axis: usize| index[axis] >= 0.0 && index[axis] < labels.grid.shape[axis] as f64;
            (0..3).all(within) && {
                let center = position(&labels.grid, index.map(|index| index as usize));
                (0..3).map(|axis| (center[axis] - CENTER[axis]).powi(2)).sum::<f64>() < 64.0
            }
        });
        assert_eq!(inside.count() as u64, found[0].voxels);
    }
    let mut bytes = vec![0; 2 * grid.voxels()];
    let mut out =
        LabelBuffer::new(&grid, DType::U16, Layout::dense(grid.shape, DType::U16), &mut bytes).unwrap();
    let error = write_labels_on_grid(&labels.volume(), &grid, &mut out, 1, &mut Run::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("out.dtype"), "{error}");
}

/// RT Dose stores whole numbers with a scaling.
#[test]
fn a_scaled_dose() {
    let labels = sphere(6.0);
    let grid = Geometry { spacing: [10.0; 3], origin: [-20.0, -35.0, 0.0], ..Geometry::with_shape([7; 3]) };
    let stored = indices([7; 3])
        .flat_map(|voxel| ((linear(position(&grid, voxel)) * 1000.0).round() as u32).to_ne_bytes());
    let bytes: Vec<u8> = stored.collect();
    let layout = Layout::dense([7; 3], DType::U32);
    let field =
        Volume::new(grid, DType::U32, layout, vec![&bytes]).unwrap().with_scaling(0.001, 0.0).unwrap();
    assert_doses(&dose(&labels.volume(), &field, 2, &mut Run::default()).unwrap()[0], &expected(&labels));
}

#[test]
fn outside_there_is_no_dose() {
    let labels = sphere(8.0);
    // The volume ends half a voxel behind the last centre, in the sphere's middle.
    let grid = Geometry {
        spacing: [2.0, 40.0, 40.0],
        origin: [CENTER[0] - 1.0, -25.0, 10.0],
        ..Geometry::with_shape([9, 2, 2])
    };
    let field = Image::intensities(&grid, |_| 2.0);
    let found = &dose(&labels.volume(), &field.volume(), 2, &mut Run::default()).unwrap()[0];
    let outside = indices(labels.grid.shape)
        .zip(&labels.bytes)
        .filter(|(voxel, label)| **label == 1 && position(&labels.grid, *voxel)[0] < CENTER[0] - 2.0);
    let outside = outside.count() as u64;
    assert!(outside > 0 && outside < found.voxels());
    assert_eq!(found.outside, outside);
    assert_eq!((found.min(), found.max()), (0.0, 2.0));
    assert_near(found.share_at(2.0), 1.0 - outside as f64 / found.voxels() as f64, "covered share");
}
