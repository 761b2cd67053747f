//! The singular value decomposition of 3×3 matrices in single precision, as LINPACK computes it (Dongarra, Bunch, Moler
//! and Stewart, LINPACK Users' Guide, 1979, chapter 11): Householder bidiagonalisation, then implicitly shifted QR
//! steps. Where singular values coincide the vectors aren't unique, and ITK's choice of a NIfTI transform follows from
//! the ones that this algorithm finds.

/// Rows of a matrix.
pub(super) type Matrix = [[f32; 3]; 3];

const N: usize = 3;
/// LINPACK's own bound.
const MOST_STEPS: usize = 30;

/// Left singular vectors as columns, and singular values in descending order; `None` when the steps don't end.
pub(super) fn left(matrix: Matrix) -> Option<(Matrix, [f32; N])> {
    let mut work = Work { x: matrix, u: [[0.0; N]; N], s: [0.0; N], e: [0.0; N] };
    work.bidiagonalise();
    work.generate();
    work.iterate()?;
    Some((work.u, work.s))
}

struct Work {
    x: Matrix,
    u: Matrix,
    /// The diagonal, then the singular values.
    s: [f32; N],
    /// What lies above the diagonal.
    e: [f32; N],
}

fn norm(values: impl Iterator<Item = f32>) -> f32 {
    values.map(|value| value * value).sum::<f32>().sqrt()
}

impl Work {
    fn bidiagonalise(&mut self) {
        for l in 0..N {
            if l < N - 1 {
                self.s[l] = norm((l..N).map(|i| self.x[i][l]));
                if self.s[l] != 0.0 {
                    if self.x[l][l] != 0.0 {
                        self.s[l] = self.s[l].copysign(self.x[l][l]);
                    }
                    let scale = 1.0 / self.s[l];
                    (l..N).for_each(|i| self.x[i][l] *= scale);
                    self.x[l][l] += 1.0;
                }
                self.s[l] = -self.s[l];
            }
            for j in l + 1..N {
                if l < N - 1 && self.s[l] != 0.0 {
                    let dot: f32 = (l..N).map(|i| self.x[i][l] * self.x[i][j]).sum();
                    let t = -dot / self.x[l][l];
                    (l..N).for_each(|i| self.x[i][j] += t * self.x[i][l]);
                }
                self.e[j] = self.x[l][j];
            }
            if l < N - 1 {
                (l..N).for_each(|i| self.u[i][l] = self.x[i][l]);
            }
            if l + 2 < N {
                self.reflect_row(l);
            }
        }
        self.s[N - 1] = self.x[N - 1][N - 1];
        self.e[N - 2] = self.x[N - 2][N - 1];
        self.e[N - 1] = 0.0;
    }

    /// The l-th row's transformation, from the right.
    fn reflect_row(&mut self, l: usize) {
        self.e[l] = norm((l + 1..N).map(|i| self.e[i]));
        if self.e[l] != 0.0 {
            if self.e[l + 1] != 0.0 {
                self.e[l] = self.e[l].copysign(self.e[l + 1]);
            }
            let scale = 1.0 / self.e[l];
            (l + 1..N).for_each(|i| self.e[i] *= scale);
            self.e[l + 1] += 1.0;
        }
        self.e[l] = -self.e[l];
        if self.e[l] == 0.0 {
            return;
        }
        let mut work = [0.0; N];
        for j in l + 1..N {
            (l + 1..N).for_each(|i| work[i] += self.e[j] * self.x[i][j]);
        }
        for j in l + 1..N {
            let t = -self.e[j] / self.e[l + 1];
            (l + 1..N).for_each(|i| self.x[i][j] += t * work[i]);
        }
    }

    /// The left vectors from the reflections.
    fn generate(&mut self) {
        for i in 0..N {
            self.u[i][N - 1] = if i == N - 1 { 1.0 } else { 0.0 };
        }
        for l in (0..N - 1).rev() {
            if self.s[l] == 0.0 {
                (0..N).for_each(|i| self.u[i][l] = if i == l { 1.0 } else { 0.0 });
                continue;
            }
            for j in l + 1..N {
                let dot: f32 = (l..N).map(|i| self.u[i][l] * self.u[i][j]).sum();
                let t = -dot / self.u[l][l];
                (l..N).for_each(|i| self.u[i][j] += t * self.u[i][l]);
            }
            (l..N).for_each(|i| self.u[i][l] = -self.u[i][l]);
            self.u[l][l] += 1.0;
            (0..l).for_each(|i| self.u[i][l] = 0.0);
        }
    }

    fn rotate(&mut self, a: usize, b: usize, [c, s]: [f32; 2]) {
        for row in &mut self.u {
            let t = c * row[a] + s * row[b];
            row[b] = c * row[b] - s * row[a];
            row[a] = t;
        }
    }

    fn iterate(&mut self) -> Option<()> {
        let mut size = N;
        let mut steps = 0;
        while size > 0 {
            if steps == MOST_STEPS {
                return None;
            }
            // The last row from which on nothing lies above the diagonal.
            let mut l = size - 1;
            while l > 0 {
                let test = self.s[l - 1].abs() + self.s[l].abs();
                if test + self.e[l - 1].abs() == test {
                    self.e[l - 1] = 0.0;
                    break;
                }
                l -= 1;
            }
            if l == size - 1 {
                self.sort(size - 1);
                size -= 1;
                steps = 0;
                continue;
            }
            // A diagonal entry of nothing within the block.
            let zero = (l..size).rev().find(|&at| {
                let right = if at < size - 1 { self.e[at].abs() } else { 0.0 };
                let left = if at > l { self.e[at - 1].abs() } else { 0.0 };
                right + left + self.s[at].abs() == right + left
            });
            match zero {
                None => {
                    self.step(l, size);
                    steps += 1;
                }
                Some(at) => {
                    self.s[at] = 0.0;
                    if at == size - 1 { self.deflate_last(l, size) } else { self.split(at + 1, size) }
                }
            }
        }
        Some(())
    }

    fn deflate_last(&mut self, l: usize, size: usize) {
        let mut f = std::mem::take(&mut self.e[size - 2]);
        for k in (l..size - 1).rev() {
            let (r, [c, s]) = givens(self.s[k], f);
            self.s[k] = r;
            if k != l {
                f = -s * self.e[k - 1];
                self.e[k - 1] *= c;
            }
        }
    }

    fn split(&mut self, l: usize, size: usize) {
        let mut f = std::mem::take(&mut self.e[l - 1]);
        for k in l..size {
            let (r, [c, s]) = givens(self.s[k], f);
            self.s[k] = r;
            f = -s * self.e[k];
            self.e[k] *= c;
            self.rotate(k, l - 1, [c, s]);
        }
    }

    /// One QR step with a shift.
    fn step(&mut self, l: usize, size: usize) {
        let last = size - 1;
        let scale = [self.s[last], self.s[last - 1], self.e[last - 1], self.s[l], self.e[l]]
            .into_iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        let sm = self.s[last] / scale;
        let smm1 = self.s[last - 1] / scale;
        let emm1 = self.e[last - 1] / scale;
        let sl = self.s[l] / scale;
        let el = self.e[l] / scale;
        let b = ((smm1 + sm) * (smm1 - sm) + emm1 * emm1) / 2.0;
        let c = (sm * emm1) * (sm * emm1);
        let mut shift = 0.0;
        if b != 0.0 || c != 0.0 {
            shift = (b * b + c).sqrt().copysign(b);
            shift = c / (b + shift);
        }
        let mut f = (sl + sm) * (sl - sm) + shift;
        let mut g = sl * el;
        for k in l..last {
            let (r, [c, s]) = givens(f, g);
            if k != l {
                self.e[k - 1] = r;
            }
            f = c * self.s[k] + s * self.e[k];
            self.e[k] = c * self.e[k] - s * self.s[k];
            g = s * self.s[k + 1];
            self.s[k + 1] *= c;
            let (r, [c, s]) = givens(f, g);
            self.s[k] = r;
            f = c * self.e[k] + s * self.s[k + 1];
            self.s[k + 1] = -s * self.e[k] + c * self.s[k + 1];
            g = s * self.e[k + 1];
            self.e[k + 1] *= c;
            self.rotate(k, k + 1, [c, s]);
        }
        self.e[last - 1] = f;
    }

    /// A singular value that is found goes to its place.
    fn sort(&mut self, mut at: usize) {
        if self.s[at] < 0.0 {
            self.s[at] = -self.s[at];
        }
        while at < N - 1 && self.s[at] < self.s[at + 1] {
            self.s.swap(at, at + 1);
            self.u.iter_mut().for_each(|row| row.swap(at, at + 1));
            at += 1;
        }
    }
}

/// BLAS's `srotg`: the length, and the rotation that turns (a, b) onto the first axis.
fn givens(a: f32, b: f32) -> (f32, [f32; 2]) {
    let rho = if a.abs() > b.abs() { a } else { b };
    let scale = a.abs() + b.abs();
    if scale == 0.0 {
        return (0.0, [1.0, 0.0]);
    }
    let r = scale * ((a / scale).powi(2) + (b / scale).powi(2)).sqrt();
    let r = r * 1.0_f32.copysign(rho);
    (r, [a / r, b / r])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_vectors_are_those_of_the_matrix() {
        let matrix = [[0.3, -2.0, 0.9], [1.4, 0.2, -0.7], [0.1, 0.5, 2.5]];
        let (u, s) = left(matrix).unwrap();
        assert!(s[0] >= s[1] && s[1] >= s[2] && s[2] > 0.0, "{s:?}");
        for (a, value) in s.into_iter().enumerate() {
            for b in 0..3 {
                // UᵀM has rows as long as the singular values, at right angles.
                let row = |n: usize| [0, 1, 2].map(|j| (0..3).map(|i| u[i][n] * matrix[i][j]).sum::<f32>());
                let product: f32 = row(a).iter().zip(row(b)).map(|(x, y)| x * y).sum();
                let expected = if a == b { value * value } else { 0.0 };
                assert!((product - expected).abs() < 1e-5, "{a} {b}: {product} {expected}");
            }
        }
    }

    #[test]
    fn signs_of_a_diagonal_do_not_show_on_the_left() {
        let (plain, _) = left([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]]).unwrap();
        let (turned, _) = left([[-3.0, 0.0, 0.0], [0.0, -3.0, 0.0], [0.0, 0.0, 3.0]]).unwrap();
        assert_eq!(plain.map(|row| row.map(f32::abs)), turned.map(|row| row.map(f32::abs)));
    }
}
