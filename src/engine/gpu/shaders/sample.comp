#version 460
// Results that are made from some voxels of one input: pools, interpolation, edges, every second voxel. An invocation has eight channels of a voxel.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint SAMPLING = 0;
const uint AVERAGE = 0, MAXIMUM = 1, LINEAR = 2, CORNERS = 3, NEAREST = 4, FRAMED = 5, SECOND = 6;

layout(push_constant, scalar) uniform Step {
    Sources from;
    uvec2 to;
    Words overflowed;
    uvec3 size;
    uvec3 from_size;
    // Size of a block, or how many times as large the result is; planes of zeros in front, or the first voxel.
    uvec3 factor;
};

Eight mixed(Eight a, Eight b, float weight) {
    return Eight(fma(b.low - a.low, vec4(weight), a.low), fma(b.high - a.high, vec4(weight), a.high));
}

// Two neighbours along an axis and the second one's weight, in whole numbers as far as possible. With aligned corners the
// outermost centres coincide, else the outer faces.
void neighbours(uint at, uint results, uint voxels, uint times, out uint first, out uint second, out float weight) {
    uint above = 2 * at + 1 > times ? 2 * at + 1 - times : 0, below = 2 * times;
    if (SAMPLING == CORNERS) {
        above = at * (voxels - 1);
        below = max(results - 1, 1);
    }
    first = min(above / below, voxels - 1);
    second = min(first + 1, voxels - 1);
    weight = float(above - first * below) / float(below);
}

void main() {
    uint voxels = product(size), block = gl_WorkGroupID.y;
    uint turn = turn_of_group * 64 + gl_LocalInvocationIndex, voxel = turn / 2, eight = turn % 2;
    if (voxel >= voxels) return;
    uvec3 at = place(voxel, size);
    uvec4 source = from.at[block];
    Eight value;
    if (SAMPLING == AVERAGE || SAMPLING == MAXIMUM) {
        uint count = product(factor);
        value = read_(source, index_of(at * factor, from_size), eight);
        for (uint i = 1; i < count; i++) {
            Eight next = read_(source, index_of(at * factor + place(i, factor), from_size), eight);
            if (SAMPLING == AVERAGE) value = Eight(value.low + next.low, value.high + next.high);
            else value = Eight(max(value.low, next.low), max(value.high, next.high));
        }
        if (SAMPLING == AVERAGE) {
            float share = 1.0 / float(count);
            value = Eight(value.low * share, value.high * share);
        }
    } else if (SAMPLING == NEAREST) {
        value = read_(source, index_of(min(at, from_size - 1), from_size), eight);
    } else if (SAMPLING == FRAMED) {
        // Wraps around in front, and so is outside.
        uvec3 inner = at - factor;
        value = Eight(vec4(0), vec4(0));
        if (all(lessThan(inner, from_size))) value = read_(source, index_of(inner, from_size), eight);
    } else if (SAMPLING == SECOND) {
        value = read_(source, index_of(at * 2 + factor, from_size), eight);
    } else {
        uvec3 a, b;
        vec3 w;
        [[unroll]] for (uint axis = 0; axis < 3; axis++)
            neighbours(at[axis], size[axis], from_size[axis], factor[axis], a[axis], b[axis], w[axis]);
        Eight planes[2];
        for (uint z = 0; z < 2; z++) {
            Eight rows[2];
            for (uint y = 0; y < 2; y++) {
                uvec3 left = uvec3(a.x, y == 0 ? a.y : b.y, z == 0 ? a.z : b.z);
                Eight first = read_(source, index_of(left, from_size), eight);
                Eight second = read_(source, index_of(uvec3(b.x, left.yz), from_size), eight);
                rows[y] = mixed(first, second, w.x);
            }
            planes[z] = mixed(rows[0], rows[1], w.y);
        }
        value = mixed(planes[0], planes[1], w.z);
    }
    write_(block_of(to, block, voxels), voxel, eight, value, overflowed);
}
