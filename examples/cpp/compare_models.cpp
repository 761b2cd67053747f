// What two models make of one CT: compare_models MODEL_A MODEL_B CT.mhd [TOLERANCE_MM]
//
// An nnU-Net folder and an Auto3DSeg model, for example: both open by the same call and segment the same voxels. The
// structures that they share, by name or by code, are compared: Dice, difference of volumes, 95 % Hausdorff distance.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "metaimage.hpp"

static std::vector<std::uint16_t> segment(const voxseg::Model &model, const Image &image) {
    std::vector<std::uint16_t> labels(image.voxels.size());
    const auto report = voxseg::Plan(model).segment(image.view(), labels);
    std::printf("%-32s %3zu labels, %llu tiles in %.2f s\n", model.name().c_str(), model.labels().size(),
                static_cast<unsigned long long>(report.tiles), report.total_seconds);
    return labels;
}

/** The pairs by name, and those by code whose labels have no pair yet. */
static std::vector<voxseg::LabelPair> match(const voxseg::Model &a, const voxseg::Model &b) {
    auto pairs = voxseg::match_labels(a, b, voxseg::LabelMatch::Name);
    for (const auto &other : voxseg::match_labels(a, b, voxseg::LabelMatch::Terms)) {
        if (std::none_of(pairs.begin(), pairs.end(), [&](const voxseg::LabelPair &pair) {
                return pair.first == other.first || pair.second == other.second;
            })) {
            pairs.push_back(other);
        }
    }
    return pairs;
}

int main(int argc, char **argv) try {
    if (argc != 4 && argc != 5) {
        std::cerr << "usage: compare_models MODEL_A MODEL_B CT.mhd [TOLERANCE_MM]\n";
        return 1;
    }
    argv = utf8_arguments(argc, argv);
    voxseg::CompareOptions options;
    options.tolerance = argc == 5 ? std::atof(argv[4]) : 3.0;
    const Image image = read_mhd(argv[3]);
    const auto a = voxseg::Model::open(argv[1]), b = voxseg::Model::open(argv[2]);
    options.pairs = match(a, b);
    if (options.pairs->empty()) {
        throw std::runtime_error("the models share no structure by name or code");
    }
    const auto first = segment(a, image), second = segment(b, image);

    const voxseg::VolumeView grid = image.view();
    std::printf("\n%-28s %7s %10s %10s %9s %9s\n", "structure", "Dice", "A, mL", "B - A, mL", "HD95, mm", "surface");
    const auto names = a.labels();
    for (const auto &found : voxseg::compare(grid.over(first), grid.over(second), options)) {
        if (found.voxels[0] == 0 && found.voxels[1] == 0) {
            continue;
        }
        const auto name = std::find_if(names.begin(), names.end(), [&](const voxseg::Label &label) {
            return label.value == found.pair.first;
        });
        std::printf("%-28s %7.4f %10.2f %10.2f %9.2f %9.4f\n", name->name.c_str(), found.dice,
                    found.milliliters[0], found.milliliters[1] - found.milliliters[0], found.hausdorff_95,
                    found.surface_dice);
    }
    return 0;
} catch (const voxseg::Error &error) {
    std::cerr << "compare_models: " << error.what() << "\n";
    return error.band();
} catch (const std::exception &error) {
    std::cerr << "compare_models: " << error.what() << "\n";
    return 1;
}
