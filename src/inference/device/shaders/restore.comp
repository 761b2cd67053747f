#version 460
// Scores brought onto the grid of the labels, along all three axes, and decided there.
#extension GL_GOOGLE_include_directive : require
#include "around.glsl"

// As `decided` in ../kernels.cu.
struct Decided {
    int classes;
    int ring;
    int planes;
    int rows;
    int columns;
    int depth;
    int height;
    int width;
    int first;
    int count;
    int rounds;
    int regions;
    int at_half;
    int on_probabilities;
    int mark;
    float clear;
    float near_tie;
    float step;
};

layout(push_constant, scalar) uniform Arguments {
    Scores scores;
    // For each output along the three axes the two inputs that it lies between, and the weight of the second; an input one beyond
    // the last is zero.
    Whole between;
    Numbers weights;
    // Class and label of each.
    Whole regions;
    Halves labels;
    Decided how;
    Counter near_ties;
};

// The inputs around the voxel.
ivec3 low, high;
vec3 weight;

float mixed(float a, float b, float share) {
    precise float apart = b - a;
    precise float part = share * apart;
    precise float both = a + part;
    return both;
}

float on_line(int line) {
    float a = low.z == how.columns ? 0.0 : load_(scores, line * how.columns + low.z);
    float b = high.z == how.columns ? 0.0 : load_(scores, line * how.columns + high.z);
    return mixed(a, b, weight.z);
}

float in_plane(int c, int plane) {
    if (plane == how.planes) return 0.0;
    int first = (c * how.ring + plane % how.ring) * how.rows;
    float a = low.y == how.rows ? 0.0 : on_line(first + low.y);
    if (weight.y == 0.0) return a;
    float b = high.y == how.rows ? 0.0 : on_line(first + high.y);
    return mixed(a, b, weight.y);
}

float score_at(int c) {
    float a = in_plane(c, low.x);
    float b = weight.x == 0.0 ? a : in_plane(c, high.x);
    float score = mixed(a, b, weight.x);
    return how.rounds != 0 ? widened(narrowed(score)) : score;
}

// Whether the two highest probabilities of the voxel differ by at most `near_tie`, from its scores.
bool nearly_ties(float best, float second) {
    precise float apart = second - best;
    float gap = exponential(apart);
    precise float rest = 1.0 - gap;
    float least = divided(rest, how.near_tie);
    float third = uintBitsToFloat(0xff800000);
    precise float others = 0.0;
    int equals = 0;
    for (int c = 0; c < how.classes; c++) {
        float score = score_at(c);
        if (score < second) {
            third = score > third ? score : third;
            precise float under = score - best;
            others = others + exponential(under);
        } else {
            equals++;
        }
    }
    precise float two = 1.0 + gap;
    precise float under = third - best;
    precise float count = float(how.classes) - 2.0;
    precise float most = count * exponential(under);
    most = two + most;
    if (most < least) return false;
    precise float all_ = float(equals) - 1.0;
    all_ = all_ * gap;
    all_ = 1.0 + all_;
    all_ = all_ + others;
    return all_ >= least;
}

void main() {
    int size = how.height * how.width, voxel = int(VOXEL);
    if (VOXEL >= uint(how.count * size)) return;
    ivec3 to = ivec3(how.first + voxel / size, how.depth + voxel % size / how.width,
                     how.depth + how.height + voxel % how.width);
    [[unroll]] for (int axis = 0; axis < 3; axis++) {
        low[axis] = between.at[2 * to[axis]];
        high[axis] = between.at[2 * to[axis] + 1];
        weight[axis] = weights.at[to[axis]];
    }
    int label = 0;
    bool close = false;
    if (how.regions != 0) {
        float half_ = how.on_probabilities != 0 ? 0.5 : 0.0;
        for (int region = 0; region < how.regions; region++) {
            precise float over = score_at(regions.at[2 * region]) - half_;
            if (over > how.step || (how.at_half != 0 && over >= -how.step)) label = regions.at[2 * region + 1];
            close = close || (over <= how.clear && over >= -how.clear);
        }
    } else {
        float top = uintBitsToFloat(0xff800000), next = top;
        for (int c = 0; c < how.classes; c++) {
            float score = score_at(c);
            bool wins = score > top;
            float loser = wins ? top : score;
            next = loser > next ? loser : next;
            top = wins ? score : top;
            label = wins ? c : label;
        }
        precise float lead = top - next;
        precise float second = top - lead;
        if (lead <= how.clear) close = how.on_probabilities != 0 ? top > 0.0 : nearly_ties(top, second);
    }
    labels.at[voxel] = uint16_t(close ? label | how.mark : label);
    if (close) atomicAdd(near_ties.low, 1);
}
