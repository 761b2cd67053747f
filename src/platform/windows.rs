//! Windows.

use std::ffi::OsString;
use std::os::windows::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

use libloading::Library;
use libloading::os::windows::{LOAD_WITH_ALTERED_SEARCH_PATH, Library as WindowsLibrary};
use windows_sys::Win32::Foundation::HMODULE;
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
use windows_sys::Win32::System::Threading::{
    GetActiveProcessorCount, GetCurrentProcess, GetProcessGroupAffinity,
};

use super::Limit;

/// The shared library (or program) that this code was linked into, pinned: it isn't unloaded any more.
fn pinned() -> Option<HMODULE> {
    const FLAGS: u32 = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
    let mut module = null_mut();
    // SAFETY: the address lies in this code; the handle is writable.
    let done = unsafe { GetModuleHandleExW(FLAGS, pinned as *const u16, &raw mut module) };
    (done != 0).then_some(module)
}

/// As [`super::stay_loaded`].
pub(super) fn stay_loaded() {
    pinned();
}

/// The folder of the shared library (or program) that this code was linked into.
pub(crate) fn library_folder() -> Option<PathBuf> {
    let module = pinned()?;
    let mut name = vec![0_u16; 32_768];
    // SAFETY: a module that stays; the buffer's length is passed.
    let length = unsafe { GetModuleFileNameW(module, name.as_mut_ptr(), name.len() as u32) };
    let file = PathBuf::from(OsString::from_wide(name.get(..length as usize)?));
    file.parent().map(Into::into)
}

/// As [`super::load_library`]. Without the flag, libraries beside the file are looked for in the program's folder only.
pub(super) unsafe fn load_library(file: &Path) -> Result<Library, libloading::Error> {
    // SAFETY: passed on.
    unsafe { WindowsLibrary::load_with_flags(file, LOAD_WITH_ALTERED_SEARCH_PATH) }.map(Library::from)
}

/// The processors of all groups that this process's threads are spread over: all of them since Windows 11 and Server
/// 2022, before that one group, which has at most 64.
pub(super) fn processors() -> Option<usize> {
    let mut groups = [0_u16; 64];
    let mut count = groups.len() as u16;
    // SAFETY: the array is writable for so many numbers.
    let done = unsafe { GetProcessGroupAffinity(GetCurrentProcess(), &raw mut count, groups.as_mut_ptr()) };
    // With one group, std knows.
    let groups = groups.get(..count.into()).filter(|groups| done != 0 && groups.len() > 1)?;
    // SAFETY: takes a number.
    Some(groups.iter().map(|&group| unsafe { GetActiveProcessorCount(group) } as usize).sum())
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
