/**
 * @file
 * @brief How two label maps agree.
 */
#ifndef VOXSEG_COMPARE_HPP
#define VOXSEG_COMPARE_HPP

#include "error.hpp"
#include "executor.hpp"
#include "geometry.hpp"
#include "handle.hpp"
#include "measure.hpp"
#include "model.hpp"
#include "volume.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** Two labels that mean the same. */
struct LabelPair {
    std::uint32_t first = 0;  /**< The value in the first map. */
    std::uint32_t second = 0; /**< The value in the second map. */
};

/** The labels of two models that mean the same. */
inline Result<std::vector<LabelPair>> match_labels(const Model &first, const Model &second,
                                                   LabelMatch by = LabelMatch::Name) {
    std::uint64_t count = 0;
    std::vector<vxs_label_pair> found(vxs_model_label_count(first.get()));
    return detail::call(
        [&](vxs_error **error) {
            return vxs_match_labels(first.get(), second.get(), static_cast<vxs_match>(by), found.size(),
                                    found.data(), &count, error);
        },
        [&] {
            std::vector<LabelPair> pairs(count);
            for (std::size_t i = 0; i < pairs.size(); i++) {
                pairs[i] = {found[i].first, found[i].second};
            }
            return pairs;
        });
}

/** How to compare label maps. */
struct CompareOptions {
    /** The labels to compare; nothing: each value but 0 that occurs, with itself. */
    std::optional<std::vector<LabelPair>> pairs{};
    /** The tolerance of surface Dice in millimetres, from 0; nothing: surfaces aren't compared, which takes longer. */
    std::optional<double> tolerance{};
    /** Threads that work, the calling one included; 0: all processors of this process. */
    std::uint32_t threads = 0;
    /** Called on the thread that works; as for RunOptions. */
    ProgressFunction progress{};
    /** Stops the work; nullptr for none. */
    const Cancel *cancel = nullptr;
    /** The host's threads to work on; without a function the library starts threads, which end with the call. */
    Executor executor{};
};

/**
 * How a label of the first map and one of the second agree. What isn't defined is NaN: overlaps of labels that don't
 * occur, and distances where surfaces weren't compared.
 */
struct Comparison {
    LabelPair pair{};                     /**< The labels. */
    std::array<std::uint64_t, 2> voxels{}; /**< Voxels of each, on the first map's grid. */
    std::uint64_t both = 0;               /**< Voxels that have both. */
    std::array<double, 2> milliliters{};  /**< Volume of each. */
    double dice = 0;                      /**< The Dice coefficient. */
    bool surfaces = false;                /**< Whether surfaces were compared. */
    double hausdorff = 0;                 /**< The largest distance from either surface to the other, in mm. */
    /** The distance that 95 % of a surface's area keep within, of that surface for which it is larger. */
    double hausdorff_95 = 0;
    double mean_distance = 0; /**< The mean distance over both surfaces, in mm. */
    double surface_dice = 0;  /**< The share of both surfaces' area within the tolerance of the other surface. */
};

/** How two label maps agree: volumes of labels, also on different grids. */
inline Result<std::vector<Comparison>> compare(const VolumeView &first, const VolumeView &second,
                                               const CompareOptions &options = {}) {
    detail::Callback callback{&options.progress, nullptr};
    auto raw = detail::filled(&vxs_compare_options_init);
    // No pairs are another thing than all that occur: then the pointer isn't NULL.
    std::vector<vxs_label_pair> pairs(1);
    if (options.pairs) {
        pairs.clear();
        for (const LabelPair &pair : *options.pairs) {
            pairs.push_back({pair.first, pair.second});
        }
        raw.pair_count = pairs.size();
        pairs.push_back({});
        raw.pairs = pairs.data();
    }
    raw.surfaces = options.tolerance ? 1 : 0;
    raw.tolerance = options.tolerance.value_or(0);
    raw.threads = options.threads;
    vxs_executor threads{};
    raw.executor = options.executor.fill(threads);
    callback.watch(raw, options.cancel);
    std::vector<Comparison> found;
    return detail::call(
        [&](vxs_error **error) {
            vxs_comparison_list *made = nullptr;
            vxs_status status = vxs_compare(first.get(), second.get(), &raw, &made, error);
            const detail::Owner<vxs_comparison_list> list(made);
            callback.rethrow(*error);
            for (std::uint64_t i = 0; i < vxs_comparison_list_count(made) && status == VXS_OK; i++) {
                auto one = detail::filled(&vxs_comparison_init);
                status = vxs_comparison_list_get(made, i, &one, error);
                found.push_back({{one.pair.first, one.pair.second},
                                 detail::array(one.voxels),
                                 one.both,
                                 detail::array(one.milliliters),
                                 one.dice,
                                 one.surfaces != 0,
                                 one.hausdorff,
                                 one.hausdorff_95,
                                 one.mean_distance,
                                 one.surface_dice});
            }
            return status;
        },
        [&] { return std::move(found); });
}

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_COMPARE_HPP
