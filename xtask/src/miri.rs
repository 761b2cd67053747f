//! `cargo xtask miri`: unit tests of what reads pointers of callers and bytes of strangers, in Miri, which knows what
//! undefined behaviour is.

use crate::{Result, cargo_target, command, execute, say};

/// Modules whose tests neither compute much nor call what Miri doesn't know.
const MODULES: [&str; 8] = [
    "buffer::",
    "checkpoint::",
    "ffi::",
    "file::",
    "floating_point::",
    "parallel::",
    "platform::reserve::",
    "platform::zeroed::",
];

pub fn run(modules: &[&str]) -> Result<()> {
    let modules = if modules.is_empty() { &MODULES } else { modules };
    say("unit tests in Miri, which needs Rust's nightly toolchain with the components miri and rust-src");
    let mut cargo = command("cargo");
    cargo.args(["+nightly", "miri", "test", "--quiet", "--package", "voxseg", "--lib", "--"]).args(modules);
    cargo
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("CARGO_TARGET_DIR", cargo_target().join("miri"));
    // Tests write files into folders of their own.
    execute(cargo.env("MIRIFLAGS", "-Zmiri-disable-isolation"))
}
