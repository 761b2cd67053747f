//! Where kernels run and their arrays lie: an NVIDIA GPU, or in tests the host with the same kernels compiled as C++.

use std::ffi::c_void;
use std::sync::Arc;

use super::driver::Result;

/// The kernels of kernels.cu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Kernel {
    Cut,
    Gather,
    CountNotFinite,
    BlendHalf,
    BlendSingle,
    MeanHalf,
    MeanSingle,
    ClearHalf,
    ClearSingle,
}

impl Kernel {
    /// All of them.
    pub(super) const ALL: [Kernel; 9] = [
        Kernel::Cut,
        Kernel::Gather,
        Kernel::CountNotFinite,
        Kernel::BlendHalf,
        Kernel::BlendSingle,
        Kernel::MeanHalf,
        Kernel::MeanSingle,
        Kernel::ClearHalf,
        Kernel::ClearSingle,
    ];

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

/// The address of an array in a machine's memory; 0 is none.
pub(in crate::engine) type Address = u64;

/// A machine. Everything but [`Machine::finish`] and [`Machine::download`] may return before it is done; what follows
/// waits for what came before.
pub(in crate::engine) trait Machine: Send + Sync {
    fn allocate(&self, bytes: usize) -> Result<Address>;
    fn free(&self, address: Address);
    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()>;
    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()>;
    fn zero(&self, address: Address, bytes: usize) -> Result<()>;
    /// Runs a kernel over `count` numbers; each of `arguments` points to a value of the kernel's own type.
    fn launch(&self, kernel: Kernel, count: usize, arguments: &mut [*mut c_void]) -> Result<()>;
    /// Waits.
    fn finish(&self) -> Result<()>;
}

/// An array in a machine's memory.
pub(super) struct Array {
    machine: Arc<dyn Machine>,
    pub address: Address,
}

impl Array {
    /// Not initialised.
    pub(super) fn new(machine: &Arc<dyn Machine>, bytes: usize) -> Result<Self> {
        // A length of zero isn't allowed there.
        Ok(Array { address: machine.allocate(bytes.max(1))?, machine: machine.clone() })
    }

    /// Zeros.
    pub(super) fn zeros(machine: &Arc<dyn Machine>, bytes: usize) -> Result<Self> {
        let array = Self::new(machine, bytes)?;
        machine.zero(array.address, bytes)?;
        Ok(array)
    }

    /// A copy of numbers on the host.
    pub(super) fn of(machine: &Arc<dyn Machine>, values: &[f32]) -> Result<Self> {
        let array = Self::new(machine, size_of_val(values))?;
        // SAFETY: any f32 is four readable bytes.
        let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) };
        machine.upload(array.address, bytes)?;
        Ok(array)
    }
}

impl Drop for Array {
    fn drop(&mut self) {
        self.machine.free(self.address);
    }
}
