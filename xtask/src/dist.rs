//! `cargo xtask dist`: what users download, from one build of the library: an archive for C and C++, the Python wheel,
//! the NuGet package. All hold the same library, byte for byte, whose size and needs are checked.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::csharp::nuget::Native;
use crate::sbom::Contents;
use crate::{
    Result, at, command, copy, create_folder, csharp, execute_quietly, fetch, install, python, remove, root,
    say, setup, work,
};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The most that the stripped library may have, in bytes.
const SIZE: u64 = 12_000_000;
/// Where in the archive the list of what is inside is, and the licences of others.
const SBOM: &str = "share/doc/voxseg/voxseg.cdx.json";
const LICENCES: &str = "share/licenses/voxseg/THIRD-PARTY.txt";
/// What a Linux library may need: the parts of the C library, and the unwinder that every such system has beside it.
const NEEDED: [&str; 4] = ["libc.so.", "libm.so.", "ld-linux", "libgcc_s.so.1"];

/// `natives` are `PLATFORM=FOLDER`: libraries that were built elsewhere, for the NuGet package.
pub fn run(natives: &[&str]) -> Result<()> {
    let natives: Vec<Native> = natives.iter().map(|text| Native::parse(text)).collect::<Result<_>>()?;
    let (newest, _) = python::interpreters()?;
    let mut packages = vec![archive()?, wheel(&newest)?];
    match csharp::toolchain::runtimes() {
        Ok(_) => packages.push(nuget(&natives)?),
        Err(reason) => say(&format!("leaving the NuGet package out: {reason}")),
    }
    for package in packages {
        say(&format!("{} ({})", package.display(), sha256(&package)?));
    }
    Ok(())
}

/// The library, headers, CMake package, pkg-config module, licences and the list of what is inside, in one folder.
pub fn archive() -> Result<PathBuf> {
    let folder = installed();
    remove(&folder)?;
    install::run(&folder)?;
    let library = library(&folder)?;
    check(&library)?;

    document(&folder, &library, None)?;
    let archive = folder.with_file_name(format!("{}.tar.gz", file_name(&folder)));
    say(&format!("packing {}", archive.display()));
    let mut tar = command("tar");
    tar.current_dir(folder.parent().unwrap_or(&folder));
    if cfg!(target_os = "linux") {
        // The same files give the same archive.
        let time = execute_quietly(command("git").args(["log", "-1", "--format=--mtime=@%ct"]));
        let time = time.unwrap_or_else(|_| "--mtime=@0".into()); // no repository, but its sources
        tar.args([
            "--sort=name",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--use-compress-program=gzip -n",
        ]);
        tar.arg(time.trim()).arg("-cf");
    } else {
        tar.arg("-czf");
    }
    execute_quietly(tar.arg(&archive).arg(file_name(&folder)))?;
    Ok(archive)
}

/// Adds the list of what is inside, the licences, and what a user reads first. `target`: as [`Contents::new`] takes it.
pub fn document(folder: &Path, library: &Path, target: Option<&str>) -> Result<()> {
    say("listing what is inside, and the licences");
    let contents = Contents::new(target)?;
    let name = library.file_name().unwrap_or_default().to_string_lossy();
    let documents = folder.join("share/doc/voxseg");
    create_folder(&documents)?;
    let sbom = contents.cyclonedx(VERSION, (&name, &sha256(library)?), fetch::ONNXRUNTIME_VERSION);
    write(&folder.join(SBOM), &sbom)?;
    write(&folder.join(LICENCES), &contents.licences()?)?;
    for document in ["README.md", "CHANGELOG.md"] {
        copy(&root().join(document), &documents.join(document))?;
    }
    Ok(())
}

/// The wheel with the library of the archive, which was made before. maturin has to compile one itself to make a wheel:
/// that one only holds its place, so it is compiled as fast as can be.
pub fn wheel(newest: &python::Interpreter) -> Result<PathBuf> {
    let hasty = [("OPT_LEVEL", "0"), ("LTO", "off"), ("CODEGEN_UNITS", "16")];
    let made = python::wheel(newest, &hasty)?;
    let unpacked = folder().join("wheel");
    remove(&unpacked)?;
    newest.install(&[], &["wheel"])?;
    let mut wheel = newest.python();
    execute_quietly(wheel.args(["-m", "wheel", "unpack", "--dest"]).arg(&unpacked).arg(&made))?;
    let tree = unpacked.join(format!("voxseg-{VERSION}"));
    let place = entries(&tree.join("voxseg/_native"))?
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == std::env::consts::DLL_EXTENSION));
    let place = place.ok_or("the wheel holds no library")?;
    fs::copy(library(&installed())?, &place).map_err(at("write", &place))?;
    let information = tree.join(format!("voxseg-{VERSION}.dist-info"));
    for (from, to) in [(LICENCES, "licenses/THIRD-PARTY.txt"), (SBOM, "sboms/voxseg.cdx.json")] {
        let to = information.join(to);
        create_folder(to.parent().unwrap_or(&to))?;
        copy(&installed().join(from), &to)?;
    }
    let mut import = newest.python();
    import.env("PYTHONPATH", &tree).env("PYTHONDONTWRITEBYTECODE", "1");
    execute_quietly(import.args(["-c", "import voxseg; voxseg.devices()"]))?;
    let mut wheel = newest.python();
    execute_quietly(wheel.args(["-m", "wheel", "pack", "--dest-dir"]).arg(folder()).arg(&tree))?;
    remove(&unpacked)?;
    Ok(folder().join(file_name(&made)))
}

/// The NuGet package with the library of the archive, which was made before.
pub fn nuget(natives: &[Native]) -> Result<PathBuf> {
    let own = [(LICENCES, "licenses/voxseg/THIRD-PARTY.txt"), (SBOM, "voxseg.cdx.json")];
    let mut documents: Vec<(PathBuf, String)> =
        own.iter().map(|(from, to)| (installed().join(from), (*to).into())).collect();
    for path in entries(&installed().join("share/licenses/onnxruntime"))? {
        let to = format!("licenses/onnxruntime/{}", file_name(&path));
        documents.push((path, to));
    }
    let native = installed().join(if cfg!(windows) { "bin" } else { "lib" });
    let made = csharp::nuget::pack(&native, natives, &documents)?;
    let unpacked = folder().join("nuget");
    csharp::nuget::unpack(&made, &unpacked)?;
    remove(&unpacked)?;
    let package = folder().join(file_name(&made));
    copy(&made, &package)?;
    Ok(package)
}

/// Unpacks an archive and gives the folder in it.
pub fn unpack(archive: &Path, into: &Path) -> Result<PathBuf> {
    create_folder(into)?;
    execute_quietly(command("tar").arg("-xzf").arg(archive).arg("-C").arg(into))?;
    Ok(into.join(file_name(archive).trim_end_matches(".tar.gz")))
}

/// The list of what is inside an unpacked archive is what it says it is, by the format's own schema.
pub fn validate(unpacked: &Path) -> Result<()> {
    let python = setup::python()?;
    execute_quietly(command(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "cyclonedx-python-lib[json-validation]>=11,<12",
    ]))?;
    execute_quietly(command(&python).args(["-c", VALIDATE]).arg(unpacked.join(SBOM))).map(|_| ())
}

const VALIDATE: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
text = open(sys.argv[1], encoding='utf-8').read()
wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
sys.exit(str(wrong) if wrong else 0)
";

/// The library is small and needs nothing that a machine may lack.
fn check(library: &Path) -> Result<()> {
    let size = fs::metadata(library).map_err(at("read", library))?.len();
    if size > SIZE {
        return Err(format!("{} has {size} bytes; expected at most {SIZE}", library.display()));
    }
    if cfg!(target_os = "linux") {
        let dynamic = execute_quietly(command("readelf").args(["--wide", "--dynamic"]).arg(library))?;
        let needed =
            dynamic.lines().filter_map(|line| line.split_once("(NEEDED)")?.1.split(['[', ']']).nth(1));
        for name in needed {
            if !NEEDED.iter().any(|start| name.starts_with(start)) {
                return Err(format!("{} needs {name}", library.display()));
            }
        }
    }
    Ok(())
}

/// The shared library's real file in an installation.
fn library(installed: &Path) -> Result<PathBuf> {
    let folder = installed.join(if cfg!(windows) { "bin" } else { "lib" });
    let found = entries(&folder)?.into_iter().find(|path| {
        let name = file_name(path);
        !path.is_symlink() && path.is_file() && name.contains("voxseg.") && !name.ends_with(".a")
    });
    found.ok_or(format!("no shared library in {}", folder.display()))
}

pub fn folder() -> PathBuf {
    work().join("dist")
}

/// What the archive holds.
fn installed() -> PathBuf {
    folder().join(format!("voxseg-{VERSION}-{}-{}", std::env::consts::OS, std::env::consts::ARCH))
}

pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(fs::read_dir(folder).map_err(at("read", folder))?.flatten().map(|entry| entry.path()).collect())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(at("write", path))
}

pub fn sha256(path: &Path) -> Result<String> {
    let content = fs::read(path).map_err(at("read", path))?;
    Ok(Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect())
}
