//! An NVIDIA GPU as a backend: its memory, and our kernels on a stream of their own.

use std::ffi::c_int;
use std::ptr::null_mut;
use std::sync::Arc;

use super::arguments::Arguments;
use super::backend::{Address, Backend, Kernel, Work, failure};
use crate::engine::nvidia::{self, Context, Driver, Function, Module, Stream};
use crate::error::Result;

/// The kernels for GPUs of compute capability 7.0 and newer, which the driver compiles on. It ends with a NUL.
const PTX: &str = concat!(include_str!("kernels.ptx"), "\0");

/// Threads of a block, and the most blocks of a launch: kernels loop over what is left.
const BLOCK: usize = 256;
const MOST_BLOCKS: usize = 1 << 16;

/// A GPU with our kernels loaded. It shares the primary context with ONNX Runtime, so that addresses are the same.
pub(super) struct CudaBackend {
    driver: &'static Driver,
    device: c_int,
    context: Context,
    module: Module,
    functions: Vec<Function>,
    stream: Stream,
}

// SAFETY: the driver's functions may be called from any thread that makes the context current, as every method does.
unsafe impl Send for CudaBackend {}
// SAFETY: as above; no method changes a field.
unsafe impl Sync for CudaBackend {}

impl CudaBackend {
    /// The GPU of that number, with kernels that compute there what the host does.
    pub(super) fn backend(index: u32) -> nvidia::Result<Arc<dyn Backend>> {
        let driver = Driver::get()?;
        let device = driver.device(index as c_int)?;
        let mut context = null_mut();
        // SAFETY: the place is writable; `Drop` releases what is retained here.
        driver.check("cuDevicePrimaryCtxRetain", unsafe {
            (driver.functions.retain)(&raw mut context, device)
        })?;
        let mut backend = CudaBackend {
            driver,
            device,
            context,
            module: null_mut(),
            functions: Vec::new(),
            stream: null_mut(),
        };
        // From here on an error drops the backend, which gives back what it has.
        let (module, functions, stream) = backend.within(|| backend.load())?;
        (backend.module, backend.functions, backend.stream) = (module, functions, stream);
        let backend: Arc<dyn Backend> = Arc::new(backend);
        super::check::agrees_with_the_host(&backend).map_err(|error| error.to_string())?;
        Ok(backend)
    }

    fn load(&self) -> nvidia::Result<(Module, Vec<Function>, Stream)> {
        const NON_BLOCKING: u32 = 1;
        let (driver, calls) = (self.driver, &self.driver.functions);
        let (mut module, mut stream) = (null_mut(), null_mut());
        // SAFETY: the context is current, all places are writable, and PTX and names are terminated texts.
        unsafe {
            driver.check("cuModuleLoadData", (calls.load)(&raw mut module, PTX.as_ptr().cast()))?;
            let function = |kernel: Kernel| {
                let mut function = null_mut();
                let status = (calls.function)(&raw mut function, module, kernel.symbol().as_ptr());
                driver.check("cuModuleGetFunction", status).map(|()| function)
            };
            let functions = Kernel::ALL.into_iter().map(function).collect::<nvidia::Result<_>>()?;
            driver.check("cuStreamCreate", (calls.create_stream)(&raw mut stream, NON_BLOCKING))?;
            Ok((module, functions, stream))
        }
    }

    /// Does something with the context current on this thread.
    fn within<T>(&self, work: impl FnOnce() -> nvidia::Result<T>) -> nvidia::Result<T> {
        let calls = &self.driver.functions;
        // SAFETY: the context is retained for as long as this backend lives.
        self.driver.check("cuCtxPushCurrent", unsafe { (calls.push)(self.context) })?;
        let result = work();
        let mut popped = null_mut();
        // SAFETY: the place is writable; what was pushed above is popped on the same thread.
        unsafe { (calls.pop)(&raw mut popped) };
        result
    }
    /// As [`CudaBackend::within`], as an error of the run's.
    fn run<T>(&self, work: impl FnOnce() -> nvidia::Result<T>) -> Result<T> {
        self.within(work).map_err(failure)
    }
}

impl Backend for CudaBackend {
    fn allocate(&self, bytes: usize) -> Result<Address> {
        let mut address = 0;
        self.run(|| {
            // SAFETY: the context is current and the place writable.
            let status = unsafe { (self.driver.functions.allocate)(&raw mut address, bytes) };
            self.driver.check("cuMemAlloc", status)
        })?;
        Ok(address)
    }

    fn free(&self, address: Address) {
        // An error here is one of an earlier call, which told it.
        let _ = self.within(|| {
            // SAFETY: the address came from `allocate` and is freed once, by the array that owns it.
            self.driver.check("cuMemFree", unsafe { (self.driver.functions.release_memory)(address) })
        });
    }

    fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        self.run(|| {
            // SAFETY: the source is readable for its length and copied before the call returns, since it isn't
            // page-locked; the target is an array of at least that length.
            let status = unsafe {
                (self.driver.functions.upload)(to, bytes.as_ptr().cast(), bytes.len(), self.stream)
            };
            self.driver.check("cuMemcpyHtoD", status)
        })
    }

    fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        self.run(|| {
            // SAFETY: the target is writable for its length until the wait below is over; the source is an array of at
            // least that length.
            unsafe {
                let (calls, length) = (&self.driver.functions, bytes.len());
                let copied = (calls.download)(bytes.as_mut_ptr().cast(), from, length, self.stream);
                let waited = (calls.synchronize)(self.stream);
                self.driver.check("cuMemcpyDtoH", copied)?;
                self.driver.check("cuStreamSynchronize", waited)
            }
        })
    }

    fn zero(&self, address: Address, bytes: usize) -> Result<()> {
        self.run(|| {
            // SAFETY: the address is that of an array of at least that length.
            let status = unsafe { (self.driver.functions.fill)(address, 0, bytes, self.stream) };
            self.driver.check("cuMemsetD8", status)
        })
    }

    fn launch(&self, kernel: Kernel, work: Work, arguments: &Arguments) -> Result<()> {
        let count = if kernel.has_all_lines() { work.voxels } else { work.lines * work.voxels };
        if count == 0 {
            return Ok(());
        }
        let blocks = count.div_ceil(BLOCK).min(MOST_BLOCKS) as u32;
        let function = self.functions[kernel as usize];
        let mut arguments = arguments.clone();
        let mut pointers = arguments.pointers();
        self.run(|| {
            // SAFETY: each argument points to a value of the kernel's type, by the caller; the driver copies them.
            let status = unsafe {
                (self.driver.functions.launch)(
                    function,
                    blocks,
                    1,
                    1,
                    BLOCK as u32,
                    1,
                    1,
                    0,
                    self.stream,
                    pointers.as_mut_ptr(),
                    null_mut(),
                )
            };
            self.driver.check("cuLaunchKernel", status)
        })
    }

    fn finish(&self) -> Result<()> {
        self.run(|| {
            // SAFETY: the stream lives as long as this backend.
            let status = unsafe { (self.driver.functions.synchronize)(self.stream) };
            self.driver.check("cuStreamSynchronize", status)
        })
    }

    fn finish_all(&self) -> Result<()> {
        self.run(|| {
            // SAFETY: the context is current.
            let status = unsafe { (self.driver.functions.synchronize_all)() };
            self.driver.check("cuCtxSynchronize", status)
        })
    }

    fn check(&self, address: Address) -> nvidia::Result<()> {
        // Of the driver's header: the kind of memory, that of a device, and the device's number.
        const MEMORY_TYPE: c_int = 2;
        const DEVICE: c_int = 2;
        const ORDINAL: c_int = 9;
        let ask = |which: c_int| -> nvidia::Result<c_int> {
            let mut answer: c_int = 0;
            self.within(|| {
                // SAFETY: both attributes are four bytes, and the place is writable; any address may be asked about.
                let status =
                    unsafe { (self.driver.functions.attribute)((&raw mut answer).cast(), which, address) };
                self.driver.check("cuPointerGetAttribute", status)
            })?;
            Ok(answer)
        };
        match (ask(MEMORY_TYPE), ask(ORDINAL)) {
            (Ok(DEVICE), Ok(ordinal)) if ordinal == self.device => Ok(()),
            (Ok(DEVICE), Ok(ordinal)) => Err(format!("memory of GPU {ordinal}")),
            (Ok(_), Ok(_)) => Err("memory of the host".into()),
            (Err(reason), _) | (_, Err(reason)) => Err(format!("memory that CUDA doesn't know ({reason})")),
        }
    }
}

impl Drop for CudaBackend {
    fn drop(&mut self) {
        let calls = &self.driver.functions;
        let _ = self.within(|| {
            // SAFETY: both are NULL, which is left alone, or were made by `load`; no array of this backend is left,
            // since arrays hold on to it.
            unsafe {
                if !self.stream.is_null() {
                    (calls.destroy_stream)(self.stream);
                }
                if !self.module.is_null() {
                    (calls.unload)(self.module);
                }
            }
            Ok(())
        });
        // SAFETY: retained once, in `new`.
        unsafe { (calls.release)(self.device) };
    }
}
