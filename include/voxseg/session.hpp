/**
 * @file
 * @brief Segmenting by prompts.
 */
#ifndef VOXSEG_SESSION_HPP
#define VOXSEG_SESSION_HPP

#include "cancel.hpp"
#include "enumerations.hpp"
#include "error.hpp"
#include "geometry.hpp"
#include "handle.hpp"
#include "labels.hpp"
#include "model.hpp"
#include "plan.hpp"
#include "progress.hpp"
#include "reports.hpp"
#include "volume.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <utility>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** The prompts that a model takes; Prompts::None for one that segments volumes by itself. */
inline Prompts prompts(const Model &model) { return static_cast<Prompts>(vxs_model_prompts(model.get())); }

/** How a session answers. */
struct SessionOptions {
    /** Whether an object that goes on beyond the network's patch is looked at from further away. */
    bool autozoom = true;
    /** What happens to voxels that are NaN or infinite. */
    NonFinite non_finite = NonFinite::Error;
    /** Told how far reading the image is. */
    ProgressFunction progress{};
    /** Stops it; nullptr for none. */
    const Cancel *cancel = nullptr;
};

/** How to answer prompts. */
struct AnswerOptions {
    /** Told how far the run is. */
    ProgressFunction progress{};
    /** Stops the run; nullptr for none. */
    const Cancel *cancel = nullptr;
};

/** What a run of a session did, or taking a prompt back. */
struct SessionReport {
    Shape changed_start{};          /**< The first voxel of the box of the mask that may have changed. */
    Shape changed_end{};            /**< The voxel behind the last one; equal to the first where nothing has. */
    std::uint64_t network_runs = 0; /**< Times that the network ran. */
    std::uint64_t near_ties = 0;    /**< Voxels whose classes differ in probability by up to 0.01. */
    double zoom = 0;                /**< How many times the patch was seen at last; 1 where one was enough. */
    double total_seconds = 0;       /**< From the call to its return. */
};

/** @cond internal */
namespace detail {

inline SessionReport report(const vxs_session_report &raw) {
    return {array(raw.changed_start), array(raw.changed_end), raw.network_runs,
            raw.near_ties,            raw.zoom,               raw.total_seconds};
}

} // namespace detail
/** @endcond */

/** An image that a user segments by points, boxes and strokes. One call at a time. */
class Session {
public:
    /** A voxel of the volume along its axes, or the one behind the last of a box. */
    using Voxel = std::array<std::int64_t, 3>;

    /** What a session with `volume` will need. Only the grid is looked at. */
    static Result<PlanReport> estimate(const Plan &plan, const VolumeView &volume) {
        auto report = detail::filled(&vxs_plan_report_init);
        return detail::call(
            [&](vxs_error **error) {
                return vxs_session_estimate(plan.get(), volume.get(), &report, error);
            },
            [&] { return detail::report(report); });
    }

    /** Begins with an image, of which a copy is kept. The host's threads of the plan live as long as the plan. */
    static Result<Session> create(const Plan &plan, const VolumeView &volume,
                                  const SessionOptions &options = {}) {
        detail::Callback callback{&options.progress, nullptr};
        auto raw = detail::filled(&vxs_session_options_init);
        callback.watch(raw, options.cancel);
        raw.autozoom = options.autozoom ? 1 : 0;
        raw.non_finite = static_cast<vxs_non_finite>(options.non_finite);
        vxs_session *handle = nullptr;
        return detail::call(
            [&](vxs_error **error) {
                const vxs_status status = vxs_session_create(plan.get(), volume.get(), &raw, &handle, error);
                callback.rethrow(*error);
                return status;
            },
            [&] { return Session(handle); });
    }
#ifndef VOXSEG_NO_EXCEPTIONS
    /** As create(). */
    Session(const Plan &plan, const VolumeView &volume, const SessionOptions &options = {})
        : Session(create(plan, volume, options)) {}
#endif

    /** Takes a point: a voxel of the object (label 1), or of what isn't the object (0). */
    Result<void> point(Vector at, std::uint32_t label = 1) {
        return detail::call(
            [&](vxs_error **error) { return vxs_session_point(get(), at.data(), label, error); });
    }

    /** Takes a box, from voxel `start` to before voxel `end`. */
    Result<void> box(Voxel start, Voxel end, std::uint32_t label = 1) {
        return detail::call([&](vxs_error **error) {
            return vxs_session_box(get(), start.data(), end.data(), label, error);
        });
    }

    /** Takes voxels that were drawn, the first of which lies at voxel `start`: a scribble, a lasso or a mask. */
    Result<void> mask(Prompts kind, const VolumeView &drawn, Voxel start, std::uint32_t label = 1) {
        return detail::call([&](vxs_error **error) {
            return vxs_session_mask(get(), static_cast<vxs_prompts>(kind), drawn.get(), start.data(), label,
                                    error);
        });
    }

    /** Answers the prompts since the last run. */
    Result<SessionReport> run(const AnswerOptions &options = {}) {
        detail::Callback callback{&options.progress, nullptr};
        auto raw = detail::filled(&vxs_run_options_init);
        callback.watch(raw, options.cancel);
        auto report = detail::filled(&vxs_session_report_init);
        return detail::call(
            [&](vxs_error **error) {
                const vxs_status status = vxs_session_run(get(), &raw, &report, error);
                callback.rethrow(*error);
                return status;
            },
            [&] { return detail::report(report); });
    }

    /** Takes the last prompt back, and what runs have written since. */
    Result<SessionReport> undo() {
        auto report = detail::filled(&vxs_session_report_init);
        return detail::call([&](vxs_error **error) { return vxs_session_undo(get(), &report, error); },
                            [&] { return detail::report(report); });
    }

    /** Begins again with the same image, for the next object. */
    Result<void> reset() {
        return detail::call([&](vxs_error **error) { return vxs_session_reset(get(), error); });
    }

    /** Writes the mask: 1 for the object. */
    Result<void> labels(const LabelView &place) const {
        return detail::call([&](vxs_error **error) {
            return vxs_session_labels(get(), nullptr, nullptr, place.get(), error);
        });
    }

    /** Writes a box of the mask into a buffer of its shape; with strides into the box's place in a larger one. */
    Result<void> labels(const LabelView &place, Shape start, Shape end) const {
        return detail::call([&](vxs_error **error) {
            return vxs_session_labels(get(), start.data(), end.data(), place.get(), error);
        });
    }

    /** All that led to the mask, as JSON. */
    Result<std::string> record() const {
        std::string text;
        return detail::call(
            [&](vxs_error **error) {
                vxs_record *made = nullptr;
                const vxs_status status = vxs_session_record(get(), &made, error);
                const detail::Owner<vxs_record> owner(made);
                text = detail::text(vxs_record_json(made));
                return status;
            },
            [&] { return std::move(text); });
    }

    /** Does what a record says; the mask is then the same to the last voxel. */
    Result<void> replay(const std::string &record, const AnswerOptions &options = {}) {
        detail::Callback callback{&options.progress, nullptr};
        auto raw = detail::filled(&vxs_run_options_init);
        callback.watch(raw, options.cancel);
        return detail::call([&](vxs_error **error) {
            const vxs_status status = vxs_session_replay(get(), record.c_str(), &raw, error);
            callback.rethrow(*error);
            return status;
        });
    }

    /** The handle, for functions of voxseg.h. */
    vxs_session *get() const noexcept { return handle_.get(); }

private:
    explicit Session(vxs_session *handle) : handle_(handle) {}

    detail::Owner<vxs_session> handle_;
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_SESSION_HPP
