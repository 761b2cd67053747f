/*
 * Hosts of an unusual kind: without standard input, output and error, or interrupted by signals all the time.
 *
 *     host MODEL CT.mhd closed|signals
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "calls.h"

static volatile sig_atomic_t signals;

static void count(int number) {
    (void)number;
    signals++;
}

int main(int argc, char **argv) {
    CHECK(argc == 4 && "usage: MODEL CT.mhd closed|signals");
    const int closed = strcmp(argv[3], "closed") == 0;
    fixture given = new_fixture(argv[1], argv[2], 2);
    results right = new_results(&given), found = new_results(&given);
    vxs_error *error = NULL;
    OK(everything(&given, &right, &error));

    const int words = fcntl(2, F_DUPFD_CLOEXEC, 100);
    const struct itimerval often = {{0, 700}, {0, 700}}, never = {{0, 0}, {0, 0}};
    if (closed) {
        for (int stream = 0; stream < 3; stream++) {
            close(stream);
        }
    } else {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = count; /* and no SA_RESTART */
        CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
    }
    reset(&given, &found);
    const vxs_status status = everything(&given, &found, &error);
    setitimer(ITIMER_REAL, &never, NULL);
    for (int stream = 0; closed && stream < 3; stream++) {
        if (fcntl(stream, F_GETFD) != -1 || errno != EBADF) {
            dprintf(words, "the library left descriptor %d open\n", stream);
            return 1;
        }
    }
    if (status != VXS_OK) {
        dprintf(words, "status %d %s\n", (int)status, vxs_error_message(error));
        return 1;
    }
    if (!same(&given, &right, &found)) {
        dprintf(words, "other bytes\n");
        return 1;
    }
    if (!closed && signals < 5) {
        dprintf(words, "only %d signals came\n", (int)signals);
        return 1;
    }
    return 0;
}
