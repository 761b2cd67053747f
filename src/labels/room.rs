//! Memory that grows with a caller's map: a lack of it is an error.

use crate::error::{Error, Result};

/// So many zeros for each voxel of a box of a volume, which is the argument of that name.
pub(super) fn zeros<T: Clone + Default>(shape: &[usize], argument: &str) -> Result<Vec<T>> {
    let count = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    let mut values = Vec::new();
    match count {
        Some(count) if values.try_reserve_exact(count).is_ok() => {
            values.resize(count, T::default());
            Ok(values)
        }
        _ => {
            let found = format!("{shape:?} voxels of {} bytes at once", size_of::<T>());
            Err(Error::argument(format!("{argument}.shape"), found, "what fits into memory"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_memory_holds_is_an_error() {
        assert_eq!(zeros::<u32>(&[2, 3], "labels").unwrap(), [0; 6]);
        for shape in [[1 << 61, 1], [1 << 62, 4], [1 << 30, 1 << 30]] {
            let error = zeros::<u32>(&shape, "labels").unwrap_err();
            assert_eq!(error.status(), 101);
            assert!(error.to_string().contains("labels.shape"), "{error}");
        }
    }
}
