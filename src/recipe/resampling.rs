//! nnU-Net's changes of a grid's spacing.

use crate::error::{Error, Result};

/// The largest ratio of voxel sizes at which an image is still resampled in all axes at once.
const ANISOTROPY: f64 = 3.0;

/// Change of the grid's spacing, and back.
#[derive(Clone, Debug, PartialEq)]
pub struct Resample {
    /// The network's spacing in millimetres along its axes; `None` keeps the volume's.
    pub spacing: [Option<f64>; 3],
    /// How images are resampled.
    pub image: Resampler,
    /// How class scores are resampled on the way back.
    pub scores: Resampler,
    /// How labels of a previous stage are resampled.
    pub labels: Resampler,
}

/// nnU-Net's ways to change a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resampler {
    /// `resample_data_or_seg_to_shape`: splines on the grid of pixel areas.
    Spline(Spline),
    /// `resample_torch_fornnunet`: PyTorch's linear interpolation in single precision.
    Torch {
        /// As for splines; the separate axis is resampled to the nearest.
        separate: Option<bool>,
        /// For labels: its memory-saving variant, which decides by one half and not by the best.
        memory_efficient: bool,
    },
    /// `no_resampling_hack`: the grid stays.
    None,
}

/// Splines, coarse axes apart from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spline {
    /// Their orders.
    pub orders: Orders,
    /// Whether the coarsest axis is resampled by itself; `None`: when it is over three times coarser.
    pub separate: Option<bool>,
}

/// Spline orders: 0 nearest, 1 linear, 3 cubic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orders {
    /// In all axes or, where one is resampled apart, within its slices.
    pub order: u8,
    /// Along the axis that is resampled apart.
    pub order_z: u8,
}

impl Resample {
    /// The network's spacing for an image of `spacing`.
    pub fn target(&self, spacing: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|axis| self.spacing[axis].unwrap_or(spacing[axis]))
    }

    /// Shape of an image after this step.
    pub fn shape(&self, shape: [usize; 3], spacing: [f64; 3]) -> [usize; 3] {
        match self.image {
            Resampler::None => shape,
            _ => resampled_shape(shape, spacing, self.target(spacing)),
        }
    }
}

impl Resampler {
    /// The axis that is resampled by itself on the way from one spacing to another.
    pub fn separate_axis(&self, from: [f64; 3], to: [f64; 3]) -> Option<usize> {
        match self {
            Resampler::Spline(Spline { separate, .. }) | Resampler::Torch { separate, .. } => {
                separate_axis(from, to, *separate)
            }
            Resampler::None => None,
        }
    }
}

impl Spline {
    /// Orders in all axes and along an axis that is resampled apart.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for orders that aren't implemented.
    pub fn new(order: u8, order_z: u8, separate: Option<bool>) -> Result<Self> {
        Ok(Spline { orders: Orders::new(order, order_z)?, separate })
    }
}

impl Orders {
    /// Checks that both orders are implemented.
    pub fn new(order: u8, order_z: u8) -> Result<Orders> {
        match [order, order_z].into_iter().find(|order| ![0, 1, 3].contains(order)) {
            Some(order) => {
                Err(Error::unsupported(format!("resampling of order {order}, supported are 0, 1 and 3")))
            }
            None => Ok(Orders { order, order_z }),
        }
    }
}

/// The shape after resampling from `spacing` to `target` (both in the same unit, in the order of `shape`).
///
/// Halves are rounded to even.
pub fn resampled_shape(shape: [usize; 3], spacing: [f64; 3], target: [f64; 3]) -> [usize; 3] {
    [0, 1, 2].map(|axis| (spacing[axis] / target[axis] * shape[axis] as f64).round_ties_even() as usize)
}

/// The axis that is resampled apart from the other two, if any.
///
/// `force` is the model's explicit choice. Without one, the axis is split off when the voxels of the current
/// grid, or else those of the new grid, are more than three times longer one way than another. No axis is
/// split off when two share the largest spacing.
pub fn separate_axis(current: [f64; 3], new: [f64; 3], force: Option<bool>) -> Option<usize> {
    let largest = |spacing: [f64; 3]| spacing.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let smallest = |spacing: [f64; 3]| spacing.into_iter().fold(f64::INFINITY, f64::min);
    let anisotropic = |spacing: &[f64; 3]| largest(*spacing) / smallest(*spacing) > ANISOTROPY;
    let spacing = match force {
        Some(false) => None,
        Some(true) => Some(current),
        None => [current, new].into_iter().find(anisotropic),
    }?;
    let mut coarse = (0..3).filter(|&axis| largest(spacing) / spacing[axis] == 1.0);
    coarse.next().filter(|_| coarse.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_round_half_to_even() {
        assert_eq!(resampled_shape([5, 7, 10], [0.5, 0.5, 3.0], [1.0, 1.0, 1.5]), [2, 4, 20]);
    }

    #[test]
    fn axis_is_split_off_when_anisotropic() {
        let even = [1.0; 3];
        assert_eq!(separate_axis([3.0, 1.0, 1.0], even, None), None);
        assert_eq!(separate_axis([3.1, 1.0, 1.0], even, None), Some(0));
        assert_eq!(separate_axis(even, [1.0, 1.0, 5.0], None), Some(2));
        assert_eq!(separate_axis([5.0, 5.0, 1.0], [1.0, 1.0, 5.0], None), None);
        assert_eq!(separate_axis([1.0, 2.0, 1.5], even, Some(true)), Some(1));
        assert_eq!(separate_axis(even, [9.0, 1.0, 1.0], Some(true)), None);
        assert_eq!(separate_axis([9.0, 1.0, 1.0], even, Some(false)), None);
    }

    #[test]
    fn other_orders_are_refused() {
        assert_eq!(Orders::new(3, 1).unwrap(), Orders { order: 3, order_z: 1 });
        assert!(matches!(Orders::new(2, 0), Err(Error::Unsupported { .. })));
        assert!(matches!(Orders::new(3, 5), Err(Error::Unsupported { .. })));
    }
}
