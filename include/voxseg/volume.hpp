/**
 * @file
 * @brief A view of the caller's voxels and their grid.
 */
#ifndef VOXSEG_VOLUME_HPP
#define VOXSEG_VOLUME_HPP

#include "dtype.hpp"
#include "geometry.hpp"
#include "handle.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** The caller's voxels and their grid: a vxs_volume that fills itself. Borrows the voxels. */
class VolumeView : public vxs_volume, public Strided<VolumeView> {
public:
    /** A grid without voxels, enough for Plan::estimate(). */
    explicit VolumeView(Shape size) : VolumeView(VXS_DTYPE_F32, nullptr, 0, size) {}

    /** `bytes` bytes of voxels of type `type` (one of VXS_DTYPE_*). */
    VolumeView(vxs_dtype type, const void *voxels, std::size_t bytes, Shape size)
        : vxs_volume(detail::filled(&vxs_volume_init)) {
        dtype = type;
        data = voxels;
        data_size = bytes;
        copy(size, shape);
    }

    /** `count` voxels; their type follows from the pointer's. */
    template <class Voxel>
    VolumeView(const Voxel *voxels, std::size_t count, Shape size)
        : VolumeView(detail::dtype<Voxel>(), voxels, count * sizeof(Voxel), size) {}

    /** A vector of voxels, axis 0 fastest. */
    template <class Voxel>
    VolumeView(const std::vector<Voxel> &voxels, Shape size)
        : VolumeView(voxels.data(), voxels.size(), size) {}
    /** A temporary would end before it is used. */
    template <class Voxel> VolumeView(const std::vector<Voxel> &&, Shape) = delete;

    /** Millimetres between neighbours. */
    VolumeView &with_spacing(Vector values) { return copy(values, spacing); }
    /** Position of voxel (0, 0, 0). */
    VolumeView &with_origin(Vector values) { return copy(values, origin); }
    /** Row-major directions: column a is axis a. */
    VolumeView &with_direction(Matrix values) { return copy(values, direction); }
    /** Intensity = stored value * factor + addend. */
    VolumeView &with_scaling(double factor, double addend) {
        slope = factor;
        intercept = addend;
        return *this;
    }
    /** Number of channels in the one buffer, and the bytes between them (0: each follows the one before). */
    VolumeView &with_channels(std::uint64_t count, std::int64_t stride = 0) {
        channels = count;
        channel_stride = stride;
        return *this;
    }
    /** Origin and direction are RAS (NIfTI, Slicer) and not LPS (DICOM, ITK). */
    VolumeView &in_ras() {
        flags |= VXS_VOLUME_RAS;
        return *this;
    }
    /** Voxels are in the other byte order than the machine's. */
    VolumeView &byte_swapped() {
        flags |= VXS_VOLUME_SWAPPED;
        return *this;
    }
    /** The voxels lie in the memory of the GPU of a plan on CUDA or TensorRT: for Plan::segment(). */
    VolumeView &on_device() {
        flags |= VXS_VOLUME_ON_DEVICE;
        return *this;
    }

private:
    template <class T, std::size_t N> VolumeView &copy(const std::array<T, N> &from, T (&to)[N]) {
        for (std::size_t i = 0; i < N; i++) {
            to[i] = from[i];
        }
        return *this;
    }
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_VOLUME_HPP
