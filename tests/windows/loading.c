/*
 * A host that loads voxseg.dll when it runs: loading FOLDER, which holds an onnxruntime.dll that needs a DLL beside it
 * (standin.c). Libraries are found beside the one that needs them, and errors name them; voxseg.dll stays once it has
 * looked for ONNX Runtime, whose threads could be in its code.
 */
#include "../c/check.h"

#include <windows.h>

typedef vxs_status (*runtime_open)(const char *, vxs_error **);
typedef const char *(*error_message)(const vxs_error *);
typedef void (*error_free)(vxs_error *);

int main(int argc, char **argv) {
    CHECK(argc == 2);
    HMODULE library = LoadLibraryW(L"voxseg.dll");
    CHECK(library);
    runtime_open open = (runtime_open)(void *)GetProcAddress(library, "vxs_runtime_open");
    error_message message = (error_message)(void *)GetProcAddress(library, "vxs_error_message");
    error_free free_error = (error_free)(void *)GetProcAddress(library, "vxs_error_free");
    CHECK(open && message && free_error);

    vxs_error *error = NULL;
    CHECK(open("no\\such\\onnxruntime.dll", &error) == VXS_RUNTIME_MISSING);
    CHECK(strstr(message(error), "no\\such\\onnxruntime.dll") && !strstr(message(error), "\\\\?\\"));
    free_error(error);
    error = NULL;

    const vxs_status status = open(argv[1], &error);
    printf("%d %s\n", (int)status, message(error));
    CHECK(status == VXS_RUNTIME_VERSION && strstr(message(error), "1.2.3"));
    free_error(error);

    /* Its own handle and one more, should something else have counted. */
    FreeLibrary(library);
    FreeLibrary(library);
    CHECK(GetModuleHandleW(L"voxseg.dll") == library);
    return 0;
}
