use proptest::prelude::*;

use super::{Image, assert_near, blocks, indices, oblique, position};
use crate::metrics::surfels;
use crate::metrics::{CompareOptions, Comparison, Pair, SurfaceDistances, compare, summary};
use crate::progress::{Cancel, Run, Stage};
use crate::volume::Geometry;

fn options(tolerance: f64) -> CompareOptions {
    CompareOptions { pairs: None, tolerance: Some(tolerance), threads: 2 }
}

fn compared(first: &Image, second: &Image, tolerance: f64) -> Vec<Comparison> {
    compare(&first.volume(), &second.volume(), &options(tolerance), &mut Run::default()).unwrap()
}

/// Centres in millimetres and areas of a label's surface elements, from the definition.
fn elements(image: &Image, label: u8) -> Vec<([f64; 3], f64)> {
    let shape = image.grid.shape;
    let [x, y, z] = image.grid.spacing;
    let areas = surfels::areas([z, y, x]);
    let inside = |cell: [usize; 3], corner: usize| {
        let offset = [corner & 1, corner >> 1 & 1, corner >> 2];
        let voxel = [0, 1, 2].map(|axis| (cell[axis] + offset[axis]).wrapping_sub(1));
        (0..3).all(|axis| voxel[axis] < shape[axis])
            && image.bytes[(voxel[2] * shape[1] + voxel[1]) * shape[0] + voxel[0]] == label
    };
    let code = |cell| (0..8).fold(0, |code, corner| code | usize::from(inside(cell, corner)) << corner);
    indices(shape.map(|length| length + 1))
        .map(|cell| (cell, code(cell)))
        .filter(|(_, code)| !matches!(code, 0 | 255))
        .map(|(cell, code)| ([0, 1, 2].map(|axis| cell[axis] as f64 * image.grid.spacing[axis]), areas[code]))
        .collect()
}

/// Distances and areas of one surface's elements, by trying all pairs.
fn one_way(from: &[([f64; 3], f64)], to: &[([f64; 3], f64)]) -> Vec<(f64, f64)> {
    let distance = |a: &[f64; 3], b: &[f64; 3]| (0..3).map(|n| (a[n] - b[n]).powi(2)).sum::<f64>().sqrt();
    let nearest = |at| to.iter().map(|(other, _)| distance(at, other)).fold(f64::INFINITY, f64::min);
    let mut found: Vec<(f64, f64)> = from.iter().map(|(at, area)| (nearest(at), *area)).collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found
}

fn brute_force(first: &Image, second: &Image, label: u8, tolerance: f64) -> SurfaceDistances {
    let (a, b) = (elements(first, label), elements(second, label));
    let ways = [one_way(&a, &b), one_way(&b, &a)];
    let areas = [0, 1].map(|n| ways[n].iter().map(|(_, area)| area).sum::<f64>());
    let sums = [0, 1].map(|n| ways[n].iter().map(|(distance, area)| distance * area).sum::<f64>());
    let within = |way: &Vec<(f64, f64)>| -> f64 {
        way.iter().filter(|(distance, _)| *distance <= tolerance).map(|(_, area)| area).sum()
    };
    let quantile = |n: usize| {
        let mut reached = 0.0;
        let found = ways[n].iter().find(|(_, area)| {
            reached += area;
            reached >= 0.95 * areas[n] - 1e-9
        });
        found.unwrap().0
    };
    SurfaceDistances {
        areas,
        hausdorff: ways.iter().map(|way| way.last().unwrap().0).fold(0.0, f64::max),
        hausdorff_95: f64::max(quantile(0), quantile(1)),
        mean_each_way: [0, 1].map(|n| sums[n] / areas[n]),
        mean: (sums[0] + sums[1]) / (areas[0] + areas[1]),
        dice: (within(&ways[0]) + within(&ways[1])) / (areas[0] + areas[1]),
    }
}

fn assert_same(found: &SurfaceDistances, expected: &SurfaceDistances) {
    let numbers = |s: &SurfaceDistances| {
        [s.areas[0], s.areas[1], s.hausdorff, s.mean_each_way[0], s.mean_each_way[1], s.mean, s.dice]
    };
    for (found, expected) in numbers(found).into_iter().zip(numbers(expected)) {
        assert_near(found, expected, "a number about surfaces");
    }
    assert_near(found.hausdorff_95, expected.hausdorff_95, "95 %");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn is_what_the_definitions_say(
        shape in prop::array::uniform3(1_usize..8),
        spacing in prop::array::uniform3(0.3_f64..4.0),
        seeds in prop::array::uniform2(any::<u64>()),
        tolerance in 0.0_f64..4.0,
    ) {
        let grid = oblique(shape, spacing, [5.0, -3.0, 40.0]);
        let maps = seeds.map(|seed| blocks(&grid, seed));
        for one in compared(&maps[0], &maps[1], tolerance) {
            let label = one.pair.first as u8;
            let count = |image: &Image| image.bytes.iter().filter(|&&found| found == label).count() as u64;
            let both = maps[0].bytes.iter().zip(&maps[1].bytes).filter(|&(&a, &b)| a == label && b == label);
            prop_assert_eq!(one.voxels, [count(&maps[0]), count(&maps[1])]);
            prop_assert_eq!(one.both, both.count() as u64);
            if !one.voxels.contains(&0) {
                assert_same(&one.surface.unwrap(), &brute_force(&maps[0], &maps[1], label, tolerance));
            }
        }
    }

    #[test]
    fn neither_threads_nor_layouts_matter(shape in prop::array::uniform3(1_usize..20), seed: u64) {
        let grid = oblique(shape, [0.7, 1.1, 2.5], [0.0; 3]);
        let (a, b) = (blocks(&grid, seed), blocks(&grid, !seed));
        let expected = compared(&a, &b, 1.0);
        let single = CompareOptions { threads: 1, ..options(1.0) };
        prop_assert_eq!(&compare(&a.volume(), &b.volume(), &single, &mut Run::default()).unwrap(), &expected);
        prop_assert_eq!(&compared(&a, &b.turned(), 1.0), &expected);
        for (found, expected) in compared(&a.turned(), &b, 1.0).iter().zip(&expected) {
            prop_assert_eq!((found.voxels, found.both), (expected.voxels, expected.both));
            assert_same(&found.surface.unwrap(), &expected.surface.unwrap());
        }
    }
}

fn ellipsoids(grid: &Geometry) -> [Image; 2] {
    let square = |voxel: [usize; 3], center: [i32; 3]| {
        [0, 1, 2].map(|axis| (voxel[axis] as i32 - center[axis]).pow(2))
    };
    let first = Image::labels(grid, |voxel| {
        let [x, y, z] = square(voxel, [6, 6, 4]);
        u8::from(3 * z + 2 * y + x < 60)
    });
    let second = Image::labels(grid, |voxel| {
        let [x, y, z] = square(voxel, [8, 5, 5]);
        u8::from(4 * z + y + 2 * x < 50 || voxel == [14, 12, 9])
    });
    [first, second]
}

/// `surface-distance` 0.1 on the same masks; MONAI 1.6.1's `compute_surface_dice` with `use_subvoxels` gives 0.7216.
#[test]
fn matches_surface_distance() {
    let grid = Geometry { spacing: [1.1, 0.7, 2.5], ..Geometry::with_shape([15, 13, 10]) };
    let [first, second] = ellipsoids(&grid);
    let found = compared(&first, &second, 1.5);
    let one = &found[0];
    assert_eq!((found.len(), one.voxels, one.both), (1, [766, 506], 400));
    assert_near(one.dice().unwrap(), 0.628_930_817_610_062_9, "Dice");
    assert_near(one.milliliters[0], 0.766 * 1.925, "volume");
    assert_near(one.volume_difference_percent().unwrap(), 100.0 * (506.0 / 766.0 - 1.0), "difference");
    let surface = one.surface.unwrap();
    assert_near(surface.areas[0], 809.885_367_719_055_9, "first area");
    assert_near(surface.areas[1], 564.884_905_816_791_3, "second area");
    assert_near(surface.hausdorff, 6.938_299_503_480_662, "Hausdorff");
    assert_near(surface.hausdorff_95, 5.0, "Hausdorff 95");
    assert_near(surface.mean_each_way[0], 1.646_273_844_497_995, "first to second");
    assert_near(surface.mean_each_way[1], 0.717_791_357_119_274_6, "second to first");
    assert_near(surface.dice, 0.721_608_663_613_752_8, "surface Dice at 1.5 mm");
    let wider = compared(&first, &second, 2.0)[0].surface.unwrap().dice;
    assert_near(wider, 0.751_549_711_800_453, "surface Dice at 2 mm");
}

/// The counts that SimpleITK 2.5.7's `Resample` with `sitkNearestNeighbor` gives.
#[test]
fn another_grid_is_brought_to_the_first() {
    let grid = Geometry {
        spacing: [1.0, 1.0, 1.5],
        origin: [-1.5, 0.25, 2.5],
        ..Geometry::with_shape([15, 13, 10])
    };
    let [first, _] = ellipsoids(&grid);
    let [_, second] = ellipsoids(&oblique([15, 13, 10], [1.1, 0.7, 2.5], [3.3, -2.2, 1.7]));
    for second in [&second, &second.turned()] {
        let found = compared(&first, second, 1.0);
        assert_eq!((found.len(), found[0].voxels, found[0].both), (1, [766, 113], 10));
    }
}

/// The same voxels along other axes are the same map.
#[test]
fn a_turned_grid_changes_nothing() {
    let grid = oblique([15, 13, 10], [1.1, 0.7, 2.5], [3.0, 4.0, 5.0]);
    let [first, second] = ellipsoids(&grid);
    let [a, b, c] = grid.direction;
    let columns = |row: [f64; 3]| [row[2], -row[0], row[1]];
    let turned = Geometry {
        shape: [10, 15, 13],
        spacing: [2.5, 1.1, 0.7],
        origin: position(&grid, [14, 0, 0]),
        direction: [columns(a), columns(b), columns(c)],
    };
    let moved = Image::labels(&turned, |[k, i, j]| second.bytes[(k * 13 + j) * 15 + 14 - i]);
    assert_eq!(compared(&first, &moved, 1.0), compared(&first, &second, 1.0));
}

#[test]
fn absent_labels_have_defined_numbers() {
    let grid = Geometry { spacing: [1.0, 2.0, 3.0], ..Geometry::with_shape([3; 3]) };
    let some = Image::labels(&grid, |voxel| u8::from(voxel == [1, 1, 1]));
    let none = Image::labels(&grid, |_| 0);
    assert_eq!(compared(&none, &none, 1.0), []);
    let pairs = Some(vec![Pair { first: 5, second: 5 }]);
    let found = compare(
        &some.volume(),
        &some.volume(),
        &CompareOptions { pairs, ..options(1.0) },
        &mut Run::default(),
    )
    .unwrap();
    assert_eq!((found[0].dice(), found[0].surface), (None, None));
    for (first, second, voxels) in [(&some, &none, [1, 0]), (&none, &some, [0, 1])] {
        let found = compared(first, second, 1.0);
        let surface = found[0].surface.unwrap();
        assert_eq!((found[0].voxels, found[0].dice()), (voxels, Some(0.0)));
        assert_eq!(
            (surface.dice, surface.hausdorff, surface.hausdorff_95),
            (0.0, f64::INFINITY, f64::INFINITY)
        );
        assert_eq!(surface.areas.map(|area| area > 0.0), voxels.map(|voxels| voxels > 0));
        assert_eq!(summary(&found).dice, None);
        assert_eq!((summary(&found).labels, summary(&found).unmatched), (0, 1));
    }
}

#[test]
fn single_voxels_are_as_far_apart_as_their_centres() {
    let grid = Geometry { spacing: [1.0, 2.0, 3.0], ..Geometry::with_shape([6, 5, 4]) };
    let first = Image::labels(&grid, |voxel| u8::from(voxel == [0, 0, 0]));
    let second = Image::labels(&grid, |voxel| u8::from(voxel == [5, 4, 3]));
    let same = compared(&first, &first, 0.0)[0].surface.unwrap();
    assert_eq!((same.hausdorff, same.mean, same.dice), (0.0, 0.0, 1.0));
    assert!(same.mean.is_sign_positive(), "printed without a sign");
    let apart = compared(&first, &second, 0.0)[0].surface.unwrap();
    assert_near(apart.hausdorff, (25.0_f64 + 64.0 + 81.0).sqrt(), "Hausdorff");
    assert_eq!(apart.dice, 0.0);
}

#[test]
fn pairs_are_compared_in_their_order() {
    let grid = Geometry::with_shape([4, 2, 1]);
    let first = Image::labels(&grid, |[i, _, _]| [1, 1, 2, 2][i]);
    let second = Image::labels(&grid, |[i, _, _]| [7, 7, 9, 0][i]);
    let pairs = vec![Pair { first: 2, second: 9 }, Pair { first: 1, second: 7 }];
    let some = CompareOptions { pairs: Some(pairs.clone()), tolerance: None, threads: 1 };
    let found = compare(&first.volume(), &second.volume(), &some, &mut Run::default()).unwrap();
    assert_eq!(found.iter().map(|one| one.pair).collect::<Vec<_>>(), pairs);
    assert_eq!(found.iter().map(|one| one.dice().unwrap()).collect::<Vec<_>>(), [4.0 / 6.0, 1.0]);
    let summary = summary(&found);
    assert_eq!((summary.labels, summary.unmatched, summary.hausdorff_95), (2, 0, None));
    assert_near(summary.dice.unwrap(), 5.0 / 6.0, "mean Dice");
}

#[test]
fn errors_name_the_argument() {
    let grid = Geometry::with_shape([2, 2, 2]);
    let good = Image::labels(&grid, |_| 1);
    let mut negative = good.turned();
    negative.bytes[..2].copy_from_slice(&(-3_i16).to_ne_bytes());
    let float = Image::intensities(&grid, |_| 1.0);
    let error = |first: &Image, second: &Image, options: &CompareOptions| {
        compare(&first.volume(), &second.volume(), options, &mut Run::default()).unwrap_err().to_string()
    };
    assert!(error(&good, &float, &options(1.0)).contains("second.dtype"));
    let text = error(&negative, &good, &options(1.0));
    assert!(text.contains("first") && text.contains("-3"), "{text}");
    assert!(error(&good, &good, &options(-1.0)).contains("tolerance"));
    let pairs = Some(vec![Pair { first: 0, second: 1 }]);
    assert!(error(&good, &good, &CompareOptions { pairs, ..options(1.0) }).contains("pairs"));
}

#[test]
fn progress_comes_and_cancelling_works_at_any_time() {
    let labels = blocks(&Geometry::with_shape([20, 15, 90]), 3);
    let volume = labels.volume();
    for tolerance in [None, Some(1.0)] {
        let options = CompareOptions { pairs: None, tolerance, threads: 2 };
        let mut seen = Vec::new();
        let mut run = Run::default().with_progress(|progress| {
            seen.push(progress.fraction);
            progress.stage == Stage::Measure
        });
        assert!(compare(&volume, &volume, &options, &mut run).is_ok());
        drop(run);
        assert!(seen.len() > 3 && seen.is_sorted() && seen.last() == Some(&1.0), "{seen:?}");
        for at in 0..seen.len() {
            let (mut reports, cancel) = (0, Cancel::new());
            let flag = cancel.clone();
            let mut run = Run::new(cancel).with_progress(|_| {
                if reports == at {
                    flag.request();
                }
                reports += 1;
                true
            });
            let outcome = compare(&volume, &volume, &options, &mut run);
            // The last report comes when nothing is left to stop.
            assert_eq!(outcome.is_err(), at + 1 < seen.len(), "{at} of {}", seen.len());
        }
    }
}
