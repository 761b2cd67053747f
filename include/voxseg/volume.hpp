/**
 * @file
 * @brief A view of the caller's voxels and their grid.
 */
#ifndef VOXSEG_VOLUME_HPP
#define VOXSEG_VOLUME_HPP

#include "buffer.hpp"
#include "dtype.hpp"
#include "geometry.hpp"
#include "span.hpp"

#include <cstddef>
#include <cstdint>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** The caller's voxels and their grid. Borrows the voxels. */
class VolumeView : public BufferView<VolumeView, vxs_volume> {
public:
    /** A grid without voxels, enough for Plan::estimate(). */
    explicit VolumeView(Shape shape) : VolumeView(VoxelType::Float32, nullptr, 0, shape) {}
    /** As a structure of voxseg.h has it. */
    explicit VolumeView(const vxs_volume &volume) : BufferView(volume) {}

    /** `bytes` bytes of voxels of type `type`. */
    VolumeView(VoxelType type, const void *voxels, std::size_t bytes, Shape shape)
        : BufferView(detail::filled(&vxs_volume_init), type, voxels, bytes) {
        detail::copy(shape, raw_.shape);
    }

    /** `count` voxels; their type follows from the pointer's. */
    template <class Voxel>
    VolumeView(const Voxel *voxels, std::size_t count, Shape shape)
        : VolumeView(detail::dtype<Voxel>(), voxels, count * sizeof(Voxel), shape) {}

    /** A vector or a span of voxels, axis 0 fastest. No temporary vector, which would end before it is used. */
    template <class Range, class = detail::IfBorrowed<Range>>
    VolumeView(Range &&voxels, Shape shape) : VolumeView(std::data(voxels), std::size(voxels), shape) {}

    /** The same grid over other voxels: of another type, without scaling, one channel, axis 0 fastest. */
    template <class Range, class = detail::IfBorrowed<Range>> VolumeView over(Range &&voxels) const {
        VolumeView view(std::data(voxels), std::size(voxels), shape());
        view.with_spacing(spacing()).with_origin(origin()).with_direction(direction());
        view.raw_.flags = raw_.flags & VXS_VOLUME_RAS;
        return view;
    }

    /** Millimetres between neighbours. */
    VolumeView &with_spacing(Vector spacing) {
        detail::copy(spacing, raw_.spacing);
        return *this;
    }
    /** Position of voxel (0, 0, 0). */
    VolumeView &with_origin(Vector origin) {
        detail::copy(origin, raw_.origin);
        return *this;
    }
    /** Row-major directions: column a is axis a. */
    VolumeView &with_direction(Matrix direction) {
        detail::copy(direction, raw_.direction);
        return *this;
    }
    /** Intensity = stored value * slope + intercept. */
    VolumeView &with_scaling(double slope, double intercept) {
        raw_.slope = slope;
        raw_.intercept = intercept;
        return *this;
    }
    /** Number of channels in the one buffer, and the bytes between them (0: each follows the one before). */
    VolumeView &with_channels(std::uint64_t count, std::int64_t stride = 0) {
        raw_.channels = count;
        raw_.channel_stride = stride;
        return *this;
    }
    /** The voxels of a grid that was made without them, as Nifti::volume() makes it. */
    VolumeView &with_voxels(const void *voxels, std::size_t bytes) {
        raw_.data = voxels;
        raw_.data_size = bytes;
        return *this;
    }
    /** Origin and direction are RAS (NIfTI, Slicer) and not LPS (DICOM, ITK). */
    VolumeView &in_ras() {
        raw_.flags |= VXS_VOLUME_RAS;
        return *this;
    }
    /** Voxels are in the other byte order than the machine's. */
    VolumeView &byte_swapped() {
        raw_.flags |= VXS_VOLUME_SWAPPED;
        return *this;
    }
    /** The voxels lie in the memory of the GPU of a plan on CUDA or TensorRT: for Plan::segment(). */
    VolumeView &on_device() {
        raw_.flags |= VXS_VOLUME_ON_DEVICE;
        return *this;
    }

    /** Voxels along each axis. */
    Shape shape() const { return detail::array(raw_.shape); }
    /** Millimetres between neighbours. */
    Vector spacing() const { return detail::array(raw_.spacing); }
    /** Position of voxel (0, 0, 0). */
    Vector origin() const { return detail::array(raw_.origin); }
    /** Row-major directions: column a is axis a. */
    Matrix direction() const { return detail::array(raw_.direction); }
    /** Number of channels. */
    std::uint64_t channels() const noexcept { return raw_.channels; }
    /** Whether origin and direction are RAS. */
    bool is_ras() const noexcept { return (raw_.flags & VXS_VOLUME_RAS) != 0; }
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_VOLUME_HPP
