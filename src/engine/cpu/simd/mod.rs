//! Sixteen numbers at a time, whatever the machine's registers hold: kernels are written once over [`Simd`] and
//! compiled for each instruction set, which is chosen at run time.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use crate::error::{Error, Result};

pub(super) use crate::engine::lowering::LANES;

/// Instruction sets that kernels are compiled for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isa {
    /// The widest that the machine has.
    #[default]
    Auto,
    /// AVX-512 Foundation (x86-64).
    Avx512,
    /// AVX2 and FMA (x86-64).
    Avx2,
    /// Advanced SIMD (AArch64).
    Neon,
    /// Plain code for any processor.
    Portable,
}

impl Isa {
    /// All of them, the widest first.
    pub const ALL: [Isa; 4] = [Isa::Avx512, Isa::Avx2, Isa::Neon, Isa::Portable];

    /// Its name, as the tool takes it.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Auto => "auto",
            Isa::Avx512 => "avx512",
            Isa::Avx2 => "avx2",
            Isa::Neon => "neon",
            Isa::Portable => "portable",
        }
    }

    /// Whether this machine can run it.
    pub fn available(self) -> bool {
        match self {
            Isa::Auto | Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            _ => false,
        }
    }

    /// The one that runs: the widest for [`Isa::Auto`].
    ///
    /// # Errors
    /// [`Error::Device`] for one that this machine lacks.
    pub(super) fn resolve(self) -> Result<Isa> {
        match self {
            Isa::Auto => Ok(widest()),
            isa if isa.available() => Ok(isa),
            isa => Err(Error::Device {
                device: "cpu".into(),
                reason: format!("the machine lacks the instructions {}", isa.name()),
            }),
        }
    }

    /// Blocks of output channels, and columns, that a matrix kernel holds in registers.
    pub(super) fn panel_blocks(self) -> usize {
        match self {
            Isa::Avx512 => 2,
            _ => 1,
        }
    }
}

/// The widest instructions that this machine has.
pub fn widest() -> Isa {
    Isa::ALL.into_iter().find(|isa| isa.available()).unwrap_or(Isa::Portable)
}

/// Operations on sixteen numbers.
///
/// # Safety
/// All methods may only be called where the implementing instruction set exists, and must be inlined into a function
/// that has it enabled. Pointers must be good for sixteen numbers; they needn't be aligned.
pub(super) trait Simd: Copy + Sized {
    /// Sixteen numbers.
    type V: Copy;
    /// Columns of a matrix kernel.
    const COLUMNS: usize;

    unsafe fn zero() -> Self::V;
    unsafe fn splat(value: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, value: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// a · b + c.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// c − a · b.
    unsafe fn fnma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;

    /// Turns sixteen rows, `step` floats apart, into columns: `to[lane · to_step + row]`.
    #[inline(always)]
    unsafe fn transpose(from: *const f32, step: usize, to: *mut f32, to_step: usize, lanes: usize) {
        for lane in 0..lanes {
            for row in 0..LANES {
                // SAFETY: within the rows and columns that the caller states.
                unsafe { *to.add(lane * to_step + row) = *from.add(row * step + lane) };
            }
        }
    }

    /// Asks for a cache line that will be read soon; any address will do.
    #[inline(always)]
    fn prefetch(_: *const f32) {}
}

/// Work that is compiled for each instruction set.
pub(super) trait Kernel {
    /// # Safety
    /// As [`Simd`]; implementations are `#[inline(always)]`, as is all that they call with an `S`.
    unsafe fn run<S: Simd>(self);
}

/// Runs a kernel with an instruction set that the machine has.
pub(super) fn dispatch<K: Kernel>(isa: Isa, kernel: K) {
    debug_assert!(isa.available());
    // SAFETY: an `Isa` of a program has gone through `Isa::resolve`, so the machine has these instructions.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::enter(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::enter(kernel),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => neon::enter(kernel),
            _ => kernel.run::<portable::Portable>(),
        }
    }
}
