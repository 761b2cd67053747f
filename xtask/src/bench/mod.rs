//! `cargo xtask bench`: pieces of the numerics beside nnU-Net's own functions, in turn, medians and ratios.

mod case;
mod cpu;
mod memory;
mod metrics;
mod total;

use std::path::{Path, PathBuf};

pub use memory::run as memory;
pub use total::run as total;

use crate::{Result, cargo, command, demo, execute_quietly, root, say, setup, work};

const PEER: &str = "nnunetv2==2.8.1";
const ROUNDS: usize = 3;

struct Row {
    what: &'static str,
    peer: &'static str,
    /// Arguments of `peers.py`; `numerics` takes the same with the first one cut at its hyphen.
    arguments: &'static str,
}

const ROWS: [Row; 4] = [
    Row {
        what: "restore 25 classes, 191x167x233 to 286x250x349",
        peer: "default resampling + argmax",
        arguments: "restore-default 25 191 167 233 286 250 349 2",
    },
    Row {
        what: "the same",
        peer: "resample_torch_fornnunet + argmax",
        arguments: "restore-torch 25 191 167 233 286 250 349 2",
    },
    Row {
        what: "order-3 resampling, 191x167x233 to 286x250x349",
        peer: "default resampling",
        arguments: "resample 191 167 233 286 250 349 2",
    },
    Row {
        what: "order-3 resampling, 191x167x233 to 96x84x117",
        peer: "default resampling",
        arguments: "resample 191 167 233 96 84 117 2",
    },
];

/// `only` is `cpu` for the engines alone, and `metrics` for the numbers about label maps.
pub fn run(only: Option<&str>) -> Result<()> {
    match only {
        Some("cpu") => return cpu::run(),
        Some("metrics") => return metrics::run(),
        _ => {}
    }
    let python = peers()?;
    let ours = program("numerics")?;
    println!("{:<48} {:<36} {:>9} {:>9} {:>7}   extra MiB", "what", "peer", "peer s", "ours s", "ratio");
    for row in &ROWS {
        let (mut theirs, mut mine) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let arguments: Vec<&str> = row.arguments.split(' ').collect();
            let script = root().join("benches/peers.py");
            theirs.push(measure(command(&python).arg(script).args(&arguments))?);
            let own = arguments[0].split('-').next().unwrap_or_default();
            mine.push(measure(command(&ours).arg(own).args(&arguments[1..]))?);
        }
        let ([peer, peer_bytes], [own, own_bytes]) = (medians(&theirs), medians(&mine));
        println!(
            "{:<48} {:<36} {peer:>9.2} {own:>9.3} {:>6.1}x   {:.0} / {:.0}",
            row.what,
            row.peer,
            peer / own,
            peer_bytes / f64::from(1 << 20),
            own_bytes / f64::from(1 << 20),
        );
    }
    // A size that no peer can do in 24 GB.
    let arguments = "restore 118 256 256 256 400 512 512 2";
    let [seconds, bytes] = measure(command(&ours).args(arguments.split(' ')))?;
    let (what, extra) = ("restore 118 classes, 256x256x256 to 400x512x512", bytes / f64::from(1 << 20));
    println!("{what:<48} {:<36} {:>9} {seconds:>9.3} {:>8}   - / {extra:.0}", "none", "-", "-");
    case::run(&python, "whole case, bench CT, demo model", &demo::model(), "0.5")
}

/// A Python environment with nnU-Net, apart from the one that tests use.
fn peers() -> Result<PathBuf> {
    environment("bench-venv", "nnunetv2", "nnU-Net and PyTorch", &[PEER])
}

/// A Python environment of that name with a module, made anew without it.
fn environment(name: &str, module: &str, what: &str, packages: &[&str]) -> Result<PathBuf> {
    let venv = work().join(name);
    let python = venv.join("bin/python");
    if !has(&python, module) {
        say(&format!("fetching {what} for the comparison (about 3 GB, into target/xtask/{name})"));
        execute_quietly(command(setup::python()?).args(["-m", "venv", "--clear"]).arg(&venv))?;
        pip(&python, packages)?;
    }
    Ok(python)
}

/// Adds packages to an environment that lacks one of these modules.
fn add(python: &Path, modules: &str, what: &str, packages: &[&str]) -> Result<()> {
    if !has(python, modules) {
        say(&format!("fetching {what} for the comparison"));
        pip(python, packages)?;
    }
    Ok(())
}

fn has(python: &Path, modules: &str) -> bool {
    execute_quietly(command(python).args(["-c", &format!("import {modules}")])).is_ok()
}

fn pip(python: &Path, packages: &[&str]) -> Result<()> {
    execute_quietly(command(python).args(["-m", "pip", "install", "--quiet"]).args(packages)).map(|_| ())
}

/// Builds a program of `benches/` and finds it.
fn program(name: &str) -> Result<PathBuf> {
    say(&format!("building benches/{name}"));
    let arguments = ["bench", "--bench", name, "--no-run", "--message-format", "json"];
    let messages = execute_quietly(cargo().args(arguments))?;
    let program = messages.lines().rev().find_map(|line| {
        let rest = line.split_once("\"executable\":\"")?.1;
        Some(rest.split_once('"')?.0.to_owned())
    });
    program.map(|program| Path::new(&program).to_path_buf()).ok_or("cargo built no benchmark".into())
}

/// Seconds and bytes that a program reports on its last line.
fn measure(program: &mut std::process::Command) -> Result<[f64; 2]> {
    numbers(&execute_quietly(program)?, ["seconds", "extra_bytes"])
}

/// Numbers of the JSON object that is the text's last line.
fn numbers<const N: usize>(text: &str, keys: [&str; N]) -> Result<[f64; N]> {
    let line = text.lines().last().unwrap_or_default();
    let value: serde_json::Value =
        serde_json::from_str(line).map_err(|error| format!("no measurement in {line:?}: {error}"))?;
    let mut found = [0.0; N];
    for (number, key) in found.iter_mut().zip(keys) {
        *number = value[key].as_f64().ok_or(format!("no {key} in {line}"))?;
    }
    Ok(found)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median of each number.
fn medians<const N: usize>(runs: &[[f64; N]]) -> [f64; N] {
    std::array::from_fn(|field| median(runs.iter().map(|run| run[field]).collect()))
}
