//! What only the operating system knows.

use std::path::PathBuf;

/// The folder of the shared library (or program) that this code was linked into.
#[cfg(unix)]
pub(crate) fn library_folder() -> Option<PathBuf> {
    use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
    use std::os::unix::ffi::OsStrExt;

    #[repr(C)]
    struct Info {
        file: *const c_char,
        base: *mut c_void,
        symbol: *const c_char,
        address: *mut c_void,
    }
    type DlAddr = unsafe extern "C" fn(*const c_void, *mut Info) -> c_int;
    let this = libloading::os::unix::Library::this();
    // SAFETY: POSIX systems have `dladdr` with this signature.
    let dladdr = unsafe { this.get::<DlAddr>(b"dladdr\0") }.ok()?;
    let mut info = Info {
        file: std::ptr::null(),
        base: std::ptr::null_mut(),
        symbol: std::ptr::null(),
        address: std::ptr::null_mut(),
    };
    // SAFETY: the address lies in this code, and `info` is writable.
    let found = unsafe { dladdr(library_folder as *const c_void, &raw mut info) };
    if found == 0 || info.file.is_null() {
        return None;
    }
    // SAFETY: `dladdr` returned a NUL-terminated name that lives as long as this library.
    let file = PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(info.file) }.to_bytes()));
    std::path::absolute(file).ok()?.parent().map(Into::into)
}

/// The folder of the shared library (or program) that this code was linked into.
#[cfg(windows)]
pub(crate) fn library_folder() -> Option<PathBuf> {
    use std::ffi::{OsString, c_void};
    use std::os::windows::ffi::OsStringExt;

    type FromAddress = unsafe extern "system" fn(u32, *const c_void, *mut *mut c_void) -> i32;
    type FileName = unsafe extern "system" fn(*mut c_void, *mut u16, u32) -> u32;
    // GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS and _PIN: unloading this library would pull code from under
    // ONNX Runtime's threads.
    const FLAGS: u32 = 4 | 1;
    let kernel = libloading::os::windows::Library::open_already_loaded("kernel32.dll").ok()?;
    let mut module = std::ptr::null_mut();
    let mut name = vec![0_u16; 32_768];
    // SAFETY: both functions have had these signatures since Windows XP; the buffer's length is passed.
    let length = unsafe {
        let from_address = kernel.get::<FromAddress>(b"GetModuleHandleExW\0").ok()?;
        let file_name = kernel.get::<FileName>(b"GetModuleFileNameW\0").ok()?;
        if from_address(FLAGS, library_folder as *const c_void, &raw mut module) == 0 {
            return None;
        }
        file_name(module, name.as_mut_ptr(), name.len() as u32)
    };
    let file = PathBuf::from(OsString::from_wide(name.get(..length as usize)?));
    file.parent().map(Into::into)
}

/// The memory that this machine has, in bytes; `None` where the system doesn't tell.
pub(crate) fn physical_memory() -> Option<u64> {
    let about = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = about.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// The most memory that this process ever had resident, in bytes; 0 where the system doesn't tell.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.map_or(0, |kibibytes| kibibytes * 1024)
}

/// Asks the C library for the pages of what was freed to be given back: glibc keeps tens of megabytes of a network's weights
/// for allocations that don't come. Other C libraries do that by themselves. [`vxs_model_free`](super::vxs_model_free) calls
/// it; Rust programs may when they dropped a model. Any thread.
pub fn return_freed_memory() {
    #[cfg(target_os = "linux")]
    {
        type MallocTrim = unsafe extern "C" fn(usize) -> std::ffi::c_int;
        let this = libloading::os::unix::Library::this();
        // SAFETY: where there is a `malloc_trim`, it has glibc's signature.
        let Ok(trim) = (unsafe { this.get::<MallocTrim>(b"malloc_trim\0") }) else { return };
        // SAFETY: safe to call at any time on any thread.
        unsafe { trim(0) };
    }
}

/// Asks for huge pages for memory of this process: kernels that walk through large tensors miss the address cache less.
/// Where the system doesn't know them, nothing happens.
pub(crate) fn prefer_huge_pages(start: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    {
        use std::ffi::{c_int, c_void};

        type Madvise = unsafe extern "C" fn(*mut c_void, usize, c_int) -> c_int;
        const HUGE: usize = 2 << 20;
        const MADV_HUGEPAGE: c_int = 14;
        let first = start.addr().next_multiple_of(HUGE);
        let end = (start.addr() + bytes) / HUGE * HUGE;
        if first >= end {
            return;
        }
        let this = libloading::os::unix::Library::this();
        // SAFETY: Linux has `madvise` with this signature.
        let Ok(madvise) = (unsafe { this.get::<Madvise>(b"madvise\0") }) else { return };
        // SAFETY: whole pages inside the caller's memory; the advice changes no contents.
        unsafe { madvise(start.with_addr(first).cast(), end - first, MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, bytes);
}
