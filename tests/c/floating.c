/*
 * The host's floating-point environment: whatever it is, labels are the same, and the host has it back, flags included,
 * when a call returns and while its callbacks run.
 *
 *     floating MODEL CT.mhd [--quick]
 */
#define _GNU_SOURCE
#include <fenv.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "fixture.h"

static image small;
static int mode;        /* the rounding mode that callbacks must find */
static int calls, logs; /* callbacks that came */

static int32_t progress(void *user_data, const vxs_progress *now) {
    (void)user_data;
    CHECK(fegetround() == mode && now->fraction >= 0);
    /* What it raises stays its own. */
    feraiseexcept(FE_UNDERFLOW);
    calls++;
    return 0;
}

static void log_message(void *user_data, vxs_log_level level, const char *message) {
    CHECK(!user_data && level >= VXS_LOG_DEBUG && message);
    logs++;
}

/* Opens, plans, segments and measures; the numbers of the first label. */
static void work(const char *path, uint8_t *labels, double numbers[3]) {
    vxs_error *error = NULL;
    vxs_model *model = NULL;
    vxs_plan *plan = NULL;
    vxs_plan_options options;
    vxs_run_options run;
    CHECK(vxs_plan_options_init(&options, sizeof options) == VXS_OK);
    CHECK(vxs_run_options_init(&run, sizeof run) == VXS_OK);
    options.threads = 2;
    run.progress = progress;
    OK(vxs_model_open(path, NULL, &model, &error));
    OK(vxs_plan_create(model, &options, &plan, &error));
    vxs_volume volume = volume_of(&small);
    const double spacing[3] = {1.9, 2.3, 4.7};
    memcpy(volume.spacing, spacing, sizeof spacing);
    const vxs_labels out = labels_of(labels, small.count);
    calls = 0;
    OK(vxs_segment(plan, &volume, &run, &out, NULL, &error));
    CHECK(calls > 2);

    vxs_volume map = volume;
    map.dtype = VXS_DTYPE_U8;
    map.data = labels;
    map.data_size = small.count;
    vxs_statistics_list *statistics = NULL;
    vxs_label_statistics of_label;
    OK(vxs_statistics(&map, &volume, 0, NULL, &statistics, &error));
    CHECK(vxs_label_statistics_init(&of_label, sizeof of_label) == VXS_OK);
    if (vxs_statistics_list_count(statistics) > 0) {
        OK(vxs_statistics_list_get(statistics, 0, &of_label, &error));
    }
    numbers[0] = of_label.surface_area;
    numbers[1] = of_label.mean;
    numbers[2] = of_label.centroid[1];
    vxs_statistics_list_free(statistics);
    vxs_plan_free(plan);
    vxs_model_free(model);
}

int main(int argc, char **argv) {
    const arguments given = read_arguments(argc, argv);
    image ct = read_ct(given.ct);
    small = given.quick ? crop(&ct, 20, 20, 12) : crop(&ct, 60, 60, 30);
    uint8_t *expected = calloc(small.count, 1), *found = calloc(small.count, 1);
    double right[3], numbers[3];
    vxs_error *error = NULL;
    CHECK(expected && found);
    vxs_log *log = NULL;
    OK(vxs_log_add(VXS_LOG_DEBUG, log_message, NULL, &log, &error));
    mode = fegetround();
    work(given.model, expected, right);

    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (size_t n = 0; n < sizeof modes / sizeof *modes; n++) {
        mode = modes[n];
        memset(found, 0xA5, small.count);
        feclearexcept(FE_ALL_EXCEPT);
        feraiseexcept(FE_DIVBYZERO);
        CHECK(fesetround(mode) == 0);
        work(given.model, found, numbers);
        const int after = fegetround(), flags = fetestexcept(FE_ALL_EXCEPT);
        fesetround(FE_TONEAREST);
        CHECK(after == mode && flags == (FE_DIVBYZERO | FE_UNDERFLOW));
        CHECK(memcmp(found, expected, small.count) == 0 && memcmp(numbers, right, sizeof right) == 0);
    }
    mode = FE_TONEAREST;
#if defined(__x86_64__)
    /* Denormal numbers as zeros, and what a host may trap. */
    static const unsigned int settings[] = {0x8040, 0x8000, 0x0040};
    const unsigned int plain = _mm_getcsr();
    for (size_t n = 0; n < sizeof settings / sizeof *settings; n++) {
        _mm_setcsr((plain & ~0x3fu) | settings[n]);
        work(given.model, found, numbers);
        const unsigned int after = _mm_getcsr();
        _mm_setcsr(plain);
        CHECK((after & ~0x3fu) == ((plain & ~0x3fu) | settings[n]));
        CHECK(memcmp(found, expected, small.count) == 0 && memcmp(numbers, right, sizeof right) == 0);
    }
#endif
#if defined(__GLIBC__) && defined(__x86_64__)
    feclearexcept(FE_ALL_EXCEPT);
    const int traps = FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW;
    CHECK(feenableexcept(traps) == 0);
    int16_t kept = small.voxels[0];
    work(given.model, found, numbers);
    CHECK(small.voxels[0] == kept && fegetexcept() == traps);
    fedisableexcept(traps);
    CHECK(memcmp(found, expected, small.count) == 0 && memcmp(numbers, right, sizeof right) == 0);
#endif
    vxs_log_remove(log);
    free(expected);
    free(found);
    free(ct.voxels);
    free(small.voxels);
    printf("floating: the same labels in every environment (%d messages)\n", logs);
    return 0;
}
