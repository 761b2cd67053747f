// The plug-in: the only part that links voxseg. It keeps nothing between calls, so that it may be unloaded at any time;
// libvoxseg itself stays in the process, where a second load finds it again.

#include "plugin.hpp"

#include <cstdio>
#include <exception>

#include <voxseg.hpp>

extern "C" std::int32_t segment(const char *model, const std::int16_t *voxels, const std::uint64_t *shape,
                                const double *spacing, const double *origin, std::uint8_t *labels,
                                char *message, std::size_t capacity) try {
    const std::size_t count = shape[0] * shape[1] * shape[2];
    const auto volume = voxseg::VolumeView(voxels, count, {shape[0], shape[1], shape[2]})
                            .with_spacing({spacing[0], spacing[1], spacing[2]})
                            .with_origin({origin[0], origin[1], origin[2]});
    voxseg::PlanOptions options;
    options.device = voxseg::Device::OrtCpu; // by ONNX Runtime, to show that the host's own one doesn't matter
    voxseg::Plan plan(voxseg::Model::open(model), options);
    plan.segment(volume, voxseg::LabelView(labels, count));
    return 0;
} catch (const voxseg::Error &error) {
    std::snprintf(message, capacity, "%s", error.what());
    return static_cast<int>(error.status());
} catch (const std::exception &error) {
    std::snprintf(message, capacity, "%s", error.what());
    return 1;
}

extern "C" const char *runtime() { return vxs_runtime_version(); }

// The functions have the types that the host expects.
static plugin_segment *const segment_has_its_type [[maybe_unused]] = segment;
static plugin_runtime *const runtime_has_its_type [[maybe_unused]] = runtime;
