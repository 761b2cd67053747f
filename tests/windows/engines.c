/*
 * engines MODEL CT.mhd LABELS.raw: our CPU engine and ONNX Runtime on the CPU give the labels of the file, in which each
 * of them may differ where two labels are a near tie: none in our own engine.
 */
#include "../c/fixture.h"

static uint64_t others(const vxs_model *model, const image *ct, vxs_device device, const bytes *expected) {
    vxs_error *error = NULL;
    vxs_plan *plan = NULL;
    vxs_plan_options options;
    CHECK(vxs_plan_options_init(&options, sizeof options) == VXS_OK);
    options.device = device;
    OK(vxs_plan_create(model, &options, &plan, &error));
    uint8_t *found = (uint8_t *)calloc(ct->count, 1);
    CHECK(found);
    const vxs_volume volume = volume_of(ct);
    vxs_labels labels = labels_of(found, ct->count);
    vxs_run_report report;
    CHECK(vxs_run_report_init(&report, sizeof report) == VXS_OK);
    OK(vxs_segment(plan, &volume, NULL, &labels, &report, &error));
    uint64_t other = 0;
    for (size_t i = 0; i < ct->count; i++) {
        other += found[i] != expected->data[i];
    }
    printf("device %d: %u voxels differ, %u near ties, peak %u MiB\n", (int)device, (unsigned)other,
           (unsigned)report.near_ties, (unsigned)(report.process_peak_bytes >> 20));
    CHECK(other <= report.near_ties);
    /* Of the process, and not of some file that only other systems have. */
    CHECK(report.process_peak_bytes > ct->count * sizeof(int16_t));
    free(found);
    vxs_plan_free(plan);
    return other;
}

int main(int argc, char **argv) {
    argv = utf8_arguments(argc, argv);
    CHECK(argc == 4);
    const char *slash = last_slash(argv[3]);
    CHECK(slash);
    char folder[4096];
    CHECK(snprintf(folder, sizeof folder, "%.*s", (int)(slash - argv[3]), argv[3]) > 0);
    const bytes expected = read_file(folder, slash + 1);
    const image ct = read_ct(argv[2]);
    CHECK(expected.size == ct.count);
    vxs_error *error = NULL;
    vxs_model *model = NULL;
    OK(vxs_model_open(argv[1], NULL, &model, &error));
    CHECK(others(model, &ct, VXS_DEVICE_CPU, &expected) == 0);
    others(model, &ct, VXS_DEVICE_ORT_CPU, &expected);
    printf("ONNX Runtime %s from %s\n", vxs_runtime_version(), vxs_runtime_path());
    vxs_model_free(model);
    return 0;
}
