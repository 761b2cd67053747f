//! What a developer runs: `cargo xtask demo`, `test`, `bench`, `bless`, `install`, `wheel`, `nuget`, `dist`, `setup`.
//!
//! Each command fetches what it lacks, says in one line what it does, and does nothing twice. Everything lands
//! under `target/`; the library knows nothing of this program.

mod aarch64;
mod bench;
mod bless;
mod build;
mod csharp;
mod debian;
mod declarations;
mod demo;
mod dist;
#[cfg(target_os = "linux")]
mod fault;
mod fetch;
mod fuzz;
mod glibc;
mod install;
mod miri;
mod orthanc;
mod ptx;
mod python;
mod sbom;
mod setup;
mod shaders;
mod soak;
mod std_source;
mod test;
mod toolkits;
mod vulkan;
mod windows;
mod zig;

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// A failure in words for the terminal.
type Result<T> = std::result::Result<T, String>;

const USAGE: &str = "usage: cargo xtask COMMAND

  demo              segment a real CT from C, with a table and a picture
  test              every test there is: Rust, C, C++, sanitizers, installed package, C#, Python, Windows programs
  test WORD ...     only those lanes of the test that have such a word in their name, as in the table that it ends with:
                    `test gpu` runs on a GPU made of software (fetches Mesa),
                    `test aarch64`, which runs only so, for another processor under emulation (fetches a cross
                    compiler and QEMU), `test valgrind`, which runs only so, for the C programs under valgrind;
                    `test windows` builds voxseg.dll and voxseg.exe and runs programs under Wine (fetches Zig and Wine; as
                    root on Debian), `test glibc`, which runs only so, the library with an older C library
  soak SECONDS address|thread  eight plans in eight threads with everything instrumented (needs Rust's nightly toolchain)
  fault [FOLDER] [PART ...]  injected failures of memory and threads, the system's limits, control groups, rounding modes, signals, closed
                    descriptors, pipes in a model folder: a table of how each ended (Linux). FOLDER has libvoxseg.so and the
                    tool, built already. PART: hosts, files, reproducers, limits, failures
  fuzz [TARGET|all] [SECONDS|RUNSx]  the fuzz targets of `fuzz/`, 60 s each or as long as is said (`fuzz pickle 5000x`);
                    what they find stays in target/xtask/fuzz
  miri [MODULE ...]  unit tests of parsers and of the C interface in Miri (needs Rust's nightly toolchain)
  bench [cpu|metrics]  the numerics beside nnU-Net's own, the CPU engine beside others, or numbers about label maps beside
                    Python's (fetches PyTorch, about 3 GB)
  bench memory [FOLDER]  what runs of the reference models need beside what their plans say (FOLDER has libvoxseg.so)
  bench total [PYTHON] [small]  TotalSegmentator's total beside ours, 31 M parameters or small ones (PYTHON has it, or it
                    is fetched)
  bless             write include/voxseg.h, include/voxseg.symbols and the declarations of the bindings anew
  install --prefix P  headers, libraries, CMake package, pkg-config module
  wheel             the Python wheel, in target/xtask/python/wheels
  nuget             the NuGet package, in target/xtask/csharp
  dist [PLATFORM=LIBRARIES ...]  what users download, in target/xtask/dist: the archive for C and C++, the wheel, the
                    NuGet package, which takes libraries of other platforms too
  dist windows      the archive for C and C++ on Windows, made on Linux (fetches Zig)
  ptx               compile the kernels for NVIDIA GPUs anew (fetches NVRTC)
  shaders           compile the kernels of our own GPU engine anew (fetches glslang from Debian 13)
  setup             only fetch what the commands above need";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["demo"] => demo::run(),
        ["ptx"] => ptx::run(),
        ["shaders"] => shaders::run(),
        ["test", wanted @ ..] => return test::run(wanted),
        ["bench"] => bench::run(None),
        ["bench", only @ ("cpu" | "metrics")] => bench::run(Some(only)),
        ["bench", "memory"] => bench::memory(None),
        ["bench", "memory", built] => bench::memory(Some(Path::new(built))),
        ["bench", "total", rest @ ..] => match rest {
            [] => bench::total(None, false),
            ["small"] => bench::total(None, true),
            [python] => bench::total(Some(python), false),
            [python, "small"] => bench::total(Some(python), true),
            _ => Err(USAGE.into()),
        },
        ["bless"] => bless::run(),
        ["install", "--prefix", prefix] => install::run(Path::new(prefix)),
        ["wheel"] => python::run(),
        ["nuget"] => csharp::nuget::run(),
        ["dist", "windows"] => windows::dist::run(),
        ["dist", natives @ ..] => dist::run(natives),
        ["soak", seconds, sanitizer] => soak::run(seconds, sanitizer),
        #[cfg(target_os = "linux")]
        ["fault", words @ ..] => {
            let is_part = |word: &&&str| fault::PARTS.contains(word);
            let built = words.first().filter(|word| !is_part(word));
            fault::run(built.map(Path::new), &words[usize::from(built.is_some())..])
        }
        ["fuzz"] => fuzz::run(None, None),
        ["fuzz", target] => fuzz::run(Some(target), None),
        ["fuzz", target, limit] => fuzz::run(Some(target), Some(limit)),
        ["miri", modules @ ..] => miri::run(modules),
        ["setup"] => setup::run(),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository").to_path_buf()
}

/// Where this program keeps its things.
fn work() -> PathBuf {
    root().join("target/xtask")
}

/// Where cargo puts what it builds.
fn cargo_target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// One line that says what is going on.
fn say(line: &str) {
    println!("-- {line}");
}

/// A command that starts in the repository.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command with its output on the terminal; an unsuccessful end is an error.
fn execute(command: &mut Command) -> Result<()> {
    let name =
        Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| format!("cannot start {name}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} ended with {status}")) }
}

/// Runs a command that is silent unless it fails.
fn execute_quietly(command: &mut Command) -> Result<String> {
    let name =
        Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot start {name}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{text}{errors}{name} ended with {}", output.status))
}

/// For `map_err`: what was tried, and the system's answer.
fn at<'a>(what: &'a str, path: &'a Path) -> impl Fn(std::io::Error) -> String + 'a {
    move |error| format!("cannot {what} {}: {error}", path.display())
}

fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(at("create", path))
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() { std::fs::remove_dir_all(folder).map_err(at("remove", folder)) } else { Ok(()) }
}

/// Copies a file unless the copy is there already.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let state =
        |path: &Path| std::fs::metadata(path).and_then(|found| Ok((found.len(), found.modified()?))).ok();
    if let (Some((size, time)), Some((copied, copy_time))) = (state(from), state(to))
        && size == copied
        && copy_time >= time
    {
        return Ok(());
    }
    // A program that has the old file mapped keeps it.
    let _ = std::fs::remove_file(to);
    std::fs::copy(from, to).map(|_| ()).map_err(at("write", to))
}
