//! MSVC's ABI, by clang in its mode for it: the header is C and C++ there too, and structures lie in memory as Rust has
//! them. Microsoft's own headers aren't to be had, so that only clang's
//! are used.

use std::fs;
use std::path::Path;

use super::Bench;
use crate::{Result, at, command, execute_quietly, root, say, std_source, zig};

const TARGETS: [&str; 3] = ["x86_64-pc-windows-msvc", "aarch64-pc-windows-msvc", "i686-pc-windows-msvc"];

/// What it takes.
pub fn headers_ready() -> Result<()> {
    zig::tool("clang").map(drop)
}

/// The header in each language that it promises, for each of Windows' processors.
pub fn headers() -> Result<()> {
    for target in TARGETS {
        say(&format!("voxseg.h for {target}"));
        for language in [["-std=c11", "-xc"], ["-std=c++17", "-xc++"]] {
            let mut clang = compiler(target)?;
            clang.args(["-fsyntax-only", "-Wall", "-Wextra", "-pedantic", "-Werror"]).args(language);
            execute_quietly(clang.arg(root().join("tests/abi/header.c")))?;
        }
    }
    Ok(())
}

fn compiler(target: &str) -> Result<std::process::Command> {
    let mut clang = zig::tool("clang")?;
    clang.arg(format!("--target={target}")).args(["-fms-compatibility-version=19.30", "-Iinclude"]);
    clang.args(["-ffreestanding", "-nostdinc", "-isystem"]).arg(zig::clang_headers()?);
    clang.arg("-isystem").arg(root().join("tests/windows/freestanding"));
    Ok(clang)
}

/// tests/abi/layout.c in MSVC's ABI prints the lines that it prints in this machine's.
pub fn layout(bench: &Bench) -> Result<()> {
    say("tests/abi/layout.c in MSVC's ABI");
    let place = |name: &str| bench.bin.join(name);
    let object = place("layout_msvc.obj");
    let mut clang = compiler(TARGETS[0])?;
    execute_quietly(clang.args(["-c", "-O1", "-o"]).arg(&object).arg(root().join("tests/abi/layout.c")))?;
    // printf of the C library that is part of Windows.
    let lld = |arguments: &[String]| -> Result<()> {
        let mut lld = command(std_source::rust_lld()?);
        execute_quietly(lld.args(["-flavor", "link"]).args(arguments)).map(drop)
    };
    let (definition, import) = (place("printf.def"), place("printf.lib"));
    fs::write(&definition, "LIBRARY msvcrt.dll\nEXPORTS\nprintf\n").map_err(at("write", &definition))?;
    lld(&["/lib".into(), "/machine:x64".into(), flag("/def:", &definition), flag("/out:", &import)])?;
    let program = place("layout_msvc.exe");
    lld(&[
        "/nodefaultlib".into(),
        "/entry:main".into(),
        "/subsystem:console".into(),
        flag("/out:", &program),
        object.display().to_string(),
        import.display().to_string(),
    ])?;
    let of_msvc = bench.wine.run(&mut bench.wine.program(&program))?;

    let here = place("layout_here");
    execute_quietly(command("cc").args(["-Iinclude", "tests/abi/layout.c", "-o"]).arg(&here))?;
    let of_here = execute_quietly(&mut command(&here))?;
    let lines = of_here.lines().count();
    if lines < 100 || of_msvc.trim() != of_here.trim() {
        return Err(format!("structures differ in MSVC's ABI:\n{of_msvc}\n{lines} lines here:\n{of_here}"));
    }
    Ok(())
}

fn flag(name: &str, path: &Path) -> String {
    format!("{name}{}", path.display())
}
