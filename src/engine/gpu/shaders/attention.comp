#version 460
// softmax(Q Kᵀ / √d + bias) V among the voxels of a window, for one head. A group has some queries of a window; keys, then values,
// come to shared memory a few at a time, and what was summed up so far is scaled whenever a higher score comes, so that no more
// scores than QUERIES × KEYS exist at once (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).
//
// Invocations are a square: each has every eighth query from its row on, and every eighth key, then channel, from its column on.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

const uint LANES = 64, SIDE = 8;
layout(local_size_x = 64) in;
// Channels of a head, and queries and keys of an invocation.
layout(constant_id = 0) const uint WIDTH = 16;
layout(constant_id = 1) const uint QUERIES_EACH = 4;
layout(constant_id = 2) const uint KEYS_EACH = 4;
// Whether something is added by the difference of two voxels' places.
layout(constant_id = 3) const bool BIASED = false;
// Whether some windows' last voxels continue at the origin.
layout(constant_id = 4) const bool SHIFTED = false;

const uint QUERIES = SIDE * QUERIES_EACH, KEYS = SIDE * KEYS_EACH, CHANNELS_EACH = (WIDTH + SIDE - 1) / SIDE;
// So that rows fall on other banks.
const uint ROW = WIDTH | 1, SCORES = KEYS + 1;
// Added to scores of voxels that aren't neighbours, and less than any score.
const float APART = -100.0, LOWEST = -1e30;

layout(push_constant, scalar) uniform Step {
    // Queries, keys and values, each head by head, 16 channels a block.
    Sources from;
    uvec2 to;
    // [head][row of relative places].
    Numbers bias;
    Words overflowed;
    uvec3 size;
    // Windows: voxels of one, how many they are, where the first one starts.
    uvec3 window;
    uvec3 windows;
    uvec3 shift;
    // The window whose relative places the bias has.
    uvec3 whole;
    uint heads;
    float scale;
};

// Queries, then keys or values.
shared float near[(QUERIES + KEYS) * ROW];
shared float scores[QUERIES * SCORES];
// Of each query by columns: highest scores, in the end sums.
shared float by_column[QUERIES * SIDE];
// Of queries and keys.
shared uint voxel_of[QUERIES + KEYS];
shared uint row_of[QUERIES + KEYS];
shared uint stretch_of[QUERIES + KEYS];

uint relative(uvec3 at) { return (at.z * (2 * whole.y - 1) + at.y) * (2 * whole.x - 1) + at.x; }

// Where tokens from `first` on lie, `count` of them from `place_` on. Those behind the last one lie where the first one does.
void find(uint window_, uint first, uint count, uint place_) {
    uint tokens = product(window);
    for (uint i = gl_LocalInvocationIndex; i < count; i += LANES) {
        uint token = first + i < tokens ? first + i : 0;
        uvec3 at = place(window_, windows) * window + place(token, window);
        voxel_of[place_ + i] = index_of((at + shift) % size, size);
        if (BIASED) row_of[place_ + i] = relative(place(token, whole));
        uint stretch = 0;
        // Of the last window, the part before the volume's end and the one that continues at its origin.
        if (SHIFTED) [[unroll]] for (uint axis = 0; axis < 3; axis++) {
            uint own = at[axis] < size[axis] - shift[axis] ? 1 : 2;
            if (shift[axis] == 0 || at[axis] < size[axis] - window[axis]) own = 0;
            stretch = stretch * 3 + own;
        }
        stretch_of[place_ + i] = stretch;
    }
}

// Brings channels from `first` on of `there` tokens, and zeros for those behind them.
void bring(uint first, uint there, uint count, uint place_, float factor) {
    uint eights = (first + WIDTH - 1) / 8 - first / 8 + 1;
    for (uint i = gl_LocalInvocationIndex; i < count * eights; i += LANES) {
        uint token = i / eights, eight = first / 8 + i % eights;
        Eight value = Eight(vec4(0), vec4(0));
        if (token < there) value = read_(from.at[eight / 2], voxel_of[place_ + token], eight % 2);
        for (uint c = 0; c < 8; c++) {
            // Wraps around in front, and so is outside.
            uint channel = eight * 8 + c - first;
            if (channel < WIDTH) near[(place_ + token) * ROW + channel] = channel_of(value, c) * factor;
        }
    }
}

void write_one(uint channel, uint voxel, float value) {
    uvec2 block = block_of(to, channel / 16, product(size));
    uint at = voxel * 16 + channel % 16;
#ifdef HALF
    Halves(block).at[at] = float16_t(value);
    if (!(abs(value) < 65520.0)) overflowed.at[0] = 1;
#else
    Numbers(block).at[at] = value;
#endif
}

void main() {
    uint tokens = product(window), turns = (tokens + QUERIES - 1) / QUERIES;
    uint window_ = turn_of_group / turns, first = turn_of_group % turns * QUERIES, head = gl_WorkGroupID.y;
    if (window_ >= product(windows)) return;
    uint row = gl_LocalInvocationIndex / SIDE, column = gl_LocalInvocationIndex % SIDE;
    uint own = head * WIDTH, all_ = heads * WIDTH, queries = min(QUERIES, tokens - first);
    uint places = (2 * whole.x - 1) * (2 * whole.y - 1) * (2 * whole.z - 1), centre = relative(whole - 1);

    find(window_, first, QUERIES, 0);
    barrier();
    bring(own, queries, QUERIES, 0, scale);
    float highest[QUERIES_EACH], sums[QUERIES_EACH], totals[QUERIES_EACH][CHANNELS_EACH];
    [[unroll]] for (uint q = 0; q < QUERIES_EACH; q++) {
        highest[q] = LOWEST;
        sums[q] = 0;
        [[unroll]] for (uint c = 0; c < CHANNELS_EACH; c++) totals[q][c] = 0;
    }
    for (uint start = 0; start < tokens; start += KEYS) {
        uint keys = min(KEYS, tokens - start);
        barrier();
        find(window_, start, KEYS, QUERIES);
        barrier();
        bring(all_ + own, keys, KEYS, QUERIES, 1);
        barrier();
        float score[QUERIES_EACH][KEYS_EACH];
        [[unroll]] for (uint q = 0; q < QUERIES_EACH; q++)
            [[unroll]] for (uint k = 0; k < KEYS_EACH; k++) score[q][k] = 0;
        for (uint c = 0; c < WIDTH; c++) {
            float key[KEYS_EACH];
            [[unroll]] for (uint k = 0; k < KEYS_EACH; k++) key[k] = near[(QUERIES + column + k * SIDE) * ROW + c];
            [[unroll]] for (uint q = 0; q < QUERIES_EACH; q++) {
                float query = near[(row + q * SIDE) * ROW + c];
                [[unroll]] for (uint k = 0; k < KEYS_EACH; k++) score[q][k] = fma(query, key[k], score[q][k]);
            }
        }
        [[unroll]] for (uint q = 0; q < QUERIES_EACH; q++) {
            float most = LOWEST;
            uint query = row + q * SIDE;
            [[unroll]] for (uint k = 0; k < KEYS_EACH; k++) {
                uint key = column + k * SIDE;
                if (BIASED) score[q][k] += bias.at[head * places + row_of[query] + centre - row_of[QUERIES + key]];
                if (SHIFTED && stretch_of[query] != stretch_of[QUERIES + key]) score[q][k] += APART;
                if (key >= keys) score[q][k] = LOWEST;
                most = max(most, score[q][k]);
            }
            by_column[query * SIDE + column] = most;
        }
        barrier();
        bring(2 * all_ + own, keys, KEYS, QUERIES, 1);
        [[unroll]] for (uint q = 0; q < QUERIES_EACH; q++) {
            uint query = row + q * SIDE;
            float most = highest[q];
            for (uint i = 0; i < SIDE; i++) most = max(most, by_column[query * SIDE + i]);
            float factor = exp(highest[q] - most);
            highest[q] = most;
            sums[q] *= factor;
            [[unroll]] for (uint c = 0; c < CHANNELS_EACH; c++) totals[q][c] *= factor;
            [[unroll]] for (uint k = 0; k < KEYS_EACH; k++) {
                float share = exp(score[q][k] - most);
                sums[q] += share;
                scores[query * SCORES + column + k * SIDE] = share;
            }
        }
        barrier();
        for (uint k = 0; k < keys; k++) {
            float share[QUERIES_EACH];
            [[unroll]] for (uint q = 0; q < QUERIES_EACH; q++) share[q] = scores[(row + q * SIDE) * SCORES + k];
            [[unroll]] for (uint c = 0; c < CHANNELS_EACH; c++) {
                float value = near[(QUERIES + k) * ROW + min(column + c * SIDE, WIDTH - 1)];
                [[unroll]] for (uint q = 0; q < QUERIES_EACH; q++) totals[q][c] = fma(share[q], value, totals[q][c]);
            }
        }
    }

    // By_column was read before the last barrier.
    [[unroll]] for (uint q = 0; q < QUERIES_EACH; q++) by_column[(row + q * SIDE) * SIDE + column] = sums[q];
    barrier();
    [[unroll]] for (uint q = 0; q < QUERIES_EACH; q++) {
        uint query = row + q * SIDE;
        float sum = 0;
        for (uint i = 0; i < SIDE; i++) sum += by_column[query * SIDE + i];
        [[unroll]] for (uint c = 0; c < CHANNELS_EACH; c++) {
            uint channel = column + c * SIDE;
            if (channel < WIDTH) near[query * ROW + channel] = totals[q][c] / sum;
        }
    }
    barrier();
    // Lanes behind the last channel hold zeros.
    uint each = head + 1 == heads ? (all_ + 15) / 16 * 16 - own : WIDTH;
    for (uint i = gl_LocalInvocationIndex; i < queries * each; i += LANES) {
        uint query = i / each, channel = i % each;
        write_one(own + channel, voxel_of[query], channel < WIDTH ? near[query * ROW + channel] : 0);
    }
}
