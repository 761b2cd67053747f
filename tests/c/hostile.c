/*
 * Everything that a careless caller can get wrong, through the C interface: each mistake is a status and a
 * message, and the same plan goes on to segment correctly.
 *
 *     hostile MODEL CT.mhd [--quick]
 *
 * VOXSEG_TEST_VERBOSE=1 prints the message of every expected failure.
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "fixture.h"

static arguments given;
static image ct, small;
static vxs_model *model;
static vxs_plan *plan;
static uint8_t *expected; /* what `plan` says about `small` */

static void no_message(void *unused, vxs_log_level level, const char *message) {
    (void)unused, (void)level, (void)message;
}

/* ------------------------------------------------------------------------------------------ helpers */

/* The plan is as good as before: called after every group of failures. */
static void still_right(void) {
    vxs_error *error = NULL;
    uint8_t *found = calloc(small.count, 1);
    vxs_volume volume = volume_of(&small);
    vxs_labels labels = labels_of(found, small.count);
    OK(vxs_segment(plan, &volume, NULL, &labels, NULL, &error));
    CHECK(memcmp(found, expected, small.count) == 0);
    free(found);
}

static uint8_t *canary; /* small.count bytes */

/* Fails to segment, with that status, and leaves the canary alone. */
static void not_segmented(int line, int status, const vxs_volume *volume, const vxs_labels *labels) {
    vxs_error *error = NULL;
    memset(canary, 0xA5, small.count);
    const vxs_status found = vxs_segment(plan, volume, NULL, labels, NULL, &error);
    check_fails(__FILE__, line, "vxs_segment", status, found, &error);
    for (size_t at = 0; at < small.count; at++) {
        CHECK(canary[at] == 0xA5);
    }
}
#define NOT_SEGMENTED(status, volume, labels) not_segmented(__LINE__, status, volume, labels)

/* Segments that volume into `found`, whatever its layout. */
static void segments_to(const vxs_volume *volume, const vxs_labels *labels, const uint8_t *found,
                        const uint8_t *want, size_t count) {
    vxs_error *error = NULL;
    OK(vxs_segment(plan, volume, NULL, labels, NULL, &error));
    CHECK(memcmp(found, want, count) == 0);
}

/* --------------------------------------------------------------------------------------------- NULL */

static void null_pointers(void) {
    vxs_error *error = NULL;
    vxs_volume volume = volume_of(&small);
    vxs_labels labels = labels_of(canary, small.count);
    vxs_device_list *list = NULL;
    vxs_model *opened = NULL;
    vxs_plan *made = NULL;
    vxs_label_info label;
    vxs_device_info device;
    vxs_plan_report plan_report;
    double spacing[3];
    uint64_t patch[3];

    FAILS(VXS_NULL_POINTER, vxs_cancel_create(NULL, &error));
    CHECK(vxs_cancel_create(NULL, NULL) == VXS_NULL_POINTER);
    vxs_cancel_request(NULL);
    CHECK(vxs_cancel_requested(NULL) == 0);
    vxs_cancel_reset(NULL);
    vxs_cancel_free(NULL);

    REFUSES(VXS_NULL_POINTER, vxs_device_info_init(NULL, sizeof(vxs_device_info)));
    REFUSES(VXS_NULL_POINTER, vxs_label_info_init(NULL, sizeof(vxs_label_info)));
    REFUSES(VXS_NULL_POINTER, vxs_labels_init(NULL, sizeof(vxs_labels)));
    REFUSES(VXS_NULL_POINTER, vxs_model_options_init(NULL, sizeof(vxs_model_options)));
    REFUSES(VXS_NULL_POINTER, vxs_plan_options_init(NULL, sizeof(vxs_plan_options)));
    REFUSES(VXS_NULL_POINTER, vxs_plan_report_init(NULL, sizeof(vxs_plan_report)));
    REFUSES(VXS_NULL_POINTER, vxs_run_options_init(NULL, sizeof(vxs_run_options)));
    REFUSES(VXS_NULL_POINTER, vxs_run_report_init(NULL, sizeof(vxs_run_report)));
    REFUSES(VXS_NULL_POINTER, vxs_volume_init(NULL, sizeof(vxs_volume)));

    FAILS(VXS_NULL_POINTER, vxs_device_list_open(NULL, &error));
    CHECK(vxs_device_list_open(NULL, NULL) == VXS_NULL_POINTER);
    OK(vxs_device_list_open(&list, &error));
    CHECK(vxs_device_list_count(list) > 0 && vxs_device_list_count(NULL) == 0);
    CHECK(vxs_device_info_init(&device, sizeof device) == VXS_OK);
    FAILS(VXS_NULL_POINTER, vxs_device_list_get(NULL, 0, &device, &error));
    FAILS(VXS_NULL_POINTER, vxs_device_list_get(list, 0, NULL, &error));
    CHECK(vxs_device_list_get(NULL, 0, NULL, NULL) == VXS_NULL_POINTER);
    FAILS(VXS_INVALID_ARGUMENT, vxs_device_list_get(list, vxs_device_list_count(list), &device, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_device_list_get(list, UINT64_MAX, &device, &error));
    OK(vxs_device_list_get(list, 0, &device, &error));
    CHECK(device.name && strlen(device.name) > 0 && device.reason);
    vxs_device_list_free(list);
    vxs_device_list_free(NULL);

    CHECK(vxs_error_status(NULL) == VXS_OK);
    CHECK(strcmp(vxs_error_message(NULL), "") == 0);
    CHECK(vxs_error_detail(NULL, NULL) == NULL && vxs_error_detail(NULL, "argument") == NULL);
    CHECK(vxs_cancel_create(NULL, &error) == VXS_NULL_POINTER);
    CHECK(vxs_error_detail(error, NULL) == NULL && vxs_error_detail(error, "nothing") == NULL);
    CHECK(vxs_error_detail(error, "\xff") == NULL);
    CHECK(strcmp(vxs_error_detail(error, "argument"), "cancel") == 0);
    vxs_error_free(error);
    vxs_error_free(NULL);
    error = NULL;
    CHECK(strcmp(vxs_status_name(VXS_OK), "ok") == 0 && strcmp(vxs_status_name(12345), "unknown") == 0);
    CHECK(strcmp(vxs_status_name(INT32_MIN), "unknown") == 0);

    vxs_log *log = NULL;
    FAILS(VXS_NULL_POINTER, vxs_log_add(VXS_LOG_WARNING, NULL, NULL, &log, &error));
    FAILS(VXS_NULL_POINTER, vxs_log_add(VXS_LOG_WARNING, no_message, NULL, NULL, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_log_add(17, no_message, NULL, &log, &error));
    CHECK(vxs_log_add(-1, no_message, NULL, &log, NULL) == VXS_INVALID_ARGUMENT && !log);
    vxs_log_remove(NULL);
    CHECK(strstr(vxs_build_info(), "\"version\":"));

    vxs_inspection *inspection = NULL;
    FAILS(VXS_NULL_POINTER, vxs_model_inspect(NULL, NULL, &inspection, &error));
    FAILS(VXS_NULL_POINTER, vxs_model_inspect(given.model, NULL, NULL, &error));
    FAILS(2, vxs_model_inspect("no/such/model", NULL, &inspection, &error));
    CHECK(!inspection && !vxs_inspection_json(NULL));
    vxs_inspection_free(NULL);

    FAILS(VXS_NULL_POINTER, vxs_model_open(NULL, NULL, &opened, &error));
    FAILS(VXS_NULL_POINTER, vxs_model_open(given.model, NULL, NULL, &error));
    CHECK(vxs_model_open(NULL, NULL, NULL, NULL) == VXS_NULL_POINTER);
    FAILS(VXS_NULL_POINTER, vxs_model_open_memory(NULL, 3, NULL, &opened, &error));
    FAILS(2, vxs_model_open_memory(NULL, 0, NULL, &opened, &error));
    FAILS(1, vxs_model_open_memory(NULL, UINT64_MAX, NULL, &opened, &error));
    const vxs_model_file nameless = {NULL, "{}", 2}, contentless = {"plans.json", NULL, 2},
                         one = {"plans.json", "{}", 2};
    FAILS(VXS_NULL_POINTER, vxs_model_open_memory(&nameless, 1, NULL, &opened, &error));
    FAILS(VXS_NULL_POINTER, vxs_model_open_memory(&contentless, 1, NULL, &opened, &error));
    FAILS(VXS_NULL_POINTER, vxs_model_open_memory(&one, 1, NULL, NULL, &error));
    FAILS(2, vxs_model_open_memory(&one, 1, NULL, &opened, &error));
    CHECK(opened == NULL);
    vxs_model_free(NULL);
    CHECK(!vxs_model_name(NULL) && !vxs_model_identity(NULL) && !vxs_model_describe(NULL));
    CHECK(vxs_model_channel_count(NULL) == 0 && vxs_model_label_count(NULL) == 0);
    CHECK(!vxs_model_channel_name(NULL, 0));
    CHECK(!vxs_model_channel_name(model, vxs_model_channel_count(model)) &&
          !vxs_model_channel_name(model, UINT64_MAX));
    CHECK(vxs_label_info_init(&label, sizeof label) == VXS_OK);
    FAILS(VXS_NULL_POINTER, vxs_model_label(NULL, 0, &label, &error));
    FAILS(VXS_NULL_POINTER, vxs_model_label(model, 0, NULL, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_model_label(model, vxs_model_label_count(model), &label, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_model_label(model, UINT64_MAX, &label, &error));
    FAILS(VXS_NULL_POINTER, vxs_model_spacing(NULL, spacing, &error));
    FAILS(VXS_NULL_POINTER, vxs_model_spacing(model, NULL, &error));
    FAILS(VXS_NULL_POINTER, vxs_model_patch(NULL, patch, &error));
    FAILS(VXS_NULL_POINTER, vxs_model_patch(model, NULL, &error));

    FAILS(VXS_NULL_POINTER, vxs_plan_create(NULL, NULL, &made, &error));
    FAILS(VXS_NULL_POINTER, vxs_plan_create(model, NULL, NULL, &error));
    CHECK(vxs_plan_create(NULL, NULL, NULL, NULL) == VXS_NULL_POINTER);
    CHECK(!vxs_plan_describe(NULL));
    CHECK(vxs_plan_report_init(&plan_report, sizeof plan_report) == VXS_OK);
    FAILS(VXS_NULL_POINTER, vxs_plan_estimate(NULL, &volume, &plan_report, &error));
    FAILS(VXS_NULL_POINTER, vxs_plan_estimate(plan, NULL, &plan_report, &error));
    FAILS(VXS_NULL_POINTER, vxs_plan_estimate(plan, &volume, NULL, &error));
    CHECK(vxs_plan_estimate(NULL, NULL, NULL, NULL) == VXS_NULL_POINTER);
    vxs_volume grid;
    CHECK(vxs_volume_init(&grid, sizeof grid) == VXS_OK);
    FAILS(VXS_NULL_POINTER, vxs_plan_label_grid(NULL, &volume, &grid, &error));
    FAILS(VXS_NULL_POINTER, vxs_plan_label_grid(plan, NULL, &grid, &error));
    FAILS(VXS_NULL_POINTER, vxs_plan_label_grid(plan, &volume, NULL, &error));
    OK(vxs_plan_label_grid(plan, &volume, &grid, &error));
    CHECK(memcmp(grid.shape, volume.shape, sizeof grid.shape) == 0 && !grid.data);
    CHECK(memcmp(grid.spacing, volume.spacing, sizeof grid.spacing) == 0);
    CHECK(memcmp(grid.direction, volume.direction, sizeof grid.direction) == 0);
    vxs_plan_free(NULL);

    FAILS(VXS_NULL_POINTER, vxs_segment(NULL, &volume, NULL, &labels, NULL, &error));
    NOT_SEGMENTED(VXS_NULL_POINTER, NULL, &labels);
    NOT_SEGMENTED(VXS_NULL_POINTER, &volume, NULL);
    CHECK(vxs_segment(NULL, NULL, NULL, NULL, NULL, NULL) == VXS_NULL_POINTER);
    volume.data = NULL;
    NOT_SEGMENTED(VXS_NULL_POINTER, &volume, &labels);
    OK(vxs_plan_estimate(plan, &volume, &plan_report, &error)); /* only the grid is looked at */
    CHECK(plan_report.tiles >= 1 && plan_report.host_peak_bytes > plan_report.weight_bytes);
    volume = volume_of(&small);
    labels.data = NULL;
    NOT_SEGMENTED(VXS_NULL_POINTER, &volume, &labels);
    labels = labels_of(canary, small.count);
    const void *pointers[1] = {NULL};
    volume.channel_data = pointers;
    NOT_SEGMENTED(VXS_NULL_POINTER, &volume, &labels);
    volume = volume_of(&small);
    CHECK(vxs_runtime_version() && vxs_runtime_path()); /* a plan was made: it is loaded */
    OK(vxs_runtime_open(NULL, &error));
    still_right();
}

/* -------------------------------------------------------------------------------------------- maps */

static void init_map(vxs_map *map) {
    CHECK(vxs_map_init(map, sizeof *map) == VXS_OK);
    map->kind = VXS_MAP_MARGIN;
    map->dtype = VXS_DTYPE_U8;
    map->data = canary;
    map->data_size = small.count;
}

static vxs_status segment_with_map(const vxs_map *map, vxs_error **error) {
    const vxs_volume volume = volume_of(&small);
    uint8_t *found = malloc(small.count);
    const vxs_labels labels = labels_of(found, small.count);
    vxs_run_options options;
    CHECK(found && vxs_run_options_init(&options, sizeof options) == VXS_OK);
    options.maps = &map;
    options.map_count = 1;
    const vxs_status status = vxs_segment(plan, &volume, &options, &labels, NULL, error);
    CHECK(status != VXS_OK || memcmp(found, expected, small.count) == 0);
    free(found);
    return status;
}

static void maps(void) {
    vxs_map map;
    vxs_error *error = NULL;
    const vxs_volume volume = volume_of(&small);
    const vxs_labels labels = labels_of(canary, small.count);
    vxs_run_options options;
    CHECK(vxs_run_options_init(&options, sizeof options) == VXS_OK);
    options.map_count = 1;
    FAILS(VXS_NULL_POINTER, vxs_segment(plan, &volume, &options, &labels, NULL, &error));
    FAILS(VXS_NULL_POINTER, segment_with_map(NULL, &error));
#define BAD_MAP(status, change)                                                                              \
    do {                                                                                                     \
        init_map(&map);                                                                                      \
        memset(canary, 0xA5, small.count);                                                                   \
        change;                                                                                              \
        FAILS(status, segment_with_map(&map, &error));                                                       \
        CHECK(canary[0] == 0xA5 && canary[small.count - 1] == 0xA5);                                         \
    } while (0)
    BAD_MAP(VXS_NULL_POINTER, map.data = NULL);
    BAD_MAP(VXS_INVALID_ARGUMENT, map.kind = 0);
    BAD_MAP(VXS_INVALID_ARGUMENT, map.kind = 4);
    BAD_MAP(VXS_INVALID_ARGUMENT, map.dtype = VXS_DTYPE_F32);
    BAD_MAP(VXS_INVALID_ARGUMENT, map.dtype = 99);
    BAD_MAP(VXS_BUFFER_TOO_SMALL, map.data_size--);
    BAD_MAP(VXS_BUFFER_TOO_SMALL, map.offset = 1);
    BAD_MAP(VXS_INVALID_ARGUMENT, map.data_size = UINT64_MAX);
    BAD_MAP(VXS_INVALID_ARGUMENT, map.strides[0] = map.strides[1] = map.strides[2] = 1);
    float *wide = malloc(small.count * sizeof *wide);
    CHECK(wide);
#define PROBABILITY(which)                                                                                   \
    (map.kind = VXS_MAP_PROBABILITY, map.dtype = VXS_DTYPE_F32, map.label = which, map.data = wide,          \
     map.data_size = small.count * sizeof *wide)
    BAD_MAP(VXS_INVALID_ARGUMENT, PROBABILITY(77));
    BAD_MAP(VXS_INVALID_ARGUMENT, PROBABILITY(70000));
    free(wide);
    /* A good one. */
    init_map(&map);
    OK(segment_with_map(&map, &error));
    size_t sure = 0;
    for (size_t at = 0; at < small.count; at++) {
        sure += canary[at] > 100;
    }
    CHECK(sure > small.count / 2);
    still_right();
}

/* ---------------------------------------------------------------------------- terms and comparisons */

static void comparisons(void) {
    vxs_term term;
    vxs_error *error = NULL;
    CHECK(vxs_term_init(&term, sizeof term) == VXS_OK);
    FAILS(VXS_INVALID_ARGUMENT, vxs_model_label_term(model, UINT64_MAX, VXS_TERM_TYPE, &term, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_model_label_term(model, 1, 5, &term, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_model_label_term(model, 1, -1, &term, &error));
    FAILS(VXS_NULL_POINTER, vxs_model_label_term(NULL, 1, VXS_TERM_TYPE, &term, &error));
    OK(vxs_model_label_term(model, 0, VXS_TERM_TYPE, &term, &error));
    CHECK(!term.scheme && !term.code && !term.meaning); /* the background is nothing */
    OK(vxs_model_label_term(model, 1, VXS_TERM_TYPE, &term, &error));
    CHECK(term.code && strcmp(term.scheme, "SCT") == 0 && strlen(term.meaning) > 0);

    vxs_label_pair pairs[64];
    uint64_t count = 0;
    FAILS(VXS_NULL_POINTER, vxs_match_labels(model, NULL, VXS_MATCH_NAME, 64, pairs, &count, &error));
    FAILS(VXS_NULL_POINTER, vxs_match_labels(model, model, VXS_MATCH_NAME, 64, NULL, &count, &error));
    FAILS(VXS_NULL_POINTER, vxs_match_labels(model, model, VXS_MATCH_NAME, 64, pairs, NULL, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_match_labels(model, model, 7, 64, pairs, &count, &error));
    OK(vxs_match_labels(model, model, VXS_MATCH_NAME, 0, NULL, &count, &error));
    CHECK(count == vxs_model_label_count(model) - 1);
    OK(vxs_match_labels(model, model, VXS_MATCH_NAME, 1, pairs, &count, &error));
    CHECK(count == vxs_model_label_count(model) - 1 && pairs[0].first == pairs[0].second);

    vxs_volume labels = volume_of(&small);
    labels.dtype = VXS_DTYPE_U8;
    labels.data = expected;
    labels.data_size = small.count;
    const vxs_labels out = labels_of(canary, small.count);
    memset(canary, 0xA5, small.count);
    FAILS(VXS_NULL_POINTER, vxs_labels_on_grid(NULL, &labels, NULL, &out, &error));
    FAILS(VXS_NULL_POINTER, vxs_labels_on_grid(&labels, NULL, NULL, &out, &error));
    FAILS(VXS_NULL_POINTER, vxs_labels_on_grid(&labels, &labels, NULL, NULL, &error));
    vxs_labels wrong = out;
    wrong.dtype = VXS_DTYPE_I8;
    FAILS(VXS_INVALID_ARGUMENT, vxs_labels_on_grid(&labels, &labels, NULL, &wrong, &error));
    wrong = out;
    wrong.data_size--;
    FAILS(VXS_BUFFER_TOO_SMALL, vxs_labels_on_grid(&labels, &labels, NULL, &wrong, &error));
    for (size_t at = 0; at < small.count; at++) {
        CHECK(canary[at] == 0xA5);
    }
    vxs_volume same_grid = labels;
    same_grid.data = NULL; /* only the grid is looked at */
    OK(vxs_labels_on_grid(&labels, &same_grid, NULL, &out, &error));
    CHECK(memcmp(canary, expected, small.count) == 0);

    vxs_compare_options options;
    vxs_comparison_list *list = NULL;
    CHECK(vxs_compare_options_init(&options, sizeof options) == VXS_OK);
    FAILS(VXS_NULL_POINTER, vxs_compare(NULL, &labels, NULL, &list, &error));
    FAILS(VXS_NULL_POINTER, vxs_compare(&labels, &labels, NULL, NULL, &error));
    options.surfaces = 2;
    FAILS(VXS_INVALID_ARGUMENT, vxs_compare(&labels, &labels, &options, &list, &error));
    options.surfaces = 1;
    options.reserved = 1;
    FAILS(VXS_INVALID_ARGUMENT, vxs_compare(&labels, &labels, &options, &list, &error));
    options.reserved = 0;
    options.tolerance = -1;
    FAILS(VXS_INVALID_ARGUMENT, vxs_compare(&labels, &labels, &options, &list, &error));
    options.tolerance = NAN;
    FAILS(VXS_INVALID_ARGUMENT, vxs_compare(&labels, &labels, &options, &list, &error));
    options.tolerance = 1;
    options.threads = 5000;
    FAILS(VXS_INVALID_ARGUMENT, vxs_compare(&labels, &labels, &options, &list, &error));
    options.threads = 2;
    OK(vxs_compare(&labels, &labels, &options, &list, &error));
    CHECK(vxs_comparison_list_count(list) > 0 && vxs_comparison_list_count(NULL) == 0);
    vxs_comparison found;
    CHECK(vxs_comparison_init(&found, sizeof found) == VXS_OK);
    FAILS(VXS_INVALID_ARGUMENT, vxs_comparison_list_get(list, UINT64_MAX, &found, &error));
    OK(vxs_comparison_list_get(list, 0, &found, &error));
    CHECK(found.dice == 1 && found.hausdorff == 0 && found.surface_dice == 1 && found.both == found.voxels[1]);
    vxs_comparison_list_free(list);
    vxs_comparison_list_free(NULL);
    still_right();
}

/* --------------------------------------------------------------------------------------- ensembles */

static void ensembles(void) {
    vxs_error *error = NULL;
    vxs_model *both = NULL;
    const vxs_model *members[3] = {model, model, NULL};
    FAILS(VXS_INVALID_ARGUMENT, vxs_model_ensemble(NULL, 0, &both, &error));
    FAILS(VXS_NULL_POINTER, vxs_model_ensemble(NULL, 2, &both, &error));
    FAILS(VXS_NULL_POINTER, vxs_model_ensemble(members, 3, &both, &error));
    FAILS(VXS_NULL_POINTER, vxs_model_ensemble(members, 2, NULL, &error));
    OK(vxs_model_ensemble(members, 2, &both, &error));
    CHECK(strcmp(vxs_model_identity(both), vxs_model_identity(model)) != 0);
    members[0] = both;
    vxs_model *nested = NULL;
    FAILS(VXS_INVALID_ARGUMENT, vxs_model_ensemble(members, 2, &nested, &error));
    /* A model with itself says what it says alone. */
    vxs_plan *twice = NULL;
    vxs_plan_options with;
    vxs_cancel *stop = NULL;
    OK(vxs_cancel_create(&stop, &error));
    CHECK(vxs_plan_options_init(&with, sizeof with) == VXS_OK);
    with.cancel = stop;
    with.tile_batch = 4;
    vxs_cancel_request(stop);
    FAILS(VXS_CANCELLED, vxs_plan_create(both, &with, &twice, &error));
    vxs_cancel_reset(stop);
    with.tile_batch = 65;
    FAILS(VXS_INVALID_ARGUMENT, vxs_plan_create(both, &with, &twice, &error));
    /* A CPU computes one tile at a time whatever is asked for. */
    with.tile_batch = 4;
    OK(vxs_plan_create(both, &with, &twice, &error));
    vxs_cancel_free(stop);
    vxs_model_free(both);
    const vxs_volume volume = volume_of(&small);
    const vxs_labels labels = labels_of(canary, small.count);
    vxs_run_report done;
    CHECK(vxs_run_report_init(&done, sizeof done) == VXS_OK);
    OK(vxs_segment(twice, &volume, NULL, &labels, &done, &error));
    CHECK(done.tile_batch == 1 && done.memory_step == VXS_MEMORY_STEP_NONE);
    CHECK(memcmp(canary, expected, small.count) == 0);
    vxs_plan_free(twice);
    still_right();
}

/* ----------------------------------------------------------------------------------- wrong volumes */

static void wrong_volumes(void) {
    const vxs_volume good = volume_of(&small);
    vxs_labels labels = labels_of(canary, small.count);
    vxs_volume volume;
    vxs_error *error = NULL;
    vxs_plan_report report;
    CHECK(vxs_plan_report_init(&report, sizeof report) == VXS_OK);

#define BAD(status, change)                                                                                  \
    do {                                                                                                     \
        volume = good;                                                                                       \
        change;                                                                                              \
        NOT_SEGMENTED(status, &volume, &labels);                                                             \
    } while (0)
    /* The same for what can already be seen in the grid. */
#define BAD_GRID(status, change)                                                                             \
    do {                                                                                                     \
        BAD(status, change);                                                                                 \
        FAILS(status, vxs_plan_estimate(plan, &volume, &report, &error));                                  \
    } while (0)

    const uint64_t shapes[][3] = {{0, 32, 24},
                                  {40, 32, 0},
                                  {UINT64_MAX, 1, 1},
                                  {UINT64_MAX, UINT64_MAX, UINT64_MAX},
                                  {UINT64_C(1) << 32, UINT64_C(1) << 32, 1},
                                  {UINT64_C(1) << 21, UINT64_C(1) << 21, UINT64_C(1) << 21},
                                  {UINT64_C(1) << 63, 2, 1},
                                  {UINT64_C(1) << 62, 1, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        BAD_GRID(1, memcpy(volume.shape, shapes[i], sizeof shapes[i]));
    }
    BAD(VXS_BUFFER_TOO_SMALL, volume.shape[0] *= 2);
    BAD(VXS_BUFFER_TOO_SMALL, volume.data_size -= 1);
    BAD(1, volume.data_size = 0);
    BAD(1, volume.data_size = UINT64_MAX);
    BAD(VXS_BUFFER_TOO_SMALL, volume.shape[2] = UINT64_C(1) << 20);
    /* Countable, but far larger than the buffer and than any memory: no matter how, but no crash. */
    BAD(1, volume.shape[0] = volume.shape[1] = volume.shape[2] = UINT64_C(1) << 18);
    const vxs_status huge = vxs_plan_estimate(plan, &volume, &report, &error);
    CHECK(huge == VXS_OK ? report.tiles > 1 : huge < 900);
    vxs_error_free(error);
    error = NULL;

    BAD_GRID(VXS_INVALID_ARGUMENT, volume.dtype = 0);
    BAD_GRID(VXS_INVALID_ARGUMENT, volume.dtype = 99);
    BAD_GRID(VXS_INVALID_ARGUMENT, volume.dtype = INT32_MIN);
    BAD(VXS_BUFFER_TOO_SMALL, volume.dtype = VXS_DTYPE_F64);
    BAD_GRID(VXS_INVALID_ARGUMENT, volume.flags = UINT64_C(1) << 31);
    BAD_GRID(VXS_INVALID_ARGUMENT, volume.flags = UINT64_MAX);
    /* A device's memory, for a plan on the CPU. */
    BAD(VXS_INVALID_ARGUMENT, volume.flags = VXS_VOLUME_ON_DEVICE);

    const int64_t x = 2, y = 2 * (int64_t)small.shape[0], z = y * (int64_t)small.shape[1];
    const int64_t strides[][3] = {{x, y, z + 2},
                                  {-x, y, z},
                                  {x, -y, z},
                                  {x, y, -z},
                                  {INT64_MAX, y, z},
                                  {INT64_MIN, y, z},
                                  {x, y, INT64_MAX},
                                  {x, INT64_MIN, INT64_MAX},
                                  {x, y, z * 1000},
                                  {-1, -1, -1},
                                  {INT64_MIN, INT64_MIN, INT64_MIN}};
    for (size_t i = 0; i < sizeof strides / sizeof strides[0]; i++) {
        BAD(1, memcpy(volume.strides, strides[i], sizeof strides[i]));
    }
    BAD(1, volume.offset = 2);
    BAD(1, volume.offset = UINT64_MAX);
    BAD(1, volume.offset = INT64_MAX);

    const double lengths[] = {0, -0.0, -1, (double)NAN, (double)INFINITY, -(double)INFINITY};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (int a = 0; a < 3; a++) {
            BAD_GRID(VXS_GEOMETRY, volume.spacing[a] = lengths[i]);
        }
    }
    /* Numbers, but no image: what the network would see has no voxels, or more than there is memory. */
    const double absurd[] = {5e-324, 1e-300, 1e-30, 1e-3, 1e3, 1e5, 1e8, 1e30, 1e300};
    for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++) {
        volume = good;
        volume.spacing[0] = volume.spacing[1] = volume.spacing[2] = absurd[i];
        const vxs_status reported = vxs_plan_estimate(plan, &volume, &report, &error);
        CHECK(reported < 900 && (reported == VXS_OK) == (error == NULL));
        vxs_error_free(error);
        error = NULL;
        memset(canary, 0xA5, small.count);
        const vxs_status segmented = vxs_segment(plan, &volume, NULL, &labels, NULL, &error);
        CHECK(segmented > 0 && segmented < 900 && error && canary[0] == 0xA5);
        vxs_error_free(error);
        error = NULL;
    }
    BAD_GRID(VXS_GEOMETRY, volume.origin[1] = (double)NAN);
    BAD_GRID(VXS_GEOMETRY, volume.origin[2] = (double)INFINITY);
    BAD_GRID(VXS_GEOMETRY, volume.direction[1] = 0.5);                            /* shear */
    BAD_GRID(VXS_GEOMETRY, volume.direction[4] = 0);                              /* flat */
    BAD_GRID(VXS_GEOMETRY, volume.direction[8] = (double)NAN);                    /* no number */
    BAD_GRID(VXS_GEOMETRY, volume.direction[0] = 2);                              /* not a unit vector */
    BAD_GRID(VXS_GEOMETRY, memset(volume.direction, 0, sizeof volume.direction)); /* no direction at all */

    BAD(1, volume.channels = 0);
    BAD(1, volume.channels = UINT64_MAX);
    BAD(1, volume.channels = 2); /* the buffer holds one */
    volume = good;
    const void *two[2] = {small.voxels, small.voxels};
    volume.channels = 2;
    volume.channel_data = two;
    NOT_SEGMENTED(VXS_VOLUME_MISMATCH, &volume, &labels);
    BAD(1, (volume.channels = 2, volume.channel_stride = INT64_MAX));
    BAD(1, (volume.channels = 2, volume.channel_stride = INT64_MIN));
    BAD(1, volume.slope = (double)NAN);
    BAD(1, volume.slope = (double)INFINITY);
    BAD(1, volume.intercept = (double)NAN);
    BAD(1, volume.intercept = -(double)INFINITY);
    still_right();
}

/* ----------------------------------------------------------------------------------- no numbers */

static void no_numbers(void) {
    vxs_error *error = NULL;
    float *voxels = malloc(small.count * sizeof *voxels);
    vxs_volume volume = volume_of(&small);
    const vxs_labels labels = labels_of(canary, small.count);
    vxs_run_options options;
    vxs_run_report report;
    CHECK(voxels && vxs_run_options_init(&options, sizeof options) == VXS_OK);
    CHECK(options.non_finite == VXS_NON_FINITE_ERROR);
    for (size_t i = 0; i < small.count; i++) {
        voxels[i] = small.voxels[i];
    }
    volume.dtype = VXS_DTYPE_F32;
    volume.data = voxels;
    volume.data_size = small.count * sizeof *voxels;
    const float kinds[] = {NAN, INFINITY, -INFINITY};
    const size_t x = small.shape[0], y = small.shape[1];
    for (size_t i = 0; i < 3; i++) {
        voxels[(2 * y + 3) * x + 4 + i] = kinds[i];
    }
    NOT_SEGMENTED(VXS_VOXELS_NOT_FINITE, &volume, &labels);
    CHECK(vxs_segment(plan, &volume, &options, &labels, NULL, &error) == VXS_VOXELS_NOT_FINITE);
    CHECK(strcmp(vxs_error_detail(error, "found"), "3") == 0);
    CHECK(strcmp(vxs_error_detail(error, "channel"), "0") == 0);
    CHECK(strcmp(vxs_error_detail(error, "voxel"), "4 3 2") == 0);
    vxs_error_free(error);
    error = NULL;
    const int32_t wrong[] = {-1, 3, INT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        options.non_finite = wrong[i];
        FAILS(VXS_INVALID_ARGUMENT, vxs_segment(plan, &volume, &options, &labels, NULL, &error));
    }
    options.non_finite = VXS_NON_FINITE_ZERO;
    for (int32_t how = VXS_NON_FINITE_ZERO; how <= VXS_NON_FINITE_LOWEST; how++) {
        options.non_finite = how;
        CHECK(vxs_run_report_init(&report, sizeof report) == VXS_OK);
        OK(vxs_segment(plan, &volume, &options, &labels, &report, &error));
        CHECK(report.non_finite_voxels == 3 && (report.warnings & VXS_WARNING_NON_FINITE_REPLACED));
        CHECK(report.first_non_finite[0] == 0 && report.first_non_finite[1] == 4);
        CHECK(report.first_non_finite[2] == 3 && report.first_non_finite[3] == 2);
    }
    /* Scaled to 0 to 1. */
    for (size_t i = 0; i < small.count; i++) {
        voxels[i] = ((float)small.voxels[i] + 1024.f) / 4095.f;
    }
    options.non_finite = VXS_NON_FINITE_ERROR;
    CHECK(vxs_run_report_init(&report, sizeof report) == VXS_OK);
    OK(vxs_segment(plan, &volume, &options, &labels, &report, &error));
    CHECK(report.warnings == VXS_WARNING_UNUSUAL_INTENSITIES && report.non_finite_voxels == 0);
    free(voxels);
    still_right();
}

/* ----------------------------------------------------------------------------------- wrong labels */

static void wrong_labels(void) {
    const vxs_volume volume = volume_of(&small);
    const vxs_labels good = labels_of(canary, small.count);
    vxs_labels labels;
#define BAD_LABELS(status, change)                                                                           \
    do {                                                                                                     \
        labels = good;                                                                                       \
        change;                                                                                              \
        NOT_SEGMENTED(status, &volume, &labels);                                                             \
    } while (0)
    BAD_LABELS(VXS_BUFFER_TOO_SMALL, labels.data_size -= 1);
    BAD_LABELS(VXS_BUFFER_TOO_SMALL, labels.data_size = 1);
    BAD_LABELS(1, labels.data_size = 0);
    BAD_LABELS(1, labels.data_size = UINT64_MAX);
    BAD_LABELS(VXS_BUFFER_TOO_SMALL, labels.dtype = VXS_DTYPE_U16);
    BAD_LABELS(VXS_INVALID_ARGUMENT, labels.dtype = VXS_DTYPE_F32);
    BAD_LABELS(VXS_INVALID_ARGUMENT, labels.dtype = VXS_DTYPE_F16);
    BAD_LABELS(VXS_INVALID_ARGUMENT, labels.dtype = VXS_DTYPE_F64);
    BAD_LABELS(VXS_INVALID_ARGUMENT, labels.dtype = 0);
    BAD_LABELS(VXS_INVALID_ARGUMENT, labels.dtype = 99);
    BAD_LABELS(VXS_INVALID_ARGUMENT, labels.flags = VXS_LABELS_ON_DEVICE);
    BAD_LABELS(VXS_INVALID_ARGUMENT, labels.flags = 2);
    BAD_LABELS(VXS_INVALID_ARGUMENT, labels.flags = UINT64_MAX);
    BAD_LABELS(1, labels.offset = 1);
    BAD_LABELS(1, labels.offset = UINT64_MAX);
    const int64_t y = (int64_t)small.shape[0], z = y * (int64_t)small.shape[1];
    const int64_t strides[][3] = {
        {1, y, z + 1}, {-1, y, z}, {INT64_MAX, y, z}, {1, INT64_MIN, z}, {1, y, INT64_MIN}};
    for (size_t i = 0; i < sizeof strides / sizeof strides[0]; i++) {
        BAD_LABELS(1, memcpy(labels.strides, strides[i], sizeof strides[i]));
    }
    /* Two voxels in one place: labels would overwrite each other. */
    BAD_LABELS(1, (labels.strides[0] = 1, labels.strides[1] = 1, labels.strides[2] = 1));
    BAD_LABELS(1, (labels.strides[0] = 1, labels.strides[1] = 0, labels.strides[2] = 0));
    still_right();
}

/* --------------------------------------------------------------------------------- other layouts */

static void other_layouts(void) {
    const size_t nx = (size_t)small.shape[0], ny = (size_t)small.shape[1], nz = (size_t)small.shape[2];
    vxs_volume volume = volume_of(&small);
    vxs_labels labels = labels_of(canary, small.count);
    uint8_t *want = malloc(small.count);
    float *floats = malloc(small.count * sizeof(float));
    int16_t *turned = malloc(2 * small.count * sizeof(int16_t));
    CHECK(want && floats && turned);

    /* The slowest axis last, as NumPy has it, for the volume and the labels; and a gap after every voxel. */
    for (size_t k = 0; k < nz; k++) {
        for (size_t j = 0; j < ny; j++) {
            for (size_t i = 0; i < nx; i++) {
                const size_t from = (k * ny + j) * nx + i, to = (i * ny + j) * nz + k;
                turned[2 * to] = small.voxels[from];
                turned[2 * to + 1] = INT16_MAX;
                want[to] = expected[from];
                floats[from] = ((float)small.voxels[from] - 24.0f) / 2.0f;
            }
        }
    }
    volume.data = turned;
    volume.data_size = 2 * small.count * sizeof(int16_t);
    volume.strides[0] = 4 * (int64_t)(ny * nz);
    volume.strides[1] = 4 * (int64_t)nz;
    volume.strides[2] = 4;
    labels.strides[0] = (int64_t)(ny * nz);
    labels.strides[1] = (int64_t)nz;
    labels.strides[2] = 1;
    segments_to(&volume, &labels, canary, want, small.count);

    /* An axis that runs backwards in memory is the same image. */
    for (size_t at = 0; at < small.count; at++) {
        turned[at] = small.voxels[small.count - 1 - at];
        want[at] = expected[small.count - 1 - at];
    }
    volume = volume_of(&small);
    labels = labels_of(canary, small.count);
    volume.data = turned;
    volume.offset = (small.count - 1) * 2;
    labels.offset = small.count - 1;
    volume.strides[0] = -2;
    labels.strides[0] = -1;
    volume.strides[1] = -2 * (int64_t)nx;
    labels.strides[1] = -(int64_t)nx;
    volume.strides[2] = -2 * (int64_t)(nx * ny);
    labels.strides[2] = -(int64_t)(nx * ny);
    segments_to(&volume, &labels, canary, want, small.count);

    /* Another type with slope and intercept, and each channel in a buffer of its own. */
    const void *channels[1] = {floats};
    volume = volume_of(&small);
    labels = labels_of(canary, small.count);
    volume.dtype = VXS_DTYPE_F32;
    volume.data = NULL;
    volume.data_size = small.count * sizeof(float);
    volume.channel_data = channels;
    volume.slope = 2;
    volume.intercept = 24;
    segments_to(&volume, &labels, canary, expected, small.count);

    /* Wider labels in a buffer that is larger than needed: what lies behind is left alone. */
    uint16_t *wide = malloc((small.count + 8) * sizeof(uint16_t));
    CHECK(wide);
    memset(wide, 0xA5, (small.count + 8) * sizeof(uint16_t));
    vxs_error *error = NULL;
    volume = volume_of(&small);
    labels = labels_of((uint8_t *)wide, (small.count + 8) * sizeof(uint16_t));
    labels.dtype = VXS_DTYPE_U16;
    OK(vxs_segment(plan, &volume, NULL, &labels, NULL, &error));
    for (size_t at = 0; at < small.count + 8; at++) {
        CHECK(wide[at] == (at < small.count ? expected[at] : 0xA5A5));
    }
    free(wide);

    /* The same grid in RAS, and a left-handed one, are grids. */
    volume = volume_of(&small);
    labels = labels_of(canary, small.count);
    volume.flags = VXS_VOLUME_RAS;
    volume.direction[0] = volume.direction[4] = -1;
    segments_to(&volume, &labels, canary, expected, small.count);
    volume = volume_of(&small);
    volume.direction[8] = -1;
    OK(vxs_segment(plan, &volume, NULL, &labels, NULL, &error));

    /* The other byte order. */
    for (size_t at = 0; at < small.count; at++) {
        const uint16_t value = (uint16_t)small.voxels[at];
        const uint16_t swapped = (uint16_t)(value << 8 | value >> 8);
        memcpy(turned + at, &swapped, sizeof swapped);
    }
    volume = volume_of(&small);
    volume.data = turned;
    volume.flags = VXS_VOLUME_SWAPPED;
    segments_to(&volume, &labels, canary, expected, small.count);

    /* One voxel. */
    int16_t voxel = 40;
    uint8_t label = 0xA5;
    volume = volume_of(&small);
    volume.shape[0] = volume.shape[1] = volume.shape[2] = 1;
    volume.data = &voxel;
    volume.data_size = sizeof voxel;
    labels = labels_of(&label, 1);
    OK(vxs_segment(plan, &volume, NULL, &labels, NULL, &error));
    CHECK(label != 0xA5);
    /* An image of zeros has nothing to crop to. */
    voxel = 0;
    OK(vxs_segment(plan, &volume, NULL, &labels, NULL, &error));

    /* Voxels that are not numbers: a status or labels, no crash. */
    for (size_t at = 0; at < small.count; at++) {
        floats[at] = (float)NAN;
    }
    volume = volume_of(&small);
    labels = labels_of(canary, small.count);
    volume.dtype = VXS_DTYPE_F32;
    volume.data = floats;
    volume.data_size = small.count * sizeof(float);
    const vxs_status status = vxs_segment(plan, &volume, NULL, &labels, NULL, &error);
    CHECK(status < 900);
    vxs_error_free(error);
    free(want);
    free(floats);
    free(turned);
    still_right();
}

/* ------------------------------------------------------------------------- models, plans, options */

static void wrong_models(void) {
    vxs_error *error = NULL;
    vxs_model *opened = NULL;
    char file[4096], *longest = malloc(200001);
    CHECK(longest);
    memset(longest, 'a', 200000);
    longest[200000] = '\0';
    snprintf(file, sizeof file, "%s/plans.json", given.model);
    const char *paths[] = {"", "/", "/nowhere/at/all", "nowhere", "\n", file, longest, "/dev/null"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        FAILS(2, vxs_model_open(paths[i], NULL, &opened, &error));
    }
    FAILS(VXS_INVALID_ARGUMENT, vxs_model_open("model\xff\xfe", NULL, &opened, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_model_open("\xc3", NULL, &opened, &error));
    free(longest);

    vxs_model_options options;
    CHECK(vxs_model_options_init(&options, sizeof options) == VXS_OK);
    const uint32_t folds[] = {7, VXS_FOLD_ALL, UINT32_MAX - 1};
    for (size_t i = 0; i < sizeof folds / sizeof folds[0]; i++) {
        options.folds = folds + i;
        options.fold_count = 1;
        FAILS(2, open_and_free(given.model, &options, &error));
    }
    options.fold_count = UINT64_MAX;
    FAILS(1, open_and_free(given.model, &options, &error));
    options.fold_count = 0;
    vxs_status status = open_and_free(given.model, &options, &error); /* no folds: a status or all, no crash */
    CHECK(status < 900);
    vxs_error_free(error);
    error = NULL;
    CHECK(vxs_model_options_init(&options, sizeof options) == VXS_OK);
    const char *checkpoints[] = {"nothing.pth", "", "../plans.json", "/etc/passwd", "."};
    for (size_t i = 0; i < sizeof checkpoints / sizeof checkpoints[0]; i++) {
        options.checkpoint = checkpoints[i];
        status = open_and_free(given.model, &options, &error);
        CHECK(status / 100 == 1 || status / 100 == 2);
        vxs_error_free(error);
        error = NULL;
    }
    options.checkpoint = "\xff.pth";
    FAILS(VXS_INVALID_ARGUMENT, open_and_free(given.model, &options, &error));
    CHECK(vxs_model_options_init(&options, sizeof options) == VXS_OK);
    options.foreground_crop = 2;
    FAILS(VXS_INVALID_ARGUMENT, open_and_free(given.model, &options, &error));
    CHECK(vxs_model_options_init(&options, sizeof options) == VXS_OK);
    options.auto3dseg_script = 4;
    FAILS(VXS_INVALID_ARGUMENT, open_and_free(given.model, &options, &error));

    /* What is wrong with a runtime is said, and the one that runs stays. */
    FAILS(VXS_INVALID_ARGUMENT, vxs_runtime_open("/nowhere/libonnxruntime.so", &error)); /* one a process */
    FAILS(VXS_INVALID_ARGUMENT, vxs_runtime_open("\xff", &error));
    FAILS(VXS_NULL_POINTER, vxs_plan_trim(NULL, &error));
    FAILS(VXS_NULL_POINTER, vxs_runtime_add_plugin(NULL, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_runtime_add_plugin("\xff", &error));
    FAILS(VXS_RUNTIME_FAILED, vxs_runtime_add_plugin("/no/such/plugin", &error));
    still_right();
}

static void wrong_plans(void) {
    vxs_error *error = NULL;
    vxs_plan_options options;
#define BAD_PLAN(status, change)                                                                             \
    do {                                                                                                     \
        CHECK(vxs_plan_options_init(&options, sizeof options) == VXS_OK);                                    \
        change;                                                                                              \
        FAILS(status, plan_and_free(model, &options, &error));                                                      \
    } while (0)
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.device = 0);
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.device = 999);
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.device_index = 1);
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.fallback = 2);
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.overflow = -1);
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.device_cache = "\xff");
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.convolution = 2);
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.instructions = -1);
    #if defined(__x86_64__)
    BAD_PLAN(VXS_DEVICE_UNUSABLE, options.instructions = VXS_INSTRUCTIONS_NEON);
#endif
    BAD_PLAN(VXS_DEVICE_UNUSABLE, options.device = VXS_DEVICE_CUDA);
    BAD_PLAN(VXS_DEVICE_UNUSABLE, (options.device = VXS_DEVICE_GPU, options.device_index = 99));
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.precision = -1);
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.precision = 77);
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.mirroring = 2);
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.blending = -1);
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.step = -0.5);
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.step = 1.5);
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.step = (double)NAN);
    BAD_PLAN(VXS_INVALID_ARGUMENT, options.step = (double)INFINITY);
    /* Steps that would make a tile of every voxel and more: a status or a plan, no crash and no endless loop. */
    const double steps[] = {5e-324, 1e-300, 1e-9};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        vxs_plan *made = NULL;
        vxs_plan_report report;
        CHECK(vxs_plan_options_init(&options, sizeof options) == VXS_OK);
        CHECK(vxs_plan_report_init(&report, sizeof report) == VXS_OK);
        options.step = steps[i];
        vxs_status status = vxs_plan_create(model, &options, &made, &error);
        if (status == VXS_OK) {
            const vxs_volume volume = volume_of(&ct);
            status = vxs_plan_estimate(made, &volume, &report, &error);
        }
        CHECK(status < 900);
        vxs_error_free(error);
        error = NULL;
        vxs_plan_free(made);
    }

    /* A budget that is too small says how much is needed, before anything is computed. */
    vxs_plan *poor = NULL;
    CHECK(vxs_plan_options_init(&options, sizeof options) == VXS_OK);
    options.memory_budget = 1 << 20;
    vxs_status status = vxs_plan_create(model, &options, &poor, &error);
    if (status == VXS_OK) {
        const vxs_volume volume = volume_of(&small);
        const vxs_labels labels = labels_of(canary, small.count);
        status = vxs_segment(poor, &volume, NULL, &labels, NULL, &error);
    }
    CHECK(status == VXS_MEMORY_BUDGET && vxs_error_detail(error, "needed"));
    CHECK(strcmp(vxs_error_detail(error, "budget"), "1048576") == 0);
    CHECK(strtoull(vxs_error_detail(error, "needed"), NULL, 10) > 1 << 20);
    vxs_error_free(error);
    vxs_plan_free(poor);
    still_right();
}

/* --------------------------------------------------------------------- progress, cancel, two threads */

typedef struct {
    double last;
    uint64_t calls, tiles;
    int stage;
    uint64_t cancel_at; /* the call whose return value cancels; 0 for none */
    /* Between this thread and another one. */
    atomic_int reached, go_on;
    int wait_at_tile; /* waits for `go_on` when that many tiles are done; -1 for never */
    uint64_t calls_after;
} watcher;

static int32_t watch(void *user_data, const vxs_progress *progress) {
    watcher *self = user_data;
    CHECK(progress->struct_size >= sizeof *progress);
    CHECK(progress->fraction >= self->last && progress->fraction <= 1);
    CHECK(progress->stage >= self->stage && progress->stage <= VXS_STAGE_RESTORE);
    CHECK(progress->tiles_done <= progress->tiles);
    self->last = progress->fraction;
    self->stage = progress->stage;
    self->tiles = progress->tiles;
    self->calls++;
    if (atomic_load(&self->go_on)) {
        self->calls_after++;
    } else if (self->wait_at_tile >= 0 && progress->tiles_done >= (uint64_t)self->wait_at_tile) {
        atomic_store(&self->reached, 1);
        while (!atomic_load(&self->go_on)) {
        }
    }
    return self->calls == self->cancel_at ? -7 : 0;
}

static watcher new_watcher(void) {
    watcher fresh;
    memset(&fresh, 0, sizeof fresh);
    fresh.wait_at_tile = -1;
    return fresh;
}

static vxs_run_options watched_by(watcher *self, const vxs_cancel *cancel) {
    vxs_run_options options;
    CHECK(vxs_run_options_init(&options, sizeof options) == VXS_OK);
    options.progress = watch;
    options.user_data = self;
    options.cancel = cancel;
    return options;
}

typedef struct {
    watcher *other;
    vxs_cancel *cancel;
} canceller;

static void *cancel_from_outside(void *argument) {
    canceller *self = argument;
    while (!atomic_load(&self->other->reached)) {
    }
    vxs_cancel_request(self->cancel);
    vxs_cancel_request(self->cancel); /* twice is as once */
    atomic_store(&self->other->go_on, 1);
    return NULL;
}

static void busy_from_outside(watcher *running) {
    vxs_error *error = NULL;
    const vxs_volume volume = volume_of(&small);
    uint8_t *unused = malloc(small.count);
    vxs_labels labels = labels_of(unused, small.count);
    vxs_plan_report report;
    CHECK(vxs_plan_report_init(&report, sizeof report) == VXS_OK);
    while (!atomic_load(&running->reached)) {
    }
    FAILS(VXS_BUSY, vxs_segment(plan, &volume, NULL, &labels, NULL, &error));
    OK(vxs_plan_estimate(plan, &volume, &report, &error)); /* what doesn't change can be read all the time */
    CHECK(report.host_peak_bytes == report.shared_bytes + report.run_bytes);
    CHECK(vxs_plan_describe(plan));
    atomic_store(&running->go_on, 1);
    free(unused);
}

static void *segment_small(void *options) {
    static uint8_t found[1 << 20];
    vxs_error *error = NULL;
    const vxs_volume volume = volume_of(&small);
    const vxs_labels labels = labels_of(found, small.count);
    CHECK(small.count <= sizeof found);
    OK(vxs_segment(plan, &volume, options, &labels, NULL, &error));
    CHECK(memcmp(found, expected, small.count) == 0);
    return NULL;
}

static void progress_and_cancel(void) {
    vxs_error *error = NULL;
    uint64_t patch[3];
    OK(vxs_model_patch(model, patch, &error));
    /* Several tiles, at least two. */
    image large = given.quick ? crop(&ct, patch[0] + 8, 16, 12) : crop(&ct, 122, 101, 112);
    const vxs_volume volume = volume_of(&large);
    uint8_t *buffer = malloc(large.count), *again = malloc(large.count);
    CHECK(buffer && again);
    const vxs_labels labels = labels_of(buffer, large.count), labels_again = labels_of(again, large.count);
    vxs_cancel *cancel = NULL;
    OK(vxs_cancel_create(&cancel, &error));
    CHECK(!vxs_cancel_requested(cancel));

    watcher seen = new_watcher();
    vxs_run_options options = watched_by(&seen, cancel);
    vxs_run_report report;
    CHECK(vxs_run_report_init(&report, sizeof report) == VXS_OK);
    OK(vxs_segment(plan, &volume, &options, &labels, &report, &error));
    CHECK(seen.last == 1 && seen.stage == VXS_STAGE_RESTORE);
    CHECK(seen.tiles >= 2 && seen.calls >= seen.tiles && report.tiles == seen.tiles);
    CHECK(report.voxels == large.count && report.near_ties < large.count);
    CHECK(report.total_seconds > 0 && report.network_seconds > 0 && report.process_peak_bytes > 1 << 20);
    CHECK(report.preprocess_seconds + report.network_seconds + report.blend_seconds +
              report.restore_seconds <=
          report.total_seconds * 1.001);

#define CANCELLED_WITH(after)                                                                                \
    do {                                                                                                     \
        memset(again, 0xA5, large.count);                                                                    \
        CHECK(vxs_run_report_init(&report, sizeof report) == VXS_OK);                                        \
        FAILS(VXS_CANCELLED, vxs_segment(plan, &volume, &options, &labels_again, &report, &error));          \
        CHECK(seen.calls_after <= (after) && report.total_seconds == 0);                                     \
        for (size_t at = 0; at < large.count; at++) {                                                        \
            CHECK(again[at] == 0xA5);                                                                        \
        }                                                                                                    \
    } while (0)

    /* From another thread, in the middle of the tiles: at most one more callback. */
    pthread_t other;
    seen = new_watcher();
    seen.wait_at_tile = 1;
    options = watched_by(&seen, cancel);
    canceller outside = {&seen, cancel};
    CHECK(pthread_create(&other, NULL, cancel_from_outside, &outside) == 0);
    CANCELLED_WITH(1);
    CHECK(pthread_join(other, NULL) == 0);
    CHECK(vxs_cancel_requested(cancel));

    /* The flag stays: the next run with it stops at once, until it is reset. */
    seen = new_watcher();
    options = watched_by(&seen, cancel);
    CANCELLED_WITH(0);
    CHECK(seen.calls <= 1);

    /* By the callback's own answer: at the first call and at a later one. */
    vxs_cancel_reset(cancel);
    CHECK(!vxs_cancel_requested(cancel));
    for (uint64_t call = 1; call <= (given.quick ? 1 : 4); call++) {
        seen = new_watcher();
        seen.cancel_at = call;
        options = watched_by(&seen, call % 2 ? cancel : NULL);
        CANCELLED_WITH(0);
        CHECK(seen.calls == call);
    }

    /* And the plan, with the same flag, segments as before. */
    if (!given.quick) {
        seen = new_watcher();
        options = watched_by(&seen, cancel);
        OK(vxs_segment(plan, &volume, &options, &labels_again, NULL, &error));
        CHECK(memcmp(buffer, again, large.count) == 0);
    }
    vxs_cancel_free(cancel);

    /* A second call on a running plan. */
    seen = new_watcher();
    seen.wait_at_tile = 0;
    options = watched_by(&seen, NULL);
    CHECK(pthread_create(&other, NULL, segment_small, &options) == 0);
    busy_from_outside(&seen);
    CHECK(pthread_join(other, NULL) == 0);
    free(buffer);
    free(again);
    free(large.voxels);
    still_right();
}

static void *segment_with(void *own_plan) {
    vxs_error *error = NULL;
    uint8_t *found = malloc(small.count);
    const vxs_volume volume = volume_of(&small);
    const vxs_labels labels = labels_of(found, small.count);
    for (int round = 0; round < (given.quick ? 1 : 3); round++) {
        memset(found, 0xA5, small.count);
        OK(vxs_segment(own_plan, &volume, NULL, &labels, NULL, &error));
        CHECK(memcmp(found, expected, small.count) == 0);
    }
    free(found);
    return NULL;
}

static void same_bytes(void) {
    vxs_error *error = NULL;
    vxs_plan_options options;
    vxs_plan *one = NULL, *two = NULL;
    CHECK(vxs_plan_options_init(&options, sizeof options) == VXS_OK);
    options.threads = 1;
    OK(vxs_plan_create(model, &options, &one, &error));
    options.threads = 2;
    OK(vxs_plan_create(model, &options, &two, &error));
    pthread_t threads[2];
    CHECK(pthread_create(&threads[0], NULL, segment_with, one) == 0);
    CHECK(pthread_create(&threads[1], NULL, segment_with, two) == 0);
    CHECK(pthread_join(threads[0], NULL) == 0 && pthread_join(threads[1], NULL) == 0);
    vxs_plan_free(one);
    vxs_plan_free(two);

    /* From memory it is the same model; its files may go, and so may the model, before the plan runs. */
    bytes content[FILES];
    vxs_model *copy = NULL;
    read_model(given.model, content);
    OK(open_memory(content, &copy, &error));
    for (int i = 0; i < FILES; i++) {
        memset(content[i].data, 0xA5, content[i].size);
        free(content[i].data);
    }
    CHECK(strcmp(vxs_model_identity(copy), vxs_model_identity(model)) == 0);
    CHECK(strcmp(vxs_model_name(copy), vxs_model_name(model)) == 0);
    CHECK(vxs_model_label_count(copy) == vxs_model_label_count(model));
    for (uint64_t i = 0; i < vxs_model_label_count(copy); i++) {
        vxs_label_info a, b;
        CHECK(vxs_label_info_init(&a, sizeof a) == VXS_OK && vxs_label_info_init(&b, sizeof b) == VXS_OK);
        OK(vxs_model_label(model, i, &a, &error));
        OK(vxs_model_label(copy, i, &b, &error));
        CHECK(a.value == b.value && a.color == b.color && strcmp(a.name, b.name) == 0);
    }
    vxs_plan *orphan = NULL;
    OK(vxs_plan_create(copy, NULL, &orphan, &error));
    vxs_model_free(copy);
    segment_with(orphan);
    vxs_plan_free(orphan);
}

int main(int argc, char **argv) {
    vxs_error *error = NULL;
    given = read_arguments(argc, argv);
    CHECK(vxs_abi_version() == ((uint32_t)VXS_ABI_MAJOR << 16 | VXS_ABI_MINOR));
    CHECK(strlen(vxs_version()) > 0);
    ct = read_ct(given.ct);
    small = given.quick ? crop(&ct, 16, 12, 10) : crop(&ct, 40, 32, 24);
    OK(vxs_model_open(given.model, NULL, &model, &error));
    CHECK(strncmp(vxs_model_identity(model), "voxseg1:sha256:", 15) == 0 && vxs_model_channel_count(model) == 1);
    CHECK(vxs_model_describe(model)[0] == '{');
    OK(vxs_plan_create(model, NULL, &plan, &error));
    expected = malloc(small.count);
    canary = malloc(small.count);
    CHECK(expected && canary);
    const vxs_volume volume = volume_of(&small);
    const vxs_labels labels = labels_of(expected, small.count);
    OK(vxs_segment(plan, &volume, NULL, &labels, NULL, &error));
    size_t foreground = 0;
    for (size_t at = 0; at < small.count; at++) {
        foreground += expected[at] != 0;
    }
    CHECK(foreground >
          small.count / 10); /* the middle of a body: a plan that says nothing would pass all else */

    null_pointers();
    maps();
    comparisons();
    ensembles();
    wrong_volumes();
    no_numbers();
    wrong_labels();
    other_layouts();
    wrong_models();
    wrong_plans();
    progress_and_cancel();
    same_bytes();

    vxs_plan_free(plan);
    vxs_model_free(model);
    free(expected);
    free(canary);
    free(small.voxels);
    free(ct.voxels);
    printf("hostile: %d mistakes refused\n", check_failures);
    return 0;
}
