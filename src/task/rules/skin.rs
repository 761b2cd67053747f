//! The skin, out of the body and the intensities in it.

use ndarray::Array3;

use super::outside::ways;
use crate::buffer;
use crate::error::Result;
use crate::restore::components::Sets;
use crate::volume::{AxisMap, Volume};

/// By how many steps the body grows before its skin is taken, and how deep the skin then is.
const GROWN: u16 = 1;
const DEPTH: u16 = 3;
/// Intensities between which the skin is, in Hounsfield units.
const RANGE: (f32, f32) = (-200.0, 250.0);
/// Pieces of at most so many voxels go.
const SMALL: u32 = 5;

/// Label 1 for the voxels [z, y, x] of the skin around a body: the outermost of it and those beside it, where the
/// volume's intensity is that of skin. What is outside of the volume isn't body.
pub(super) fn skin(array: &mut Array3<u16>, body: &Array3<bool>, volume: &Volume) -> Result<()> {
    let grown = buffer::map("the body, grown", &ways(body, true)?, |way| way <= GROWN)?;
    let outwards = ways(&grown, false)?;
    let (planes, rows, columns) = array.dim();
    let border = |n: usize, length: usize| (n + 1).min(length - n);
    let map = AxisMap::closest_canonical(volume.geometry()).transposed([2, 1, 0]);
    let mut plane = buffer::zeroed("a plane of the volume", rows * columns)?;
    for z in 0..planes {
        volume.read(0, &map, [z, 0, 0], [1, rows, columns], &mut plane, 1);
        for y in 0..rows {
            for x in 0..columns {
                let to_border = border(z, planes).min(border(y, rows)).min(border(x, columns));
                let inner = usize::from(outwards[[z, y, x]]).min(to_border) > DEPTH.into();
                let intensity = plane[y * columns + x];
                let is_skin = grown[[z, y, x]] && !inner && intensity > RANGE.0 && intensity < RANGE.1;
                array[[z, y, x]] = is_skin.into();
            }
        }
    }
    let kind = |label: u16| (label > 0).then_some(0);
    Sets::find(array.view(), kind, 1)?.clear(array, kind, 0, |_, voxels| voxels > SMALL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{DType, Geometry, Layout};

    #[test]
    fn the_outermost_of_a_body_and_what_is_beside_it() {
        // Along x: four voxels of air, the body, and the volume's border. One voxel is bone.
        let shape = [16, 9, 9];
        let body = Array3::from_shape_fn([9, 9, 16], |(_, _, x)| x >= 4);
        let bytes: Vec<u8> = (0..16 * 81_usize)
            .flat_map(|n| (if n == 4 * 16 * 9 + 4 * 16 + 4 { 700_i16 } else { 40 }).to_ne_bytes())
            .collect();
        let mut grid = Geometry::with_shape(shape);
        grid.direction = [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]];
        let layout = Layout::dense(shape, DType::I16);
        let volume = Volume::new(grid, DType::I16, layout, vec![&bytes]).unwrap();
        let mut found = Array3::zeros([9, 9, 16]);
        skin(&mut found, &body, &volume).unwrap();
        let line: Vec<u16> = (0..16).map(|x| found[[4, 4, x]]).collect();
        assert_eq!(line, [0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
        let line: Vec<u16> = (0..9).map(|y| found[[4, y, 9]]).collect();
        assert_eq!(line, [1, 1, 1, 0, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn small_pieces_go() {
        let bytes = vec![0; 27];
        let shape = [3; 3];
        let layout = Layout::dense(shape, DType::I8);
        let volume = Volume::new(Geometry::with_shape(shape), DType::I8, layout, vec![&bytes]).unwrap();
        let mut body = Array3::from_elem(shape, false);
        body[[0, 0, 0]] = true;
        let mut found = Array3::zeros(shape);
        skin(&mut found, &body, &volume).unwrap();
        assert_eq!(found.sum(), 0, "four voxels are too few");
        body[[1, 1, 1]] = true;
        skin(&mut found, &body, &volume).unwrap();
        assert_eq!(found.sum(), 11);
    }
}
