//! The Python binding: its wheel, and its tests on every CPython that is here.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{
    Result, at, build, cargo_target, command, create_folder, execute, execute_quietly, fetch, root, say, work,
};

/// What the wheel is built with.
const BUILD: [&str; 3] = ["maturin>=1.9,<2", "cffi>=1.16", "numpy"];
/// What differs from one interpreter to the next: declarations, signals, threads, garbage.
const BY_INTERPRETER: [&str; 3] = ["test_declarations", "test_progress", "test_threads"];

/// A CPython with pip, in a virtual environment of its own.
pub struct Interpreter {
    version: String,
    python: PathBuf,
}

impl Interpreter {
    /// Makes the environment once.
    fn new(version: &str, system: &Path) -> Result<Self> {
        let venv = folder().join(version);
        let bin = if cfg!(windows) { "Scripts" } else { "bin" };
        let python = venv.join(bin).join("python");
        if execute_quietly(command(&python).args(["-m", "pip", "--version"])).is_err() {
            say(&format!("making a Python {version} environment in target/xtask/python/{version}"));
            execute_quietly(command(system).args(["-m", "venv", "--clear"]).arg(&venv))?;
        }
        Ok(Interpreter { version: version.into(), python })
    }

    pub fn install(&self, options: &[&str], requirements: &[&str]) -> Result<()> {
        let mut pip = self.pip("install");
        execute_quietly(pip.args(options).args(requirements)).map(|_| ())
    }

    /// The interpreter itself.
    pub fn python(&self) -> std::process::Command {
        command(&self.python)
    }

    fn pip(&self, verb: &str) -> std::process::Command {
        let mut pip = command(&self.python);
        pip.args(["-m", "pip", verb, "--quiet", "--disable-pip-version-check"]);
        pip
    }

    /// The search path with the environment's own programs first.
    fn path(&self) -> Result<OsString> {
        let bin = self.python.parent().map(Path::to_path_buf);
        let outside = std::env::var_os("PATH").unwrap_or_default();
        std::env::join_paths(bin.into_iter().chain(std::env::split_paths(&outside)))
            .map_err(|error| format!("PATH: {error}"))
    }

    /// Runs test modules of `bindings/python/tests`.
    fn test(&self, modules: &[&str]) -> Result<()> {
        let mut tests = command(&self.python);
        tests.current_dir(root().join("bindings/python/tests")).args(["-m", "unittest"]).args(modules);
        // Bytecode would land in the source tree.
        tests.env("PYTHONDONTWRITEBYTECODE", "1").env("VOXSEG_ORT_LIBRARY", fetch::onnxruntime()?);
        execute(&mut tests)
    }
}

/// The newest CPython, with all that the wheel is built with, and the others; or what is missing.
pub fn interpreters() -> Result<(Interpreter, Vec<Interpreter>)> {
    let mut found = systems();
    let (version, system) = found.pop().ok_or("no CPython 3.9 or newer: install python3")?;
    let newest = Interpreter::new(&version, &system)?;
    say("installing maturin, cffi and NumPy");
    newest.install(&[], &BUILD)?;
    let mut others = Vec::new();
    for (version, system) in &found {
        let made = Interpreter::new(version, system).and_then(|it| it.install(&[], &BUILD[1..]).map(|()| it));
        match made {
            Ok(interpreter) => others.push(interpreter),
            Err(reason) => say(&format!("leaving Python {version} out: {}", reason.trim())),
        }
    }
    Ok((newest, others))
}

/// `cargo xtask wheel`.
pub fn run() -> Result<()> {
    let (newest, _) = interpreters()?;
    say(&wheel(&newest, &[])?.display().to_string());
    Ok(())
}

/// Builds the wheel, which serves every CPython of this platform. `profile`: what cargo's release profile has
/// otherwise.
pub fn wheel(with: &Interpreter, profile: &[(&str, &str)]) -> Result<PathBuf> {
    let wheels = folder().join("wheels");
    let _ = fs::remove_dir_all(&wheels);
    create_folder(&wheels)?;
    say("building the wheel");
    let mut pip = with.pip("wheel");
    pip.args(["--no-deps", "--no-build-isolation", "--wheel-dir"]).arg(&wheels);
    // maturin's Python side starts its program by name.
    pip.env("PATH", with.path()?);
    // In a folder of its own: cargo would build the crate anew after each build with other crate types.
    pip.arg(root().join("bindings/python")).env("CARGO_TARGET_DIR", cargo_target().join("wheel"));
    pip.env("CARGO_ENCODED_RUSTFLAGS", build::remapped());
    pip.envs(profile.iter().map(|(key, value)| (format!("CARGO_PROFILE_RELEASE_{key}"), value)));
    pip.env("MATURIN_PEP517_ARGS", "--compatibility pypi");
    execute_quietly(&mut pip)?;
    let entries = fs::read_dir(&wheels).map_err(at("read", &wheels))?;
    let found = entries.filter_map(|entry| Some(entry.ok()?.path())).find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("voxseg-") && name.contains("-py3-none-")
    });
    found.ok_or_else(|| format!("no wheel for every CPython in {}", wheels.display()))
}

/// Installs the wheel and runs the tests: all on the newest CPython, on the others those that depend on it.
pub fn test(newest: &Interpreter, others: &[Interpreter], wheel: &Path) -> Result<()> {
    let wheel = wheel.display().to_string();
    let reinstall = ["--force-reinstall", "--no-deps"];
    newest.install(&reinstall, &[&wheel])?;
    say("installing SimpleITK, nibabel, tqdm and ONNX Runtime's package");
    let extras = format!("{wheel}[onnxruntime,progress]");
    newest.install(&[], &["SimpleITK", "nibabel", &extras])?;
    if let Err(reason) = newest.install(&[], &["ray"]) {
        say(&format!("leaving the Ray example out: {}", reason.trim()));
    }
    match newest.install(&[], &["mypy"]) {
        Ok(()) => types(newest)?,
        Err(reason) => say(&format!("leaving mypy out: {}", reason.trim())),
    }
    say(&format!("testing on Python {}", newest.version));
    newest.test(&["discover"])?;
    for other in others {
        say(&format!("testing on Python {}: {}", other.version, BY_INTERPRETER.join(", ")));
        other.install(&reinstall, &[&wheel])?;
        other.test(&BY_INTERPRETER)?;
    }
    Ok(())
}

/// Checks the binding's types as strictly as mypy can.
fn types(with: &Interpreter) -> Result<()> {
    say("checking types with mypy --strict");
    let mut mypy = with.python();
    mypy.current_dir(root().join("bindings/python")).args(["-m", "mypy"]);
    execute(mypy.arg("--cache-dir").arg(folder().join("mypy")))
}

fn folder() -> PathBuf {
    work().join("python")
}

/// The CPythons on the search path and those of pyenv, one of each version, the oldest first.
fn systems() -> Vec<(String, PathBuf)> {
    let home = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv")));
    let versions = home.and_then(|home| fs::read_dir(home.join("versions")).ok());
    let of_pyenv = versions.into_iter().flatten().flatten().map(|entry| entry.path().join("bin/python"));
    let named = (9..20).map(|minor| format!("python3.{minor}"));
    let named = named.chain(["python3".into(), "python".into()]).map(PathBuf::from);
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for path in named.chain(of_pyenv) {
        if let Some(minor) = minor(&path)
            && found.iter().all(|(known, _)| *known != minor)
        {
            found.push((minor, path));
        }
    }
    found.sort();
    found.into_iter().map(|(minor, path)| (format!("3.{minor}"), path)).collect()
}

/// The minor version of a CPython 3.9 or newer; `None` for anything else.
fn minor(python: &Path) -> Option<u32> {
    let program = "import sys, ensurepip, venv
assert sys.implementation.name == 'cpython' and sys.version_info >= (3, 9)
print(sys.version_info.minor)";
    execute_quietly(command(python).args(["-c", program])).ok()?.trim().parse().ok()
}
