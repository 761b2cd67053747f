//! Windows.

use std::ffi::OsString;
use std::os::windows::ffi::OsStringExt;
use std::path::PathBuf;
use std::ptr::{null, null_mut};

use windows_sys::Win32::System::JobObjects::{
    IsProcessInJob, JOB_OBJECT_LIMIT_JOB_MEMORY, JOB_OBJECT_LIMIT_PROCESS_MEMORY,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation, QueryInformationJobObject,
};
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleFileNameW,
    GetModuleHandleExW,
};
use windows_sys::Win32::System::ProcessStatus::{GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::SystemInformation::{GlobalMemoryStatusEx, MEMORYSTATUSEX};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::Limit;

/// The folder of the shared library (or program) that this code was linked into.
pub(crate) fn library_folder() -> Option<PathBuf> {
    // Pinned: unloading this library would pull code from under ONNX Runtime's threads.
    const FLAGS: u32 = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
    let mut module = null_mut();
    let mut name = vec![0_u16; 32_768];
    // SAFETY: the address lies in this code; the buffer's length is passed.
    let length = unsafe {
        if GetModuleHandleExW(FLAGS, library_folder as *const u16, &raw mut module) == 0 {
            return None;
        }
        GetModuleFileNameW(module, name.as_mut_ptr(), name.len() as u32)
    };
    let file = PathBuf::from(OsString::from_wide(name.get(..length as usize)?));
    file.parent().map(Into::into)
}

/// What this process has: resident now, at most so far, and committed.
fn own() -> Option<PROCESS_MEMORY_COUNTERS> {
    let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    let mut counters = PROCESS_MEMORY_COUNTERS { cb: size, ..Default::default() };
    // SAFETY: `counters` is writable for `size` bytes.
    let done = unsafe { GetProcessMemoryInfo(GetCurrentProcess(), &raw mut counters, size) };
    (done != 0).then_some(counters)
}

/// All limits of this process's memory.
pub(super) fn limits() -> Vec<Limit> {
    let own = own().unwrap_or_default();
    let (resident, committed) = (own.WorkingSetSize as u64, own.PagefileUsage as u64);
    let mut limits = Vec::new();
    let mut status = MEMORYSTATUSEX { dwLength: size_of::<MEMORYSTATUSEX>() as u32, ..Default::default() };
    // SAFETY: `status` is writable and states its size.
    if unsafe { GlobalMemoryStatusEx(&raw mut status) } != 0 {
        limits.push(Limit { bytes: status.ullTotalPhys, used: resident });
        // What the system still commits to anybody.
        limits.push(Limit { bytes: status.ullAvailPageFile, used: 0 });
    }
    limits.extend(job().into_iter().map(|bytes| Limit { bytes, used: committed }));
    limits
}

/// The limits of the job that this process is in.
fn job() -> Vec<u64> {
    let mut inside = 0;
    // SAFETY: `inside` is writable; NULL stands for any job.
    let done = unsafe { IsProcessInJob(GetCurrentProcess(), null_mut(), &raw mut inside) };
    if done == 0 || inside == 0 {
        return Vec::new();
    }
    let mut about = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    let size = size_of::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>() as u32;
    // SAFETY: `about` is writable for `size` bytes; NULL stands for the process's own job.
    let done = unsafe {
        let (job, place) = (null_mut(), (&raw mut about).cast());
        QueryInformationJobObject(
            job,
            JobObjectExtendedLimitInformation,
            place,
            size,
            null::<u32>().cast_mut(),
        )
    };
    if done == 0 {
        return Vec::new();
    }
    let flags = about.BasicLimitInformation.LimitFlags;
    let of = |flag, bytes: usize| (flags & flag != 0).then_some(bytes as u64);
    let process = of(JOB_OBJECT_LIMIT_PROCESS_MEMORY, about.ProcessMemoryLimit);
    process.into_iter().chain(of(JOB_OBJECT_LIMIT_JOB_MEMORY, about.JobMemoryLimit)).collect()
}

/// The most memory that this process ever had resident, in bytes; 0 where the system doesn't tell.
pub(crate) fn peak_memory() -> u64 {
    own().map_or(0, |own| own.PeakWorkingSetSize as u64)
}

/// This system does it by itself.
pub(crate) fn return_freed_memory() {}

/// Large pages need a privilege here.
pub(crate) fn prefer_huge_pages(_start: *mut u8, _bytes: usize) {}
