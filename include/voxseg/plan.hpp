/**
 * @file
 * @brief A model on a device, and its runs.
 */
#ifndef VOXSEG_PLAN_HPP
#define VOXSEG_PLAN_HPP

#include "cancel.hpp"
#include "error.hpp"
#include "handle.hpp"
#include "labels.hpp"
#include "map.hpp"
#include "model.hpp"
#include "progress.hpp"
#include "volume.hpp"

#include <string>
#include <vector>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** How to run a plan. */
struct RunOptions {
    /** Told how far the run is. */
    Progress progress;
    /** Stops the run; nullptr for none. */
    const Cancel *cancel = nullptr;
    /** What to tell of each voxel beside its label. After a failure maps are as they were, or all zero. */
    std::vector<MapView> maps{};
    /** Receives the record of a run that succeeds, as JSON; nullptr for none. */
    std::string *record = nullptr;
    /** What happens to voxels that are NaN or infinite: VXS_NON_FINITE_*. */
    vxs_non_finite non_finite = VXS_NON_FINITE_ERROR;
};

/** The host's threads for a plan: a vxs_executor with its defaults. Set its `parallel_for` and pass it in PlanOptions. */
struct Executor : vxs_executor {
    Executor() : vxs_executor(detail::filled(&vxs_executor_init)) {}
};

/** How to make a plan: a vxs_plan_options with its defaults. Set its fields. */
struct PlanOptions : vxs_plan_options {
    PlanOptions() : vxs_plan_options(detail::filled(&vxs_plan_options_init)) {}

    /** Told of each network that was compiled. */
    Progress progress;
    /** Stops compiling; nullptr for none. */
    const Cancel *cancel = nullptr;
};

/** A model on a device. One call at a time; many plans run at once. */
class Plan {
public:
    /** Compiles the model's network for the device. */
    static Result<Plan> create(const Model &model, const PlanOptions &options = {}) {
        detail::Callback callback{&options.progress, nullptr};
        vxs_plan_options raw = options;
        callback.watch(raw, options.cancel);
        vxs_plan *handle = nullptr;
        return detail::call(
            [&](vxs_error **error) {
                const vxs_status status = vxs_plan_create(model.get(), &raw, &handle, error);
                callback.rethrow(*error);
                return status;
            },
            [&] { return Plan(handle); });
    }
#ifndef VOXSEG_NO_EXCEPTIONS
    /** As create(). */
    explicit Plan(const Model &model, const PlanOptions &options = {}) : Plan(create(model, options)) {}
#endif

    /** What a segmentation of `volume` will need. Only the grid is looked at. */
    Result<vxs_plan_report> estimate(const VolumeView &volume) const {
        auto report = detail::filled(&vxs_plan_report_init);
        return detail::call(
            [&](vxs_error **error) { return vxs_plan_estimate(get(), &volume, &report, error); },
            [&] { return report; });
    }

    /**
     * The grid of the labels of `volume`: its own, unless a task keeps labels on the networks' grid. Without voxels, in
     * the coordinates of `volume`.
     */
    Result<VolumeView> label_grid(const VolumeView &volume) const {
        VolumeView grid(Shape{});
        return detail::call(
            [&](vxs_error **error) { return vxs_plan_label_grid(get(), &volume, &grid, error); },
            [&] { return grid; });
    }

    /** What runs where, as JSON. */
    std::string describe() const { return detail::text(vxs_plan_describe(get())); }

    /** Gives memory back that the plan only keeps to make its next run faster; for plans that wait for long. */
    Result<void> trim() {
        return detail::call([&](vxs_error **error) { return vxs_plan_trim(get(), error); });
    }

    /** Segments `volume` into `labels`, which stay untouched when this fails. */
    Result<vxs_run_report> segment(const VolumeView &volume, const LabelView &labels,
                                   const RunOptions &options = {}) {
        detail::Callback callback{&options.progress, nullptr};
        auto raw = detail::filled(&vxs_run_options_init);
        callback.watch(raw, options.cancel);
        std::vector<const vxs_map *> maps;
        for (const MapView &map : options.maps) {
            maps.push_back(&map);
        }
        raw.maps = maps.data();
        raw.map_count = maps.size();
        raw.non_finite = options.non_finite;
        vxs_record *record = nullptr;
        raw.record = options.record ? &record : nullptr;
        auto report = detail::filled(&vxs_run_report_init);
        return detail::call(
            [&](vxs_error **error) {
                const vxs_status status = vxs_segment(get(), &volume, &raw, &labels, &report, error);
                const detail::Owner<vxs_record> owner(record);
                callback.rethrow(*error);
                if (record) {
                    *options.record = detail::text(vxs_record_json(record));
                }
                return status;
            },
            [&] { return report; });
    }

    /** The handle, for functions of voxseg.h. */
    vxs_plan *get() const noexcept { return handle_.get(); }

private:
    explicit Plan(vxs_plan *handle) : handle_(handle) {}

    detail::Owner<vxs_plan> handle_;
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_PLAN_HPP
