#version 460
// Planes of sums or weights become zero.
#extension GL_GOOGLE_include_directive : require
#include "around.glsl"

layout(push_constant, scalar) uniform Arguments {
    Scores sums;
    uvec2 plane;
    int lines;
    int ring;
    int first;
    int count;
};

void main() {
    int size = int(plane.x), voxel = int(VOXEL);
    if (VOXEL >= uint(count * size)) return;
    store_(sums, (LINE * ring + (first + voxel / size) % ring) * size + voxel % size, 0.0);
}
