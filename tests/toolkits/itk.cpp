// voxseg_itk.hpp: the view has the image's grid and own voxels, labels come out as from a vector.
//
//     itk MODEL CT.mhd [--quick]

#include <voxseg_itk.hpp>

#include <cmath>
#include <vector>

#include "../c/fixture.h"
#include "grid.hpp"

namespace {

using Image = itk::Image<std::int16_t, 3>;

// An oblique image with the crop's voxels whose buffered region begins elsewhere than at 0, and is a part of the whole.
Image::Pointer oblique(const image &crop) {
    auto made = Image::New();
    const Image::IndexType start = {{3, -5, 7}};
    const Image::SizeType size = {{crop.shape[0], crop.shape[1], crop.shape[2]}};
    const Image::SizeType whole = {{crop.shape[0], crop.shape[1], crop.shape[2] + 4}};
    made->SetLargestPossibleRegion({start, whole});
    made->SetBufferedRegion({start, size});
    made->SetRequestedRegion({start, size});
    made->SetSpacing(crop.spacing);
    const double origin[] = {-120.5, 33.25, 1000};
    made->SetOrigin(origin);
    Image::DirectionType direction;
    for (unsigned i = 0; i < 9; i++) {
        direction[i / 3][i % 3] = turned[i];
    }
    made->SetDirection(direction);
    made->Allocate();
    std::copy_n(crop.voxels, crop.count, made->GetBufferPointer());
    return made;
}

void check_grid(const Image &image) {
    const voxseg::VolumeView view = voxseg::view(image);
    CHECK(view.get()->data == image.GetBufferPointer() && view.type() == voxseg::VoxelType::Int16 && !view.is_ras());
    const auto &region = image.GetBufferedRegion();
    for (const voxseg::Shape &voxel : corners(*view.get())) {
        Image::IndexType index = region.GetIndex();
        for (unsigned a = 0; a < 3; a++) {
            CHECK(view.shape()[a] == region.GetSize(a));
            index[a] += static_cast<itk::IndexValueType>(voxel[a]);
        }
        Image::PointType point;
        image.TransformIndexToPhysicalPoint(index, point);
        const voxseg::Vector ours = place(*view.get(), voxel);
        for (unsigned a = 0; a < 3; a++) {
            CHECK(std::fabs(point[a] - ours[a]) < 1e-9);
        }
        CHECK(image.GetPixel(index) == *static_cast<const std::int16_t *>(address(*view.get(), 0, voxel)));
    }
}

void check_components(const Image &image) {
    using Several = itk::VectorImage<float, 3>;
    auto several = Several::New();
    several->CopyInformation(&image);
    several->SetRegions(image.GetBufferedRegion());
    several->SetNumberOfComponentsPerPixel(3);
    several->Allocate();
    for (std::size_t i = 0; i < several->GetPixelContainer()->Size(); i++) {
        several->GetBufferPointer()[i] = static_cast<float>(i);
    }
    const voxseg::VolumeView view = voxseg::view(*several);
    CHECK(view.channels() == 3 && view.get()->data == several->GetBufferPointer() &&
          view.type() == voxseg::VoxelType::Float32);
    for (const voxseg::Shape &voxel : corners(*view.get())) {
        Several::IndexType index = several->GetBufferedRegion().GetIndex();
        for (unsigned a = 0; a < 3; a++) {
            index[a] += static_cast<itk::IndexValueType>(voxel[a]);
        }
        const auto pixel = several->GetPixel(index);
        for (unsigned channel = 0; channel < 3; channel++) {
            CHECK(pixel[channel] == *static_cast<const float *>(address(*view.get(), channel, voxel)));
        }
    }
}

} // namespace

int main(int argc, char **argv) {
    const arguments given = read_arguments(argc, argv);
    ::image ct = read_ct(given.ct), small = crop(&ct, 40, 36, 30);
    const auto source = oblique(small);
    check_grid(*source);
    check_components(*source);

    // The same labels as from a vector on that grid.
    voxseg::Plan plan(voxseg::Model::open(given.model));
    const auto labels = voxseg::labels_like<std::uint16_t>(*source);
    CHECK(labels->GetBufferedRegion() == source->GetBufferedRegion() &&
          labels->GetDirection() == source->GetDirection() && labels->GetOrigin() == source->GetOrigin() &&
          labels->GetSpacing() == source->GetSpacing());
    plan.segment(voxseg::view(*source), voxseg::label_view(*labels));

    const std::vector<std::int16_t> voxels(small.voxels, small.voxels + small.count);
    std::vector<std::uint16_t> expected(small.count);
    voxseg::VolumeView same(voxels, {40, 36, 30});
    same.with_spacing({ct.spacing[0], ct.spacing[1], ct.spacing[2]}).with_direction(turned);
    plan.segment(same, expected);
    CHECK(std::equal(expected.begin(), expected.end(), labels->GetBufferPointer()));
    CHECK(std::any_of(expected.begin(), expected.end(), [](std::uint16_t label) { return label != 0; }));

    std::free(ct.voxels);
    std::free(small.voxels);
    std::puts("itk: grids and voxels are ITK's own");
    return 0;
}
