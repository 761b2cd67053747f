/*
 * Every structure that can grow, at every size that a caller may state: none and too little is refused, more than the
 * library knows is welcome as long as it is zero, as from a client with a newer header that uses nothing new.
 * old_client.c has the smaller sizes that were once all there was.
 *
 *     sizes MODEL CT.mhd [--quick]
 */
#include "../c/fixture.h"

static arguments given;
static image small;
static vxs_model *model;
static vxs_plan *plan;
static uint8_t *buffer, *map; /* small.count bytes each */

/* For one structure: `use` is an expression that passes `value` and `error` to a function and gives its status. */
#define SIZES(type, init, use)                                                                               \
    do {                                                                                                     \
        struct {                                                                                             \
            type value;                                                                                      \
            unsigned char tail[64];                                                                          \
        } grown;                                                                                             \
        type *value = &grown.value;                                                                          \
        REFUSES(VXS_STRUCT_SIZE, init(value, 0));                                                            \
        REFUSES(VXS_STRUCT_SIZE, init(value, 8));                                                            \
        REFUSES(VXS_STRUCT_SIZE, init(value, UINT64_MAX));                                                   \
        memset(&grown, 0xFF, sizeof grown);                                                                  \
        CHECK(init(value, sizeof grown) == VXS_OK && value->struct_size == sizeof grown);                    \
        for (size_t tail_at = 0; tail_at < sizeof grown.tail; tail_at++) {                                   \
            CHECK(grown.tail[tail_at] == 0);                                                                 \
        }                                                                                                    \
        OK(use); /* a newer header's structure with nothing new in it */                                     \
        CHECK(value->struct_size == sizeof grown);                                                           \
        grown.tail[63] = 1;                                                                                  \
        FAILS(VXS_STRUCT_SIZE, use);                                                                         \
        const uint32_t wrong[] = {0, 1, 4, 8, sizeof(type) + 1000000, UINT32_MAX};                           \
        for (size_t wrong_at = 0; wrong_at < sizeof wrong / sizeof wrong[0]; wrong_at++) {                   \
            grown.tail[63] = 0;                                                                              \
            value->struct_size = wrong[wrong_at];                                                            \
            FAILS(VXS_STRUCT_SIZE, use);                                                                     \
        }                                                                                                    \
        CHECK(init(value, sizeof(type)) == VXS_OK && value->struct_size == sizeof(type));                    \
    } while (0)

static vxs_status fill_volume(vxs_volume *volume, uint64_t size) {
    const vxs_volume filled = volume_of(&small);
    const vxs_status status = vxs_volume_init(volume, size);
    if (status == VXS_OK) {
        memcpy((char *)volume + sizeof(uint32_t), (const char *)&filled + sizeof(uint32_t),
               sizeof filled - sizeof(uint32_t));
    }
    return status;
}

static vxs_status fill_labels(vxs_labels *labels, uint64_t size) {
    const vxs_status status = vxs_labels_init(labels, size);
    if (status == VXS_OK) {
        labels->data = buffer;
        labels->data_size = small.count;
    }
    return status;
}

static vxs_status fill_map(vxs_map *to, uint64_t size) {
    const vxs_status status = vxs_map_init(to, size);
    if (status == VXS_OK) {
        to->kind = VXS_MAP_MARGIN;
        to->dtype = VXS_DTYPE_U8;
        to->data = map;
        to->data_size = small.count;
    }
    return status;
}

static vxs_status segment_with(const vxs_map *with, vxs_error **error) {
    const vxs_volume volume = volume_of(&small);
    const vxs_labels labels = labels_of(buffer, small.count);
    vxs_run_options options;
    CHECK(vxs_run_options_init(&options, sizeof options) == VXS_OK);
    options.maps = &with;
    options.map_count = 1;
    return vxs_segment(plan, &volume, &options, &labels, NULL, error);
}

static void in_turn(void *unused, uint64_t count, vxs_task_function task, void *task_data) {
    (void)unused;
    for (uint64_t index = 0; index < count; index++) {
        task(task_data, index);
    }
}

static vxs_status fill_executor(vxs_executor *executor, uint64_t size) {
    const vxs_status status = vxs_executor_init(executor, size);
    if (status == VXS_OK) {
        executor->parallel_for = in_turn;
    }
    return status;
}

static vxs_status plan_on(const vxs_executor *executor, vxs_error **error) {
    vxs_plan_options options;
    CHECK(vxs_plan_options_init(&options, sizeof options) == VXS_OK);
    options.executor = executor;
    return plan_and_free(model, &options, error);
}

/* Its weights aren't there, which is found after the options were read. */
static vxs_status open_task(const vxs_task_options *options, vxs_error **error) {
    vxs_model *opened = NULL;
    const vxs_status status = vxs_model_open_task("total", "no/such/folder", options, &opened, error);
    CHECK(status != VXS_OK && !opened);
    if (status != VXS_NOT_A_MODEL) {
        return status;
    }
    vxs_error_free(*error);
    *error = NULL;
    return VXS_OK;
}

static void of_models_and_runs(void) {
    vxs_error *error = NULL;
    vxs_volume volume = volume_of(&small);
    vxs_labels labels = labels_of(buffer, small.count);
    vxs_device_list *list = NULL;
    CHECK(vxs_device_list_open(&list, NULL) == VXS_OK);
    SIZES(vxs_device_info, vxs_device_info_init, vxs_device_list_get(list, 0, value, &error));
    vxs_device_list_free(list);
    SIZES(vxs_label_info, vxs_label_info_init, vxs_model_label(model, 1, value, &error));
    SIZES(vxs_term, vxs_term_init, vxs_model_label_term(model, 1, VXS_TERM_TYPE, value, &error));
    SIZES(vxs_model_options, vxs_model_options_init, open_and_free(given.model, value, &error));
    SIZES(vxs_task_options, vxs_task_options_init, open_task(value, &error));
    SIZES(vxs_plan_options, vxs_plan_options_init, plan_and_free(model, value, &error));
    SIZES(vxs_executor, fill_executor, plan_on(value, &error));
    SIZES(vxs_plan_report, vxs_plan_report_init, vxs_plan_estimate(plan, &volume, value, &error));
    SIZES(vxs_volume, fill_volume, vxs_segment(plan, value, NULL, &labels, NULL, &error));
    SIZES(vxs_labels, fill_labels, vxs_segment(plan, &volume, NULL, value, NULL, &error));
    SIZES(vxs_map, fill_map, segment_with(value, &error));
    SIZES(vxs_run_options, vxs_run_options_init, vxs_segment(plan, &volume, value, &labels, NULL, &error));
    SIZES(vxs_run_report, vxs_run_report_init, vxs_segment(plan, &volume, NULL, &labels, value, &error));
}

static vxs_volume label_map(void) {
    vxs_volume volume = volume_of(&small);
    volume.dtype = VXS_DTYPE_U8;
    volume.data = buffer;
    volume.data_size = small.count;
    return volume;
}

static vxs_status compare(const vxs_compare_options *options, vxs_error **error) {
    const vxs_volume labels = label_map();
    vxs_comparison_list *list = NULL;
    const vxs_status status = vxs_compare(&labels, &labels, options, &list, error);
    vxs_comparison_list_free(list);
    return status;
}

static vxs_status measure(const vxs_measure_options *options, vxs_error **error) {
    const vxs_volume labels = label_map(), ct = volume_of(&small);
    vxs_statistics_list *list = NULL;
    const vxs_status status = vxs_statistics(&labels, &ct, 0, options, &list, error);
    vxs_statistics_list_free(list);
    return status;
}

static void of_measurements(void) {
    const vxs_volume labels = label_map(), ct = volume_of(&small);
    vxs_error *error = NULL;
    vxs_comparison_list *comparisons = NULL;
    vxs_statistics_list *statistics = NULL;
    vxs_dose_list *doses = NULL;
    OK(vxs_compare(&labels, &labels, NULL, &comparisons, &error));
    OK(vxs_statistics(&labels, NULL, 0, NULL, &statistics, &error));
    OK(vxs_dose(&labels, &ct, NULL, &doses, &error));
    SIZES(vxs_compare_options, vxs_compare_options_init, compare(value, &error));
    SIZES(vxs_comparison, vxs_comparison_init, vxs_comparison_list_get(comparisons, 0, value, &error));
    SIZES(vxs_measure_options, vxs_measure_options_init, measure(value, &error));
    SIZES(vxs_label_statistics, vxs_label_statistics_init,
          vxs_statistics_list_get(statistics, 0, value, &error));
    SIZES(vxs_label_dose, vxs_label_dose_init, vxs_dose_list_get(doses, 0, value, &error));
    vxs_comparison_list_free(comparisons);
    vxs_statistics_list_free(statistics);
    vxs_dose_list_free(doses);
}

int main(int argc, char **argv) {
    vxs_error *error = NULL;
    given = read_arguments(argc, argv);
    image ct = read_ct(given.ct);
    small = crop(&ct, 16, 12, 10);
    buffer = calloc(small.count, 1);
    map = calloc(small.count, 1);
    CHECK(buffer && map);
    OK(vxs_model_open(given.model, NULL, &model, &error));
    OK(vxs_plan_create(model, NULL, &plan, &error));
    of_models_and_runs();
    of_measurements();
    vxs_plan_free(plan);
    vxs_model_free(model);
    free(buffer);
    free(map);
    free(small.voxels);
    free(ct.voxels);
    printf("sizes: %d wrong ones refused\n", check_failures);
    return 0;
}
