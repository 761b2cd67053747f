/* Generated from include/voxseg.h by `cargo xtask bless`. */
#define TABLE(S, F) \
    S(vxs_progress) \
    F(vxs_progress, struct_size) \
    F(vxs_progress, stage) \
    F(vxs_progress, fraction) \
    F(vxs_progress, tiles_done) \
    F(vxs_progress, tiles) \
    F(vxs_progress, bytes_read) \
    F(vxs_progress, bytes) \
    S(vxs_device_info) \
    F(vxs_device_info, struct_size) \
    F(vxs_device_info, device) \
    F(vxs_device_info, index) \
    F(vxs_device_info, usable) \
    F(vxs_device_info, hardware) \
    F(vxs_device_info, reserved) \
    F(vxs_device_info, name) \
    F(vxs_device_info, reason) \
    F(vxs_device_info, driver) \
    F(vxs_device_info, memory_bytes) \
    S(vxs_volume) \
    F(vxs_volume, struct_size) \
    F(vxs_volume, dtype) \
    F(vxs_volume, data) \
    F(vxs_volume, data_size) \
    F(vxs_volume, shape) \
    F(vxs_volume, strides) \
    F(vxs_volume, offset) \
    F(vxs_volume, channels) \
    F(vxs_volume, channel_stride) \
    F(vxs_volume, channel_data) \
    F(vxs_volume, spacing) \
    F(vxs_volume, origin) \
    F(vxs_volume, direction) \
    F(vxs_volume, slope) \
    F(vxs_volume, intercept) \
    F(vxs_volume, flags) \
    S(vxs_labels) \
    F(vxs_labels, struct_size) \
    F(vxs_labels, dtype) \
    F(vxs_labels, data) \
    F(vxs_labels, data_size) \
    F(vxs_labels, strides) \
    F(vxs_labels, offset) \
    F(vxs_labels, flags) \
    S(vxs_map) \
    F(vxs_map, struct_size) \
    F(vxs_map, kind) \
    F(vxs_map, label) \
    F(vxs_map, dtype) \
    F(vxs_map, data) \
    F(vxs_map, data_size) \
    F(vxs_map, strides) \
    F(vxs_map, offset) \
    S(vxs_model_options) \
    F(vxs_model_options, struct_size) \
    F(vxs_model_options, foreground_crop) \
    F(vxs_model_options, auto3dseg_script) \
    F(vxs_model_options, reserved) \
    F(vxs_model_options, folds) \
    F(vxs_model_options, fold_count) \
    F(vxs_model_options, checkpoint) \
    F(vxs_model_options, configuration) \
    F(vxs_model_options, memory_budget) \
    F(vxs_model_options, progress) \
    F(vxs_model_options, user_data) \
    F(vxs_model_options, cancel) \
    F(vxs_model_options, classes) \
    F(vxs_model_options, class_count) \
    S(vxs_model_file) \
    F(vxs_model_file, name) \
    F(vxs_model_file, data) \
    F(vxs_model_file, size) \
    S(vxs_label_info) \
    F(vxs_label_info, struct_size) \
    F(vxs_label_info, value) \
    F(vxs_label_info, color) \
    F(vxs_label_info, reserved) \
    F(vxs_label_info, name) \
    S(vxs_term) \
    F(vxs_term, struct_size) \
    F(vxs_term, role) \
    F(vxs_term, scheme) \
    F(vxs_term, code) \
    F(vxs_term, meaning) \
    S(vxs_task_options) \
    F(vxs_task_options, struct_size) \
    F(vxs_task_options, resampling) \
    F(vxs_task_options, robust_crop) \
    F(vxs_task_options, split) \
    F(vxs_task_options, crop_to_body) \
    F(vxs_task_options, on_network_grid) \
    F(vxs_task_options, smooth) \
    F(vxs_task_options, legacy_v1_labels) \
    F(vxs_task_options, subset) \
    F(vxs_task_options, subset_count) \
    F(vxs_task_options, remove_small) \
    F(vxs_task_options, progress) \
    F(vxs_task_options, user_data) \
    F(vxs_task_options, cancel) \
    F(vxs_task_options, memory_budget) \
    S(vxs_executor) \
    F(vxs_executor, struct_size) \
    F(vxs_executor, max_concurrency) \
    F(vxs_executor, user_data) \
    F(vxs_executor, parallel_for) \
    S(vxs_plan_options) \
    F(vxs_plan_options, struct_size) \
    F(vxs_plan_options, device) \
    F(vxs_plan_options, precision) \
    F(vxs_plan_options, threads) \
    F(vxs_plan_options, step) \
    F(vxs_plan_options, mirroring) \
    F(vxs_plan_options, blending) \
    F(vxs_plan_options, memory_budget) \
    F(vxs_plan_options, postprocess) \
    F(vxs_plan_options, device_index) \
    F(vxs_plan_options, fallback) \
    F(vxs_plan_options, overflow) \
    F(vxs_plan_options, device_memory_budget) \
    F(vxs_plan_options, device_cache) \
    F(vxs_plan_options, device_stream) \
    F(vxs_plan_options, convolution) \
    F(vxs_plan_options, instructions) \
    F(vxs_plan_options, tile_batch) \
    F(vxs_plan_options, concurrent_runs) \
    F(vxs_plan_options, when_busy) \
    F(vxs_plan_options, reserved) \
    F(vxs_plan_options, executor) \
    F(vxs_plan_options, progress) \
    F(vxs_plan_options, user_data) \
    F(vxs_plan_options, cancel) \
    S(vxs_plan_report) \
    F(vxs_plan_report, struct_size) \
    F(vxs_plan_report, device) \
    F(vxs_plan_report, precision) \
    F(vxs_plan_report, threads) \
    F(vxs_plan_report, network_shape) \
    F(vxs_plan_report, tiles) \
    F(vxs_plan_report, network_runs) \
    F(vxs_plan_report, host_peak_bytes) \
    F(vxs_plan_report, device_peak_bytes) \
    F(vxs_plan_report, weight_bytes) \
    F(vxs_plan_report, device_index) \
    F(vxs_plan_report, tile_batch) \
    F(vxs_plan_report, shared_bytes) \
    F(vxs_plan_report, run_bytes) \
    F(vxs_plan_report, tiles_in_all) \
    S(vxs_box) \
    F(vxs_box, start) \
    F(vxs_box, end) \
    S(vxs_labels_so_far) \
    F(vxs_labels_so_far, struct_size) \
    F(vxs_labels_so_far, is_final) \
    F(vxs_labels_so_far, part) \
    F(vxs_labels_so_far, complete) \
    F(vxs_labels_so_far, complete_count) \
    S(vxs_run_options) \
    F(vxs_run_options, struct_size) \
    F(vxs_run_options, non_finite) \
    F(vxs_run_options, progress) \
    F(vxs_run_options, user_data) \
    F(vxs_run_options, cancel) \
    F(vxs_run_options, maps) \
    F(vxs_run_options, map_count) \
    F(vxs_run_options, record) \
    F(vxs_run_options, regions) \
    F(vxs_run_options, region_count) \
    F(vxs_run_options, when_global) \
    F(vxs_run_options, buffers_of_region) \
    F(vxs_run_options, on_labels) \
    S(vxs_run_report) \
    F(vxs_run_report, struct_size) \
    F(vxs_run_report, memory_step) \
    F(vxs_run_report, tiles) \
    F(vxs_run_report, voxels) \
    F(vxs_run_report, near_ties) \
    F(vxs_run_report, preprocess_seconds) \
    F(vxs_run_report, network_seconds) \
    F(vxs_run_report, blend_seconds) \
    F(vxs_run_report, restore_seconds) \
    F(vxs_run_report, total_seconds) \
    F(vxs_run_report, process_peak_bytes) \
    F(vxs_run_report, tiles_in_single) \
    F(vxs_run_report, tiles_on_device) \
    F(vxs_run_report, tile_batch) \
    F(vxs_run_report, non_finite_voxels) \
    F(vxs_run_report, first_non_finite) \
    F(vxs_run_report, warnings) \
    F(vxs_run_report, tiles_in_all) \
    F(vxs_run_report, final_voxels) \
    F(vxs_run_report, final_part) \
    S(vxs_session_options) \
    F(vxs_session_options, struct_size) \
    F(vxs_session_options, autozoom) \
    F(vxs_session_options, non_finite) \
    F(vxs_session_options, reserved) \
    F(vxs_session_options, progress) \
    F(vxs_session_options, user_data) \
    F(vxs_session_options, cancel) \
    S(vxs_session_report) \
    F(vxs_session_report, struct_size) \
    F(vxs_session_report, reserved) \
    F(vxs_session_report, changed_start) \
    F(vxs_session_report, changed_end) \
    F(vxs_session_report, network_runs) \
    F(vxs_session_report, near_ties) \
    F(vxs_session_report, zoom) \
    F(vxs_session_report, total_seconds) \
    S(vxs_measure_options) \
    F(vxs_measure_options, struct_size) \
    F(vxs_measure_options, threads) \
    F(vxs_measure_options, progress) \
    F(vxs_measure_options, user_data) \
    F(vxs_measure_options, cancel) \
    F(vxs_measure_options, executor) \
    S(vxs_label_statistics) \
    F(vxs_label_statistics, struct_size) \
    F(vxs_label_statistics, label) \
    F(vxs_label_statistics, voxels) \
    F(vxs_label_statistics, milliliters) \
    F(vxs_label_statistics, surface_area) \
    F(vxs_label_statistics, first) \
    F(vxs_label_statistics, last) \
    F(vxs_label_statistics, centroid_index) \
    F(vxs_label_statistics, centroid) \
    F(vxs_label_statistics, margin) \
    F(vxs_label_statistics, mean) \
    F(vxs_label_statistics, std) \
    F(vxs_label_statistics, median) \
    F(vxs_label_statistics, min) \
    F(vxs_label_statistics, max) \
    S(vxs_label_dose) \
    F(vxs_label_dose, struct_size) \
    F(vxs_label_dose, label) \
    F(vxs_label_dose, voxels) \
    F(vxs_label_dose, outside) \
    F(vxs_label_dose, mean) \
    F(vxs_label_dose, min) \
    F(vxs_label_dose, max) \
    S(vxs_label_pair) \
    F(vxs_label_pair, first) \
    F(vxs_label_pair, second) \
    S(vxs_compare_options) \
    F(vxs_compare_options, struct_size) \
    F(vxs_compare_options, threads) \
    F(vxs_compare_options, surfaces) \
    F(vxs_compare_options, reserved) \
    F(vxs_compare_options, pairs) \
    F(vxs_compare_options, pair_count) \
    F(vxs_compare_options, tolerance) \
    F(vxs_compare_options, progress) \
    F(vxs_compare_options, user_data) \
    F(vxs_compare_options, cancel) \
    F(vxs_compare_options, executor) \
    S(vxs_comparison) \
    F(vxs_comparison, struct_size) \
    F(vxs_comparison, surfaces) \
    F(vxs_comparison, pair) \
    F(vxs_comparison, voxels) \
    F(vxs_comparison, both) \
    F(vxs_comparison, milliliters) \
    F(vxs_comparison, dice) \
    F(vxs_comparison, hausdorff) \
    F(vxs_comparison, hausdorff_95) \
    F(vxs_comparison, mean_distance) \
    F(vxs_comparison, surface_dice)
