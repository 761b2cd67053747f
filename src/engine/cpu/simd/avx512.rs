//! One register of AVX-512.

use std::arch::x86_64::*;

use super::{Kernel, Simd};

#[derive(Clone, Copy)]
pub(super) struct Avx512;

/// # Safety
/// The machine has AVX-512F and FMA.
#[target_feature(enable = "avx512f,avx2,fma")]
pub(super) unsafe fn enter<K: Kernel>(kernel: K) {
    // SAFETY: the instructions are enabled here, and the caller says that the machine has them.
    unsafe { kernel.run::<Avx512>() }
}

// Every method's requirement is that of the trait.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Avx512 {
    type V = __m512;
    const COLUMNS: usize = 12;

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: __m512) {
        unsafe { _mm512_storeu_ps(to, value) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn fnma(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, step: usize, to: *mut f32, to_step: usize, lanes: usize) {
        unsafe {
            // Pairs of rows, then fours, within quarters of the registers; then the quarters themselves.
            let mut rows = [_mm512_setzero_ps(); 16];
            for row in 0..16 {
                rows[row] = _mm512_loadu_ps(from.add(row * step));
            }
            let mut fours = rows;
            for first in 0..4 {
                let at = 4 * first;
                let (a, b, c, d) = (rows[at], rows[at + 1], rows[at + 2], rows[at + 3]);
                let (low_ab, high_ab) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
                let (low_cd, high_cd) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
                fours[at] = _mm512_shuffle_ps::<0x44>(low_ab, low_cd);
                fours[at + 1] = _mm512_shuffle_ps::<0xee>(low_ab, low_cd);
                fours[at + 2] = _mm512_shuffle_ps::<0x44>(high_ab, high_cd);
                fours[at + 3] = _mm512_shuffle_ps::<0xee>(high_ab, high_cd);
            }
            let mut columns = rows;
            for at in 0..4 {
                let (a, b, c, d) = (fours[at], fours[4 + at], fours[8 + at], fours[12 + at]);
                let (low_ab, high_ab) =
                    (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
                let (low_cd, high_cd) =
                    (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
                columns[at] = _mm512_shuffle_f32x4::<0x88>(low_ab, low_cd);
                columns[at + 8] = _mm512_shuffle_f32x4::<0xdd>(low_ab, low_cd);
                columns[at + 4] = _mm512_shuffle_f32x4::<0x88>(high_ab, high_cd);
                columns[at + 12] = _mm512_shuffle_f32x4::<0xdd>(high_ab, high_cd);
            }
            for lane in 0..16 {
                if lane < lanes {
                    _mm512_storeu_ps(to.add(lane * to_step), columns[lane]);
                }
            }
        }
    }

    #[inline(always)]
    fn prefetch(from: *const f32) {
        // SAFETY: a prefetch reads nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
}
