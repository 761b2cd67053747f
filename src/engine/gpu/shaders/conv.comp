#version 460
// A convolution, or the kinds of a transposed one, as a sum over places of the kernel. A group computes TILE voxels of G * 8
// channels. Channels with their surroundings come to shared memory in turns, normalised and activated on the way, and serve
// all places of the kernel, or as many as there is room for: which ones, and where, is the plan's matter.
//
// HALF: tensors of halves. IMAGE: the input is the caller's image, in single precision, and so are the operands. MATRICES:
// subgroups multiply matrices of M voxels and K channels by such of K channels and N outputs; else an invocation computes
// eight outputs of G voxels.
// Weights are [kind][turn][place][output block][DEPTH][16 outputs].
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#ifdef MATRICES
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#endif
#include "common.glsl"
#if defined(HALF) && !defined(IMAGE)
#define HALF_OPERANDS
#endif

layout(local_size_x_id = 0) in;
// Voxels of a group, of what it brings to shared memory, and how far apart those are in the input.
layout(constant_id = 1) const uint TX = 16;
layout(constant_id = 2) const uint TY = 4;
layout(constant_id = 3) const uint TZ = 4;
layout(constant_id = 4) const uint AX = 18;
layout(constant_id = 5) const uint AY = 6;
layout(constant_id = 6) const uint AZ = 6;
layout(constant_id = 7) const uint BRING_X = 1;
layout(constant_id = 8) const uint BRING_Y = 1;
layout(constant_id = 9) const uint BRING_Z = 1;
// Steps from a result to the next: in shared memory, in the input, in the output.
layout(constant_id = 10) const uint NEAR_X = 1;
layout(constant_id = 11) const uint NEAR_Y = 1;
layout(constant_id = 12) const uint NEAR_Z = 1;
layout(constant_id = 13) const uint STEP_X = 1;
layout(constant_id = 14) const uint STEP_Y = 1;
layout(constant_id = 15) const uint STEP_Z = 1;
layout(constant_id = 16) const uint OUT_X = 1;
layout(constant_id = 17) const uint OUT_Y = 1;
layout(constant_id = 18) const uint OUT_Z = 1;
// Eights of output channels that a group computes; without matrices, voxels that an invocation computes.
layout(constant_id = 19) const uint G = 4;
// Channels that come at a time: 16 of halves, 8 of single numbers, as many as there are of an image.
layout(constant_id = 20) const uint DEPTH = 16;
// Whether the output is the scores, [channel][voxel] in single precision.
layout(constant_id = 21) const bool SCORES = false;

const uvec3 TILE = uvec3(TX, TY, TZ);
const uvec3 BROUGHT = uvec3(AX, AY, AZ);
const uvec3 STEP = uvec3(STEP_X, STEP_Y, STEP_Z);
const uvec3 OUT_STEP = uvec3(OUT_X, OUT_Y, OUT_Z);
#ifdef MATRICES
layout(constant_id = 22) const uint M = 16;
layout(constant_id = 23) const uint N = 16;
layout(constant_id = 24) const uint K = 16;
layout(constant_id = 25) const uint LANES = 32;
// Matrices of a subgroup.
layout(constant_id = 26) const uint ROWS = 4;
layout(constant_id = 27) const uint COLUMNS = 2;
// Eights of a matrix's row, and how many of a matrix a lane looks after.
const uint WIDE = N / 8, EACH = M * WIDE / LANES;
// What an invocation has at the end: eights of some voxels, of several groups of channels.
const uint HELD = COLUMNS * ROWS * EACH, SUMS = COLUMNS * WIDE, TEAMS = gl_WorkGroupSize.x / LANES;
#else
// Invocations that share eight channels.
const uint TEAM = gl_WorkGroupSize.x / G;
const uint HELD = G, COLUMNS = 1;
#endif

#ifdef MATRICES
// So that rows of a matrix fall on other banks.
const uint APART = 3;
shared uvec4 near[AX * AY * AZ * APART];
#elif defined(HALF_OPERANDS)
const uint APART = 2;
shared uvec4 near[AX * AY * AZ * APART];
#else
const uint APART = DEPTH | 1;
shared float near[AX * AY * AZ * APART];
#endif
// For sums over invocations: of each subgroup.
#ifdef MATRICES
shared Eight parts[TEAMS * SUMS];
#else
shared Eight parts[64];
#endif

layout(push_constant, scalar) uniform Step {
    // The sources; or the image, [channel][voxel].
    uvec2 from;
    // A tensor, or the scores.
    uvec2 to;
    Raw weights;
    Table bias;
    // [kind][tile][channel][count, mean, sum of squared differences]; null: none are wanted.
    Numbers partials;
    // Blocks that are added to the results; null: none.
    Sources residual;
    // Of each kind eight words: first result (x, y, z), where its turns' parts start, how many they are, its places, where its
    // weights start in sixteens of bytes. Of each part: where it lies from the tile's first voxel (x, y, z), where its places
    // start, how many these are, the first one's number. Of each place: where it is in shared memory.
    Words plan;
    Words overflowed;
    // Results of a kind along x, y, z.
    uvec3 size;
    uvec3 from_size;
    // The first voxel that the first result reads.
    ivec3 corner;
    uint turns;
    uint outputs;
    // Channels of the image.
    uint channels;
};

// Brings what a part of a turn needs; outside of the input are zeros.
void bring(uint turn, uvec3 corner_) {
    uint count = product(BROUGHT);
#ifdef IMAGE
    uint voxels = product(from_size);
    Numbers image = Numbers(from);
    for (uint i = gl_LocalInvocationIndex; i < count * DEPTH; i += gl_WorkGroupSize.x) {
        uint v = i % count, channel = turn * DEPTH + i / count;
        // Wraps around below zero, and so is outside.
        uvec3 at = corner_ + place(v, BROUGHT) * uvec3(BRING_X, BRING_Y, BRING_Z);
        float value = 0;
        if (all(lessThan(at, from_size)) && channel < channels) value = image.at[channel * voxels + index_of(at, from_size)];
        near[v * APART + i / count] = value;
    }
#else
#ifdef HALF_OPERANDS
    uvec4 source = Sources(from).at[turn];
    for (uint i = gl_LocalInvocationIndex; i < count * 2; i += gl_WorkGroupSize.x) {
        uint v = i / 2, eight = i % 2;
        uvec3 at = corner_ + place(v, BROUGHT) * uvec3(BRING_X, BRING_Y, BRING_Z);
        uvec4 value = uvec4(0);
        if (all(lessThan(at, from_size))) {
            value = Raw(source.xy).at[index_of(at, from_size) * 2 + eight];
            if (!is_null(source.zw)) value = closed(activated(opened(value), Table(source.zw), eight));
        }
        near[v * APART + eight] = value;
    }
#else
    uvec4 source = Sources(from).at[turn / 2];
    for (uint v = gl_LocalInvocationIndex; v < count; v += gl_WorkGroupSize.x) {
        uvec3 at = corner_ + place(v, BROUGHT) * uvec3(BRING_X, BRING_Y, BRING_Z);
        Eight value = Eight(vec4(0), vec4(0));
        if (all(lessThan(at, from_size))) value = read_(source, index_of(at, from_size), turn % 2);
        [[unroll]] for (uint i = 0; i < 4; i++) {
            near[v * APART + i] = value.low[i];
            near[v * APART + 4 + i] = value.high[i];
        }
    }
#endif
#endif
}

#ifdef MATRICES
coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> sums[ROWS][COLUMNS];

// The sums of values over the invocations that have the same channels.
void gather(inout Eight own[COLUMNS]) {
    barrier();
    uint wide = gl_SubgroupInvocationID % WIDE;
    [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
        for (uint step = WIDE; step < LANES; step *= 2) {
            own[c].low += subgroupShuffleXor(own[c].low, step);
            own[c].high += subgroupShuffleXor(own[c].high, step);
        }
        if (gl_SubgroupInvocationID < WIDE) parts[gl_SubgroupID * SUMS + c * WIDE + wide] = own[c];
    }
    barrier();
    [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
        own[c] = Eight(vec4(0), vec4(0));
        for (uint team = 0; team < TEAMS; team++) {
            own[c].low += parts[team * SUMS + c * WIDE + wide].low;
            own[c].high += parts[team * SUMS + c * WIDE + wide].high;
        }
    }
}

vec4 four(uint place) { return uintBitsToFloat(near[place / 4]); }
#else
// The sum of values over the invocations that share channels.
void gather(inout Eight sums[COLUMNS]) {
    uint group = (gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID) / TEAM;
    Eight own = sums[0];
    barrier();
    own = Eight(subgroupAdd(own.low), subgroupAdd(own.high));
    if (subgroupElect()) parts[gl_SubgroupID] = own;
    barrier();
    Eight all_ = Eight(vec4(0), vec4(0));
    uint each = TEAM / gl_SubgroupSize;
    for (uint i = group * each; i < (group + 1) * each; i++) {
        all_.low += parts[i].low;
        all_.high += parts[i].high;
    }
    sums[0] = all_;
}
#endif

void main() {
    uvec3 tiles = (size + TILE - 1) / TILE;
    uint tile = turn_of_group;
    if (tile >= product(tiles)) return;
    uvec3 first = place(tile, tiles) * TILE;
    uint out_blocks = (outputs + 15) / 16, shares = (out_blocks * 2 + G - 1) / G;
    uint kind = gl_WorkGroupID.y / shares;
    // How indices fall on subgroups is the device's matter, so that lanes are counted here.
    uint lane = gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID;
    uint first_eight = gl_WorkGroupID.y % shares * G;
#ifdef MATRICES
    const uint MINE = ROWS;
    uint first_row = gl_SubgroupID * ROWS;
#define VOXEL_OF_OPERAND(j) ((first_row + (j)) * M)
#define VOXEL(j) ((first_row + (j) / EACH % ROWS) * M + ((j) % EACH * LANES + gl_SubgroupInvocationID) / WIDE)
#define EIGHT(j) (first_eight + (j) / (ROWS * EACH) * WIDE + gl_SubgroupInvocationID % WIDE)
#define COLUMN(j) ((j) / (ROWS * EACH))
    [[unroll]] for (uint r = 0; r < ROWS; r++)
        [[unroll]] for (uint c = 0; c < COLUMNS; c++)
            sums[r][c] = coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0.0);
#else
    const uint MINE = G;
#define VOXEL(j) (lane % TEAM + (j) * TEAM)
#define VOXEL_OF_OPERAND(j) VOXEL(j)
#define EIGHT(j) (first_eight + lane / TEAM)
#define COLUMN(j) 0
    uint own_eight = EIGHT(0), out_block = min(own_eight / 2, out_blocks - 1);
#endif

    uint voxel_near[MINE];
    [[unroll]] for (uint j = 0; j < MINE; j++) {
        uvec3 at = place(VOXEL_OF_OPERAND(j), TILE) * uvec3(NEAR_X, NEAR_Y, NEAR_Z);
        voxel_near[j] = index_of(at, BROUGHT);
    }
    vec4 low[HELD], high[HELD];
    [[unroll]] for (uint j = 0; j < HELD; j++) {
        low[j] = vec4(0);
        high[j] = vec4(0);
    }

    uint of_kind = kind * 8;
    uint parts_of_kind = plan.at[of_kind + 4], places = plan.at[of_kind + 5];
    // Some drivers load once more, for no invocation, when a loop has ended: what leads to further addresses stays in range.
    for (uint next_turn = 0; next_turn < turns; next_turn++) {
        uint turn = min(next_turn, turns - 1);
        for (uint part = 0; part < parts_of_kind; part++) {
            uint at = plan.at[of_kind + 3] + min(part, parts_of_kind - 1) * 6;
            uvec3 offset = uvec3(plan.at[at], plan.at[at + 1], plan.at[at + 2]);
            barrier();
            bring(turn, first * STEP + uvec3(corner) + offset);
            barrier();
            uint start = plan.at[at + 3], count = plan.at[at + 4], number = plan.at[at + 5];
            for (uint p = 0; p < count; p++) {
                uint apart = plan.at[start + p];
                // Of one input channel 16 outputs: two sixteens of bytes of halves, four of single numbers.
                uint w = plan.at[of_kind + 6];
#ifdef MATRICES
                w += (turn * places + number + p) * out_blocks * 32;
                // Voxels next to each other are a matrix as they lie there; without surroundings, in any order of the tile.
                [[unroll]] for (uint k = 0; k < 16; k += K) {
                    coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> right[COLUMNS];
                    [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
                        uint eight = min(first_eight + c * WIDE, out_blocks * 2 - WIDE);
                        coopMatLoad(right[c], weights.at, w + eight / 2 * 32 + k * 2 + eight % 2, 2,
                                    gl_CooperativeMatrixLayoutRowMajor);
                    }
                    [[unroll]] for (uint r = 0; r < ROWS; r++) {
                        coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> left;
                        coopMatLoad(left, near, (voxel_near[r] + apart) * APART + k / 8, APART * NEAR_X,
                                    gl_CooperativeMatrixLayoutRowMajor);
                        [[unroll]] for (uint c = 0; c < COLUMNS; c++)
                            sums[r][c] = coopMatMulAdd(left, right[c], sums[r][c]);
                    }
                }
#elif defined(HALF_OPERANDS)
                w += ((turn * places + number + p) * out_blocks + out_block) * DEPTH * 2 + own_eight % 2;
                for (uint eight = 0; eight < 2; eight++) {
                    Eight value[G];
                    [[unroll]] for (uint j = 0; j < G; j++) value[j] = opened(near[(voxel_near[j] + apart) * APART + eight]);
                    [[unroll]] for (uint c = 0; c < 8; c++) {
                        Eight weight = opened(weights.at[w + (eight * 8 + c) * 2]);
                        [[unroll]] for (uint j = 0; j < G; j++) {
                            float x = c < 4 ? value[j].low[c] : value[j].high[c - 4];
                            low[j] = fma(vec4(x), weight.low, low[j]);
                            high[j] = fma(vec4(x), weight.high, high[j]);
                        }
                    }
                }
#else
                w += ((turn * places + number + p) * out_blocks + out_block) * DEPTH * 4 + own_eight % 2 * 2;
                for (uint c = 0; c < DEPTH; c++) {
                    vec4 a = uintBitsToFloat(weights.at[w + c * 4]), b = uintBitsToFloat(weights.at[w + c * 4 + 1]);
                    [[unroll]] for (uint j = 0; j < G; j++) {
                        float x = near[(voxel_near[j] + apart) * APART + c];
                        low[j] = fma(vec4(x), a, low[j]);
                        high[j] = fma(vec4(x), b, high[j]);
                    }
                }
#endif
            }
        }
    }

#ifdef MATRICES
    // Each subgroup's matrices one by one through shared memory, where its lanes find eights.
    barrier();
    uint shown = gl_SubgroupID * M * N;
    [[unroll]] for (uint c = 0; c < COLUMNS; c++)
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            subgroupBarrier();
            coopMatStore(sums[r][c], near, shown / 4, N / 4, gl_CooperativeMatrixLayoutRowMajor);
            subgroupBarrier();
            [[unroll]] for (uint i = 0; i < EACH; i++) {
                uint at = shown + (i * LANES + gl_SubgroupInvocationID) * 8, j = (c * ROWS + r) * EACH + i;
                low[j] = four(at);
                high[j] = four(at + 4);
            }
        }
#endif

    uvec3 start = uvec3(plan.at[of_kind], plan.at[of_kind + 1], plan.at[of_kind + 2]);
    uvec3 to_size = size * OUT_STEP;
    uint to_voxels = product(to_size);
    uvec3 inside = min(TILE, size - first);
    Eight total[COLUMNS];
    [[unroll]] for (uint c = 0; c < COLUMNS; c++) total[c] = Eight(vec4(0), vec4(0));
    [[unroll]] for (uint j = 0; j < HELD; j++) {
        uvec3 local = place(VOXEL(j), TILE);
        uint out_eight = EIGHT(j), block = out_eight / 2, eight = out_eight % 2;
        if (any(greaterThanEqual(local, inside)) || block >= out_blocks) continue;
        uint voxel = index_of((first + local) * OUT_STEP + start, to_size);
        low[j] += bias.at[out_eight * 2];
        high[j] += bias.at[out_eight * 2 + 1];
        if (!is_null(uvec2(residual))) {
            Eight other = read_(residual.at[block], voxel, eight);
            low[j] += other.low;
            high[j] += other.high;
        }
        if (SCORES) {
            Numbers scores = Numbers(to);
            [[unroll]] for (uint c = 0; c < 8; c++) {
                uint channel = out_eight * 8 + c;
                if (channel < outputs) scores.at[channel * to_voxels + voxel] = c < 4 ? low[j][c] : high[j][c - 4];
            }
        } else {
            write_(block_of(to, block, to_voxels), voxel, eight, Eight(low[j], high[j]), overflowed);
        }
        total[COLUMN(j)].low += low[j];
        total[COLUMN(j)].high += high[j];
    }
    if (is_null(uvec2(partials))) return;

    float count = float(product(inside));
    gather(total);
    Eight squares[COLUMNS];
    [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
        total[c] = Eight(total[c].low / count, total[c].high / count);
        squares[c] = Eight(vec4(0), vec4(0));
    }
    [[unroll]] for (uint j = 0; j < HELD; j++) {
        uvec3 local = place(VOXEL(j), TILE);
        if (any(greaterThanEqual(local, inside))) continue;
        vec4 a = low[j] - total[COLUMN(j)].low, b = high[j] - total[COLUMN(j)].high;
        squares[COLUMN(j)].low += a * a;
        squares[COLUMN(j)].high += b * b;
    }
    gather(squares);
#ifdef MATRICES
    bool tells = lane < WIDE;
#else
    bool tells = lane % TEAM == 0;
#endif
    uint slot = kind * product(tiles) + tile;
    [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
        uint out_eight = EIGHT(c * (HELD / COLUMNS));
        if (!tells || out_eight >= out_blocks * 2) continue;
        for (uint i = 0; i < 8; i++) {
            uint at = (slot * out_blocks * 16 + out_eight * 8 + i) * 3;
            partials.at[at] = count;
            partials.at[at + 1] = channel_of(total[c], i);
            partials.at[at + 2] = channel_of(squares[c], i);
        }
    }
}
