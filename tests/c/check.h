/*
 * The smallest test kit that names the line: a failed CHECK prints where and ends the program with 1.
 */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <voxseg.h>

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

/* The call succeeds. It uses the variable `error`, which the caller declares and which is NULL; by its address,
 * since arguments are evaluated in any order. */
#define OK(call) check_ok(__FILE__, __LINE__, #call, (call), &error)

/* The call fails with that status, or, for a number below 10, with a status of that band; the error has the
 * same status and a message. The error is freed. */
#define FAILS(expected, call)                                                                                \
    do {                                                                                                     \
        const vxs_status check_status = (call);                                                              \
        check_fails(__FILE__, __LINE__, #call, (expected), check_status, &error);                            \
    } while (0)

/* As FAILS for functions without an error object. */
#define REFUSES(expected, call) check_status_is(__FILE__, __LINE__, #call, (expected), (call))

static int check_failures; /* failures that were expected and came, in any thread */

static inline void check_count(void) { __atomic_fetch_add(&check_failures, 1, __ATOMIC_RELAXED); }

static inline void check_ok(const char *file, int line, const char *call, vxs_status status,
                            vxs_error **error) {
    if (status != VXS_OK) {
        fprintf(stderr, "%s:%d: %s: %" PRId32 " %s\n", file, line, call, status, vxs_error_message(*error));
        exit(1);
    }
    if (*error) {
        fprintf(stderr, "%s:%d: %s: an error object with success\n", file, line, call);
        exit(1);
    }
}

static inline void check_status_is(const char *file, int line, const char *call, int expected,
                                   vxs_status status) {
    if (status == VXS_OK || (expected < 10 ? status / 100 != expected : status != expected)) {
        fprintf(stderr, "%s:%d: %s: status %" PRId32 " (%s), expected %d\n", file, line, call, status,
                vxs_status_name(status), expected);
        exit(1);
    }
    check_count();
}

static inline void check_fails(const char *file, int line, const char *call, int expected, vxs_status status,
                               vxs_error **error) {
    const char *message = vxs_error_message(*error);
    if (getenv("VOXSEG_TEST_VERBOSE")) {
        fprintf(stderr, "%s:%d: %" PRId32 " %s\n", file, line, status, message);
    }
    if (status != VXS_OK && *error && strlen(message) == 0) {
        fprintf(stderr, "%s:%d: %s: an empty message\n", file, line, call);
        exit(1);
    }
    if (status == VXS_OK || !*error || vxs_error_status(*error) != status ||
        (expected < 10 ? status / 100 != expected : status != expected)) {
        fprintf(stderr, "%s:%d: %s: status %" PRId32 " (%s), expected %d; message: %s\n", file, line, call,
                status, vxs_status_name(status), expected, message);
        exit(1);
    }
    check_count();
    vxs_error_free(*error);
    *error = NULL;
}

#endif
