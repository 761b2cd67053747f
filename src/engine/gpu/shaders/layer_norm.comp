#version 460
// Each voxel by the mean and the variance of its channels. A group has eight voxels; of each, eight invocations share the blocks.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

const uint LANES = 64, VOXELS = 8, SLICES = 4;
layout(local_size_x = 64) in;

layout(push_constant, scalar) uniform Step {
    Sources from;
    uvec2 to;
    // [block][scale, shift][16 channels].
    Table affine;
    Words overflowed;
    // Of each block its first channel and how many it has.
    Words lanes;
    uint voxels;
    uint blocks;
    float epsilon;
};

shared vec3 moments[LANES];

// Of the first channels of an eight.
vec3 moments_of(Eight value, uint count) {
    float sum = 0, squares = 0;
    for (uint c = 0; c < count; c++) sum += channel_of(value, c);
    float mean = sum / float(count);
    for (uint c = 0; c < count; c++) {
        float apart = channel_of(value, c) - mean;
        squares += apart * apart;
    }
    return vec3(count, mean, squares);
}

void main() {
    uint lane = gl_LocalInvocationIndex, eight = lane % 2, own = lane / 2 % VOXELS, slice = lane / (2 * VOXELS);
    uint wanted = turn_of_group * VOXELS + own, voxel = min(wanted, voxels - 1);
    vec3 all_ = vec3(0);
    for (uint block = slice; block < blocks; block += SLICES) {
        uint count = lanes.at[block * 2 + 1];
        count = min(count - min(count, eight * 8), 8);
        if (count > 0) all_ = joined(all_, moments_of(read_(from.at[block], voxel, eight), count));
    }
    moments[lane] = all_;
    barrier();
    all_ = vec3(0);
    for (uint i = 0; i < 2 * SLICES; i++) all_ = joined(all_, moments[i / 2 * 2 * VOXELS + own * 2 + i % 2]);
    if (wanted >= voxels) return;
    float factor = 1.0 / sqrt(all_.z / all_.x + epsilon);
    for (uint block = slice; block < blocks; block += SLICES) {
        Eight value = read_(from.at[block], voxel, eight);
        uint at = block * 8 + eight * 2;
        value.low = fma((value.low - all_.y) * factor, affine.at[at], affine.at[at + 4]);
        value.high = fma((value.high - all_.y) * factor, affine.at[at + 1], affine.at[at + 5]);
        write_(block_of(to, block, voxels), voxel, eight, value, overflowed);
    }
}
