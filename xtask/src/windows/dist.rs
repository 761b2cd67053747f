//! `cargo xtask dist windows`: the archive for C and C++ on Windows, made on Linux.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use zip::write::{SimpleFileOptions, ZipWriter};

use super::{TARGET, library};
use crate::dist::{VERSION, document, entries, file_name, folder, sha256};
use crate::{Result, at, command, execute_quietly, fetch, install, remove, root, say, setup, work, zig};

/// What the archive must hold, beside the licences of ONNX Runtime.
const INSIDE: [&str; 13] = [
    "bin/voxseg.dll",
    "bin/onnxruntime/onnxruntime.dll",
    "include/voxseg.h",
    "include/voxseg.hpp",
    "lib/voxseg.lib",
    "lib/libvoxseg.dll.a",
    "lib/cmake/voxseg/voxsegConfig.cmake",
    "lib/cmake/voxseg/voxsegConfigVersion.cmake",
    "share/doc/voxseg/voxseg.cdx.json",
    "share/licenses/onnxruntime/LICENSE",
    "share/licenses/voxseg/LICENSE-APACHE",
    "share/licenses/voxseg/LICENSE-MIT",
    "share/licenses/voxseg/THIRD-PARTY.txt",
];

pub fn run() -> Result<()> {
    let built = library::build(false)?;
    let installed = install(&built)?;
    document(&installed, &installed.join("bin/voxseg.dll"), Some(TARGET))?;
    if let Some(missing) = INSIDE.iter().find(|name| !installed.join(name).is_file()) {
        return Err(format!("the archive would lack {missing}"));
    }
    let archive = pack(&installed)?;
    say(&format!("{} ({})", archive.display(), sha256(&archive)?));
    Ok(())
}

/// CMake's installation, as on Windows.
fn install(built: &Path) -> Result<PathBuf> {
    let installed = folder().join(format!("voxseg-{VERSION}-windows-x86_64"));
    remove(&installed)?;
    let build = work().join("windows/cmake");
    remove(&build)?;
    let linker = zig::linker("x86_64-windows-gnu")?;
    install::configure(
        &root(),
        &build,
        &[
            format!("-DVOXSEG_BUILT_DIR={}", built.display()),
            format!("-DVOXSEG_ONNXRUNTIME_DIR={}", fetch::windows_onnxruntime()?.display()),
            "-DCMAKE_INSTALL_LIBDIR=lib".into(),
            "-DCMAKE_SYSTEM_NAME=Windows".into(),
            // Nothing is compiled: CMake asks which compiler there is, and what a pointer's size is.
            format!("-DCMAKE_C_COMPILER={}", linker.display()),
            format!("-DCMAKE_CXX_COMPILER={}", linker.display()),
            "-DCMAKE_C_COMPILER_FORCED=ON".into(),
            "-DCMAKE_CXX_COMPILER_FORCED=ON".into(),
            "-DCMAKE_SIZEOF_VOID_P=8".into(),
        ],
    )?;
    say(&format!("installing into {}", installed.display()));
    let mut cmake = command(setup::cmake()?);
    execute_quietly(cmake.arg("--install").arg(&build).arg("--prefix").arg(&installed))?;
    Ok(installed)
}

/// A zip archive of a folder, under the folder's name. The same files make the same archive.
fn pack(installed: &Path) -> Result<PathBuf> {
    let path = installed.with_file_name(format!("{}.zip", file_name(installed)));
    say(&format!("packing {}", path.display()));
    let mut files = Vec::new();
    gather(installed, &mut files)?;
    files.sort();
    let wrong = |error: zip::result::ZipError| format!("cannot write {}: {error}", path.display());
    let mut archive = ZipWriter::new(File::create(&path).map_err(at("write", &path))?);
    for file in files {
        let inside = file.strip_prefix(installed).map_err(|error| error.to_string())?;
        let name = format!("{}/{}", file_name(installed), inside.display());
        // The default options carry no time of day.
        archive.start_file(name, SimpleFileOptions::default()).map_err(wrong)?;
        let content = fs::read(&file).map_err(at("read", &file))?;
        archive.write_all(&content).map_err(at("write", &path))?;
    }
    archive.finish().map_err(wrong)?;
    Ok(path)
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in entries(folder)? {
        if entry.is_dir() {
            gather(&entry, files)?;
        } else {
            files.push(entry);
        }
    }
    Ok(())
}
