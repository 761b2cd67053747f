//! Linux.

use super::unix::own_limit;
use super::{Limit, groups};

/// The value of a key in a file of lines "key: value kB", in bytes.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    value.trim().trim_end_matches(" kB").parse::<u64>().ok()?.checked_mul(1024)
}

fn text(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// All limits of this process's memory.
pub(super) fn limits() -> Vec<Limit> {
    let status = text("/proc/self/status").unwrap_or_default();
    let of = |key: &str| kibibytes(&status, key).unwrap_or(0);
    let machine = text("/proc/meminfo").and_then(|text| kibibytes(&text, "MemTotal"));
    let machine = machine.map(|bytes| Limit { bytes, used: of("VmRSS") });
    let own = [own_limit(libc::RLIMIT_AS, of("VmSize")), own_limit(libc::RLIMIT_DATA, of("VmData"))];
    let mut limits = groups::limits(&text);
    limits.extend(machine.into_iter().chain(own.into_iter().flatten()));
    limits
}

/// The most memory that this process ever had resident, in bytes; 0 where the system doesn't tell.
pub(crate) fn peak_memory() -> u64 {
    text("/proc/self/status").and_then(|status| kibibytes(&status, "VmHWM")).unwrap_or(0)
}

/// As [`super::return_freed_memory`].
pub(crate) fn return_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: safe to call at any time on any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Asks for huge pages for memory of this process: kernels that walk through large tensors miss the address cache less.
/// Where the system doesn't know them, nothing happens.
pub(crate) fn prefer_huge_pages(start: *mut u8, bytes: usize) {
    const HUGE: usize = 2 << 20;
    let first = start.addr().next_multiple_of(HUGE);
    let end = (start.addr() + bytes) / HUGE * HUGE;
    if first < end {
        // SAFETY: whole pages inside the caller's memory; the advice changes no contents.
        unsafe { libc::madvise(start.with_addr(first).cast(), end - first, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_with_their_unit() {
        let text = "Name:\tvoxseg\nVmSize:\t  105544 kB\nVmRSS:\t    4 kB\nBad:\tx kB\n";
        assert_eq!(kibibytes(text, "VmSize"), Some(105_544 << 10));
        assert_eq!(kibibytes(text, "VmRSS"), Some(4096));
        assert_eq!((kibibytes(text, "Bad"), kibibytes(text, "Vm")), (None, None));
    }

    #[test]
    fn a_limit_of_the_process_is_seen() {
        // Only looked at: lowering it here would meet the other tests.
        let limit = own_limit(libc::RLIMIT_NOFILE, 3);
        assert!(limit.is_none_or(|limit| limit.bytes > 3 && limit.left() == limit.bytes - 3));
    }
}
