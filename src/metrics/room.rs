//! Memory that grows with a caller's map: a lack of it is an error that names the map.

use crate::buffer;
use crate::error::Result;

/// So many zeros for each voxel of a box of a volume, which is the argument of that name.
pub(super) fn zeros<T: Clone + Default>(shape: &[usize], argument: &str) -> Result<Vec<T>> {
    let count = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    buffer::filled(&format!("`{argument}`"), count.unwrap_or(usize::MAX), T::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_memory_holds_is_an_error() {
        assert_eq!(zeros::<u32>(&[2, 3], "labels").unwrap(), [0; 6]);
        for shape in [[1 << 61, 1], [1 << 62, 4], [1 << 30, 1 << 30]] {
            let error = zeros::<u32>(&shape, "labels").unwrap_err();
            assert_eq!(error.status(), 406);
            assert!(error.to_string().contains("`labels`"), "{error}");
        }
    }
}
