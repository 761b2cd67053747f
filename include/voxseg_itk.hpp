/**
 * @file
 * @brief Views of itk::Image for voxseg.hpp: the voxels stay where they are, the grid is ITK's own.
 *
 * @code
 * auto labels = voxseg::labels_like<std::uint8_t>(*image);
 * plan.segment(voxseg::view(*image), voxseg::label_view(*labels));
 * @endcode
 *
 * A view covers the image's buffered region, and its voxel (0, 0, 0) is the first of that region, wherever its index
 * begins. Spacing (mm), position and direction are taken from the image: both sides use LPS, axis 0 fastest, columns
 * of the direction matrix for axes. Update the pipeline before; a view borrows the image's buffer and ends with it.
 */
#ifndef VOXSEG_ITK_HPP
#define VOXSEG_ITK_HPP

#include <itkImage.h>
#include <itkVectorImage.h>

#include "voxseg.hpp"

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** @cond internal */
namespace detail {

template <class Image> VolumeView itk_view(const Image &image, std::size_t components) {
    using Voxel = typename Image::InternalPixelType;
    const auto &region = image.GetBufferedRegion();
    Shape size;
    Vector spacing, origin;
    Matrix direction;
    typename Image::PointType first;
    image.TransformIndexToPhysicalPoint(region.GetIndex(), first);
    for (unsigned a = 0; a < 3; a++) {
        size[a] = region.GetSize(a);
        spacing[a] = image.GetSpacing()[a];
        origin[a] = first[a];
        for (unsigned column = 0; column < 3; column++) {
            direction[3 * a + column] = image.GetDirection()[a][column];
        }
    }
    // The container's size is what is really there, in scalars.
    VolumeView view(image.GetBufferPointer(), image.GetPixelContainer()->Size(), size);
    if (components > 1) {
        const auto step = static_cast<std::int64_t>(components * sizeof(Voxel));
        const auto x = static_cast<std::int64_t>(size[0]), y = static_cast<std::int64_t>(size[1]);
        view.with_strides({step, step * x, step * x * y}).with_channels(components, sizeof(Voxel));
    }
    return view.with_spacing(spacing).with_origin(origin).with_direction(direction);
}

} // namespace detail
/** @endcond */

/** An image of one channel. */
template <class Voxel> VolumeView view(const itk::Image<Voxel, 3> &image) {
    return detail::itk_view(image, 1);
}

/** An image whose components are the model's channels. */
template <class Voxel> VolumeView view(const itk::VectorImage<Voxel, 3> &image) {
    return detail::itk_view(image, image.GetNumberOfComponentsPerPixel());
}

/** The buffer of an image for labels, which has the size of the image that is segmented. */
template <class Label> LabelView label_view(itk::Image<Label, 3> &image) {
    return LabelView(image.GetBufferPointer(), image.GetPixelContainer()->Size());
}

/** An image for labels on the grid of `image`, all zero. */
template <class Label, class Image> typename itk::Image<Label, 3>::Pointer labels_like(const Image &image) {
    auto labels = itk::Image<Label, 3>::New();
    labels->CopyInformation(&image);
    labels->SetRegions(image.GetBufferedRegion());
    labels->Allocate(true);
    return labels;
}

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_ITK_HPP
