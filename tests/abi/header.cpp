// voxseg.hpp alone, twice, with every template in use.
#include <voxseg.hpp>
#include <voxseg.hpp>

voxseg::RunReport use_wrapper(const std::vector<float> &voxels, std::vector<std::uint16_t> &labels);

voxseg::RunReport use_wrapper(const std::vector<float> &voxels, std::vector<std::uint16_t> &labels) {
    voxseg::Plan plan(voxseg::Model::open("model"));
    voxseg::RunOptions options;
    options.progress = [](const voxseg::Progress &progress) { return progress.fraction < 0.5; };
    return plan.segment(voxseg::VolumeView(voxels.data(), voxels.size(), {1, 1, 1}), labels, options);
}
