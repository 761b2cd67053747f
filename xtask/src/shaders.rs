//! `cargo xtask shaders`: compiles the kernels of our own GPU engine, and those around its networks, to SPIR-V, so that
//! building the library needs no compiler.
//!
//! What comes out is committed, with the checksum of a folder's sources in its `checksum.txt`, which the library's
//! tests compare; `cargo xtask test GPU` compiles anew and compares all of it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::debian::Apt;
use crate::{Result, at, command, create_folder, execute_quietly, remove, root, say, work};

/// Debian 12's own glslang knows no cooperative matrices; these are started with their own C library.
const SUITE: &str = "trixie";
const PACKAGES: [&str; 5] = ["glslang-tools", "spirv-tools", "libc6", "libstdc++6", "libgcc-s1"];
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Kernels of one folder: the name, the source, and what is defined for it.
struct Folder {
    path: &'static str,
    kernels: &'static [(&'static str, &'static str, &'static [&'static str])],
}

/// Those of the engine, and those around networks.
const FOLDERS: [Folder; 2] = [
    Folder {
        path: "src/engine/gpu/shaders",
        kernels: &[
            ("image_half", "conv", &["-DHALF", "-DIMAGE"]),
            ("image_single", "conv", &["-DIMAGE"]),
            ("conv_half", "conv", &["-DHALF"]),
            ("conv_single", "conv", &[]),
            ("matrices_half", "conv", &["-DHALF", "-DMATRICES"]),
            ("map_half", "map", &["-DHALF"]),
            ("map_single", "map", &[]),
            ("sample_half", "sample", &["-DHALF"]),
            ("sample_single", "sample", &[]),
            ("mean_half", "mean", &["-DHALF"]),
            ("mean_single", "mean", &[]),
            ("depthwise_half", "depthwise", &["-DHALF"]),
            ("depthwise_single", "depthwise", &[]),
            ("layer_norm_half", "layer_norm", &["-DHALF"]),
            ("layer_norm_single", "layer_norm", &[]),
            ("attention_half", "attention", &["-DHALF"]),
            ("attention_single", "attention", &[]),
            ("ends_half", "ends", &["-DHALF"]),
            ("ends_single", "ends", &[]),
            ("finish", "finish", &[]),
        ],
    },
    Folder {
        path: "src/inference/device/shaders",
        kernels: &[
            ("cut", "cut", &[]),
            ("gather", "gather", &[]),
            ("count", "count", &[]),
            ("blend_half", "blend", &["-DHALF"]),
            ("blend_single", "blend", &[]),
            ("mean_half", "mean", &["-DHALF"]),
            ("mean_single", "mean", &[]),
            ("clear_half", "clear", &["-DHALF"]),
            ("clear_single", "clear", &[]),
            ("activate_half", "activate", &["-DHALF"]),
            ("activate_single", "activate", &[]),
            ("restore_half", "restore", &["-DHALF"]),
            ("restore_single", "restore", &[]),
        ],
    },
];

pub fn run() -> Result<()> {
    for folder in &FOLDERS {
        say(&format!("compiling {} for Vulkan 1.3", folder.path));
        for (path, there) in folder.compiled()? {
            fs::write(&path, there).map_err(at("write", &path))?;
        }
    }
    Ok(())
}

/// Whether the committed files are what their sources give.
pub fn check() -> Result<()> {
    for (path, expected) in FOLDERS.iter().map(Folder::compiled).collect::<Result<Vec<_>>>()?.concat() {
        if fs::read(&path).map_err(at("read", &path))? != expected {
            return Err(format!("{} is stale: run `cargo xtask shaders`", path.display()));
        }
    }
    Ok(())
}

impl Folder {
    /// The files and their contents.
    fn compiled(&self) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let tools = tools()?;
        let (sources, out) = (root().join(self.path), work().join("spirv"));
        remove(&out)?;
        create_folder(&out)?;
        let mut files = Vec::new();
        for (name, source, definitions) in self.kernels {
            let spirv = out.join(format!("{name}.spv"));
            let source = sources.join(format!("{source}.comp"));
            let mut compile = tool(&tools, "glslang");
            compile.args(["--target-env", "vulkan1.3", "-V", "-g0", "--quiet"]).args(*definitions);
            execute_quietly(compile.arg(source).arg("-o").arg(&spirv))?;
            let mut check = tool(&tools, "spirv-val");
            execute_quietly(check.args(["--target-env", "vulkan1.3", "--scalar-block-layout"]).arg(&spirv))?;
            let code = fs::read(&spirv).map_err(at("read", &spirv))?;
            files.push((sources.join(format!("{name}.spv")), code));
        }
        files.push((sources.join("checksum.txt"), format!("{}\n", checksum(&sources)?).into_bytes()));
        Ok(files)
    }
}

/// SHA-256 of all sources' names and contents, in the order of their names.
fn checksum(folder: &Path) -> Result<String> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(at("read", folder))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "comp" || kind == "glsl"))
        .collect();
    paths.sort();
    let mut digest = Sha256::new();
    for path in paths {
        digest.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        digest.update(fs::read(&path).map_err(at("read", &path))?);
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The folder with the compiler and the validator.
fn tools() -> Result<PathBuf> {
    let folder = work().join("shaders");
    if folder.join("usr/bin/spirv-val").exists() && folder.join("usr/bin/glslang").exists() {
        return Ok(folder);
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("glslang is only fetched on Debian, x86-64".into());
    }
    say("fetching glslang and SPIRV-Tools from Debian 13 into target/xtask/shaders (10 MB)");
    Apt::new(&folder, SUITE)?.unpack(&PACKAGES.map(String::from))?;
    Ok(folder)
}

/// A program of that folder, by its own loader.
fn tool(folder: &Path, name: impl AsRef<OsStr>) -> Command {
    let libraries = folder.join(LIBRARIES);
    let mut tool = command(libraries.join("ld-linux-x86-64.so.2"));
    tool.arg("--library-path").arg(libraries).arg(folder.join("usr/bin").join(name.as_ref()));
    tool
}
