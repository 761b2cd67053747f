/**
 * @file
 * @brief Views of the caller's buffers for maps of probability, margin and entropy.
 */
#ifndef VOXSEG_MAP_HPP
#define VOXSEG_MAP_HPP

#include "geometry.hpp"
#include "handle.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** A map that a run fills beside the labels: a vxs_map that fills itself. Borrows the buffer. */
class MapView : public vxs_map, public Strided<MapView> {
public:
    /** `bytes` bytes for a map of kind VXS_MAP_*; `which` is the label of VXS_MAP_PROBABILITY. */
    MapView(vxs_map_kind what, std::uint32_t which, vxs_dtype type, void *values, std::size_t bytes)
        : vxs_map(detail::filled(&vxs_map_init)) {
        kind = what;
        label = which;
        dtype = type;
        data = values;
        data_size = bytes;
    }

    /** The probability of a label. */
    static MapView probability(std::uint32_t label, std::vector<float> &values) {
        return MapView(VXS_MAP_PROBABILITY, label, VXS_DTYPE_F32, values.data(),
                       values.size() * sizeof(float));
    }
    /** Thousandths between the two highest probabilities, at most 255. */
    static MapView margin(std::vector<std::uint8_t> &values) {
        return MapView(VXS_MAP_MARGIN, 0, VXS_DTYPE_U8, values.data(), values.size());
    }
    /** Entropy in nats. */
    static MapView entropy(std::vector<float> &values) {
        return MapView(VXS_MAP_ENTROPY, 0, VXS_DTYPE_F32, values.data(), values.size() * sizeof(float));
    }
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_MAP_HPP
