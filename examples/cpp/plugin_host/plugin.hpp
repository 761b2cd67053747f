// What host and plug-in agree on: plain C, so that neither knows the other's compiler, and voxseg stays the plug-in's
// own affair.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

/**
 * Segments a CT of int16 voxels, x fastest, into one byte a voxel. Returns 0, or another number and the reason in
 * `message`, a buffer of `capacity` bytes that always ends with a NUL. `origin` and `spacing` in millimetres, axes
 * along the patient's. Any thread; nothing is thrown.
 */
using plugin_segment = std::int32_t(const char *model, const std::int16_t *voxels, const std::uint64_t *shape,
                                    const double *spacing, const double *origin, std::uint8_t *labels,
                                    char *message, std::size_t capacity);

/** Which ONNX Runtime the plug-in uses; NULL before it needs one. */
using plugin_runtime = const char *();
}
