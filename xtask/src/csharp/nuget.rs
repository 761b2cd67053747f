//! The NuGet package: the assembly for every .NET, and the native library with ONNX Runtime for each platform.
//!
//! A .nupkg is a zip archive in the Open Packaging Conventions, which ask for a list of content types and of relations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use zip::write::{SimpleFileOptions, ZipWriter};

use super::test::{binding, folder};
use super::toolchain::Framework;
use crate::{Result, at, build, root, say};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The native files of one platform: its name as NuGet has it, and a folder as `build::staged` makes it.
pub struct Native {
    pub platform: String,
    pub folder: PathBuf,
}

impl Native {
    /// From `linux-x64=FOLDER`.
    pub fn parse(argument: &str) -> Result<Self> {
        let (platform, folder) =
            argument.split_once('=').ok_or("expected PLATFORM=FOLDER, as win-x64=lib")?;
        Ok(Native { platform: platform.into(), folder: folder.into() })
    }

    /// This machine's own.
    fn here(folder: PathBuf) -> Result<Self> {
        let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") => "linux-x64",
            ("linux", "aarch64") => "linux-arm64",
            ("macos", "aarch64") => "osx-arm64",
            ("windows", "x86_64") => "win-x64",
            (system, processor) => return Err(format!("NuGet has no name for {system} on {processor}")),
        };
        Ok(Native { platform: platform.into(), folder })
    }

    /// The library under the name that `DllImport` looks for.
    fn library(&self) -> &'static str {
        match self.platform.split('-').next() {
            Some("win") => "voxseg.dll",
            Some("osx") => "libvoxseg.dylib",
            _ => "libvoxseg.so",
        }
    }
}

/// `cargo xtask nuget`: for this machine's platform.
pub fn run() -> Result<()> {
    super::toolchain::runtimes()?;
    let package = pack(&build::staged()?, &[], &[])?;
    say(&package.display().to_string());
    Ok(())
}

/// Writes the package and returns its path: with this machine's library, those built elsewhere, and documents, which
/// are files and where they go.
pub fn pack(library: &Path, others: &[Native], documents: &[(PathBuf, String)]) -> Result<PathBuf> {
    let assembly = folder().join("package");
    // With the SDK the project makes a second one for .NET 8; mcs has no assemblies that one may refer to.
    binding(&Framework::Standard, &assembly)?;
    let mut entries: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut add = |name: String, path: &Path| -> Result<()> {
        entries.insert(name, fs::read(path).map_err(at("read", path))?);
        Ok(())
    };
    for file in ["Voxseg.Net.dll", "Voxseg.Net.xml"] {
        add(format!("lib/netstandard2.0/{file}"), &assembly.join(file))?;
    }
    add("README.md".into(), &root().join("bindings/csharp/README.md"))?;
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        add(format!("licenses/voxseg/{licence}"), &root().join(licence))?;
    }
    for (path, name) in documents {
        add(name.clone(), path)?;
    }
    let here = Native::here(library.into())?;
    for native in others.iter().chain([&here]) {
        let folder = format!("runtimes/{}/native", native.platform);
        add(format!("{folder}/{}", native.library()), &native.folder.join(native.library()))?;
        let runtime = native.folder.join("onnxruntime");
        for entry in fs::read_dir(&runtime).map_err(at("read", &runtime))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let target = if name.contains("onnxruntime.") { &folder } else { "licenses" };
            add(format!("{target}/onnxruntime/{name}"), &entry.path())?;
        }
    }
    let targets = targets(entries.keys());
    for folder in ["build", "buildTransitive"] {
        entries.insert(format!("{folder}/net461/Voxseg.targets"), targets.clone().into());
    }
    entries.insert("Voxseg.nuspec".into(), nuspec().into());
    entries.insert("_rels/.rels".into(), RELATIONS.into());
    let types = content_types(entries.keys());
    entries.insert("[Content_Types].xml".into(), types.into());

    let path = folder().join(format!("Voxseg.{VERSION}.nupkg"));
    let wrong = |error: zip::result::ZipError| format!("cannot write {}: {error}", path.display());
    let mut archive = ZipWriter::new(File::create(&path).map_err(at("write", &path))?);
    for (name, content) in &entries {
        // The default options carry no time of day: the same files make the same package.
        archive.start_file(name, SimpleFileOptions::default()).map_err(wrong)?;
        archive.write_all(content).map_err(at("write", &path))?;
    }
    archive.finish().map_err(wrong)?;
    Ok(path)
}

/// Unpacks a package as NuGet does, once it is what a package must be.
pub fn unpack(package: &Path, to: &Path) -> Result<()> {
    let wrong = |reason: String| format!("{}: {reason}", package.display());
    let file = File::open(package).map_err(at("read", package))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| wrong(error.to_string()))?;
    let names: BTreeSet<String> = archive
        .file_names()
        .map(|name| name.map(std::borrow::Cow::into_owned))
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    let _ = fs::remove_dir_all(to);
    archive.extract(to).map_err(|error| wrong(error.to_string()))?;

    let read = |name: &str| -> Result<Vec<u8>> {
        let (mut content, path) = (Vec::new(), to.join(name));
        File::open(&path).and_then(|mut file| file.read_to_end(&mut content)).map_err(at("read", &path))?;
        Ok(content)
    };
    let types = String::from_utf8_lossy(&read("[Content_Types].xml")?).into_owned();
    for name in names.iter().filter(|name| *name != "[Content_Types].xml") {
        let known = match extension(name) {
            Some(extension) => format!("Extension=\"{extension}\""),
            None => format!("PartName=\"/{name}\""),
        };
        if !types.contains(&known) {
            return Err(wrong(format!("{name} has no content type")));
        }
        let own = root().display().to_string();
        if read(name)?.windows(own.len()).any(|part| part == own.as_bytes()) {
            return Err(wrong(format!("{name} names the folder that it was built in")));
        }
    }
    if !["voxseg/LICENSE-MIT", "onnxruntime/LICENSE"]
        .iter()
        .all(|it| names.contains(&format!("licenses/{it}")))
    {
        return Err(wrong("a licence is missing".into()));
    }
    let nuspec = String::from_utf8_lossy(&read("Voxseg.nuspec")?).into_owned();
    if !nuspec.contains(&format!("<version>{VERSION}</version>")) {
        return Err(wrong("the .nuspec has another version".into()));
    }
    let relations = String::from_utf8_lossy(&read("_rels/.rels")?).into_owned();
    let targets = String::from_utf8_lossy(&read("build/net461/Voxseg.targets")?).into_owned();
    let natives =
        names.iter().filter(|name| name.starts_with("runtimes/")).map(|name| format!("../../{name}"));
    match natives.into_iter().find(|name| !targets.contains(name.as_str())) {
        Some(missing) => Err(wrong(format!("Voxseg.targets lacks {missing}"))),
        None if !relations.contains("Target=\"/Voxseg.nuspec\"") => {
            Err(wrong("no relation to the .nuspec".into()))
        }
        None => Ok(()),
    }
}

fn nuspec() -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
  <metadata>
    <id>Voxseg</id>
    <version>{VERSION}</version>
    <authors>The voxseg developers</authors>
    <license type="expression">Apache-2.0 OR MIT</license>
    <readme>README.md</readme>
    <description>{}</description>
    <tags>medical imaging segmentation CT MRI nnU-Net MONAI inference</tags>
    <dependencies>
      <group targetFramework=".NETStandard2.0" />
    </dependencies>
  </metadata>
</package>
"#,
        "Organ and tumour segmentation inside your own program: published nnU-Net, MONAI and Auto3DSeg models, \
         voxels that you hold in memory, labels on their own grid."
    )
}

const RELATIONS: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
  <Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/Voxseg.nuspec" Id="manifest" />
</Relationships>
"#;

/// .NET Framework and Mono don't know `runtimes/<platform>/native`: there a build copies the files beside the program.
/// Each file by its name, since xbuild has no metadata within links.
fn targets<'a>(entries: impl Iterator<Item = &'a String>) -> String {
    let mut text = String::from(
        r#"<?xml version="1.0" encoding="utf-8"?>
<Project xmlns="http://schemas.microsoft.com/developer/msbuild/2003">
  <!-- Which native files go beside the program. Set it to build for another platform than this. -->
  <PropertyGroup Condition="'$(VoxsegPlatform)' == ''">
    <VoxsegPlatform Condition="'$(OS)' == 'Windows_NT'">win-x64</VoxsegPlatform>
    <VoxsegPlatform Condition="'$(OS)' != 'Windows_NT'">linux-x64</VoxsegPlatform>
    <VoxsegPlatform Condition="Exists('/System/Library/CoreServices')">osx-arm64</VoxsegPlatform>
  </PropertyGroup>
  <ItemGroup>
"#,
    );
    for entry in entries {
        let Some((platform, file)) =
            entry.strip_prefix("runtimes/").and_then(|rest| rest.split_once("/native/"))
        else {
            continue;
        };
        let _ = write!(
            text,
            r#"    <None Include="$(MSBuildThisFileDirectory)../../{entry}" Condition="'$(VoxsegPlatform)' == '{platform}'">
      <Link>{file}</Link>
      <CopyToOutputDirectory>PreserveNewest</CopyToOutputDirectory>
      <Visible>false</Visible>
    </None>
"#
        );
    }
    text + "  </ItemGroup>\n</Project>\n"
}

fn content_types<'a>(entries: impl Iterator<Item = &'a String>) -> String {
    let mut parts = BTreeSet::new();
    for entry in entries {
        let kind = match extension(entry) {
            Some("rels") => "application/vnd.openxmlformats-package.relationships+xml",
            _ => "application/octet",
        };
        parts.insert(match extension(entry) {
            Some(extension) => format!("  <Default Extension=\"{extension}\" ContentType=\"{kind}\" />\n"),
            None => format!("  <Override PartName=\"/{entry}\" ContentType=\"{kind}\" />\n"),
        });
    }
    let parts: String = parts.into_iter().collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\n{parts}</Types>\n"
    )
}

/// Also of a name that is nothing else: `.rels`.
fn extension(name: &str) -> Option<&str> {
    name.rsplit('/').next()?.rsplit_once('.').map(|(_, extension)| extension)
}
