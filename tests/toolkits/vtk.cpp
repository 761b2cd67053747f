// voxseg_vtk.hpp: the view has the image's grid and own voxels, labels come out as from a vector.
//
//     vtk MODEL CT.mhd [--quick]

#include <voxseg_vtk.hpp>

#include <vtkSOADataArrayTemplate.h>

#include <cmath>
#include <vector>

#include "../c/fixture.h"
#include "grid.hpp"

namespace {

// An oblique image whose extent begins elsewhere than at 0.
vtkSmartPointer<vtkImageData> oblique(const voxseg::Shape &shape, const double *spacing, int type,
                                      int components) {
    auto made = vtkSmartPointer<vtkImageData>::New();
    const auto last = [&](std::size_t axis, int first) { return first + static_cast<int>(shape[axis]) - 1; };
    made->SetExtent(3, last(0, 3), -5, last(1, -5), 7, last(2, 7));
    made->SetSpacing(spacing[0], spacing[1], spacing[2]);
    made->SetOrigin(-120.5, 33.25, 1000);
    made->SetDirectionMatrix(turned.data());
    made->AllocateScalars(type, components);
    return made;
}

void check_grid(vtkImageData &image) {
    const voxseg::VolumeView view = voxseg::view(image);
    const int components = image.GetNumberOfScalarComponents();
    CHECK(view.get()->data == image.GetScalarPointer() &&
          view.channels() == static_cast<std::uint64_t>(components));
    int extent[6];
    image.GetExtent(extent);
    for (const voxseg::Shape &voxel : corners(*view.get())) {
        int index[3];
        for (int a = 0; a < 3; a++) {
            index[a] = extent[2 * a] + static_cast<int>(voxel[static_cast<std::size_t>(a)]);
        }
        double point[3];
        image.TransformIndexToPhysicalPoint(index, point);
        const voxseg::Vector ours = place(*view.get(), voxel);
        for (std::size_t a = 0; a < 3; a++) {
            CHECK(std::fabs(point[a] - ours[a]) < 1e-9);
        }
        for (int channel = 0; channel < components; channel++) {
            const char *first = static_cast<const char *>(image.GetScalarPointer(index));
            CHECK(address(*view.get(), channel, voxel) == first + channel * image.GetScalarSize());
        }
    }
}

template <class Body> void fails(voxseg::Status status, Body body) {
    try {
        body();
    } catch (const voxseg::Error &error) {
        CHECK(error.status() == status && std::string(error.what()).size() > 20);
        return;
    }
    CHECK(!"it throws");
}

} // namespace

int main(int argc, char **argv) {
    const arguments given = read_arguments(argc, argv);
    image ct = read_ct(given.ct), small = crop(&ct, 40, 36, 30);
    const voxseg::Shape shape{40, 36, 30};
    const auto source = oblique(shape, ct.spacing, VTK_SHORT, 1);
    std::copy_n(small.voxels, small.count, static_cast<std::int16_t *>(source->GetScalarPointer()));
    check_grid(*source);
    check_grid(*oblique({5, 4, 3}, ct.spacing, VTK_FLOAT, 3));
    check_grid(*oblique({5, 4, 3}, ct.spacing, VTK_UNSIGNED_CHAR, 2));

    // What can't be looked at where it lies is refused, by a reason.
    fails(voxseg::Status::InvalidArgument, [&] { voxseg::view(*oblique({5, 4, 3}, ct.spacing, VTK_LONG_LONG, 1)); });
    fails(voxseg::Status::NullPointer, [] { voxseg::view(*vtkSmartPointer<vtkImageData>::New()); });
    const auto apart = oblique({5, 4, 3}, ct.spacing, VTK_FLOAT, 1);
    const auto columns = vtkSmartPointer<vtkSOADataArrayTemplate<float>>::New();
    columns->SetNumberOfComponents(2);
    columns->SetNumberOfTuples(60);
    apart->GetPointData()->SetScalars(columns);
    fails(voxseg::Status::InvalidArgument, [&] { voxseg::view(*apart); });

    // The same labels as from a vector on that grid.
    voxseg::Plan plan(voxseg::Model::open(given.model));
    const auto labels = voxseg::labels_like(*source, VTK_UNSIGNED_SHORT);
    check_grid(*labels);
    plan.segment(voxseg::view(*source), voxseg::label_view(*labels));
    const std::vector<std::int16_t> voxels(small.voxels, small.voxels + small.count);
    std::vector<std::uint16_t> expected(small.count);
    voxseg::VolumeView same(voxels, shape);
    same.with_spacing({ct.spacing[0], ct.spacing[1], ct.spacing[2]}).with_direction(turned);
    plan.segment(same, expected);
    CHECK(std::equal(expected.begin(), expected.end(),
                     static_cast<std::uint16_t *>(labels->GetScalarPointer())));
    CHECK(std::any_of(expected.begin(), expected.end(), [](std::uint16_t label) { return label != 0; }));

    std::free(ct.voxels);
    std::free(small.voxels);
    std::puts("vtk: grids and voxels are VTK's own");
    return 0;
}
