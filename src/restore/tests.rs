use half::f16;
use ndarray::{Array4, Axis, s};
use proptest::prelude::*;

use super::{Part, Restored, Restorer};
use crate::preprocess::resample::resample_with;
use crate::preprocess::{GridChange, Trace};
use crate::progress::Run;
use crate::recipe::{Decision, Recipe, Resample, Resampler, Spline, Step};
use crate::volume::{AxisMap, Geometry};

fn recipe(spacing: [f64; 3], order: u8, separate: Option<bool>, decision: Decision) -> Recipe {
    let rule = Resampler::Spline(Spline::new(order, 0, separate).unwrap());
    let resample = Resample { spacing: spacing.map(Some), image: rule, scores: rule, labels: rule };
    Recipe { steps: vec![Step::Resample(resample)], decision, ..Recipe::for_tests([1; 3]) }
}

/// Restores scores that come in slabs of `slab` planes.
fn restore(scores: &Array4<f16>, recipe: &Recipe, to: [usize; 3], threads: usize, slab: usize) -> Restored {
    let (classes, planes, rows, columns) = scores.dim();
    let (trace, from) = (trace(to), [planes, rows, columns]);
    let part = Part::whole(recipe, &trace, from);
    let mut restorer = Restorer::new(recipe, &trace, classes, from, &part, Vec::new(), threads).unwrap();
    for slab in scores.axis_chunks_iter(Axis(1), slab) {
        restorer
            .push(slab.as_standard_layout().into_owned(), &[], &mut |_, _, _| {}, &Run::default())
            .unwrap();
    }
    restorer.finish().unwrap()
}

fn trace(shape: [usize; 3]) -> Trace {
    let trace = Trace::new(AxisMap::identity(), &Geometry::with_shape(shape));
    Trace { changes: vec![GridChange::Resampled(shape)], ..trace }
}

fn noise(shape: (usize, usize, usize, usize), seed: u64) -> Array4<f16> {
    let mut state = seed | 1;
    Array4::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f16::from_f32(((state >> 40) as f32 / (1 << 24) as f32 - 0.5) * 8.0)
    })
}

/// Scores resampled whole, rounded to half precision, first maximum.
fn plainly(scores: &Array4<f16>, to: [usize; 3], recipe: &Recipe) -> ndarray::Array3<u16> {
    let step = recipe.resample().unwrap();
    let separate = step.scores.separate_axis(step.target([1.0; 3]), [1.0; 3]);
    let fields: Vec<_> = scores
        .outer_iter()
        .map(|class| {
            let single = class.mapv(f16::to_f32);
            resample_with(&step.scores, single.view(), to, separate, 1).unwrap().mapv(f16::from_f32)
        })
        .collect();
    ndarray::Array3::from_shape_fn(to, |at| {
        let best = (1..fields.len())
            .fold(0, |best, class| if fields[class][at] > fields[best][at] { class } else { best });
        best as u16
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn equals_resampling_whole_fields(
        from in proptest::array::uniform3(1_usize..7),
        to in proptest::array::uniform3(1_usize..14),
        classes in 2_usize..5, order in prop::sample::select(vec![0_u8, 1, 3]),
        separate in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let scores = noise((classes, from[0], from[1], from[2]), seed);
        let spacing = std::array::from_fn(|axis| to[axis] as f64 / from[axis] as f64);
        let recipe = recipe(spacing, order, Some(separate), Decision::Highest);
        let expected = plainly(&scores, to, &recipe);
        let mut results = Vec::new();
        for (threads, slab) in [(1, 7), (3, 1), (2, 2)] {
            let restored = restore(&scores, &recipe, to, threads, slab);
            let different = restored.labels.iter().zip(&expected).filter(|(a, b)| a != b).count();
            prop_assert!(different <= restored.near_ties, "{different} voxels differ, {}", restored.near_ties);
            results.push(restored);
        }
        prop_assert_eq!(&results[0], &results[1]);
        prop_assert_eq!(&results[0], &results[2]);
    }
}

#[test]
fn first_of_equal_scores_wins() {
    let scores = Array4::from_elem((3, 2, 2, 2), f16::ONE);
    let recipe = recipe([1.0; 3], 1, None, Decision::Highest);
    let restored = restore(&scores, &recipe, [2; 3], 1, 2);
    assert!(restored.labels.iter().all(|&label| label == 0));
    assert_eq!(restored.near_ties, 8);
}

#[test]
fn later_regions_go_over_earlier_ones_and_half_is_not_enough() {
    let mut scores = Array4::from_elem((3, 1, 1, 4), f16::from_f32(-3.0));
    scores.slice_mut(s![0, .., .., ..]).fill(f16::from_f32(2.0));
    scores[[1, 0, 0, 1]] = f16::from_f32(1.0);
    scores[[2, 0, 0, 2]] = f16::from_f32(1.0);
    scores[[1, 0, 0, 3]] = f16::MIN_POSITIVE_SUBNORMAL;
    let recipe = recipe([1.0; 3], 1, None, Decision::regions([5, 7, 2]));
    let restored = restore(&scores, &recipe, [1, 1, 4], 1, 1);
    assert_eq!(restored.labels.as_slice().unwrap(), [5, 7, 2, 5]);
    assert_eq!(restored.near_ties, 1);
}
