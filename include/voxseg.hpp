/**
 * @file
 * @brief C++17 over voxseg.h: owners, exceptions, views of your own buffers. Header-only; the C interface
 * stays the binary boundary, so that compiler, standard library and build mode of your program are free.
 *
 * @code
 * auto model = voxseg::Model::open("Dataset901_TorsoCT/nnUNetTrainer__nnUNetPlans__3d_fullres");
 * voxseg::Plan plan(model);
 * auto volume = voxseg::VolumeView(voxels, {122, 101, 112}).with_spacing({3, 3, 3});
 * std::vector<std::uint8_t> labels(voxels.size());
 * voxseg::RunReport report = plan.segment(volume, labels);
 * @endcode
 *
 * Owners can be moved and not copied; views borrow. Options are structures of values with their defaults, for the
 * designated initialisers of C++20: {.device = voxseg::Device::Cuda}. What fails throws voxseg::Error. Nothing here is thread-aware beyond
 * what voxseg.h says: a Model serves any thread, a Plan one call at a time, Cancel::request() any thread.
 *
 * Compiled without exceptions, or with VOXSEG_NO_EXCEPTIONS defined, what can fail returns a voxseg::Result
 * instead, and the constructors that can fail are left out: Plan::create(), Cancel::create() and Devices::open()
 * serve both ways. The two can be linked into one program.
 *
 * voxseg_itk.hpp and voxseg_vtk.hpp make views of itk::Image and vtkImageData.
 */
#ifndef VOXSEG_HPP
#define VOXSEG_HPP

#include "voxseg.h"

#include "voxseg/buffer.hpp"
#include "voxseg/cancel.hpp"
#include "voxseg/compare.hpp"
#include "voxseg/device.hpp"
#include "voxseg/dose.hpp"
#include "voxseg/enumerations.hpp"
#include "voxseg/error.hpp"
#include "voxseg/executor.hpp"
#include "voxseg/grid.hpp"
#include "voxseg/labels.hpp"
#include "voxseg/log.hpp"
#include "voxseg/map.hpp"
#include "voxseg/model.hpp"
#include "voxseg/nifti.hpp"
#include "voxseg/plan.hpp"
#include "voxseg/region.hpp"
#include "voxseg/reports.hpp"
#include "voxseg/runtime.hpp"
#include "voxseg/session.hpp"
#include "voxseg/span.hpp"
#include "voxseg/statistics.hpp"
#include "voxseg/version.hpp"
#include "voxseg/volume.hpp"

#endif // VOXSEG_HPP
