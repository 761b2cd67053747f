use proptest::prelude::*;

use super::{Image, assert_near, blocks, indices, oblique, position};
use crate::metrics::{CompareOptions, LabelStatistics, compare, dose, statistics};
use crate::progress::{Cancel, Run, Stage};
use crate::volume::{DType, Geometry, Layout, Volume};

fn of(labels: &Image, image: &Image, threads: usize) -> Vec<LabelStatistics> {
    statistics(&labels.volume(), Some((&image.volume(), 0)), threads, &mut Run::default()).unwrap()
}

fn noise(grid: &Geometry, seed: u64) -> Image {
    Image::intensities(grid, |voxel| {
        let hash = voxel.iter().fold(seed, |hash, &index| {
            (hash ^ index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31)
        });
        f64::from((hash >> 40) as u32 % 2000) - 1000.0
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn is_what_the_definitions_say(
        shape in prop::array::uniform3(1_usize..12),
        seed: u64,
        threads in 1_usize..4,
    ) {
        let grid = oblique(shape, [0.7, 1.1, 2.5], [-5.0, 30.0, 7.0]);
        let (labels, image) = (blocks(&grid, seed), noise(&grid, seed));
        let found = of(&labels, &image, threads);
        let mut present: Vec<u8> = labels.bytes.clone();
        present.sort_unstable();
        present.dedup();
        present.retain(|&label| label != 0);
        prop_assert_eq!(found.iter().map(|one| one.label as u8).collect::<Vec<_>>(), present);
        for one in found {
            let inside: Vec<([usize; 3], f64)> = indices(shape)
                .zip(labels.bytes.iter().zip(image.bytes.chunks_exact(4)))
                .filter(|(_, (label, _))| u32::from(**label) == one.label)
                .map(|(voxel, (_, bytes))| (voxel, f32::from_ne_bytes(bytes.try_into().unwrap()).into()))
                .collect();
            let count = inside.len() as f64;
            let mut values: Vec<f64> = inside.iter().map(|(_, value)| *value).collect();
            values.sort_by(f64::total_cmp);
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            let median = (values[values.len() / 2] + values[(values.len() - 1) / 2]) / 2.0;
            let intensities = one.intensities.unwrap();
            prop_assert_eq!(one.voxels as usize, inside.len());
            assert_near(one.milliliters, count * grid.voxel_volume() / 1000.0, "volume");
            assert_near(intensities.mean, mean, "mean");
            assert_near(intensities.std, variance.sqrt(), "deviation");
            prop_assert_eq!(intensities.median, median);
            prop_assert_eq!((intensities.min, intensities.max), (values[0], values[values.len() - 1]));
            for axis in 0..3 {
                let along = inside.iter().map(|(voxel, _)| voxel[axis]);
                prop_assert_eq!(one.first[axis], along.clone().min().unwrap());
                prop_assert_eq!(one.last[axis], along.clone().max().unwrap());
                assert_near(one.centroid_index[axis], along.sum::<usize>() as f64 / count, "centroid's index");
                let place = inside.iter().map(|(voxel, _)| position(&grid, *voxel)[axis]).sum::<f64>() / count;
                assert_near(one.centroid[axis], place, "centroid");
            }
            let margin = (0..3).map(|axis| one.first[axis].min(shape[axis] - 1 - one.last[axis])).min();
            prop_assert_eq!(one.margin, margin.unwrap());
            prop_assert_eq!(one.is_cut(), one.margin == 0);
        }
    }

    #[test]
    fn surfaces_are_those_of_comparisons(shape in prop::array::uniform3(1_usize..20), seed: u64) {
        let labels = blocks(&oblique(shape, [0.7, 1.1, 2.5], [0.0; 3]), seed);
        let options = CompareOptions { pairs: None, tolerance: Some(1.0), threads: 1 };
        let compared = compare(&labels.volume(), &labels.volume(), &options, &mut Run::default()).unwrap();
        for (one, compared) in statistics(&labels.volume(), None, 2, &mut Run::default()).unwrap().iter().zip(compared) {
            prop_assert_eq!(one.label, compared.pair.first);
            assert_near(one.surface_area, compared.surface.unwrap().areas[0], "area");
        }
    }

    #[test]
    fn neither_threads_nor_layouts_matter(shape in prop::array::uniform3(1_usize..24), seed: u64) {
        let grid = oblique(shape, [0.7, 1.1, 2.5], [-5.0, 30.0, 7.0]);
        let (labels, image) = (blocks(&grid, seed), noise(&grid, seed));
        let expected = of(&labels, &image, 1);
        prop_assert_eq!(&of(&labels, &image, 3), &expected);
        for (found, expected) in of(&labels.turned(), &image, 2).iter().zip(&expected) {
            prop_assert_eq!((found.voxels, found.first, found.last), (expected.voxels, expected.first, expected.last));
            assert_near(found.surface_area, expected.surface_area, "area");
            assert_near(found.intensities.unwrap().std, expected.intensities.unwrap().std, "deviation");
        }
    }
}

/// A label so large that it is looked up in another way.
#[test]
fn labels_may_be_large() {
    let grid = Geometry::with_shape([2, 1, 1]);
    let bytes: Vec<u8> = [3_000_000_000_u32, 4095].iter().flat_map(|label| label.to_ne_bytes()).collect();
    let labels = Volume::new(grid, DType::U32, Layout::dense([2, 1, 1], DType::U32), vec![&bytes]).unwrap();
    let found = statistics(&labels, None, 1, &mut Run::default()).unwrap();
    assert_eq!(
        found.iter().map(|one| (one.label, one.first[0])).collect::<Vec<_>>(),
        [(4095, 1), (3_000_000_000, 0)]
    );
}

#[test]
fn errors_name_the_argument() {
    let grid = Geometry::with_shape([2, 2, 2]);
    let labels = Image::labels(&grid, |_| 1);
    let error = |image: &Image, channel| {
        statistics(&labels.volume(), Some((&image.volume(), channel)), 1, &mut Run::default())
            .unwrap_err()
            .to_string()
    };
    assert!(error(&Image::labels(&Geometry::with_shape([2, 2, 1]), |_| 1), 0).contains("image.shape"));
    let shifted = Geometry { origin: [0.6, 0.0, 0.0], ..grid.clone() };
    assert!(error(&Image::labels(&shifted, |_| 1), 0).contains("the labels' grid"));
    assert!(error(&labels, 1).contains("channel"));
}

#[test]
fn progress_comes_and_cancelling_works() {
    let labels = Image::labels(&Geometry::with_shape([3, 4, 100]), |_| 1);
    let mut seen = Vec::new();
    let mut run = Run::default().with_progress(|progress| {
        assert_eq!(progress.stage, Stage::Measure);
        seen.push(progress.fraction);
        true
    });
    statistics(&labels.volume(), None, 1, &mut run).unwrap();
    drop(run);
    assert!(seen.len() > 3 && seen.is_sorted() && seen.last() == Some(&1.0), "{seen:?}");
    let mut run = Run::default().with_progress(|progress| progress.fraction < 0.2);
    assert!(matches!(statistics(&labels.volume(), None, 1, &mut run), Err(crate::Error::Cancelled)));
    let cancel = Cancel::new();
    cancel.request();
    let found = dose(&labels.volume(), &labels.volume(), 2, &mut Run::new(cancel));
    assert!(matches!(found, Err(crate::Error::Cancelled)));
}
