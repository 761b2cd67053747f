//! Planes of a volume as a radiologist looks at them, whatever way the volume's axes run.

use voxseg::volume::{AxisMap, Geometry};

/// The three ways to look at a patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// From the feet: the patient's right on the left, the front above.
    Axial,
    /// From the front: the patient's right on the left, the head above.
    Coronal,
    /// From the left: the front on the left, the head above.
    Sagittal,
}

impl View {
    /// All, in the order of the picture.
    pub const ALL: [View; 3] = [View::Axial, View::Coronal, View::Sagittal];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            View::Axial => "Axial",
            View::Coronal => "Coronal",
            View::Sagittal => "Sagittal",
        }
    }

    /// Letters at the left, right, upper and lower edge.
    pub fn letters(self) -> [&'static str; 4] {
        match self {
            View::Axial => ["R", "L", "A", "P"],
            View::Coronal => ["R", "L", "S", "I"],
            View::Sagittal => ["A", "P", "S", "I"],
        }
    }

    /// The patient's axes (0 right, 1 front, 2 head) along x, along y and across, and whether the picture's x
    /// and y run against them.
    fn axes(self) -> ([usize; 3], [bool; 2]) {
        match self {
            View::Axial => ([0, 1, 2], [true, true]),
            View::Coronal => ([0, 2, 1], [true, true]),
            View::Sagittal => ([1, 2, 0], [true, true]),
        }
    }
}

/// How the planes of a view lie in a volume.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Pixels across and down.
    pub size: [usize; 2],
    /// Millimetres from pixel to pixel, across and down.
    pub spacing: [f64; 2],
    /// Number of planes.
    pub planes: usize,
    start: usize,
    steps: [isize; 2],
    plane_step: usize,
}

impl Frame {
    /// The planes of `view` in a volume.
    pub fn new(view: View, geometry: &Geometry) -> Self {
        let map = AxisMap::closest_canonical(geometry);
        let (patient, against) = view.axes();
        let axes = patient.map(|axis| map.axis[axis]);
        let shape = geometry.shape;
        let strides = [1, shape[0], shape[0] * shape[1]];
        let (mut start, mut steps) = (0, [0; 2]);
        for n in 0..2 {
            let (axis, backwards) = (axes[n], map.flip[patient[n]] != against[n]);
            steps[n] = if backwards { -(strides[axis] as isize) } else { strides[axis] as isize };
            start += if backwards { (shape[axis] - 1) * strides[axis] } else { 0 };
        }
        Frame {
            size: [shape[axes[0]], shape[axes[1]]],
            spacing: [geometry.spacing[axes[0]], geometry.spacing[axes[1]]],
            planes: shape[axes[2]],
            start,
            steps,
            plane_step: strides[axes[2]],
        }
    }

    /// Millimetres across and down.
    pub fn extent(&self) -> [f64; 2] {
        [0, 1].map(|n| self.size[n] as f64 * self.spacing[n])
    }

    /// The values of a plane, row by row.
    pub fn cut<T>(&self, plane: usize, value: impl Fn(usize) -> T) -> Vec<T> {
        let first = self.start + plane * self.plane_step;
        let index = |x: usize, y: usize| {
            (first as isize + x as isize * self.steps[0] + y as isize * self.steps[1]) as usize
        };
        let [width, height] = self.size;
        (0..width * height).map(|n| value(index(n % width, n / width))).collect()
    }

    /// The plane with the most voxels for which `wanted` holds; the middle one when there are none.
    pub fn fullest(&self, wanted: impl Fn(usize) -> bool) -> usize {
        let area = |plane| self.cut(plane, &wanted).into_iter().filter(|&inside| inside).count();
        let areas: Vec<usize> = (0..self.planes).map(area).collect();
        let most = areas.iter().copied().max().unwrap_or(0);
        let best: Vec<usize> = (0..self.planes).filter(|&plane| areas[plane] == most).collect();
        if most == 0 { self.planes / 2 } else { best[best.len() / 2] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A volume whose value says where a voxel lies in the patient: left, back, head.
    fn position(geometry: &Geometry, index: usize) -> [f64; 3] {
        let [a, b, _] = geometry.shape;
        let voxel = [index % a, index / a % b, index / (a * b)];
        std::array::from_fn(|row| {
            let along = |n: usize| geometry.direction[row][n] * voxel[n] as f64 * geometry.spacing[n];
            (0..3).map(along).sum::<f64>()
        })
    }

    #[test]
    fn all_orientations_look_the_same_way() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            for signs in 0..8 {
                let mut geometry = Geometry::with_shape([3, 4, 5]);
                geometry.spacing = [1.0, 2.0, 3.0];
                geometry.direction = [[0.0; 3]; 3];
                for (axis, row) in order.into_iter().enumerate() {
                    geometry.direction[row][axis] = if signs >> axis & 1 == 1 { -1.0 } else { 1.0 };
                }
                // Coordinates that grow to the right and downwards: left, back, foot.
                for (view, [x, y]) in View::ALL.into_iter().zip([[0, 1], [0, 2], [1, 2]]) {
                    let frame = Frame::new(view, &geometry);
                    let plane = frame.cut(1, |index| position(&geometry, index));
                    let [width, height] = frame.size;
                    assert_eq!(plane.len(), width * height);
                    let down = if y == 2 { -1.0 } else { 1.0 };
                    assert_eq!(plane[1][x] - plane[0][x], frame.spacing[0], "{view:?} {geometry:?}");
                    assert_eq!(
                        plane[width][y] - plane[0][y],
                        down * frame.spacing[1],
                        "{view:?} {geometry:?}"
                    );
                    let across = 3 - x - y;
                    assert!(plane.iter().all(|position| position[across] == plane[0][across]));
                }
            }
        }
    }

    #[test]
    fn the_fullest_plane() {
        let geometry = Geometry::with_shape([3, 3, 9]);
        let frame = Frame::new(View::Axial, &geometry);
        assert_eq!(frame.fullest(|_| false), 4);
        assert_eq!(frame.fullest(|index| index / 9 == 7), 7);
    }
}
