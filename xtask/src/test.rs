//! `cargo xtask test`: every lane, one after the other, also after a failure; then a table of what came of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::demo::{as_a_host, model};
use crate::{
    Result, aarch64, at, build, cargo, command, csharp, demo, dist, execute, execute_quietly, fetch, install,
    orthanc, ptx, python, remove, root, say, setup, toolkits, vulkan, work,
};

enum Outcome {
    Passed,
    /// With what is missing.
    Skipped(String),
    Failed(String),
}

#[derive(Default)]
struct Report {
    lanes: Vec<(&'static str, Outcome, Duration)>,
}

impl Report {
    /// Runs a lane; its value serves later lanes.
    fn lane<T>(&mut self, name: &'static str, body: impl FnOnce() -> Result<T>) -> Option<T> {
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

    fn skip(&mut self, name: &'static str, reason: &str) {
        self.lanes.push((name, Outcome::Skipped(reason.to_owned()), Duration::ZERO));
    }

    /// The table, then the line that machines read.
    fn close(&self) -> ExitCode {
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

const RUSTDOC: &str = "Rust documentation without warnings";
const DOXYGEN: &str = "C and C++ documentation without warnings";
const GPU: &str = "networks on a GPU (WebGPU, software Vulkan)";
const PTX: &str = "kernels for NVIDIA GPUs are compiled from their source";
const AARCH64: &str = "the CPU engine on AArch64 (emulated)";
const HYGIENE: &str = "no file, no socket (strace)";
const DEMO: &str = "the demo from C, and its picture";
const CTEST: &str = "C and C++ against the shared library";
const SANITIZERS: &str = "C and C++ with address and undefined sanitizers";
const VALGRIND: &str = "C and C++ under valgrind";
const TOOLKITS: &str = "C++ with ITK and VTK, the DICOM example";
const CONSUMER: &str = "find_package and pkg-config from the archive";
const ORTHANC: &str = "a plug-in in the Orthanc server";
const CSHARP: &str = "C# on Mono and .NET 8";
const PACKAGE: &str = "the NuGet package, and C# examples from it";
const WHEEL: &str = "build the Python wheel";
const PYTHON: &str = "Python against the wheel";

pub fn run() -> ExitCode {
    let mut report = Report::default();
    report.lane("fetch what the tests need", setup::run);
    report.lane("rustfmt", || execute(cargo().args(["fmt", "--all", "--check"])));
    report.lane("clippy", || {
        let targets = ["clippy", "--workspace", "--all-targets", "--features", "cli", "--", "-D", "warnings"];
        execute(cargo().args(targets))
    });
    // One of the Rust tests watches the tool by it.
    if let Err(reason) = setup::system_tool("strace") {
        report.skip(HYGIENE, &reason);
    }
    report.lane("Rust tests", || execute(cargo().args(["test", "--workspace", "--features", "cli"])));
    report.lane(RUSTDOC, || {
        let documents = ["doc", "--package", "voxseg", "--package", "voxseg-cxx", "--no-deps"];
        execute(cargo().args(documents).env("RUSTDOCFLAGS", "-D warnings"))
    });
    match setup::system_tool("doxygen") {
        // Its settings make a warning an error.
        Ok(()) => drop(report.lane(DOXYGEN, || execute(command("doxygen").arg("docs/Doxyfile")))),
        Err(reason) => report.skip(DOXYGEN, &reason),
    }
    on_gpu(&mut report);
    on_aarch64(&mut report);
    let library = report.lane("build the shared library", build::staged);
    match &library {
        None => {
            for name in [DEMO, CTEST, SANITIZERS, VALGRIND, TOOLKITS, CONSUMER, ORTHANC, CSHARP, PACKAGE] {
                report.skip(name, "the library wasn't built");
            }
        }
        Some(library) => against(library, &mut report),
    }
    with_python(&mut report);
    report.close()
}

/// Only the lane of the GPU.
pub fn gpu() -> ExitCode {
    let mut report = Report::default();
    on_gpu(&mut report);
    report.close()
}

/// Only the lane of the other processor.
pub fn aarch64() -> ExitCode {
    let mut report = Report::default();
    on_aarch64(&mut report);
    report.close()
}

/// The CPU engine's layers with Advanced SIMD beside double precision.
fn on_aarch64(report: &mut Report) {
    match aarch64::tests() {
        Ok(mut tests) => {
            report.lane(AARCH64, || execute(tests.args(["--package", "voxseg", "--lib", "engine::cpu"])));
        }
        Err(reason) => report.skip(AARCH64, reason.lines().last().unwrap_or_default()),
    }
}

/// The tests that need a device, or do more with one.
fn on_gpu(report: &mut Report) {
    match fetch::nvrtc() {
        Ok(_) => {
            report.lane(PTX, ptx::check);
        }
        Err(reason) => report.skip(PTX, reason.lines().last().unwrap_or_default()),
    }
    let environment = match fetch::onnxruntime().and_then(|_| vulkan::environment()) {
        Ok(environment) => environment,
        Err(reason) => return report.skip(GPU, reason.lines().last().unwrap_or_default()),
    };
    report.lane(GPU, || {
        let mut tests = cargo();
        tests.args([
            "test",
            "--package",
            "voxseg",
            "--features",
            "cli",
            "--lib",
            "--test",
            "gpu",
            "--test",
            "hygiene",
        ]);
        execute(tests.args(["--", "--nocapture", "gpu", "engine::ort"]).envs(environment))
    });
}

/// The lanes that need the shared library.
fn against(library: &Path, report: &mut Report) {
    report.lane(DEMO, demo::run);
    let image = root().join("target/demo/ct.mhd");
    if image.exists() {
        report.lane(CTEST, || {
            let other = fetch::other_onnxruntime()?.unwrap_or_default();
            let definition = format!("-DVOXSEG_OTHER_ONNXRUNTIME={}", other.display());
            ctest("tests", "tests", library, &image, &[definition])
        });
        report.lane(SANITIZERS, || {
            ctest(
                "tests",
                "tests-sanitized",
                library,
                &image,
                &["-DVOXSEG_SANITIZE=address,undefined".into()],
            )
        });
        match setup::system_tool("valgrind") {
            Ok(()) => {
                report.lane(VALGRIND, || ctest("tests", "tests-valgrind", library, &image, &[launcher()]));
            }
            Err(reason) => report.skip(VALGRIND, &reason),
        }
        match toolkits::headers() {
            Ok(definitions) => {
                report.lane(TOOLKITS, || ctest("tests/toolkits", "toolkits", library, &image, &definitions));
            }
            Err(reason) => report.skip(TOOLKITS, &reason),
        }
    } else {
        for name in [CTEST, SANITIZERS, VALGRIND, TOOLKITS] {
            report.skip(name, "no raw CT: the demo failed before it");
        }
    }
    with_orthanc(library, &image, report);
    with_csharp(library, &image, report);
}

/// The archive, and the plug-in that is built from it.
fn with_orthanc(library: &Path, image: &Path, report: &mut Report) {
    let Some(prefix) = report.lane(CONSUMER, consumer) else {
        return report.skip(ORTHANC, "the archive's library isn't there");
    };
    if !image.exists() {
        return report.skip(ORTHANC, "no raw CT: the demo failed before it");
    }
    match orthanc::definitions(&prefix) {
        Ok(definitions) => {
            report.lane(ORTHANC, || ctest("tests/orthanc", "orthanc", library, image, &definitions));
        }
        Err(reason) => report.skip(ORTHANC, &reason),
    }
}

/// The lanes that need Mono, and .NET 8 where there is one.
fn with_csharp(library: &Path, image: &Path, report: &mut Report) {
    let runtimes = match csharp::toolchain::runtimes() {
        Ok(runtimes) => runtimes,
        Err(reason) => {
            for name in [CSHARP, PACKAGE] {
                report.skip(name, &reason);
            }
            return;
        }
    };
    report.lane(CSHARP, || csharp::test::run(library, &runtimes));
    match csharp::toolchain::xbuild() {
        Err(reason) => report.skip(PACKAGE, &reason),
        Ok(()) if !image.exists() => report.skip(PACKAGE, "no raw CT: the demo failed before it"),
        Ok(()) => {
            report.lane(PACKAGE, || csharp::examples::run(library, image, &runtimes));
        }
    }
}

/// The lanes that need a CPython, maturin and NumPy.
fn with_python(report: &mut Report) {
    match python::interpreters() {
        Err(reason) => {
            let last = reason.lines().last().unwrap_or_default();
            for name in [WHEEL, PYTHON] {
                report.skip(name, last);
            }
        }
        Ok((newest, others)) => match report.lane(WHEEL, || python::wheel(&newest)) {
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

/// Unpacks the archive, moves the result, and builds a stranger's project from where it now is. Gives that place.
fn consumer() -> Result<PathBuf> {
    let (first, moved) = (work().join("unpacked"), work().join("moved prefix"));
    for old in [&first, &moved] {
        remove(old)?;
    }
    let unpacked = dist::unpack(&dist::archive()?, &first)?;
    fs::rename(&unpacked, &moved).map_err(at("move", &unpacked))?;
    say("checking the list of what is inside against CycloneDX's schema");
    dist::validate(&moved)?;

    let build = work().join("consumer");
    remove(&build)?;
    let source = root().join("tests/consumer");
    say("building tests/consumer by find_package");
    install::configure(
        &source,
        &build,
        &[format!("-DCMAKE_PREFIX_PATH={}", moved.display()), format!("-DMODEL={}", model().display())],
    )?;
    execute_quietly(command(setup::cmake()?).arg("--build").arg(&build))?;
    run_ctest(&build)?;

    say("building tests/consumer by pkg-config");
    setup::system_tool("pkg-config")?;
    // pkg-config's output can't carry a folder with a blank in it through a shell.
    let plain = work().join("moved");
    remove(&plain)?;
    fs::rename(&moved, &plain).map_err(at("move", &moved))?;
    let script = source.join("build.sh");
    let out: PathBuf = build.join("pkg-config");
    execute(as_a_host(command("bash").arg(script).arg(&plain).arg(out).arg(model())))?;
    Ok(plain)
}
