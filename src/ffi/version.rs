//! Versions of the interface and of the library.

use std::ffi::c_char;

use crate::record::INTERFACE;

/// Major version of the C interface: grows when something that worked stops working. Part of the soname.
pub const VXS_ABI_MAJOR: u32 = 0;
/// Minor version of the C interface: grows with every addition.
pub const VXS_ABI_MINOR: u32 = 1;

// One version: records of runs name it too.
const _: () = assert!(VXS_ABI_MAJOR == INTERFACE[0] && VXS_ABI_MINOR == INTERFACE[1]);

/// The version of the interface that the loaded library implements: `major << 16 | minor`.
///
/// A client works with this library when the major versions are equal and the library's minor version is at
/// least the client's `VXS_ABI_MINOR`. Check it after loading. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn vxs_abi_version() -> u32 {
    VXS_ABI_MAJOR << 16 | VXS_ABI_MINOR
}

/// The library's release, for example "0.1.0". A static string. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn vxs_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
