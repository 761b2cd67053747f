/*
 * Segments a CT given as a raw int16 buffer, through voxseg's C interface and nothing else.
 *
 *     segment_raw MODEL_FOLDER CT.mhd OUT.mhd
 *
 * The image is a MetaImage: a small text header beside the raw voxels, in ITK's coordinates (LPS, millimetres).
 * The labels are written the same way, on the image's own grid. Ctrl-C stops within one tile.
 * Exit code: 0, or the band of the status: 1 caller, 2 model, 3 runtime, 4 run, 9 internal.
 */
#if defined(__unix__) || defined(__APPLE__)
#define _POSIX_C_SOURCE 200809L
#include <unistd.h>
#define IS_TERMINAL(stream) isatty(fileno(stream))
#else
#include <io.h>
#define IS_TERMINAL(stream) _isatty(_fileno(stream))
#endif

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <voxseg.h>

#include "arguments.h"

static vxs_cancel *cancel; /* created before the signal handler is set, freed never */

static void on_interrupt(int number) {
    vxs_cancel_request(cancel); /* one atomic store: fine in a signal handler */
    signal(number, SIG_DFL);    /* a second Ctrl-C ends the program */
}

static void fail(const char *what, const char *path) {
    fprintf(stderr, "segment_raw: %s: %s\n", path, what);
    exit(1);
}

/* Every call of the library goes through here. */
static void check(vxs_status status, vxs_error **error) {
    if (status == VXS_OK) {
        return;
    }
    const char *message = vxs_error_message(error ? *error : NULL);
    fprintf(stderr, "segment_raw: %s (%s, %" PRId32 ")\n", message, vxs_status_name(status), status);
    exit(status / 100);
}

static void *allocate(uint64_t size) {
    void *memory = size <= SIZE_MAX ? malloc((size_t)size) : NULL;
    if (!memory) {
        fail("not enough memory", "image");
    }
    return memory;
}

static double seconds(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---------------------------------------------------------------------------------------- MetaImage */

/* `name` in the folder of the file `beside`. */
static void sibling(const char *beside, const char *name, char path[4096]) {
    const char *slash = last_slash(beside);
    const size_t folder = slash && name[0] != '/' ? (size_t)(slash - beside) + 1 : 0;
    if (folder + strlen(name) >= 4096) {
        fail("path too long", beside);
    }
    memcpy(path, beside, folder);
    strcpy(path + folder, name);
}

/* Reads the header's text and the voxels that it names; `volume` then owns the voxels. */
static void read_mhd(const char *path, vxs_volume *volume) {
    check(vxs_volume_init(volume, sizeof *volume), NULL);
    FILE *file = fopen(path, "rb");
    if (!file) {
        fail("cannot open", path);
    }
    char line[8192], type[32] = "", data[1024] = "";
    double *d = volume->direction;
    while (fgets(line, sizeof line, file)) {
        /* MetaImage lists the axes' directions one after the other; voxseg has them as columns. */
        sscanf(line, "TransformMatrix = %lf %lf %lf %lf %lf %lf %lf %lf %lf", d, d + 3, d + 6, d + 1, d + 4,
               d + 7, d + 2, d + 5, d + 8);
        sscanf(line, "DimSize = %" SCNu64 " %" SCNu64 " %" SCNu64, &volume->shape[0], &volume->shape[1],
               &volume->shape[2]);
        sscanf(line, "ElementSpacing = %lf %lf %lf", &volume->spacing[0], &volume->spacing[1],
               &volume->spacing[2]);
        sscanf(line, "Offset = %lf %lf %lf", &volume->origin[0], &volume->origin[1], &volume->origin[2]);
        sscanf(line, "ElementType = %31s", type);
        sscanf(line, "ElementDataFile = %1023[^\r\n]", data);
    }
    fclose(file);
    if (strcmp(type, "MET_SHORT") != 0 || data[0] == '\0' || strcmp(data, "LOCAL") == 0) {
        fail("expected ElementType = MET_SHORT and an ElementDataFile of raw voxels", path);
    }
    const uint64_t *n = volume->shape;
    if (n[0] == 0 || n[1] == 0 || n[2] == 0 || n[0] > 65535 || n[1] > 65535 || n[2] > 65535) {
        fail("DimSize must be three sizes from 1 to 65535", path);
    }
    char raw[4096];
    sibling(path, data, raw);
    volume->dtype = VXS_DTYPE_I16;
    volume->data_size = n[0] * n[1] * n[2] * sizeof(int16_t);
    void *voxels = allocate(volume->data_size);
    file = fopen(raw, "rb");
    if (!file || fread(voxels, 1, (size_t)volume->data_size, file) != volume->data_size) {
        fail("shorter than DimSize says, or not readable", raw);
    }
    fclose(file);
    volume->data = voxels;
}

static void write_mhd(const char *path, const vxs_volume *grid, const uint8_t *labels, size_t count) {
    char name[1024], raw[4096];
    const char *slash = last_slash(path);
    if (snprintf(name, sizeof name, "%s", slash ? slash + 1 : path) >= (int)sizeof name - 4) {
        fail("name too long", path);
    }
    char *dot = strrchr(name, '.');
    strcpy(dot ? dot : name + strlen(name), ".raw");
    sibling(path, name, raw);
    FILE *header = fopen(path, "w"), *voxels = fopen(raw, "wb");
    if (!header || !voxels) {
        fail("cannot write", path);
    }
    const double *d = grid->direction, *o = grid->origin, *s = grid->spacing;
    fprintf(header, "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n");
    fprintf(
        header,
        "CompressedData = False\nTransformMatrix = %.17g %.17g %.17g %.17g %.17g %.17g %.17g %.17g %.17g\n",
        d[0], d[3], d[6], d[1], d[4], d[7], d[2], d[5], d[8]);
    fprintf(header, "Offset = %.17g %.17g %.17g\nElementSpacing = %.17g %.17g %.17g\n", o[0], o[1], o[2],
            s[0], s[1], s[2]);
    fprintf(header,
            "DimSize = %" PRIu64 " %" PRIu64 " %" PRIu64 "\nElementType = MET_UCHAR\nElementDataFile = %s\n",
            grid->shape[0], grid->shape[1], grid->shape[2], name);
    const int written = fwrite(labels, 1, count, voxels) == count;
    if (fclose(header) != 0 || fclose(voxels) != 0 || !written) {
        fail("cannot write", path);
    }
}

/* ----------------------------------------------------------------------------------------- progress */

static int32_t on_progress(void *last_percent, const vxs_progress *progress) {
    int *last = last_percent;
    const int percent = (int)(100 * progress->fraction);
    if (IS_TERMINAL(stderr)) {
        char bar[41];
        for (int i = 0; i < 40; i++) {
            bar[i] = i < percent * 40 / 100 ? '#' : '-';
        }
        bar[40] = '\0';
        fprintf(stderr, "\r[%s] %3d %%  tile %" PRIu64 "/%" PRIu64 " %s", bar, percent, progress->tiles_done,
                progress->tiles, percent == 100 ? "\n" : "");
        fflush(stderr);
    } else if (percent / 20 > *last / 20) {
        fprintf(stderr, "%d %%\n", percent);
    }
    *last = percent;
    return 0; /* go on; Ctrl-C comes through the cancel flag */
}

/* ------------------------------------------------------------------------------------------- report */

static void print_table(const vxs_model *model, const vxs_volume *grid, const uint8_t *labels, size_t count) {
    const double milliliters = grid->spacing[0] * grid->spacing[1] * grid->spacing[2] / 1000;
    const int color = IS_TERMINAL(stdout);
    uint64_t voxels[256] = {0}, total = 0;
    for (size_t i = 0; i < count; i++) {
        voxels[labels[i]]++;
    }
    printf("\n  label  %-24s %12s %10s\n  -----  %-24s %12s %10s\n", "name", "voxels", "mL", "----", "------",
           "--");
    for (uint64_t i = 0; i < vxs_model_label_count(model); i++) { /* they come sorted by value */
        vxs_label_info label;
        vxs_error *error = NULL;
        check(vxs_label_info_init(&label, sizeof label), NULL);
        check(vxs_model_label(model, i, &label, &error), &error);
        if (label.value == 0 || label.value > 255 || voxels[label.value] == 0) {
            continue;
        }
        const uint64_t found = voxels[label.value];
        total += found;
        if (color) { /* in the label's own colour */
            printf("\x1b[38;2;%u;%u;%um", label.color >> 16 & 255, label.color >> 8 & 255, label.color & 255);
        }
        printf("  %5" PRIu32 "%s  %-24s %12" PRIu64 " %10.1f\n", label.value, color ? "\x1b[0m" : "",
               label.name, found, (double)found * milliliters);
    }
    printf("         %-24s %12" PRIu64 " %10.1f\n\n", "total", total, (double)total * milliliters);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: segment_raw MODEL_FOLDER CT.mhd OUT.mhd\n");
        return 1;
    }
    argv = utf8_arguments(argc, argv);
    vxs_error *error = NULL;
    if (vxs_abi_version() >> 16 != VXS_ABI_MAJOR) {
        fail("this library has another interface than the program was compiled for", vxs_version());
    }
    check(vxs_cancel_create(&cancel, &error), &error);
    signal(SIGINT, on_interrupt);

    /* The image: the caller's own buffer and where it lies in the patient. */
    vxs_volume volume;
    read_mhd(argv[2], &volume);

    /* The model, exactly as nnU-Net wrote it, and a plan that makes it ready for this machine. */
    const double start = seconds();
    vxs_model *model = NULL;
    check(vxs_model_open(argv[1], NULL, &model, &error), &error);
    const double opened = seconds();
    vxs_plan *plan = NULL;
    check(vxs_plan_create(model, NULL, &plan, &error), &error);
    const double planned = seconds();

    /* What will happen, before it happens. */
    vxs_plan_report will;
    check(vxs_plan_report_init(&will, sizeof will), NULL);
    check(vxs_plan_estimate(plan, &volume, &will, &error), &error);
    printf("model   %s, %" PRIu64 " labels\n", vxs_model_name(model), vxs_model_label_count(model) - 1);
    printf("image   %" PRIu64 " x %" PRIu64 " x %" PRIu64 " voxels of %g x %g x %g mm\n", volume.shape[0],
           volume.shape[1], volume.shape[2], volume.spacing[0], volume.spacing[1], volume.spacing[2]);
    printf("plan    %" PRIu64 " tiles, %s, %" PRIu32 " threads, up to %.0f MiB (ONNX Runtime %s)\n",
           will.tiles, will.precision == VXS_PRECISION_F16 ? "half precision" : "single precision",
           will.threads, (double)will.host_peak_bytes / (1 << 20),
           vxs_runtime_version() ? vxs_runtime_version() : "not used");
    fflush(stdout);

    /* The labels come into the caller's own buffer, on the image's grid. */
    const size_t count = (size_t)(volume.data_size / sizeof(int16_t));
    vxs_labels labels;
    check(vxs_labels_init(&labels, sizeof labels), NULL);
    labels.data = allocate(count);
    labels.data_size = count;

    int percent = 0;
    vxs_run_options options;
    check(vxs_run_options_init(&options, sizeof options), NULL);
    options.progress = on_progress;
    options.user_data = &percent;
    options.cancel = cancel;
    vxs_run_report did;
    check(vxs_run_report_init(&did, sizeof did), NULL);
    const vxs_status status = vxs_segment(plan, &volume, &options, &labels, &did, &error);
    if (status != VXS_OK && IS_TERMINAL(stderr)) {
        fputc('\n', stderr);
    }
    check(status, &error);

    write_mhd(argv[3], &volume, labels.data, count);
    print_table(model, &volume, labels.data, count);
    const struct {
        const char *name;
        double seconds;
    } stages[] = {{"open the model", opened - start},     {"make the plan", planned - opened},
                  {"preprocess", did.preprocess_seconds}, {"network", did.network_seconds},
                  {"blend tiles", did.blend_seconds},     {"restore labels", did.restore_seconds},
                  {"segment in all", did.total_seconds}};
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        printf("  %-20s %9.3f s\n", stages[i].name, stages[i].seconds);
    }
    printf("  %-20s %9.0f MiB\n", "peak memory", (double)did.process_peak_bytes / (1 << 20));
    printf("  %-20s %9" PRIu64 " of %" PRIu64 " voxels\n\n", "near ties", did.near_ties, did.voxels);

    free(labels.data);
    free((void *)volume.data);
    vxs_plan_free(plan);
    vxs_model_free(model);
    return 0;
}
