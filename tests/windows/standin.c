/*
 * An onnxruntime.dll of a version that voxseg refuses, which takes the version's text from beside.dll in its own folder:
 * compiled with -DBESIDE it is that library.
 */
#ifdef BESIDE
__declspec(dllexport) const char *version_text(void) { return "1.2.3"; }
#else
__declspec(dllimport) const char *version_text(void);

typedef struct {
    const void *(*api)(unsigned version);
    const char *(*version)(void);
} base;

static const void *no_api(unsigned version) {
    (void)version;
    return 0;
}

__declspec(dllexport) const base *OrtGetApiBase(void) {
    static const base only = {no_api, version_text};
    return &only;
}
#endif
