/**
 * @file
 * @brief Label maps on other grids.
 */
#ifndef VOXSEG_GRID_HPP
#define VOXSEG_GRID_HPP

#include "error.hpp"
#include "handle.hpp"
#include "labels.hpp"
#include "measure.hpp"
#include "volume.hpp"

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/**
 * Brings a label map to another grid in patient space, such as that of a dose: each voxel gets the label of the voxel
 * that its centre lies in, 0 outside. Only the grid of `grid` is looked at. `out` has the type of `labels`.
 */
inline Result<void> labels_on_grid(const VolumeView &labels, const VolumeView &grid, const LabelView &out,
                                   const MeasureOptions &options = {}) {
    detail::Callback callback{&options.progress, nullptr};
    vxs_executor threads{};
    const auto raw = detail::c_options(options, callback, threads);
    return detail::call([&](vxs_error **error) {
        const vxs_status status = vxs_labels_on_grid(labels.get(), grid.get(), &raw, out.get(), error);
        callback.rethrow(*error);
        return status;
    });
}

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_GRID_HPP
