// The C example once more, shorter: segment_raw MODEL_FOLDER CT.mhd OUT.mhd
//
// voxseg.hpp owns the handles, throws on errors and takes std::vector; the image is a MetaImage of int16.

#include <array>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <vector>

#include "metaimage.hpp"

int main(int argc, char **argv) try {
    if (argc != 4) {
        std::cerr << "usage: segment_raw MODEL_FOLDER CT.mhd OUT.mhd\n";
        return 1;
    }
    argv = utf8_arguments(argc, argv);
    const Image image = read_mhd(argv[2]);
    const voxseg::VolumeView volume = image.view();

    const auto model = voxseg::Model::open(argv[1]);
    voxseg::Plan plan(model);
    std::vector<std::uint8_t> labels(image.voxels.size());
    voxseg::RunOptions options;
    options.progress = [](const voxseg::Progress &now) {
        std::cerr << "\r" << static_cast<int>(100 * now.fraction) << " % " << (now.fraction < 1 ? "" : "\n");
        return true;
    };
    const auto report = plan.segment(volume, labels, options);
    write_mhd(argv[3], image, labels);

    std::array<std::uint64_t, 256> voxels{};
    for (const auto label : labels) {
        voxels[label]++;
    }
    for (const auto &label : model.labels()) {
        if (label.value != 0 && label.value < voxels.size() && voxels[label.value] != 0) {
            std::printf("%5u  %-24s %12llu voxels\n", label.value, label.name.c_str(),
                        static_cast<unsigned long long>(voxels[label.value]));
        }
    }
    std::printf("%llu tiles in %.3f s\n", static_cast<unsigned long long>(report.tiles),
                report.total_seconds);
    return 0;
} catch (const voxseg::Error &error) {
    std::cerr << "segment_raw: " << error.what() << "\n";
    return error.band();
} catch (const std::exception &error) {
    std::cerr << "segment_raw: " << error.what() << "\n";
    return 1;
}
