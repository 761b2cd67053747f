//! Wine 10 of Debian 13, unpacked under `target/xtask` and installed nowhere, in which Windows programs run.
//!
//! It needs a newer C library than Debian 12 has, so that it runs in a root folder of its own, in which this machine's
//! folders are mounted. That takes root. Drive Z: is this machine's `/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::debian::Apt;
use crate::{Result, at, command, create_folder, execute_quietly, remove, root, say, work, zig};

const SUITE: &str = "trixie";
const PACKAGES: [&str; 13] = [
    "libwine",
    "wine64",
    "libz-mingw-w64",
    "libc6",
    // Without its locales, names outside ASCII aren't found.
    "libc-bin",
    "libgcc-s1",
    "libunwind8",
    "liblzma5",
    "zlib1g",
    "libfreetype6",
    "libpng16-16t64",
    "libbrotli1",
    "libbz2-1.0",
];
/// Where Wine's own DLLs are.
const DLLS: &str = "usr/lib/x86_64-linux-gnu/wine/x86_64-windows";
/// Longer than any of our programs takes, in seconds.
const PATIENCE: &str = "900";

/// An unpacked Wine. Its server ends with this.
pub struct Wine {
    folder: PathBuf,
}

impl Wine {
    /// Unpacks Wine where that wasn't done before; an error says what it lacks.
    pub fn new() -> Result<Self> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Err("Wine is only unpacked on Debian, x86-64".into());
        }
        if execute_quietly(command("id").arg("-u"))?.trim() != "0" {
            return Err("Wine's root folder takes root".into());
        }
        let folder = work().join("wine");
        let wine = Wine { folder };
        if !wine.folder.join("complete").exists() {
            wine.unpack()?;
        }
        Ok(wine)
    }

    fn unpack(&self) -> Result<()> {
        say("fetching Wine 10 from Debian 13 into target/xtask/wine (117 MB, 1 GB unpacked)");
        remove(&self.folder)?;
        let root = self.root();
        Apt::new(&root, SUITE)?.unpack(&PACKAGES.map(str::to_owned))?;
        for (link, target) in [("lib", "usr/lib"), ("lib64", "usr/lib64")] {
            let link = root.join(link);
            if !link.exists() {
                symlink(target, &link)?;
            }
        }
        self.lay_out()?;
        let complete = self.folder.join("complete");
        fs::write(&complete, "").map_err(at("write", &complete))
    }

    /// A Windows folder tree, by hand: Wine's own wineboot wants a screen, and without one starts explorer.exe again
    /// and again.
    fn lay_out(&self) -> Result<()> {
        let prefix = self.folder.join("prefix");
        let drive = prefix.join("drive_c");
        let system = drive.join("windows/system32");
        for place in
            [&system, &drive.join("windows/temp"), &drive.join("users/root/Temp"), &prefix.join("dosdevices")]
        {
            create_folder(place)?;
        }
        symlink("../drive_c", &prefix.join("dosdevices/c:"))?;
        symlink("/", &prefix.join("dosdevices/z:"))?;
        let dlls = self.root().join(DLLS);
        // What the package's installation would link there; without it user32.dll doesn't load.
        let zlib = self.root().join("usr/x86_64-w64-mingw32/lib/zlib1.dll");
        fs::copy(&zlib, dlls.join("zlib1.dll")).map_err(at("copy", &zlib))?;
        for entry in fs::read_dir(&dlls).map_err(at("read", &dlls))?.flatten() {
            if entry.path().extension().is_some_and(|end| end == "dll") {
                fs::copy(entry.path(), system.join(entry.file_name())).map_err(at("copy", &entry.path()))?;
            }
        }
        let mut cc = zig::tool("cc")?;
        cc.args(["-target", "x86_64-windows-gnu", "-shared", "-O2", "-s", "-o"]).arg(system.join("dxgi.dll"));
        execute_quietly(cc.arg(root().join("tests/windows/no_dxgi.c")))?;
        let stamp = prefix.join(".update-timestamp");
        fs::write(&stamp, "disable\n").map_err(at("write", &stamp))
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// A command inside, with the repository as its folder.
    fn inside(&self, program: &str) -> Command {
        let mut inside = command("timeout");
        inside.args(["--kill-after=10", PATIENCE, "unshare", "--mount", "bash", "-c", ENTER, "enter"]);
        inside.arg(self.root()).arg(&self.folder).arg(program);
        inside
            .env("WINEPREFIX", self.folder.join("prefix"))
            .env("WINEDEBUG", "-all")
            .env("LC_ALL", "C.UTF-8")
            .env("WINELOADER", "/usr/lib/wine/wine64")
            .env("WINESERVER", "/usr/lib/wine/wineserver64")
            .env("WINEDLLOVERRIDES", "mshtml=;dxgi=n;explorer.exe=d;winemenubuilder.exe=d")
            .env_remove("VOXSEG_ORT_LIBRARY")
            .env_remove("LD_LIBRARY_PATH");
        inside
    }

    /// A Windows program, to which arguments and variables can be added.
    pub fn program(&self, program: &Path) -> Command {
        let mut inside = self.inside("/usr/lib/wine/wine64");
        inside.arg(program);
        inside
    }

    /// Runs a program; what it said, or that with how it ended.
    pub fn run(&self, program: &mut Command) -> Result<String> {
        let (success, said) = self.outcome(program)?;
        if success { Ok(said) } else { Err(format!("{said}\nthe program failed under Wine")) }
    }

    /// Whether a program ended well, and what it said.
    pub fn outcome(&self, program: &mut Command) -> Result<(bool, String)> {
        // Not a pipe: Wine's services keep it open after the program's end.
        let log = self.folder.join("said.txt");
        let file = File::create(&log).map_err(at("write", &log))?;
        let errors = file.try_clone().map_err(at("write", &log))?;
        let program = program.stdin(Stdio::null()).stdout(file).stderr(errors);
        let status = program.status().map_err(|error| format!("cannot start Wine: {error}"))?;
        let said = fs::read(&log).map_err(at("read", &log))?;
        Ok((status.success(), String::from_utf8_lossy(&said).replace('\r', "")))
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        let mut stop = self.inside("/usr/lib/wine/wineserver64");
        // It may have ended by itself.
        let _ = stop.arg("-k").stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn symlink(target: &str, link: &Path) -> Result<()> {
    execute_quietly(command("ln").args(["-sfn", target]).arg(link)).map(|_| ())
}

/// Mounts this machine's folders in the root folder, all but those of its system, and starts a program there.
const ENTER: &str = r#"
root=$1 folder=$2; shift 2
mkdir -p "$root"/{proc,dev,sys,tmp}
for place in proc dev sys; do mount --rbind "/$place" "$root/$place"; done
for place in $(ls /); do
    case $place in proc|dev|sys|usr|lib|lib32|lib64|libx32|bin|sbin|etc) continue ;; esac
    [ -d "/$place" ] && [ ! -L "/$place" ] && mkdir -p "$root/$place" && mount --rbind "/$place" "$root/$place"
done
exec python3 -c "import os,sys; os.chroot(sys.argv[1]); os.chdir(sys.argv[2]); os.execv(sys.argv[3], sys.argv[3:])" \
    "$root" "$PWD" "$@"
"#;
