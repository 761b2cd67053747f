// A series of Orthanc's as one volume: geometry from the tags of its slices, voxels from their decoded images.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <json/json.h>

struct Slice {
    std::string instance; /**< Orthanc's identifier. */
    std::string sop_class, sop_instance;
    std::array<double, 3> position; /**< Of its first voxel, LPS in mm. */
    double slope, intercept;
};

/** Slices sorted along the normal, at equal distances, with the same size and orientation. */
struct Series {
    Json::Value tags; /**< Of the first slice: patient, study, frame of reference. */
    std::vector<Slice> slices;
    std::array<std::uint64_t, 3> shape; /**< Columns, rows, slices. */
    std::array<double, 3> spacing;      /**< Along columns, rows, slices, in mm. */
    std::array<double, 9> direction;    /**< Row-major; column a is axis a. */
    std::array<double, 6> orientation;  /**< As in the tag. */

    /** Reads tags; throws orthanc::Refused, with a sentence, for what isn't one grid of voxels. */
    static Series open(const std::string &id);

    /** Intensities, columns fastest. Decodes slice by slice; `go_on` is asked between them. */
    template <class GoOn> std::vector<float> voxels(GoOn go_on) const {
        std::vector<float> values(shape[0] * shape[1] * shape[2]);
        for (std::size_t k = 0; k < slices.size() && go_on(); k++) {
            decode(slices[k], values.data() + k * shape[0] * shape[1]);
        }
        return values;
    }

private:
    void decode(const Slice &slice, float *values) const;
};
