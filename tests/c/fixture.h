/*
 * What the C tests share: the command line MODEL CT.mhd [--quick], files in memory, crops of the CT.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "../../examples/c/arguments.h"
#include "check.h"

typedef struct {
    const char *model;
    const char *ct;
    int quick; /* small volumes and few rounds: valgrind is slow */
} arguments;

typedef struct {
    unsigned char *data;
    size_t size;
} bytes;

/* An int16 image, axis 0 fastest. */
typedef struct {
    int16_t *voxels;
    uint64_t shape[3];
    size_t count;
    double spacing[3];
} image;

static inline arguments read_arguments(int argc, char **argv) {
    arguments given = {NULL, NULL, 0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            given.quick = 1;
        } else if (!given.model) {
            given.model = argv[i];
        } else {
            given.ct = argv[i];
        }
    }
    CHECK(given.model && given.ct && "usage: MODEL CT.mhd [--quick]");
    return given;
}

/* What opening the folder gives; the model is freed again. */
static inline vxs_status open_and_free(const char *folder, const vxs_model_options *options, vxs_error **error) {
    vxs_model *opened = NULL;
    const vxs_status status = vxs_model_open(folder, options, &opened, error);
    CHECK((status == VXS_OK) == (opened != NULL));
    vxs_model_free(opened);
    return status;
}

/* What planning the model gives; the plan is freed again. */
static inline vxs_status plan_and_free(const vxs_model *model, const vxs_plan_options *options, vxs_error **error) {
    vxs_plan *made = NULL;
    const vxs_status status = vxs_plan_create(model, options, &made, error);
    CHECK((status == VXS_OK) == (made != NULL));
    vxs_plan_free(made);
    return status;
}

static inline bytes read_file(const char *folder, const char *name) {
    char path[4096];
    CHECK(snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path);
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "cannot open %s\n", path);
        exit(1);
    }
    CHECK(fseek(file, 0, SEEK_END) == 0);
    bytes content = {NULL, (size_t)ftell(file)};
    rewind(file);
    /* One byte more, so that text ends with a NUL; never malloc(0). */
    content.data = (unsigned char *)calloc(content.size + 1, 1);
    CHECK(content.data && fread(content.data, 1, content.size, file) == content.size);
    fclose(file);
    return content;
}

/* Reads the .mhd that the demo makes: MET_SHORT, the voxels in a file beside it. */
static inline image read_ct(const char *path) {
    char folder[4096], data[256] = "";
    image ct = {NULL, {0, 0, 0}, 0, {1, 1, 1}};
    const char *slash = last_slash(path);
    CHECK(snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".") > 0);
    bytes header = read_file(folder, slash ? slash + 1 : path);
    for (char *line = strtok((char *)header.data, "\r\n"); line; line = strtok(NULL, "\r\n")) {
        sscanf(line, "DimSize = %" SCNu64 " %" SCNu64 " %" SCNu64, &ct.shape[0], &ct.shape[1], &ct.shape[2]);
        sscanf(line, "ElementSpacing = %lf %lf %lf", &ct.spacing[0], &ct.spacing[1], &ct.spacing[2]);
        sscanf(line, "ElementDataFile = %255s", data);
    }
    free(header.data);
    bytes raw = read_file(folder, data);
    ct.count = (size_t)(ct.shape[0] * ct.shape[1] * ct.shape[2]);
    CHECK(ct.count > 0 && raw.size == ct.count * sizeof(int16_t));
    ct.voxels = (int16_t *)malloc(raw.size);
    CHECK(ct.voxels);
    memcpy(ct.voxels, raw.data, raw.size);
    free(raw.data);
    return ct;
}

/* The box of that shape in the middle of an image. */
static inline image crop(const image *from, uint64_t x, uint64_t y, uint64_t z) {
    image to = {NULL, {x, y, z}, (size_t)(x * y * z), {from->spacing[0], from->spacing[1], from->spacing[2]}};
    uint64_t start[3];
    for (int a = 0; a < 3; a++) {
        CHECK(to.shape[a] <= from->shape[a]);
        start[a] = (from->shape[a] - to.shape[a]) / 2;
    }
    to.voxels = (int16_t *)malloc(to.count * sizeof(int16_t));
    CHECK(to.voxels);
    for (uint64_t k = 0; k < z; k++) {
        for (uint64_t j = 0; j < y; j++) {
            const uint64_t at = ((start[2] + k) * from->shape[1] + start[1] + j) * from->shape[0] + start[0];
            memcpy(to.voxels + (k * y + j) * x, from->voxels + at, (size_t)x * sizeof(int16_t));
        }
    }
    return to;
}

static inline vxs_volume volume_of(const image *from) {
    vxs_volume volume;
    CHECK(vxs_volume_init(&volume, sizeof volume) == VXS_OK);
    volume.dtype = VXS_DTYPE_I16;
    volume.data = from->voxels;
    volume.data_size = from->count * sizeof(int16_t);
    memcpy(volume.shape, from->shape, sizeof volume.shape);
    memcpy(volume.spacing, from->spacing, sizeof volume.spacing);
    return volume;
}

static inline vxs_labels labels_of(uint8_t *buffer, size_t size) {
    vxs_labels labels;
    CHECK(vxs_labels_init(&labels, sizeof labels) == VXS_OK);
    labels.data = buffer;
    labels.data_size = size;
    return labels;
}

/* The model's files in memory. */
enum { PLANS, DATASET, CHECKPOINT, FILES };

static const char *const file_names[FILES] = {"plans.json", "dataset.json", "fold_0/checkpoint_final.pth"};

static inline void read_model(const char *folder, bytes content[FILES]) {
    for (int i = 0; i < FILES; i++) {
        content[i] = read_file(folder, file_names[i]);
    }
}

static inline vxs_status open_memory(const bytes content[FILES], vxs_model **model, vxs_error **error) {
    vxs_model_file files[FILES];
    for (int i = 0; i < FILES; i++) {
        files[i].name = file_names[i];
        files[i].data = content[i].data;
        files[i].size = content[i].size;
    }
    return vxs_model_open_memory(files, FILES, NULL, model, error);
}

#endif
