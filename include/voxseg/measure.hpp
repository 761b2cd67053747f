/**
 * @file
 * @brief How labels are measured.
 */
#ifndef VOXSEG_MEASURE_HPP
#define VOXSEG_MEASURE_HPP

#include "cancel.hpp"
#include "handle.hpp"
#include "progress.hpp"

#include <cstdint>
#include <functional>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** How to measure labels. */
struct MeasureOptions {
    /** Threads that work, the calling one included; 0: all processors of this process. */
    std::uint32_t threads = 0;
    /** Called on the thread that works; as for RunOptions. */
    ProgressFunction progress{};
    /** Stops the work; nullptr for none. */
    const Cancel *cancel = nullptr;
};

/** @cond internal */
namespace detail {

inline vxs_measure_options c_options(const MeasureOptions &options, Callback &callback) {
    auto raw = filled(&vxs_measure_options_init);
    raw.threads = options.threads;
    callback.watch(raw, options.cancel);
    return raw;
}

} // namespace detail
/** @endcond */

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_MEASURE_HPP
