#version 460
// A tile of the image, which is [channels, ring, rows, columns].
#extension GL_GOOGLE_include_directive : require
#include "around.glsl"

layout(push_constant, scalar) uniform Arguments {
    Numbers image;
    Numbers to;
    Placed tile;
    int channels;
    int ring;
    int flips;
    // Whether the image's nearest voxel is outside of it, else `value`.
    int edge;
    float value;
};

void main() {
    int size = product(tile.size), voxel = int(VOXEL);
    if (VOXEL >= uint(size)) return;
    ivec3 at = tile.start + place_in(tile.size, voxel, flips) - tile.below;
    ivec3 near = clamp(at, ivec3(0), tile.image - 1);
    int from = ((LINE * ring + near.x % ring) * tile.image.y + near.y) * tile.image.z + near.z;
    to.at[LINE * size + voxel] = near == at || edge != 0 ? image.at[from] : value;
}
