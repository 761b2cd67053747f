//! `cargo xtask bench cpu`: our CPU engine beside OpenVINO, PyTorch and ONNX Runtime, a tile each in turn.
//!
//! Each is a process that runs a tile when told to, so that only one computes at a time, all see the machine in the
//! same state, and each one's peak memory is its own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::{add, case, median, peers, program};
use crate::{Result, command, execute_quietly, root, work};

const ROUNDS: usize = 5;
const THREADS: &str = "2";
/// Beside nnU-Net's own packages.
const PACKAGES: [&str; 4] = ["monai==1.6.1", "onnx", "onnxruntime", "openvino"];
const CASES: [(&str, &str, [&str; 3]); 5] = [
    ("PlainConvUNet 31 M, 96³", "plain", ["96", "96", "96"]),
    ("PlainConvUNet 31 M, 128³", "plain", ["128", "128", "128"]),
    ("ResidualEncoderUNet M, 32×160×160", "resenc", ["32", "160", "160"]),
    ("SegResNet, 96³", "segresnet", ["96", "96", "96"]),
    ("SegResNetDS, 128³", "segresnetds", ["128", "128", "128"]),
];
/// Of the networks that `total.py` makes, within their folder.
const FIRST_PART: &str =
    "Dataset291_TotalSegmentator_part1_organs_1559subj/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";
const CONTENDERS: [&str; 5] = ["winograd", "direct", "openvino", "torch", "onnxruntime"];

/// A process that waits to be told.
struct Contender {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    seconds: Vec<f64>,
}

impl Contender {
    fn start(program: &mut Command) -> Result<Self> {
        let spawn = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = spawn.map_err(|error| format!("{program:?}: {error}"))?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("{program:?} has no pipes"));
        };
        let mut contender =
            Contender { child, orders, answers: BufReader::new(answers), seconds: Vec::new() };
        match contender.answer()?.as_str() {
            "ready" => Ok(contender),
            other => Err(format!("{program:?} says {other:?} and not that it is ready")),
        }
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|error| error.to_string())?;
        if line.is_empty() { Err("a program ended early".into()) } else { Ok(line.trim().to_owned()) }
    }

    fn run(&mut self) -> Result<()> {
        self.orders.write_all(b"\n").map_err(|error| error.to_string())?;
        let answer = self.answer()?;
        self.seconds.push(answer.parse().map_err(|_| format!("{answer:?} is no time"))?);
        Ok(())
    }

    /// Median seconds, memory for a tile beside the weights in MiB, and the largest deviation from PyTorch's scores.
    fn finish(self) -> Result<[f64; 3]> {
        let Contender { mut child, orders, mut answers, seconds } = self;
        drop(orders);
        let mut line = String::new();
        answers.read_line(&mut line).map_err(|error| error.to_string())?;
        child.wait().map_err(|error| error.to_string())?;
        let value: serde_json::Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        let number = |key: &str| value[key].as_f64().ok_or(format!("no {key} in {line}"));
        Ok([median(seconds), number("peak_bytes")? / f64::from(1 << 20), number("deviation")?])
    }
}

pub fn run() -> Result<()> {
    let python = peers()?;
    add(&python, "monai, onnx, onnxruntime, openvino", "MONAI, ONNX Runtime and OpenVINO", &PACKAGES)?;
    let script = root().join("benches/cpu_peers.py");
    let ours = program("engines")?;
    println!(
        "{:<36} {:<12} {:>9} {:>14} {:>10} {:>10}",
        "network, tile", "engine", "seconds", "ours is faster", "MiB", "deviation"
    );
    for (title, network, shape) in CASES {
        let folder = work().join("bench").join(format!("{network}{}", shape[0]));
        if !folder.join("case.json").is_file() {
            let mut prepare = command(&python);
            prepare.arg(&script).args(["prepare", network]).args(shape).arg(&folder);
            execute_quietly(&mut prepare)?;
        }
        let mut contenders = CONTENDERS
            .iter()
            .map(|&name| Contender::start(&mut contender(name, &ours, &python, &script, &folder)))
            .collect::<Result<Vec<_>>>()?;
        for _ in 0..ROUNDS {
            contenders.iter_mut().try_for_each(Contender::run)?;
        }
        let results = contenders.into_iter().map(Contender::finish).collect::<Result<Vec<_>>>()?;
        let winograd = results[0][0];
        for (name, [seconds, peak, deviation]) in CONTENDERS.iter().zip(results) {
            println!(
                "{title:<36} {name:<12} {seconds:>9.2} {:>13.2}x {peak:>10.0} {deviation:>10.1e}",
                seconds / winograd
            );
        }
    }
    for (title, network, shape) in CASES {
        let folder = work().join("bench").join(format!("{network}{}", shape[0]));
        println!("\nLayers of {title}:");
        print!("{}", execute_quietly(command(&ours).arg("profile").arg(&folder).arg(THREADS))?);
    }
    let weights = work().join("bench/total");
    if !weights.is_dir() {
        execute_quietly(command(&python).arg(root().join("benches/total.py")).arg("make").arg(&weights))?;
    }
    case::run(&python, "whole case, bench CT, 31 M, step 0.8", &weights.join(FIRST_PART), "0.8")
}

fn contender(name: &str, ours: &Path, python: &Path, script: &Path, folder: &Path) -> Command {
    let mut program = match name {
        "winograd" | "direct" => command(ours),
        _ => {
            let mut python = command(python);
            python.arg(script);
            python
        }
    };
    program.arg(name).arg(folder).arg(THREADS);
    program
}
