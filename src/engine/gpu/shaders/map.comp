#version 460
// Each voxel by itself: copies, sums, products, activations that tables can't tell. A group computes 1024 voxels of a block, and
// gathers their statistics where these are wanted.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "statistics.glsl"

const uint LANES = 64, CHUNK = 1024;
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint FUNCTION = 0;
const uint COPY = 0, ADD = 1, MULTIPLY = 2, SLOPES = 3, ELU = 4, GELU = 5, SIGMOID = 6, TANH = 7;

layout(push_constant, scalar) uniform Step {
    Sources from;
    // The second term or factor.
    Sources other;
    uvec2 to;
    // Slopes of the negative side, 16 a block.
    Table slopes;
    // Of each chunk; null: none are wanted.
    Numbers partials;
    Words overflowed;
    uvec3 size;
    // The second factor's: 1, or the first one's.
    uvec3 other_size;
    uint blocks;
    float alpha;
};

// erf(|x|) by Abramowitz and Stegun, 7.1.26: within 1.5e-7.
vec4 erf_(vec4 x) {
    vec4 t = 1.0 / (1.0 + 0.3275911 * abs(x));
    vec4 sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(x) * (1.0 - sum * exp(-x * x));
}

vec4 function(vec4 x, vec4 second, vec4 slope) {
    switch (FUNCTION) {
        case ADD: return x + second;
        case MULTIPLY: return x * second;
        case SLOPES: return mix(x, x * slope, lessThan(x, vec4(0)));
        case ELU: {
            // Near zero by its series, where exp(x) - 1 would lose its digits.
            vec4 small = x * (1.0 + x * (0.5 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x / 120.0))));
            vec4 down = mix(exp(min(x, vec4(0))) - 1.0, small, greaterThan(x, vec4(-0.125)));
            return mix(x, alpha * down, lessThan(x, vec4(0)));
        }
        case GELU: return x * 0.5 * (1.0 + erf_(x * 0.70710678118654752));
        case SIGMOID: return 1.0 / (1.0 + exp(-x));
        // Beyond, some devices divide infinities.
        case TANH: return tanh(clamp(x, -15.0, 15.0));
    }
    return x;
}

void main() {
    uint voxels = product(size), chunk = turn_of_group, block = gl_WorkGroupID.y;
    if (chunk * CHUNK >= voxels) return;
    uint lane = gl_LocalInvocationIndex, eight = lane % 2, end = min(voxels, (chunk + 1) * CHUNK);
    uvec4 source = from.at[block];
    uvec4 second = uvec4(0);
    if (FUNCTION == ADD || FUNCTION == MULTIPLY) second = other.at[block];
    vec4 slope_low = vec4(1), slope_high = vec4(1);
    if (FUNCTION == SLOPES) {
        slope_low = slopes.at[block * 4 + eight * 2];
        slope_high = slopes.at[block * 4 + eight * 2 + 1];
    }
    uvec2 target = block_of(to, block, voxels);
    bool gathers = !is_null(uvec2(partials));
    Moments own = none_yet();
    for (uint voxel = chunk * CHUNK + lane / 2; voxel < end; voxel += LANES / 2) {
        Eight value = read_(source, voxel, eight);
        Eight with = Eight(vec4(0), vec4(0));
        if (FUNCTION == ADD) {
            with = read_(second, voxel, eight);
        } else if (FUNCTION == MULTIPLY) {
            uvec3 at = mix(place(voxel, size), uvec3(0), equal(other_size, uvec3(1)));
            with = read_(second, index_of(at, other_size), eight);
        }
        value = Eight(function(value.low, with.low, slope_low), function(value.high, with.high, slope_high));
        write_(target, voxel, eight, value, overflowed);
        if (gathers) add(own, value);
    }
    if (gathers) tell(own, partials, chunk, block, blocks);
}
