/*
 * Opens a model and ends as the tool does: with the band of the status, and a message.
 *
 *     open MODEL
 */
#include <voxseg.h>

#include <stdio.h>

int main(int argc, char **argv) {
    vxs_model *model = NULL;
    vxs_error *error = NULL;
    const vxs_status status = vxs_model_open(argc > 1 ? argv[1] : NULL, NULL, &model, &error);
    if (status != VXS_OK) {
        fprintf(stderr, "voxseg: %s\n", vxs_error_message(error));
    }
    vxs_error_free(error);
    vxs_model_free(model);
    return status / 100;
}
