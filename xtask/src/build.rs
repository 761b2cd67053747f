//! The libraries and the tool, built by cargo and laid out as an installation has them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Result, at, cargo, cargo_target, copy, create_folder, execute, fetch, root, say, work};

/// Builds the shared and the static library as they are shipped.
///
/// Without the rlib: with it among the crate types, cargo leaves link-time optimisation out and says nothing.
/// In a folder of their own: cargo would build them anew after each build with the rlib.
pub fn libraries() -> Result<()> {
    say("building libvoxseg (release)");
    execute(
        cargo()
            .env("CARGO_TARGET_DIR", shipped())
            .env("CARGO_ENCODED_RUSTFLAGS", remapped())
            .args(["rustc", "--quiet", "--release", "--package", "voxseg", "--lib"])
            .args(["--crate-type", "cdylib,staticlib"]),
    )
}

/// Texts of panics name source files: not by where they lay on this machine.
pub fn remapped() -> String {
    let home =
        std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let mut flags: Vec<String> = std::env::var("RUSTFLAGS")
        .map(|flags| flags.split_whitespace().map(str::to_owned).collect())
        .unwrap_or_default();
    flags.push(format!("--remap-path-prefix={}=voxseg", root().display()));
    flags.extend(home.map(|home| format!("--remap-path-prefix={home}=cargo")));
    flags.join("\u{1f}")
}

/// Builds the shared library and lays it out, links and ONNX Runtime included: the folder that programs link with.
pub fn staged() -> Result<PathBuf> {
    libraries()?;
    lay_out(&shipped().join("release"), &work().join("lib"))
}

/// Lays a shared library out that lies in `from`, where cargo built it. Gives `folder`.
pub fn lay_out(from: &Path, folder: &Path) -> Result<PathBuf> {
    let built = from.join(shared_name(None));
    create_folder(folder)?;
    if cfg!(windows) {
        copy(&built, &folder.join(shared_name(None)))?;
        let import = built.with_extension("dll.lib");
        copy(&import, &folder.join("voxseg.lib"))?;
    } else {
        let real = shared_name(Some(env!("CARGO_PKG_VERSION")));
        let soname = shared_name(Some(&abi_major()?));
        copy(&built, &folder.join(&real))?;
        link(folder, &soname, &real)?;
        link(folder, &shared_name(None), &soname)?;
    }
    let runtime = folder.join("onnxruntime");
    create_folder(&runtime)?;
    let fetched = fetch::onnxruntime()?;
    for entry in fs::read_dir(&fetched).map_err(at("read", &fetched))?.flatten() {
        copy(&entry.path(), &runtime.join(entry.file_name()))?;
    }
    Ok(folder.into())
}

/// Where cargo builds the libraries that are shipped.
pub fn shipped() -> PathBuf {
    cargo_target().join("shipped")
}

/// Builds the command-line tool.
pub fn tool() -> Result<PathBuf> {
    say("building the tool (release)");
    execute(cargo().args(["build", "--quiet", "--release", "--package", "voxseg-tool"]))?;
    Ok(cargo_target().join("release").join(format!("voxseg{}", std::env::consts::EXE_SUFFIX)))
}

/// [`staged`] and [`tool`] at the same time: for most of it, each keeps no more than one core busy.
pub fn library_and_tool() -> Result<(PathBuf, PathBuf)> {
    std::thread::scope(|scope| {
        let tool = scope.spawn(tool);
        let library = staged();
        let tool = tool.join().map_err(|_| "the tool's build panicked")?;
        Ok((library?, tool?))
    })
}

/// The file name of the shared library, plain or with a version in it.
fn shared_name(version: Option<&str>) -> String {
    match version {
        _ if cfg!(windows) => "voxseg.dll".into(),
        None if cfg!(target_os = "macos") => "libvoxseg.dylib".into(),
        Some(version) if cfg!(target_os = "macos") => format!("libvoxseg.{version}.dylib"),
        None => "libvoxseg.so".into(),
        Some(version) => format!("libvoxseg.so.{version}"),
    }
}

fn abi_major() -> Result<String> {
    let path = root().join("src/ffi/version.rs");
    let text = fs::read_to_string(&path).map_err(at("read", &path))?;
    let line = text.lines().find_map(|line| line.strip_prefix("pub const VXS_ABI_MAJOR: u32 = "));
    line.and_then(|rest| rest.strip_suffix(';'))
        .map(str::to_owned)
        .ok_or("no VXS_ABI_MAJOR in src/ffi/version.rs".into())
}

fn link(folder: &Path, name: &str, target: &str) -> Result<()> {
    let link = folder.join(name);
    let _ = fs::remove_file(&link);
    #[cfg(unix)]
    let made = std::os::unix::fs::symlink(target, &link);
    #[cfg(not(unix))]
    let made = fs::copy(folder.join(target), &link).map(|_| ());
    made.map_err(at("link", &link))
}
