//! C# on .NET 8 for Windows: the assemblies that Mono's compiler makes here, with voxseg.dll.

use std::fs;
use std::path::{Path, PathBuf};

use super::Bench;
use super::programs::{self, on_z, same};
use crate::csharp::test::{binding, copy_tree, source};
use crate::csharp::toolchain::{Framework, compile};
use crate::demo::model;
use crate::{Result, copy, create_folder, fetch, root, say, setup};

/// What it is compiled with, and .NET for Windows; or what is missing.
pub fn runtime() -> Result<PathBuf> {
    setup::system_package("mono", "mono-runtime")?;
    setup::system_package("mcs", "mono-mcs")?;
    fetch::windows_dotnet()
}

/// The tests of the binding and the example.
pub fn run(bench: &Bench, dotnet: &Path) -> Result<()> {
    say("compiling the C# binding, its tests and the example with mcs");
    let bin = bench.bin.join("csharp");
    binding(&Framework::Standard, &bin)?;
    copy(&bench.bin.join("voxseg.dll"), &bin.join("voxseg.dll"))?;
    let runtime = bin.join("onnxruntime");
    copy_tree(&fetch::windows_onnxruntime()?, &runtime)?;
    let tests = source("Voxseg.Tests");
    let program = bin.join("Voxseg.Tests.exe");
    compile(&Framework::Standard, &[tests.clone(), tests.join("Standin")], &["Voxseg.Net.dll"], &program)?;
    let examples = bin.join("examples");
    create_folder(&examples)?;
    let raw = root().join("examples/csharp");
    let example = bin.join("SegmentRaw.exe");
    compile(&Framework::Standard, &[raw.join("SegmentRaw"), raw], &["Voxseg.Net.dll"], &example)?;

    say("testing on .NET 8 for Windows");
    let mut run = bench.wine.program(dotnet);
    let layout = programs::compile(bench, "tests/abi/layout.c", &[])?;
    run.arg(on_z(&program)).env("VOXSEG_LAYOUT", on_z(&layout));
    println!("{}", bench.wine.run(&mut run)?);

    say("segmenting with the C# example");
    let out = examples.join("labels.mhd");
    let _ = fs::remove_file(out.with_extension("raw"));
    let mut run = bench.wine.program(dotnet);
    run.arg(on_z(&example)).arg(on_z(&model())).arg(on_z(&bench.image)).arg(on_z(&out));
    bench.wine.run(&mut run)?;
    same(&out.with_extension("raw"), &bench.labels)
}
