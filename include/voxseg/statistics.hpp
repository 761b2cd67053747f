/**
 * @file
 * @brief Statistics of labels and of an image under them.
 */
#ifndef VOXSEG_STATISTICS_HPP
#define VOXSEG_STATISTICS_HPP

#include "error.hpp"
#include "geometry.hpp"
#include "handle.hpp"
#include "measure.hpp"
#include "volume.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** Size, place and intensities of a label. Intensities are NaN without an image. */
struct LabelStatistics {
    std::uint32_t label = 0;  /**< The label. */
    std::uint64_t voxels = 0; /**< Voxels that have it. */
    double milliliters = 0;   /**< Their volume. */
    double surface_area = 0;  /**< The area of its surface in square millimetres. */
    Shape first{};            /**< The first voxel along each axis. */
    Shape last{};             /**< The last voxel along each axis. */
    Vector centroid_index{};  /**< The mean of its voxels' indices. */
    Vector centroid{};        /**< The mean of its voxels' positions in millimetres, in LPS coordinates. */
    std::uint64_t margin = 0; /**< Voxels between it and the nearest face of the grid. */
    double mean = 0;          /**< The mean of the image's intensities in it. */
    double std = 0;           /**< Their standard deviation, over n. */
    double median = 0;        /**< The one in the middle, or the mean of the two there. */
    double min = 0;           /**< The smallest one. */
    double max = 0;           /**< The largest one. */
};

/**
 * Measures each label but 0 that occurs in a label map, in ascending order, and the intensities of a channel of an
 * image on the same grid; nullptr for no image, whose numbers are then NaN.
 */
inline Result<std::vector<LabelStatistics>> statistics(const VolumeView &labels,
                                                       const VolumeView *image = nullptr,
                                                       std::uint64_t channel = 0,
                                                       const MeasureOptions &options = {}) {
    detail::Callback callback{&options.progress, nullptr};
    vxs_executor threads{};
    const auto raw = detail::c_options(options, callback, threads);
    std::vector<LabelStatistics> found;
    return detail::call(
        [&](vxs_error **error) {
            vxs_statistics_list *made = nullptr;
            vxs_status status = vxs_statistics(labels.get(), image ? image->get() : nullptr, channel, &raw,
                                               &made, error);
            const detail::Owner<vxs_statistics_list> list(made);
            callback.rethrow(*error);
            for (std::uint64_t i = 0; i < vxs_statistics_list_count(made) && status == VXS_OK; i++) {
                auto one = detail::filled(&vxs_label_statistics_init);
                status = vxs_statistics_list_get(made, i, &one, error);
                found.push_back({one.label, one.voxels, one.milliliters, one.surface_area,
                                 detail::array(one.first), detail::array(one.last),
                                 detail::array(one.centroid_index), detail::array(one.centroid), one.margin,
                                 one.mean, one.std, one.median, one.min, one.max});
            }
            return status;
        },
        [&] { return std::move(found); });
}

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_STATISTICS_HPP
