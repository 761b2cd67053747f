#version 460
// Scores become probabilities: of all classes of a voxel together, or with `regions` of each by itself.
#extension GL_GOOGLE_include_directive : require
#include "around.glsl"

layout(push_constant, scalar) uniform Arguments {
    Scores scores;
    uvec2 plane;
    int classes;
    int ring;
    int first;
    int count;
    int regions;
};

void main() {
    int size = int(plane.x), voxel = int(VOXEL);
    if (VOXEL >= uint(count * size)) return;
    int at = (first + voxel / size) % ring * size + voxel % size, step = ring * size;
    if (regions != 0) {
        for (int c = 0; c < classes; c++) {
            precise float below = 1.0 + exponential(-load_(scores, at + c * step));
            store_(scores, at + c * step, divided(1.0, below));
        }
        return;
    }
    float top = uintBitsToFloat(0xff800000);
    for (int c = 0; c < classes; c++) {
        float score = load_(scores, at + c * step);
        top = score > top ? score : top;
    }
    precise float sum = 0.0;
    for (int c = 0; c < classes; c++) {
        precise float under = load_(scores, at + c * step) - top;
        sum = sum + exponential(under);
    }
    for (int c = 0; c < classes; c++) {
        precise float under = load_(scores, at + c * step) - top;
        store_(scores, at + c * step, divided(exponential(under), sum));
    }
}
