#version 460
// How many scores aren't finite.
#extension GL_GOOGLE_include_directive : require
#include "around.glsl"

layout(push_constant, scalar) uniform Arguments {
    Numbers scores;
    uvec2 count;
    Counter not_finite;
};

void main() {
    if (VOXEL < count.x && !finite(scores.at[VOXEL])) atomicAdd(not_finite.low, 1);
}
