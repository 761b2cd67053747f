//! The version of the library and of its interface, and what this build of it has. Check the version after loading
//! the library at run time; a program that was linked with it gets a library of its own major version from the
//! loader.

use std::ffi::{CString, c_char};
use std::ptr::null;
use std::sync::LazyLock;

use serde_json::json;

use super::boundary::getter;
use super::error::c_string;
use crate::engine::Provider;
use crate::engine::cpu::Isa;
use crate::record::INTERFACE;
use crate::runtime;

/// 0 is no, 1 is yes. A field with another value is `VXS_INVALID_ARGUMENT`.
pub type vxs_bool = i32;

/// Major version of the C interface: grows when something that worked stops working. Part of the soname.
pub const VXS_ABI_MAJOR: u32 = 0;
/// Minor version of the C interface: grows with every addition.
pub const VXS_ABI_MINOR: u32 = 1;

// One version: records of runs name it too.
const _: () = assert!(VXS_ABI_MAJOR == INTERFACE[0] && VXS_ABI_MINOR == INTERFACE[1]);

/// The version of the interface that the loaded library implements: `major << 16 | minor`. A client works with this
/// library when the major versions are equal and the library's minor version is at least the client's
/// `VXS_ABI_MINOR`. Check it after loading. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn vxs_abi_version() -> u32 {
    VXS_ABI_MAJOR << 16 | VXS_ABI_MINOR
}

/// The library's release, for example "0.1.0". A static string. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn vxs_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

static BUILD: LazyLock<CString> = LazyLock::new(|| {
    let instructions: Vec<_> = Isa::ALL.into_iter().filter(|isa| isa.available()).map(Isa::name).collect();
    let build = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "interface": [VXS_ABI_MAJOR, VXS_ABI_MINOR],
        "target": { "os": std::env::consts::OS, "architecture": std::env::consts::ARCH },
        "engines": {
            "cpu": { "instructions": instructions },
            "onnxruntime": {
                "oldest": format!("1.{}", runtime::OLDEST),
                "providers": Provider::ALL.map(Provider::name),
            },
        },
        "models": ["nnU-Net v2", "MONAI bundle", "Auto3DSeg", "ONNX", "PyTorch", "safetensors", "task"],
        "licences": { "voxseg": "Apache-2.0 OR MIT", "others": "share/licenses/voxseg/THIRD-PARTY.txt in the archive" },
    });
    c_string(&build.to_string())
});

/// What this build of the library has, as JSON: "version", "interface" (major, minor), "target" (operating system
/// and architecture), "engines" (with the instructions of this machine that the CPU engine can use, the oldest ONNX
/// Runtime that will do, and the providers of it that are known), "models" (formats that open) and "licences". New
/// keys may come. A static string. Loads nothing. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn vxs_build_info() -> *const c_char {
    getter(null(), || BUILD.as_ptr())
}
