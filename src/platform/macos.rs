//! macOS and its kin.

use super::Limit;
use super::unix::own_limit;

/// The bytes of memory that the machine has.
fn machine() -> Option<u64> {
    let (mut bytes, mut size) = (0_u64, size_of::<u64>());
    // SAFETY: a NUL-terminated name; `bytes` is writable for `size` bytes.
    let failed = unsafe {
        let null = std::ptr::null_mut();
        libc::sysctlbyname(c"hw.memsize".as_ptr(), (&raw mut bytes).cast(), &raw mut size, null, 0)
    };
    (failed == 0 && bytes > 0).then_some(bytes)
}

/// What this process has resident, and of address space.
fn own() -> Option<[u64; 2]> {
    // SAFETY: integers, for which zeros are values.
    let mut info: libc::proc_taskinfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::proc_taskinfo>() as i32;
    // SAFETY: `info` is writable for `size` bytes.
    let written = unsafe {
        libc::proc_pidinfo(libc::getpid(), libc::PROC_PIDTASKINFO, 0, (&raw mut info).cast(), size)
    };
    (written == size).then_some([info.pti_resident_size, info.pti_virtual_size])
}

/// All limits of this process's memory.
pub(super) fn limits() -> Vec<Limit> {
    let [resident, virtual_size] = own().unwrap_or([0; 2]);
    let machine = machine().map(|bytes| Limit { bytes, used: resident });
    let own = own_limit(libc::RLIMIT_AS, virtual_size);
    machine.into_iter().chain(own).collect()
}

/// The most memory that this process ever had resident, in bytes; 0 where the system doesn't tell.
pub(crate) fn peak_memory() -> u64 {
    // SAFETY: integers, for which zeros are values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is writable.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    // In bytes here, other than on Linux.
    if failed == 0 { usage.ru_maxrss as u64 } else { 0 }
}

/// This system does it by itself.
pub(crate) fn return_freed_memory() {}

/// This system decides by itself.
pub(crate) fn prefer_huge_pages(_start: *mut u8, _bytes: usize) {}
