// What is done around the network on an NVIDIA GPU: cutting tiles, averaging over mirrorings, blending.
//
// The numbers are those of the Rust versions to the last bit: src/tiling/grid.rs, mirror.rs and blend.rs.
// `cargo xtask ptx` compiles this file with NVRTC; without a compiler for GPUs it is C++ in which a kernel is a loop, as
// the tests compile it. Neither may contract a product and a sum (--fmad=false, -ffp-contract=off).
//
// Arrays are row-major, the last axis fastest; a score is f32 or f16. Planes of scores are kept in a ring: plane p of the
// image lies at p modulo the ring's length.

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

// image [channels, image] -> out [channels, patch], mirrored along the axes in `flips`: `value` outside of the image, or
// with `edge` its nearest voxel.
KERNEL voxseg_cut(const float *image, float *out, placed tile, int channels, int flips, int edge, float value) {
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
            from = from * tile.image[axis] + place;
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

// means [classes, count, rows, columns] of the planes from `first` on; counts those that aren't finite. `plane` is rows
// times columns.
template <typename S>
DEVICE void mean(const S *sums, const S *weights, S *means, index_t plane, int classes, int ring, int first, int count,
                 unsigned long long *not_finite) {
    const index_t size = count * plane;
    EACH(i, classes * size) {
        const index_t at = i % size;
        const index_t place = (first + at / plane) % ring * plane + at % plane;
        narrow(widened(sums[i / size * ring * plane + place]) / widened(weights[place]), means[i]);
        if (!finite(widened(means[i]))) {
            COUNT(not_finite, 1);
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
                        int ring, int first, int count, unsigned long long *not_finite) {
    mean(sums, weights, means, plane, classes, ring, first, count, not_finite);
}

KERNEL voxseg_mean_single(const float *sums, const float *weights, float *means, index_t plane, int classes, int ring,
                          int first, int count, unsigned long long *not_finite) {
    mean(sums, weights, means, plane, classes, ring, first, count, not_finite);
}

KERNEL voxseg_clear_half(half_bits *sums, index_t plane, int lines, int ring, int first, int count) {
    clear(sums, plane, lines, ring, first, count);
}

KERNEL voxseg_clear_single(float *sums, index_t plane, int lines, int ring, int first, int count) {
    clear(sums, plane, lines, ring, first, count);
}
