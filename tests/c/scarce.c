/*
 * A host at its limit of threads: whatever number can be had is enough, down to the calling one, and the bytes are the
 * same.
 *
 *     scarce MODEL CT.mhd
 *
 * The program's own pthread_create stands in front of the C library's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "fixture.h"

static atomic_long left = -1; /* threads that can still be made; negative: any number */
static atomic_long refused;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
        CHECK(real);
    }
    if (atomic_load(&left) >= 0 && atomic_fetch_sub(&left, 1) <= 0) {
        atomic_store(&left, 0);
        atomic_fetch_add(&refused, 1);
        return EAGAIN;
    }
    return real(thread, attributes, start, argument);
}

static image small;

static vxs_volume label_map(uint8_t *labels) {
    vxs_volume volume = volume_of(&small);
    volume.dtype = VXS_DTYPE_U8;
    volume.data = labels;
    volume.data_size = small.count;
    return volume;
}

/* Everything that uses threads, into a text of all numbers and the labels. */
static void work(vxs_plan *plan, uint8_t *labels, uint8_t *moved, double numbers[4]) {
    vxs_error *error = NULL;
    const vxs_volume volume = volume_of(&small);
    const vxs_labels out = labels_of(labels, small.count), there = labels_of(moved, small.count);
    OK(vxs_segment(plan, &volume, NULL, &out, NULL, &error));

    const vxs_volume map = label_map(labels);
    vxs_volume shifted = map;
    shifted.origin[0] = 2 * small.spacing[0];
    vxs_measure_options measure;
    CHECK(vxs_measure_options_init(&measure, sizeof measure) == VXS_OK);
    measure.threads = 8;
    OK(vxs_labels_on_grid(&map, &shifted, &measure, &there, &error));

    vxs_statistics_list *statistics = NULL;
    vxs_label_statistics of_label;
    OK(vxs_statistics(&map, &volume, 0, &measure, &statistics, &error));
    CHECK(vxs_label_statistics_init(&of_label, sizeof of_label) == VXS_OK && vxs_statistics_list_count(statistics) > 0);
    OK(vxs_statistics_list_get(statistics, 0, &of_label, &error));
    numbers[0] = of_label.surface_area;
    numbers[1] = of_label.median;
    vxs_statistics_list_free(statistics);

    vxs_dose_list *doses = NULL;
    vxs_label_dose dose;
    OK(vxs_dose(&map, &volume, &measure, &doses, &error));
    CHECK(vxs_label_dose_init(&dose, sizeof dose) == VXS_OK);
    OK(vxs_dose_list_get(doses, 0, &dose, &error));
    numbers[2] = dose.mean;
    vxs_dose_list_free(doses);

    vxs_compare_options compare;
    vxs_comparison_list *comparisons = NULL;
    vxs_comparison comparison;
    CHECK(vxs_compare_options_init(&compare, sizeof compare) == VXS_OK);
    compare.threads = 8;
    compare.surfaces = 1;
    compare.tolerance = 1;
    OK(vxs_compare(&map, &shifted, &compare, &comparisons, &error));
    CHECK(vxs_comparison_init(&comparison, sizeof comparison) == VXS_OK);
    OK(vxs_comparison_list_get(comparisons, 0, &comparison, &error));
    numbers[3] = comparison.mean_distance;
    vxs_comparison_list_free(comparisons);
}

int main(int argc, char **argv) {
    const arguments given = read_arguments(argc, argv);
    image ct = read_ct(given.ct);
    small = crop(&ct, 40, 32, 24);
    vxs_error *error = NULL;
    vxs_model *model = NULL;
    vxs_plan *plan = NULL, *made = NULL;
    vxs_plan_options options;
    CHECK(vxs_plan_options_init(&options, sizeof options) == VXS_OK);
    options.threads = 8;
    OK(vxs_model_open(given.model, NULL, &model, &error));
    OK(vxs_plan_create(model, &options, &plan, &error));

    uint8_t *labels[2] = {calloc(small.count, 1), calloc(small.count, 1)};
    uint8_t *moved[2] = {calloc(small.count, 1), calloc(small.count, 1)};
    double numbers[2][4];
    CHECK(labels[0] && labels[1] && moved[0] && moved[1]);
    work(plan, labels[0], moved[0], numbers[0]);

    /* So many threads in all, and then no more. */
    static const long given_threads[] = {0, 1, 2, 5, 20};
    for (size_t n = 0; n < sizeof given_threads / sizeof *given_threads; n++) {
        const long threads = given_threads[n];
        memset(labels[1], 0xA5, small.count);
        memset(moved[1], 0xA5, small.count);
        atomic_store(&refused, 0);
        atomic_store(&left, threads);
        work(plan, labels[1], moved[1], numbers[1]);
        CHECK(atomic_load(&refused) > 0);
        CHECK(memcmp(labels[0], labels[1], small.count) == 0 && memcmp(moved[0], moved[1], small.count) == 0);
        CHECK(memcmp(numbers[0], numbers[1], sizeof numbers[0]) == 0);
    }
    /* A plan too, and cancelling still works. */
    atomic_store(&left, 0);
    OK(vxs_plan_create(model, &options, &made, &error));
    vxs_run_options run;
    CHECK(vxs_run_options_init(&run, sizeof run) == VXS_OK);
    vxs_cancel *cancel = NULL;
    OK(vxs_cancel_create(&cancel, &error));
    vxs_cancel_request(cancel);
    run.cancel = cancel;
    const vxs_volume volume = volume_of(&small);
    const vxs_labels out = labels_of(labels[1], small.count);
    FAILS(VXS_CANCELLED, vxs_segment(made, &volume, &run, &out, NULL, &error));
    OK(vxs_segment(made, &volume, NULL, &out, NULL, &error));
    CHECK(memcmp(labels[0], labels[1], small.count) == 0);
    atomic_store(&left, -1);
    work(plan, labels[1], moved[1], numbers[1]);
    CHECK(memcmp(labels[0], labels[1], small.count) == 0);

    vxs_cancel_free(cancel);
    vxs_plan_free(made);
    vxs_plan_free(plan);
    vxs_model_free(model);
    for (int n = 0; n < 2; n++) {
        free(labels[n]);
        free(moved[n]);
    }
    free(ct.voxels);
    free(small.voxels);
    puts("scarce: the same bytes with however few threads");
    return 0;
}
