#version 460
// Adds a tile's scores, times the weights of its voxels, to the sums [classes, ring, rows, columns]; behind the last class the
// weights themselves to theirs.
#extension GL_GOOGLE_include_directive : require
#include "around.glsl"

layout(push_constant, scalar) uniform Arguments {
    Numbers scores;
    Numbers window;
    Scores sums;
    Scores weights;
    Placed tile;
    int classes;
    int ring;
};

void main() {
    int size = product(tile.size), voxel = int(VOXEL);
    if (VOXEL >= uint(size)) return;
    ivec3 at = tile.start + place_in(tile.size, voxel, 0) - tile.below;
    if (at != clamp(at, ivec3(0), tile.image - 1)) return;
    int plane = tile.image.y * tile.image.z;
    int to = at.x % ring * plane + at.y * tile.image.z + at.z;
    if (LINE == classes) {
        precise float sum = load_(weights, to) + window.at[voxel];
        store_(weights, to, sum);
    } else {
        to += LINE * ring * plane;
        precise float term = scores.at[LINE * size + voxel] * window.at[voxel];
        precise float sum = load_(sums, to) + term;
        store_(sums, to, sum);
    }
}
