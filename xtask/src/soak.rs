//! `cargo xtask soak SECONDS address|thread`: tests/c/soak.c for that long, with the library and Rust's standard
//! library instrumented as well as the program. Rust's sanitizers are a matter of its nightly toolchain.

use std::path::PathBuf;

use crate::{
    Result, build, cargo_target, command, demo, execute, execute_quietly, install, root, say, setup, work,
};

const TARGET: &str = "x86_64-unknown-linux-gnu";

pub fn run(seconds: &str, sanitizer: &str) -> Result<()> {
    if seconds.parse::<u32>().is_err() || !["address", "thread"].contains(&sanitizer) {
        return Err("usage: cargo xtask soak SECONDS address|thread".into());
    }
    let image = root().join("target/demo/ct.mhd");
    if !image.exists() {
        return Err("no target/demo/ct.mhd: run `cargo xtask demo` first".into());
    }
    let library = instrumented(sanitizer)?;
    let folder = work().join(format!("soak-{sanitizer}"));
    install::configure(
        &root().join("tests"),
        &folder,
        &[
            format!("-DVOXSEG_LIBRARY_DIR={}", library.display()),
            format!("-DVOXSEG_MODEL={}", demo::model().display()),
            format!("-DVOXSEG_CT={}", image.display()),
            format!("-DVOXSEG_SANITIZE={sanitizer}"),
            format!("-DVOXSEG_SOAK_SECONDS={seconds}"),
        ],
    )?;
    execute_quietly(command(setup::cmake()?).arg("--build").arg(&folder).args(["--target", "soak"]))?;
    say(&format!("eight plans in eight threads for {seconds} s, {sanitizer} sanitizer"));
    let ctest = setup::cmake()?.with_file_name("ctest");
    execute(command(ctest).arg("--test-dir").arg(&folder).args(["--verbose", "--tests-regex", "^soak$"]))
}

/// Builds the shared library with a sanitizer; gives its folder.
fn instrumented(sanitizer: &str) -> Result<PathBuf> {
    let target = cargo_target().join(format!("sanitized-{sanitizer}"));
    say(&format!("building libvoxseg with the {sanitizer} sanitizer (nightly)"));
    // The proxy of rustup and not the cargo that started this, which belongs to one toolchain.
    let mut cargo = command("cargo");
    cargo.args(["+nightly", "rustc", "--quiet", "--package", "voxseg", "--lib", "--crate-type", "cdylib"]);
    // What the standard library's locks order is only known from inside them.
    cargo.args(["-Zbuild-std", "--target", TARGET]).env("CARGO_TARGET_DIR", &target);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", format!("-Zsanitizer={sanitizer}")).env_remove("RUSTUP_TOOLCHAIN");
    execute(&mut cargo).map_err(|reason| {
        format!("{reason}; it needs: rustup toolchain install nightly --component rust-src")
    })?;
    build::lay_out(&target.join(TARGET).join("debug"), &target.join("lib"))
}
