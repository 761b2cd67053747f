/*
 * What a host sees of calls that take a while: progress with the bytes of a model's files, cancelling by the callback's
 * answer and by a flag wherever options have them, receivers of messages that don't know of each other, and looking at
 * a model without its weights.
 *
 *     watch MODEL CT.mhd [--quick]
 */
#include "fixture.h"

static arguments given;
static image small;
static vxs_model *model;
static vxs_plan *plan;
static uint8_t *map; /* small.count labels */

typedef struct {
    vxs_stage stage;
    double last;
    uint64_t calls, cancel_at, bytes;
} watcher;

static int32_t watch(void *user_data, const vxs_progress *progress) {
    watcher *self = user_data;
    CHECK(progress->struct_size == sizeof *progress && progress->stage == self->stage);
    CHECK(progress->fraction >= self->last && progress->fraction <= 1);
    CHECK(progress->bytes_read <= progress->bytes && progress->tiles == 0);
    self->last = progress->fraction;
    self->bytes = progress->bytes_read;
    return ++self->calls == self->cancel_at;
}

/* A call with options: `call` uses `options` and `error`. It tells its progress up to 1, stops when the first or the last
 * report is answered so, and stops at once by a flag. */
#define WATCHED(options_type, init, set, at_stage, call)                                                     \
    do {                                                                                                     \
        watcher seen = {at_stage, 0, 0, 0, 0};                                                               \
        options_type options;                                                                                \
        CHECK(init(&options, sizeof options) == VXS_OK);                                                     \
        set;                                                                                                 \
        options.progress = watch;                                                                            \
        options.user_data = &seen;                                                                           \
        OK(call);                                                                                            \
        CHECK(seen.calls > 0 && seen.last == 1);                                                             \
        const uint64_t calls = seen.calls;                                                                   \
        for (uint64_t at = 1; at <= calls; at += calls > 1 ? calls - 1 : 1) {                                \
            seen = (watcher){at_stage, 0, 0, at, 0};                                                         \
            FAILS(VXS_CANCELLED, call);                                                                      \
            CHECK(seen.calls == at);                                                                         \
        }                                                                                                    \
        seen = (watcher){at_stage, 0, 0, 0, 0};                                                              \
        options.cancel = cancel;                                                                             \
        FAILS(VXS_CANCELLED, call);                                                                          \
        CHECK(seen.calls == 0);                                                                              \
    } while (0)

static vxs_volume labels_as_volume(void) {
    vxs_volume volume = volume_of(&small);
    volume.dtype = VXS_DTYPE_U8;
    volume.data = map;
    volume.data_size = small.count;
    return volume;
}

static vxs_status statistics(const vxs_measure_options *options, vxs_error **error) {
    const vxs_volume labels = labels_as_volume(), ct = volume_of(&small);
    vxs_statistics_list *list = NULL;
    const vxs_status status = vxs_statistics(&labels, &ct, 0, options, &list, error);
    CHECK((status == VXS_OK) == (list != NULL));
    vxs_statistics_list_free(list);
    return status;
}

static vxs_status dose(const vxs_measure_options *options, vxs_error **error) {
    const vxs_volume labels = labels_as_volume(), ct = volume_of(&small);
    vxs_dose_list *list = NULL;
    const vxs_status status = vxs_dose(&labels, &ct, options, &list, error);
    CHECK((status == VXS_OK) == (list != NULL));
    vxs_dose_list_free(list);
    return status;
}

static vxs_status on_grid(const vxs_measure_options *options, vxs_error **error) {
    const vxs_volume labels = labels_as_volume(), grid = volume_of(&small);
    uint8_t *moved = malloc(small.count);
    CHECK(moved);
    memset(moved, 0xA5, small.count);
    const vxs_labels out = labels_of(moved, small.count);
    const vxs_status status = vxs_labels_on_grid(&labels, &grid, options, &out, error);
    for (size_t at = 0; at < small.count; at++) {
        CHECK(moved[at] == (status == VXS_OK ? map[at] : 0xA5));
    }
    free(moved);
    return status;
}

static vxs_status compare(const vxs_compare_options *options, vxs_error **error) {
    const vxs_volume labels = labels_as_volume();
    vxs_volume shifted = labels;
    shifted.origin[0] += 1;
    vxs_comparison_list *list = NULL;
    const vxs_status status = vxs_compare(&labels, &shifted, options, &list, error);
    CHECK((status == VXS_OK) == (list != NULL));
    vxs_comparison_list_free(list);
    return status;
}

static void calls(void) {
    vxs_error *error = NULL;
    vxs_cancel *cancel = NULL;
    OK(vxs_cancel_create(&cancel, &error));
    CHECK(!vxs_cancel_requested(cancel));
    vxs_cancel_request(cancel);
    CHECK(vxs_cancel_requested(cancel) == 1);
    WATCHED(vxs_model_options, vxs_model_options_init, (void)0, VXS_STAGE_OPEN, open_and_free(given.model, &options, &error));
    WATCHED(vxs_plan_options, vxs_plan_options_init, (void)0, VXS_STAGE_COMPILE, plan_and_free(model, &options, &error));
    WATCHED(vxs_measure_options, vxs_measure_options_init, options.threads = 2, VXS_STAGE_MEASURE,
            statistics(&options, &error));
    WATCHED(vxs_measure_options, vxs_measure_options_init, options.threads = 2, VXS_STAGE_MEASURE,
            dose(&options, &error));
    WATCHED(vxs_measure_options, vxs_measure_options_init, options.threads = 2, VXS_STAGE_MEASURE,
            on_grid(&options, &error));
    WATCHED(vxs_compare_options, vxs_compare_options_init, options.surfaces = 1, VXS_STAGE_MEASURE,
            compare(&options, &error));
    vxs_cancel_free(cancel);
}

/* The bytes of the checkpoint and of the files around it, all of them in the end. */
static void bytes_of_a_model(void) {
    const char *names[] = {"plans.json", "dataset.json", "fold_0/checkpoint_final.pth"};
    uint64_t all = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[4096];
        CHECK(snprintf(path, sizeof path, "%s/%s", given.model, names[i]) < (int)sizeof path);
        FILE *file = fopen(path, "rb");
        CHECK(file && fseek(file, 0, SEEK_END) == 0);
        all += (uint64_t)ftell(file);
        fclose(file);
    }
    watcher seen = {VXS_STAGE_OPEN, 0, 0, 0, 0};
    vxs_model_options options;
    vxs_error *error = NULL;
    CHECK(vxs_model_options_init(&options, sizeof options) == VXS_OK);
    options.progress = watch;
    options.user_data = &seen;
    OK(open_and_free(given.model, &options, &error));
    CHECK(seen.bytes == all);
}

static void inspects(void) {
    vxs_error *error = NULL;
    vxs_inspection *inspection = NULL;
    OK(vxs_model_inspect(given.model, NULL, &inspection, &error));
    const char *json = vxs_inspection_json(inspection);
    char name[256];
    snprintf(name, sizeof name, "\"name\":\"%s\"", vxs_model_name(model));
    CHECK(strstr(json, name) && strstr(json, "\"unsupported\":[]") && strstr(json, "\"folds\":[\"fold_0\"]"));
    vxs_inspection_free(inspection);
}

/* ---------------------------------------------------------------------------------------- messages */

typedef struct {
    int messages;
} heard;

static void hear(void *user_data, vxs_log_level level, const char *message) {
    CHECK(level >= VXS_LOG_DEBUG && level <= VXS_LOG_ERROR && strlen(message) > 0);
    __atomic_fetch_add(&((heard *)user_data)->messages, 1, __ATOMIC_RELAXED);
}

/* A volume in the wrong units gives a warning. */
static void warn(void) {
    vxs_error *error = NULL;
    int16_t *voxels = calloc(small.count, sizeof *voxels);
    uint8_t *found = malloc(small.count);
    CHECK(voxels && found);
    vxs_volume volume = volume_of(&small);
    volume.data = voxels;
    const vxs_labels labels = labels_of(found, small.count);
    OK(vxs_segment(plan, &volume, NULL, &labels, NULL, &error));
    free(voxels);
    free(found);
}

static void receivers(void) {
    vxs_error *error = NULL;
    heard first = {0}, second = {0}, errors = {0};
    vxs_log *one = NULL, *other = NULL, *third = NULL;
    OK(vxs_log_add(VXS_LOG_WARNING, hear, &first, &one, &error));
    OK(vxs_log_add(VXS_LOG_DEBUG, hear, &second, &other, &error));
    OK(vxs_log_add(VXS_LOG_ERROR, hear, &errors, &third, &error));
    warn();
    const int once = first.messages;
    CHECK(once > 0 && second.messages >= once && errors.messages == 0);
    vxs_log_remove(one);
    const int before = second.messages;
    warn();
    CHECK(first.messages == once && second.messages > before);
    vxs_log_remove(other);
    vxs_log_remove(third);
}

/* Channels that run backwards in memory: statistics of each are those of the other way round. */
static void backwards(void) {
    vxs_error *error = NULL;
    const uint64_t size = small.count * sizeof(int16_t);
    int16_t *both = malloc(2 * size);
    CHECK(both);
    for (size_t at = 0; at < small.count; at++) {
        both[at] = small.voxels[at];
        both[small.count + at] = (int16_t)(2 * small.voxels[at]);
    }
    const vxs_volume labels = labels_as_volume();
    vxs_volume forth = volume_of(&small);
    forth.data = both;
    forth.data_size = 2 * size;
    forth.channels = 2;
    vxs_volume back = forth;
    back.offset = size;
    back.channel_stride = -(int64_t)size;
    for (uint64_t channel = 0; channel < 2; channel++) {
        vxs_statistics_list *a = NULL, *b = NULL;
        OK(vxs_statistics(&labels, &forth, channel, NULL, &a, &error));
        OK(vxs_statistics(&labels, &back, 1 - channel, NULL, &b, &error));
        vxs_label_statistics first, second;
        CHECK(vxs_label_statistics_init(&first, sizeof first) == VXS_OK);
        CHECK(vxs_label_statistics_init(&second, sizeof second) == VXS_OK);
        OK(vxs_statistics_list_get(a, 0, &first, &error));
        OK(vxs_statistics_list_get(b, 0, &second, &error));
        CHECK(memcmp(&first, &second, sizeof first) == 0);
        vxs_statistics_list_free(a);
        vxs_statistics_list_free(b);
    }
    vxs_statistics_list *none = NULL;
    back.offset = size - 1;
    FAILS(VXS_INVALID_ARGUMENT, vxs_statistics(&labels, &back, 0, NULL, &none, &error));
    back.offset = size + 2;
    FAILS(VXS_BUFFER_TOO_SMALL, vxs_statistics(&labels, &back, 0, NULL, &none, &error));
    back.offset = size;
    back.channel_stride = INT64_MIN;
    FAILS(VXS_INVALID_ARGUMENT, vxs_statistics(&labels, &back, 0, NULL, &none, &error));
    free(both);
}

int main(int argc, char **argv) {
    vxs_error *error = NULL;
    given = read_arguments(argc, argv);
    image ct = read_ct(given.ct);
    small = crop(&ct, 16, 12, 10);
    map = malloc(small.count);
    CHECK(map);
    for (size_t at = 0; at < small.count; at++) {
        map[at] = (uint8_t)(at % small.shape[0] / 8 + 1);
    }
    OK(vxs_model_open(given.model, NULL, &model, &error));
    OK(vxs_plan_create(model, NULL, &plan, &error));
    calls();
    bytes_of_a_model();
    inspects();
    receivers();
    backwards();
    CHECK(strstr(vxs_build_info(), vxs_version()));
    vxs_plan_free(plan);
    vxs_model_free(model);
    free(map);
    free(small.voxels);
    free(ct.voxels);
    printf("watch: %d wrong calls refused\n", check_failures);
    return 0;
}
