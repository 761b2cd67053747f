/**
 * @file
 * @brief Which labels a run writes, and when: those of boxes of voxels, and those that are final while it goes on.
 */
#ifndef VOXSEG_REGION_HPP
#define VOXSEG_REGION_HPP

#include "enumerations.hpp"
#include "geometry.hpp"
#include "progress.hpp"
#include "span.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** A half-open box of voxels, in the order of the volume's axes. */
struct Box {
    Shape start{}; /**< The first voxel inside. */
    Shape end{};   /**< One beyond the last voxel inside. */
};

/** The box of up to `size` voxels along each axis around a voxel, as far as a volume of that shape has them. */
inline Box box_around(const Shape &voxel, const Shape &size, const Shape &shape) {
    Box box;
    for (std::size_t axis = 0; axis < 3; ++axis) {
        const std::uint64_t half = size[axis] / 2;
        box.start[axis] = voxel[axis] > half ? voxel[axis] - half : 0;
        box.end[axis] = std::min(shape[axis], box.start[axis] + size[axis]);
    }
    return box;
}

/** Labels that are in the buffer while a run goes on. */
struct LabelsSoFar {
    Box part{};                           /**< The voxels. */
    bool is_final = false;                /**< Whether they are final; else the models of a task found them so far. */
    Span<const std::uint16_t> complete{}; /**< The labels that later models of the task add nothing to. */
};

/**
 * Called on the thread that runs, with labels that are in the buffer; returns true to go on, false to cancel. It may
 * throw as a ProgressFunction may.
 */
using LabelsFunction = std::function<bool(const LabelsSoFar &)>;

/** @cond internal */
namespace detail {

inline vxs_box c_box(const Box &box) {
    return {{box.start[0], box.start[1], box.start[2]}, {box.end[0], box.end[1], box.end[2]}};
}

inline Box box(const vxs_box &raw) {
    return {{raw.start[0], raw.start[1], raw.start[2]}, {raw.end[0], raw.end[1], raw.end[2]}};
}

/** Keeps exceptions of both functions of a run on this side of the C frames. */
struct RunCallback : Callback {
    const LabelsFunction *on_labels;

    static std::int32_t labels(void *user_data, const vxs_labels_so_far *raw) noexcept {
        auto *self = static_cast<RunCallback *>(static_cast<Callback *>(user_data));
        const LabelsSoFar now{box(raw->part), raw->is_final != 0,
                              {raw->complete, static_cast<std::size_t>(raw->complete_count)}};
#ifdef VOXSEG_NO_EXCEPTIONS
        return (*self->on_labels)(now) ? 0 : 1;
#else
        try {
            return (*self->on_labels)(now) ? 0 : 1;
        } catch (...) {
            self->thrown = std::current_exception();
            return 1;
        }
#endif
    }

    /** Lets the options of a run tell it of labels. */
    void watch_labels(vxs_run_options &options) {
        if (*on_labels) {
            options.on_labels = &RunCallback::labels;
            options.user_data = static_cast<Callback *>(this);
        }
    }
};

} // namespace detail
/** @endcond */

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_REGION_HPP
