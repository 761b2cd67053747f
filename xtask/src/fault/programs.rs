//! The programs of tests/fault, compiled against a library that is there, and images made for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, at, command, create_folder, execute_quietly, root, say, setup, work};

pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// `library`: the folder of libvoxseg.
    pub fn build(library: &Path) -> Result<Self> {
        setup::compilers()?;
        say("compiling tests/fault with cc");
        let folder = work().join("fault");
        create_folder(&folder)?;
        for (source, program) in [
            ("tests/fault/injected.c", "injected"),
            ("tests/fault/host.c", "host"),
            ("tests/fault/open.c", "open"),
            ("tests/c/floating.c", "floating"),
        ] {
            compile(&root().join(source), &folder.join(program), library, &["-Wall", "-Wextra", "-Werror"])?;
        }
        let mut cc = command("cc");
        cc.args([
            "-std=c11",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-shared",
            "-fPIC",
            "tests/fault/inject.c",
        ]);
        execute_quietly(cc.arg("-o").arg(folder.join("inject.so")).arg("-ldl"))?;
        let programs = Programs { folder };
        phantom(&programs.image("ct"), [44, 40, 30], [3.6, 3.6, 4.0])?;
        phantom(&programs.image("mr"), [40, 48, 12], [1.1, 1.1, 5.5])?;
        Ok(programs)
    }

    pub fn command(&self, name: &str) -> Command {
        command(self.folder.join(name))
    }

    pub fn inject(&self) -> PathBuf {
        self.folder.join("inject.so")
    }

    pub fn image(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.mhd"))
    }
}

/// Compiles a C program that uses the library.
pub fn compile(source: &Path, program: &Path, library: &Path, more: &[&str]) -> Result<()> {
    let mut cc = command("cc");
    cc.args(["-std=gnu11", "-O2", "-frounding-math", "-Iinclude"]).args(more);
    cc.arg(source).arg("-o").arg(program).arg(format!("-L{}", library.display()));
    cc.arg(format!("-Wl,-rpath,{}", library.display())).args(["-lvoxseg", "-lpthread", "-lm", "-ldl"]);
    execute_quietly(&mut cc).map(drop)
}

/// An ellipsoid of soft tissue with a denser one and a hollow in it, and noise everywhere.
fn phantom(path: &Path, shape: [usize; 3], spacing: [f64; 3]) -> Result<()> {
    let mut state = 1_u32;
    let mut voxels = Vec::new();
    for at in 0..shape.iter().product::<usize>() {
        let index = [at % shape[0], at / shape[0] % shape[1], at / shape[0] / shape[1]];
        let distance = |centre: [f64; 3], radius: f64| -> f64 {
            (0..3).map(|a| ((index[a] as f64 / shape[a] as f64 - centre[a]) / radius).powi(2)).sum()
        };
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (state >> 16) as i16 % 60;
        let value = match () {
            () if distance([0.5; 3], 0.42) > 1.0 => -1000,
            () if distance([0.35, 0.5, 0.5], 0.15) < 1.0 => 110,
            () if distance([0.7, 0.4, 0.5], 0.12) < 1.0 => -800,
            () => 0,
        };
        voxels.extend_from_slice(&(value + noise).to_le_bytes());
    }
    let raw = path.with_extension("raw");
    fs::write(&raw, voxels).map_err(at("write", &raw))?;
    let join = |values: [String; 3]| values.join(" ");
    let header = format!(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nDimSize = {}\n\
         ElementSpacing = {}\nElementType = MET_SHORT\nElementDataFile = {}\n",
        join(shape.map(|n| n.to_string())),
        join(spacing.map(|n| n.to_string())),
        raw.file_name().unwrap_or_default().to_string_lossy()
    );
    fs::write(path, header).map_err(at("write", path))
}
