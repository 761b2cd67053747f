//! `cargo xtask install --prefix P`: CMake's own installation of this repository, with ONNX Runtime in it.

use std::path::{Path, PathBuf};

use crate::{Result, build, command, execute_quietly, fetch, root, say, setup, work};

pub fn run(prefix: &Path) -> Result<()> {
    let prefix = std::path::absolute(prefix).map_err(|error| format!("{}: {error}", prefix.display()))?;
    let cmake = setup::cmake()?;
    let folder = work().join("cmake");
    configure(
        &root(),
        &folder,
        &[
            format!("-DVOXSEG_CARGO_TARGET_DIR={}", build::shipped().display()),
            format!("-DVOXSEG_ONNXRUNTIME_DIR={}", fetch::onnxruntime()?.display()),
            "-DCMAKE_INSTALL_LIBDIR=lib".into(),
        ],
    )?;
    say("building libvoxseg through CMake");
    // With the same flags as `build::libraries`, so that it is the same library and isn't compiled twice.
    let mut compile = command(&cmake);
    compile.env("CARGO_ENCODED_RUSTFLAGS", build::remapped()).arg("--build").arg(&folder);
    execute_quietly(&mut compile)?;
    say(&format!("installing into {}", prefix.display()));
    execute_quietly(command(&cmake).arg("--install").arg(&folder).arg("--prefix").arg(&prefix))?;
    Ok(())
}

/// `cmake -S source -B build`, by Ninja.
pub fn configure(source: &Path, build: &PathBuf, definitions: &[String]) -> Result<()> {
    let mut cmake = command(setup::cmake()?);
    cmake.arg("-S").arg(source).arg("-B").arg(build).args([
        "-G",
        "Ninja",
        "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
    ]);
    cmake.arg(format!("-DCMAKE_MAKE_PROGRAM={}", setup::ninja()?.display())).args(definitions);
    execute_quietly(&mut cmake).map(|_| ())
}
