/*
 * How long a run goes on after it was asked to stop, by another thread and at any moment: about a tile at most. Prints
 * what it measured.
 *
 *     latency MODEL CT.mhd
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "fixture.h"

static double now(void) {
    struct timespec time;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

typedef struct {
    double last, longest; /* between two reports */
    atomic_int tiles;
} pace;

static int32_t watch(void *user_data, const vxs_progress *progress) {
    pace *self = user_data;
    const double time = now();
    self->longest = time - self->last > self->longest ? time - self->last : self->longest;
    self->last = time;
    atomic_store(&self->tiles, (int)progress->tiles_done);
    return 0;
}

typedef struct {
    pace *run;
    const vxs_cancel *cancel;
    double after, requested; /* seconds after the first tile; when it was */
} request;

static void *ask(void *argument) {
    request *self = argument;
    while (atomic_load(&self->run->tiles) == 0) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    nanosleep(
        &(struct timespec){(time_t)self->after, (long)(1e9 * (self->after - (double)(time_t)self->after))},
        NULL);
    self->requested = now();
    vxs_cancel_request(self->cancel);
    return NULL;
}

int main(int argc, char **argv) {
    vxs_error *error = NULL;
    vxs_model *model = NULL;
    vxs_plan *plan = NULL;
    vxs_cancel *cancel = NULL;
    vxs_run_options options;
    const arguments given = read_arguments(argc, argv);
    image ct = read_ct(given.ct);
    const vxs_volume volume = volume_of(&ct);
    uint8_t *buffer = malloc(ct.count);
    CHECK(buffer);
    const vxs_labels labels = labels_of(buffer, ct.count);
    OK(vxs_model_open(given.model, NULL, &model, &error));
    OK(vxs_plan_create(model, NULL, &plan, &error));
    OK(vxs_cancel_create(&cancel, &error));
    CHECK(vxs_run_options_init(&options, sizeof options) == VXS_OK);
    options.progress = watch;

    pace whole = {.last = now()};
    options.user_data = &whole;
    OK(vxs_segment(plan, &volume, &options, &labels, NULL, &error));
    CHECK(atomic_load(&whole.tiles) > 3);

    double worst = 0;
    options.cancel = cancel;
    for (int round = 0; round < 8; round++) {
        pace stopped = {.last = now()};
        request asked = {&stopped, cancel, whole.longest * round / 8, 0};
        pthread_t other;
        options.user_data = &stopped;
        CHECK(pthread_create(&other, NULL, ask, &asked) == 0);
        FAILS(VXS_CANCELLED, vxs_segment(plan, &volume, &options, &labels, NULL, &error));
        const double returned = now();
        CHECK(pthread_join(other, NULL) == 0);
        worst = returned - asked.requested > worst ? returned - asked.requested : worst;
        vxs_cancel_reset(cancel);
    }
    printf("latency: at most %.0f ms; the longest of %d tiles took %.0f ms\n", 1e3 * worst,
           atomic_load(&whole.tiles), 1e3 * whole.longest);
    /* Twice a tile and some more, since other programs run, too. */
    CHECK(worst < 2 * whole.longest + 1);
    vxs_cancel_free(cancel);
    vxs_plan_free(plan);
    vxs_model_free(model);
    free(buffer);
    free(ct.voxels);
    return 0;
}
