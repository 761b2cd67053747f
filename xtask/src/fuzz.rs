//! `cargo xtask fuzz`: the targets of `fuzz/` under libFuzzer, with address sanitizer, overflow checks and coverage.
//!
//! It runs on the stable compiler: coverage is a pass of LLVM, and the sanitizer's flag is let through by
//! `RUSTC_BOOTSTRAP`, in this build alone. `cargo fuzz` finds the same targets.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::{
    Result, at, cargo, cargo_target, command, create_folder, execute, execute_quietly, remove, root,
};
use crate::{say, setup, work};

/// Seconds of each target where nothing else is asked for.
const SECONDS: u32 = 60;
/// Most that the lane of the tests takes for a target: so many executions, or seconds.
const SHORT: [&str; 2] = ["-runs=4000", "-max_total_time=3"];
/// What no input may take: seconds, megabytes in all, and megabytes at once.
const LIMITS: [&str; 3] = ["-timeout=20", "-rss_limit_mb=2048", "-malloc_limit_mb=1024"];
/// Bytes of an input: longer ones take time and find little.
const LONGEST: &str = "-max_len=16384";

const FLAGS: [&str; 8] = [
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Zsanitizer=address",
];

/// Runs one target, or each of them (`None`, `all`). `limit`: seconds, or executions with an x behind (`5000x`).
pub fn run(target: Option<&str>, limit: Option<&str>) -> Result<()> {
    let limit = match limit {
        None => format!("-max_total_time={SECONDS}"),
        Some(limit) => {
            let (count, option) = match limit.strip_suffix('x') {
                Some(runs) => (runs, "-runs"),
                None => (limit, "-max_total_time"),
            };
            count
                .parse::<u32>()
                .map_err(|_| format!("{limit} are neither seconds nor executions (5000x)"))?;
            format!("{option}={count}")
        }
    };
    let programs = Programs::build()?;
    let targets = match target {
        None | Some("all") => programs.targets.clone(),
        Some(one) if programs.targets.iter().any(|target| target == one) => vec![one.to_owned()],
        Some(other) => return Err(format!("no target {other}; there are {}", programs.targets.join(", "))),
    };
    run_each(&programs, &targets, |target| {
        let corpus = programs.folder(target).join("corpus");
        create_folder(&corpus)?;
        let mut command = programs.start(target)?;
        command.arg(&limit).arg(corpus).arg(programs.seeds(target));
        Ok(command)
    })
}

/// What a suite has time for: the seeds, and what some thousand changes make of them, the same each time.
pub fn short() -> Result<()> {
    let programs = Programs::build()?;
    run_each(&programs, &programs.targets, |target| {
        let found = programs.folder(target).join("found");
        remove(&found)?;
        create_folder(&found)?;
        let mut command = programs.start(target)?;
        command.args(SHORT).arg("-seed=1").arg(found).arg(programs.seeds(target));
        Ok(command)
    })
}

/// Runs targets one after the other, also after a finding, with a table of what each did.
fn run_each(programs: &Programs, targets: &[String], start: impl Fn(&str) -> Result<Command>) -> Result<()> {
    let mut failed = Vec::new();
    println!("  {:<14} {:>12} {:>9} {:>9} {:>9}", "target", "executions", "edges", "seconds", "peak MB");
    for target in targets {
        let begin = std::time::Instant::now();
        let output = start(target)?.output().map_err(|error| format!("cannot start {target}: {error}"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let number = |name: &str| {
            let line = text.lines().rev().find_map(|line| line.split_once(name));
            line.and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or("?").to_owned()
        };
        println!(
            "  {target:<14} {:>12} {:>9} {:>9.1} {:>9}",
            number("stat::number_of_executed_units:"),
            number(" cov: "),
            begin.elapsed().as_secs_f64(),
            number("stat::peak_rss_mb:"),
        );
        if !output.status.success() {
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("{}", lines[lines.len().saturating_sub(60)..].join("\n"));
            failed.push(target.as_str());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let folder = programs.folder("TARGET");
    Err(format!("{} failed; what did it lies in {}", failed.join(", "), folder.display()))
}

/// The instrumented programs.
struct Programs {
    /// Where they are.
    built: PathBuf,
    targets: Vec<String>,
}

impl Programs {
    fn build() -> Result<Self> {
        setup::compilers()?;
        let folder = root().join("fuzz/fuzz_targets");
        let mut targets: Vec<String> = fs::read_dir(&folder)
            .map_err(at("read", &folder))?
            .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
            .collect();
        targets.sort();
        let host = execute_quietly(command("rustc").arg("-vV"))?;
        let host = host.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc names no host")?;
        let target = cargo_target().join("fuzz");
        say("building the fuzz targets, instrumented");
        let mut cargo = cargo();
        cargo.args(["build", "--quiet", "--release", "--bins", "--target", host]);
        cargo.arg("--manifest-path").arg(root().join("fuzz/Cargo.toml"));
        cargo.env("CARGO_TARGET_DIR", &target).env("RUSTC_BOOTSTRAP", "1");
        execute(cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}")))?;
        let programs = Programs { built: target.join(host).join("release"), targets };
        for target in &programs.targets {
            let seeds = programs.seeds(target);
            remove(&seeds)?;
            create_folder(&programs.folder(target))?;
            let mut write = command(programs.built.join("seeds"));
            execute_quietly(write.arg(target).arg(seeds).arg(programs.dictionary(target)))?;
        }
        Ok(programs)
    }

    /// What a target has and finds.
    fn folder(&self, target: &str) -> PathBuf {
        work().join("fuzz").join(target)
    }

    fn seeds(&self, target: &str) -> PathBuf {
        self.folder(target).join("seeds")
    }

    fn dictionary(&self, target: &str) -> PathBuf {
        self.folder(target).join("words.txt")
    }

    /// A target with its limits, to which folders are added.
    fn start(&self, target: &str) -> Result<Command> {
        let mut command = command(self.built.join(target));
        command.args(LIMITS).arg(LONGEST).arg("-print_final_stats=1");
        command.arg(format!("-artifact_prefix={}/", self.folder(target).display()));
        command.arg(format!("-dict={}", self.dictionary(target).display()));
        // Memory that was given back is watched for long enough, and doesn't pile up.
        command.env("ASAN_OPTIONS", "quarantine_size_mb=16:detect_leaks=0");
        Ok(command)
    }
}
