//! The first stage: a volume becomes the network's image.

use std::time::Instant;

use super::region::Group;
use super::{Plan, RunReport};
use crate::buffer;
use crate::engine::Workspace;
use crate::error::Result;
use crate::labels::LabelBuffer;
use crate::preprocess::{Prepared, preprocess};
use crate::progress::Run;
use crate::recipe::{Normalization, Step};
use crate::volume::{DType, Layout, Region, Volume};

/// The network's image, for boxes of a region.
pub(super) fn prepare(
    plan: &Plan,
    volume: &Volume,
    asked: (&Region, &[Group]),
    workspace: &mut Workspace,
    run: &mut Run,
    report: &mut RunReport,
) -> Result<Prepared> {
    let previous = match &plan.previous {
        Some(stage) => Some(previous_labels(plan, stage, volume, asked, workspace, run, report)?),
        None => None,
    };
    let started = Instant::now();
    let prepared = preprocess(volume, previous.as_deref(), &plan.recipe, plan.threads, run)?;
    report.preprocess_seconds += started.elapsed().as_secs_f64();
    Ok(prepared)
}

/// The labels of a cascade's previous stage, dense on the volume's grid, as far as tiles of the plan's see them.
fn previous_labels(
    plan: &Plan,
    stage: &Plan,
    volume: &Volume,
    (region, groups): (&Region, &[Group]),
    workspace: &mut Workspace,
    run: &mut Run,
    report: &mut RunReport,
) -> Result<Vec<u8>> {
    let grid = volume.geometry();
    let layout = Layout::dense(grid.shape, DType::U16);
    let mut bytes = buffer::zeroed("labels", grid.voxels() * DType::U16.size())?;
    let mut labels = LabelBuffer::new(grid, DType::U16, layout, &mut bytes)?;
    let seen = plan.earlier_region(grid, region, groups)?;
    let found = run
        .part(0.0, 0.3, |run| stage.segment_inspected(volume, &seen, &mut labels, &mut [], workspace, run))?;
    // Its labels aren't the run's.
    report.add(RunReport { near_ties: 0, ..found });
    Ok(bytes)
}

/// Bytes that it needs, for the volume's shape and the network's.
pub(super) fn bytes(plan: &Plan, shape: [usize; 3], network: [usize; 3]) -> u64 {
    let count = |shape: [usize; 3]| shape.iter().map(|&n| n as u64).product::<u64>();
    let (voxels, image) = (count(shape), count(network));
    let channels = plan.channels.len() as u64;
    let masked = |rule: &Normalization| matches!(rule, Normalization::ZScore { masked: true });
    let masks = plan.recipe.steps.iter().any(|step| match step {
        Step::Normalize(rules) => rules.iter().any(masked) || plan.previous.is_some(),
        _ => false,
    });
    // nnU-Net's resampling holds one channel at a time in f64, resampled along the first axis or along the
    // others; MONAI's holds none.
    let partly = count([shape[0], network[1], network[2]]).min(count([network[0], shape[1], shape[2]]));
    let wide = if plan.recipe.resample().is_some() { 8 * partly } else { 0 };
    let copies = channels + u64::from(channels > 1);
    let resampling = if shape == network { 0 } else { 4 * copies * image + wide };
    4 * channels * voxels + u64::from(masks) * 2 * voxels + resampling
}
