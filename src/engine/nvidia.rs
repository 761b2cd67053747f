//! NVIDIA's driver interface (CUDA driver API 11.0 or newer): which GPUs there are, what memory they have free, and the
//! functions that kernels need. It is opened when it is asked for, and no toolkit is needed.

#![allow(unsafe_code, reason = "the driver is a C library")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;
use std::sync::OnceLock;

use libloading::Library;

use crate::platform::why_not_loaded;

/// What a failed call says.
pub(crate) type Result<T> = std::result::Result<T, String>;

type Status = c_int;
type Device = c_int;
pub(crate) type Context = *mut c_void;
pub(crate) type Module = *mut c_void;
pub(crate) type Function = *mut c_void;
pub(crate) type Stream = *mut c_void;

/// The system's driver: there is no other place to load it from, so this is its bare name.
const LIBRARY: &str = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };

macro_rules! functions {
    ($($name:ident = $symbol:literal ($($argument:ty),*);)*) => {
        /// The driver's functions, in the versions that its headers have mapped these names to since CUDA 11.
        pub(crate) struct Functions {
            $(pub(crate) $name: unsafe extern "system" fn($($argument),*) -> Status,)*
        }

        impl Functions {
            fn load(library: &Library) -> Result<Self> {
                Ok(Functions {
                    $($name: {
                        // SAFETY: the symbol has had this signature in every driver since CUDA 11.
                        let symbol = unsafe { library.get(concat!($symbol, "\0").as_bytes()) };
                        *symbol.map_err(|error| format!("{LIBRARY}: {error}"))?
                    },)*
                })
            }
        }
    };
}

functions! {
    init = "cuInit" (c_uint);
    error_name = "cuGetErrorName" (Status, *mut *const c_char);
    version = "cuDriverGetVersion" (*mut c_int);
    count = "cuDeviceGetCount" (*mut c_int);
    device = "cuDeviceGet" (*mut Device, c_int);
    name = "cuDeviceGetName" (*mut c_char, c_int, Device);
    memory = "cuDeviceTotalMem_v2" (*mut usize, Device);
    retain = "cuDevicePrimaryCtxRetain" (*mut Context, Device);
    release = "cuDevicePrimaryCtxRelease_v2" (Device);
    push = "cuCtxPushCurrent_v2" (Context);
    pop = "cuCtxPopCurrent_v2" (*mut Context);
    free = "cuMemGetInfo_v2" (*mut usize, *mut usize);
    load = "cuModuleLoadData" (*mut Module, *const c_void);
    unload = "cuModuleUnload" (Module);
    function = "cuModuleGetFunction" (*mut Function, Module, *const c_char);
    launch = "cuLaunchKernel" (
        Function, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Stream, *mut *mut c_void, *mut *mut c_void
    );
    create_stream = "cuStreamCreate" (*mut Stream, c_uint);
    destroy_stream = "cuStreamDestroy_v2" (Stream);
    synchronize = "cuStreamSynchronize" (Stream);
    allocate = "cuMemAlloc_v2" (*mut u64, usize);
    release_memory = "cuMemFree_v2" (u64);
    upload = "cuMemcpyHtoDAsync_v2" (u64, *const c_void, usize, Stream);
    download = "cuMemcpyDtoHAsync_v2" (*mut c_void, u64, usize, Stream);
    fill = "cuMemsetD8Async" (u64, u8, usize, Stream);
    synchronize_all = "cuCtxSynchronize" ();
    attribute = "cuPointerGetAttribute" (*mut c_void, c_int, u64);
}

/// The driver, initialised.
pub(crate) struct Driver {
    pub(crate) functions: Functions,
    // Never unloaded: the statics that hold this are never dropped, and others in the process use it too.
    _library: Library,
}

/// A GPU.
pub(crate) struct Gpu {
    /// Its name.
    pub name: String,
    /// Bytes of its memory.
    pub memory: u64,
}

impl Driver {
    /// The process's driver, or why there is none.
    pub(crate) fn get() -> Result<&'static Driver> {
        static DRIVER: OnceLock<Result<Driver>> = OnceLock::new();
        DRIVER.get_or_init(Driver::open).as_ref().map_err(Clone::clone)
    }

    fn open() -> Result<Driver> {
        // SAFETY: running the driver's initialisers is what loading means; the name is that of NVIDIA's driver.
        let library = unsafe { Library::new(LIBRARY) }.map_err(|error| {
            format!("NVIDIA's driver can't be loaded: {}", why_not_loaded(LIBRARY, &error))
        })?;
        let driver = Driver { functions: Functions::load(&library)?, _library: library };
        // SAFETY: the flags must be 0.
        driver.check("cuInit", unsafe { (driver.functions.init)(0) })?;
        Ok(driver)
    }

    pub(crate) fn check(&self, call: &str, status: Status) -> Result<()> {
        if status == 0 {
            return Ok(());
        }
        let mut name = std::ptr::null();
        // SAFETY: the place is writable; what it gets is a static string, or NULL.
        let name = unsafe {
            (self.functions.error_name)(status, &raw mut name);
            (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy())
        };
        Err(format!("{call}: {} ({status})", name.as_deref().unwrap_or("unknown error")))
    }

    /// The newest CUDA version that the driver supports, as "13.0".
    pub(crate) fn version(&self) -> String {
        let mut version = 0;
        // SAFETY: the place is writable.
        unsafe { (self.functions.version)(&raw mut version) };
        format!("{}.{}", version / 1000, version % 1000 / 10)
    }

    /// The GPUs in the order in which CUDA numbers them, `CUDA_VISIBLE_DEVICES` respected.
    pub(crate) fn gpus(&self) -> Result<Vec<Gpu>> {
        let mut count = 0;
        // SAFETY: the place is writable.
        self.check("cuDeviceGetCount", unsafe { (self.functions.count)(&raw mut count) })?;
        (0..count).map(|index| self.gpu(index)).collect()
    }

    fn gpu(&self, index: c_int) -> Result<Gpu> {
        let (mut memory, mut name) = (0_usize, [0 as c_char; 256]);
        let device = self.device(index)?;
        // SAFETY: both places are writable, the second for the length that is passed, and it gets a terminated
        // string.
        let name = unsafe {
            self.check("cuDeviceTotalMem", (self.functions.memory)(&raw mut memory, device))?;
            self.check("cuDeviceGetName", (self.functions.name)(name.as_mut_ptr(), 256, device))?;
            CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned()
        };
        Ok(Gpu { name, memory: memory as u64 })
    }

    pub(crate) fn device(&self, index: c_int) -> Result<Device> {
        let mut device = 0;
        // SAFETY: the place is writable.
        self.check("cuDeviceGet", unsafe { (self.functions.device)(&raw mut device, index) })?;
        Ok(device)
    }

    /// Keeps a GPU's context, which takes memory of its own, until the result is dropped.
    pub(crate) fn hold(&'static self, index: u32) -> Result<Held> {
        let device = self.device(index as c_int)?;
        let mut context = null_mut();
        // SAFETY: the place is writable; `Drop` releases what is retained here.
        self.check("cuDevicePrimaryCtxRetain", unsafe { (self.functions.retain)(&raw mut context, device) })?;
        Ok(Held { driver: self, device })
    }

    /// Bytes of a GPU's memory that nobody has. Makes the context that CUDA needs there anyway.
    pub(crate) fn free_memory(&self, index: u32) -> Result<u64> {
        let device = self.device(index as c_int)?;
        let (mut context, mut free, mut total) = (null_mut(), 0_usize, 0_usize);
        // SAFETY: all places are writable; what is retained is released, what is pushed is popped, on this thread.
        unsafe {
            self.check("cuDevicePrimaryCtxRetain", (self.functions.retain)(&raw mut context, device))?;
            let pushed = self.check("cuCtxPushCurrent", (self.functions.push)(context));
            let asked = pushed.and_then(|()| {
                let asked = (self.functions.free)(&raw mut free, &raw mut total);
                (self.functions.pop)(&raw mut context);
                self.check("cuMemGetInfo", asked)
            });
            (self.functions.release)(device);
            asked?;
        }
        Ok(free as u64)
    }
}

/// A GPU's primary context, which others may hold too.
pub(crate) struct Held {
    driver: &'static Driver,
    device: Device,
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: retained once, when this was made.
        unsafe { (self.driver.functions.release)(self.device) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a driver there are GPUs with names and memory, without one a reason that names its file.
    #[test]
    fn a_driver_or_the_reason_why_not() {
        match Driver::get().and_then(|driver| driver.gpus()) {
            Ok(gpus) => assert!(gpus.iter().all(|gpu| !gpu.name.is_empty() && gpu.memory > 0)),
            Err(reason) => assert!(reason.contains(LIBRARY) || reason.contains("CUDA_ERROR"), "{reason}"),
        }
    }
}
