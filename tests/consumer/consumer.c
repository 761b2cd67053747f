/* Opens a model, makes a plan and asks it what a volume would need: enough to need every part that is installed. */
#include <stdio.h>

#include <voxseg.h>

int main(int argc, char **argv) {
    vxs_error *error = NULL;
    vxs_model *model = NULL;
    vxs_plan *plan = NULL;
    vxs_volume volume;
    vxs_plan_options options;
    vxs_plan_report report;
    vxs_status status = vxs_model_open(argc > 1 ? argv[1] : NULL, NULL, &model, &error);
    if (status == VXS_OK) {
        vxs_plan_options_init(&options, sizeof options);
        options.device = VXS_DEVICE_ORT_CPU; /* so that the package's ONNX Runtime has to be found */
        status = vxs_plan_create(model, &options, &plan, &error);
    }
    if (status == VXS_OK) {
        vxs_volume_init(&volume, sizeof volume);
        vxs_plan_report_init(&report, sizeof report);
        volume.dtype = VXS_DTYPE_I16;
        volume.shape[0] = volume.shape[1] = volume.shape[2] = 128;
        status = vxs_plan_estimate(plan, &volume, &report, &error);
    }
    if (status != VXS_OK) {
        fprintf(stderr, "%s\n", vxs_error_message(error));
        return status / 100;
    }
    printf("voxseg %s with ONNX Runtime %s (%s): %s, %d tiles\n", vxs_version(), vxs_runtime_version(),
           vxs_runtime_path(), vxs_model_name(model), (int)report.tiles);
    vxs_plan_free(plan);
    vxs_model_free(model);
    return 0;
}
