//! voxseg.dll, built here: Rust compiles a static library, Zig links it with the Universal C Runtime, and rust-lld
//! writes the import library for MSVC.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::TARGET;
use crate::{
    Result, at, build, cargo, command, create_folder, execute, execute_quietly, root, say, std_source, work,
    zig,
};

/// What the library may need: parts of Windows 10, the C runtime among them.
const NEEDED: [&str; 7] = [
    "advapi32.dll",
    "api-ms-win-core-synch-",
    "api-ms-win-crt-",
    "bcryptprimitives.dll",
    "kernel32.dll",
    "ntdll.dll",
    "psapi.dll",
];
/// What parts of Rust's standard library need that nobody calls: link-time optimisation takes them out.
const UNUSED: [&str; 2] = ["userenv.dll", "ws2_32.dll"];

/// The library's files: `voxseg.dll`, `voxseg.lib` and, for mingw, `libvoxseg.dll.a`.
///
/// `hasty`: without link-time optimisation, for tests.
pub fn build(hasty: bool) -> Result<PathBuf> {
    let name = name(hasty);
    say(&format!("building voxseg.dll ({name})"));
    let mut rustc = rustc(hasty)?;
    rustc.args(["--package", "voxseg", "--lib", "--crate-type", "staticlib"]);
    execute(&mut rustc)?;
    let folder = work().join("windows").join(format!("{name}-lib"));
    link(&built(hasty).join("libvoxseg.a"), &folder)?;
    check(&folder.join("voxseg.dll"), hasty)?;
    Ok(folder)
}

/// `cargo rustc` for Windows, which lacks what it is to compile.
pub fn rustc(hasty: bool) -> Result<Command> {
    let mut rustc = cargo();
    rustc.args(["rustc", "--quiet", "--release"]);
    std_source::build_for(&mut rustc, TARGET, "std,panic_unwind")?;
    let tools = [zig::windows_tools()?].into_iter();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(tools.chain(std::env::split_paths(&path)));
    rustc.env("CARGO_TARGET_DIR", target(hasty)).env("PATH", path.map_err(|error| error.to_string())?);
    if hasty {
        let settings = [("LTO", "off"), ("CODEGEN_UNITS", "16"), ("OPT_LEVEL", "2"), ("STRIP", "none")];
        for (setting, value) in settings {
            rustc.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
        }
    } else {
        rustc.env("CARGO_ENCODED_RUSTFLAGS", build::remapped());
    }
    Ok(rustc)
}

fn name(hasty: bool) -> &'static str {
    if hasty { "hasty" } else { "shipped" }
}

fn target(hasty: bool) -> PathBuf {
    work().join("windows").join(name(hasty))
}

/// Where [`rustc`]'s command leaves what it made.
pub fn built(hasty: bool) -> PathBuf {
    target(hasty).join(TARGET).join("release")
}

fn link(archive: &Path, folder: &Path) -> Result<()> {
    create_folder(folder)?;
    let list = root().join("include/voxseg.symbols");
    let symbols = fs::read_to_string(&list).map_err(at("read", &list))?;
    let definition = folder.join("voxseg.def");
    fs::write(&definition, format!("LIBRARY voxseg.dll\nEXPORTS\n{symbols}"))
        .map_err(at("write", &definition))?;
    let library = folder.join("voxseg.dll");
    let newer = |a: &Path, b: &Path| {
        Some(fs::metadata(a).ok()?.modified().ok()? >= fs::metadata(b).ok()?.modified().ok()?)
    };
    if newer(&library, archive) != Some(true) {
        say("linking voxseg.dll with Zig");
        let mut cc = zig::tool("cc")?;
        cc.args(["-target", "x86_64-windows-gnu", "-shared", "-O2", "-s", "-Wl,--gc-sections", "-o"])
            .arg(&library);
        // Its unwinder is LLVM's, and inside.
        cc.arg(&definition).arg(archive);
        cc.args(["-lkernel32", "-lntdll", "-luserenv", "-lws2_32", "-lunwind"]);
        execute_quietly(&mut cc)?;
    }
    let mut import = command(std_source::rust_lld()?);
    import.args(["-flavor", "link", "/lib", "/machine:x64"]);
    import.arg(format!("/def:{}", definition.display()));
    execute_quietly(import.arg(format!("/out:{}", folder.join("voxseg.lib").display())))?;
    let mut import = zig::tool("dlltool")?;
    import.args(["-m", "i386:x86-64", "-d"]).arg(&definition).arg("-l").arg(folder.join("libvoxseg.dll.a"));
    execute_quietly(&mut import).map(|_| ())
}

/// A program or library needs nothing that Windows 10 lacks. Gives what objdump says of it.
pub fn check_imports(file: &Path, hasty: bool) -> Result<String> {
    let text = execute_quietly(command("objdump").arg("--private-headers").arg(file))?;
    let allowed = NEEDED.into_iter().chain(UNUSED.into_iter().filter(|_| hasty));
    for name in text.lines().filter_map(|line| line.trim().strip_prefix("DLL Name: ")) {
        if !allowed.clone().any(|start| name.to_lowercase().starts_with(start)) {
            return Err(format!("{} needs {name}", file.display()));
        }
    }
    Ok(text)
}

/// It exports the interface and nothing else, and needs nothing that Windows 10 lacks.
fn check(library: &Path, hasty: bool) -> Result<()> {
    let text = check_imports(library, hasty)?;
    let exported: BTreeSet<&str> = exports(&text).collect();
    let list = root().join("include/voxseg.symbols");
    let listed = fs::read_to_string(&list).map_err(at("read", &list))?;
    let listed: BTreeSet<&str> = listed.lines().collect();
    if exported != listed {
        let odd: Vec<&&str> = exported.symmetric_difference(&listed).collect();
        return Err(format!("{} and include/voxseg.symbols differ in {odd:?}", library.display()));
    }
    for flag in ["HIGH_ENTROPY_VA", "DYNAMIC_BASE", "NX_COMPAT"] {
        if !text.contains(flag) {
            return Err(format!("{} hasn't the flag {flag}", library.display()));
        }
    }
    Ok(())
}

/// The names in objdump's table of them: the lines after its title, which end with a name.
fn exports(text: &str) -> impl Iterator<Item = &str> {
    let table = text.split_once("[Ordinal/Name Pointer] Table").map_or("", |(_, table)| table);
    table.lines().skip(1).map_while(|line| line.trim_start().strip_prefix('[')?.split_whitespace().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_read_from_the_table() {
        let text = "DLL Name: KERNEL32.dll\n\n[Ordinal/Name Pointer] Table -- Ordinal Base 1\n\t[   0] +base[   1]  0000 a\n\
                    \t[   1] b\n\nThe Function Table (interpreted .pdata section contents)\n\t[ 2] c\n";
        assert_eq!(exports(text).collect::<Vec<_>>(), ["a", "b"]);
    }
}
