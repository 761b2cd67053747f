/*
 * NIfTI headers by the reader of a model: what contradicts itself is read as that reader reads it, and told.
 *
 *     nifti MODEL CT.mhd
 */
#include "fixture.h"

static void put(unsigned char *header, size_t at, const void *value, size_t size) {
    memcpy(header + at, value, size);
}

static void put_floats(unsigned char *header, size_t at, const float *values, size_t count) {
    put(header, at, values, count * sizeof *values);
}

/* 4×5×6 voxels of 16 bits: pixdim says 1 mm, the sform 3 mm, a slope of 0 and an intercept of -1024. */
static void fill(unsigned char header[352]) {
    const int32_t size = 348;
    const int16_t dim[8] = {3, 4, 5, 6, 1, 1, 1, 1}, type = 4, code = 1;
    const float pixdim[4] = {1, 1, 1, 1}, offset = 352, scaling[2] = {0, -1024};
    const float rows[12] = {3, 0, 0, -10, 0, 3, 0, -20, 0, 0, 3, -30};
    memset(header, 0, 352);
    put(header, 0, &size, sizeof size);
    put(header, 40, dim, sizeof dim);
    put(header, 70, &type, sizeof type);
    put_floats(header, 76, pixdim, 4);
    put_floats(header, 108, &offset, 1);
    put_floats(header, 112, scaling, 2);
    put(header, 254, &code, sizeof code);
    put_floats(header, 280, rows, 12);
    put(header, 344, "n+1", 4);
}

int main(int argc, char **argv) {
    const arguments given = read_arguments(argc, argv);
    vxs_error *error = NULL;
    vxs_model *model = NULL;
    vxs_nifti *nifti = NULL;
    unsigned char header[352];
    vxs_volume volume;

    OK(vxs_model_open(given.model, NULL, &model, &error));
    CHECK(vxs_model_reader(model) == VXS_READER_ITK && vxs_model_reader(NULL) == 0);

    fill(header);
    OK(vxs_nifti_parse(header, sizeof header, vxs_model_reader(model), &nifti, &error));
    CHECK(vxs_volume_init(&volume, sizeof volume) == VXS_OK);
    OK(vxs_nifti_volume(nifti, &volume, &error));
    CHECK(volume.dtype == VXS_DTYPE_I16 && volume.shape[2] == 6 && volume.channels == 1 && volume.flags == 0);
    CHECK(volume.spacing[0] == 1 && volume.origin[0] == 10 && volume.origin[2] == -30);
    CHECK(volume.direction[0] == -1 && volume.direction[8] == 1);
    CHECK(volume.slope == 1 && volume.intercept == -1024);
    CHECK(vxs_nifti_data_offset(nifti) == 352 && vxs_nifti_datatype(nifti) == 4);
    CHECK(strstr(vxs_nifti_note(nifti), "pixdim says 1×1×1 mm, the sform 3×3×3 mm; 1×1×1 mm count"));
    vxs_nifti_free(nifti);

    OK(vxs_nifti_parse(header, sizeof header, VXS_READER_NIBABEL, &nifti, &error));
    OK(vxs_nifti_volume(nifti, &volume, &error));
    CHECK(volume.spacing[0] == 3 && volume.slope == 1 && volume.intercept == 0);
    vxs_nifti_free(nifti);

    /* A header at one with itself has nothing to note. */
    put_floats(header, 76, (const float[4]){1, 3, 3, 3}, 4);
    put_floats(header, 112, (const float[2]){1, 0}, 2);
    OK(vxs_nifti_parse(header, sizeof header, VXS_READER_MONAI, &nifti, &error));
    CHECK(vxs_nifti_note(nifti) == NULL);
    REFUSES(VXS_NULL_POINTER, vxs_nifti_volume(nifti, NULL, NULL));
    vxs_nifti_free(nifti);

    /* Sheared by 15 degrees: MONAI takes the qform, whose lengths are those of pixdim; nobody else has a grid. */
    put_floats(header, 284, (const float[1]){0.8F}, 1);
    OK(vxs_nifti_parse(header, sizeof header, VXS_READER_MONAI, &nifti, &error));
    CHECK(vxs_nifti_note(nifti) != NULL);
    vxs_nifti_free(nifti);
    nifti = NULL;
    for (vxs_reader reader = VXS_READER_ITK; reader < VXS_READER_MONAI; reader++) {
        FAILS(VXS_GEOMETRY, vxs_nifti_parse(header, sizeof header, reader, &nifti, &error));
    }
    FAILS(VXS_GEOMETRY, vxs_nifti_parse(header, 347, VXS_READER_ITK, &nifti, &error));
    FAILS(VXS_GEOMETRY, vxs_nifti_parse(header, 0, VXS_READER_ITK, &nifti, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_nifti_parse(header, sizeof header, 0, &nifti, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_nifti_parse(header, sizeof header, 6, &nifti, &error));
    FAILS(VXS_NULL_POINTER, vxs_nifti_parse(NULL, 348, VXS_READER_ITK, &nifti, &error));
    FAILS(VXS_NULL_POINTER, vxs_nifti_parse(header, sizeof header, VXS_READER_ITK, NULL, &error));
    CHECK(nifti == NULL);
    FAILS(VXS_NULL_POINTER, vxs_nifti_volume(NULL, &volume, &error));
    CHECK(vxs_nifti_data_offset(NULL) == 0 && vxs_nifti_datatype(NULL) == 0 && vxs_nifti_note(NULL) == NULL);
    vxs_nifti_free(NULL);
    vxs_model_free(model);
    printf("%d failures came as expected\n", check_failures);
    return 0;
}
