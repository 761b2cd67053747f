#version 460
// The mean over mirrored runs of a tile.
#extension GL_GOOGLE_include_directive : require
#include "around.glsl"

layout(push_constant, scalar) uniform Arguments {
    Numbers scores;
    Numbers sum;
    Placed tile;
    int classes;
    int flips;
    int first;
    float divisor;
};

void main() {
    int size = product(tile.size), voxel = int(VOXEL);
    if (VOXEL >= uint(size)) return;
    ivec3 at = place_in(tile.size, voxel, flips);
    int line = LINE * size;
    float value = scores.at[line + (at.x * tile.size.y + at.y) * tile.size.z + at.z];
    if (first == 0) {
        precise float both = sum.at[line + voxel] + value;
        value = both;
    }
    sum.at[line + voxel] = divided(value, divisor);
}
