//! Small matrices in double precision, to the last bit as the libraries behind NumPy and PyTorch compute them:
//! products as OpenBLAS and MKL sum them, LAPACK's factors as OpenBLAS has them for processors with AVX-512.
//!
//! Grids that lie half-way in another are decided by what rounding leaves of such matrices.

use std::array::from_fn;

/// A product. Each sum goes along the inner axis, one fused multiplication and addition after the other.
pub(super) fn product<const N: usize, const K: usize, const M: usize>(
    a: &[[f64; K]; N],
    b: &[[f64; M]; K],
) -> [[f64; M]; N] {
    from_fn(|row| from_fn(|column| (0..K).fold(0.0, |sum, at| a[row][at].mul_add(b[at][column], sum))))
}

/// The product of a 3×3 matrix with a vector, whose second term comes first.
pub(super) fn times(matrix: &[[f64; 3]; 3], vector: &[f64; 3]) -> [f64; 3] {
    matrix.map(|row| row[2].mul_add(vector[2], row[0].mul_add(vector[0], row[1] * vector[1])))
}

pub(super) fn transposed<const N: usize>(matrix: &[[f64; N]; N]) -> [[f64; N]; N] {
    from_fn(|row| from_fn(|column| matrix[column][row]))
}

pub(super) fn identity<const N: usize>() -> [[f64; N]; N] {
    from_fn(|row| from_fn(|column| if row == column { 1.0 } else { 0.0 }))
}

/// The lower triangle whose product with its transpose is this symmetric matrix; `None` if it isn't positive definite.
pub(super) fn cholesky<const N: usize>(matrix: &[[f64; N]; N]) -> Option<[[f64; N]; N]> {
    let mut lower = [[0.0_f64; N]; N];
    for column in 0..N {
        let known =
            |row: usize| (0..column).fold(0.0, |sum, at| lower[row][at].mul_add(lower[column][at], sum));
        let left: [f64; N] = from_fn(|row| if row < column { 0.0 } else { matrix[row][column] - known(row) });
        if left[column].is_nan() || left[column] <= 0.0 {
            return None;
        }
        let side = left[column].sqrt();
        for row in column..N {
            lower[row][column] = if row == column { side } else { left[row] * (1.0 / side) };
        }
    }
    Some(lower)
}

/// The `x` of `matrix · x = right`, by Gaussian elimination with pivots; `None` for a singular matrix.
pub(super) fn solve<const N: usize, const M: usize>(
    mut matrix: [[f64; N]; N],
    right: &[[f64; M]; N],
) -> Option<[[f64; M]; N]> {
    let mut x = *right;
    // Columns are reduced by all the columns before at once, when their turn comes.
    for column in 0..N {
        for row in 1..N {
            let known = row.min(column);
            let sum = (0..known).fold(0.0, |sum, at| matrix[row][at].mul_add(matrix[at][column], sum));
            matrix[row][column] -= sum;
        }
        let mut pivot = column;
        for row in column + 1..N {
            if matrix[row][column].abs() > matrix[pivot][column].abs() {
                pivot = row;
            }
        }
        matrix.swap(column, pivot);
        x.swap(column, pivot);
        let reciprocal = 1.0 / matrix[column][column];
        if !reciprocal.is_finite() {
            return None;
        }
        for row in &mut matrix[column + 1..] {
            row[column] *= reciprocal;
        }
    }
    // Here each row, once it is known, is taken out of all the others.
    for row in 0..N {
        let known = x[row];
        for below in row + 1..N {
            x[below] = from_fn(|column| (-matrix[below][row]).mul_add(known[column], x[below][column]));
        }
    }
    for row in (0..N).rev() {
        let known = x[row].map(|value| value * (1.0 / matrix[row][row]));
        x[row] = known;
        for above in 0..row {
            x[above] = from_fn(|column| (-matrix[above][row]).mul_add(known[column], x[above][column]));
        }
    }
    Some(x)
}
