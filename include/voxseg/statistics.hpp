/**
 * @file
 * @brief Statistics of labels and of an image under them.
 */
#ifndef VOXSEG_STATISTICS_HPP
#define VOXSEG_STATISTICS_HPP

#include "error.hpp"
#include "handle.hpp"
#include "measure.hpp"
#include "volume.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/**
 * Measures each label but 0 that occurs in a label map, in ascending order, and the intensities of a channel of an
 * image on the same grid; nullptr for no image, whose numbers are then NaN.
 */
inline Result<std::vector<vxs_label_statistics>> statistics(const VolumeView &labels,
                                                            const VolumeView *image = nullptr,
                                                            std::uint64_t channel = 0,
                                                            const MeasureOptions &options = {}) {
    detail::Callback callback{&options.progress, nullptr};
    const auto raw = detail::c_options(options, callback);
    std::vector<vxs_label_statistics> found;
    return detail::call(
        [&](vxs_error **error) {
            vxs_statistics_list *made = nullptr;
            vxs_status status = vxs_statistics(&labels, image, channel, &raw, &made, error);
            const detail::Owner<vxs_statistics_list> list(made);
            callback.rethrow(*error);
            for (std::uint64_t i = 0; i < vxs_statistics_list_count(made) && status == VXS_OK; i++) {
                found.push_back(detail::filled(&vxs_label_statistics_init));
                status = vxs_statistics_list_get(made, i, &found.back(), error);
            }
            return status;
        },
        [&] { return std::move(found); });
}

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_STATISTICS_HPP
