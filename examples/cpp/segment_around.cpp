// The labels around a clicked point: segment_around MODEL_FOLDER CT.mhd X Y Z OUT.mhd
//
// X, Y and Z are the voxel that was clicked. First the box of 60 voxels around it is labelled, from the tiles that touch
// it; its labels are those of the whole run, byte for byte. Then the whole run goes on, and planes are painted as they
// become final.

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <vector>

#include "metaimage.hpp"

namespace {

std::uint64_t index(const char *text, std::uint64_t size) {
    char *end = nullptr;
    const unsigned long long at = std::strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0' || at >= size) {
        throw std::invalid_argument(std::string(text) + " is no voxel of the image");
    }
    return at;
}

} // namespace

int main(int argc, char **argv) try {
    if (argc != 7) {
        std::cerr << "usage: segment_around MODEL_FOLDER CT.mhd X Y Z OUT.mhd\n";
        return 1;
    }
    const Image image = read_mhd(argv[2]);
    const voxseg::VolumeView volume = image.view();
    const voxseg::Shape shape = image.shape;
    const voxseg::Shape point{index(argv[3], shape[0]), index(argv[4], shape[1]),
                                             index(argv[5], shape[2])};

    voxseg::Plan plan(voxseg::Model::open(argv[1]));
    std::vector<std::uint8_t> labels(image.voxels.size());
    voxseg::RunOptions around;
    around.regions = {voxseg::box_around(point, {60, 60, 60}, shape)};
    const voxseg::PlanReport planned = plan.estimate(volume, around);
    std::cout << planned.tiles << " of " << planned.tiles_in_all << " tiles, " << (planned.run_bytes >> 20)
              << " MiB for the run\n";
    const voxseg::RunReport report = plan.segment(volume, labels, around);
    const std::size_t clicked = point[0] + shape[0] * (point[1] + shape[1] * point[2]);
    const std::uint8_t label = labels[clicked];
    std::cout << "the point is label " << unsigned{label} << ", after " << report.tiles << " tiles and "
              << report.total_seconds << " s\n";

    voxseg::RunOptions whole;
    whole.on_labels = [](const voxseg::LabelsSoFar &now) {
        // A viewer would draw these voxels here: their labels are in the buffer, and final.
        std::cout << "final: " << now.part.start[0] << ":" << now.part.end[0] << "," << now.part.start[1] << ":"
                  << now.part.end[1] << "," << now.part.start[2] << ":" << now.part.end[2] << "\n";
        return true;
    };
    plan.segment(volume, labels, whole);
    write_mhd(argv[6], image, labels);
    if (labels[clicked] != label) {
        throw std::runtime_error("the whole run gives the point another label");
    }
    return 0;
} catch (const voxseg::Error &error) {
    std::cerr << "segment_around: " << error.what() << "\n";
    return error.band();
} catch (const std::exception &error) {
    std::cerr << "segment_around: " << error.what() << "\n";
    return 1;
}
