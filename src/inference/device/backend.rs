//! Where kernels run and their arrays lie: an NVIDIA GPU, any GPU through Vulkan, or in tests the host with the kernels
//! compiled as C++.

use std::sync::Arc;

use super::arguments::Arguments;
use crate::error::{Error, Result};

/// The kernels of kernels.cu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    Cut,
    Gather,
    CountNotFinite,
    BlendHalf,
    BlendSingle,
    MeanHalf,
    MeanSingle,
    ClearHalf,
    ClearSingle,
    ActivateHalf,
    ActivateSingle,
    RestoreHalf,
    RestoreSingle,
}

impl Kernel {
    /// All of them.
    pub(super) const ALL: [Kernel; 13] = [
        Kernel::Cut,
        Kernel::Gather,
        Kernel::CountNotFinite,
        Kernel::BlendHalf,
        Kernel::BlendSingle,
        Kernel::MeanHalf,
        Kernel::MeanSingle,
        Kernel::ClearHalf,
        Kernel::ClearSingle,
        Kernel::ActivateHalf,
        Kernel::ActivateSingle,
        Kernel::RestoreHalf,
        Kernel::RestoreSingle,
    ];

    /// Whether an invocation has a voxel of all lines, not of one of them.
    pub(super) fn has_all_lines(self) -> bool {
        use Kernel::{ActivateHalf, ActivateSingle, RestoreHalf, RestoreSingle};
        matches!(self, ActivateHalf | ActivateSingle | RestoreHalf | RestoreSingle)
    }

    /// Its name in kernels.cu, with a NUL.
    pub(super) fn symbol(self) -> &'static std::ffi::CStr {
        match self {
            Kernel::Cut => c"voxseg_cut",
            Kernel::Gather => c"voxseg_gather",
            Kernel::CountNotFinite => c"voxseg_count_not_finite",
            Kernel::BlendHalf => c"voxseg_blend_half",
            Kernel::BlendSingle => c"voxseg_blend_single",
            Kernel::MeanHalf => c"voxseg_mean_half",
            Kernel::MeanSingle => c"voxseg_mean_single",
            Kernel::ClearHalf => c"voxseg_clear_half",
            Kernel::ClearSingle => c"voxseg_clear_single",
            Kernel::ActivateHalf => c"voxseg_activate_half",
            Kernel::ActivateSingle => c"voxseg_activate_single",
            Kernel::RestoreHalf => c"voxseg_restore_half",
            Kernel::RestoreSingle => c"voxseg_restore_single",
        }
    }
}

/// `placed` in kernels.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub image: [i32; 3],
    pub patch: [i32; 3],
    pub start: [i32; 3],
    pub below: [i32; 3],
}

/// `averaged` in kernels.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Averaged {
    pub first: i32,
    pub count: i32,
    pub ring: i32,
    pub to: i32,
    pub fold: i32,
    pub folds: i32,
}

/// `decided` in kernels.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Decided {
    pub classes: i32,
    pub ring: i32,
    pub planes: i32,
    pub rows: i32,
    pub columns: i32,
    pub depth: i32,
    pub height: i32,
    pub width: i32,
    pub first: i32,
    pub count: i32,
    pub round: i32,
    pub regions: i32,
    pub at_half: i32,
    pub on_probabilities: i32,
    pub mark: i32,
    pub clear: f32,
    pub near_tie: f32,
    pub step: f32,
}

/// The address of an array in a backend's memory; 0 is none.
pub type Address = u64;

/// What a kernel runs over: the voxels of each line, which is a channel or a class.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub lines: usize,
    pub voxels: usize,
}

/// What a backend was asked to do, in the error that came of it.
pub(crate) fn during(action: &str) -> impl FnOnce(Error) -> Error {
    move |error| match error {
        Error::Runtime { reason, .. } => Error::Runtime { action: action.into(), reason },
        other => other,
    }
}

/// An error of a backend, or of what it is given.
pub(super) fn failure(reason: impl Into<String>) -> Error {
    Error::Runtime { action: "use the device".into(), reason: reason.into() }
}

/// A backend. Everything but [`Backend::finish`] and [`Backend::download`] may return before it is done; what follows
/// waits for what came before.
pub trait Backend: Send + Sync {
    /// Room that isn't initialised.
    fn allocate(&self, bytes: usize) -> Result<Address>;
    /// Gives room back that [`Backend::allocate`] gave.
    fn free(&self, address: Address);
    /// Copies to it.
    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()>;
    /// Copies from it, and waits.
    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()>;
    /// Fills with zeros.
    fn zero(&self, address: Address, bytes: usize) -> Result<()>;
    /// Runs a kernel, with arguments of its own types.
    fn launch(&self, kernel: Kernel, work: Work, arguments: &Arguments) -> Result<()>;
    /// Waits.
    fn finish(&self) -> Result<()>;
    /// Waits for everything that anybody gave it to do.
    fn finish_all(&self) -> Result<()>;
    /// Refuses an address that isn't in its memory.
    fn check(&self, address: Address) -> std::result::Result<(), String>;
}

/// Numbers that kernels read.
pub(super) trait Number: Copy {}
impl Number for f32 {}
impl Number for i32 {}

/// An array in a backend's memory.
pub(super) struct Array {
    backend: Arc<dyn Backend>,
    pub address: Address,
}

impl Array {
    /// Not initialised.
    pub(super) fn new(backend: &Arc<dyn Backend>, bytes: usize) -> Result<Self> {
        // A length of zero isn't allowed there.
        Ok(Array { address: backend.allocate(bytes.max(1))?, backend: backend.clone() })
    }

    /// Zeros.
    pub(super) fn zeros(backend: &Arc<dyn Backend>, bytes: usize) -> Result<Self> {
        let array = Self::new(backend, bytes)?;
        backend.zero(array.address, bytes)?;
        Ok(array)
    }

    /// A copy of numbers on the host.
    pub(super) fn of<T: Number>(backend: &Arc<dyn Backend>, values: &[T]) -> Result<Self> {
        let array = Self::new(backend, size_of_val(values))?;
        array.put(0, values)?;
        Ok(array)
    }

    /// Copies numbers on the host over those from number `at` on.
    pub(super) fn put<T: Number>(&self, at: usize, values: &[T]) -> Result<()> {
        // SAFETY: a number's bytes are all readable.
        let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) };
        self.backend.upload(self.address + (at * size_of::<T>()) as u64, bytes)
    }
}

impl Drop for Array {
    fn drop(&mut self) {
        self.backend.free(self.address);
    }
}
