//! Times the numbers about label maps and prints them with the seconds as a line of JSON. `metrics_peers.py` gets
//! the same files, so that both speed and numbers can be compared.
//!
//! Usage: `metrics make FOLDER Z Y X LABELS` writes `first.raw`, `second.raw` (u8) and `image.raw` (i16), x fastest;
//! `metrics compare FIRST SECOND Z Y X SZ SY SX TOLERANCE THREADS`, `metrics statistics LABELS IMAGE Z Y X SZ SY SX
//! THREADS` and `metrics dose LABELS IMAGE Z Y X SZ SY SX THREADS` read such files.

#![allow(clippy::disallowed_methods, reason = "maps to measure with")]
#![allow(clippy::print_stdout, reason = "the line is what this program is for")]

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use voxseg::metrics::{CompareOptions, compare, dose, statistics};
use voxseg::progress::Run;
use voxseg::volume::{DType, Geometry, Layout, Volume};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let Some((what, rest)) = arguments.split_first() else {
        println!("usage: metrics make|compare|statistics|dose ... (see its source)");
        return;
    };
    if what == "make" {
        let sizes: Vec<usize> = rest[1..].iter().map(|number| number.parse().expect("a number")).collect();
        return make(Path::new(&rest[0]), [sizes[0], sizes[1], sizes[2]], sizes[3]);
    }
    let numbers: Vec<f64> = rest[2..].iter().map(|number| number.parse().expect("a number")).collect();
    let geometry = Geometry {
        spacing: [numbers[5], numbers[4], numbers[3]],
        ..Geometry::with_shape([numbers[2] as usize, numbers[1] as usize, numbers[0] as usize])
    };
    let files = [0, 1].map(|n| std::fs::read(&rest[n]).expect("a file"));
    let volume = |n: usize, dtype: DType| {
        let layout = Layout::dense(geometry.shape, dtype);
        Volume::new(geometry.clone(), dtype, layout, vec![&files[n]]).expect("voxels for the shape")
    };
    let labels = volume(0, DType::U8);
    let threads = *numbers.last().expect("threads") as usize;
    let before = peak_memory();
    let start = Instant::now();
    let found: Value = match what.as_str() {
        "compare" => {
            let options = CompareOptions { pairs: None, tolerance: Some(numbers[6]), threads };
            let found =
                compare(&labels, &volume(1, DType::U8), &options, &mut Run::default()).expect("label maps");
            found
                .iter()
                .map(|one| {
                    let surface = one.surface.expect("asked for");
                    json!({
                        "label": one.pair.first, "voxels": one.voxels, "dice": one.dice(),
                        "areas": surface.areas, "hausdorff": surface.hausdorff,
                        "hausdorff_95": surface.hausdorff_95, "mean_each_way": surface.mean_each_way,
                        "surface_dice": surface.dice,
                    })
                })
                .collect()
        }
        "statistics" => {
            let found = statistics(&labels, Some((&volume(1, DType::I16), 0)), threads, &mut Run::default())
                .expect("label map");
            found
                .iter()
                .map(|one| {
                    let intensities = one.intensities.expect("asked for");
                    json!({
                        "label": one.label, "voxels": one.voxels, "milliliters": one.milliliters,
                        "surface_area": one.surface_area, "first": one.first, "last": one.last,
                        "centroid_index": one.centroid_index, "margin": one.margin, "mean": intensities.mean,
                        "std": intensities.std, "median": intensities.median, "min": intensities.min,
                        "max": intensities.max,
                    })
                })
                .collect()
        }
        "dose" => {
            let found =
                dose(&labels, &volume(1, DType::I16), threads, &mut Run::default()).expect("label map");
            found
                .iter()
                .map(|one| json!({"label": one.label, "mean": one.mean, "d95": one.dose_to(95.0)}))
                .collect()
        }
        _ => panic!("unknown arguments {arguments:?}"),
    };
    let seconds = start.elapsed().as_secs_f64();
    let extra = peak_memory().saturating_sub(before);
    println!("{}", json!({"seconds": seconds, "extra_bytes": extra, "labels": found}));
}

/// Two maps of ellipsoids that differ at their borders, and a noisy image.
fn make(folder: &Path, [planes, rows, columns]: [usize; 3], labels: usize) {
    let mut state = 7_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1 << 24) as f64
    };
    let mut maps = [0, 1].map(|_| vec![0_u8; planes * rows * columns]);
    for label in 1..=labels {
        let size = [planes, rows, columns].map(|length| length as f64);
        let center = size.map(|length| length * (0.12 + 0.76 * random()));
        let radius = size.map(|length| length * (0.02 + 0.3 * random() * random()));
        for (n, map) in maps.iter_mut().enumerate() {
            let [z_range, y_range, x_range] = [0, 1, 2].map(|axis| {
                let low = (center[axis] - 1.3 * radius[axis]).max(0.0) as usize;
                low..((center[axis] + 1.3 * radius[axis]) as usize + 1).min(size[axis] as usize)
            });
            for z in z_range {
                for y in y_range.clone() {
                    for x in x_range.clone() {
                        let offset = [z, y, x].map(|index| index as f64);
                        let squared: f64 =
                            (0..3).map(|axis| ((offset[axis] - center[axis]) / radius[axis]).powi(2)).sum();
                        let wave =
                            0.1 * n as f64 * (0.3 * offset[0]).sin() * (0.2 * (offset[1] + offset[2])).cos();
                        if squared < 1.0 + wave {
                            map[(z * rows + y) * columns + x] = label as u8;
                        }
                    }
                }
            }
        }
    }
    let image = maps[0].iter().map(|&label| i16::from(label) * 9 - 400 + (200.0 * random()) as i16);
    let image: Vec<u8> = image.flat_map(i16::to_ne_bytes).collect();
    for (name, bytes) in [("first.raw", &maps[0]), ("second.raw", &maps[1]), ("image.raw", &image)] {
        std::fs::write(folder.join(name), bytes).expect("a folder that can be written");
    }
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().map_or(0, |kibibytes| kibibytes * 1024)
}
