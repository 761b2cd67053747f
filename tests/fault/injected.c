/*
 * Fails one request of memory, or one thread, inside of each call: every one that the call makes, or as many as
 * SAMPLES, evenly spread, each in a process of its own.
 *
 *     LD_PRELOAD=inject.so injected MODEL|TASK:WEIGHTS CT.mhd memory|threads LEAST THREADS SAMPLES one|onward
 *
 * For each call a line: its name, runs, those that ended badly, the first of them in words; with tabs between. A good
 * end is success with the right bytes, or, for memory only, a typed error with labels untouched after which the same
 * handles give the right bytes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "inject.h"

enum { LONGEST = 120 }; /* seconds that one run may take */

/* What a child leaves for its parent. */
typedef struct {
    long asked;
    int bad;
    char words[300];
} verdict;

static void (*arm)(int, long, size_t, int);
static long (*disarm)(void);
static verdict *left;

static void bad_end(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(left->words, sizeof left->words, format, arguments);
    va_end(arguments);
    left->bad = 1;
    _exit(0);
}

/* Opening and planning show what they made by a segmentation. */
static vxs_status make(const fixture *given, int call, results *into, vxs_error **error, vxs_model **model, vxs_plan **plan) {
    switch (call) {
    case OPEN:
        return open_model(given, model, error);
    case PLAN:
        return make_plan(given, given->model, plan, error);
    case SEGMENT:
        return segment(given, given->plan, into, error);
    default:
        return measure(given, call, into, error);
    }
}

static void finish(const fixture *given, int call, results *into, vxs_model *model, vxs_plan *plan) {
    vxs_error *error = NULL;
    vxs_status status = VXS_OK;
    if (call == OPEN) {
        status = make_plan(given, model, &plan, &error);
    }
    if (status == VXS_OK && call <= PLAN) {
        status = segment(given, plan, into, &error);
    }
    if (status != VXS_OK) {
        bad_end("what it made can't be used: %d %s", (int)status, vxs_error_message(error));
    }
    vxs_plan_free(plan);
    vxs_model_free(model);
}

static void one_run(const fixture *given, int call, int kind, long n, size_t least, int onward, const results *right) {
    results found = new_results(given);
    reset(given, &found);
    vxs_error *error = NULL;
    vxs_model *model = NULL;
    vxs_plan *plan = NULL;
    arm(kind, n, least, onward);
    const vxs_status status = make(given, call, &found, &error, &model, &plan);
    left->asked = disarm();
    if (n < 0) {
        _exit(0);
    }
    if (status != VXS_OK) {
        const char *message = vxs_error_message(error);
        if (kind == FAULT_THREADS || status != vxs_error_status(error) || !*message || status >= 900) {
            bad_end("status %d %s", (int)status, message);
        }
        /* Reading a file may say so in the words of a file that can't be read. */
        if (status != VXS_OUT_OF_MEMORY && status != VXS_MEMORY_BUDGET && !strstr(message, "memory")) {
            bad_end("status %d, which isn't one about memory: %s", (int)status, message);
        }
        if (model || plan || !untouched(given, &found)) {
            bad_end("status %d, and something was written", (int)status);
        }
        vxs_error_free(error);
        error = NULL;
        const vxs_status again = make(given, call, &found, &error, &model, &plan);
        if (again != VXS_OK) {
            bad_end("status %d, and once more without a failure: %d %s", (int)status, (int)again, vxs_error_message(error));
        }
    }
    finish(given, call, &found, model, plan);
    if (!same(given, &found, right)) {
        bad_end(status == VXS_OK ? "other bytes" : "other bytes when made once more");
    }
    _exit(0);
}

/* Gives what the child left, with its end in words where that was none of its own. */
static verdict in_a_child(const fixture *given, int call, int kind, long n, size_t least, int onward, const results *right) {
    memset(left, 0, sizeof *left);
    fflush(NULL);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(LONGEST);
        one_run(given, call, kind, n, least, onward, right);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    verdict came = *left;
    if (WIFSIGNALED(status)) {
        const int hangs = WTERMSIG(status) == SIGALRM;
        snprintf(came.words, sizeof came.words, hangs ? "hangs (signal %d)" : "ended by signal %d", WTERMSIG(status));
        came.bad = 1;
    } else if (!came.bad && WEXITSTATUS(status) != 0) {
        snprintf(came.words, sizeof came.words, "ended with %d", WEXITSTATUS(status));
        came.bad = 1;
    }
    return came;
}

int main(int argc, char **argv) {
    CHECK(argc == 8 && "usage: MODEL CT.mhd memory|threads LEAST THREADS SAMPLES one|onward");
    *(void **)&arm = dlsym(RTLD_DEFAULT, "fault_arm");
    *(void **)&disarm = dlsym(RTLD_DEFAULT, "fault_disarm");
    CHECK(arm && disarm && "inject.so must be preloaded");
    const int kind = strcmp(argv[3], "threads") == 0 ? FAULT_THREADS : FAULT_MEMORY;
    const size_t least = strtoul(argv[4], NULL, 10);
    const long samples = atol(argv[6]);
    const int onward = strcmp(argv[7], "onward") == 0;
    fixture given = new_fixture(argv[1], argv[2], (uint32_t)atoi(argv[5]));
    left = mmap(NULL, sizeof *left, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(left != MAP_FAILED && samples > 0);

    vxs_error *error = NULL;
    OK(open_model(&given, &given.model, &error));
    OK(make_plan(&given, given.model, &given.plan, &error));
    for (int call = OPEN; call < CALLS; call++) {
        results right = new_results(&given);
        reset(&given, &right);
        vxs_model *model = NULL;
        vxs_plan *plan = NULL;
        OK(make(&given, call, &right, &error, &model, &plan));
        finish(&given, call, &right, model, plan);
        const verdict counted = in_a_child(&given, call, kind, -1, least, onward, &right);
        const long requests = counted.asked, stride = requests > samples ? requests / samples : 1;
        long runs = counted.bad, bad = counted.bad, first = -1;
        char words[300];
        memcpy(words, counted.words, sizeof words);
        for (long n = 0; n < requests; n += stride, runs++) {
            const verdict came = in_a_child(&given, call, kind, n, least, onward, &right);
            if (came.bad && bad++ == 0) {
                memcpy(words, came.words, sizeof words);
                first = n;
            }
        }
        printf("%s\t%ld\t%ld\t", call_names[call], runs, bad);
        bad ? printf("request %ld of %ld: %s\n", first, requests, words) : puts("");
        fflush(stdout);
    }
    return 0;
}
