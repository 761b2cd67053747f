/*
 * Eight plans of one model in eight threads, for as long as is asked: whole runs, runs that another thread cancels,
 * runs that their callback ends, mistakes, and plans that come and go. Before that, eight runs of one plan at once,
 * whose weights exist once. Every whole run gives the same labels.
 *
 *     soak MODEL CT.mhd SECONDS [shared]
 *
 * With the last word only the latter, which prints what the process grew by.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "fixture.h"

enum { THREADS = 8 };

static image small;
static vxs_model *model;
static uint8_t *expected;
static vxs_cancel *shared; /* what the canceller and the workers have between them */
static atomic_int over, cancel_requests;
static atomic_ulong whole, stopped;

static double now(void) {
    struct timespec time;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static vxs_plan *new_plan(unsigned threads) {
    vxs_error *error = NULL;
    vxs_plan_options options;
    vxs_plan *plan = NULL;
    CHECK(vxs_plan_options_init(&options, sizeof options) == VXS_OK);
    options.threads = threads;
    OK(vxs_plan_create(model, &options, &plan, &error));
    return plan;
}

static int32_t ends_it(void *calls_left, const vxs_progress *progress) {
    CHECK(progress->fraction >= 0 && progress->fraction <= 1);
    return --*(int *)calls_left == 0;
}

/* One run; whether it was whole. */
static int run(vxs_plan *plan, uint8_t *found, int calls_left, const vxs_cancel *cancel) {
    vxs_error *error = NULL;
    const vxs_volume volume = volume_of(&small);
    const vxs_labels labels = labels_of(found, small.count);
    vxs_run_options options;
    CHECK(vxs_run_options_init(&options, sizeof options) == VXS_OK);
    options.progress = ends_it;
    options.user_data = &calls_left;
    options.cancel = cancel;
    memset(found, 0xA5, small.count);
    const vxs_status status = vxs_segment(plan, &volume, &labels, &options, NULL, &error);
    if (status == VXS_OK) {
        CHECK(memcmp(found, expected, small.count) == 0);
        return 1;
    }
    check_fails(__FILE__, __LINE__, "vxs_segment", VXS_CANCELLED, status, &error);
    for (size_t at = 0; at < small.count; at++) {
        CHECK(found[at] == 0xA5);
    }
    return 0;
}

static void *work(void *number) {
    const unsigned self = *(const unsigned *)number;
    uint8_t *found = malloc(small.count);
    CHECK(found);
    vxs_plan *plan = new_plan(1 + self % 2);
    for (unsigned round = 0; !atomic_load(&over) || round < 4; round++) {
        vxs_error *error = NULL;
        int done = 0;
        switch ((round + self) % 4) {
        case 0: /* undisturbed */
            done = run(plan, found, 0, NULL);
            CHECK(done);
            break;
        case 1: /* with a flag that comes at any time */
            done = run(plan, found, 0, shared);
            break;
        case 2: /* with a callback that has had enough */
            done = run(plan, found, 1 + (int)(round % 3), NULL);
            CHECK(!done || round % 3);
            break;
        default: /* a mistake, and a plan of another thread's number */
            FAILS(VXS_NULL_POINTER, vxs_segment(plan, NULL, NULL, NULL, NULL, &error));
            OK(vxs_plan_trim(plan, &error));
            if (round % 8 > 3) {
                vxs_plan_free(plan);
                plan = new_plan(1 + round % 3);
            }
            continue;
        }
        atomic_fetch_add(done ? &whole : &stopped, 1);
    }
    vxs_plan_free(plan);
    free(found);
    return NULL;
}

/* Asks whoever runs with the flag to stop, every few milliseconds. */
static void *cancel_now_and_then(void *unused) {
    (void)unused;
    const struct timespec pause = {0, 7000000}, held = {0, 1000000};
    while (!atomic_load(&over)) {
        nanosleep(&pause, NULL);
        vxs_cancel_request(shared);
        nanosleep(&held, NULL);
        vxs_cancel_reset(shared);
        atomic_fetch_add(&cancel_requests, 1);
    }
    return NULL;
}

/* Bytes that the process has resident now ("VmRSS:") or had at most ("VmHWM:"); 0 where the system doesn't tell. */
static double resident(const char *which) {
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    double kilobytes = 0;
    while (status && fgets(line, sizeof line, status)) {
        if (strncmp(line, which, strlen(which)) == 0) {
            kilobytes = strtod(line + strlen(which), NULL);
        }
    }
    if (status) {
        fclose(status);
    }
    return 1024 * kilobytes;
}

static vxs_plan *one_plan;
static atomic_int ready_to_run;

static void *run_together(void *unused) {
    (void)unused;
    vxs_error *error = NULL;
    uint8_t *found = malloc(small.count);
    CHECK(found);
    memset(found, 0xA5, small.count);
    const vxs_volume volume = volume_of(&small);
    const vxs_labels labels = labels_of(found, small.count);
    atomic_fetch_add(&ready_to_run, 1);
    while (atomic_load(&ready_to_run) < THREADS) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    OK(vxs_segment(one_plan, &volume, &labels, NULL, NULL, &error));
    CHECK(memcmp(found, expected, small.count) == 0);
    free(found);
    return NULL;
}

/* Eight runs of one plan. A ninth would be busy; the plan tells what they need. */
static void eight_runs_of_one_plan(void) {
    vxs_error *error = NULL;
    vxs_plan_options options;
    vxs_plan_report report;
    pthread_t threads[THREADS];
    CHECK(vxs_plan_options_init(&options, sizeof options) == VXS_OK);
    CHECK(vxs_plan_report_init(&report, sizeof report) == VXS_OK);
    options.threads = 1;
    options.concurrent_runs = THREADS;
    const double before = resident("VmRSS:");
    OK(vxs_plan_create(model, &options, &one_plan, &error));
    const vxs_volume volume = volume_of(&small);
    OK(vxs_plan_report_for(one_plan, &volume, &report, &error));
    CHECK(report.host_peak_bytes == report.shared_bytes + report.run_bytes);
    const double ready = resident("VmRSS:");
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, run_together, NULL) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    const double mib = 1 << 20, peak = resident("VmHWM:");
    printf("soak: one plan of %.0f MiB of weights took %.0f MiB, eight runs of it at once %.0f MiB more at most; planned: "
           "%.0f MiB shared, %.0f MiB for each run\n",
           (double)report.weight_bytes / mib, (ready - before) / mib, (peak - ready) / mib,
           (double)report.shared_bytes / mib, (double)report.run_bytes / mib);
    vxs_plan_free(one_plan);
}

int main(int argc, char **argv) {
    vxs_error *error = NULL;
    const int only_shared = argc == 5 && strcmp(argv[4], "shared") == 0;
    CHECK((argc == 4 || only_shared) && "usage: soak MODEL CT.mhd SECONDS [shared]");
    const double seconds = strtod(argv[3], NULL);
    const arguments given = read_arguments(3, argv);
    image ct = read_ct(given.ct);
    small = crop(&ct, 40, 32, 24);
    free(ct.voxels);
    OK(vxs_model_open(given.model, NULL, &model, &error));
    OK(vxs_cancel_create(&shared, &error));
    expected = malloc(small.count);
    CHECK(expected);
    vxs_plan *first = new_plan(1);
    const vxs_volume volume = volume_of(&small);
    const vxs_labels labels = labels_of(expected, small.count);
    OK(vxs_segment(first, &volume, &labels, NULL, NULL, &error));
    vxs_plan_free(first);
    eight_runs_of_one_plan();
    if (only_shared) {
        vxs_cancel_free(shared);
        vxs_model_free(model);
        free(expected);
        free(small.voxels);
        return 0;
    }

    pthread_t threads[THREADS], canceller;
    unsigned numbers[THREADS];
    const double start = now();
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, work, &numbers[i]) == 0);
    }
    CHECK(pthread_create(&canceller, NULL, cancel_now_and_then, NULL) == 0);
    while (now() - start < seconds) {
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    }
    atomic_store(&over, 1);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(pthread_join(canceller, NULL) == 0);
    CHECK(whole >= THREADS && stopped >= THREADS);
    vxs_cancel_free(shared);
    vxs_model_free(model);
    free(expected);
    free(small.voxels);
    printf("soak: %.0f s, %lu whole runs and %lu stopped ones in %d threads, %d requests\n", now() - start,
           atomic_load(&whole), atomic_load(&stopped), THREADS, atomic_load(&cancel_requests));
    return 0;
}
