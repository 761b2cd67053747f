// voxseg.hpp without exceptions: compiled by -fno-exceptions, every failure comes back as a Result.
//
//     results MODEL CT.mhd [--quick]

#include <voxseg.hpp>

#include <string>

#include "../c/fixture.h"

#if defined(__cpp_exceptions) || !defined(VOXSEG_NO_EXCEPTIONS)
#error "this test is about a program without exceptions"
#endif

static_assert(!std::is_default_constructible_v<voxseg::Cancel> &&
              !std::is_default_constructible_v<voxseg::Devices>);
static_assert(!std::is_constructible_v<voxseg::Plan, const voxseg::Model &>);
static_assert(std::is_nothrow_move_constructible_v<voxseg::Result<voxseg::Model>>);

int main(int argc, char **argv) {
    const arguments given = read_arguments(argc, argv);
    CHECK(voxseg::abi_check());

    // Failures carry what an exception would.
    const auto missing = voxseg::Model::open("/nowhere/at/all");
    CHECK(!missing && missing.error().band() == 2 && !missing.error().cancelled() && std::string(missing.error().what()).size() > 3);
#ifndef _WIN32 /* where std::filesystem takes such a text for a name in the code page */
    CHECK(voxseg::Model::open("\xff").error().detail("argument") == "path");
#endif
    CHECK(!voxseg::Model::ensemble({}) && !voxseg::open_runtime("/nowhere/at/all"));

    auto opened = voxseg::Model::open(given.model);
    CHECK(opened);
    const voxseg::Model model = *std::move(opened);
    const auto labels_of_model = *model.labels();
    CHECK(labels_of_model.size() > 2 && labels_of_model[0].value == 0);
    CHECK(model.term(labels_of_model.size(), voxseg::TermRole::Type).error().status() == voxseg::Status::InvalidArgument);
    CHECK(model.reader() == voxseg::Reader::Itk);
    CHECK(voxseg::Nifti::parse("", 0, model.reader()).error().status() == voxseg::Status::Geometry);
    CHECK((*model.patch())[0] > 0 && (*model.spacing())[0] > 0);
    CHECK(voxseg::match_labels(model, model)->size() >= labels_of_model.size() - 1);
    CHECK(voxseg::Devices::open()->size() >= 1);

    voxseg::PlanOptions options;
    options.device = static_cast<voxseg::Device>(999);
    CHECK(voxseg::Plan::create(model, options).error().status() == voxseg::Status::InvalidArgument);
    auto plan = voxseg::Plan::create(model);
    CHECK(plan);

    image ct = read_ct(given.ct);
    image small = crop(&ct, 16, 12, 10);
    const auto volume =
        voxseg::VolumeView(static_cast<const std::int16_t *>(small.voxels), small.count, {16, 12, 10})
            .with_spacing({ct.spacing[0], ct.spacing[1], ct.spacing[2]});
    std::vector<std::uint8_t> labels(small.count, 0xA5);
    auto flag = voxseg::Cancel::create();
    CHECK(flag);
    flag->request();
    voxseg::RunOptions watch;
    watch.cancel = &*flag;
    CHECK(plan->segment(volume, labels, watch).error().cancelled() && labels[0] == 0xA5);
    flag->reset();
    watch.progress = [](const voxseg::Progress &) { return false; };
    CHECK(plan->segment(volume, labels, watch).error().cancelled() && labels[0] == 0xA5);
    double last = 0;
    watch.progress = [&last](const voxseg::Progress &now) {
        last = now.fraction;
        return true;
    };
    const auto report = plan->segment(volume, labels, watch);
    CHECK(report && last == 1 && plan->estimate(volume)->tiles == 1);
    auto compared =
        voxseg::compare(voxseg::VolumeView(labels, {16, 12, 10}), voxseg::VolumeView(labels, {16, 12, 10}));
    CHECK(compared);
    for (const auto &found : *compared) {
        CHECK(found.dice == 1);
    }
    const voxseg::VolumeView map(labels, {16, 12, 10});
    voxseg::MeasureOptions measure;
    measure.cancel = &*flag;
    last = 0;
    measure.progress = watch.progress;
    CHECK(voxseg::statistics(map, nullptr, 0, measure) && last == 1);
    voxseg::CompareOptions surfaces;
    surfaces.tolerance = 1;
    surfaces.cancel = &*flag;
    last = 0;
    surfaces.progress = watch.progress;
    const auto with_surfaces = voxseg::compare(map, map, surfaces);
    CHECK(with_surfaces && last == 1 && with_surfaces->size() == compared->size());
    surfaces.pairs.emplace();
    CHECK(voxseg::compare(map, map, surfaces)->empty());
    flag->request();
    CHECK(voxseg::compare(map, map, surfaces).error().cancelled());
    labels.pop_back();
    CHECK(plan->segment(volume, labels).error().status() == voxseg::Status::BufferTooSmall);
    std::free(ct.voxels);
    std::free(small.voxels);
    std::puts("results: failures came back without exceptions");
    return 0;
}
