// Labels as a DICOM Segmentation object (PS3.3 A.51): binary, one frame for each slice that a structure is on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <voxseg.hpp>

#include "series.hpp"

/** The bytes of a DICOM file. `labels` lie on the series' grid, columns fastest; throws where none is set. */
std::string segmentation_object(const Series &series, const voxseg::Model &model,
                                const std::vector<std::uint8_t> &labels);
