// voxseg.hpp alone, twice, with every template in use.
#include <voxseg.hpp>
#include <voxseg.hpp>

vxs_run_report use_wrapper(const std::vector<float> &voxels, std::vector<std::uint16_t> &labels);

vxs_run_report use_wrapper(const std::vector<float> &voxels, std::vector<std::uint16_t> &labels) {
    voxseg::Plan plan(voxseg::Model::open("model"));
    voxseg::RunOptions options;
    options.progress = [](const vxs_progress &progress) { return progress.fraction < 0.5; };
    return plan.segment(voxseg::VolumeView(voxels.data(), voxels.size(), {1, 1, 1}), labels, options);
}
