#version 460
// Weighted means of finished planes, and over networks.
#extension GL_GOOGLE_include_directive : require
#include "around.glsl"

// Where means go: planes from `first` on lie in a ring of `ring` planes from its plane `to` on. Those of several networks are
// summed, the last of `folds` divides.
struct Averaged { int first; int count; int ring; int to; int fold; int folds; };

layout(push_constant, scalar) uniform Arguments {
    Scores sums;
    Scores weights;
    Scores means;
    uvec2 plane;
    int classes;
    int ring;
    Averaged means_at;
    Counter not_finite;
};

void main() {
    int size = int(plane.x), voxel = int(VOXEL);
    if (VOXEL >= uint(means_at.count * size)) return;
    int slot = voxel / size, in_plane = voxel % size;
    int from = (means_at.first + slot) % ring * size + in_plane;
    float value = rounded(divided(load_(sums, LINE * ring * size + from), load_(weights, from)));
    if (!finite(value)) atomicAdd(not_finite.low, 1);
    int to = (LINE * means_at.ring + (means_at.to + slot) % means_at.ring) * size + in_plane;
    if (means_at.fold > 0) {
        precise float both = load_(means, to) + value;
        value = rounded(both);
    }
    if (means_at.folds > 1 && means_at.fold + 1 == means_at.folds) value = divided(value, float(means_at.folds));
    store_(means, to, value);
}
