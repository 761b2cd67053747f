//! The CPU engine on AArch64, under emulation: Debian's cross compiler and QEMU, and Rust's standard library for that
//! target, which rustup has (`rustup target add aarch64-unknown-linux-gnu`) or which is built here from its source.

use std::process::Command;

use crate::{Result, cargo, setup, std_source, work};

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// `cargo test` for the other processor; an error says what it lacks.
pub fn tests() -> Result<Command> {
    if cfg!(target_arch = "aarch64") {
        return Err("this is such a machine: the Rust tests have run on it".into());
    }
    setup::packages(&["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"])?;
    setup::system_package("qemu-aarch64", "qemu-user")?;
    let mut tests = cargo();
    tests
        .args(["test", "--target-dir"])
        .arg(work().join("aarch64/build"))
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64 -L /usr/aarch64-linux-gnu");
    std_source::build_for(&mut tests, TARGET, "std,panic_unwind,test")?;
    Ok(tests)
}
