/**
 * @file
 * @brief A model on a device, and its runs.
 */
#ifndef VOXSEG_PLAN_HPP
#define VOXSEG_PLAN_HPP

#include "cancel.hpp"
#include "enumerations.hpp"
#include "error.hpp"
#include "executor.hpp"
#include "handle.hpp"
#include "labels.hpp"
#include "map.hpp"
#include "model.hpp"
#include "progress.hpp"
#include "region.hpp"
#include "reports.hpp"
#include "volume.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** How to run a plan. */
struct RunOptions {
    /** Told how far the run is. */
    ProgressFunction progress{};
    /** Stops the run; nullptr for none. */
    const Cancel *cancel = nullptr;
    /** What to tell of each voxel beside its label. After a failure maps are as they were, or all zero. */
    std::vector<MapView> maps{};
    /** Receives the record of a run that succeeds, as JSON; nullptr for none. */
    std::string *record = nullptr;
    /** What happens to voxels that are NaN or infinite. */
    NonFinite non_finite = NonFinite::Error;
    /** The voxels that get labels; none for all. Labels are those of the run over the whole volume. */
    std::vector<Box> regions{};
    /** What becomes of regions where labels depend on the whole image. */
    WhenGlobal when_global = WhenGlobal::Compute;
    /** Whether labels and maps have the voxels of the region only, which is one box then. */
    bool buffers_of_region = false;
    /** Called when labels are final, which then stay in the buffer when the run fails; else labels are all or none. */
    LabelsFunction on_labels{};
    /** Receives the report of a run that has `on_labels` and fails; nullptr for none. */
    RunReport *failed = nullptr;
};

/** How to make a plan. */
struct PlanOptions {
    /** What runs the network. */
    Device device = Device::Cpu;
    /** Which of the provider's devices. */
    std::uint32_t device_index = 0;
    /** What happens where the device can't compute something. */
    Fallback fallback = Fallback::Off;
    /** The type that the network computes in. */
    Precision precision = Precision::Auto;
    /** What happens to scores that overflow half precision. */
    Overflow overflow = Overflow::Single;
    /** Threads that a run may use, the calling one included; 0: all processors of this process. */
    std::uint32_t threads = 0;
    /** Distance between tiles as a share of the tile's size, over 0 and up to 1; 0: the model's own. */
    double step = 0;
    /** Whether tiles are also computed mirrored. */
    Mirroring mirroring = Mirroring::Model;
    /** How overlapping tiles weigh. */
    Blending blending = Blending::Model;
    /** What is done to the labels that the network gives. */
    Postprocess postprocess = Postprocess::Off;
    /** Bytes that a run may need beside the caller's buffers; 0: what the process may still take. */
    std::uint64_t memory_budget = 0;
    /** Bytes of the device's own memory that the plan may need; 0: what is free. */
    std::uint64_t device_memory_budget = 0;
    /** An existing folder for what GPU, TensorRT, OpenVINO and Core ML compile; empty: nothing is kept. */
    std::filesystem::path device_cache{};
    /** A cudaStream_t that CUDA and TensorRT shall compute on, alive as long as the plan; nullptr: their own. */
    void *device_stream = nullptr;
    /** How convolutions are computed; for Device::Cpu. */
    Accuracy accuracy = Accuracy::Fast;
    /** Which instructions are used; for Device::Cpu. What the machine lacks is an error. */
    Instructions instructions = Instructions::Auto;
    /** Tiles that a GPU computes at once, up to 64, as far as its memory is enough; 0: one. */
    std::uint32_t tile_batch = 0;
    /** Segmentations that may run at once on the plan, up to 1024; 0: one. */
    std::uint32_t concurrent_runs = 0;
    /** What becomes of a further one. */
    WhenBusy when_busy = WhenBusy::Fail;
    /** The host's threads; copied into the plan. */
    Executor executor{};
    /** Told of each network that was compiled. */
    ProgressFunction progress{};
    /** Stops compiling; nullptr for none. The plan of a task looks at it when it runs, too. */
    const Cancel *cancel = nullptr;
};

/** @cond internal */
namespace detail {

/** The options but for what points to memory of the call. */
inline vxs_plan_options c_options(const PlanOptions &options) {
    auto raw = filled(&vxs_plan_options_init);
    raw.device = static_cast<vxs_device>(options.device);
    raw.device_index = options.device_index;
    raw.fallback = static_cast<vxs_fallback>(options.fallback);
    raw.precision = static_cast<vxs_precision>(options.precision);
    raw.overflow = static_cast<vxs_overflow>(options.overflow);
    raw.threads = options.threads;
    raw.step = options.step;
    raw.mirroring = static_cast<vxs_mirroring>(options.mirroring);
    raw.blending = static_cast<vxs_blending>(options.blending);
    raw.postprocess = static_cast<vxs_postprocess>(options.postprocess);
    raw.memory_budget = options.memory_budget;
    raw.device_memory_budget = options.device_memory_budget;
    raw.device_stream = options.device_stream;
    raw.accuracy = static_cast<vxs_accuracy>(options.accuracy);
    raw.instructions = static_cast<vxs_instructions>(options.instructions);
    raw.tile_batch = options.tile_batch;
    raw.concurrent_runs = options.concurrent_runs;
    raw.when_busy = static_cast<vxs_when_busy>(options.when_busy);
    return raw;
}

} // namespace detail
/** @endcond */

/** A model on a device. One run at a time unless PlanOptions::concurrent_runs says more; many plans run at once. */
class Plan {
public:
    /** Compiles the model's network for the device. */
    static Result<Plan> create(const Model &model, const PlanOptions &options = {}) {
        detail::Callback callback{&options.progress, nullptr};
        vxs_plan_options raw = detail::c_options(options);
        callback.watch(raw, options.cancel);
        const std::string cache = detail::utf8(options.device_cache);
        raw.device_cache = cache.empty() ? nullptr : cache.c_str();
        // The library copies the structure and keeps the address of what it calls.
        std::unique_ptr<Executor> executor;
        auto threads = detail::filled(&vxs_executor_init);
        if (options.executor.parallel_for) {
            executor = std::make_unique<Executor>(options.executor);
            threads.max_concurrency = options.executor.max_concurrency;
            threads.user_data = executor.get();
            threads.parallel_for = &Executor::call;
            raw.executor = &threads;
        }
        vxs_plan *handle = nullptr;
        return detail::call(
            [&](vxs_error **error) {
                const vxs_status status = vxs_plan_create(model.get(), &raw, &handle, error);
                callback.rethrow(*error);
                return status;
            },
            [&] { return Plan(std::move(executor), handle); });
    }
#ifndef VOXSEG_NO_EXCEPTIONS
    /** As create(). */
    explicit Plan(const Model &model, const PlanOptions &options = {}) : Plan(create(model, options)) {}
#endif

    /** Moves and doesn't copy. */
    Plan(Plan &&) noexcept = default;
    /** Frees the plan that was here. */
    Plan &operator=(Plan &&other) noexcept {
        // Member by member, an executor would go before the plan that it serves.
        executor_.swap(other.executor_);
        handle_.swap(other.handle_);
        return *this;
    }

    /** What a segmentation of `volume` will need. Only the grid is looked at. */
    Result<PlanReport> estimate(const VolumeView &volume) const {
        auto report = detail::filled(&vxs_plan_report_init);
        return detail::call(
            [&](vxs_error **error) { return vxs_plan_estimate(get(), volume.get(), &report, error); },
            [&] { return detail::report(report); });
    }

    /** What a run with these options will need: with regions fewer tiles and less memory. */
    Result<PlanReport> estimate(const VolumeView &volume, const RunOptions &options) const {
        auto raw = detail::filled(&vxs_run_options_init);
        const std::vector<vxs_box> regions = place_regions(raw, options);
        auto report = detail::filled(&vxs_plan_report_init);
        return detail::call(
            [&](vxs_error **error) { return vxs_plan_estimate_run(get(), volume.get(), &raw, &report, error); },
            [&] { return detail::report(report); });
    }

    /**
     * The grid of the labels of `volume`: its own, unless a task keeps labels on the networks' grid. Without voxels, in
     * the coordinates of `volume`.
     */
    Result<VolumeView> label_grid(const VolumeView &volume) const {
        auto grid = detail::filled(&vxs_volume_init);
        return detail::call(
            [&](vxs_error **error) { return vxs_plan_label_grid(get(), volume.get(), &grid, error); },
            [&] { return VolumeView(grid); });
    }

    /** What runs where, as JSON. */
    std::string describe() const { return detail::text(vxs_plan_describe(get())); }

    /** Gives memory back that the plan only keeps to make its next run faster; for plans that wait for long. */
    Result<void> trim() {
        return detail::call([&](vxs_error **error) { return vxs_plan_trim(get(), error); });
    }

    /** Segments `volume` into `labels`, which stay untouched when this fails. */
    Result<RunReport> segment(const VolumeView &volume, const LabelView &labels,
                              const RunOptions &options = {}) {
        detail::RunCallback callback{{&options.progress, nullptr}, &options.on_labels};
        auto raw = detail::filled(&vxs_run_options_init);
        callback.watch(raw, options.cancel);
        callback.watch_labels(raw);
        const std::vector<vxs_box> regions = place_regions(raw, options);
        std::vector<const vxs_map *> maps;
        for (const MapView &map : options.maps) {
            maps.push_back(map.get());
        }
        raw.maps = maps.data();
        raw.map_count = maps.size();
        raw.non_finite = static_cast<vxs_non_finite>(options.non_finite);
        vxs_record *record = nullptr;
        raw.record = options.record ? &record : nullptr;
        auto report = detail::filled(&vxs_run_report_init);
        return detail::call(
            [&](vxs_error **error) {
                const vxs_status status = vxs_segment(get(), volume.get(), &raw, labels.get(), &report, error);
                const detail::Owner<vxs_record> owner(record);
                if (status != VXS_OK && options.failed) {
                    *options.failed = detail::report(report);
                }
                callback.rethrow(*error);
                if (record) {
                    *options.record = detail::text(vxs_record_json(record));
                }
                return status;
            },
            [&] { return detail::report(report); });
    }

    /** The handle, for functions of voxseg.h. */
    vxs_plan *get() const noexcept { return handle_.get(); }

private:
    Plan(std::unique_ptr<Executor> executor, vxs_plan *handle)
        : executor_(std::move(executor)), handle_(handle) {}

    /** Tells the options of a call which voxels get labels; the boxes live as long as what it returns. */
    static std::vector<vxs_box> place_regions(vxs_run_options &raw, const RunOptions &options) {
        std::vector<vxs_box> regions;
        for (const Box &box : options.regions) {
            regions.push_back(detail::c_box(box));
        }
        raw.regions = regions.data();
        raw.region_count = regions.size();
        raw.when_global = static_cast<vxs_when_global>(options.when_global);
        raw.buffers_of_region = options.buffers_of_region ? 1 : 0;
        return regions;
    }

    // Outlives the plan, which calls it.
    std::unique_ptr<Executor> executor_;
    detail::Owner<vxs_plan> handle_;
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_PLAN_HPP
