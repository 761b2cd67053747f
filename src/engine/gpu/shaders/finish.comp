#version 460
// Statistics become scale and shift of each channel: one group of invocations for channels that share theirs.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;

layout(push_constant, scalar) uniform Step {
    // [slot][padded channel][count, mean, sum of squared differences].
    Numbers partials;
    // The network's own factor and summand of each channel.
    Numbers scale;
    Numbers shift;
    Numbers table;
    uint slots;
    uint channels;
    // Channels that share their statistics.
    uint together;
    float epsilon;
};

shared vec3 moments[64];

void main() {
    uint first = gl_WorkGroupID.x * together, i = gl_LocalInvocationIndex, padded = (channels + 15) / 16 * 16;
    uint count = min(together, channels - first);
    vec3 own = vec3(0);
    for (uint turn = i; turn < slots * count; turn += 64) {
        uint at = (turn / count * padded + first + turn % count) * 3;
        own = joined(own, vec3(partials.at[at], partials.at[at + 1], partials.at[at + 2]));
    }
    moments[i] = own;
    for (uint half_ = 32; half_ > 0; half_ /= 2) {
        barrier();
        if (i < half_) moments[i] = joined(moments[i], moments[i + half_]);
    }
    barrier();
    vec3 all_ = moments[0];
    for (uint c = first + i; c < first + count; c += 64) {
        float factor = scale.at[c] / sqrt(all_.z / all_.x + epsilon);
        uint at = c / 16 * 48 + c % 16;
        table.at[at] = factor;
        table.at[at + 16] = shift.at[c] - all_.y * factor;
    }
}
