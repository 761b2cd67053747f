// Generated from include/voxseg.h by `cargo xtask bless`.
layout! {
    vxs_progress { struct_size, stage, fraction, tiles_done, tiles, bytes_read, bytes }
    vxs_device_info { struct_size, device, index, usable, hardware, reserved, name, reason, driver, memory_bytes }
    vxs_volume { struct_size, dtype, data, data_size, shape, strides, offset, channels, channel_stride, channel_data, spacing, origin, direction, slope, intercept, flags }
    vxs_labels { struct_size, dtype, data, data_size, strides, offset, flags }
    vxs_map { struct_size, kind, label, dtype, data, data_size, strides, offset }
    vxs_model_options { struct_size, foreground_crop, auto3dseg_script, reserved, folds, fold_count, checkpoint, configuration, memory_budget, progress, user_data, cancel, classes, class_count }
    vxs_model_file { name, data, size }
    vxs_label_info { struct_size, value, color, reserved, name }
    vxs_term { struct_size, role, scheme, code, meaning }
    vxs_task_options { struct_size, resampling, robust_crop, split, crop_to_body, on_network_grid, smooth, legacy_v1_labels, subset, subset_count, remove_small, progress, user_data, cancel, memory_budget }
    vxs_executor { struct_size, max_concurrency, user_data, parallel_for }
    vxs_plan_options { struct_size, device, precision, threads, step, mirroring, blending, memory_budget, postprocess, device_index, fallback, overflow, device_memory_budget, device_cache, device_stream, convolution, instructions, tile_batch, concurrent_runs, when_busy, reserved, executor, progress, user_data, cancel }
    vxs_plan_report { struct_size, device, precision, threads, network_shape, tiles, network_runs, host_peak_bytes, device_peak_bytes, weight_bytes, device_index, tile_batch, shared_bytes, run_bytes, tiles_in_all }
    vxs_box { start, end }
    vxs_labels_so_far { struct_size, is_final, part, complete, complete_count }
    vxs_run_options { struct_size, non_finite, progress, user_data, cancel, maps, map_count, record, regions, region_count, when_global, buffers_of_region, on_labels }
    vxs_run_report { struct_size, memory_step, tiles, voxels, near_ties, preprocess_seconds, network_seconds, blend_seconds, restore_seconds, total_seconds, process_peak_bytes, tiles_in_single, tiles_on_device, tile_batch, non_finite_voxels, first_non_finite, warnings, tiles_in_all, final_voxels, final_part }
    vxs_session_options { struct_size, autozoom, non_finite, reserved, progress, user_data, cancel }
    vxs_session_report { struct_size, reserved, changed_start, changed_end, network_runs, near_ties, zoom, total_seconds }
    vxs_measure_options { struct_size, threads, progress, user_data, cancel, executor }
    vxs_label_statistics { struct_size, label, voxels, milliliters, surface_area, first, last, centroid_index, centroid, margin, mean, std, median, min, max }
    vxs_label_dose { struct_size, label, voxels, outside, mean, min, max }
    vxs_label_pair { first, second }
    vxs_compare_options { struct_size, threads, surfaces, reserved, pairs, pair_count, tolerance, progress, user_data, cancel, executor }
    vxs_comparison { struct_size, surfaces, pair, voxels, both, milliliters, dice, hausdorff, hausdorff_95, mean_distance, surface_dice }
}
