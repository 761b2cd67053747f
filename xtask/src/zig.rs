//! Zig from PyPI, for its C compiler: clang with headers and C libraries of Windows and of old Linux systems.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::{Result, at, command, create_folder, execute_quietly, say, setup, work};

const PACKAGE: &str = "ziglang==0.17.1";
/// Leaves out what rustc tells a linker that Zig's doesn't know, and puts LLVM's unwinder in the place of gcc's.
const WRAPPER: &str = "cargo-zigbuild==0.24.1";

/// The Python that has it; an error says why it can't be had. Looked for once.
fn python() -> Result<PathBuf> {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    if let Some(python) = PYTHON.get() {
        return Ok(python.clone());
    }
    let python = setup::python()?;
    install(&python, PACKAGE, "90 MB, 440 MB unpacked")?;
    Ok(PYTHON.get_or_init(|| python).clone())
}

fn install(python: &Path, package: &str, size: &str) -> Result<()> {
    let installed =
        execute_quietly(command(python).args(["-m", "pip", "freeze", "--disable-pip-version-check"]))?;
    if !installed.lines().any(|line| line == package) {
        say(&format!("fetching {package} into target/xtask/venv ({size})"));
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package];
        execute_quietly(command(python).args(install))?;
    }
    Ok(())
}

/// Where the C libraries are kept that it builds when first asked.
fn cache() -> PathBuf {
    work().join("zig")
}

/// One of its programs: `cc`, `c++`, `clang`, `dlltool`.
pub fn tool(name: &str) -> Result<Command> {
    let mut zig = command(python()?);
    zig.env("ZIG_GLOBAL_CACHE_DIR", cache()).args(["-m", "ziglang", name]);
    Ok(zig)
}

/// The headers that belong to its compiler and not to a C library.
pub fn clang_headers() -> Result<PathBuf> {
    let print = "import os, ziglang; print(os.path.dirname(ziglang.__file__))";
    let package = execute_quietly(command(python()?).args(["-c", print]))?;
    Ok(Path::new(package.trim()).join("lib/include"))
}

/// A folder for PATH: Zig's linker and dlltool under the names by which rustc starts them for Windows.
pub fn windows_tools() -> Result<PathBuf> {
    let folder = work().join("mingw");
    create_folder(&folder)?;
    let text = format!("#!/bin/sh\nexec '{}' -m ziglang dlltool \"$@\"\n", python()?.display());
    write_program(&folder.join("x86_64-w64-mingw32-dlltool"), &text)?;
    let text = format!("#!/bin/sh\nexec '{}' \"$@\"\n", linker("x86_64-windows-gnu")?.display());
    write_program(&folder.join("x86_64-w64-mingw32-gcc"), &text)?;
    Ok(folder)
}

/// A program that rustc can take as its linker for `target`, which is Zig's name of it.
pub fn linker(target: &str) -> Result<PathBuf> {
    let python = python()?;
    install(&python, WRAPPER, "3 MB")?;
    let folder = work().join("linkers");
    create_folder(&folder)?;
    let script = folder.join(target);
    let text = format!(
        "#!/bin/sh\nexport CARGO_ZIGBUILD_PYTHON_PATH='{}' ZIG_GLOBAL_CACHE_DIR='{}'\n\
         exec '{}' zig cc -- -target {target} \"$@\"\n",
        python.display(),
        cache().display(),
        python.with_file_name("cargo-zigbuild").display()
    );
    write_program(&script, &text)?;
    Ok(script)
}

/// A script that can be started.
fn write_program(path: &Path, text: &str) -> Result<()> {
    // Anew only where it differs: cargo may be starting it.
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(at("write", path))?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(at("make executable", path))?;
    Ok(())
}
