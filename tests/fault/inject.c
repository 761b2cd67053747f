/*
 * To be preloaded: while a program has armed it, the n-th request of memory of at least so many bytes fails, or the
 * n-th thread can't be made.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "inject.h"

/* What glibc's own functions are beneath those of this file. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static atomic_int armed = FAULT_NONE, onward;
static atomic_long asked, failing;
static atomic_size_t smallest;

void fault_arm(int kind, long n, size_t least, int all_after) {
    atomic_store(&asked, 0);
    atomic_store(&failing, n);
    atomic_store(&smallest, least);
    atomic_store(&onward, all_after);
    atomic_store(&armed, kind);
}

long fault_disarm(void) {
    atomic_store(&armed, FAULT_NONE);
    return atomic_load(&asked);
}

static int refused(int kind, size_t size) {
    if (atomic_load(&armed) != kind || size < atomic_load(&smallest)) {
        return 0;
    }
    const long at = atomic_fetch_add(&asked, 1), n = atomic_load(&failing);
    return n >= 0 && (at == n || (at > n && atomic_load(&onward)));
}

static void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t size) { return refused(FAULT_MEMORY, size) ? no_memory() : __libc_malloc(size); }

void *calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || refused(FAULT_MEMORY, bytes)) {
        return no_memory();
    }
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    return refused(FAULT_MEMORY, size) ? no_memory() : __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return refused(FAULT_MEMORY, size) ? no_memory() : __libc_memalign(alignment, size);
}

void *memalign(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }

int posix_memalign(void **place, size_t alignment, size_t size) {
    void *memory = aligned_alloc(alignment, size);
    if (!memory) {
        return ENOMEM;
    }
    *place = memory;
    return 0;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    }
    return refused(FAULT_THREADS, (size_t)-1) ? EAGAIN : real(thread, attributes, start, argument);
}
