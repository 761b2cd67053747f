// The same in C++.
#include <iostream>

#include <voxseg.hpp>

int main(int argc, char **argv) try {
    const auto model = voxseg::Model::open(argc > 1 ? argv[1] : "");
    const auto report = voxseg::Plan(model).estimate(voxseg::VolumeView({128, 128, 128}));
    std::cout << "voxseg " << vxs_version() << ": " << model.name() << ", " << report.tiles << " tiles\n";
    return 0;
} catch (const voxseg::Error &error) {
    std::cerr << error.what() << "\n";
    return error.band();
}
