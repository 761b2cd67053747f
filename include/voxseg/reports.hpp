/**
 * @file
 * @brief What is known about a run, before and after it.
 */
#ifndef VOXSEG_REPORTS_HPP
#define VOXSEG_REPORTS_HPP

#include "enumerations.hpp"
#include "geometry.hpp"
#include "region.hpp"

#include <array>
#include <cstdint>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** What a run will need, known before it is made. */
struct PlanReport {
    Device device{};                     /**< The device that runs the network. */
    std::uint32_t device_index = 0;      /**< Which of the provider's devices. */
    Precision precision{};               /**< The precision, never Precision::Auto. */
    std::uint32_t threads = 0;           /**< Threads. */
    Shape network_shape{};               /**< Size of the image that the network sees. */
    std::uint64_t tiles = 0;             /**< Tiles that networks compute, of all folds, stages and members. */
    std::uint64_t network_runs = 0;      /**< Times that the network runs: tiles times mirrorings. */
    std::uint64_t host_peak_bytes = 0;   /**< Bytes at the peak, weights included, the caller's buffers not. */
    std::uint64_t device_peak_bytes = 0; /**< As above in the device's own memory; 0 for a CPU. */
    std::uint64_t weight_bytes = 0;      /**< Bytes of weights; part of host_peak_bytes. */
    std::uint32_t tile_batch = 0;        /**< Tiles that the network computes at once. */
    std::uint64_t shared_bytes = 0;      /**< The part of host_peak_bytes that all runs of the plan share. */
    std::uint64_t run_bytes = 0;         /**< The part that each run under way needs for itself. */
    std::uint64_t tiles_in_all = 0;      /**< Tiles of a run over the whole volume; more than `tiles` for regions. */
};

/** What a run did. */
struct RunReport {
    std::uint64_t tiles = 0;              /**< Tiles that the network computed, folds included. */
    std::uint64_t voxels = 0;             /**< Voxels of the label map. */
    std::uint64_t near_ties = 0;          /**< Voxels whose two best classes differ in probability by up to 0.01. */
    MemoryStep memory_step{};             /**< What the device's memory wasn't enough for. */
    double preprocess_seconds = 0;        /**< Reading, cropping, normalising and resampling the volume. */
    double network_seconds = 0;           /**< The network. */
    double blend_seconds = 0;             /**< Cutting and blending tiles. */
    double restore_seconds = 0;           /**< Bringing the labels onto the volume's grid. */
    double total_seconds = 0;             /**< From the call to its return. */
    std::uint64_t process_peak_bytes = 0; /**< Most that the process ever had resident; 0 where it isn't known. */
    std::uint64_t tiles_in_single = 0;    /**< Tiles that overflowed half precision and were repeated in single. */
    std::uint64_t tiles_on_device = 0;    /**< Tiles that were cut and blended in the device's memory. */
    std::uint64_t tile_batch = 0;         /**< Tiles that the network computed at once. */
    std::uint64_t non_finite_voxels = 0;  /**< Voxels that were read as RunOptions::non_finite says. */
    /** The first of them: channel, and index along each axis of the volume. */
    std::array<std::uint64_t, 4> first_non_finite{};
    RunWarnings warnings{};          /**< What may make the labels wrong; the log has a sentence for each. */
    std::uint64_t tiles_in_all = 0;  /**< Tiles of a run over the whole volume; more than `tiles` for regions. */
    std::uint64_t final_voxels = 0;  /**< Voxels whose labels are final and in the buffer. */
    Box final_part{};                /**< Of those the box that was completed last. */
};

/** @cond internal */
namespace detail {

inline PlanReport report(const vxs_plan_report &raw) {
    return {static_cast<Device>(raw.device), raw.device_index,      static_cast<Precision>(raw.precision),
            raw.threads,                     array(raw.network_shape), raw.tiles,
            raw.network_runs,                raw.host_peak_bytes,   raw.device_peak_bytes,
            raw.weight_bytes,                raw.tile_batch,        raw.shared_bytes,
            raw.run_bytes,                   raw.tiles_in_all};
}

inline RunReport report(const vxs_run_report &raw) {
    return {raw.tiles,
            raw.voxels,
            raw.near_ties,
            static_cast<MemoryStep>(raw.memory_step),
            raw.preprocess_seconds,
            raw.network_seconds,
            raw.blend_seconds,
            raw.restore_seconds,
            raw.total_seconds,
            raw.process_peak_bytes,
            raw.tiles_in_single,
            raw.tiles_on_device,
            raw.tile_batch,
            raw.non_finite_voxels,
            array(raw.first_non_finite),
            static_cast<RunWarnings>(raw.warnings),
            raw.tiles_in_all,
            raw.final_voxels,
            box(raw.final_part)};
}

} // namespace detail
/** @endcond */

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_REPORTS_HPP
