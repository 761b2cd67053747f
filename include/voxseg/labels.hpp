/**
 * @file
 * @brief A view of the caller's buffer for labels.
 */
#ifndef VOXSEG_LABELS_HPP
#define VOXSEG_LABELS_HPP

#include "buffer.hpp"
#include "dtype.hpp"
#include "span.hpp"

#include <cstddef>
#include <type_traits>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** The caller's buffer for the labels. Borrows the buffer. */
class LabelView : public BufferView<LabelView, vxs_labels> {
public:
    /** `bytes` bytes for labels of an integer type. */
    LabelView(VoxelType type, void *labels, std::size_t bytes)
        : BufferView(detail::filled(&vxs_labels_init), type, labels, bytes) {}

    /** `count` labels; their type follows from the pointer's. */
    template <class T>
    LabelView(T *labels, std::size_t count) : LabelView(detail::dtype<T>(), labels, count * sizeof(T)) {
        static_assert(std::is_integral_v<T> && !std::is_const_v<T>,
                      "labels are integers that can be written");
    }

    /** A vector or a span of labels, axis 0 fastest. Implicit, so that it can be passed to Plan::segment(). */
    template <class Range, class = detail::IfBorrowed<Range>>
    LabelView(Range &&labels) : LabelView(std::data(labels), std::size(labels)) {}

    /** The buffer lies in the memory of the GPU of a plan on CUDA or TensorRT. */
    LabelView &on_device() {
        raw_.flags |= VXS_LABELS_ON_DEVICE;
        return *this;
    }
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_LABELS_HPP
