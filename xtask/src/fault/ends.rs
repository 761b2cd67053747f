//! How a process ended, and the table of all.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::{Result, at, create_folder, work};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Signal(i32),
    Hangs,
}

/// A process that is no more.
pub struct Ended {
    pub end: End,
    /// Both streams together.
    pub output: String,
    pub time: Duration,
    /// Bytes of address space at its highest, as far as it was seen.
    pub space: u64,
}

impl Ended {
    /// Success or an error of the tool's that says what it is.
    pub fn is_typed(&self) -> bool {
        match self.end {
            End::Code(0) => true,
            End::Code(1..=4) => self.output.contains("voxseg: "),
            _ => false,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self.end {
            End::Code(code) => write!(formatter, "ended with {code}")?,
            End::Signal(signal) => write!(formatter, "ended by signal {signal}")?,
            End::Hangs => write!(formatter, "hangs")?,
        }
        let last = self.output.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no word");
        write!(formatter, " after {:.1} s: {}", self.time.as_secs_f64(), last.trim())
    }
}

/// Runs a command, and ends it when it takes longer than that.
pub fn run(command: &mut Command, limit: Duration) -> Result<Ended> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    create_folder(&work().join("fault"))?;
    let path = work().join(format!("fault/output-{}", RUNS.fetch_add(1, Ordering::Relaxed)));
    let file = File::create(&path).map_err(at("write", &path))?;
    let errors = file.try_clone().map_err(at("write", &path))?;
    let start = Instant::now();
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .env_remove("VOXSEG_ORT_LIBRARY")
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .spawn()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    let (status, mut space) = (format!("/proc/{}/status", child.id()), 0);
    let end = loop {
        if let Ok(text) = fs::read_to_string(&status) {
            space = space.max(kilobytes(&text, "VmPeak:") * 1024);
        }
        match child.try_wait().map_err(|error| format!("cannot wait for {name}: {error}"))? {
            Some(status) => break status.code().map_or(End::Signal(status.signal().unwrap_or(0)), End::Code),
            None if start.elapsed() > limit => {
                let _ = child.kill();
                let _ = child.wait();
                break End::Hangs;
            }
            None => std::thread::sleep(Duration::from_millis(3)),
        }
    };
    let output = String::from_utf8_lossy(&fs::read(&path).map_err(at("read", &path))?).into_owned();
    let _ = fs::remove_file(&path);
    Ok(Ended { end, output, time: start.elapsed(), space })
}

fn kilobytes(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// A kind of fault, and the runs that met it.
pub struct Scenario {
    pub name: String,
    runs: u32,
    bad: u32,
    /// The first bad end, or why there were no runs.
    words: Option<String>,
}

impl Scenario {
    pub fn new(name: impl Into<String>) -> Self {
        Scenario { name: name.into(), runs: 0, bad: 0, words: None }
    }

    pub fn skipped(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Scenario { words: Some(reason.into()), ..Self::new(name) }
    }

    pub fn add(&mut self, runs: u32, bad: u32, first: impl FnOnce() -> String) {
        self.runs += runs;
        self.bad += bad;
        if bad > 0 && self.words.is_none() {
            self.words = Some(first());
        }
    }

    pub fn one(&mut self, well: bool, words: impl FnOnce() -> String) {
        self.add(1, u32::from(!well), words);
    }
}

/// What has been tried, printed line by line as it comes.
#[derive(Default)]
pub struct Table(Vec<Scenario>);

impl Table {
    pub fn add(&mut self, scenario: Scenario) {
        let Scenario { name, runs, bad, words } = &scenario;
        let reason = if *runs == 0 { "skipped: " } else { "" };
        let words = words.as_deref().unwrap_or("");
        println!("  {name:<62} {runs:>4} runs, {bad} ended badly  {reason}{words}");
        self.0.push(scenario);
    }

    pub fn extend(&mut self, scenarios: impl IntoIterator<Item = Scenario>) {
        scenarios.into_iter().for_each(|scenario| self.add(scenario));
    }

    /// An error where anything ended badly.
    pub fn judge(&self) -> Result<()> {
        let (runs, bad) = self.0.iter().fold((0, 0), |sum, one| (sum.0 + one.runs, sum.1 + one.bad));
        println!("\n{runs} runs, {bad} ended badly");
        match self.0.iter().find(|one| one.bad > 0) {
            None => Ok(()),
            Some(first) => Err(format!("{bad} runs ended badly, first {}", first.name)),
        }
    }
}
