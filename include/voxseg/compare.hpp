/**
 * @file
 * @brief How two label maps agree.
 */
#ifndef VOXSEG_COMPARE_HPP
#define VOXSEG_COMPARE_HPP

#include "error.hpp"
#include "handle.hpp"
#include "measure.hpp"
#include "model.hpp"
#include "volume.hpp"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** The labels of two models that mean the same; `by` is one of VXS_MATCH_*. */
inline Result<std::vector<vxs_label_pair>> match_labels(const Model &first, const Model &second,
                                                        vxs_match by = VXS_MATCH_NAME) {
    std::uint64_t count = 0;
    std::vector<vxs_label_pair> pairs(vxs_model_label_count(first.get()));
    return detail::call(
        [&](vxs_error **error) {
            return vxs_match_labels(first.get(), second.get(), by, pairs.size(), pairs.data(), &count, error);
        },
        [&] {
            pairs.resize(count);
            return std::move(pairs);
        });
}

/**
 * How two label maps agree: volumes of labels, also on different grids. Without pairs each value that occurs is
 * compared with itself; with a tolerance in millimetres, from 0, surfaces are compared too.
 */
inline Result<std::vector<vxs_comparison>> compare(const VolumeView &first, const VolumeView &second,
                                                   const std::vector<vxs_label_pair> *pairs = nullptr,
                                                   std::optional<double> tolerance = std::nullopt,
                                                   const MeasureOptions &options = {}) {
    detail::Callback callback{&options.progress, nullptr};
    auto wanted = detail::filled(&vxs_compare_options_init);
    static const vxs_label_pair none{};
    if (pairs) {
        wanted.pairs = pairs->empty() ? &none : pairs->data();
        wanted.pair_count = pairs->size();
    }
    wanted.surfaces = tolerance ? 1 : 0;
    wanted.tolerance = tolerance.value_or(0);
    wanted.threads = options.threads;
    callback.watch(wanted, options.cancel);
    std::vector<vxs_comparison> found;
    return detail::call(
        [&](vxs_error **error) {
            vxs_comparison_list *raw = nullptr;
            vxs_status status = vxs_compare(&first, &second, &wanted, &raw, error);
            callback.rethrow(*error);
            const detail::Owner<vxs_comparison_list> list(raw);
            for (std::uint64_t i = 0; i < vxs_comparison_list_count(raw) && status == VXS_OK; i++) {
                found.push_back(detail::filled(&vxs_comparison_init));
                status = vxs_comparison_list_get(raw, i, &found.back(), error);
            }
            return status;
        },
        [&] { return std::move(found); });
}

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_COMPARE_HPP
