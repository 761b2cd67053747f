//! The C# examples as a user's programs: built from the unpacked package and run on each runtime.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::nuget;
use super::test::{copy_tree, folder, source};
use super::toolchain::{Runtime, write_runtime_config};
use crate::demo::model;
use crate::{Result, at, command, copy, create_folder, execute_quietly, say};

const EXAMPLES: [&str; 2] = ["SegmentRaw", "CancelFromUi"];

/// Unpacks, builds and runs. `image` is the demo's CT, beside the labels that the C program made of it.
pub fn run(packed: &Path, image: &Path, runtimes: &[Runtime]) -> Result<()> {
    say("unpacking the NuGet package");
    let package = folder().join("unpacked");
    nuget::unpack(packed, &package)?;
    say("building the examples with xbuild, as a .NET Framework project");
    let framework = folder().join("framework");
    let _ = fs::remove_dir_all(&framework);
    for example in EXAMPLES {
        build(example, &package, &framework)?;
    }
    let core = folder().join("core");
    lay_out(&framework, &package, &core)?;
    for runtime in runtimes {
        say(&format!("running the examples on {}", runtime.name));
        let bin = if runtime.name == "Mono" { &framework } else { &core };
        let (raw, out) = (bin.join("SegmentRaw.exe"), folder().join("labels.mhd"));
        let said = execute_quietly(runtime.start(&raw).arg(model()).arg(image).arg(&out))?;
        let (ours, of_c) = (out.with_extension("raw"), image.with_file_name("labels.raw"));
        if fs::read(&ours).map_err(at("read", &ours))? != fs::read(&of_c).map_err(at("read", &of_c))? {
            return Err(format!("SegmentRaw's labels aren't those of the C program\n{said}"));
        }
        let missing = runtime.start(&raw).args(["no/such/model"]).arg(image).arg(&out).output();
        let missing = missing.map_err(|error| error.to_string())?;
        let words = String::from_utf8_lossy(&missing.stderr).into_owned();
        if missing.status.code() != Some(1) || !words.contains("no/such/model") {
            return Err(format!("SegmentRaw without a model: {words}"));
        }
        cancel(runtime.start(&bin.join("CancelFromUi.exe")).arg(model()).arg(image))?;
    }
    Ok(())
}

/// Builds one example into a folder, where the package's targets put the native files too.
fn build(example: &str, package: &Path, bin: &Path) -> Result<()> {
    let mut xbuild = command("xbuild");
    xbuild.args(["/nologo", "/verbosity:minimal", &format!("/property:Example={example}")]);
    for (name, path) in [("VoxsegPackage", package), ("OutputPath", bin)] {
        xbuild.arg(format!("/property:{name}={}", path.display()));
    }
    xbuild.arg(format!("/property:IntermediateOutputPath={}/", folder().join("obj").join(example).display()));
    execute_quietly(xbuild.arg(source("Voxseg.Tests/Consumer/Consumer.csproj"))).map(|_| ())
}

/// The same programs as the .NET SDK lays them out: native files stay below `runtimes`, and a .deps.json names them.
fn lay_out(framework: &Path, package: &Path, bin: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(bin);
    create_folder(bin)?;
    copy(&package.join("lib/netstandard2.0/Voxseg.Net.dll"), &bin.join("Voxseg.Net.dll"))?;
    copy_tree(&package.join("runtimes"), &bin.join("runtimes"))?;
    let natives: Vec<String> = files(&bin.join("runtimes"))?
        .iter()
        .filter_map(|path| {
            let name = path.strip_prefix(bin).ok()?.display().to_string();
            let platform = name.split('/').nth(1)?.to_owned();
            Some(format!(r#""{name}": {{"rid": "{platform}", "assetType": "native"}}"#))
        })
        .collect();
    let natives = natives.join(", ");
    for example in EXAMPLES {
        let program = bin.join(example).with_extension("exe");
        copy(&framework.join(program.file_name().unwrap_or_default()), &program)?;
        write_runtime_config(&program)?;
        let deps = format!(
            r#"{{"runtimeTarget": {{"name": ".NETCoreApp,Version=v8.0"}},
"targets": {{".NETCoreApp,Version=v8.0": {{
    "{example}/1.0.0": {{"dependencies": {{"Voxseg": "{0}"}}, "runtime": {{"{example}.exe": {{}}}}}},
    "Voxseg/{0}": {{"runtime": {{"lib/netstandard2.0/Voxseg.Net.dll": {{}}}}, "runtimeTargets": {{{natives}}}}}}}}},
"libraries": {{
    "{example}/1.0.0": {{"type": "project", "serviceable": false, "sha512": ""}},
    "Voxseg/{0}": {{"type": "package", "serviceable": false, "sha512": ""}}}}}}"#,
            env!("CARGO_PKG_VERSION")
        );
        let path = program.with_extension("deps.json");
        fs::write(&path, deps).map_err(at("write", &path))?;
    }
    Ok(())
}

/// Clicks on Cancel once there is progress.
fn cancel(program: &mut Command) -> Result<()> {
    let wrong = |error: std::io::Error| format!("CancelFromUi: {error}");
    let mut process = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(wrong)?;
    let (input, output) = (process.stdin.take(), process.stdout.take());
    let (mut input, output) = input.zip(output).ok_or("CancelFromUi has no terminal")?;
    let mut said = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.map_err(wrong)?;
        if said.is_empty() {
            // The program may be at its end already: then what it said tells.
            let _ = input.write_all(b"c\n");
        }
        said.push(line);
    }
    let status = process.wait().map_err(wrong)?;
    if status.code() == Some(2) && said.iter().any(|line| line == "cancelled") {
        return Ok(());
    }
    Err(format!("CancelFromUi wasn't cancelled but ended with {status}:\n{}", said.join("\n")))
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(at("read", folder))?.flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())?) } else { found.push(entry.path()) }
    }
    Ok(found)
}
