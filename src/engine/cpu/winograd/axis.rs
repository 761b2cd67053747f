//! Minimal filtering along one axis: m results of a short convolution from m + r − 1 products in place of m · r
//! (Winograd, "Arithmetic Complexity of Computations", 1980; as convolution layers: Lavin and Gray, 2016).
//!
//! The construction is that of Toom and Cook: results are interpolated from products at points a₀, a₁, … and ∞. With
//! Nⱼ = Π over l ≠ j of (aⱼ − a_l), the kernel's transform G has rows [1, aⱼ, aⱼ², …] / Nⱼ and at last [0, …, 1]; the
//! image's transform Bᵀ has as rows the coefficients of Π over l ≠ j of (x − a_l), and at last of Π of (x − a_l); the
//! results' transform Aᵀ has columns [1, aⱼ, aⱼ², …] and at last [0, …, 1]. Then y = Aᵀ[(G g) · (Bᵀ d)]. Signs may be
//! moved between G and Bᵀ.
//!
//! A kernel of three with stride two takes its even samples with the middle weight, one product each, and its odd ones
//! with the outer two, which is a filter of two weights.

use super::super::program::Load;
use super::super::simd::Simd;

/// An algorithm for an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Axis {
    /// Kernel 1, stride 1: nothing to do.
    One,
    /// Kernel 3, stride 1, two results: points 0, 1, −1, ∞.
    F23,
    /// Kernel 3, stride 1, four results: points 0, 1, −1, 2, −2, ∞.
    F43,
    /// Kernel 3, stride 2, two results: the odd samples at points 0, 1, ∞.
    S22,
    /// Kernel 3, stride 2, four results: the odd samples at points 0, 1, −1, 2, ∞.
    S42,
}

impl Axis {
    /// Products, and image samples, of a tile.
    #[inline(always)]
    pub(in super::super) fn points(self) -> usize {
        match self {
            Axis::One => 1,
            Axis::F23 => 4,
            Axis::F43 => 6,
            Axis::S22 => 5,
            Axis::S42 => 9,
        }
    }

    /// Results of a tile.
    #[inline(always)]
    pub(in super::super) fn results(self) -> usize {
        match self {
            Axis::One => 1,
            Axis::F23 | Axis::S22 => 2,
            Axis::F43 | Axis::S42 => 4,
        }
    }

    /// Distance between the tiles' image samples.
    #[inline(always)]
    pub(in super::super) fn step(self) -> usize {
        match self {
            Axis::S22 | Axis::S42 => 2 * self.results(),
            _ => self.results(),
        }
    }

    /// Samples before the first result's.
    #[inline(always)]
    pub(in super::super) fn padding(self) -> usize {
        usize::from(self != Axis::One)
    }

    /// Weights of the kernel.
    pub(in super::super) fn weights(self) -> usize {
        if self == Axis::One { 1 } else { 3 }
    }

    /// G, as rows of up to three.
    pub(in super::super) fn kernel(self) -> &'static [[f64; 3]] {
        match self {
            Axis::One => &[[1.0, 0.0, 0.0]],
            Axis::F23 => &[[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]],
            Axis::F43 => {
                const SIXTH: f64 = 1.0 / 6.0;
                &[
                    [0.25, 0.0, 0.0],
                    [-SIXTH, -SIXTH, -SIXTH],
                    [-SIXTH, SIXTH, -SIXTH],
                    [SIXTH / 4.0, SIXTH / 2.0, SIXTH],
                    [SIXTH / 4.0, -SIXTH / 2.0, SIXTH],
                    [0.0, 0.0, 1.0],
                ]
            }
            Axis::S22 => {
                &[[1.0, 0.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
            }
            Axis::S42 => {
                const SIXTH: f64 = 1.0 / 6.0;
                &[
                    [0.5, 0.0, 0.0],
                    [-0.5, 0.0, -0.5],
                    [-SIXTH, 0.0, SIXTH],
                    [SIXTH, 0.0, 2.0 * SIXTH],
                    [0.0, 0.0, 1.0],
                    [0.0, 1.0, 0.0],
                    [0.0, 1.0, 0.0],
                    [0.0, 1.0, 0.0],
                    [0.0, 1.0, 0.0],
                ]
            }
        }
    }
}

/// The transforms of an [`Axis`] on sixteen channels at once. Reads may lie where writes go.
///
/// # Safety
/// As [`Simd`]; pointers are good for the axis's samples, products or results, `step` floats apart.
pub(super) trait Filter {
    /// Bᵀ: samples to factors.
    unsafe fn image<S: Simd, L: Load<S>>(
        load: L,
        from: *const f32,
        step: usize,
        to: *mut f32,
        to_step: usize,
    );
    /// Aᵀ: products to results.
    unsafe fn results<S: Simd>(from: *const f32, step: usize, to: *mut f32, to_step: usize);
}

pub(super) struct One;
pub(super) struct F23;
pub(super) struct F43;
pub(super) struct S22;
pub(super) struct S42;

// Every method's requirement is that of the trait.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Filter for One {
    #[inline(always)]
    unsafe fn image<S: Simd, L: Load<S>>(load: L, from: *const f32, _: usize, to: *mut f32, _: usize) {
        unsafe { S::store(to, load.get(from)) }
    }

    #[inline(always)]
    unsafe fn results<S: Simd>(from: *const f32, _: usize, to: *mut f32, _: usize) {
        unsafe { S::store(to, S::load(from)) }
    }
}

// As above.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Filter for F23 {
    #[inline(always)]
    unsafe fn image<S: Simd, L: Load<S>>(
        load: L,
        from: *const f32,
        step: usize,
        to: *mut f32,
        to_step: usize,
    ) {
        unsafe {
            let (a, b) = (load.get(from), load.get(from.add(step)));
            let (c, d) = (load.get(from.add(2 * step)), load.get(from.add(3 * step)));
            S::store(to, S::sub(a, c));
            S::store(to.add(to_step), S::add(b, c));
            S::store(to.add(2 * to_step), S::sub(c, b));
            S::store(to.add(3 * to_step), S::sub(d, b));
        }
    }

    #[inline(always)]
    unsafe fn results<S: Simd>(from: *const f32, step: usize, to: *mut f32, to_step: usize) {
        unsafe {
            let (a, b) = (S::load(from), S::load(from.add(step)));
            let (c, d) = (S::load(from.add(2 * step)), S::load(from.add(3 * step)));
            S::store(to, S::add(a, S::add(b, c)));
            S::store(to.add(to_step), S::add(S::sub(b, c), d));
        }
    }
}

// As above.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Filter for F43 {
    /// Rows of Bᵀ: [4, 0, −5, 0, 1, 0], [0, −4, −4, 1, 1, 0], [0, 4, −4, −1, 1, 0], [0, −2, −1, 2, 1, 0],
    /// [0, 2, −1, −2, 1, 0], [0, 4, 0, −5, 0, 1].
    #[inline(always)]
    unsafe fn image<S: Simd, L: Load<S>>(
        load: L,
        from: *const f32,
        step: usize,
        to: *mut f32,
        to_step: usize,
    ) {
        unsafe {
            let (a, b, c) = (load.get(from), load.get(from.add(step)), load.get(from.add(2 * step)));
            let (d, e) = (load.get(from.add(3 * step)), load.get(from.add(4 * step)));
            let f = load.get(from.add(5 * step));
            let (four, five, two) = (S::splat(4.0), S::splat(5.0), S::splat(2.0));
            let (even, odd) = (S::fnma(four, c, e), S::fnma(four, b, d));
            let (outer, inner) = (S::sub(e, c), S::mul(two, S::sub(d, b)));
            S::store(to, S::fma(four, a, S::fnma(five, c, e)));
            S::store(to.add(to_step), S::add(even, odd));
            S::store(to.add(2 * to_step), S::sub(even, odd));
            S::store(to.add(3 * to_step), S::add(outer, inner));
            S::store(to.add(4 * to_step), S::sub(outer, inner));
            S::store(to.add(5 * to_step), S::fma(four, b, S::fnma(five, d, f)));
        }
    }

    /// Rows of Aᵀ: [1, 1, 1, 1, 1, 0], [0, 1, −1, 2, −2, 0], [0, 1, 1, 4, 4, 0], [0, 1, −1, 8, −8, 1].
    #[inline(always)]
    unsafe fn results<S: Simd>(from: *const f32, step: usize, to: *mut f32, to_step: usize) {
        unsafe {
            let (a, b, c) = (S::load(from), S::load(from.add(step)), S::load(from.add(2 * step)));
            let (d, e) = (S::load(from.add(3 * step)), S::load(from.add(4 * step)));
            let f = S::load(from.add(5 * step));
            let (sum, difference) = (S::add(b, c), S::sub(b, c));
            let (far, apart) = (S::add(d, e), S::sub(d, e));
            S::store(to, S::add(a, S::add(sum, far)));
            S::store(to.add(to_step), S::fma(S::splat(2.0), apart, difference));
            S::store(to.add(2 * to_step), S::fma(S::splat(4.0), far, sum));
            S::store(to.add(3 * to_step), S::add(S::fma(S::splat(8.0), apart, difference), f));
        }
    }
}

// As above.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Filter for S22 {
    /// Odd samples a, c, e: [a − c, c, e − c]; then the even ones as they are.
    #[inline(always)]
    unsafe fn image<S: Simd, L: Load<S>>(
        load: L,
        from: *const f32,
        step: usize,
        to: *mut f32,
        to_step: usize,
    ) {
        unsafe {
            let (a, b, c) = (load.get(from), load.get(from.add(step)), load.get(from.add(2 * step)));
            let (d, e) = (load.get(from.add(3 * step)), load.get(from.add(4 * step)));
            S::store(to, S::sub(a, c));
            S::store(to.add(to_step), c);
            S::store(to.add(2 * to_step), S::sub(e, c));
            S::store(to.add(3 * to_step), b);
            S::store(to.add(4 * to_step), d);
        }
    }

    #[inline(always)]
    unsafe fn results<S: Simd>(from: *const f32, step: usize, to: *mut f32, to_step: usize) {
        unsafe {
            let (a, b, c) = (S::load(from), S::load(from.add(step)), S::load(from.add(2 * step)));
            let (d, e) = (S::load(from.add(3 * step)), S::load(from.add(4 * step)));
            S::store(to, S::add(S::add(a, b), d));
            S::store(to.add(to_step), S::add(S::add(b, c), e));
        }
    }
}

// As above.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Filter for S42 {
    /// Rows of Bᵀ for the odd samples: [2, −1, −2, 1, 0], [0, −2, −1, 1, 0], [0, 2, −3, 1, 0], [0, −1, 0, 1, 0],
    /// [0, 2, −1, −2, 1]; then the even ones as they are.
    #[inline(always)]
    unsafe fn image<S: Simd, L: Load<S>>(
        load: L,
        from: *const f32,
        step: usize,
        to: *mut f32,
        to_step: usize,
    ) {
        unsafe {
            let (a, b, c) = (load.get(from), load.get(from.add(2 * step)), load.get(from.add(4 * step)));
            let (d, e) = (load.get(from.add(6 * step)), load.get(from.add(8 * step)));
            let (p, q) = (load.get(from.add(step)), load.get(from.add(3 * step)));
            let (r, s) = (load.get(from.add(5 * step)), load.get(from.add(7 * step)));
            let two = S::splat(2.0);
            let (up, down) = (S::sub(d, b), S::sub(d, c));
            S::store(to, S::fma(two, S::sub(a, c), up));
            S::store(to.add(to_step), S::fnma(two, b, down));
            S::store(to.add(2 * to_step), S::fma(two, S::sub(b, c), down));
            S::store(to.add(3 * to_step), up);
            S::store(to.add(4 * to_step), S::fnma(two, up, S::sub(e, c)));
            S::store(to.add(5 * to_step), p);
            S::store(to.add(6 * to_step), q);
            S::store(to.add(7 * to_step), r);
            S::store(to.add(8 * to_step), s);
        }
    }

    /// Rows of Aᵀ for the odd samples: [1, 1, 1, 1, 0], [0, 1, −1, 2, 0], [0, 1, 1, 4, 0], [0, 1, −1, 8, 1].
    #[inline(always)]
    unsafe fn results<S: Simd>(from: *const f32, step: usize, to: *mut f32, to_step: usize) {
        unsafe {
            let (a, b, c) = (S::load(from), S::load(from.add(step)), S::load(from.add(2 * step)));
            let (d, e) = (S::load(from.add(3 * step)), S::load(from.add(4 * step)));
            let (p, q) = (S::load(from.add(5 * step)), S::load(from.add(6 * step)));
            let (r, s) = (S::load(from.add(7 * step)), S::load(from.add(8 * step)));
            let (sum, difference) = (S::add(b, c), S::sub(b, c));
            S::store(to, S::add(S::add(a, p), S::add(sum, d)));
            S::store(to.add(to_step), S::add(S::fma(S::splat(2.0), d, difference), q));
            S::store(to.add(2 * to_step), S::add(S::fma(S::splat(4.0), d, sum), r));
            S::store(to.add(3 * to_step), S::add(S::fma(S::splat(8.0), d, difference), S::add(e, s)));
        }
    }
}

/// Which filter an axis has, decided once for many lines.
macro_rules! with_filter {
    ($axis:expr, $name:ident => $body:expr) => {
        match $axis {
            Axis::One => {
                type $name = One;
                $body
            }
            Axis::F23 => {
                type $name = F23;
                $body
            }
            Axis::F43 => {
                type $name = F43;
                $body
            }
            Axis::S22 => {
                type $name = S22;
                $body
            }
            Axis::S42 => {
                type $name = S42;
                $body
            }
        }
    };
}
pub(super) use with_filter;
