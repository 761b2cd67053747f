//! Maps beside the labels, and ensembles: networks whose scores are known.

use super::*;

/// Sums of tiles with Gaussian weights are rounded where the weights are small.
fn equal_weights() -> PlanOptions {
    PlanOptions { blending: crate::inference::Blending::Constant, ..PlanOptions::default() }
}

/// A plan whose network gives these scores for (background, foreground) wherever it looks.
fn constant(scores: [f32; 2]) -> Rule {
    Box::new(move |input, output| {
        let (background, foreground) = output.split_at_mut(input.len());
        background.fill(scores[0]);
        foreground.fill(scores[1]);
        Ok(())
    })
}

/// A map of a run over a volume with a margin of zeros, axis 0 fastest.
fn mapped(plan: &Plan, map: Map, dtype: DType) -> (Vec<u8>, Vec<u8>) {
    let shape = [5, 6, 4];
    let stored = store(shape, [2, 0, 1], [true, false, true], 3, |at| value(shape, at));
    let grid = Geometry::with_shape(shape);
    let mut labels = vec![9; grid.voxels()];
    let mut values = vec![9; grid.voxels() * dtype.size()];
    let layout = Layout::dense(shape, dtype);
    let mut maps = [MapBuffer::new(map, &grid, dtype, layout, &mut values).unwrap()];
    let mut buffer =
        LabelBuffer::new(&grid, DType::U8, Layout::dense(shape, DType::U8), &mut labels).unwrap();
    plan.segment(&view(&stored, shape), &mut buffer, &mut maps, &mut Run::default()).unwrap();
    (labels, values)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&four| f32::from_ne_bytes(four)).collect()
}

#[test]
fn maps_tell_probability_margin_and_entropy() {
    let score = 0.75_f32;
    let p = 1.0 / (1.0 + (-score).exp());
    let plan = || plan_with(&model(true), &equal_weights(), constant([0.0, score]));
    let inside = |x: usize, z: usize| x > 0 && z + 1 < 4;
    let close = |found: &[u8], within: f32, outside: f32| {
        for (index, value) in floats(found).into_iter().enumerate() {
            let expected = if inside(index % 5, index / 30) { within } else { outside };
            assert!((value - expected).abs() < 1e-6, "{index}: {value}, expected {expected}");
        }
    };
    let (labels, probability) = mapped(&plan(), Map::Probability(1), DType::F32);
    close(&probability, p, 0.0);
    assert!(labels.iter().enumerate().all(|(n, &label)| label == u8::from(inside(n % 5, n / 30))));
    close(&mapped(&plan(), Map::Probability(0), DType::F32).1, 1.0 - p, 1.0);
    close(&mapped(&plan(), Map::Entropy, DType::F32).1, -p * p.ln() - (1.0 - p) * (1.0 - p).ln(), 0.0);
    let (_, margins) = mapped(&plan(), Map::Margin, DType::U8);
    assert_eq!(margins[1], 255);
    let near = plan_with(&model(true), &equal_weights(), constant([0.0, 0.25]));
    let (_, margins) = mapped(&near, Map::Margin, DType::U8);
    let expected = (1000.0 * (2.0 / (1.0 + (-0.25_f32).exp()) - 1.0)).round() as u8;
    let inner = |margin: u8| margin.abs_diff(expected) <= 1;
    for (index, margin) in margins.into_iter().enumerate() {
        assert!(
            if inside(index % 5, index / 30) { inner(margin) } else { margin == 255 },
            "{index}: {margin}"
        );
    }
    let (_, halves) = mapped(&plan(), Map::Probability(1), DType::F16);
    let value = half::f16::from_ne_bytes([halves[2], halves[3]]).to_f32();
    assert!((value - p).abs() < 1e-3, "{value}");
}

#[test]
fn maps_are_refused_or_cleared() {
    let shape = [4, 4, 4];
    let grid = Geometry::with_shape(shape);
    let stored = store(shape, [0, 1, 2], [false; 3], 0, |at| value(shape, at));
    let attempt = |map, dtype: DType, plan: &Plan, run: &mut Run| {
        let (mut labels, mut values) = (vec![9; 64], vec![9; 64 * dtype.size()]);
        let mut buffer =
            LabelBuffer::new(&grid, DType::U8, Layout::dense(shape, DType::U8), &mut labels).unwrap();
        let layout = Layout::dense(shape, dtype);
        let mut maps = [MapBuffer::new(map, &grid, dtype, layout, &mut values)?];
        plan.segment(&view(&stored, shape), &mut buffer, &mut maps, run).map(|_| ())?;
        Ok::<_, Error>(values)
    };
    let run = &mut Run::default();
    for (map, dtype) in
        [(Map::Margin, DType::F32), (Map::Entropy, DType::U8), (Map::Probability(1), DType::I16)]
    {
        assert!(matches!(attempt(map, dtype, &plan(true), run), Err(Error::InvalidArgument { .. })));
    }
    let unknown = attempt(Map::Probability(2), DType::F32, &plan(true), run).unwrap_err().to_string();
    assert!(unknown.contains("map.label"), "{unknown}");

    // Cancelled while the last tiles run: planes that were written are zero again.
    let mut values = vec![9; 64];
    let mut labels = vec![9; 64];
    let dense = Layout::dense(shape, DType::U8);
    let mut buffer = LabelBuffer::new(&grid, DType::U8, dense, &mut labels).unwrap();
    let mut maps = [MapBuffer::new(Map::Margin, &grid, DType::U8, dense, &mut values).unwrap()];
    let mut run = Run::default().with_progress(|progress| progress.fraction < 1.0);
    let result = plan(true).segment(&view(&stored, shape), &mut buffer, &mut maps, &mut run);
    assert!(matches!(result, Err(Error::Cancelled)));
    assert!(values.iter().all(|&value| value == 0) && labels.iter().all(|&label| label == 9));
}

#[test]
fn ensembles_average_probabilities() {
    let members = [model(true), model(true)];
    let both = Model::ensemble(&members).unwrap();
    let single = |scores| plan_with(&members[0], &equal_weights(), constant(scores));
    // One is sure of the background, two scores less so of the foreground: their mean says foreground only where
    // both probabilities together do.
    for (first, second) in [([0.0, -1.0], [0.0, 1.5]), ([0.0, -4.0], [0.0, 1.5])] {
        let mut plan = single(second);
        plan.members.push(single(first));
        let (labels, probability) = mapped(&plan, Map::Probability(1), DType::F32);
        let sigmoid = |scores: [f32; 2]| 1.0 / (1.0 + (scores[0] - scores[1]).exp());
        let mean = (sigmoid(first) + sigmoid(second)) / 2.0;
        let (label, found) = (labels[1], floats(&probability)[1]);
        assert!((found - mean).abs() < 1e-6 && label == u8::from(mean > 0.5), "{mean}: {found}, {label}");
    }
    assert_eq!(both.name(), "test");
    assert_ne!(both.identity(), members[0].identity());
    assert!(Model::ensemble(&[]).is_err() && Model::ensemble(&[both, model(true)]).is_err());
    let other = Model::for_tests(members[0].recipe().clone(), 3);
    let error = Model::ensemble(&[model(true), other]).unwrap_err().to_string();
    assert!(error.contains("different labels"), "{error}");
}
