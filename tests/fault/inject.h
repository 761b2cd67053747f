/*
 * The switch of inject.c, which a program finds by dlsym() when that is preloaded.
 */
#ifndef INJECT_H
#define INJECT_H

#include <stddef.h>

enum { FAULT_NONE, FAULT_MEMORY, FAULT_THREADS };

/* From now on the n-th request of that kind fails, and with `all_after` each later one too; a negative n: none, only count. */
void fault_arm(int kind, long n, size_t least, int all_after);

/* Requests of that kind since then. */
long fault_disarm(void);

#endif
