//! ITK and VTK as Debian has them, for the tests of `voxseg_itk.hpp` and `voxseg_vtk.hpp`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Result, at, command, create_folder, execute_quietly, fetch, say, setup, work};

const ITK: &str = "libinsighttoolkit5-dev";
const VTK: &str = "libvtk9.1";
const VTK_HEADERS: &str = "libvtk9-dev";
const VTK_LIBRARIES: [&str; 3] = ["CommonDataModel", "CommonMath", "CommonCore"];

/// The definitions that `tests/toolkits` is configured with, or what is missing.
pub fn headers() -> Result<Vec<String>> {
    setup::packages(&[ITK])?;
    let mut definitions = vec![format!("-DVOXSEG_DICOM={}", fetch::images()?.join("ct_dicom").display())];
    match vtk() {
        Ok(more) => definitions.extend(more),
        Err(reason) => say(&format!("leaving VTK out: {}", reason.lines().last().unwrap_or_default())),
    }
    Ok(definitions)
}

/// The development package would bring 880 MB of what VTK as a whole depends on: its headers are unpacked alone.
fn vtk() -> Result<[String; 2]> {
    setup::packages(&[VTK])?;
    let include = |folder: &Path| folder.join("usr/include/vtk-9.1");
    let folder = work().join("vtk");
    if !include(&folder).exists() {
        say(&format!("unpacking VTK's headers ({VTK_HEADERS}, 3 MB) into target/xtask/vtk"));
        let download = work().join("download");
        let _ = fs::remove_dir_all(&download);
        create_folder(&download)?;
        execute_quietly(command("apt-get").current_dir(&download).args([
            "download",
            "--quiet",
            VTK_HEADERS,
        ]))?;
        let package = entries(&download)?.pop().ok_or("apt-get brought no package")?;
        execute_quietly(command("dpkg").arg("-x").arg(package).arg(&folder))?;
        fs::remove_dir_all(&download).map_err(at("remove", &download))?;
    }
    let listed = execute_quietly(command("dpkg").args(["-L", VTK]))?;
    let library = |name: &str| {
        let file = format!("/libvtk{name}-9.1.so.1");
        let found = listed.lines().find(|line| line.ends_with(&file));
        found.map(str::to_owned).ok_or(format!("{VTK} holds no {file}"))
    };
    let libraries: Result<Vec<String>> = VTK_LIBRARIES.iter().copied().map(library).collect();
    Ok([
        format!("-DVTK_INCLUDE={}", include(&folder).display()),
        format!("-DVTK_LIBRARIES={}", libraries?.join(";")),
    ])
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(at("read", folder))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}
