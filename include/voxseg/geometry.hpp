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

/** @cond internal */
namespace detail {

template <class T, std::size_t N> std::array<T, N> array(const T (&from)[N]) {
    std::array<T, N> to{};
    for (std::size_t i = 0; i < N; i++) {
        to[i] = from[i];
    }
    return to;
}

template <class T, std::size_t N> void copy(const std::array<T, N> &from, T (&to)[N]) {
    for (std::size_t i = 0; i < N; i++) {
        to[i] = from[i];
    }
}

} // namespace detail
/** @endcond */

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_GEOMETRY_HPP
