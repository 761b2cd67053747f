//! A GPU made of software, for tests: Mesa 25's lavapipe, taken apart from Debian's backports into `target/xtask`.
//!
//! Debian 12's own Mesa lacks what WebGPU asks for. Nothing is installed: apt works on lists and a cache of its own,
//! and the packages are only unpacked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, at, command, create_folder, execute_quietly, fetch, say, work};

const SUITE: &str = "bookworm-backports";
const PACKAGES: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// The environment in which a process finds WebGPU's plug-in and a Vulkan device.
pub fn environment() -> Result<Vec<(&'static str, PathBuf)>> {
    let plugin = fetch::webgpu()?;
    let folder = work().join("vulkan");
    let driver = folder.join(LIBRARIES).join("libvulkan_lvp.so");
    if !driver.exists() {
        unpack(&folder)?;
    }
    let settings = folder.join("lvp.json");
    let text = format!(
        "{{\"ICD\":{{\"api_version\":\"1.4.305\",\"library_path\":\"{}\"}},\"file_format_version\":\"1.0.1\"}}",
        driver.display()
    );
    fs::write(&settings, text).map_err(at("write", &settings))?;
    Ok(vec![
        ("VOXSEG_ORT_PLUGIN", plugin),
        ("VK_ICD_FILENAMES", settings),
        ("LD_LIBRARY_PATH", folder.join(LIBRARIES)),
        ("ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER", "1".into()),
        ("XDG_RUNTIME_DIR", folder),
    ])
}

fn unpack(folder: &Path) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) || !Path::new("/usr/bin/apt-get").exists() {
        return Err("software Vulkan is only fetched on Debian, x86-64".into());
    }
    say("fetching Mesa 25's software Vulkan from bookworm-backports into target/xtask/vulkan (22 MB)");
    let packages = folder.join("packages");
    for place in ["lists/partial", "cache/archives/partial", "packages"] {
        create_folder(&folder.join(place))?;
    }
    let sources = folder.join("backports.sources");
    fs::write(&sources, source_entry()?).map_err(at("write", &sources))?;
    execute_quietly(apt(folder).arg("update"))?;
    let mut plan = apt(folder);
    plan.args(["--simulate", "install", "--no-install-recommends", "-t", SUITE]).args(PACKAGES);
    // What the machine lacks, as "Inst libdrm2 [2.4.114-1] (2.4.123-1~bpo12+1 Debian Backports...".
    let wanted: Vec<String> = execute_quietly(&mut plan)?
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
            Some(format!("{name}={}", rest.split_once('(')?.1.split(' ').next()?))
        })
        .collect();
    execute_quietly(apt(folder).arg("download").args(&wanted).current_dir(&packages))?;
    for entry in fs::read_dir(&packages).map_err(at("read", &packages))?.flatten() {
        execute_quietly(command("dpkg-deb").arg("--extract").arg(entry.path()).arg(folder))?;
    }
    for place in ["lists", "cache", "packages"] {
        let place = folder.join(place);
        fs::remove_dir_all(&place).map_err(at("remove", &place))?;
    }
    Ok(())
}

/// Backports from the mirror that the machine has its own packages from.
fn source_entry() -> Result<String> {
    let list = Path::new("/etc/apt/sources.list.d/debian.sources");
    let own = fs::read_to_string(list).map_err(at("read", list))?;
    let field = |name: &str| own.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let (Some(mirror), Some(key)) = (field("URIs:"), field("Signed-By:")) else {
        return Err(format!("{} names no mirror", list.display()));
    };
    Ok(format!("Types: deb\nURIs: {mirror}\nSuites: {SUITE} bookworm\nComponents: main\nSigned-By: {key}\n"))
}

fn apt(folder: &Path) -> Command {
    let mut apt = command("apt-get");
    let setting = |name: &str, place: &str| format!("{name}={}", folder.join(place).display());
    for option in [
        setting("Dir::State::Lists", "lists"),
        setting("Dir::Cache", "cache"),
        setting("Dir::Etc::SourceList", "backports.sources"),
        "Dir::Etc::SourceParts=/dev/null".into(),
        // The folder may lie where apt's own user can't read.
        "APT::Sandbox::User=root".into(),
    ] {
        apt.arg("--option").arg(option);
    }
    apt.arg("--quiet");
    apt
}
