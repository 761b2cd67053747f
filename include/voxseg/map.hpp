/**
 * @file
 * @brief Views of the caller's buffers for maps of probability, margin and entropy.
 */
#ifndef VOXSEG_MAP_HPP
#define VOXSEG_MAP_HPP

#include "buffer.hpp"
#include "span.hpp"

#include <cstddef>
#include <cstdint>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** A map that a run fills beside the labels. Borrows the buffer. */
class MapView : public BufferView<MapView, vxs_map> {
public:
    /** `bytes` bytes for a map; `label` is that of MapKind::Probability. */
    MapView(MapKind kind, std::uint32_t label, VoxelType type, void *values, std::size_t bytes)
        : BufferView(detail::filled(&vxs_map_init), type, values, bytes) {
        raw_.kind = static_cast<vxs_map_kind>(kind);
        raw_.label = label;
    }

    /** The probability of a label. */
    static MapView probability(std::uint32_t label, Span<float> values) {
        return MapView(MapKind::Probability, label, VoxelType::Float32, values.data(),
                       values.size() * sizeof(float));
    }
    /** Thousandths between the two highest probabilities, at most 255. */
    static MapView margin(Span<std::uint8_t> values) {
        return MapView(MapKind::Margin, 0, VoxelType::UInt8, values.data(), values.size());
    }
    /** Entropy in nats. */
    static MapView entropy(Span<float> values) {
        return MapView(MapKind::Entropy, 0, VoxelType::Float32, values.data(), values.size() * sizeof(float));
    }
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_MAP_HPP
