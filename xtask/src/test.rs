//! `cargo xtask test`: every lane, one after the other, also after a failure; then a table of what came of them.
//! `cargo xtask test WORD...`: those with such a word in their name, and what they need.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::demo::{as_a_host, model};
use crate::{
    Result, aarch64, at, build, cargo, command, csharp, demo, dist, execute, execute_quietly, fetch, fuzz,
    glibc, install, orthanc, ptx, python, remove, root, say, setup, shaders, toolkits, vulkan, windows, work,
};

enum Outcome {
    Passed,
    /// With what is missing.
    Skipped(String),
    Failed(String),
}

struct Report<'a> {
    /// Words that a lane's name must have one of; empty for all lanes.
    wanted: &'a [&'a str],
    lanes: Vec<(&'static str, Outcome, Duration)>,
}

impl Report<'_> {
    fn wants(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.wanted.is_empty() || self.wanted.iter().any(|word| name.contains(&word.to_lowercase()))
    }

    fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name))
    }

    /// Runs a lane that is wanted.
    fn lane<T>(&mut self, name: &'static str, body: impl FnOnce() -> Result<T>) -> Option<T> {
        if self.wants(name) { self.needed(name, body) } else { None }
    }

    /// Runs a lane whose value serves others.
    fn needed<T>(&mut self, name: &'static str, body: impl FnOnce() -> Result<T>) -> Option<T> {
        println!("\n== {name}");
        let start = Instant::now();
        let (value, outcome) = match body() {
            Ok(value) => (Some(value), Outcome::Passed),
            Err(reason) => {
                eprintln!("{reason}");
                let last = reason.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
                (None, Outcome::Failed(last.trim().to_owned()))
            }
        };
        self.lanes.push((name, outcome, start.elapsed()));
        value
    }

    /// Runs a lane that is wanted, with what it needs beside the project; skips it where that can't be had.
    fn lane_with<T>(
        &mut self,
        name: &'static str,
        tools: impl FnOnce() -> Result<T>,
        body: impl FnOnce(T) -> Result<()>,
    ) {
        if !self.wants(name) {
            return;
        }
        match tools() {
            Ok(tools) => drop(self.needed(name, || body(tools))),
            Err(reason) => self.skip(name, reason.lines().last().unwrap_or_default()),
        }
    }

    fn skip(&mut self, name: &'static str, reason: &str) {
        if !self.wants(name) {
            return;
        }
        self.lanes.push((name, Outcome::Skipped(reason.to_owned()), Duration::ZERO));
    }

    /// The table, then the line that machines read.
    fn close(&self) -> ExitCode {
        if self.lanes.is_empty() {
            eprintln!("no lane has any of these words in its name: {}", self.wanted.join(", "));
            return ExitCode::FAILURE;
        }
        println!("\n  {:<44} {:<8} {:>8}", "lane", "outcome", "seconds");
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for (name, outcome, time) in &self.lanes {
            let (word, reason, count) = match outcome {
                Outcome::Passed => ("passed", "", &mut passed),
                Outcome::Failed(reason) => ("FAILED", reason.as_str(), &mut failed),
                Outcome::Skipped(reason) => ("skipped", reason.as_str(), &mut skipped),
            };
            *count += 1;
            println!("  {name:<44} {word:<8} {:>8.1}  {reason}", time.as_secs_f64());
        }
        println!("\n{passed} passed, {failed} failed, {skipped} skipped");
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

const DEPENDENCIES: &str = "dependencies (licences, duplicates)";
const FUZZ: &str = "fuzz (short)";
const RUSTDOC: &str = "Rust documentation without warnings";
const DOXYGEN: &str = "C and C++ documentation without warnings";
const OWN_GPU: &str = "our own GPU engine (software Vulkan)";
const SPIRV: &str = "kernels of our own GPU engine are compiled from their source";
const PTX: &str = "kernels for NVIDIA GPUs are compiled from their source";
const CPU_ONLY: &str = "CPU only: a build without ONNX Runtime";
const AARCH64: &str = "the CPU engine on AArch64 (emulated)";
const HYGIENE: &str = "no file, no socket (strace)";
const DEMO: &str = "the demo from C, and its picture";
const CTEST: &str = "C and C++ against the shared library";
const SANITIZERS: &str = "C and C++ with address and undefined sanitizers";
const VALGRIND: &str = "C and C++ under valgrind";
const FAULTS: &str = "faults (short)";
const TOOLKITS: &str = "C++ with ITK and VTK, the DICOM example";
const ARCHIVE: &str = "the archive, unpacked and moved";
const CONSUMER: &str = "C and C++ programs from the archive";
const ORTHANC: &str = "a plug-in in the Orthanc server";
const CSHARP: &str = "C# on Mono and .NET 8";
const CSHARP_CORE: &str = "C# with Memory, Span and async disposal on .NET 8";
const PACKAGE: &str = "C# programs from the NuGet package";
const WHEEL: &str = "build the Python wheel";
const PYTHON: &str = "Python against the wheel";

const GLIBC: &str = "glibc 2.17: the library for older Linux systems";
const WINDOWS: &str = "Windows: C and C++ (Wine)";
const WINDOWS_EXAMPLES: &str = "Windows: examples, paths, ONNX Runtime (Wine)";
const WINDOWS_CSHARP: &str = "Windows: C# on .NET 8 (Wine)";
const WINDOWS_TOOL: &str = "Windows: the tool, and labels of reference cases (Wine)";
const MSVC_LAYOUT: &str = "Windows: structures in MSVC's ABI (Wine)";
const MSVC: &str = "Windows: headers for MSVC";

/// The lanes that take the shared library as the compiler leaves it, and those that take it as users get it.
const OF_LIBRARY: [&str; 8] = [DEMO, CTEST, FAULTS, SANITIZERS, VALGRIND, TOOLKITS, CSHARP, CSHARP_CORE];
const OF_WINDOWS: [&str; 5] = [WINDOWS, WINDOWS_EXAMPLES, WINDOWS_TOOL, WINDOWS_CSHARP, MSVC_LAYOUT];
const OF_ARCHIVE: [&str; 6] = [ARCHIVE, CONSUMER, ORTHANC, PACKAGE, WHEEL, PYTHON];

/// `wanted`: words of which a lane's name must have one; empty for all lanes.
pub fn run(wanted: &[&str]) -> ExitCode {
    let mut report = Report { wanted, lanes: Vec::new() };
    report.lane("fetch what the tests need", setup::run);
    report.lane("rustfmt", || execute(cargo().args(["fmt", "--all", "--check"])));
    report.lane("clippy", || {
        let targets = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        execute(cargo().args(targets))
    });
    // What deny.toml says; advisories would need a database from elsewhere.
    report.lane_with(DEPENDENCIES, fetch::cargo_deny, |program| {
        let checks = ["deny", "--locked", "check", "licenses", "bans", "sources"];
        execute(command(program).args(checks))
    });
    // One of the Rust tests watches the tool by it.
    if let Err(reason) = setup::system_tool("strace") {
        report.skip(HYGIENE, &reason);
    }
    report.lane("Rust tests", || execute(cargo().args(["test", "--workspace", "--no-fail-fast"])));
    report.lane(CPU_ONLY, || {
        let without = |command: &str| {
            let mut cargo = cargo();
            cargo.args([command, "--no-default-features", "--package"]);
            cargo
        };
        execute(without("check").args(["voxseg-tool", "--bins"]))?;
        execute(without("test").args(["voxseg", "--lib", "--", "engine::cpu", "runtime"]))
    });
    report.lane(RUSTDOC, || {
        let documents = ["doc", "--package", "voxseg", "--package", "voxseg-cxx", "--no-deps"];
        execute(cargo().args(documents).env("RUSTDOCFLAGS", "-D warnings"))
    });
    // Its settings make a warning an error.
    let doxygen = |()| execute(command("doxygen").arg("docs/Doxyfile"));
    report.lane_with(DOXYGEN, || setup::system_tool("doxygen"), doxygen);
    // Only when asked for: its instrumented programs take minutes to build.
    if !report.wanted.is_empty() {
        report.lane(FUZZ, fuzz::short);
    }
    on_gpu(&mut report);
    on_aarch64(&mut report);
    let image = root().join("target/demo/ct.mhd");
    let demo_is_there = image.with_file_name("labels.raw").exists();
    if report.wants_any(&OF_LIBRARY)
        || report.wants_any(&OF_ARCHIVE)
        || (report.wants_any(&OF_WINDOWS) || report.wants(GLIBC)) && !demo_is_there
    {
        let with_tool = report.wants(DEMO) || !image.exists();
        let build = || if with_tool { Ok(build::library_and_tool()?.0) } else { build::staged() };
        match report.needed("build the shared library", build) {
            None => {
                for name in OF_LIBRARY.into_iter().chain(OF_ARCHIVE) {
                    report.skip(name, "the library wasn't built");
                }
            }
            Some(library) => {
                against_library(&library, &image, &mut report);
                against_archive(&library, &image, &mut report);
            }
        }
    }
    // Only when asked for: Rust's standard library and ours are compiled for Windows first.
    if !report.wanted.is_empty() {
        report.lane_with(MSVC, windows::msvc::headers_ready, |()| windows::msvc::headers());
        report.lane_with(GLIBC, glibc::linker, |linker| glibc::test(&linker, &image));
        if report.wants_any(&OF_WINDOWS) {
            on_windows(&image, &mut report);
        }
    }
    report.close()
}

/// Programs for Windows, under Wine.
fn on_windows(image: &Path, report: &mut Report) {
    let bench = match windows::wine() {
        Err(reason) => Err(reason.lines().last().unwrap_or_default().to_owned()),
        Ok(wine) => report
            .needed("build voxseg.dll", || {
                let library = windows::library::build(true)?;
                windows::Bench::new(wine, &library, image)
            })
            .ok_or("voxseg.dll wasn't built".to_owned()),
    };
    match bench {
        Err(reason) => {
            for name in OF_WINDOWS {
                report.skip(name, &reason);
            }
        }
        Ok(bench) => {
            report.lane(MSVC_LAYOUT, || windows::msvc::layout(&bench));
            report.lane(WINDOWS, || windows::programs::tests(&bench));
            report.lane(WINDOWS_EXAMPLES, || {
                windows::programs::examples(&bench)?;
                windows::programs::system(&bench)
            });
            report.lane(WINDOWS_TOOL, || windows::tool::run(&bench));
            report.lane_with(WINDOWS_CSHARP, windows::csharp::runtime, |dotnet| {
                windows::csharp::run(&bench, &dotnet)
            });
        }
    }
}

/// The CPU engine's layers with Advanced SIMD beside double precision: only when asked for, as emulation takes a while.
fn on_aarch64(report: &mut Report) {
    if !report.wanted.is_empty() {
        let engine = ["--package", "voxseg", "--lib", "engine::cpu"];
        report.lane_with(AARCH64, aarch64::tests, |mut tests| execute(tests.args(engine)));
    }
}

/// The tests that need a device, or do more with one.
fn on_gpu(report: &mut Report) {
    report.lane(SPIRV, shaders::check);
    report.lane_with(OWN_GPU, vulkan::driver, |environment| {
        let mut tests = cargo();
        // The workspace, as in the lane of Rust tests: a package by itself would be compiled anew.
        tests.args(["test", "--workspace", "--lib", "--test", "gpu", "--test", "hygiene"]);
        execute(tests.args(["--", "--nocapture", "gpu"]).envs(environment))
    });
    report.lane_with(PTX, fetch::nvrtc, |_| ptx::check());
}

/// The lanes that need the shared library. The first leaves the CT as `image`, for all others.
fn against_library(library: &Path, image: &Path, report: &mut Report) {
    if report.wants(DEMO) || !image.exists() {
        report.needed(DEMO, demo::run);
    }
    if !image.exists() {
        for name in [CTEST, SANITIZERS, VALGRIND, TOOLKITS] {
            report.skip(name, "no raw CT: the demo failed before it");
        }
    } else {
        report.lane(CTEST, || {
            let other = fetch::other_onnxruntime()?.unwrap_or_default();
            let definition = format!("-DVOXSEG_OTHER_ONNXRUNTIME={}", other.display());
            ctest("tests", "tests", library, image, &[definition])
        });
        report.lane(SANITIZERS, || {
            ctest("tests", "tests-sanitized", library, image, &["-DVOXSEG_SANITIZE=address,undefined".into()])
        });
        // Only when asked for, as it takes four minutes: the same programs run with sanitizers in each run.
        if !report.wanted.is_empty() {
            report.lane_with(
                VALGRIND,
                || setup::system_tool("valgrind"),
                |()| ctest("tests", "tests-valgrind", library, image, &[launcher()]),
            );
        }
        report.lane_with(TOOLKITS, toolkits::headers, |definitions| {
            ctest("tests/toolkits", "toolkits", library, image, &definitions)
        });
    }
    #[cfg(target_os = "linux")]
    report.lane(FAULTS, || crate::fault::short(library));
    #[cfg(not(target_os = "linux"))]
    report.skip(FAULTS, "on Linux only");
    report.lane_with(CSHARP, csharp::toolchain::runtimes, |runtimes| csharp::test::run(library, &runtimes));
    let with_references = || fetch::dotnet_references().and_then(|_| csharp::toolchain::runtimes());
    report.lane_with(CSHARP_CORE, with_references, |runtimes| csharp::test::on_core(library, &runtimes));
}

/// The packages that users download, and programs that are built from them.
fn against_archive(library: &Path, image: &Path, report: &mut Report) {
    if !report.wants_any(&OF_ARCHIVE) {
        return;
    }
    let Some(prefix) = report.needed(ARCHIVE, moved_archive) else {
        for name in [CONSUMER, ORTHANC, PACKAGE, WHEEL, PYTHON] {
            report.skip(name, "there is no archive");
        }
        return;
    };
    if !image.exists() {
        for name in [CONSUMER, ORTHANC, PACKAGE] {
            report.skip(name, "no raw CT: the demo failed before it");
        }
    } else {
        report.lane(CONSUMER, || consumer(&prefix, image));
        report.lane_with(
            ORTHANC,
            || orthanc::definitions(&prefix),
            |definitions| ctest("tests/orthanc", "orthanc", library, image, &definitions),
        );
        let tools = || csharp::toolchain::xbuild().and_then(|()| csharp::toolchain::runtimes());
        report.lane_with(PACKAGE, tools, |runtimes| {
            csharp::examples::run(&dist::nuget(&[])?, image, &runtimes)
        });
    }
    with_python(report);
}

/// The lanes that need a CPython, maturin and NumPy.
fn with_python(report: &mut Report) {
    if !report.wants_any(&[WHEEL, PYTHON]) {
        return;
    }
    match python::interpreters() {
        Err(reason) => {
            let last = reason.lines().last().unwrap_or_default();
            for name in [WHEEL, PYTHON] {
                report.skip(name, last);
            }
        }
        Ok((newest, others)) => match report.needed(WHEEL, || dist::wheel(&newest)) {
            Some(wheel) => {
                report.lane(PYTHON, || python::test(&newest, &others, &wheel));
            }
            None => report.skip(PYTHON, "the wheel wasn't built"),
        },
    }
}

/// Builds and runs the tests of a folder with a `CMakeLists.txt` in `target/xtask/<name>`.
fn ctest(source: &str, name: &str, library: &Path, image: &Path, definitions: &[String]) -> Result<()> {
    let build = work().join(name);
    let mut all = vec![
        format!("-DVOXSEG_LIBRARY_DIR={}", library.display()),
        format!("-DVOXSEG_MODEL={}", model().display()),
        format!("-DVOXSEG_CT={}", image.display()),
    ];
    all.extend_from_slice(definitions);
    install::configure(&root().join(source), &build, &all)?;
    execute_quietly(command(setup::cmake()?).arg("--build").arg(&build))?;
    run_ctest(&build)
}

fn run_ctest(build: &Path) -> Result<()> {
    let ctest = setup::cmake()?.with_file_name("ctest");
    execute(as_a_host(command(ctest).arg("--test-dir").arg(build).args([
        "--output-on-failure",
        "--parallel",
        "2",
    ])))
}

/// valgrind as the launcher of the test programs.
fn launcher() -> String {
    let suppressions = root().join("tests/valgrind.supp");
    format!(
        "-DVOXSEG_LAUNCHER=valgrind;--quiet;--error-exitcode=99;--leak-check=full;--show-leak-kinds=definite;\
         --errors-for-leak-kinds=definite;--fair-sched=yes;--suppressions={}",
        suppressions.display()
    )
}

/// Makes the archive, unpacks it and moves what was in it. Gives that place.
fn moved_archive() -> Result<PathBuf> {
    let (first, moved) = (work().join("unpacked"), work().join("moved"));
    for old in [&first, &moved] {
        remove(old)?;
    }
    let unpacked = dist::unpack(&dist::archive()?, &first)?;
    fs::rename(&unpacked, &moved).map_err(at("move", &unpacked))?;
    say("checking the list of what is inside against CycloneDX's schema");
    dist::validate(&moved)?;
    Ok(moved)
}

/// Builds a stranger's project from where the archive's content now is.
fn consumer(prefix: &Path, image: &Path) -> Result<()> {
    // CMake minds no blank in a path; pkg-config's output can't carry one through a shell.
    let blank = work().join("moved to a path with blanks");
    remove(&blank)?;
    csharp::test::copy_tree(prefix, &blank)?;
    let build = work().join("consumer");
    remove(&build)?;
    let source = root().join("tests/consumer");
    say("building tests/consumer by find_package");
    let definitions = [
        format!("-DCMAKE_PREFIX_PATH={}", blank.display()),
        format!("-DMODEL={}", model().display()),
        format!("-DEXAMPLES={}", root().join("examples").display()),
        format!("-DCT={}", image.display()),
        format!("-DLABELS={}", image.with_file_name("labels.raw").display()),
    ];
    install::configure(&source, &build, &definitions)?;
    execute_quietly(command(setup::cmake()?).arg("--build").arg(&build))?;
    run_ctest(&build)?;

    say("building tests/consumer by pkg-config");
    setup::system_tool("pkg-config")?;
    let script = source.join("build.sh");
    let out: PathBuf = build.join("pkg-config");
    execute(as_a_host(command("bash").arg(script).arg(prefix).arg(out).arg(model())))
}
