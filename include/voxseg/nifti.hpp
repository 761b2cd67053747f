/**
 * @file
 * @brief NIfTI headers, read as a model's own reader reads them.
 */
#ifndef VOXSEG_NIFTI_HPP
#define VOXSEG_NIFTI_HPP

#include "error.hpp"
#include "handle.hpp"
#include "span.hpp"
#include "volume.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** A NIfTI header as a Reader reads it: Model::reader() tells which one. Any thread. */
class Nifti {
public:
    /** Reads a header of NIfTI-1 or NIfTI-2; bytes behind it are ignored, so that a whole file will do. */
    static Result<Nifti> parse(const void *header, std::size_t bytes, Reader reader) {
        vxs_nifti *handle = nullptr;
        return detail::call(
            [&](vxs_error **error) {
                return vxs_nifti_parse(header, bytes, static_cast<vxs_reader>(reader), &handle, error);
            },
            [&] { return Nifti(handle); });
    }
    /** As above, from a vector or a span of bytes. */
    template <class Range, class = detail::Element<const Range>>
    static Result<Nifti> parse(const Range &header, Reader reader) {
        static_assert(sizeof(*std::data(header)) == 1, "a header is bytes");
        return parse(std::data(header), std::size(header), reader);
    }

    /**
     * Type, shape, channels, grid and scaling; the voxels are the caller's to add: VolumeView::with_voxels(). Of 64-bit
     * integers, which the caller narrows, the type is none of VoxelType's: VoxelType{}.
     */
    Result<VolumeView> volume() const {
        vxs_volume filled = detail::filled(&vxs_volume_init);
        return detail::call([&](vxs_error **error) { return vxs_nifti_volume(get(), &filled, error); },
                            [&] { return VolumeView(filled); });
    }
    /** Where the voxels start in their file, in bytes. */
    std::uint64_t data_offset() const noexcept { return vxs_nifti_data_offset(get()); }
    /** The code of the voxels' type in the header. */
    std::int32_t datatype() const noexcept { return vxs_nifti_datatype(get()); }
    /** What the header contradicts itself in, and what counts; empty for a header at one with itself. */
    std::string note() const {
        const char *text = vxs_nifti_note(get());
        return text == nullptr ? std::string() : std::string(text);
    }
    /** The handle, for functions of voxseg.h. */
    const vxs_nifti *get() const noexcept { return handle_.get(); }

private:
    explicit Nifti(vxs_nifti *handle) : handle_(handle) {}

    detail::Owner<vxs_nifti> handle_;
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_NIFTI_HPP
