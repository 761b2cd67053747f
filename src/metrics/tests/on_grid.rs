use proptest::prelude::*;

use super::{Image, indices};
use crate::metrics::labels_on_grid;
use crate::progress::Run;
use crate::volume::Geometry;

proptest! {
    /// Quarters of a millimetre on grids of 0.5, 1 or 2 mm have exact positions, most of them half-way between two
    /// voxels.
    #[test]
    fn half_way_between_two_voxels_the_upper_one_counts(
        from in prop::array::uniform3(1..6usize), to in prop::array::uniform3(1..9usize),
        own in prop::array::uniform3(1..4u32), step in prop::array::uniform3(1..12i64),
        start in prop::array::uniform3(-8..8i64), backwards in prop::array::uniform3(any::<bool>()),
    ) {
        let quarters = own.map(|power| 1i64 << power);
        let map = Geometry { spacing: quarters.map(|size| size as f64 / 4.0), ..Geometry::with_shape(from) };
        let labels = Image::labels(&map, |[i, j, k]| (1 + i + from[0] * (j + from[1] * k)) as u8);
        let mut grid = Geometry {
            spacing: step.map(|step| step as f64 / 4.0),
            origin: start.map(|start| start as f64 / 4.0),
            ..Geometry::with_shape(to)
        };
        (0..3).filter(|&axis| backwards[axis]).for_each(|axis| grid.direction[axis][axis] = -1.0);
        let expected: Vec<u8> = indices(to).map(|voxel| {
            let index = [0, 1, 2].map(|axis| {
                let along = voxel[axis] as i64 * step[axis] * if backwards[axis] { -1 } else { 1 };
                (2 * (start[axis] + along) + quarters[axis]).div_euclid(2 * quarters[axis])
            });
            let inside = (0..3).all(|axis| (0..from[axis] as i64).contains(&index[axis]));
            let [i, j, k] = index.map(|index| index.max(0) as usize);
            if inside { (1 + i + from[0] * (j + from[1] * k)) as u8 } else { 0 }
        }).collect();
        for threads in [1, 3] {
            prop_assert_eq!(&labels_on_grid(&labels.volume(), &grid, threads, &mut Run::default()).unwrap(), &expected);
        }
    }
}
