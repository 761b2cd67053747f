//! Tools that the machine may lack: Python's own, CMake, Ninja, valgrind. And what `fetch` brings.

use std::path::{Path, PathBuf};

use crate::{Result, command, execute_quietly, fetch, say, work};

const CMAKE: &str = "cmake==3.31.6";
const NINJA: &str = "ninja==1.11.1.4";

pub fn run() -> Result<()> {
    fetch::onnxruntime()?;
    fetch::other_onnxruntime()?;
    fetch::images()?;
    cmake()?;
    ninja()?;
    compilers()
}

/// A Python with pip, in a virtual environment of this project's own.
pub fn python() -> Result<PathBuf> {
    let venv = work().join("venv");
    let python = in_venv("python");
    if execute_quietly(command(&python).args(["-m", "pip", "--version"])).is_ok() {
        return Ok(python);
    }
    let system = ["python3", "python"]
        .into_iter()
        .find(|name| {
            execute_quietly(command(name).args(["-c", "import sys; assert sys.version_info >= (3, 9)"]))
                .is_ok()
        })
        .ok_or("Python 3.9 or newer is needed to fetch ONNX Runtime and the demo's CT: install python3")?;
    if execute_quietly(command(system).args(["-c", "import ensurepip, venv"])).is_err() {
        apt_install(&["python3-venv"])
            .map_err(|reason| format!("this Python cannot make a virtual environment: {reason}"))?;
    }
    say("making a Python environment in target/xtask/venv");
    execute_quietly(command(system).args(["-m", "venv", "--clear"]).arg(&venv))?;
    Ok(python)
}

/// CMake 3.20 or newer: the machine's, or a wheel.
pub fn cmake() -> Result<PathBuf> {
    let new_enough = |text: &str| {
        let version = text.split_whitespace().nth(2).unwrap_or_default();
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next(), parts.next()) >= (Some(3), Some(20))
    };
    tool("cmake", CMAKE, new_enough)
}

pub fn ninja() -> Result<PathBuf> {
    tool("ninja", NINJA, |_| true)
}

/// A C and a C++ compiler; these are not fetched.
pub fn compilers() -> Result<()> {
    for name in ["cc", "c++"] {
        execute_quietly(command(name).arg("--version"))
            .map_err(|_| format!("no `{name}`: install gcc and g++, or clang"))?;
    }
    Ok(())
}

/// A program of Debian's package of the same name; an error says why there is none.
pub fn system_tool(name: &str) -> Result<()> {
    system_package(name, name)
}

/// As `system_tool`, for a program whose package has another name.
pub fn system_package(program: &str, package: &str) -> Result<()> {
    if execute_quietly(command(program).arg("--version")).is_ok() { Ok(()) } else { apt_install(&[package]) }
}

/// Debian packages, installed where they aren't; an error says why they can't be.
pub fn packages(names: &[&str]) -> Result<()> {
    let installed = |name: &&str| {
        let query =
            execute_quietly(command("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", name]));
        query.is_ok_and(|status| status == "installed")
    };
    let missing: Vec<&str> = names.iter().copied().filter(|name| !installed(name)).collect();
    if missing.is_empty() { Ok(()) } else { apt_install(&missing) }
}

fn tool(name: &str, requirement: &str, accept: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let candidates = [PathBuf::from(name), in_venv(name)];
    let works =
        |path: &PathBuf| execute_quietly(command(path).arg("--version")).is_ok_and(|text| accept(&text));
    if let Some(found) = candidates.into_iter().find(works) {
        return Ok(found);
    }
    let python = python()?;
    say(&format!("fetching {name} ({requirement})"));
    execute_quietly(command(python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        requirement,
    ]))?;
    Ok(in_venv(name))
}

fn in_venv(name: &str) -> PathBuf {
    let bin = if cfg!(windows) { "Scripts" } else { "bin" };
    work().join("venv").join(bin).join(name)
}

/// Installs Debian packages when that is possible without asking: as root, on such a system.
fn apt_install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    let root = execute_quietly(command("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !root || !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!("install {list} (on Debian and Ubuntu: apt-get install {list})"));
    }
    say(&format!("installing {list} with apt-get"));
    let install = || {
        let mut apt = command("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        execute_quietly(apt.args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(packages))
    };
    if install().is_ok() {
        return Ok(());
    }
    // The lists may be old, or not there yet.
    execute_quietly(command("apt-get").args(["update", "--quiet"]))?;
    install().map(|_| ())
}
