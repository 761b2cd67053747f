//! The tests of the C# binding, on each runtime: its own, and what a program says whose native library isn't right.

use std::fs;
use std::path::{Path, PathBuf};

use super::quickstart;
use super::toolchain::{Framework, Runtime, compile};
use crate::demo::model;
use crate::{Result, at, copy, create_folder, execute, execute_quietly, fetch, root, say, work};

/// Builds the binding with its tests against the shared library and runs them.
pub fn run(library: &Path, runtimes: &[Runtime]) -> Result<()> {
    let bin = folder().join("bin");
    say("compiling the C# binding and its tests with mcs");
    let program = programs(&Framework::Standard, library, &bin)?;
    let probe = source("Voxseg.Tests/Probe");
    compile(&Framework::Standard, &[probe], &["Voxseg.Net.dll"], &bin.join("Probe.exe"))?;
    let quickstart = quickstart::compiled(&bin)?;
    let probes = probes(&bin, library)?;
    for runtime in runtimes {
        say(&format!("testing on {}", runtime.name));
        execute(&mut runtime.start(&program))?;
        say("running what stands in docs/quickstart-csharp.md");
        execute_quietly(runtime.start(&quickstart).current_dir(root()))?;
        for (folder, expected) in &probes {
            let said = execute_quietly(runtime.start(&folder.join("Probe.exe")).arg(model()))?;
            if !expected.iter().all(|part| said.contains(part)) {
                return Err(format!("in {}:\n{said}expected {expected:?} in it", folder.display()));
            }
        }
    }
    Ok(())
}

/// The same with what .NET has beside netstandard2.0: Memory, Span, asynchronous disposal.
pub fn on_core(library: &Path, runtimes: &[Runtime]) -> Result<()> {
    let framework = Framework::Core(fetch::dotnet_references()?);
    let program = programs(&framework, library, &folder().join("core-bin"))?;
    let core = runtimes.iter().find(|runtime| runtime.name != "Mono").ok_or("there is no .NET")?;
    execute(&mut core.start(&program))
}

/// The binding, its tests and the native libraries in a folder. Gives the tests' program.
fn programs(framework: &Framework, library: &Path, bin: &Path) -> Result<PathBuf> {
    binding(framework, bin)?;
    copy_tree(library, bin)?;
    let tests = source("Voxseg.Tests");
    let program = bin.join("Voxseg.Tests.exe");
    compile(framework, &[tests.clone(), tests.join("Standin")], &["Voxseg.Net.dll"], &program)?;
    Ok(program)
}

/// Compiles the binding itself into a folder. On Windows Voxseg.dll would be the same name as the native voxseg.dll.
pub fn binding(framework: &Framework, folder: &Path) -> Result<()> {
    // The SDK writes this by itself.
    let about = work().join("csharp/about");
    create_folder(folder)?;
    create_folder(&about)?;
    let version = about.join("Version.cs");
    let text =
        concat!("[assembly: System.Reflection.AssemblyVersion(\"", env!("CARGO_PKG_VERSION"), ".0\")]\n");
    fs::write(&version, text).map_err(at("write", &version))?;
    compile(framework, &[source("Voxseg"), about], &[], &folder.join("Voxseg.Net.dll"))
}

/// Folders with the same program beside different native libraries, and what it must say there.
fn probes(bin: &Path, library: &Path) -> Result<Vec<(PathBuf, Vec<&'static str>)>> {
    let place = |name: &str| -> Result<PathBuf> {
        let folder = folder().join(name);
        let _ = fs::remove_dir_all(&folder);
        create_folder(&folder)?;
        for file in ["Voxseg.Net.dll", "Probe.exe", "Probe.runtimeconfig.json"] {
            copy(&bin.join(file), &folder.join(file))?;
        }
        Ok(folder)
    };
    let (alone, other, half) = (place("missing")?, place("another interface")?, place("no runtime")?);
    let shared = format!("{}voxseg{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let c = source("Voxseg.Tests/Probe/other_interface.c");
    execute(crate::command("cc").args(["-shared", "-fPIC", "-o"]).arg(other.join(&shared)).arg(c))?;
    copy(&library.join(&shared), &half.join(&shared))?;
    Ok(vec![
        (bin.into(), vec!["Info: ONNX Runtime 1.", "a plan was made"]),
        (alone, vec!["DllNotFoundException: the native library voxseg was not found", "Voxseg.Net.dll"]),
        (other, vec!["NotSupportedException: this assembly needs interface ", "(release 7.1.2) offers 7.1"]),
        (half, vec!["DeviceException: ", "onnxruntime"]),
    ])
}

/// Copies files and folders, links as what they point to.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    create_folder(to)?;
    for entry in fs::read_dir(from).map_err(at("read", from))?.flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() { copy_tree(&path, &target)? } else { copy(&path, &target)? }
    }
    Ok(())
}

/// A folder or file of the binding.
pub fn source(name: &str) -> PathBuf {
    root().join("bindings/csharp").join(name)
}

/// Where what is built of C# goes.
pub fn folder() -> PathBuf {
    work().join("csharp")
}
