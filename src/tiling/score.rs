//! The types that class scores are kept in: half precision as nnU-Net keeps them, single as MONAI does.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// A number that holds a class score. Arithmetic is done in single precision.
pub trait Score: Copy + Default + PartialEq + Send + Sync + std::fmt::Debug + 'static {
    /// Whether it is half precision.
    const HALF: bool;
    /// From single precision, to the nearest.
    fn from_f32(value: f32) -> Self;
    /// To single precision, exactly.
    fn to_f32(self) -> f32;
    /// Widens `values` into `wide`, of the same length.
    fn widen(values: &[Self], wide: &mut [f32]);
    /// Rounds `wide` into `values`, of the same length.
    fn narrow(wide: &[f32], values: &mut [Self]);
    /// Lets `change` work on the widened `values`, which are rounded afterwards; `wide` is room for them.
    ///
    /// For one addition or division of halves this gives the correctly rounded result, since single precision
    /// has more than twice as many digits.
    fn update(values: &mut [Self], wide: &mut [f32], change: impl FnOnce(&mut [f32])) {
        Self::widen(values, wide);
        change(wide);
        Self::narrow(wide, values);
    }
}

impl Score for f16 {
    const HALF: bool = true;

    fn from_f32(value: f32) -> Self {
        f16::from_f32(value)
    }

    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }

    fn widen(values: &[Self], wide: &mut [f32]) {
        values.convert_to_f32_slice(wide);
    }

    fn narrow(wide: &[f32], values: &mut [Self]) {
        values.convert_from_f32_slice(wide);
    }
}

impl Score for f32 {
    const HALF: bool = false;

    fn from_f32(value: f32) -> Self {
        value
    }

    fn to_f32(self) -> f32 {
        self
    }

    fn widen(values: &[Self], wide: &mut [f32]) {
        wide.copy_from_slice(values);
    }

    fn narrow(wide: &[f32], values: &mut [Self]) {
        values.copy_from_slice(wide);
    }

    fn update(values: &mut [Self], _wide: &mut [f32], change: impl FnOnce(&mut [f32])) {
        change(values);
    }
}
