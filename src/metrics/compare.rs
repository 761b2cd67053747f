//! How well two label maps agree, label by label.

use std::collections::{BTreeMap, BTreeSet};

use super::grid_transform::same_voxels;
use super::map::{BoundingBox, LabelMap, each_run, gather};
use super::on_grid::labels_on_grid;
use super::room::zeros;
use super::surface::{self, SurfaceDistances};
use super::surfels;
use crate::error::{Error, Result};
use crate::floating_point::Ours;
use crate::progress::{Run, Stage};
use crate::volume::{Layout, Volume};

/// A label of the first map and the one of the second that means the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// Its value in the first map.
    pub first: u32,
    /// Its value in the second map.
    pub second: u32,
}

/// What [`compare`] looks at.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// The labels to compare; `None` for each value but 0 that occurs, with the same value.
    pub pairs: Option<Vec<Pair>>,
    /// The tolerance of surface Dice in millimetres; `None` leaves surfaces out.
    pub tolerance: Option<f64>,
    /// How many threads work. The numbers don't depend on it.
    pub threads: usize,
}

/// How a label of the first map and one of the second agree.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The labels.
    pub pair: Pair,
    /// Voxels of each, on the first map's grid.
    pub voxels: [u64; 2],
    /// Voxels that have both.
    pub both: u64,
    /// Volume of each in millilitres.
    pub milliliters: [f64; 2],
    /// Distances of their surfaces; `None` unless asked for and at least one label occurs.
    pub surface: Option<SurfaceDistances>,
}

impl Comparison {
    /// The Dice coefficient: twice the common voxels over the sum of both; `None` when neither label occurs.
    pub fn dice(&self) -> Option<f64> {
        let sum = self.voxels[0] + self.voxels[1];
        (sum > 0).then(|| 2.0 * self.both as f64 / sum as f64)
    }

    /// By how many millilitres the second label is larger than the first.
    pub fn volume_difference(&self) -> f64 {
        self.milliliters[1] - self.milliliters[0]
    }

    /// The same in percent of the first label's volume; `None` when that doesn't occur.
    pub fn volume_difference_percent(&self) -> Option<f64> {
        (self.voxels[0] > 0).then(|| 100.0 * self.volume_difference() / self.milliliters[0])
    }
}

/// Means over the labels that occur in both maps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How many these are.
    pub labels: usize,
    /// Labels that occur in one map only.
    pub unmatched: usize,
    /// Mean Dice coefficient; `None` without such labels.
    pub dice: Option<f64>,
    /// Mean of the 95 % Hausdorff distances, in millimetres; `None` without surfaces.
    pub hausdorff_95: Option<f64>,
    /// Mean of the mean surface distances, in millimetres; `None` without surfaces.
    pub mean_distance: Option<f64>,
    /// Mean surface Dice; `None` without surfaces.
    pub surface_dice: Option<f64>,
}

/// Compares two label maps, label by label, in the order of `pairs`. A second map on another grid is
/// [brought](labels_on_grid) to the first one's.
///
/// # Errors
/// [`Error::InvalidArgument`] for volumes that aren't label maps, a tolerance that is negative, pairs with the label
/// 0, or a map with 65534 planes or more; [`Error::Cancelled`].
pub fn compare(
    first: &Volume,
    second: &Volume,
    options: &CompareOptions,
    run: &mut Run,
) -> Result<Vec<Comparison>> {
    let _ours = Ours::enter();
    if let Some(tolerance) =
        options.tolerance.filter(|tolerance| !(tolerance.is_finite() && *tolerance >= 0.0))
    {
        return Err(Error::argument("tolerance", tolerance, "a distance in millimetres of at least 0"));
    }
    if options.pairs.iter().flatten().any(|pair| pair.first == 0 || pair.second == 0) {
        return Err(Error::argument("pairs", "the label 0", "labels other than the background"));
    }
    let a = LabelMap::new(first, "first")?;
    let b = LabelMap::new(second, "second")?;
    if same_voxels(first.geometry(), second.geometry()) {
        return compare_arrays(&a, &b.like(&a), options, run);
    }
    let grid = first.geometry().clone();
    let bytes = labels_on_grid(second, &grid, options.threads)?;
    let layout = Layout::dense(grid.shape, second.dtype());
    let moved =
        Volume::new(grid, second.dtype(), layout, vec![&bytes])?.with_swapped_bytes(second.is_swapped());
    compare_arrays(&a, &LabelMap::new(&moved, "second")?.like(&a), options, run)
}

/// The means over the labels that both maps have.
pub fn summary(comparisons: &[Comparison]) -> Summary {
    let matched: Vec<&Comparison> = comparisons.iter().filter(|one| !one.voxels.contains(&0)).collect();
    let present = comparisons.iter().filter(|one| one.voxels != [0; 2]).count();
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / matched.len() as f64;
    let surfaces: Vec<SurfaceDistances> = matched.iter().filter_map(|one| one.surface).collect();
    let of_surfaces = |value: fn(&SurfaceDistances) -> f64| {
        (!surfaces.is_empty()).then(|| mean(&mut surfaces.iter().map(value)))
    };
    Summary {
        labels: matched.len(),
        unmatched: present - matched.len(),
        dice: (!matched.is_empty()).then(|| mean(&mut matched.iter().filter_map(|one| one.dice()))),
        hausdorff_95: of_surfaces(|surface| surface.hausdorff_95),
        mean_distance: of_surfaces(|surface| surface.mean),
        surface_dice: of_surfaces(|surface| surface.dice),
    }
}

/// Voxels with one label in the first map and one in the second.
struct Overlap {
    voxels: u64,
    bounds: BoundingBox,
}

fn overlaps(a: &LabelMap, b: &LabelMap, threads: usize, run: &mut Run) -> Result<BTreeMap<Pair, Overlap>> {
    let [planes, rows, columns] = a.shape;
    let work = |start: usize, end: usize| {
        let mut found = BTreeMap::new();
        let (mut first, mut second) = (a.plane()?, b.plane()?);
        let mut pairs = zeros::<Pair>(&[columns], "first")?;
        for z in start..end {
            a.read([z, 0, 0], [1, rows, columns], &mut first);
            b.read([z, 0, 0], [1, rows, columns], &mut second);
            for (y, (first, second)) in
                first.chunks_exact(columns).zip(second.chunks_exact(columns)).enumerate()
            {
                let labels = first.iter().zip(second);
                pairs
                    .iter_mut()
                    .zip(labels)
                    .for_each(|(pair, (&first, &second))| *pair = Pair { first, second });
                each_run(&pairs, Pair::default(), |pair, from, to| {
                    let overlap =
                        found.entry(pair).or_insert_with(|| Overlap { voxels: 0, bounds: BoundingBox::NONE });
                    overlap.voxels += (to - from) as u64;
                    overlap.bounds.include_run([z, y], from, to);
                    Ok(())
                })?;
            }
        }
        Ok(found)
    };
    let add = |all: Overlap, piece: Overlap| Overlap {
        voxels: all.voxels + piece.voxels,
        bounds: all.bounds.union(&piece.bounds),
    };
    let found = gather(planes, threads, run, work)?.into_iter();
    Ok(found.filter_map(|(pair, pieces)| Some((pair, pieces.into_iter().reduce(add)?))).collect())
}

/// All voxels of each label of one map.
fn totals(
    overlaps: &BTreeMap<Pair, Overlap>,
    label: impl Fn(&Pair) -> u32,
) -> BTreeMap<u32, (u64, BoundingBox)> {
    let mut totals = BTreeMap::new();
    for (pair, overlap) in overlaps {
        let (voxels, bounds) = totals.entry(label(pair)).or_insert((0, BoundingBox::NONE));
        *voxels += overlap.voxels;
        *bounds = bounds.union(&overlap.bounds);
    }
    totals
}

/// The share of the work that counting voxels is where surfaces are compared too.
const COUNTING: f64 = 0.2;

/// Both maps lie along the same axes of one grid.
fn compare_arrays(
    a: &LabelMap,
    b: &LabelMap,
    options: &CompareOptions,
    run: &mut Run,
) -> Result<Vec<Comparison>> {
    let counting = if options.tolerance.is_some() { COUNTING } else { 1.0 };
    let overlaps = run.part(0.0, counting, |run| overlaps(a, b, options.threads, run))?;
    let (first, second) = (totals(&overlaps, |pair| pair.first), totals(&overlaps, |pair| pair.second));
    a.check(first.keys())?;
    b.check(second.keys())?;
    let grid = a.grid();
    let occurring = || {
        let values: BTreeSet<u32> =
            first.keys().chain(second.keys()).copied().filter(|&value| value != 0).collect();
        values.into_iter().map(|value| Pair { first: value, second: value }).collect()
    };
    let pairs = options.pairs.clone().unwrap_or_else(occurring);
    let count = pairs.len();
    let mut compare_pair = |(n, pair): (usize, Pair)| {
        run.checkpoint(Stage::Measure, n, count)?;
        let nothing = (0, BoundingBox::NONE);
        let found =
            [first.get(&pair.first).unwrap_or(&nothing), second.get(&pair.second).unwrap_or(&nothing)];
        let voxels = found.map(|(voxels, _)| *voxels);
        let surface = match options.tolerance {
            Some(tolerance) if voxels != [0; 2] => {
                let bounds = found[0].1.union(&found[1].1);
                let labels = [(a, pair.first, voxels[0]), (b, pair.second, voxels[1])];
                Some(surfaces(labels, &bounds, grid.spacing, tolerance, options.threads, run)?)
            }
            _ => None,
        };
        Ok(Comparison {
            pair,
            voxels,
            both: overlaps.get(&pair).map_or(0, |overlap| overlap.voxels),
            milliliters: voxels.map(|voxels| voxels as f64 * grid.voxel_volume() / 1000.0),
            surface,
        })
    };
    let found = pairs.into_iter().enumerate().map(&mut compare_pair).collect::<Result<_>>()?;
    run.checkpoint(Stage::Measure, 1, 1)?;
    Ok(found)
}

fn surfaces(
    labels: [(&LabelMap, u32, u64); 2],
    bounds: &BoundingBox,
    spacing: [f64; 3],
    tolerance: f64,
    threads: usize,
    run: &Run,
) -> Result<SurfaceDistances> {
    let [first, second] =
        labels.map(|(map, label, _)| surfels::codes(map, label, bounds, threads, run.cancel()));
    let codes = [first?, second?];
    run.check()?;
    if labels.iter().any(|(_, _, voxels)| *voxels == 0) {
        return Ok(SurfaceDistances::apart([0, 1].map(|n| surface::area(&codes[n], spacing))));
    }
    SurfaceDistances::between([&codes[0], &codes[1]], spacing, tolerance, threads, run)
}
