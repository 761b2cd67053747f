//! Rust and C agree on the size and place of every field of every structure: `tests/abi/layout.c` is compiled
//! against the header and prints what C makes of it.

use std::mem::{align_of, offset_of, size_of};
use std::path::Path;
use std::process::Command;

use voxseg::ffi::*;

/// The lines that the C program prints for one structure.
macro_rules! layout {
    ($($structure:ident { $($field:ident),* $(,)? })*) => {{
        let mut lines = Vec::new();
        $(
            let name = stringify!($structure);
            lines.push(format!("{name} - {} {}", align_of::<$structure>(), size_of::<$structure>()));
            $({
                let size = size_of_field(|value: &$structure| &raw const value.$field);
                let field = stringify!($field);
                lines.push(format!("{name} {field} {} {size}", offset_of!($structure, $field)));
            })*
        )*
        lines
    }};
}

fn size_of_field<S, F>(_: impl Fn(&S) -> *const F) -> usize {
    size_of::<F>()
}

#[test]
fn c_and_rust_agree() {
    let mut rust = layout! {
        vxs_compare_options { struct_size, threads, pairs, pair_count, tolerance, progress, user_data, cancel }
        vxs_comparison {
            struct_size, reserved, pair, voxels, both, milliliters, dice, hausdorff, hausdorff_95,
            mean_distance, surface_dice,
        }
        vxs_device_info {
            struct_size, device, usable, index, name, reason, driver, memory_bytes, hardware, reserved,
        }
        vxs_executor { struct_size, max_concurrency, user_data, parallel_for }
        vxs_label_dose { struct_size, label, voxels, outside, mean, min, max }
        vxs_label_pair { first, second }
        vxs_label_info { struct_size, value, name, color, reserved }
        vxs_label_statistics {
            struct_size, label, voxels, milliliters, surface_area, first, last, centroid_index, centroid, margin,
            mean, std, median, min, max,
        }
        vxs_labels { struct_size, dtype, data, data_size, strides, offset, flags, reserved }
        vxs_map { struct_size, kind, label, dtype, data, data_size, strides, offset }
        vxs_measure_options { struct_size, threads, channel, progress, user_data, cancel }
        vxs_model_file { name, data, size }
        vxs_model_options {
            struct_size, foreground_crop, folds, fold_count, checkpoint, configuration, auto3dseg_script, reserved,
            memory_budget, cancel,
        }
        vxs_plan_options {
            struct_size, device, precision, threads, step, mirroring, blending, memory_budget, postprocess,
            device_index, fallback, overflow, device_memory_budget, device_cache, device_stream,
            accuracy, instructions, tile_batch, reserved, cancel, concurrent_runs, when_busy, executor,
        }
        vxs_plan_report {
            struct_size, device, precision, threads, network_shape, tiles, network_runs, host_peak_bytes,
            device_peak_bytes, weight_bytes, device_index, tile_batch, shared_bytes, run_bytes,
        }
        vxs_progress { struct_size, stage, fraction, tiles_done, tiles }
        vxs_run_options { struct_size, reserved, progress, user_data, cancel, maps, map_count, record, non_finite, reserved_2 }
        vxs_run_report {
            struct_size, reserved, tiles, voxels, near_ties, preprocess_seconds, network_seconds,
            blend_seconds, restore_seconds, total_seconds, process_peak_bytes,
            tiles_in_single, tiles_on_device, tile_batch, memory_step, non_finite_voxels, first_non_finite, warnings,
        }
        vxs_task_options {
            struct_size, resampling, subset, subset_count, robust_crop, split, remove_small,
            crop_to_body, on_network_grid, smooth, first_order, cancel,
        }
        vxs_term { struct_size, reserved, scheme, code, meaning }
        vxs_volume {
            struct_size, dtype, data, data_size, shape, strides, offset, channels, channel_stride,
            channel_data, spacing, origin, direction, slope, intercept, flags, reserved,
        }
    };
    rust.sort();

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("layout");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let compiled = Command::new(&compiler)
        .args(["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I"])
        .arg(root.join("include"))
        .arg("-o")
        .arg(&program)
        .arg(root.join("tests/abi/layout.c"))
        .status();
    assert!(compiled.is_ok_and(|status| status.success()), "{compiler} doesn't compile tests/abi/layout.c");
    let output = Command::new(&program).output().unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut c: Vec<&str> = printed.lines().collect();
    c.sort_unstable();
    assert_eq!(c, rust);
}
