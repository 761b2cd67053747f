/*
 * The calls that do work, each from a state in which it can be made again and again, and what came of it.
 */
#ifndef CALLS_H
#define CALLS_H

#include "../c/fixture.h"

enum { OPEN, PLAN, SEGMENT, STATISTICS, COMPARE, DOSE, ON_GRID, CALLS };

static const char *const call_names[CALLS] = {
    "vxs_model_open", "vxs_plan_create", "vxs_segment", "vxs_statistics", "vxs_compare", "vxs_dose", "vxs_labels_on_grid",
};

/* What a volume's voxels have before a call, where the library mustn't write unless it succeeds. */
#define UNTOUCHED 0xA5

typedef struct {
    uint8_t *labels, *moved, *margin;
    float *probability;
    double numbers[6];
} results;

typedef struct {
    const char *path;    /* a model folder, or TASK:WEIGHTS */
    uint32_t threads;
    image volume;
    uint8_t *structures; /* a label map of the volume, made from its intensities */
    vxs_model *model;
    vxs_plan *plan;
} fixture;

static inline results new_results(const fixture *given) {
    const size_t count = given->volume.count;
    results made = {calloc(count, 1), calloc(count, 1), calloc(count, 1), calloc(count, sizeof(float)), {0}};
    CHECK(made.labels && made.moved && made.margin && made.probability);
    return made;
}

static inline void reset(const fixture *given, results *all) {
    const size_t count = given->volume.count;
    memset(all->labels, UNTOUCHED, count);
    memset(all->moved, UNTOUCHED, count);
    memset(all->margin, UNTOUCHED, count);
    memset(all->probability, UNTOUCHED, count * sizeof(float));
    memset(all->numbers, 0, sizeof all->numbers);
}

/* Labels are only written by a call that succeeds. Maps are written slab by slab. */
static inline int untouched(const fixture *given, const results *all) {
    for (size_t n = 0; n < given->volume.count; n++) {
        if (all->labels[n] != UNTOUCHED || all->moved[n] != UNTOUCHED) {
            return 0;
        }
    }
    return 1;
}

static inline int same(const fixture *given, const results *a, const results *b) {
    const size_t count = given->volume.count;
    return memcmp(a->labels, b->labels, count) == 0 && memcmp(a->moved, b->moved, count) == 0 &&
           memcmp(a->margin, b->margin, count) == 0 && memcmp(a->numbers, b->numbers, sizeof a->numbers) == 0 &&
           memcmp(a->probability, b->probability, count * sizeof(float)) == 0;
}

static inline fixture new_fixture(const char *path, const char *ct, uint32_t threads) {
    fixture made = {path, threads, read_ct(ct), NULL, NULL, NULL};
    made.structures = calloc(made.volume.count, 1);
    CHECK(made.structures);
    for (size_t n = 0; n < made.volume.count; n++) {
        made.structures[n] = (uint8_t)((made.volume.voxels[n] > -200) + (made.volume.voxels[n] > 50));
    }
    return made;
}

static inline vxs_status open_model(const fixture *given, vxs_model **model, vxs_error **error) {
    const char *colon = strchr(given->path, ':');
    if (!colon) {
        return vxs_model_open(given->path, NULL, model, error);
    }
    char task[64] = "";
    CHECK(colon - given->path < (ptrdiff_t)sizeof task);
    memcpy(task, given->path, (size_t)(colon - given->path));
    return vxs_model_open_task(task, colon + 1, NULL, model, error);
}

static inline vxs_status make_plan(const fixture *given, const vxs_model *model, vxs_plan **plan, vxs_error **error) {
    vxs_plan_options options;
    CHECK(vxs_plan_options_init(&options, sizeof options) == VXS_OK);
    options.threads = given->threads;
    return vxs_plan_create(model, &options, plan, error);
}

/* With two maps; tasks have none. */
static inline vxs_status segment(const fixture *given, vxs_plan *plan, results *into, vxs_error **error) {
    const size_t count = given->volume.count;
    vxs_run_options options;
    vxs_map maps[2];
    const vxs_map *const all[2] = {&maps[0], &maps[1]};
    CHECK(vxs_run_options_init(&options, sizeof options) == VXS_OK);
    for (int n = 0; n < 2; n++) {
        CHECK(vxs_map_init(&maps[n], sizeof maps[n]) == VXS_OK);
    }
    maps[0].kind = VXS_MAP_PROBABILITY;
    maps[0].label = 1;
    maps[0].dtype = VXS_DTYPE_F32;
    maps[0].data = into->probability;
    maps[0].data_size = count * sizeof(float);
    maps[1].kind = VXS_MAP_MARGIN;
    maps[1].dtype = VXS_DTYPE_U8;
    maps[1].data = into->margin;
    maps[1].data_size = count;
    if (!strchr(given->path, ':')) {
        options.maps = all;
        options.map_count = 2;
    }
    const vxs_volume volume = volume_of(&given->volume);
    const vxs_labels labels = labels_of(into->labels, count);
    return vxs_segment(plan, &volume, &options, &labels, NULL, error);
}

static inline vxs_volume label_map(const fixture *given) {
    vxs_volume map = volume_of(&given->volume);
    map.dtype = VXS_DTYPE_U8;
    map.data = given->structures;
    map.data_size = given->volume.count;
    return map;
}

static inline vxs_status measure(const fixture *given, int call, results *into, vxs_error **error) {
    const vxs_volume map = label_map(given), volume = volume_of(&given->volume);
    vxs_volume shifted = map;
    shifted.origin[0] = 1.4 * map.spacing[0];
    shifted.spacing[1] = 1.1 * map.spacing[1];
    vxs_measure_options options;
    CHECK(vxs_measure_options_init(&options, sizeof options) == VXS_OK);
    options.threads = given->threads;
    vxs_status status = VXS_INTERNAL_ERROR;
    if (call == STATISTICS) {
        vxs_statistics_list *list = NULL;
        vxs_label_statistics first;
        CHECK(vxs_label_statistics_init(&first, sizeof first) == VXS_OK);
        status = vxs_statistics(&map, &volume, 0, &options, &list, error);
        if (status == VXS_OK && vxs_statistics_list_get(list, 0, &first, NULL) == VXS_OK) {
            into->numbers[0] = first.surface_area;
            into->numbers[1] = first.median;
        }
        vxs_statistics_list_free(list);
    } else if (call == COMPARE) {
        vxs_compare_options compare;
        vxs_comparison_list *list = NULL;
        vxs_comparison first;
        CHECK(vxs_compare_options_init(&compare, sizeof compare) == VXS_OK);
        CHECK(vxs_comparison_init(&first, sizeof first) == VXS_OK);
        compare.threads = given->threads;
        compare.surfaces = 1;
        compare.tolerance = 1;
        status = vxs_compare(&map, &shifted, &compare, &list, error);
        if (status == VXS_OK && vxs_comparison_list_get(list, 0, &first, NULL) == VXS_OK) {
            into->numbers[2] = first.mean_distance;
            into->numbers[3] = first.dice;
        }
        vxs_comparison_list_free(list);
    } else if (call == DOSE) {
        vxs_dose_list *list = NULL;
        vxs_label_dose first;
        CHECK(vxs_label_dose_init(&first, sizeof first) == VXS_OK);
        status = vxs_dose(&map, &volume, &options, &list, error);
        if (status == VXS_OK && vxs_dose_list_get(list, 0, &first, NULL) == VXS_OK) {
            into->numbers[4] = first.mean;
            into->numbers[5] = first.max;
        }
        vxs_dose_list_free(list);
    } else {
        const vxs_labels moved = labels_of(into->moved, given->volume.count);
        status = vxs_labels_on_grid(&map, &shifted, &options, &moved, error);
    }
    return status;
}

/* Makes everything that a host makes, one call after the other; the status of the first that fails. */
static inline vxs_status everything(fixture *given, results *into, vxs_error **error) {
    vxs_model *model = NULL;
    vxs_plan *plan = NULL;
    vxs_status status = open_model(given, &model, error);
    if (status == VXS_OK) {
        status = make_plan(given, model, &plan, error);
    }
    if (status == VXS_OK) {
        status = segment(given, plan, into, error);
    }
    for (int call = STATISTICS; call < CALLS && status == VXS_OK; call++) {
        status = measure(given, call, into, error);
    }
    vxs_plan_free(plan);
    vxs_model_free(model);
    return status;
}

#endif
