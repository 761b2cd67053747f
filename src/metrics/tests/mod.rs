mod compare;
mod dose;
mod on_grid;
mod statistics;

use crate::volume::{DType, Geometry, Layout, Volume};

/// Voxels of their own.
struct Image {
    grid: Geometry,
    dtype: DType,
    layout: Layout,
    bytes: Vec<u8>,
}

impl Image {
    /// A label map of u8, axis 0 the fastest.
    fn labels(grid: &Geometry, label: impl Fn([usize; 3]) -> u8) -> Self {
        let bytes = indices(grid.shape).map(label).collect();
        Image { grid: grid.clone(), dtype: DType::U8, layout: Layout::dense(grid.shape, DType::U8), bytes }
    }

    /// The same label map of i16 with its axes in another order, one of them backwards, and gaps.
    fn turned(&self) -> Self {
        let [i, j, k] = self.grid.shape;
        let strides = [2 * (j * 3) as isize, -6, 2 * (i * j * 3) as isize];
        let mut image = Image {
            grid: self.grid.clone(),
            dtype: DType::I16,
            layout: Layout { offset: 6 * (j - 1), strides },
            bytes: vec![0xAB; 2 * i * j * k * 3],
        };
        for (voxel, label) in indices(self.grid.shape).zip(&self.bytes) {
            let offset: isize = (0..3).map(|axis| voxel[axis] as isize * strides[axis]).sum();
            let position = image.layout.offset.strict_add_signed(offset);
            image.bytes[position..position + 2].copy_from_slice(&i16::from(*label).to_ne_bytes());
        }
        image
    }

    /// An image of f32, axis 0 the fastest.
    fn intensities(grid: &Geometry, value: impl Fn([usize; 3]) -> f64) -> Self {
        let bytes = indices(grid.shape).flat_map(|voxel| (value(voxel) as f32).to_ne_bytes()).collect();
        Image { grid: grid.clone(), dtype: DType::F32, layout: Layout::dense(grid.shape, DType::F32), bytes }
    }

    fn volume(&self) -> Volume<'_> {
        Volume::new(self.grid.clone(), self.dtype, self.layout, vec![&self.bytes]).unwrap()
    }
}

/// All voxels, axis 0 the fastest.
fn indices([columns, rows, planes]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..planes * rows * columns).map(move |n| [n % columns, n / columns % rows, n / columns / rows])
}

fn position(grid: &Geometry, voxel: [usize; 3]) -> [f64; 3] {
    [0, 1, 2].map(|row| {
        let along = |axis: usize| grid.direction[row][axis] * grid.spacing[axis] * voxel[axis] as f64;
        grid.origin[row] + (0..3).map(along).sum::<f64>()
    })
}

fn oblique(shape: [usize; 3], spacing: [f64; 3], origin: [f64; 3]) -> Geometry {
    let direction = [[0.8, -0.6, 0.0], [0.48, 0.64, -0.6], [0.36, 0.48, 0.8]];
    Geometry { shape, spacing, origin, direction }
}

/// Random labels 0, 1, 2 in blocks, so that they have insides.
fn blocks(grid: &Geometry, seed: u64) -> Image {
    Image::labels(grid, |voxel| {
        let block = voxel.iter().fold(seed, |hash, &index| {
            (hash ^ (index / 2) as u64).wrapping_mul(6_364_136_223_846_793_005).rotate_left(29)
        });
        [0, 0, 1, 1, 2][(block >> 33) as usize % 5]
    })
}

fn assert_near(found: f64, expected: f64, what: &str) {
    let near = found == expected || (found - expected).abs() <= 1e-9 * expected.abs().max(1.0);
    assert!(near, "{what}: {found} instead of {expected}");
}
