//! What only the operating system knows or gives: where this library lies, how much memory there is, and how it is
//! asked for. One file a system; systems without one tell nothing.

#![allow(
    unsafe_code,
    reason = "functions of the system, and memory that it gives; each block says why it may"
)]
#![cfg_attr(
    not(feature = "ort"),
    allow(dead_code, unused_imports, reason = "where ONNX Runtime is looked for")
)]

mod crew;
#[cfg(any(target_os = "linux", test))]
mod groups;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_vendor = "apple")]
mod macos;
mod reserve;
mod thread;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
mod zeroed;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_vendor = "apple")]
use macos as system;
#[cfg(unix)]
pub(crate) use unix::library_folder;
#[cfg(windows)]
use windows as system;
#[cfg(windows)]
pub(crate) use windows::library_folder;

use std::path::Path;

pub(crate) use crew::Crew;
pub(crate) use reserve::is_exhausted;
pub(crate) use system::{peak_memory, prefer_huge_pages};
pub(crate) use thread::Thread;
pub(crate) use zeroed::{Plain, zeroed};

/// What a limit leaves: its bytes, and how many of them are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub bytes: u64,
    pub used: u64,
}

impl Limit {
    pub(crate) fn left(self) -> u64 {
        self.bytes.saturating_sub(self.used)
    }
}

/// The bytes that this process may still take: what the narrowest of all limits leaves, those of the machine, of the
/// groups, containers or jobs that it is in, and its own. `None` where the system doesn't tell.
pub(crate) fn memory_left() -> Option<u64> {
    system::limits().into_iter().map(Limit::left).min()
}

/// Asks the C library for the pages of what was freed to be given back: glibc keeps tens of megabytes of a network's
/// weights for allocations that don't come. Other C libraries do that by themselves. `vxs_model_free` calls it; Rust
/// programs may when they dropped a model. Any thread.
pub fn return_freed_memory() {
    system::return_freed_memory();
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple", windows)))]
mod system {
    pub(crate) fn limits() -> Vec<super::Limit> {
        Vec::new()
    }

    pub(crate) fn peak_memory() -> u64 {
        0
    }

    pub(crate) fn return_freed_memory() {}

    pub(crate) fn prefer_huge_pages(_start: *mut u8, _bytes: usize) {}
}

/// Why a library can't be loaded, in the system's words, and with its name: Windows' words don't have it.
pub(crate) fn why_not_loaded(library: &str, error: &libloading::Error) -> String {
    let words = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    if words.contains(library) { words } else { format!("{library}: {words}") }
}

/// How many threads this process can have run at once.
pub(crate) fn processors() -> usize {
    #[cfg(windows)]
    if let Some(count) = windows::processors() {
        return count;
    }
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Opens a library with those that it needs and that lie beside it. Nowhere but on Windows has that to be asked for.
///
/// # Safety
/// Its initialisers run, and do what they like.
pub(crate) unsafe fn load_library(file: &Path) -> Result<libloading::Library, String> {
    // SAFETY: passed on.
    #[cfg(windows)]
    let opened = unsafe { windows::load_library(file) };
    // SAFETY: passed on.
    #[cfg(not(windows))]
    let opened = unsafe { libloading::Library::new(file) };
    opened.map_err(|error| why_not_loaded(&file.display().to_string(), &error))
}

/// Keeps this library loaded until the process ends, since ONNX Runtime's threads run code of it. Elsewhere the linker
/// was told to (build.rs).
pub(crate) fn stay_loaded() {
    #[cfg(windows)]
    windows::stay_loaded();
}

#[cfg(not(any(unix, windows)))]
pub(crate) fn library_folder() -> Option<std::path::PathBuf> {
    None
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_library_that_is_not_there_is_named() {
        let name = if cfg!(windows) { "no_such_library.dll" } else { "libno_such_library.so" };
        let file = std::env::temp_dir().join(name);
        // SAFETY: there is no such file.
        let reason = unsafe { super::load_library(&file) }.unwrap_err();
        assert!(reason.contains(&file.display().to_string()), "{reason}");
    }

    #[test]
    fn processors_are_at_least_those_of_std() {
        assert!(super::processors() >= std::thread::available_parallelism().map_or(1, usize::from));
    }

    #[test]
    #[cfg(any(target_os = "linux", target_vendor = "apple", windows))]
    fn memory_left_is_known() {
        assert!(super::memory_left().expect("this system tells") > 1 << 20);
    }
}
