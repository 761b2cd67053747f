//! The library for older Linux systems: Zig links it against glibc 2.17, and it runs with Debian 11's C library, 2.31,
//! the oldest that is still to be had.

use std::fs;
use std::path::{Path, PathBuf};

use crate::debian::Apt;
use crate::demo::model;
use crate::windows::programs::same;
use crate::{Result, at, cargo, command, create_folder, execute, execute_quietly, remove, say, work, zig};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// As Zig writes it.
const WITH_FLOOR: &str = "x86_64-linux-gnu.2.17";
const FLOOR: [u32; 3] = [2, 17, 0];
/// Parts of that C library, which were files of their own then.
const NEEDED: [&str; 5] = ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "ld-linux-x86-64.so.2"];
const OLD_SUITE: &str = "bullseye";

/// The linker for the floor; an error says what it lacks.
pub fn linker() -> Result<PathBuf> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("only on Linux, x86-64".into());
    }
    zig::linker(WITH_FLOOR)
}

/// Builds the library, and runs the C example on it here and with an old C library. `image` is the demo's CT.
pub fn test(linker: &Path, image: &Path) -> Result<()> {
    let folder = work().join("glibc");
    let library = build(linker, &folder)?;
    check(&library)?;

    let program = folder.join("segment_raw");
    let mut cc = zig::tool("cc")?;
    cc.args(["-target", WITH_FLOOR, "-std=c11", "-O2", "-Iinclude", "examples/c/segment_raw.c", "-o"]);
    execute_quietly(cc.arg(&program).arg(&library).args(["-Wl,-rpath,$ORIGIN", "-lm"]))?;
    let expected = image.with_file_name("labels.raw");
    let segment = |of: &str, mut run: std::process::Command| -> Result<()> {
        say(&format!("segmenting with {of}"));
        let out = folder.join("labels.mhd");
        let _ = fs::remove_file(out.with_extension("raw"));
        run.env_remove("LD_LIBRARY_PATH").arg(model()).arg(image).arg(&out);
        execute_quietly(&mut run)?;
        same(&out.with_extension("raw"), &expected)
    };
    segment("this machine's C library", command(&program))?;
    let old = old_libraries()?;
    let mut run = command(old.join("ld-linux-x86-64.so.2"));
    run.arg("--library-path").arg(format!("{}:{}", old.display(), folder.display())).arg(&program);
    segment("Debian 11's C library", run)
}

/// `libvoxseg.so` in `folder`, without link-time optimisation: what it needs of the C library is the same.
fn build(linker: &Path, folder: &Path) -> Result<PathBuf> {
    say("building libvoxseg.so for glibc 2.17");
    let target = folder.join("build");
    let mut rustc = cargo();
    rustc.args(["rustc", "--quiet", "--release", "--target", TARGET, "--package", "voxseg", "--lib"]);
    rustc.args(["--crate-type", "cdylib", "--", "-C"]).arg(format!("linker={}", linker.display()));
    rustc.env("CARGO_TARGET_DIR", &target);
    for (setting, value) in [("LTO", "off"), ("CODEGEN_UNITS", "16"), ("OPT_LEVEL", "2")] {
        rustc.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
    }
    execute(&mut rustc)?;
    let built = target.join(TARGET).join("release/libvoxseg.so");
    let dynamic = execute_quietly(command("readelf").args(["--wide", "--dynamic"]).arg(&built))?;
    let name = bracketed(&dynamic, "(SONAME)").next().ok_or("libvoxseg.so has no soname")?;
    // Programs look for it by that name.
    let library = folder.join(name);
    fs::copy(&built, &library).map_err(at("write", &library))?;
    Ok(library)
}

/// It needs parts of the C library only, and no symbol that is newer than the floor.
fn check(library: &Path) -> Result<()> {
    let dynamic = execute_quietly(command("readelf").args(["--wide", "--dynamic"]).arg(library))?;
    if let Some(name) = bracketed(&dynamic, "(NEEDED)").find(|name| !NEEDED.contains(name)) {
        return Err(format!("{} needs {name}", library.display()));
    }
    let symbols = execute_quietly(command("objdump").arg("--dynamic-syms").arg(library))?;
    let newest = newest(&symbols).ok_or("libvoxseg.so needs nothing of glibc, says objdump")?;
    if newest > FLOOR {
        return Err(format!("{} needs glibc {newest:?}; expected at most {FLOOR:?}", library.display()));
    }
    say(&format!("the newest symbol that it needs is of glibc {}.{}", newest[0], newest[1]));
    Ok(())
}

/// What stands in brackets on readelf's lines of one kind.
fn bracketed<'a>(text: &'a str, kind: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.split_once(kind)?.1.split(['[', ']']).nth(1))
}

/// The newest version of glibc in objdump's table of symbols.
fn newest(symbols: &str) -> Option<[u32; 3]> {
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let text = rest.split(|letter: char| letter != '.' && !letter.is_ascii_digit()).next()?;
        let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
        Some([parts.next()?, parts.next().unwrap_or(0), parts.next().unwrap_or(0)])
    });
    versions.max()
}

/// The folder of Debian 11's C library, unpacked.
fn old_libraries() -> Result<PathBuf> {
    let root = work().join("glibc").join(OLD_SUITE);
    let libraries = root.join("lib/x86_64-linux-gnu");
    if !libraries.join("libc.so.6").exists() {
        say("fetching Debian 11's C library into target/xtask/glibc (3 MB)");
        remove(&root)?;
        create_folder(&root)?;
        // By its version: apt would look for the one that is installed here.
        Apt::new(&root, OLD_SUITE)?.unpack(&["libc6=2.31*".to_owned()])?;
    }
    Ok(libraries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_found_by_number() {
        let text = "0000 DF *UND* 0000 (GLIBC_2.2.5) memcpy\n0000 DF *UND* 0000 (GLIBC_2.17) clock_gettime\n\
                    0000 DF *UND* 0000 (GLIBC_2.4) __stack_chk_fail\n0001 g DF .text 0002 Base vxs_version\n";
        assert_eq!(newest(text), Some([2, 17, 0]));
        assert_eq!(newest("0000 DF *UND* 0000 (GLIBC_2.34) dlopen"), Some([2, 34, 0]));
        assert_eq!(newest("nothing"), None);
    }
}
