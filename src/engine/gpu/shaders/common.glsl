// What all shaders share. Tensors are [block][z][y][x][16 channels], halves with HALF, else single numbers; they are found by
// address. A source is a block as a step reads it: the addresses of its values and of its table, which is 0 where values are
// read as they are.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_control_flow_attributes : require

layout(buffer_reference, scalar, buffer_reference_align = 16) buffer Raw { uvec4 at[]; };
layout(buffer_reference, scalar, buffer_reference_align = 16) buffer Sources { uvec4 at[]; };
// [scale, shift, slope][16 channels].
layout(buffer_reference, scalar, buffer_reference_align = 16) buffer Table { vec4 at[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Numbers { float at[]; };
layout(buffer_reference, scalar, buffer_reference_align = 2) buffer Halves { float16_t at[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Words { uint at[]; };

// Dispatches of more groups than a device has along x go on along z.
const uint ALONG_X = 32768;
#define turn_of_group (gl_WorkGroupID.x + gl_WorkGroupID.z * ALONG_X)

// Eight channels of a voxel.
struct Eight { vec4 low; vec4 high; };

bool is_null(uvec2 address) { return (address.x | address.y) == 0; }

uint product(uvec3 size) { return size.x * size.y * size.z; }

uvec3 place(uint index, uvec3 size) {
    return uvec3(index % size.x, index / size.x % size.y, index / (size.x * size.y));
}

uint index_of(uvec3 at, uvec3 size) { return (at.z * size.y + at.y) * size.x + at.x; }

Eight opened(uvec4 halves) {
    return Eight(vec4(unpackFloat2x16(halves.x), unpackFloat2x16(halves.y)),
                 vec4(unpackFloat2x16(halves.z), unpackFloat2x16(halves.w)));
}

// Not by packHalf2x16, which may round towards zero whatever is asked for.
uvec4 closed(Eight value) {
    return uvec4(packFloat2x16(f16vec2(value.low.xy)), packFloat2x16(f16vec2(value.low.zw)),
                 packFloat2x16(f16vec2(value.high.xy)), packFloat2x16(f16vec2(value.high.zw)));
}

// Normalised and activated by the table of a block, of which these are the first or the second eight channels.
Eight activated(Eight value, Table table, uint eight) {
    vec4 low = fma(value.low, table.at[eight * 2], table.at[4 + eight * 2]);
    vec4 high = fma(value.high, table.at[eight * 2 + 1], table.at[5 + eight * 2]);
    return Eight(max(low, low * table.at[8 + eight * 2]), max(high, high * table.at[9 + eight * 2]));
}

// The values at a place as they lie in memory.
Eight stored(uvec2 tensor, uint voxel, uint eight) {
    uint at = voxel * 2 + eight;
#ifdef HALF
    return opened(Raw(tensor).at[at]);
#else
    Raw values = Raw(tensor);
    return Eight(uintBitsToFloat(values.at[at * 2]), uintBitsToFloat(values.at[at * 2 + 1]));
#endif
}

// As a step reads them.
Eight read_(uvec4 source, uint voxel, uint eight) {
    Eight value = stored(source.xy, voxel, eight);
    if (!is_null(source.zw)) value = activated(value, Table(source.zw), eight);
    return value;
}

// Writes values, and raises the flag where the tensor's type can't hold one.
void write_(uvec2 tensor, uint voxel, uint eight, Eight value, Words overflowed) {
    uint at = voxel * 2 + eight;
    Raw values = Raw(tensor);
#ifdef HALF
    values.at[at] = closed(value);
    // What isn't a number is below no bound.
    bool fits = all(lessThan(abs(value.low), vec4(65520.0))) && all(lessThan(abs(value.high), vec4(65520.0)));
    if (!fits) overflowed.at[0] = 1;
#else
    values.at[at * 2] = floatBitsToUint(value.low);
    values.at[at * 2 + 1] = floatBitsToUint(value.high);
#endif
}

// Where a block of a tensor starts.
uvec2 block_of(uvec2 tensor, uint block, uint voxels) {
#ifdef HALF
    const uint BYTES = 32;
#else
    const uint BYTES = 64;
#endif
    uint high, low, carry;
    umulExtended(block * BYTES, voxels, high, low);
    uint x = uaddCarry(tensor.x, low, carry);
    return uvec2(x, tensor.y + high + carry);
}

float channel_of(Eight value, uint channel) { return channel < 4 ? value.low[channel] : value.high[channel - 4]; }

// Count, mean and squared differences of two sets together (Chan, Golub and LeVeque, 1979).
vec3 joined(vec3 a, vec3 b) {
    if (b.x == 0) return a;
    float count = a.x + b.x, apart = b.y - a.y;
    return vec3(count, a.y + apart * (b.x / count), a.z + b.z + apart * apart * (a.x * b.x / count));
}
