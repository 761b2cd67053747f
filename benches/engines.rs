//! Our CPU engine on a network that `cpu_peers.py` prepared, in the way that it runs the peers: a tile for each line on
//! standard input, whose seconds are printed; at the end its memory and the largest deviation from PyTorch's scores.
//!
//! Usage: `engines fast|exact FOLDER THREADS`, or `engines profile|profile-exact FOLDER THREADS` for a table of layers.

#![allow(clippy::print_stdout, reason = "the lines are what this program is for")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use voxseg::checkpoint::SafeTensors;
use voxseg::engine::cpu::{Algorithm, CpuEngine, CpuOptions, Isa, Layer, multiply_add_peak};
use voxseg::engine::{Engine, Workspace};
use voxseg::network::monai::{Context, from_config};
use voxseg::network::{
    Activation, ConvBlock, Network, Norm, PlainConvUNet, ResidualBlock, ResidualEncoderUNet, StateDict,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [mode, folder, threads] = arguments.as_slice() else {
        println!(
            "usage: engines winograd|direct|profile|profile-direct FOLDER THREADS (see `cargo xtask bench cpu`)"
        );
        return;
    };
    let before = memory("VmRSS:");
    let folder = Path::new(folder);
    let case: Value = serde_json::from_slice(&read(&folder.join("case.json"))).expect("a case");
    let size = |axis: usize| case["shape"][axis].as_u64().expect("a size") as usize;
    let network = Arc::new(network(case["network"].as_str().expect("a network"), folder));
    let tile = [size(0), size(1), size(2)];
    let image = floats(&folder.join("image.f32"));
    let isa = std::env::var("VOXSEG_BENCH_ISA").ok();
    let isa = Isa::ALL.into_iter().find(|each| isa.as_deref() == Some(each.name())).unwrap_or_default();
    let options = CpuOptions {
        convolution: if mode.ends_with("direct") { Algorithm::Direct } else { Algorithm::Winograd },
        isa,
    };
    let threads = threads.parse().expect("a number of threads");
    let engine = CpuEngine::new(&network, tile, threads, options).expect("an engine");
    let mut workspace = Workspace::default();
    let mut scores = vec![0.0; network.output_channels() * tile.iter().product::<usize>()];
    drop(network);
    // As where a model is freed.
    voxseg::ffi::return_freed_memory();
    engine.run(&mut workspace, &image, &mut scores).expect("a tile");
    if mode.starts_with("profile") {
        let peak = || multiply_add_peak(isa, threads).expect("instructions");
        return profile(&engine, &image, &mut scores, peak);
    }
    forget_peak();
    println!("ready");
    for _ in std::io::stdin().lines() {
        let start = Instant::now();
        engine.run(&mut workspace, &image, &mut scores).expect("a tile");
        println!("{}", start.elapsed().as_secs_f64());
    }
    // What the machine must have for a tile, beside the weights themselves.
    let weights = case["weight_bytes"].as_u64().expect("bytes");
    let peak_bytes = memory("VmHWM:").saturating_sub(before + weights);
    let expected = floats(&folder.join("scores.f32"));
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let differences = scores.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    let deviation = differences.fold(0.0, f32::max) / largest;
    println!("{}", json!({"peak_bytes": peak_bytes, "deviation": deviation}));
}

/// A table of the layers: milliseconds, operations of the plain sum, their rate, and its share of the multiply-add
/// peak.
fn profile(engine: &CpuEngine, image: &[f32], scores: &mut [f32], peak: impl Fn() -> f64) {
    let before = peak();
    let mut workspace = Workspace::default();
    let mut round = || engine.profile(&mut workspace, image, scores).expect("a tile");
    let rounds: Vec<Vec<Layer>> = (0..5).map(|_| round()).collect();
    let peak = before.max(peak());
    println!("multiply-add peak: {:.0} GFLOP/s", 2e-9 * peak);
    println!("| ms | GFLOP | GFLOP/s | of the peak | layer |\n|---:|---:|---:|---:|---|");
    let line = |seconds: f64, multiply_adds: u64, name: &str| {
        let (flop, share) = (2e-9 * multiply_adds as f64, multiply_adds as f64 / seconds / peak);
        match multiply_adds {
            0 => println!("| {:.2} | | | | {name} |", 1e3 * seconds),
            _ => {
                println!("| {:.2} | {flop:.2} | {:.0} | {share:.2} | {name} |", 1e3 * seconds, flop / seconds)
            }
        }
    };
    let (mut total, mut operations) = (0.0, 0);
    for (step, layer) in rounds[0].iter().enumerate() {
        let mut seconds: Vec<f64> = rounds.iter().map(|round| round[step].seconds).collect();
        seconds.sort_by(f64::total_cmp);
        total += seconds[2];
        operations += layer.multiply_adds;
        line(seconds[2], layer.multiply_adds, &layer.name);
    }
    line(total, operations, "all");
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn floats(path: &Path) -> Vec<f32> {
    read(path).as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// The network of that name, as `cpu_peers.py` makes it.
fn network(name: &str, folder: &Path) -> Network {
    let file =
        SafeTensors::from_bytes("weights.safetensors", read(&folder.join("weights.safetensors")).into());
    let file = file.expect("weights");
    let weights = StateDict::of_safetensors(&file).expect("weights");
    let conv = ConvBlock {
        dimensions: 3,
        bias: true,
        norm: Some(Norm { epsilon: 1e-5, affine: true, running: false }),
        activation: Some(Activation::LeakyRelu(0.01)),
        dropout: false,
        activation_first: false,
    };
    let features = vec![32, 64, 128, 256, 320, 320];
    let network = match name {
        "plain" => PlainConvUNet {
            input_channels: 1,
            classes: 25,
            features,
            kernels: vec![[3; 3]; 6],
            strides: [vec![[1; 3]], vec![[2; 3]; 5]].concat(),
            encoder_convs: vec![2; 6],
            decoder_convs: vec![2; 5],
            conv,
        }
        .build(weights),
        "resenc" => ResidualEncoderUNet {
            input_channels: 1,
            classes: 25,
            stem_channels: 32,
            features,
            kernels: [vec![[1, 3, 3]], vec![[3; 3]; 5]].concat(),
            strides: [vec![[1; 3], [1, 2, 2]], vec![[2; 3]; 4]].concat(),
            encoder_blocks: vec![1, 3, 4, 6, 6, 6],
            bottlenecks: None,
            decoder_blocks: vec![1; 5],
            residual_decoder: false,
            block: ResidualBlock { conv, squeeze: None },
        }
        .build(weights),
        other => {
            let (target, arguments) = match other {
                "segresnet" => (
                    "SegResNet",
                    json!({"spatial_dims": 3, "in_channels": 1, "out_channels": 105, "init_filters": 32,
                           "blocks_down": [1, 2, 2, 4], "blocks_up": [1, 1, 1], "dropout_prob": 0.2}),
                ),
                _ => (
                    "SegResNetDS",
                    json!({"init_filters": 32, "blocks_down": [1, 2, 2, 4, 4], "norm": "INSTANCE", "in_channels": 1,
                           "out_channels": 25, "dsdepth": 4}),
                ),
            };
            let context = Context { file: "cpu_peers.py", monai_version: Some("1.6.1") };
            let network = from_config(target, arguments.as_object().expect("arguments"), &context);
            network.expect("a network").build(weights)
        }
    };
    network.expect("a network")
}

/// A figure of this process's memory, in bytes.
fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().map_or(0, |kibibytes| kibibytes * 1024)
}

/// Lets the kernel's record of the most memory begin anew.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("a Linux machine");
}
