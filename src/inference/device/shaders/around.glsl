// What the kernels around a network share. What each computes is told in ../kernels.cu, whose results they have to the last bit.
// An invocation has one voxel of one line (a channel or a class); arrays are found by address and have less than 4 GiB.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
#include "exact.glsl"

layout(local_size_x = 64) in;

layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Numbers { float at[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Whole { int at[]; };
// The lower half of a number of 64 bits.
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Counter { uint low; };
layout(buffer_reference, scalar, buffer_reference_align = 2) buffer Halves { uint16_t at[]; };

// Dispatches of more groups than a device has along x go on along z.
const uint ALONG_X = 32768;
#define VOXEL ((gl_WorkGroupID.x + gl_WorkGroupID.z * ALONG_X) * 64 + gl_LocalInvocationIndex)
#define LINE int(gl_WorkGroupID.y)

// Scores, halves with HALF.
#ifdef HALF
#define Scores Halves
float load_(Halves scores, int at) { return widened(uint(scores.at[at])); }
void store_(Halves scores, int at, float value) { scores.at[at] = uint16_t(narrowed(value)); }
float rounded(float value) { return widened(narrowed(value)); }
#else
#define Scores Numbers
float load_(Numbers scores, int at) { return scores.at[at]; }
void store_(Numbers scores, int at, float value) { scores.at[at] = value; }
float rounded(float value) { return value; }
#endif

// Where a tile lies in its image, by planes, rows and columns: `start` in the padded image, of which `below` voxels come before
// the image.
struct Placed { ivec3 image; ivec3 size; ivec3 start; ivec3 below; };

int product(ivec3 size) { return size.x * size.y * size.z; }

// The place in a tile of a row-major index; axes whose bit is set in `flips` run backwards.
ivec3 place_in(ivec3 size, int at, int flips) {
    ivec3 place = ivec3(at / (size.z * size.y), at / size.z % size.y, at % size.z);
    return mix(place, size - 1 - place, notEqual(ivec3(flips) & ivec3(1, 2, 4), ivec3(0)));
}
