/**
 * @file
 * @brief The voxel type of a pointer.
 */
#ifndef VOXSEG_DTYPE_HPP
#define VOXSEG_DTYPE_HPP

#include "enumerations.hpp"

#include <type_traits>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** @cond internal */
namespace detail {

template <class Voxel> constexpr VoxelType dtype() {
    using T = std::remove_cv_t<Voxel>;
    static_assert(
        std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && sizeof(T) <= 8,
        "voxels are integers of 8 to 32 bits, float or double; pass half precision by its VoxelType::Float16");
    if constexpr (std::is_floating_point_v<T>) {
        return sizeof(T) == 4 ? VoxelType::Float32 : VoxelType::Float64;
    } else {
        static_assert(sizeof(T) <= 4, "64-bit integers are not voxel types");
        switch (sizeof(T)) {
        case 1:
            return std::is_signed_v<T> ? VoxelType::Int8 : VoxelType::UInt8;
        case 2:
            return std::is_signed_v<T> ? VoxelType::Int16 : VoxelType::UInt16;
        default:
            return std::is_signed_v<T> ? VoxelType::Int32 : VoxelType::UInt32;
        }
    }
}

} // namespace detail
/** @endcond */

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_DTYPE_HPP
