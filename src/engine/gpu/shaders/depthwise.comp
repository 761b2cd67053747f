#version 460
// Convolutions of each channel by itself, forward and transposed. A group computes CHUNK voxels of a block, and gathers their
// statistics where these are wanted.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "statistics.glsl"

const uint LANES = 64, CHUNK = 256;
layout(local_size_x = 64) in;
layout(constant_id = 0) const bool TRANSPOSED = false;
layout(constant_id = 1) const uint KX = 3;
layout(constant_id = 2) const uint KY = 3;
layout(constant_id = 3) const uint KZ = 3;
layout(constant_id = 4) const uint STEP_X = 1;
layout(constant_id = 5) const uint STEP_Y = 1;
layout(constant_id = 6) const uint STEP_Z = 1;

layout(push_constant, scalar) uniform Step {
    Sources from;
    uvec2 to;
    // [block][z][y][x][16 channels].
    Table weights;
    // [block][16 channels].
    Table bias;
    // Of each chunk; null: none are wanted.
    Numbers partials;
    Words overflowed;
    uvec3 size;
    uvec3 from_size;
    uvec3 padding;
    uint blocks;
};

// The voxel that a result takes a weight from along an axis; beyond the input there is none.
uint met(uint result, uint weight, uint step, uint before) {
    if (!TRANSPOSED) return result * step + weight - before;
    uint apart = result + before - weight;
    return result + before >= weight && apart % step == 0 ? apart / step : ~0u;
}

void main() {
    uint voxels = product(size), chunk = turn_of_group, block = gl_WorkGroupID.y;
    if (chunk * CHUNK >= voxels) return;
    uint lane = gl_LocalInvocationIndex, eight = lane % 2, end = min(voxels, (chunk + 1) * CHUNK);
    uvec4 source = from.at[block];
    uvec2 target = block_of(to, block, voxels);
    uint own = block * KX * KY * KZ * 4 + eight * 2;
    Moments gathered = none_yet();
    bool gathers = !is_null(uvec2(partials));
    for (uint voxel = chunk * CHUNK + lane / 2; voxel < end; voxel += LANES / 2) {
        uvec3 at = place(voxel, size);
        Eight sum = Eight(bias.at[block * 4 + eight * 2], bias.at[block * 4 + eight * 2 + 1]);
        for (uint k = 0; k < KZ; k++) {
            uint z = met(at.z, k, STEP_Z, padding.z);
            if (z >= from_size.z) continue;
            for (uint j = 0; j < KY; j++) {
                uint y = met(at.y, j, STEP_Y, padding.y);
                if (y >= from_size.y) continue;
                for (uint i = 0; i < KX; i++) {
                    uint x = met(at.x, i, STEP_X, padding.x);
                    if (x >= from_size.x) continue;
                    Eight value = read_(source, index_of(uvec3(x, y, z), from_size), eight);
                    uint weight = own + ((k * KY + j) * KX + i) * 4;
                    sum.low = fma(value.low, weights.at[weight], sum.low);
                    sum.high = fma(value.high, weights.at[weight + 1], sum.high);
                }
            }
        }
        write_(target, voxel, eight, sum, overflowed);
        if (gathers) add(gathered, sum);
    }
    if (gathers) tell(gathered, partials, chunk, block, blocks);
}
