/*
 * A client of the first release: compiled against tests/abi/first/voxseg.h, the interface as it was then, which is
 * never edited once there is a release; linked and run with the library of today. The library reads and writes no more
 * of a structure than that header has.
 *
 *     old_client MODEL CT.mhd [--quick]
 */
#include "../c/fixture.h"

/* A structure, and behind it what belongs to somebody else. */
#define FRAMED(type, name)                                                                                   \
    struct {                                                                                                 \
        type value;                                                                                          \
        unsigned char after[256];                                                                            \
    } name;                                                                                                  \
    memset(&name, 0xA5, sizeof name)
#define INIT(name, init) CHECK(init(&name.value, sizeof name.value) == VXS_OK && intact(name.after))
#define INTACT(name) CHECK(intact(name.after) && name.value.struct_size == sizeof name.value)

static int intact(const unsigned char after[256]) {
    for (int i = 0; i < 256; i++) {
        if (after[i] != 0xA5) {
            return 0;
        }
    }
    return 1;
}

static void devices(void) {
    vxs_error *error = NULL;
    vxs_device_list *list = NULL;
    OK(vxs_device_list_open(&list, &error));
    int usable = 0;
    for (uint64_t i = 0; i < vxs_device_list_count(list); i++) {
        FRAMED(vxs_device_info, info);
        INIT(info, vxs_device_info_init);
        OK(vxs_device_list_get(list, i, &info.value, &error));
        INTACT(info);
        CHECK(strlen(info.value.name) > 0 && (strlen(info.value.reason) == 0) == (info.value.usable == 1));
        usable += info.value.usable && info.value.device == VXS_DEVICE_CPU;
    }
    CHECK(usable == 1);
    vxs_device_list_free(list);
}

static vxs_model *open(const char *folder) {
    vxs_error *error = NULL;
    vxs_model *model = NULL;
    FRAMED(vxs_model_options, options);
    INIT(options, vxs_model_options_init);
    CHECK(vxs_model_open("no/such/model", &options.value, &model, &error) / 100 == 2);
    CHECK(!model && vxs_error_status(error) / 100 == 2 && strstr(vxs_error_message(error), "no/such/model"));
    vxs_error_free(error);
    error = NULL;
    OK(vxs_model_open(folder, &options.value, &model, &error));
    INTACT(options);
    CHECK(vxs_model_label_count(model) > 2);
    for (uint64_t i = 0; i < vxs_model_label_count(model); i++) {
        FRAMED(vxs_label_info, label);
        INIT(label, vxs_label_info_init);
        OK(vxs_model_label(model, i, &label.value, &error));
        INTACT(label);
        CHECK(strlen(label.value.name) > 0);
        FRAMED(vxs_term, term);
        INIT(term, vxs_term_init);
        OK(vxs_model_label_term(model, i, VXS_TERM_TYPE, &term.value, &error));
        INTACT(term);
        CHECK(i > 1 || (i == 0) == (term.value.code == NULL)); /* the background is nothing */
    }
    return model;
}

static vxs_plan *plan_of(const vxs_model *model) {
    vxs_error *error = NULL;
    vxs_plan *plan = NULL;
    FRAMED(vxs_plan_options, options);
    INIT(options, vxs_plan_options_init);
    options.value.device = VXS_DEVICE_CPU;
    options.value.threads = 2;
    OK(vxs_plan_create(model, &options.value, &plan, &error));
    INTACT(options);
    /* A size that no header ever gave it. */
    options.value.struct_size = sizeof options.value - 8;
    vxs_plan *none = NULL;
    FAILS(VXS_STRUCT_SIZE, vxs_plan_create(model, &options.value, &none, &error));
    CHECK(!none);
    return plan;
}

typedef struct {
    double last;
    uint64_t calls, cancel_at;
} watcher;

static int32_t watch(void *user_data, const vxs_progress *progress) {
    watcher *self = user_data;
    CHECK(progress->struct_size >= sizeof *progress && progress->tiles_done <= progress->tiles);
    CHECK(progress->fraction >= self->last && progress->fraction <= 1);
    self->last = progress->fraction;
    return ++self->calls == self->cancel_at;
}

static void segments(vxs_plan *plan, const image *ct, uint8_t *found) {
    vxs_error *error = NULL;
    const vxs_volume from = volume_of(ct);
    FRAMED(vxs_volume, volume);
    INIT(volume, vxs_volume_init);
    volume.value = from;
    FRAMED(vxs_labels, labels);
    INIT(labels, vxs_labels_init);
    labels.value = labels_of(found, ct->count);

    FRAMED(vxs_plan_report, need);
    INIT(need, vxs_plan_report_init);
    OK(vxs_plan_estimate(plan, &volume.value, &need.value, &error));
    INTACT(need);
    CHECK(need.value.device == VXS_DEVICE_CPU && need.value.precision == VXS_PRECISION_F32);
    CHECK(need.value.tiles >= 1 && need.value.host_peak_bytes > need.value.weight_bytes);

    uint8_t *certain = malloc(ct->count);
    CHECK(certain);
    FRAMED(vxs_map, map);
    INIT(map, vxs_map_init);
    map.value.kind = VXS_MAP_MARGIN;
    map.value.dtype = VXS_DTYPE_U8;
    map.value.data = certain;
    map.value.data_size = ct->count;
    const vxs_map *maps[1] = {&map.value};

    watcher seen = {0, 0, 0};
    FRAMED(vxs_run_options, options);
    INIT(options, vxs_run_options_init);
    options.value.progress = watch;
    options.value.user_data = &seen;
    options.value.maps = maps;
    options.value.map_count = 1;
    FRAMED(vxs_run_report, report);
    INIT(report, vxs_run_report_init);
    OK(vxs_segment(plan, &volume.value, &options.value, &labels.value, &report.value, &error));
    INTACT(options);
    INTACT(report);
    INTACT(volume);
    INTACT(labels);
    INTACT(map);
    CHECK(seen.last == 1 && report.value.voxels == ct->count && report.value.tiles == need.value.tiles);
    CHECK(report.value.total_seconds > 0);
    size_t foreground = 0;
    for (size_t at = 0; at < ct->count; at++) {
        foreground += found[at] != 0;
    }
    CHECK(foreground > ct->count / 10);

    /* Stopped by the callback's answer, and by a flag: nothing is written. */
    vxs_cancel *cancel = NULL;
    OK(vxs_cancel_create(&cancel, &error));
    vxs_cancel_request(cancel);
    memset(certain, 0xA5, ct->count);
    labels.value.data = certain;
    options.value.map_count = 0;
    for (int flagged = 0; flagged < 2; flagged++) {
        seen = (watcher){0, 0, 1};
        options.value.cancel = flagged ? cancel : NULL;
        FAILS(VXS_CANCELLED,
              vxs_segment(plan, &volume.value, &options.value, &labels.value, &report.value, &error));
        for (size_t at = 0; at < ct->count; at++) {
            CHECK(certain[at] == 0xA5);
        }
    }
    INTACT(report);
    vxs_cancel_free(cancel);

    /* Mistakes are told as ever. */
    labels.value.data_size = 1;
    CHECK(vxs_segment(plan, &volume.value, NULL, &labels.value, NULL, &error) == VXS_BUFFER_TOO_SMALL);
    CHECK(strcmp(vxs_error_detail(error, "found"), "1") == 0 && strlen(vxs_error_message(error)) > 0);
    vxs_error_free(error);
    free(certain);
}

/* The labels compared with themselves. */
static void compares(const image *ct, uint8_t *labels) {
    vxs_error *error = NULL;
    vxs_volume volume = volume_of(ct);
    volume.dtype = VXS_DTYPE_U8;
    volume.data = labels;
    volume.data_size = ct->count;
    FRAMED(vxs_compare_options, options);
    INIT(options, vxs_compare_options_init);
    options.value.surfaces = 1;
    options.value.tolerance = 1;
    vxs_comparison_list *list = NULL;
    OK(vxs_compare(&volume, &volume, &options.value, &list, &error));
    INTACT(options);
    CHECK(vxs_comparison_list_count(list) > 0);
    FRAMED(vxs_comparison, found);
    INIT(found, vxs_comparison_init);
    OK(vxs_comparison_list_get(list, 0, &found.value, &error));
    INTACT(found);
    CHECK(found.value.dice == 1 && found.value.hausdorff == 0);
    vxs_comparison_list_free(list);
}

int main(int argc, char **argv) {
    const arguments given = read_arguments(argc, argv);
    const uint32_t version = vxs_abi_version();
    CHECK(version >> 16 == VXS_ABI_MAJOR && (version & 0xFFFF) >= VXS_ABI_MINOR);
    devices();
    image ct = read_ct(given.ct);
    image small = given.quick ? crop(&ct, 16, 12, 10) : crop(&ct, 40, 32, 24);
    uint8_t *labels = malloc(small.count);
    CHECK(labels);
    vxs_model *model = open(given.model);
    vxs_plan *plan = plan_of(model);
    vxs_model_free(model);
    segments(plan, &small, labels);
    compares(&small, labels);
    vxs_plan_free(plan);
    free(labels);
    free(small.voxels);
    free(ct.voxels);
    printf("old client: interface %d.%d on %" PRIu32 ".%" PRIu32 "\n", VXS_ABI_MAJOR, VXS_ABI_MINOR,
           version >> 16, version & 0xFFFF);
    return 0;
}
