//! Distances between the surfaces of two labels, as `surface-distance` defines them (Nikolov and others 2018):
//! surfaces consist of surface elements (see [`surfels`](super::surfels)), each weighs as much as its area, and
//! distances are those between the centres of the cells that hold the elements.

use ndarray::{Array3, Axis};

use super::distance::{Nearest, Scratch};
use super::surfels::{areas, is_surface};
use crate::error::Result;
use crate::progress::{Cancel, Run};
use crate::{buffer, parallel};

/// How far the surfaces of two labels are from each other, in millimetres. When one label doesn't occur, its area
/// is 0, the overlap is 0, and all distances are infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SurfaceDistances {
    /// Areas of the first and the second surface, in square millimetres.
    pub areas: [f64; 2],
    /// The largest distance from an element of either surface to the other surface.
    pub hausdorff: f64,
    /// The distance that 95 % of a surface's area keep within, of that surface for which it is larger.
    pub hausdorff_95: f64,
    /// The mean distance from the first surface to the second, and from the second to the first.
    pub mean_each_way: [f64; 2],
    /// The mean distance over the elements of both surfaces.
    pub mean: f64,
    /// Surface Dice: the share of both surfaces' area that is within the tolerance of the other surface.
    pub dice: f64,
}

/// The excess over the tolerance that rounded spacings may cause: headers hold seven digits.
const ROUNDING: f64 = 1e-6;

impl SurfaceDistances {
    /// Of labels of which one doesn't occur.
    pub(super) fn apart(areas: [f64; 2]) -> Self {
        let far = f64::INFINITY;
        SurfaceDistances {
            areas,
            hausdorff: far,
            hausdorff_95: far,
            mean_each_way: [far; 2],
            mean: far,
            dice: 0.0,
        }
    }

    /// Between the surfaces in cells of these codes, none of which is empty.
    pub(super) fn between(
        codes: [&Array3<u8>; 2],
        spacing: [f64; 3],
        tolerance: f64,
        threads: usize,
        run: &Run,
    ) -> Result<Self> {
        let elements = areas(spacing);
        let way = |from: &Array3<u8>, to: &Array3<u8>| -> Result<DirectedDistances> {
            let to = Nearest::new(to.view(), |&code| is_surface(code), spacing, threads)?;
            run.check()?;
            let way = DirectedDistances::new(from, &to, &elements, threads, run.cancel())?;
            run.check()?;
            Ok(way)
        };
        let ways = [way(codes[0], codes[1])?, way(codes[1], codes[0])?];
        let larger = |distance: fn(&DirectedDistances) -> f64| ways.iter().map(distance).fold(0.0, f64::max);
        let area: f64 = ways.iter().map(|way| way.area).sum();
        let share = |part: &dyn Fn(&DirectedDistances) -> f64| ways.iter().map(part).sum::<f64>() / area;
        Ok(SurfaceDistances {
            areas: [ways[0].area, ways[1].area],
            hausdorff: larger(|way| way.quantile(1.0)),
            hausdorff_95: larger(|way| way.quantile(0.95)),
            mean_each_way: [0, 1].map(|n| ways[n].sum() / ways[n].area),
            mean: share(&|way| way.sum()),
            dice: share(&|way| way.within(tolerance * (1.0 + ROUNDING))),
        })
    }
}

/// The area of a surface in cells of these codes.
pub(super) fn area(codes: &Array3<u8>, spacing: [f64; 3]) -> f64 {
    let mut counts = [0_u64; 256];
    codes.iter().for_each(|&code| counts[usize::from(code)] += 1);
    areas(spacing).iter().zip(counts).map(|(area, count)| area * count as f64).sum()
}

/// What its memory is for, in errors.
const SURFACE: &str = "the distances of surfaces";

/// One surface's distances to the other.
struct DirectedDistances {
    /// Of the whole surface.
    area: f64,
    /// Of the elements that lie on the other surface.
    touching: f64,
    /// The others, from the nearest to the furthest.
    elements: Vec<Surfel>,
}

/// A piece of a surface.
struct Surfel {
    distance: f64,
    area: f64,
}

impl DirectedDistances {
    fn new(
        from: &Array3<u8>,
        to: &Nearest,
        areas: &[f64; 256],
        threads: usize,
        cancel: &Cancel,
    ) -> Result<Self> {
        let mut planes: Vec<(f64, Vec<Surfel>)> =
            buffer::collect(SURFACE, from.axis_iter(Axis(0)).map(|_| Default::default()))?;
        parallel::try_for_each(threads, planes.iter_mut().enumerate(), |(z, (touching, elements))| {
            if cancel.requested() {
                return Ok(());
            }
            let codes = from.index_axis(Axis(0), z);
            let columns = codes.dim().1;
            let (mut apart, mut wanted) = (Vec::new(), buffer::zeroed(SURFACE, codes.dim().0)?);
            for ((y, x), &code) in codes.indexed_iter().filter(|(_, code)| is_surface(**code)) {
                let area = areas[usize::from(code)];
                if to.is_feature([z, y, x]) {
                    *touching += area;
                } else {
                    buffer::push(&mut apart, SURFACE, (y * columns + x, area))?;
                    wanted[y] = true;
                }
            }
            if !apart.is_empty() {
                let mut scratch = Scratch::default();
                let squared = to.plane(z, |y| wanted[y], &mut scratch)?;
                let element = |(voxel, area): (usize, f64)| Surfel { distance: squared[voxel].sqrt(), area };
                *elements = buffer::collect(SURFACE, apart.into_iter().map(element))?;
            }
            Ok(())
        })?;
        let touching = planes.iter().map(|(touching, _)| touching).sum();
        let count = planes.iter().map(|(_, elements)| elements.len()).sum();
        let mut elements = buffer::with_room(SURFACE, count)?;
        elements.extend(planes.into_iter().flat_map(|(_, elements)| elements));
        // Without the memory that a stable order would take: equals are the same.
        elements.sort_unstable_by(|a: &Surfel, b: &Surfel| {
            a.distance.total_cmp(&b.distance).then(a.area.total_cmp(&b.area))
        });
        let area = touching + elements.iter().map(|element| element.area).sum::<f64>();
        Ok(DirectedDistances { area, touching, elements })
    }

    /// The distances' integral over the surface.
    fn sum(&self) -> f64 {
        // A sum of nothing would be -0.
        self.elements.iter().fold(0.0, |sum, element| sum + element.distance * element.area)
    }

    /// The area within a distance.
    fn within(&self, distance: f64) -> f64 {
        let within = self.elements.iter().take_while(|element| element.distance <= distance);
        self.touching + within.map(|element| element.area).sum::<f64>()
    }

    /// The smallest distance within which at least so much of the surface is.
    fn quantile(&self, share: f64) -> f64 {
        let Some(furthest) = self.elements.last().filter(|_| self.touching < share * self.area) else {
            return 0.0;
        };
        let mut area = self.touching;
        let reached = self.elements.iter().find(|element| {
            area += element.area;
            area >= share * self.area && share < 1.0
        });
        reached.unwrap_or(furthest).distance
    }
}
