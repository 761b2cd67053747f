/*
 * Volumes and label maps whose voxels share bytes: a few bytes that claim to be more voxels than memory holds. Refused
 * with an error that says so, by everything that reads them, before anything is made for them.
 *
 *     overlap MODEL CT.mhd [--quick]
 */
#include "fixture.h"

static uint8_t eight[8] = {1, 1, 1, 1, 1, 1, 1, 1}, canary[8];
static vxs_plan *plan;
static image small;

static vxs_volume of_shape(uint64_t x, uint64_t y, uint64_t z) {
    vxs_volume volume;
    CHECK(vxs_volume_init(&volume, sizeof volume) == VXS_OK);
    volume.dtype = VXS_DTYPE_U8;
    volume.data = eight;
    volume.data_size = sizeof eight;
    volume.shape[0] = x;
    volume.shape[1] = y;
    volume.shape[2] = z;
    return volume;
}

/* Whatever reads `wrong` refuses it. */
static void refused(const vxs_volume *wrong) {
    const vxs_volume good = of_shape(2, 2, 2), field = volume_of(&small);
    vxs_volume elsewhere = good;
    elsewhere.origin[1] = 3.7;
    vxs_labels labels = labels_of(canary, sizeof canary);
    vxs_error *error = NULL;
    vxs_statistics_list *statistics = NULL;
    vxs_comparison_list *comparisons = NULL;
    vxs_dose_list *doses = NULL;
    vxs_compare_options options;
    CHECK(vxs_compare_options_init(&options, sizeof options) == VXS_OK);
    options.surfaces = 1;
    options.tolerance = 1;
    FAILS(VXS_INVALID_ARGUMENT, vxs_statistics(wrong, NULL, 0, NULL, &statistics, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_statistics(&good, wrong, 0, NULL, &statistics, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_compare(wrong, wrong, NULL, &comparisons, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_compare(wrong, &good, &options, &comparisons, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_compare(wrong, &elsewhere, NULL, &comparisons, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_compare(&good, wrong, &options, &comparisons, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_dose(wrong, &field, NULL, &doses, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_dose(&good, wrong, NULL, &doses, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_labels_on_grid(wrong, &good, NULL, &labels, &error));
    FAILS(VXS_INVALID_ARGUMENT, vxs_segment(plan, wrong, NULL, &labels, NULL, &error));
    CHECK(!statistics && !comparisons && !doses && memcmp(canary, (uint8_t[8]){0}, sizeof canary) == 0);
}

int main(int argc, char **argv) {
    const arguments given = read_arguments(argc, argv);
    image ct = read_ct(given.ct);
    small = crop(&ct, 6, 5, 4);
    vxs_error *error = NULL;
    vxs_model *model = NULL;
    OK(vxs_model_open(given.model, NULL, &model, &error));
    OK(vxs_plan_create(model, NULL, &plan, &error));

    /* One long axis, two, three; the others inside of the eight bytes. */
    for (int power = 3; power <= 57; power++) {
        for (int axis = 0; axis < 3; axis++) {
            vxs_volume wrong = of_shape(1, 1, 1);
            wrong.shape[axis] = 1ull << power;
            wrong.strides[(axis + 1) % 3] = 1;
            refused(&wrong);
            wrong.shape[(axis + 1) % 3] = power < 54 ? 8 : 1;
            refused(&wrong);
        }
    }
    vxs_volume wrong = of_shape(1ull << 26, 1ull << 26, 8);
    wrong.strides[2] = 1;
    refused(&wrong);
    /* Steps that are too small for the axes within them, or for the type. */
    wrong = of_shape(3, 3, 2);
    wrong.strides[0] = wrong.strides[1] = wrong.strides[2] = 1;
    refused(&wrong);
    wrong.strides[0] = 1, wrong.strides[1] = 2, wrong.strides[2] = -1, wrong.offset = 1;
    refused(&wrong);
    wrong = of_shape(4, 1, 1);
    wrong.dtype = VXS_DTYPE_I16;
    wrong.strides[0] = wrong.strides[1] = wrong.strides[2] = 1;
    refused(&wrong);

    /* A buffer that is too small for its shape says how large it must be; one that no memory holds is no shape. */
    vxs_statistics_list *list = NULL;
    for (int power = 4; power <= 56; power++) {
        wrong = of_shape(1ull << power, 1, 1);
        FAILS(VXS_BUFFER_TOO_SMALL, vxs_statistics(&wrong, NULL, 0, NULL, &list, &error));
    }
    wrong = of_shape(1ull << 58, 1, 1);
    FAILS(VXS_INVALID_ARGUMENT, vxs_statistics(&wrong, NULL, 0, NULL, &list, &error));
    wrong.strides[1] = 1;
    FAILS(VXS_INVALID_ARGUMENT, vxs_statistics(&wrong, NULL, 0, NULL, &list, &error));

    /* Axes of one voxel may have any step, and gaps and turned axes are no overlap. */
    vxs_volume good = of_shape(1, 8, 1);
    good.strides[1] = 1;
    OK(vxs_statistics(&good, NULL, 0, NULL, &list, &error));
    vxs_statistics_list_free(list);
    good = of_shape(2, 1, 2);
    good.strides[0] = 4, good.strides[1] = 0, good.strides[2] = -2, good.offset = 3;
    OK(vxs_statistics(&good, NULL, 0, NULL, &list, &error));
    vxs_statistics_list_free(list);

    vxs_plan_free(plan);
    vxs_model_free(model);
    free(ct.voxels);
    free(small.voxels);
    printf("overlap: %d volumes and label maps refused\n", check_failures);
    return 0;
}
