/**
 * @file
 * @brief What views of the caller's buffers have in common.
 */
#ifndef VOXSEG_BUFFER_HPP
#define VOXSEG_BUFFER_HPP

#include "enumerations.hpp"
#include "handle.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** What a view of a buffer is: a structure of voxseg.h that points to the caller's memory. */
template <class View, class Raw> class BufferView {
public:
    /** Bytes between neighbours along each axis, and to voxel (0, 0, 0). */
    View &with_strides(std::array<std::int64_t, 3> strides, std::uint64_t offset = 0) {
        raw_.offset = offset;
        for (std::size_t i = 0; i < 3; i++) {
            raw_.strides[i] = strides[i];
        }
        return static_cast<View &>(*this);
    }

    /** The type of a voxel. */
    VoxelType type() const noexcept { return static_cast<VoxelType>(raw_.dtype); }
    /** The structure, for functions of voxseg.h. */
    const Raw *get() const noexcept { return &raw_; }

protected:
    /** @cond internal */
    explicit BufferView(const Raw &raw) : raw_(raw) {}

    template <class Data> BufferView(Raw raw, VoxelType type, Data *data, std::size_t size) : raw_(raw) {
        raw_.dtype = static_cast<vxs_dtype>(type);
        raw_.data = data;
        raw_.data_size = size;
    }

    Raw raw_;
    /** @endcond */
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_BUFFER_HPP
