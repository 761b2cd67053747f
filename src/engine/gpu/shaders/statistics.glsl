// Statistics of what a group of 64 writes of a block, of which an invocation has the first or the second eight channels by turns.
shared vec3 moments[32][16];

struct Moments { float count; Eight mean; Eight squares; };

Moments none_yet() { return Moments(0, Eight(vec4(0), vec4(0)), Eight(vec4(0), vec4(0))); }

void add(inout Moments own, Eight value) {
    own.count += 1;
    vec4 low = value.low - own.mean.low, high = value.high - own.mean.high;
    own.mean.low += low / own.count;
    own.mean.high += high / own.count;
    own.squares.low += low * (value.low - own.mean.low);
    own.squares.high += high * (value.high - own.mean.high);
}

// Writes them to a slot: [slot][channel][count, mean, sum of squared differences].
void tell(Moments own, Numbers partials, uint slot, uint block, uint blocks) {
    uint lane = gl_LocalInvocationIndex;
    for (uint c = 0; c < 8; c++)
        moments[lane / 2][lane % 2 * 8 + c] = vec3(own.count, channel_of(own.mean, c), channel_of(own.squares, c));
    barrier();
    if (lane >= 16) return;
    vec3 all_ = vec3(0);
    for (uint i = 0; i < 32; i++) all_ = joined(all_, moments[i][lane]);
    uint at = (slot * blocks * 16 + block * 16 + lane) * 3;
    partials.at[at] = all_.x;
    partials.at[at + 1] = all_.y;
    partials.at[at + 2] = all_.z;
}
