/**
 * @file
 * @brief A view of the caller's buffer for labels.
 */
#ifndef VOXSEG_LABELS_HPP
#define VOXSEG_LABELS_HPP

#include "dtype.hpp"
#include "geometry.hpp"
#include "handle.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** The caller's buffer for the labels: a vxs_labels that fills itself. Borrows the buffer. */
class LabelView : public vxs_labels, public Strided<LabelView> {
public:
    /** `bytes` bytes for labels of type `type` (an integer VXS_DTYPE_*). */
    LabelView(vxs_dtype type, void *labels, std::size_t bytes)
        : vxs_labels(detail::filled(&vxs_labels_init)) {
        dtype = type;
        data = labels;
        data_size = bytes;
    }

    /** `count` labels; their type follows from the pointer's. */
    template <class T>
    LabelView(T *labels, std::size_t count) : LabelView(detail::dtype<T>(), labels, count * sizeof(T)) {
        static_assert(std::is_integral_v<T> && !std::is_const_v<T>,
                      "labels are integers that can be written");
    }

    /** A vector of labels, axis 0 fastest. Implicit, so that a vector can be passed to Plan::segment(). */
    template <class T> LabelView(std::vector<T> &labels) : LabelView(labels.data(), labels.size()) {}

    /** The buffer lies in the memory of the GPU of a plan on CUDA or TensorRT. */
    LabelView &on_device() {
        flags |= VXS_LABELS_ON_DEVICE;
        return *this;
    }
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_LABELS_HPP
