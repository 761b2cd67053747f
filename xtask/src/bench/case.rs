//! A whole case, from files to a file: nnU-Net's predictor and our tool, in turn.

use std::path::Path;
use std::time::Instant;

use super::{ROUNDS, medians, numbers};
use crate::{Result, at, build, command, create_folder, execute_quietly, fetch, root, work};

/// The bench CT through a model, with tiles that far apart.
pub fn run(python: &Path, title: &str, model: &Path, step: &str) -> Result<()> {
    let image = fetch::images()?.join("ct_bench.nii.gz");
    let folder = work().join("bench");
    create_folder(&folder)?;
    let [stem, theirs, ours, report] =
        ["peer", "peer.nii.gz", "ours.nii.gz", "report.json"].map(|name| folder.join(name));
    let tool = build::tool()?;
    let (mut peer_runs, mut own_runs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut peer = command(python);
        peer.arg(root().join("benches/peers.py")).arg("case").args([model, &image, &stem]).args([step, "2"]);
        let text = execute_quietly(&mut peer)?;
        peer_runs.push(numbers(&text, ["seconds", "network", "other", "extra_bytes"])?);
        let mut run = command(&tool);
        run.arg("run").arg("--model").arg(model).arg("--image").arg(&image).arg("--out").arg(&ours);
        run.arg("--report").arg(&report).args(["--step", step, "--threads", "2", "--quiet"]);
        let start = Instant::now();
        execute_quietly(&mut run)?;
        let seconds = start.elapsed().as_secs_f64();
        let text = std::fs::read_to_string(&report).map_err(at("read", &report))?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let number = |key: &str| value["run"][key].as_f64().ok_or(format!("no {key} in the report"));
        let network = number("network_seconds")?;
        own_runs.push([seconds, network, seconds - network, number("process_peak_bytes")?]);
    }
    println!("\n{title:<48} {:>9} {:>9} {:>7}", "nnU-Net", "ours", "ratio");
    let fields = ["all, seconds", "network, seconds", "everything else, seconds", "peak memory, MiB"];
    for (field, (peer, own)) in medians(&peer_runs).into_iter().zip(medians(&own_runs)).enumerate() {
        let scale = if field == 3 { 1.0 / f64::from(1 << 20) } else { 1.0 };
        println!("{:<48} {:>9.2} {:>9.2} {:>6.1}x", fields[field], peer * scale, own * scale, peer / own);
    }
    let compared = execute_quietly(command(&tool).arg("compare").args([&ours, &theirs]));
    println!("{}", compared.unwrap_or_else(|difference| difference).trim());
    Ok(())
}
