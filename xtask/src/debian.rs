//! Debian packages of suites that the machine doesn't follow, unpacked under `target/xtask`.
//!
//! Nothing is installed: apt works on lists and a cache of its own, which are removed at the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, at, command, create_folder, execute_quietly};

/// apt for one folder.
pub struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Reads the lists of some suites from the mirror that the machine has its own packages from.
    pub fn new(folder: &Path, suites: &str) -> Result<Self> {
        if !Path::new("/usr/bin/apt-get").exists() {
            return Err("packages can only be unpacked on Debian".into());
        }
        for place in ["lists/partial", "cache/archives/partial", "packages"] {
            create_folder(&folder.join(place))?;
        }
        let sources = folder.join("debian.sources");
        fs::write(&sources, source_entry(suites)?).map_err(at("write", &sources))?;
        let apt = Apt { folder: folder.to_owned() };
        execute_quietly(apt.command().arg("update"))?;
        Ok(apt)
    }

    pub fn command(&self) -> Command {
        let mut apt = command("apt-get");
        let setting = |name: &str, place: &str| format!("{name}={}", self.folder.join(place).display());
        for option in [
            setting("Dir::State::Lists", "lists"),
            setting("Dir::Cache", "cache"),
            setting("Dir::Etc::SourceList", "debian.sources"),
            "Dir::Etc::SourceParts=/dev/null".into(),
            // The folder may lie where apt's own user can't read.
            "APT::Sandbox::User=root".into(),
        ] {
            apt.arg("--option").arg(option);
        }
        apt.arg("--quiet");
        apt
    }

    /// Unpacks packages, `name=version`, into the folder.
    pub fn unpack(self, wanted: &[String]) -> Result<()> {
        let packages = self.folder.join("packages");
        execute_quietly(self.command().arg("download").args(wanted).current_dir(&packages))?;
        for entry in fs::read_dir(&packages).map_err(at("read", &packages))?.flatten() {
            execute_quietly(command("dpkg-deb").arg("--extract").arg(entry.path()).arg(&self.folder))?;
        }
        for place in ["lists", "cache", "packages"] {
            let place = self.folder.join(place);
            fs::remove_dir_all(&place).map_err(at("remove", &place))?;
        }
        Ok(())
    }
}

fn source_entry(suites: &str) -> Result<String> {
    let list = Path::new("/etc/apt/sources.list.d/debian.sources");
    let own = fs::read_to_string(list).map_err(at("read", list))?;
    let field = |name: &str| own.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let (Some(mirror), Some(key)) = (field("URIs:"), field("Signed-By:")) else {
        return Err(format!("{} names no mirror", list.display()));
    };
    Ok(format!("Types: deb\nURIs: {mirror}\nSuites: {suites}\nComponents: main\nSigned-By: {key}\n"))
}
