#version 460
// Means along some axes: a group for each result of a block.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;

layout(push_constant, scalar) uniform Step {
    Sources from;
    uvec2 to;
    Words overflowed;
    // Sizes of the result, which is 1 along the axes of the mean, and of the input.
    uvec3 size;
    uvec3 from_size;
};

shared Eight sums[64];

void main() {
    uint voxels = product(size), voxel = turn_of_group, block = gl_WorkGroupID.y;
    if (voxel >= voxels) return;
    uint lane = gl_LocalInvocationIndex;
    uvec3 first = place(voxel, size);
    // Along the other axes the box has one voxel.
    uvec3 box = mix(uvec3(1), from_size, equal(size, uvec3(1)));
    uvec4 source = from.at[block];
    uint count = product(box);
    Eight own = Eight(vec4(0), vec4(0));
    for (uint i = lane / 2; i < count; i += 32) {
        Eight value = read_(source, index_of(first + place(i, box), from_size), lane % 2);
        own = Eight(own.low + value.low, own.high + value.high);
    }
    sums[lane] = own;
    for (uint half_ = 32; half_ > 1; half_ /= 2) {
        barrier();
        if (lane < half_) {
            sums[lane].low += sums[lane + half_].low;
            sums[lane].high += sums[lane + half_].high;
        }
    }
    barrier();
    if (lane > 1) return;
    float share = 1.0 / float(count);
    Eight value = Eight(sums[lane].low * share, sums[lane].high * share);
    write_(block_of(to, block, voxels), voxel, lane, value, overflowed);
}
