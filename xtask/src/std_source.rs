//! Rust's standard library for targets that rustup hasn't installed here: a stable compiler builds it from its source
//! when it is told so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::Apt;
use crate::{Result, at, command, execute_quietly, remove, say, work};

/// The sources of several recent versions of Rust.
const SUITE: &str = "trixie-backports";

/// Makes a cargo command build for `target`, with these crates of the standard library (such as
/// `std,panic_unwind,test`) where the target's own isn't installed. The command needs a target folder of its own: some
/// crates are built anew when RUSTC_BOOTSTRAP changes.
pub fn build_for(cargo: &mut Command, target: &str, crates: &str) -> Result<()> {
    cargo.args(["--target", target]);
    let installed = rustc(&["--print", "target-libdir", "--target", target])?;
    if !Path::new(&installed).exists() {
        cargo
            .arg(format!("-Zbuild-std={crates}"))
            .env("RUSTC_BOOTSTRAP", "1")
            // Where cargo looks for it.
            .env("__CARGO_TESTS_ONLY_SRC_ROOT", source(target)?);
    }
    Ok(())
}

/// The standard library of this very compiler: rustup's component rust-src, or Debian's package of that name.
fn source(target: &str) -> Result<PathBuf> {
    let component = Path::new(&rustc(&["--print", "sysroot"])?).join("lib/rustlib/src/rust/library");
    if component.exists() {
        return Ok(component);
    }
    let version = rustc(&["--version"])?.split(' ').nth(1).unwrap_or_default().to_owned();
    let folder = work().join("std").join(&version);
    if !folder.exists() {
        say(&format!("fetching the source of Rust {version}'s standard library from {SUITE} (45 MB)"));
        let package = work().join("std/package");
        remove(&package)?;
        Apt::new(&package, SUITE).and_then(|apt| apt.unpack(&[format!("rust-src={version}*")])).map_err(
            |reason| {
                format!("{reason}\nno standard library for {target}: rustup target add {target} installs it")
            },
        )?;
        let unpacked = package.join("usr/src").join(format!("rustc-{version}")).join("library");
        fs::rename(&unpacked, &folder).map_err(at("move", &unpacked))?;
        remove(&package)?;
    }
    Ok(folder)
}

/// What rustc says, without the line's end.
pub fn rustc(arguments: &[&str]) -> Result<String> {
    execute_quietly(command("rustc").args(arguments)).map(|text| text.trim().to_owned())
}

/// rustup's own copy of LLVM's linker, which links for every system.
pub fn rust_lld() -> Result<PathBuf> {
    let host = rustc(&["--print", "host-tuple"])?;
    let linker =
        Path::new(&rustc(&["--print", "sysroot"])?).join("lib/rustlib").join(host).join("bin/rust-lld");
    if linker.exists() { Ok(linker) } else { Err(format!("no {}", linker.display())) }
}
