//! A GPU made of software, for tests: Mesa 25's lavapipe, taken apart from Debian's backports into `target/xtask`.
//!
//! Debian 12's own Mesa lacks what our engine asks for.

use std::fs;
use std::path::{Path, PathBuf};

use crate::debian::Apt;
use crate::{Result, at, execute_quietly, say, work};

const SUITE: &str = "bookworm-backports";
const PACKAGES: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// The environment in which a process finds a Vulkan device.
pub fn driver() -> Result<Vec<(&'static str, PathBuf)>> {
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
        ("VK_ICD_FILENAMES", settings),
        ("LD_LIBRARY_PATH", folder.join(LIBRARIES)),
        ("XDG_RUNTIME_DIR", folder),
    ])
}

fn unpack(folder: &Path) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("software Vulkan is only fetched on Debian, x86-64".into());
    }
    say("fetching Mesa 25's software Vulkan from bookworm-backports into target/xtask/vulkan (22 MB)");
    let apt = Apt::new(folder, &format!("{SUITE} bookworm"))?;
    let mut plan = apt.command();
    plan.args(["--simulate", "install", "--no-install-recommends", "-t", SUITE]).args(PACKAGES);
    // What the machine lacks, as "Inst libdrm2 [2.4.114-1] (2.4.123-1~bpo12+1 Debian Backports...".
    let wanted: Vec<String> = execute_quietly(&mut plan)?
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
            Some(format!("{name}={}", rest.split_once('(')?.1.split(' ').next()?))
        })
        .collect();
    apt.unpack(&wanted)
}
