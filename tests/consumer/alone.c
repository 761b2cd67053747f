/* What works where no ONNX Runtime is: everything but running what needs one, and the list of devices says so. */
#include <stdio.h>

#include <voxseg.h>

int main(int argc, char **argv) {
    vxs_error *error = NULL;
    vxs_model *model = NULL;
    vxs_device_list *devices = NULL;
    vxs_device_info device;
    uint64_t i, without_runtime = 0;
    vxs_status status = vxs_model_open(argc > 1 ? argv[1] : NULL, NULL, &model, &error);
    if (status == VXS_OK) {
        status = vxs_device_list_open(&devices, &error);
    }
    if (status != VXS_OK) {
        fprintf(stderr, "%s\n", vxs_error_message(error));
        return 1;
    }
    for (i = 0; i < vxs_device_list_count(devices); i++) {
        vxs_device_info_init(&device, sizeof device);
        if (vxs_device_list_get(devices, i, &device, NULL) != VXS_OK) {
            return 2;
        }
        if (device.device == VXS_DEVICE_ORT_CPU && !device.usable) {
            without_runtime = 1;
            printf("%s: %s\n", device.name, device.reason);
        }
    }
    vxs_device_list_free(devices);
    vxs_model_free(model);
    return without_runtime && !vxs_runtime_version() ? 0 : 3;
}
