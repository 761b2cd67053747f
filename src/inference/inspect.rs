//! A look at a volume before anything is computed from it.

use super::intensities::unusual;
use super::{RunReport, Warning};
use crate::error::{Error, Result};
use crate::log::{self, Level};
use crate::progress::Run;
use crate::recipe::IntensityRange;
use crate::volume::{NonFiniteVoxels, Volume};

/// A volume that was looked at.
pub(crate) struct Inspected<'a> {
    /// Whose voxels that aren't finite are read as the run wants it.
    pub volume: Volume<'a>,
    non_finite: Option<NonFiniteVoxels>,
    warnings: Vec<Warning>,
}

/// Looks at a volume for a model whose channels have these names, and intensities where they are known.
pub(crate) fn inspect<'a>(
    volume: &Volume<'a>,
    channels: &[String],
    expected: &[Option<IntensityRange>],
    threads: usize,
    run: &Run,
) -> Result<Inspected<'a>> {
    run.check()?;
    let mut inspected = Inspected { volume: volume.clone(), non_finite: None, warnings: Vec::new() };
    if let Some(voxels) = volume.non_finite(threads) {
        let NonFiniteVoxels { count, channel, voxel } = voxels;
        let Some(substitute) = run.non_finite().substitute() else {
            return Err(Error::VoxelsNotFinite { count, channel, voxel });
        };
        inspected.volume = volume.clone().with_substitute(Some(substitute));
        inspected.non_finite = Some(voxels);
        inspected.warnings.push(Warning::NonFiniteReplaced { voxels, substitute });
    }
    for (channel, (name, expected)) in channels.iter().zip(expected).enumerate() {
        let Some(expected) = *expected else { continue };
        if let Some(found) = unusual(volume, channel, expected)? {
            inspected.warnings.push(Warning::UnusualIntensities { channel, name: name.clone(), found });
        }
    }
    inspected.warnings.iter().for_each(|warning| log::write(Level::Warning, || warning.to_string()));
    run.check()?;
    Ok(inspected)
}

impl Inspected<'_> {
    /// The report of a run on the volume, with what was seen.
    pub fn told_in(self, report: RunReport) -> RunReport {
        RunReport { non_finite: self.non_finite, warnings: self.warnings, ..report }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::engine::fake::FakeEngine;
    use crate::engine::{Engine, Precision};
    use crate::inference::UnusualKind;
    use crate::inference::{Plan, PlanOptions};
    use crate::labels::LabelBuffer;
    use crate::model::Model;
    use crate::progress::Cancel;
    use crate::recipe::{Normalization, Recipe, Step};
    use crate::volume::{DType, Geometry, Layout, NonFinite};

    const SHAPE: [usize; 3] = [6, 5, 4];
    const CANARY: u8 = 0xEE;

    /// A plan that finds label 1 over 50, and how often its network runs.
    fn plan() -> (Plan, Arc<AtomicUsize>) {
        let ct = Normalization::Ct { lower: -992.0, upper: 730.0, mean: 0.0, std: 1.0 };
        let recipe = Recipe { steps: vec![Step::Normalize(vec![ct])], ..Recipe::for_tests([6, 5, 4]) };
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        let rule = move |input: &[f32], output: &mut [f32]| {
            counted.fetch_add(1, Ordering::Relaxed);
            let (background, foreground) = output.split_at_mut(input.len());
            background.fill(0.0);
            foreground.iter_mut().zip(input).for_each(|(score, &value)| *score = value - 50.0);
            Ok(())
        };
        let engines: Vec<Arc<dyn Engine>> = vec![Arc::new(FakeEngine::new(rule))];
        let model = Model::for_tests(recipe, 2);
        let plan = Plan::with_engines(&model, &PlanOptions::default(), engines, Precision::F32, 2).unwrap();
        (plan, runs)
    }

    fn segment(values: &[f32], run: &mut Run) -> (Result<RunReport>, Vec<u8>, usize) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        let grid = Geometry::with_shape(SHAPE);
        let layout = Layout::dense(SHAPE, DType::F32);
        let volume = Volume::new(grid.clone(), DType::F32, layout, vec![&bytes]).unwrap();
        let mut found = vec![CANARY; grid.voxels()];
        let layout = Layout::dense(SHAPE, DType::U8);
        let mut labels = LabelBuffer::new(&grid, DType::U8, layout, &mut found).unwrap();
        let (plan, runs) = plan();
        let result = plan.segment(&volume, &mut labels, &mut [], run);
        (result, found, runs.load(Ordering::Relaxed))
    }

    /// A CT from air to bone, with voxels that aren't numbers where bone would be.
    fn values() -> Vec<f32> {
        let mut values: Vec<f32> = (0..120).map(|n| (n * 97 % 1700) as f32 - 1000.0).collect();
        values[6 * 5 + 2 * 6 + 4] = f32::NAN;
        values[119] = f32::INFINITY;
        values
    }

    #[test]
    fn refused_before_anything_is_computed() {
        let (result, labels, runs) = segment(&values(), &mut Run::default());
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::VoxelsNotFinite { count: 2, channel: 0, voxel: [4, 2, 1] }),
            "{error}"
        );
        assert_eq!((error.status(), runs), (107, 0));
        assert!(labels.iter().all(|&label| label == CANARY));
        assert!(
            error
                .to_string()
                .contains("2 voxels are NaN or infinite, the first in channel 0 at voxel [4, 2, 1]")
        );
        let details = error.details();
        assert!(details.contains(&("found", "2".into())) && details.contains(&("voxel", "4 2 1".into())));
    }

    #[test]
    fn read_as_asked_for_and_told() {
        for (how, substitute) in [(NonFinite::Zero, 0.0), (NonFinite::Lowest, -2_147_483_648.0)] {
            let (result, labels, _) = segment(&values(), &mut Run::default().with_non_finite(how));
            let report = result.unwrap();
            let voxels = NonFiniteVoxels { count: 2, channel: 0, voxel: [4, 2, 1] };
            assert_eq!(report.non_finite, Some(voxels));
            assert_eq!(report.warnings, [Warning::NonFiniteReplaced { voxels, substitute }]);
            let words =
                "2 voxels are NaN or infinite, the first in channel 0 at voxel [4, 2, 1]; they are read as";
            assert!(
                [format!("{words} 0"), format!("{words} -2147483648")]
                    .contains(&report.warnings[0].to_string())
            );
            let replaced: Vec<f32> = values()
                .into_iter()
                .map(|value| if value.is_finite() { value } else { substitute })
                .collect();
            let (plain, expected, _) = segment(&replaced, &mut Run::default());
            assert_eq!((labels, plain.unwrap().non_finite), (expected, None));
        }
    }

    #[test]
    fn intensities_of_another_kind_are_told() {
        let scaled: Vec<f32> = (0..120).map(|n| n as f32 / 119.0).collect();
        let (result, _, runs) = segment(&scaled, &mut Run::default());
        let report = result.unwrap();
        let [Warning::UnusualIntensities { channel: 0, name, found }] = &report.warnings[..] else {
            panic!("{:?}", report.warnings);
        };
        assert_eq!((name.as_str(), found.kind, found.found), ("CT", UnusualKind::Narrow, [0.0, 1.0]));
        assert!(runs > 0 && report.non_finite.is_none());
    }

    #[test]
    fn cancel_comes_first() {
        let cancel = Cancel::new();
        cancel.request();
        let (result, labels, runs) = segment(&values(), &mut Run::new(cancel));
        assert!(matches!(result, Err(Error::Cancelled)));
        assert!(runs == 0 && labels.iter().all(|&label| label == CANARY));
    }
}
