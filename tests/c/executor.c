/*
 * Runs and comparisons on the host's threads: one task after another, fewer at once than asked for, and on threads of the host's own.
 * The labels are those of the library's threads, and the library starts none.
 *
 *     executor MODEL CT.mhd [--quick]
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

#include "fixture.h"

enum { MOST = 6 };

static image small;
static vxs_model *model;
static uint8_t *expected, *found;
static atomic_ulong calls, tasks;
static int host_threads;

/* Threads of the process; 0 where the system doesn't tell. */
static int threads_now(void) {
    DIR *folder = opendir("/proc/self/task");
    int count = 0;
    if (folder) {
        for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
            count += entry->d_name[0] != '.';
        }
        closedir(folder);
    }
    return count;
}

static int32_t counts_threads(void *unused, const vxs_progress *progress) {
    (void)unused;
    CHECK(progress->fraction >= 0);
    CHECK(threads_now() <= host_threads);
    return 0;
}

static void one_after_another(void *unused, uint64_t count, vxs_task_function task, void *task_data) {
    (void)unused;
    atomic_fetch_add(&calls, 1);
    CHECK(threads_now() <= host_threads);
    for (uint64_t index = 0; index < count; index++) {
        task(task_data, index);
        atomic_fetch_add(&tasks, 1);
    }
}

/* A part of the tasks, each in its own order. */
typedef struct {
    vxs_task_function task;
    void *task_data;
    uint64_t count;
    atomic_ulong next;
} work;

static void *take(void *argument) {
    work *self = argument;
    for (;;) {
        const uint64_t index = atomic_fetch_add(&self->next, 1);
        if (index >= self->count) {
            return NULL;
        }
        self->task(self->task_data, index);
        atomic_fetch_add(&tasks, 1);
    }
}

/* On `*most` threads at once, the calling one and others that come for the work. */
static void on_pthreads(void *most, uint64_t count, vxs_task_function task, void *task_data) {
    pthread_t others[MOST];
    work self = {task, task_data, count, 0};
    const int extra = *(const int *)most - 1;
    atomic_fetch_add(&calls, 1);
    for (int i = 0; i < extra; i++) {
        CHECK(pthread_create(&others[i], NULL, take, &self) == 0);
    }
    take(&self);
    for (int i = 0; i < extra; i++) {
        CHECK(pthread_join(others[i], NULL) == 0);
    }
}

/* Labels of a new plan, with an executor or NULL. */
static void segment(uint8_t *labels, unsigned threads, const vxs_executor *executor) {
    vxs_error *error = NULL;
    vxs_plan *plan = NULL;
    vxs_plan_options options;
    vxs_run_options run;
    CHECK(vxs_plan_options_init(&options, sizeof options) == VXS_OK);
    CHECK(vxs_run_options_init(&run, sizeof run) == VXS_OK);
    options.threads = threads;
    options.executor = executor;
    if (executor) {
        run.progress = counts_threads;
    }
    OK(vxs_plan_create(model, &options, &plan, &error));
    const vxs_volume volume = volume_of(&small);
    const vxs_labels buffer = labels_of(labels, small.count);
    memset(labels, 0xA5, small.count);
    OK(vxs_segment(plan, &volume, &run, &buffer, NULL, &error));
    vxs_plan_free(plan);
}

/* A sum over the comparisons of what was found with what was expected, on an executor or on NULL. */
static double compared(const vxs_executor *executor) {
    vxs_error *error = NULL;
    vxs_comparison_list *list = NULL;
    vxs_compare_options options;
    vxs_volume first, second = volume_of(&small);
    double sum = 0;
    second.dtype = VXS_DTYPE_U8;
    second.data_size = small.count;
    second.data = expected;
    first = second;
    first.data = found;
    CHECK(vxs_compare_options_init(&options, sizeof options) == VXS_OK);
    options.executor = executor;
    options.surfaces = 1;
    if (executor) {
        options.progress = counts_threads;
    }
    OK(vxs_compare(&first, &second, &options, &list, &error));
    CHECK(vxs_comparison_list_count(list) > 0);
    for (uint64_t i = 0; i < vxs_comparison_list_count(list); i++) {
        vxs_comparison one;
        CHECK(vxs_comparison_init(&one, sizeof one) == VXS_OK);
        OK(vxs_comparison_list_get(list, i, &one, &error));
        sum += one.dice + (one.mean_distance < 1e9 ? one.mean_distance : 0);
    }
    vxs_comparison_list_free(list);
    return sum;
}

static void runs_on(const char *name, vxs_parallel_for parallel_for, int most, unsigned asked) {
    vxs_executor executor;
    CHECK(vxs_executor_init(&executor, sizeof executor) == VXS_OK);
    executor.max_concurrency = asked;
    executor.user_data = &most;
    executor.parallel_for = parallel_for;
    atomic_store(&calls, 0);
    atomic_store(&tasks, 0);
    const int before = threads_now();
    host_threads = before ? before + most - 1 : 0;
    segment(found, 0, &executor);
    CHECK(memcmp(found, expected, small.count) == 0);
    CHECK(threads_now() == before);
    CHECK(atomic_load(&calls) > 0 && atomic_load(&tasks) > atomic_load(&calls));
    memset(found, 1, small.count / 3);
    const unsigned long ran = atomic_load(&calls);
    CHECK(compared(&executor) == compared(NULL));
    CHECK(atomic_load(&calls) > ran);
    CHECK(threads_now() == before);
    printf("executor: %s: %lu calls, %lu tasks\n", name, atomic_load(&calls), atomic_load(&tasks));
}

int main(int argc, char **argv) {
    const arguments given = read_arguments(argc, argv);
    vxs_error *error = NULL;
    vxs_executor executor;
    vxs_plan_options options;
    vxs_plan *plan = NULL;
    image ct = read_ct(given.ct);
    small = given.quick ? crop(&ct, 20, 16, 12) : crop(&ct, 80, 64, 48);
    OK(vxs_model_open(given.model, NULL, &model, &error));
    expected = malloc(small.count);
    found = malloc(small.count);
    CHECK(expected && found);
    segment(expected, 1, NULL);
    segment(found, 3, NULL);
    CHECK(memcmp(found, expected, small.count) == 0);

    runs_on("one after another", one_after_another, 1, MOST);
    runs_on("two at once, six asked for", on_pthreads, 2, MOST);
    runs_on("six threads", on_pthreads, MOST, MOST);

    /* Mistakes. */
    CHECK(vxs_plan_options_init(&options, sizeof options) == VXS_OK);
    CHECK(vxs_executor_init(&executor, sizeof executor) == VXS_OK);
    options.executor = &executor;
    FAILS(VXS_NULL_POINTER, vxs_plan_create(model, &options, &plan, &error));
    executor.parallel_for = one_after_another;
    executor.max_concurrency = 1025;
    FAILS(VXS_INVALID_ARGUMENT, vxs_plan_create(model, &options, &plan, &error));
    CHECK(!plan);

    vxs_model_free(model);
    free(expected);
    free(found);
    free(ct.voxels);
    free(small.voxels);
    return 0;
}
