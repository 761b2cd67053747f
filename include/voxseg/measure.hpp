/**
 * @file
 * @brief How labels are measured.
 */
#ifndef VOXSEG_MEASURE_HPP
#define VOXSEG_MEASURE_HPP

#include "cancel.hpp"
#include "executor.hpp"
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
    /** The host's threads to work on; without a function the library starts threads, which end with the call. */
    Executor executor{};
};

/** @cond internal */
namespace detail {

inline vxs_measure_options c_options(const MeasureOptions &options, Callback &callback,
                                     vxs_executor &threads) {
    auto raw = filled(&vxs_measure_options_init);
    raw.threads = options.threads;
    raw.executor = options.executor.fill(threads);
    callback.watch(raw, options.cancel);
    return raw;
}

} // namespace detail
/** @endcond */

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_MEASURE_HPP
