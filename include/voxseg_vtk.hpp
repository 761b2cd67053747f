/**
 * @file
 * @brief Views of vtkImageData (VTK 9 or newer) for voxseg.hpp: the voxels stay where they are, the grid is VTK's own.
 *
 * @code
 * auto labels = voxseg::labels_like(*image);
 * plan.segment(voxseg::view(*image), voxseg::label_view(*labels));
 * @endcode
 *
 * A view covers the image's whole extent, and its voxel (0, 0, 0) is the extent's first point, wherever that begins.
 * Spacing (mm), position and direction matrix are taken from the image; components of the scalars are the model's
 * channels. VTK names no patient axes: they are taken as LPS, and view(...).in_ras() says that they are RAS. Many
 * readers leave the direction matrix out or turn rows over: then set what they drop before. A view borrows the scalars
 * and ends with them.
 */
#ifndef VOXSEG_VTK_HPP
#define VOXSEG_VTK_HPP

#include <vtkDataArray.h>
#include <vtkImageData.h>
#include <vtkMatrix3x3.h>
#include <vtkPointData.h>
#include <vtkSmartPointer.h>

#include "voxseg.hpp"

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** @cond internal */
namespace detail {

/** The VoxelType of one of VTK's types; nothing for those that are no voxels here. */
inline std::optional<VoxelType> vtk_dtype(int type) {
    switch (type) {
    case VTK_CHAR:
        return dtype<char>();
    case VTK_SIGNED_CHAR:
        return VoxelType::Int8;
    case VTK_UNSIGNED_CHAR:
        return VoxelType::UInt8;
    case VTK_SHORT:
        return VoxelType::Int16;
    case VTK_UNSIGNED_SHORT:
        return VoxelType::UInt16;
    case VTK_INT:
        return VoxelType::Int32;
    case VTK_UNSIGNED_INT:
        return VoxelType::UInt32;
    case VTK_LONG:
        return sizeof(long) == 4 ? std::optional<VoxelType>(VoxelType::Int32) : std::nullopt;
    case VTK_UNSIGNED_LONG:
        return sizeof(long) == 4 ? std::optional<VoxelType>(VoxelType::UInt32) : std::nullopt;
    case VTK_FLOAT:
        return VoxelType::Float32;
    case VTK_DOUBLE:
        return VoxelType::Float64;
    default:
        return std::nullopt;
    }
}

/** Why an image's scalars can't be looked at where they lie; nothing when they can. */
inline std::optional<Error> vtk_obstacle(vtkImageData &image) {
    vtkDataArray *scalars = image.GetPointData()->GetScalars();
    if (!scalars) {
        return Error(Status::NullPointer, "the vtkImageData has no scalars");
    }
    if (!vtk_dtype(scalars->GetDataType())) {
        return Error(Status::InvalidArgument, std::string("the vtkImageData has scalars of type ") +
                                               scalars->GetDataTypeAsString() +
                                               "; expected integers of 8 to 32 bits, float or double");
    }
    if (!scalars->HasStandardMemoryLayout()) {
        return Error(Status::InvalidArgument,
                     "the vtkImageData keeps its components apart; expected one array with them interleaved");
    }
    return std::nullopt;
}

inline std::size_t vtk_bytes(vtkDataArray &scalars) {
    return static_cast<std::size_t>(scalars.GetNumberOfValues()) *
           static_cast<std::size_t>(scalars.GetDataTypeSize());
}

} // namespace detail
/** @endcond */

/** An image with scalars. Fails with Status::InvalidArgument or Status::NullPointer for types that are no voxels. */
inline Result<VolumeView> view(vtkImageData &image) {
    if (auto wrong = detail::vtk_obstacle(image)) {
        return detail::failed<VolumeView>(std::move(*wrong));
    }
    vtkDataArray &scalars = *image.GetPointData()->GetScalars();
    const int *extent = image.GetExtent();
    Shape size;
    Vector spacing, origin;
    Matrix direction;
    image.TransformIndexToPhysicalPoint(extent[0], extent[2], extent[4], origin.data());
    for (int a = 0; a < 3; a++) {
        const auto axis = static_cast<std::size_t>(a);
        size[axis] = static_cast<std::uint64_t>(extent[2 * a + 1] - extent[2 * a] + 1);
        spacing[axis] = image.GetSpacing()[a];
        for (int column = 0; column < 3; column++) {
            direction[3 * axis + static_cast<std::size_t>(column)] =
                image.GetDirectionMatrix()->GetElement(a, column);
        }
    }
    VolumeView view(*detail::vtk_dtype(scalars.GetDataType()), scalars.GetVoidPointer(0),
                    detail::vtk_bytes(scalars), size);
    if (const std::int64_t components = scalars.GetNumberOfComponents(); components > 1) {
        const std::int64_t one = scalars.GetDataTypeSize(), step = components * one;
        const auto x = static_cast<std::int64_t>(size[0]), y = static_cast<std::int64_t>(size[1]);
        view.with_strides({step, step * x, step * x * y});
        view.with_channels(static_cast<std::uint64_t>(components), one);
    }
    return view.with_spacing(spacing).with_origin(origin).with_direction(direction);
}

/** The scalars of an image for labels, which has the size of the image that is segmented. Fails as view() does. */
inline Result<LabelView> label_view(vtkImageData &image) {
    if (auto wrong = detail::vtk_obstacle(image)) {
        return detail::failed<LabelView>(std::move(*wrong));
    }
    vtkDataArray &scalars = *image.GetPointData()->GetScalars();
    return LabelView(*detail::vtk_dtype(scalars.GetDataType()), scalars.GetVoidPointer(0),
                     detail::vtk_bytes(scalars));
}

/** An image for labels on the grid of `image`; `type` is one of VTK's integer types. */
inline vtkSmartPointer<vtkImageData> labels_like(vtkImageData &image, int type = VTK_UNSIGNED_CHAR) {
    auto labels = vtkSmartPointer<vtkImageData>::New();
    labels->SetExtent(image.GetExtent());
    labels->SetSpacing(image.GetSpacing());
    labels->SetOrigin(image.GetOrigin());
    labels->SetDirectionMatrix(image.GetDirectionMatrix());
    labels->AllocateScalars(type, 1);
    labels->GetPointData()->GetScalars()->Fill(0);
    return labels;
}

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_VTK_HPP
