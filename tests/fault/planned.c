/*
 * What a run needs against what its plan says: bytes planned, bytes that the process grew by at its peak from before
 * the model was opened, and that peak when the plan was made. The caller's buffers are there before.
 *
 *     planned MODEL|TASK:WEIGHTS X Y Z SX SY SZ THREADS MAPS
 *
 * MAPS: probabilities of label 1, as many as that; or -1 for the model's postprocessing.
 */
#include "calls.h"

static uint64_t memory(const char *key) {
    char line[256];
    unsigned long long kibibytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, key, strlen(key)) == 0) {
            CHECK(sscanf(line + strlen(key), "%llu", &kibibytes) == 1);
        }
    }
    fclose(file);
    return kibibytes * 1024;
}

int main(int argc, char **argv) {
    CHECK(argc == 10 && "usage: MODEL|TASK:WEIGHTS X Y Z SX SY SZ THREADS MAPS");
    image made = {NULL, {0, 0, 0}, 1, {0, 0, 0}};
    for (int a = 0; a < 3; a++) {
        made.shape[a] = strtoull(argv[2 + a], NULL, 10);
        made.spacing[a] = strtod(argv[5 + a], NULL);
        made.count *= made.shape[a];
    }
    made.voxels = malloc(made.count * sizeof(int16_t));
    uint8_t *bytes = malloc(made.count);
    const int count = atoi(argv[9]);
    float *values[3] = {NULL, NULL, NULL};
    CHECK(made.voxels && bytes && count <= 3);
    for (size_t n = 0; n < made.count; n++) {
        made.voxels[n] = (int16_t)(n % 1501) - 500;
    }
    memset(bytes, 1, made.count);
    vxs_map maps[3];
    const vxs_map *all[3];
    for (int n = 0; n < count; n++) {
        values[n] = malloc(made.count * sizeof(float));
        CHECK(values[n] && vxs_map_init(&maps[n], sizeof maps[n]) == VXS_OK);
        memset(values[n], 1, made.count * sizeof(float));
        maps[n].kind = VXS_MAP_PROBABILITY;
        maps[n].label = 1;
        maps[n].dtype = VXS_DTYPE_F32;
        maps[n].data = values[n];
        maps[n].data_size = made.count * sizeof(float);
        all[n] = &maps[n];
    }
    const fixture given = {argv[1], (uint32_t)atoi(argv[8]), made, NULL, NULL, NULL};
    const uint64_t before = memory("VmRSS:");

    vxs_error *error = NULL;
    vxs_model *model = NULL;
    vxs_plan *plan = NULL;
    vxs_plan_options options;
    vxs_plan_report report;
    vxs_run_options run;
    OK(open_model(&given, &model, &error));
    CHECK(vxs_plan_options_init(&options, sizeof options) == VXS_OK);
    CHECK(vxs_plan_report_init(&report, sizeof report) == VXS_OK);
    CHECK(vxs_run_options_init(&run, sizeof run) == VXS_OK);
    options.threads = given.threads;
    options.postprocess = count < 0 ? VXS_POSTPROCESS_MODEL : VXS_POSTPROCESS_OFF;
    OK(vxs_plan_create(model, &options, &plan, &error));
    const uint64_t made_by = memory("VmHWM:") - before;
    vxs_volume volume = volume_of(&made);
    const void *channels[16];
    volume.channels = vxs_model_channel_count(model);
    CHECK(volume.channels <= 16);
    for (uint64_t n = 0; n < volume.channels; n++) {
        channels[n] = made.voxels;
    }
    volume.channel_data = channels;
    OK(vxs_plan_estimate(plan, &volume, &report, &error));
    run.maps = count > 0 ? all : NULL;
    run.map_count = count > 0 ? (uint64_t)count : 0;
    const vxs_labels labels = labels_of(bytes, made.count);
    OK(vxs_segment(plan, &volume, &run, &labels, NULL, &error));
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", report.host_peak_bytes, memory("VmHWM:") - before, made_by);
    vxs_plan_free(plan);
    vxs_model_free(model);
    return 0;
}
