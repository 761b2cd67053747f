//! Generates the C++ side of the bridge and compiles it into the static library.

fn main() {
    cxx_build::bridge("src/lib.rs").std("c++17").compile("voxseg-cxx-bridge");
    // Where a C++ program finds the headers, in the folders `include` and `crate`; the test of one needs it.
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    println!("cargo::rustc-env=VOXSEG_CXX_BRIDGE={out}/cxxbridge");
    println!("cargo::rerun-if-changed=src/lib.rs");
    println!("cargo::rerun-if-changed=include/progress.hpp");
}
