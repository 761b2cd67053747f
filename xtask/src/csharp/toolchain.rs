//! What C# is compiled with and run on here: Mono from the system, .NET 8 from a wheel. Neither needs the .NET SDK.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, at, command, execute_quietly, fetch, say, setup};

/// Where a program runs.
pub struct Runtime {
    pub name: &'static str,
    program: PathBuf,
}

impl Runtime {
    /// A program as a user starts it: cargo's search path for libraries would hide that one is missing.
    pub fn start(&self, assembly: &Path) -> Command {
        let mut program = command(&self.program);
        program.arg(assembly).env_remove("VOXSEG_ORT_LIBRARY").env_remove("LD_LIBRARY_PATH");
        program
    }
}

/// Mono with its compiler, and .NET 8 where there is one; or what is missing.
pub fn runtimes() -> Result<Vec<Runtime>> {
    setup::system_package("mono", "mono-runtime")?;
    setup::system_package("mcs", "mono-mcs")?;
    let mut found = vec![Runtime { name: "Mono", program: "mono".into() }];
    match fetch::dotnet() {
        Ok(program) => found.push(Runtime { name: ".NET 8", program }),
        Err(reason) => say(&format!("leaving .NET 8 out: {}", reason.trim())),
    }
    Ok(found)
}

/// The builder of projects of the old form; or what is missing.
pub fn xbuild() -> Result<()> {
    setup::system_package("xbuild", "mono-xbuild")
}

/// What an assembly is compiled for.
pub enum Framework {
    /// netstandard2.0 and what has it: .NET Framework, Mono, .NET.
    Standard,
    /// .NET alone, by the assemblies in this folder; they are those of 3.1, the newest that mcs can read.
    Core(PathBuf),
}

/// Libraries of .NET that binding and tests refer to.
const OF_CORE: [&str; 15] = [
    "System.Private.CoreLib",
    "System.Collections",
    "System.ComponentModel.Primitives",
    "System.Console",
    "System.Diagnostics.Process",
    "System.IO.FileSystem",
    "System.Linq",
    "System.Memory",
    "System.Runtime",
    "System.Runtime.Extensions",
    "System.Runtime.InteropServices",
    "System.Text.RegularExpressions",
    "System.Threading",
    "System.Threading.Tasks.Parallel",
    "System.Threading.Thread",
];

/// Compiles folders of sources into a program or, with a name that ends so, a library. References are the libraries
/// that lie beside it.
pub fn compile(
    framework: &Framework,
    sources: &[PathBuf],
    references: &[&str],
    assembly: &Path,
) -> Result<()> {
    let mut mcs = command("mcs");
    mcs.args(["-nologo", "-langversion:7.2", "-unsafe", "-warnaserror", "-optimize", "-debug-"]);
    if let Framework::Core(folder) = framework {
        // 1702 is about two versions of the same facade, which .NET has, too.
        mcs.args(["-nostdlib", "-noconfig", "-nowarn:1702", "-define:NETCOREAPP3_0_OR_GREATER"]);
        mcs.args(OF_CORE.map(|name| format!("-reference:{}/{name}.dll", folder.display())));
    }
    let library = assembly.extension().is_some_and(|extension| extension == "dll");
    if library {
        mcs.arg("-target:library").arg(format!("-doc:{}", assembly.with_extension("xml").display()));
    } else {
        write_runtime_config(assembly)?;
    }
    for reference in references {
        mcs.arg(format!("-reference:{}", assembly.with_file_name(reference).display()));
    }
    mcs.arg(format!("-out:{}", assembly.display()));
    for folder in sources {
        let entries = fs::read_dir(folder).map_err(at("read", folder))?;
        let files = entries.flatten().map(|entry| entry.path());
        let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|it| it == "cs")).collect();
        files.sort();
        mcs.args(files);
    }
    execute_quietly(&mut mcs).map(|_| ())
}

/// Tells .NET which version of it a program runs on.
pub fn write_runtime_config(program: &Path) -> Result<()> {
    let config = r#"{"runtimeOptions": {
    "framework": {"name": "Microsoft.NETCore.App", "version": "8.0.0"},
    "configProperties": {"System.Globalization.Invariant": true}}}"#;
    let path = program.with_extension("runtimeconfig.json");
    fs::write(&path, config).map_err(at("write", &path))
}
