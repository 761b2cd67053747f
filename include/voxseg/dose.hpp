/**
 * @file
 * @brief The dose that labels receive.
 */
#ifndef VOXSEG_DOSE_HPP
#define VOXSEG_DOSE_HPP

#include "error.hpp"
#include "handle.hpp"
#include "measure.hpp"
#include "span.hpp"
#include "volume.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** The dose in a label, in the unit of the dose volume. */
struct LabelDose {
    std::uint32_t label = 0;   /**< The label. */
    std::uint64_t voxels = 0;  /**< Voxels that have it. */
    std::uint64_t outside = 0; /**< Those of them outside of the dose volume, which count as a dose of 0. */
    double mean = 0;           /**< The mean dose. */
    double min = 0;            /**< The smallest dose. */
    double max = 0;            /**< The largest dose. */
};

/** The dose that each label but 0 receives, in ascending order of the labels. */
class Doses {
public:
    /** Samples `dose`, a volume on any grid, at the centres of the labels' voxels. */
    static Result<Doses> measure(const VolumeView &labels, const VolumeView &dose,
                                 const MeasureOptions &options = {}) {
        detail::Callback callback{&options.progress, nullptr};
        vxs_executor threads{};
        const auto raw = detail::c_options(options, callback, threads);
        vxs_dose_list *list = nullptr;
        return detail::call(
            [&](vxs_error **error) {
                const vxs_status status = vxs_dose(labels.get(), dose.get(), &raw, &list, error);
                detail::Owner<vxs_dose_list> owner(list);
                callback.rethrow(*error);
                list = owner.release();
                return status;
            },
            [&] { return Doses(list); });
    }

    /** How many labels occur. */
    std::size_t size() const noexcept { return static_cast<std::size_t>(vxs_dose_list_count(list_.get())); }

    /** Voxels, mean, smallest and largest dose of one. */
    Result<LabelDose> at(std::size_t index) const {
        auto found = detail::filled(&vxs_label_dose_init);
        return detail::call(
            [&](vxs_error **error) { return vxs_dose_list_get(list_.get(), index, &found, error); },
            [&] {
                return LabelDose{found.label, found.voxels, found.outside, found.mean, found.min, found.max};
            });
    }

    /** D95, D2 and so on: the dose that so many per cent of it receive at least. */
    Result<double> dose_at_volume(std::size_t index, double percent) const {
        double dose = 0;
        return detail::call(
            [&](vxs_error **error) {
                return vxs_dose_list_dose_at_volume(list_.get(), index, &percent, 1, &dose, error);
            },
            [&] { return dose; });
    }

    /** V20 and so on, or the cumulative histogram: the shares, 0 to 1, of it that receive at least these doses. */
    Result<std::vector<double>> volume_at_dose(std::size_t index, Span<const double> doses) const {
        std::vector<double> shares(doses.size());
        return detail::call(
            [&](vxs_error **error) {
                return vxs_dose_list_volume_at_dose(list_.get(), index, doses.data(), doses.size(), shares.data(),
                                            error);
            },
            [&] { return std::move(shares); });
    }

private:
    explicit Doses(vxs_dose_list *list) : list_(list) {}

    detail::Owner<vxs_dose_list> list_;
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_DOSE_HPP
