//! C and C++ programs for Windows: the tests of the C interface, the examples, and what only Windows has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Bench;
use crate::demo::model;
use crate::{Result, at, create_folder, execute_quietly, fetch, remove, root, say, zig};

/// The tests of the C interface that run here, as tests/CMakeLists.txt has them. `true`: with the model and the CT.
const TESTS: [(&str, bool); 11] = [
    ("tests/c/hostile.c", true),
    ("tests/c/overlap.c", true),
    ("tests/c/watch.c", true),
    ("tests/c/executor.c", true),
    ("tests/c/checkpoints.c", true),
    ("tests/c/nifti.c", true),
    ("tests/cpp/wrapper.cpp", true),
    ("tests/cpp/results.cpp", true),
    ("tests/abi/sizes.c", true),
    ("tests/abi/old_client.c", true),
    ("tests/abi/layout.c", false),
];

/// Compiles a program beside the library.
pub fn compile(bench: &Bench, source: &str, more: &[&str]) -> Result<PathBuf> {
    let path = root().join(source);
    let program = bench.bin.join(path.file_stem().unwrap_or_default()).with_extension("exe");
    let cpp = path.extension().is_some_and(|end| end == "cpp");
    let mut cc = zig::tool(if cpp { "c++" } else { "cc" })?;
    cc.args(["-target", "x86_64-windows-gnu", if cpp { "-std=c++17" } else { "-std=c11" }]);
    cc.args(["-O1", "-s", "-Wall", "-Wextra", "-Werror"]).args(more).arg("-Iinclude").arg("-o").arg(&program);
    cc.arg(&path).arg(bench.bin.join("voxseg.lib")).args(["-lshell32", "-lpthread"]);
    execute_quietly(&mut cc)?;
    Ok(program)
}

/// The tests of the C interface, quick.
pub fn tests(bench: &Bench) -> Result<()> {
    for (source, with_data) in TESTS {
        say(source);
        let more: &[&str] = match source {
            "tests/abi/old_client.c" => &["-Itests/abi/first"],
            "tests/cpp/results.cpp" => &["-fno-exceptions", "-fno-rtti"],
            _ => &[],
        };
        let mut program = bench.wine.program(&compile(bench, source, more)?);
        if with_data {
            program.arg(model()).arg(&bench.image).arg("--quick");
        }
        bench.wine.run(&mut program)?;
    }
    Ok(())
}

/// The examples write the bytes that the demo wrote on this machine.
pub fn examples(bench: &Bench) -> Result<()> {
    for (source, name) in [("examples/c/segment_raw.c", "of_c"), ("examples/cpp/segment_raw.cpp", "of_cpp")] {
        say(source);
        let program = compile(bench, source, &[])?;
        // As a user there has it: backslashes, a drive, and names outside ASCII.
        let folder = bench.bin.join("данные ü");
        create_folder(&folder)?;
        let out = folder.join(name).with_extension("mhd");
        let mut run = bench.wine.program(&program);
        run.arg(on_z(&model())).arg(on_z(&bench.image)).arg(on_z(&out));
        bench.wine.run(&mut run)?;
        same(&out.with_extension("raw"), &bench.labels)?;
    }
    Ok(())
}

/// Paths, loading, and both engines.
pub fn system(bench: &Bench) -> Result<()> {
    say("tests/windows/paths.c");
    let folder = bench.bin.join("paths");
    remove(&folder)?;
    let long = "a name that is long, ".repeat(8);
    let mut list = String::new();
    for name in ["Модель", "模型", "Größe é", &format!("{0}/{0}", long.trim())] {
        let copy = folder.join(name);
        crate::csharp::test::copy_tree(&model(), &copy)?;
        list.push_str(&format!("{}\n{}\n", copy.display(), on_z(&copy)));
    }
    let file = folder.join("list.txt");
    fs::write(&file, list).map_err(at("write", &file))?;
    let mut paths = bench.wine.program(&compile(bench, "tests/windows/paths.c", &[])?);
    bench.wine.run(paths.arg(&file).arg(on_z(&folder.join("模型"))))?;

    say("tests/windows/loading.c");
    let folder = bench.bin.join("stand-in");
    create_folder(&folder)?;
    let library = |name: &str| -> Result<Command> {
        let mut cc = zig::tool("cc")?;
        cc.args(["-target", "x86_64-windows-gnu", "-shared", "-O1", "-s", "-o"]).arg(folder.join(name));
        cc.arg(root().join("tests/windows/standin.c"));
        Ok(cc)
    };
    let import = folder.join("beside.lib");
    let mut beside = library("beside.dll")?;
    execute_quietly(beside.arg("-DBESIDE").arg(format!("-Wl,--out-implib,{}", import.display())))?;
    execute_quietly(library("onnxruntime.dll")?.arg(&import))?;
    let mut loading = bench.wine.program(&compile(bench, "tests/windows/loading.c", &[])?);
    bench.wine.run(loading.arg(&folder))?;

    say("tests/windows/engines.c");
    let mut engines = bench.wine.program(&compile(bench, "tests/windows/engines.c", &[])?);
    engines.env("VOXSEG_ORT_LIBRARY", fetch::windows_onnxruntime()?);
    bench.wine.run(engines.arg(model()).arg(&bench.image).arg(&bench.labels)).map(drop)
}

/// A path as Windows programs have it, on Wine's drive for this machine's `/`.
pub fn on_z(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}

/// Two files have the same bytes.
pub fn same(found: &Path, expected: &Path) -> Result<()> {
    let read = |path: &Path| fs::read(path).map_err(at("read", path));
    if read(found)? == read(expected)? {
        return Ok(());
    }
    Err(format!("{} isn't what {} is", found.display(), expected.display()))
}
