#version 460
// The image into blocks, and blocks into scores. An invocation has eight channels of a voxel.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const bool LEAVES = false;

layout(push_constant, scalar) uniform Step {
    // Blocks, or the image, [channel][voxel] in single precision.
    uvec2 from;
    // The scores, as the image is, or a tensor.
    uvec2 to;
    Words overflowed;
    // Of each block its first channel and how many it has.
    Words lanes;
    uint voxels;
};

void main() {
    uint turn = turn_of_group * 64 + gl_LocalInvocationIndex, block = gl_WorkGroupID.y;
    uint voxel = turn % voxels, eight = turn / voxels;
    if (eight > 1) return;
    uint first = lanes.at[block * 2] + eight * 8, count = lanes.at[block * 2 + 1];
    count -= min(count, eight * 8);
    Eight value = Eight(vec4(0), vec4(0));
    if (LEAVES) {
        value = read_(Sources(from).at[block], voxel, eight);
        for (uint c = 0; c < min(count, 8); c++) Numbers(to).at[(first + c) * voxels + voxel] = channel_of(value, c);
    } else {
        for (uint c = 0; c < min(count, 8); c++) {
            float x = Numbers(from).at[(first + c) * voxels + voxel];
            if (c < 4) value.low[c] = x;
            else value.high[c - 4] = x;
        }
        write_(block_of(to, block, voxels), voxel, eight, value, overflowed);
    }
}
