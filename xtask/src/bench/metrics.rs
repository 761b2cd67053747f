//! `cargo xtask bench metrics`: numbers about label maps beside the Python packages that give them, and whether they
//! are the same.

use std::path::Path;

use super::{ROUNDS, add, medians, numbers, peers, program};
use crate::{Result, at, command, create_folder, execute_quietly, root, say, work};

const PACKAGES: [&str; 1] = ["surface-distance==0.1"];
/// Planes, rows, columns and labels: a CT of the trunk.
const SIZE: [&str; 4] = ["600", "512", "512", "117"];
/// Of a voxel, along z, y and x, in mm.
const SPACING: [&str; 3] = ["1.5", "0.8", "0.8"];
const TOLERANCE: &str = "2";
const THREADS: &str = "2";

struct Row {
    what: &'static str,
    /// The second file beside the first map.
    second: &'static str,
    tolerance: Option<&'static str>,
    peer: &'static str,
}

const ROWS: [Row; 2] = [
    Row { what: "statistics", second: "image.raw", tolerance: None, peer: "totalsegmentator" },
    Row { what: "compare", second: "second.raw", tolerance: Some(TOLERANCE), peer: "surface-distance" },
];

pub fn run() -> Result<()> {
    let python = peers()?;
    add(&python, "surface_distance", "surface-distance", &PACKAGES)?;
    let ours = program("metrics")?;
    let folder = work().join("bench/metrics");
    create_folder(&folder)?;
    say("making two maps of 117 labels and an image, 512x512x600");
    execute_quietly(command(&ours).arg("make").arg(&folder).args(SIZE))?;
    println!(
        "{:<12} {:<20} {:>9} {:>9} {:>8}  largest relative deviations",
        "what", "peer", "peer s", "ours s", "ratio"
    );
    for row in &ROWS {
        let result = folder.join("ours.json");
        let mut mine = Vec::new();
        for _ in 0..ROUNDS {
            let mut program = command(&ours);
            program.arg(row.what);
            files(&mut program, &folder, row);
            let text = execute_quietly(program.arg(THREADS))?;
            mine.push(numbers(&text, ["seconds", "extra_bytes"])?);
            std::fs::write(&result, text).map_err(at("write", &result))?;
        }
        // Minutes long, so once.
        let mut peer = command(&python);
        peer.arg(root().join("benches/metrics_peers.py")).arg(row.peer);
        files(&mut peer, &folder, row);
        let text = execute_quietly(peer.arg(&result))?;
        let ([theirs], [seconds, _]) = (numbers(&text, ["seconds"])?, medians(&mine));
        let deviations = text.split_once("\"deviation\":").map_or("", |(_, rest)| rest);
        println!(
            "{:<12} {:<20} {theirs:>9.1} {seconds:>9.2} {:>7.0}x  {}",
            row.what,
            row.peer,
            theirs / seconds,
            deviations.trim().trim_end_matches('}').trim_start_matches('{'),
        );
    }
    Ok(())
}

fn files(program: &mut std::process::Command, folder: &Path, row: &Row) {
    program.arg(folder.join("first.raw")).arg(folder.join(row.second));
    program.args(&SIZE[..3]).args(SPACING).args(row.tolerance);
}
