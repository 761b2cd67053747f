//! The shared library's own name, and that it stays loaded. Nothing else is built here.
//!
//! The name carries the major version of the C interface (one source: `src/ffi/version.rs`), so that two
//! programs or plug-ins with different ones can share a process. ONNX Runtime's threads and environment can't be
//! taken down in an unloaded library, so that unloading is switched off.

use std::env;
use std::fs;

fn main() {
    let source = "src/ffi/version.rs";
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={source}");
    let text = fs::read_to_string(source).expect("src/ffi/version.rs is readable");
    let major = abi_major(&text).expect("src/ffi/version.rs has a line `pub const VXS_ABI_MAJOR: u32 = N;`");

    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux" | "android" | "freebsd") => {
            println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libvoxseg.so.{major}");
            println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
        }
        Ok("macos" | "ios") => {
            println!("cargo::rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libvoxseg.{major}.dylib");
        }
        _ => {}
    }
}

fn abi_major(source: &str) -> Option<u32> {
    let line = source.lines().find_map(|line| line.trim().strip_prefix("pub const VXS_ABI_MAJOR: u32 = "))?;
    line.strip_suffix(';')?.parse().ok()
}
