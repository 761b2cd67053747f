// What is done around the network on an NVIDIA GPU: cutting tiles, averaging over mirrorings, blending, and bringing
// scores onto the caller's grid, where they become labels.
//
// The numbers are those of the Rust versions to the last bit: src/tiling/grid.rs, mirror.rs and blend.rs,
// src/restore/kernels.rs, decide.rs and taps.rs.
// `cargo xtask ptx` compiles this file with NVRTC; without a compiler for GPUs it is C++ in which a kernel is a loop, as
// the tests compile it. Neither may contract a product and a sum (--fmad=false, -ffp-contract=off).
//
// Arrays are row-major, the last axis fastest; a score is f32 or f16. Planes of the image and of scores are kept in rings:
// plane p lies at p modulo the ring's length.

typedef long long index_t;

#ifdef __CUDACC__
#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __forceinline__
#define METHOD __device__ __forceinline__
#define EACH(i, count)                                                                                       \
    for (index_t i = blockIdx.x * (index_t)blockDim.x + threadIdx.x; i < (count);                            \
         i += gridDim.x * (index_t)blockDim.x)
#define COUNT(place, number) atomicAdd(place, (unsigned long long)(number))
#else
#include <cstring>
#define KERNEL extern "C" void
#define DEVICE static inline
#define METHOD inline
#define EACH(i, count) for (index_t i = 0; i < (count); i++)
#define COUNT(place, number) (*(place) += (unsigned long long)(number))
#endif

struct half_bits {
    unsigned short bits;
};

DEVICE float widened(float value) { return value; }

DEVICE float widened(half_bits value) {
#ifdef __CUDACC__
    float wide;
    asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(value.bits));
    return wide;
#else
    _Float16 half;
    std::memcpy(&half, &value, sizeof half);
    return (float)half;
#endif
}

DEVICE void narrow(float value, float &out) { out = value; }

DEVICE void narrow(float value, half_bits &out) {
#ifdef __CUDACC__
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out.bits) : "f"(value));
#else
    const _Float16 half = (_Float16)value;
    std::memcpy(&out, &half, sizeof half);
#endif
}

DEVICE float from_bits(unsigned bits) {
#ifdef __CUDACC__
    return __uint_as_float(bits);
#else
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

DEVICE bool finite(float value) { return value - value == 0.0f; }

// Where a tile lies in its image: `start` in the padded image, of which `below` voxels come before the image.
struct placed {
    int image[3];
    int patch[3];
    int start[3];
    int below[3];
};

// The place in a patch of a row-major index; axes whose bit is set in `flips` run backwards.
DEVICE void place_in_patch(const placed &tile, index_t at, int flips, int *local) {
    for (int axis = 2; axis >= 0; axis--) {
        const int place = (int)(at % tile.patch[axis]);
        local[axis] = flips >> axis & 1 ? tile.patch[axis] - 1 - place : place;
        at /= tile.patch[axis];
    }
}

// image [channels, ring, rows, columns] -> out [channels, patch], mirrored along the axes in `flips`: `value` outside of the
// image, or with `edge` its nearest voxel.
KERNEL voxseg_cut(const float *image, float *out, placed tile, int channels, int ring, int flips, int edge,
                  float value) {
    const index_t size = (index_t)tile.patch[0] * tile.patch[1] * tile.patch[2];
    EACH(i, channels * size) {
        int local[3];
        place_in_patch(tile, i % size, flips, local);
        index_t from = i / size;
        bool inside = true;
        for (int axis = 0; axis < 3; axis++) {
            const int last = tile.image[axis] - 1;
            int place = tile.start[axis] + local[axis] - tile.below[axis];
            inside = inside && place >= 0 && place <= last;
            place = place < 0 ? 0 : place > last ? last : place;
            from = axis == 0 ? from * ring + place % ring : from * tile.image[axis] + place;
        }
        out[i] = inside || edge ? image[from] : value;
    }
}

// sum [classes, patch] = scores, or += scores, which are mirrored along the axes in `flips`; then divided by `divisor`.
KERNEL voxseg_gather(const float *scores, float *sum, placed tile, int classes, int flips, int first, float divisor) {
    const index_t size = (index_t)tile.patch[0] * tile.patch[1] * tile.patch[2];
    EACH(i, classes * size) {
        int local[3];
        place_in_patch(tile, i % size, flips, local);
        const index_t from = ((index_t)local[0] * tile.patch[1] + local[1]) * tile.patch[2] + local[2];
        const float value = scores[i / size * size + from];
        sum[i] = (first ? value : sum[i] + value) / divisor;
    }
}

// Counts scores that half precision had no number for.
KERNEL voxseg_count_not_finite(const float *scores, index_t count, unsigned long long *not_finite) {
    EACH(i, count) {
        if (!finite(scores[i])) {
            COUNT(not_finite, 1);
        }
    }
}

// sums [classes, ring, rows, columns] += scores [classes, patch] * window [patch]; weights [ring, rows, columns] += window.
template <typename S>
DEVICE void blend(const float *scores, const float *window, S *sums, S *weights, placed tile, int classes, int ring) {
    const index_t size = (index_t)tile.patch[0] * tile.patch[1] * tile.patch[2];
    EACH(i, (classes + 1) * size) {
        const index_t at = i % size, line = i / size;
        int local[3], place[3];
        place_in_patch(tile, at, 0, local);
        bool inside = true;
        for (int axis = 0; axis < 3; axis++) {
            place[axis] = tile.start[axis] + local[axis] - tile.below[axis];
            inside = inside && place[axis] >= 0 && place[axis] < tile.image[axis];
        }
        if (!inside) {
            continue;
        }
        const index_t in_plane = (index_t)place[1] * tile.image[2] + place[2];
        const index_t size_of_plane = (index_t)tile.image[1] * tile.image[2];
        const index_t to = (index_t)(place[0] % ring) * size_of_plane + in_plane;
        if (line == classes) {
            narrow(widened(weights[to]) + window[at], weights[to]);
        } else {
            S &sum = sums[line * ring * size_of_plane + to];
            narrow(widened(sum) + scores[i] * window[at], sum);
        }
    }
}

KERNEL voxseg_blend_half(const float *scores, const float *window, half_bits *sums, half_bits *weights, placed tile,
                         int classes, int ring) {
    blend(scores, window, sums, weights, tile, classes, ring);
}

KERNEL voxseg_blend_single(const float *scores, const float *window, float *sums, float *weights, placed tile,
                           int classes, int ring) {
    blend(scores, window, sums, weights, tile, classes, ring);
}

// Where means go: the planes from `first` on lie in a ring of `ring` planes from its plane `to` on. Those of several
// networks are summed, the last of `folds` divides.
struct averaged {
    int first;
    int count;
    int ring;
    int to;
    int fold;
    int folds;
};

// means [classes, ring of the means, rows, columns] of sums [classes, ring, rows, columns]; counts those that aren't finite.
// `plane` is rows times columns.
template <typename S>
DEVICE void mean(const S *sums, const S *weights, S *means, index_t plane, int classes, int ring, averaged out,
                 unsigned long long *not_finite) {
    const index_t size = out.count * plane;
    EACH(i, classes * size) {
        const index_t at = i % size, line = i / size;
        const index_t from = (out.first + at / plane) % ring * plane + at % plane;
        S value;
        narrow(widened(sums[line * ring * plane + from]) / widened(weights[from]), value);
        if (!finite(widened(value))) {
            COUNT(not_finite, 1);
        }
        S &sum = means[(line * out.ring + (out.to + at / plane) % out.ring) * plane + at % plane];
        if (out.fold == 0) {
            sum = value;
        } else {
            narrow(widened(sum) + widened(value), sum);
        }
        if (out.folds > 1 && out.fold + 1 == out.folds) {
            narrow(widened(sum) / (float)out.folds, sum);
        }
    }
}

// Sums or weights [lines, ring, rows, columns] of the planes from `first` on become zero.
template <typename S>
DEVICE void clear(S *sums, index_t plane, int lines, int ring, int first, int count) {
    const index_t size = count * plane;
    EACH(i, lines * size) {
        const index_t at = i % size;
        narrow(0.0f, sums[i / size * ring * plane + (first + at / plane) % ring * plane + at % plane]);
    }
}

KERNEL voxseg_mean_half(const half_bits *sums, const half_bits *weights, half_bits *means, index_t plane, int classes,
                        int ring, averaged out, unsigned long long *not_finite) {
    mean(sums, weights, means, plane, classes, ring, out, not_finite);
}

KERNEL voxseg_mean_single(const float *sums, const float *weights, float *means, index_t plane, int classes, int ring,
                          averaged out, unsigned long long *not_finite) {
    mean(sums, weights, means, plane, classes, ring, out, not_finite);
}

KERNEL voxseg_clear_half(half_bits *sums, index_t plane, int lines, int ring, int first, int count) {
    clear(sums, plane, lines, ring, first, count);
}

KERNEL voxseg_clear_single(float *sums, index_t plane, int lines, int ring, int first, int count) {
    clear(sums, plane, lines, ring, first, count);
}

// e to the power of x, as src/restore/kernels.rs has it (the polynomial of the Cephes library's expf, Moshier).
DEVICE float exponential(float x) {
    float bounded = x < 88.0f ? x : 88.0f;
    bounded = bounded > -87.0f ? bounded : -87.0f;
    const float shifted = bounded * 1.44269504f + 12582912.0f;
    const float n = shifted - 12582912.0f;
    const float rest = (bounded - n * 0.6933594f) + n * 2.1219444e-4f;
    float sum = 1.9875691e-4f;
    sum = sum * rest + 1.3981999e-3f;
    sum = sum * rest + 8.333452e-3f;
    sum = sum * rest + 4.1665796e-2f;
    sum = sum * rest + 1.6666665e-1f;
    sum = sum * rest + 0.5f;
    const float power = from_bits((unsigned)((int)n + 127) << 23);
    const float value = (sum * rest * rest + rest + 1.0f) * power;
    return x < -87.0f ? 0.0f : value;
}

// Scores [classes, ring, rows, columns] of `count` planes from `first` on become probabilities: of all classes together,
// or with `regions` of each by itself.
template <typename S>
DEVICE void activate(S *scores, index_t plane, int classes, int ring, int first, int count, int regions) {
    EACH(i, count * plane) {
        S *const here = scores + (first + i / plane) % ring * plane + i % plane;
        const index_t step = ring * plane;
        if (regions) {
            for (int c = 0; c < classes; c++) {
                narrow(1.0f / (1.0f + exponential(-widened(here[c * step]))), here[c * step]);
            }
            continue;
        }
        float top = -1.0f / 0.0f, sum = 0.0f;
        for (int c = 0; c < classes; c++) {
            const float score = widened(here[c * step]);
            top = score > top ? score : top;
        }
        for (int c = 0; c < classes; c++) {
            sum += exponential(widened(here[c * step]) - top);
        }
        for (int c = 0; c < classes; c++) {
            narrow(exponential(widened(here[c * step]) - top) / sum, here[c * step]);
        }
    }
}

KERNEL voxseg_activate_half(half_bits *scores, index_t plane, int classes, int ring, int first, int count, int regions) {
    activate(scores, plane, classes, ring, first, count, regions);
}

KERNEL voxseg_activate_single(float *scores, index_t plane, int classes, int ring, int first, int count, int regions) {
    activate(scores, plane, classes, ring, first, count, regions);
}

// How scores become labels. `between` has, for each output along the three axes one after the other, the two inputs that it
// lies between, and `weights` that of the second; an input one beyond the last is zero.
struct decided {
    // Scores: [classes, ring, rows, columns] of `planes` planes.
    int classes;
    int ring;
    int planes;
    int rows;
    int columns;
    // Labels: `count` planes from `first` of `depth`, [height, width].
    int depth;
    int height;
    int width;
    int first;
    int count;
    // Whether what lies between is rounded to half precision.
    int round;
    // Number of regions; 0: the highest score wins.
    int regions;
    int at_half;
    int on_probabilities;
    // Bits that labels of near ties get.
    int mark;
    // A lead over which the two best can't nearly tie; how far from one half regions do.
    float clear;
    // By how much the two best may differ where they nearly tie.
    float near_tie;
    // What is over a half by no more than this isn't over it.
    float step;
};

// The inputs around a voxel.
struct corners {
    int low[3];
    int high[3];
    float weight[3];
};

template <typename S>
DEVICE float on_line(const S *scores, const decided &how, const corners &near, index_t line) {
    const float a = near.low[2] == how.columns ? 0.0f : widened(scores[line * how.columns + near.low[2]]);
    const float b = near.high[2] == how.columns ? 0.0f : widened(scores[line * how.columns + near.high[2]]);
    return a + near.weight[2] * (b - a);
}

template <typename S>
DEVICE float in_plane(const S *scores, const decided &how, const corners &near, int c, int plane) {
    if (plane == how.planes) {
        return 0.0f;
    }
    const index_t first = ((index_t)c * how.ring + plane % how.ring) * how.rows;
    const float a = near.low[1] == how.rows ? 0.0f : on_line(scores, how, near, first + near.low[1]);
    if (near.weight[1] == 0.0f) {
        return a;
    }
    const float b = near.high[1] == how.rows ? 0.0f : on_line(scores, how, near, first + near.high[1]);
    return a + near.weight[1] * (b - a);
}

template <typename S>
DEVICE float score_at(const S *scores, const decided &how, const corners &near, int c) {
    const float a = in_plane(scores, how, near, c, near.low[0]);
    const float b = near.weight[0] == 0.0f ? a : in_plane(scores, how, near, c, near.high[0]);
    const float mixed = a + near.weight[0] * (b - a);
    if (!how.round) {
        return mixed;
    }
    half_bits rounded;
    narrow(mixed, rounded);
    return widened(rounded);
}

// Whether the two highest probabilities of a voxel differ by at most `near_tie`, from its scores.
template <typename S>
DEVICE bool nearly_ties(const S *scores, const decided &how, const corners &near, float best, float second) {
    const float gap = exponential(second - best);
    const float least = (1.0f - gap) / how.near_tie;
    float third = -1.0f / 0.0f, others = 0.0f;
    int equals = 0;
    for (int c = 0; c < how.classes; c++) {
        const float score = score_at(scores, how, near, c);
        if (score < second) {
            third = score > third ? score : third;
            others += exponential(score - best);
        } else {
            equals++;
        }
    }
    if (1.0f + gap + ((float)how.classes - 2.0f) * exponential(third - best) < least) {
        return false;
    }
    return 1.0f + ((float)equals - 1.0f) * gap + others >= least;
}

template <typename S>
DEVICE void restore(const S *scores, const int *between, const float *weights, const int *regions,
                    unsigned short *labels, decided how, unsigned long long *near_ties) {
    const index_t size = (index_t)how.height * how.width;
    EACH(i, how.count * size) {
        const int output[3] = {how.first + (int)(i / size), how.depth + (int)(i % size / how.width),
                               how.depth + how.height + (int)(i % how.width)};
        corners near;
        for (int axis = 0; axis < 3; axis++) {
            near.low[axis] = between[2 * output[axis]];
            near.high[axis] = between[2 * output[axis] + 1];
            near.weight[axis] = weights[output[axis]];
        }
        int label = 0;
        bool close = false;
        if (how.regions) {
            const float half = how.on_probabilities ? 0.5f : 0.0f;
            for (int region = 0; region < how.regions; region++) {
                const float over = score_at(scores, how, near, regions[2 * region]) - half;
                if (over > how.step || (how.at_half && over >= -how.step)) {
                    label = regions[2 * region + 1];
                }
                close = close || (over <= how.clear && over >= -how.clear);
            }
        } else {
            float top = -1.0f / 0.0f, next = top;
            for (int c = 0; c < how.classes; c++) {
                const float score = score_at(scores, how, near, c);
                const bool wins = score > top;
                const float loser = wins ? top : score;
                next = loser > next ? loser : next;
                top = wins ? score : top;
                label = wins ? c : label;
            }
            const float lead = top - next;
            if (lead <= how.clear) {
                close = how.on_probabilities ? top > 0.0f : nearly_ties(scores, how, near, top, top - lead);
            }
        }
        labels[i] = (unsigned short)(close ? label | how.mark : label);
        if (close) {
            COUNT(near_ties, 1);
        }
    }
}

KERNEL voxseg_restore_half(const half_bits *scores, const int *between, const float *weights, const int *regions,
                           unsigned short *labels, decided how, unsigned long long *near_ties) {
    restore(scores, between, weights, regions, labels, how, near_ties);
}

KERNEL voxseg_restore_single(const float *scores, const int *between, const float *weights, const int *regions,
                             unsigned short *labels, decided how, unsigned long long *near_ties) {
    restore(scores, between, weights, regions, labels, how, near_ties);
}
