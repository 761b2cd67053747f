// A C++ program with voxseg inside: host MODEL
//
// Segments the same synthetic volume from integers and from floats, cancels once by an answer and once by an exception.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "rust/cxx.h"
#include "voxseg-cxx/src/lib.rs.h"

#define CHECK(truth)                                                                                         \
    do {                                                                                                     \
        if (!(truth)) {                                                                                      \
            std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #truth);                       \
            std::exit(1);                                                                                    \
        }                                                                                                    \
    } while (0)

struct Watch : voxseg_rs::Progress {
    double last = 0;
    bool go_on(double fraction) override {
        CHECK(fraction >= last);
        last = fraction;
        return true;
    }
};

struct Stop : voxseg_rs::Progress {
    bool go_on(double) override { return false; }
};

struct Throw : voxseg_rs::Progress {
    bool go_on(double) override { throw std::runtime_error("enough of this"); }
};

template <class Body> std::string failure(Body body) {
    try {
        body();
    } catch (const rust::Error &error) {
        return error.what();
    }
    CHECK(!"it throws");
    return "";
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    CHECK(!failure([] { voxseg_rs::open_model("/nowhere/at/all"); }).empty());
    const auto model = voxseg_rs::open_model(argv[1]);
    CHECK(model->name() == "Dataset901_TorsoCT" && model->identity().size() == 79);
    CHECK(model->labels().size() > 2 && model->labels()[0].value == 0);
    auto plan = model->plan(1);

    const voxseg_rs::Grid grid{{24, 20, 16}, {3, 3, 3}, {0, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0, 1}};
    std::vector<std::int16_t> voxels(24 * 20 * 16);
    for (std::size_t i = 0; i < voxels.size(); i++) {
        voxels[i] = static_cast<std::int16_t>(i * 37 % 1500) - 700;
    }
    const std::vector<float> floats(voxels.begin(), voxels.end());
    const rust::Slice<const std::int16_t> integers(voxels.data(), voxels.size());
    std::vector<std::uint8_t> labels(voxels.size(), 0xa5), again(voxels.size(), 0xa5);
    const rust::Slice<std::uint8_t> first(labels.data(), labels.size()), second(again.data(), again.size());

    Stop stop;
    CHECK(failure([&] { plan->segment_i16(integers, grid, first, stop); }).find("cancel") !=
          std::string::npos);
    Throw thrower;
    CHECK(failure([&] { plan->segment_i16(integers, grid, first, thrower); }) == "enough of this");
    CHECK(labels == again); // untouched
    Watch watch, other;
    const auto report = plan->segment_i16(integers, grid, first, watch);
    CHECK(report.voxels == labels.size() && report.tiles == 1 && watch.last == 1);
    plan->segment_f32({floats.data(), floats.size()}, grid, second, other);
    CHECK(labels == again && labels[0] != 0xa5);
    const rust::Slice<std::uint8_t> too_short(again.data(), again.size() - 1);
    CHECK(!failure([&] { plan->segment_i16(integers, grid, too_short, other); }).empty());
    std::puts("host: done");
    return 0;
}
