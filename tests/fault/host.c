/*
 * Hosts of an unusual kind: without standard input, output and error, interrupted by signals all the time, or
 * in a sandbox that refuses threads, advice on memory and questions about processors.
 *
 *     host MODEL CT.mhd closed|signals|sandbox
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "calls.h"

static volatile sig_atomic_t signals;

static void count(int number) {
    (void)number;
    signals++;
}

/* From now on these calls of the system fail with EPERM, in each thread of the process. */
static void enter_sandbox(void) {
    static const long refused[] = {SYS_clone, SYS_clone3, SYS_madvise, SYS_sched_getaffinity};
    enum { REFUSED = sizeof refused / sizeof *refused };
    struct sock_filter filter[REFUSED + 3];
    filter[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int n = 0; n < REFUSED; n++) {
        filter[1 + n] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)refused[n], (unsigned char)(REFUSED - n), 0);
    }
    filter[REFUSED + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[REFUSED + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    const struct sock_fprog program = {REFUSED + 3, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    errno = 0;
    CHECK(syscall(SYS_madvise, 0, 0, 0) == -1 && errno == EPERM);
}

int main(int argc, char **argv) {
    CHECK(argc == 4 && "usage: MODEL CT.mhd closed|signals|sandbox");
    const int closed = strcmp(argv[3], "closed") == 0, sandbox = strcmp(argv[3], "sandbox") == 0;
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
    } else if (sandbox) {
        enter_sandbox();
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
    if (!closed && !sandbox && signals < 5) {
        dprintf(words, "only %d signals came\n", (int)signals);
        return 1;
    }
    return 0;
}
