//! The CPU engine on AArch64, under emulation: Debian's cross compiler and QEMU, and Rust's standard library for that
//! target, which rustup has (`rustup target add aarch64-unknown-linux-gnu`) or which is built here from its source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::Apt;
use crate::{Result, at, cargo, command, execute_quietly, remove, say, setup, work};

const TARGET: &str = "aarch64-unknown-linux-gnu";
/// The sources of several recent versions of Rust.
const SUITE: &str = "trixie-backports";

/// `cargo test` for the other processor; an error says what it lacks.
pub fn tests() -> Result<Command> {
    if cfg!(target_arch = "aarch64") {
        return Err("this is such a machine: the Rust tests have run on it".into());
    }
    setup::packages(&["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"])?;
    setup::system_package("qemu-aarch64", "qemu-user")?;
    let mut tests = cargo();
    tests
        .args(["test", "--target", TARGET, "--target-dir"])
        // Of its own: some crates are built anew when RUSTC_BOOTSTRAP changes.
        .arg(work().join("aarch64/build"))
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64 -L /usr/aarch64-linux-gnu");
    let installed = rustc(&["--print", "target-libdir", "--target", TARGET])?;
    if !Path::new(&installed).exists() {
        // A stable compiler builds its own standard library when it is told so, and cargo looks there for it.
        tests
            .arg("-Zbuild-std=std,panic_unwind,test")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("__CARGO_TESTS_ONLY_SRC_ROOT", source()?);
    }
    Ok(tests)
}

/// The standard library of this very compiler: rustup's component rust-src, or Debian's package of that name.
fn source() -> Result<PathBuf> {
    let component = Path::new(&rustc(&["--print", "sysroot"])?).join("lib/rustlib/src/rust/library");
    if component.exists() {
        return Ok(component);
    }
    let version = rustc(&["--version"])?.split(' ').nth(1).unwrap_or_default().to_owned();
    let folder = work().join("aarch64").join(&version);
    if !folder.exists() {
        say(&format!("fetching the source of Rust {version}'s standard library from {SUITE} (45 MB)"));
        let package = work().join("aarch64/package");
        remove(&package)?;
        Apt::new(&package, SUITE).and_then(|apt| apt.unpack(&[format!("rust-src={version}*")])).map_err(
            |reason| {
                format!("{reason}\nno standard library for {TARGET}: rustup target add {TARGET} installs it")
            },
        )?;
        let unpacked = package.join("usr/src").join(format!("rustc-{version}")).join("library");
        fs::rename(&unpacked, &folder).map_err(at("move", &unpacked))?;
        remove(&package)?;
    }
    Ok(folder)
}

fn rustc(arguments: &[&str]) -> Result<String> {
    execute_quietly(command("rustc").args(arguments)).map(|text| text.trim().to_owned())
}
