/**
 * @file
 * @brief Sizes, spacings and directions.
 */
#ifndef VOXSEG_GEOMETRY_HPP
#define VOXSEG_GEOMETRY_HPP

#include "version.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** Sizes along axes 0, 1 and 2. */
using Shape = std::array<std::uint64_t, 3>;
/** Millimetres along axes 0, 1 and 2. */
using Vector = std::array<double, 3>;
/** Row-major 3x3 matrix: column a is the direction of axis a. */
using Matrix = std::array<double, 9>;

/** What views of buffers have in common: steps between voxels. */
template <class View> class Strided {
public:
    /** Bytes between neighbours along each axis, and to voxel (0, 0, 0). */
    View &with_strides(std::array<std::int64_t, 3> values, std::uint64_t start = 0) {
        auto &view = static_cast<View &>(*this);
        view.offset = start;
        for (std::size_t i = 0; i < 3; i++) {
            view.strides[i] = values[i];
        }
        return view;
    }
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_GEOMETRY_HPP
