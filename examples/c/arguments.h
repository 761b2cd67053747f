/*
 * The program's arguments in UTF-8, which voxseg takes on every system. On Windows those of `main` are in the system's
 * code page, where most names outside ASCII are lost; elsewhere they stay what they are.
 */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <stddef.h>

#ifdef _WIN32
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <locale.h>
#include <shellapi.h>
#include <stdlib.h>

/* The arguments as they were, where there is no memory for others. */
static inline char **utf8_arguments(int argc, char **argv) {
    int count = 0;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &count);
    char **all = wide && count == argc ? (char **)calloc((size_t)argc + 1, sizeof *all) : NULL;
    for (int i = 0; all && i < argc; i++) {
        const int size = WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, NULL, 0, NULL, NULL);
        all[i] = (char *)malloc((size_t)size);
        if (!all[i] || !WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, all[i], size, NULL, NULL)) {
            return argv;
        }
    }
    LocalFree(wide);
    /* For the names that the C library's own functions take; numbers keep their point. */
    setlocale(LC_CTYPE, ".UTF8");
    return all ? all : argv;
}
#else
static inline char **utf8_arguments(int argc, char **argv) {
    (void)argc;
    return argv;
}
#endif

/* Where the last folder of a path ends: its last slash, or NULL. On Windows a backslash is one as well. */
static inline const char *last_slash(const char *path) {
    const char *last = NULL;
    for (; *path; path++) {
        if (*path == '/') {
            last = path;
        }
#ifdef _WIN32
        if (*path == '\\') {
            last = path;
        }
#endif
    }
    return last;
}

#endif
