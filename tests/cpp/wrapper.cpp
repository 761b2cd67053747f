// voxseg.hpp: owners move, errors throw, an exception in the progress callback comes out where the run began.
//
//     wrapper MODEL CT.mhd [--quick]

#include <voxseg.hpp>
#include <voxseg.hpp> // twice is as once

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>
#include <thread>
#if __cplusplus >= 202002L
#include <span>
#endif

#include "../c/fixture.h"

static_assert(!std::is_copy_constructible_v<voxseg::Model> && !std::is_copy_assignable_v<voxseg::Model>);
static_assert(!std::is_copy_constructible_v<voxseg::Plan> && !std::is_copy_assignable_v<voxseg::Plan>);
static_assert(!std::is_copy_constructible_v<voxseg::Cancel> && !std::is_copy_assignable_v<voxseg::Cancel>);
static_assert(std::is_nothrow_move_constructible_v<voxseg::Model> &&
              std::is_nothrow_move_assignable_v<voxseg::Model>);
static_assert(std::is_nothrow_move_constructible_v<voxseg::Plan> &&
              std::is_nothrow_move_assignable_v<voxseg::Plan>);
static_assert(std::is_nothrow_move_constructible_v<voxseg::Cancel>);
static_assert(std::is_nothrow_copy_constructible_v<voxseg::Error>);
static_assert(std::is_constructible_v<voxseg::VolumeView, const std::vector<short> &, voxseg::Shape>);
static_assert(!std::is_constructible_v<voxseg::VolumeView, std::vector<short>, voxseg::Shape>);
static_assert(!std::is_convertible_v<std::vector<short>, voxseg::LabelView> &&
              std::is_convertible_v<std::vector<short> &, voxseg::LabelView>);
static_assert(!std::is_convertible_v<const std::vector<float> &, voxseg::Span<float>> &&
              !std::is_convertible_v<std::vector<float>, voxseg::Span<float>> &&
              !std::is_convertible_v<std::vector<double> &, voxseg::Span<const float>>);
static_assert(voxseg::detail::dtype<std::int8_t>() == voxseg::VoxelType::Int8 &&
              voxseg::detail::dtype<std::uint8_t>() == voxseg::VoxelType::UInt8);
static_assert(voxseg::detail::dtype<std::int16_t>() == voxseg::VoxelType::Int16 &&
              voxseg::detail::dtype<std::uint16_t>() == voxseg::VoxelType::UInt16);
static_assert(voxseg::detail::dtype<std::int32_t>() == voxseg::VoxelType::Int32 &&
              voxseg::detail::dtype<std::uint32_t>() == voxseg::VoxelType::UInt32);
static_assert(voxseg::detail::dtype<const float>() == voxseg::VoxelType::Float32 &&
              voxseg::detail::dtype<double>() == voxseg::VoxelType::Float64);

namespace {

std::int16_t plain_labels[5];

struct Surprise {
    int number;
};

// Options that nobody touched are what the library fills in; padding is zero in both.
void check_defaults() {
    const auto raw = voxseg::detail::c_options(voxseg::PlanOptions{});
    const auto filled = voxseg::detail::filled(&vxs_plan_options_init);
    CHECK(std::memcmp(&raw, &filled, sizeof raw) == 0);
    CHECK(static_cast<vxs_non_finite>(voxseg::RunOptions{}.non_finite) ==
          voxseg::detail::filled(&vxs_run_options_init).non_finite);
    const auto model = voxseg::detail::filled(&vxs_model_options_init);
    CHECK(static_cast<vxs_foreground_crop>(voxseg::ModelOptions{}.foreground_crop) == model.foreground_crop);
    CHECK(static_cast<vxs_auto3dseg_script>(voxseg::ModelOptions{}.auto3dseg_script) == model.auto3dseg_script);
    const auto task = voxseg::detail::filled(&vxs_task_options_init);
    CHECK(static_cast<vxs_resampling>(voxseg::TaskOptions{}.resampling) == task.resampling);
}

// Whatever is contiguous lends its elements; temporaries that own them do only for the time of a call.
void check_spans() {
    std::vector<float> vector{1, 2, 3};
    std::array<float, 2> array{4, 5};
    float plain[] = {6};
    const auto sum = [](voxseg::Span<const float> values) {
        float all = 0;
        for (const float value : values) {
            all += value;
        }
        return all;
    };
    CHECK(sum(vector) == 6 && sum(array) == 9 && sum(plain) == 6 && sum({7, 8}) == 15 && sum({}) == 0);
    CHECK(sum(std::vector<float>{9}) == 9 && voxseg::Span<float>(vector)[2] == 3);
    const voxseg::VolumeView view(voxseg::Span<float>(vector), {3, 1, 1});
    CHECK(view.get()->data == vector.data() && view.type() == voxseg::VoxelType::Float32 && view.shape()[0] == 3);
    const voxseg::LabelView labels(plain_labels);
    CHECK(labels.get()->data_size == sizeof plain_labels);
#if defined(__cpp_lib_span)
    CHECK(sum(std::span(vector)) == 6 && std::span<float>(voxseg::Span<float>(vector)).size() == 3);
    const voxseg::VolumeView same(std::span<float>(vector), {3, 1, 1});
    CHECK(same.get()->data == vector.data());
    const voxseg::PlanOptions named{.device = voxseg::Device::Best, .threads = 2};
    CHECK(named.threads == 2 && named.step == 0);
#endif
}

// Expects `body` to throw an Error with that status, or of that band.
template <class Expected, class Body> voxseg::Error throws(Expected expected, Body body) {
    try {
        body();
    } catch (const voxseg::Error &error) {
        if constexpr (std::is_same_v<Expected, voxseg::Status>) {
            CHECK(error.status() == expected);
            CHECK(error.cancelled() == (dynamic_cast<const voxseg::Cancelled *>(&error) != nullptr));
        } else {
            CHECK(error.band() == expected);
        }
        CHECK(std::string(error.what()).size() > 3);
        check_count();
        return error;
    }
    CHECK(!"it throws");
    std::abort();
}

void run(const arguments &given) {
    voxseg::abi_check();
    check_spans();
    // Loading ONNX Runtime is told to a Log while it lives; what its receiver throws goes nowhere.
    std::atomic<int> messages{0};
    {
        const auto log =
            voxseg::Log::open(voxseg::LogLevel::Info, [&messages](voxseg::LogLevel level, std::string_view message) {
                messages += level >= voxseg::LogLevel::Info && !message.empty();
                throw Surprise{1};
            });
        voxseg::open_runtime();
        CHECK(messages > 0 && !voxseg::runtime_path().empty());
    }
    auto listener = voxseg::Log::open(voxseg::LogLevel::Error, [](voxseg::LogLevel, std::string_view) {});
    listener = voxseg::Log::open(voxseg::LogLevel::Error, [](voxseg::LogLevel, std::string_view) {});
    CHECK(voxseg::build_info().find(vxs_version()) != std::string::npos);
    const int heard = messages;
    const voxseg::Devices devices;
    CHECK(devices.size() >= 1 && devices[0].device == voxseg::Device::Cpu && !devices[0].name.empty());
    for (const auto &device : devices) {
        CHECK(device.usable == device.reason.empty());
    }

    image ct = read_ct(given.ct);
    const std::uint64_t patch_x = voxseg::Model::open(given.model).patch()[0];
    image small = crop(&ct, 16, 12, 10);
    image wide = crop(&ct, patch_x + 8, 16, 12); // two tiles
    const auto voxels_of = [](const image &from) {
        return std::vector<std::int16_t>(from.voxels, from.voxels + from.count);
    };
    const std::vector<std::int16_t> voxels = voxels_of(small), wide_voxels = voxels_of(wide);
    const voxseg::Shape shape{16, 12, 10};
    const voxseg::Vector spacing{ct.spacing[0], ct.spacing[1], ct.spacing[2]};
    for (const image *done : {&ct, &small, &wide}) {
        std::free(done->voxels);
    }

    // A model and what it says; errors carry status, text and parts.
    auto model = voxseg::Model::open(given.model);
    CHECK(!model.name().empty() && model.identity().size() == 79 && model.describe().front() == '{');
    CHECK(model.channels().size() == 1 && model.labels().size() > 2 && model.labels()[0].value == 0);
    CHECK(model.patch()[0] > 0 && model.spacing()[0] >= 0);
    const auto missing = throws(2, [] { voxseg::Model::open("/nowhere/at/all"); });
    const voxseg::Error copy = missing;
    CHECK(copy.status() == missing.status() && copy.detail("nothing of the kind").empty());
#ifndef _WIN32 /* where std::filesystem takes such a text for a name in the code page */
    CHECK(throws(voxseg::Status::InvalidArgument, [] { voxseg::Model::open("\xff"); }).detail("argument") == "path");
#endif
    throws(2, [] { voxseg::Model::open_memory({}); });
    throws(2, [&] { voxseg::Model::open(given.model, {{7}, ""}); });
    throws(2, [&] { voxseg::Model::open(given.model, {{}, "nothing.pth"}); });
    CHECK(voxseg::Model::open(given.model, {{0}, "checkpoint_final.pth"}).identity() == model.identity());

    // From memory the same.
    bytes content[FILES];
    read_model(given.model, content);
    std::vector<voxseg::ModelFile> files;
    for (int i = 0; i < FILES; i++) {
        files.push_back({file_names[i], content[i].data, content[i].size});
    }
    CHECK(voxseg::Model::open_memory(files).identity() == model.identity());
    for (const bytes &file : content) {
        std::free(file.data);
    }

    // Tasks: known by name; weights that are missing are named with their licence.
    const auto tasks = voxseg::tasks();
    CHECK(std::count(tasks.begin(), tasks.end(), "total") == 1 && vxs_task_name(tasks.size()) == nullptr);
    // Opening and compiling tell their progress and can be cancelled; a model says what it is without its weights.
    voxseg::ModelOptions opening;
    double opened_share = 0;
    opening.progress = [&opened_share](const voxseg::Progress &now) {
        CHECK(now.stage == voxseg::Stage::Open && now.bytes_read <= now.bytes && now.fraction >= opened_share);
        opened_share = now.fraction;
        return true;
    };
    voxseg::Model::open(given.model, opening);
    CHECK(opened_share == 1);
    opening.progress = [](const voxseg::Progress &) { return false; };
    try {
        voxseg::Model::open(given.model, opening);
        CHECK(!"it throws");
    } catch (const voxseg::Cancelled &cancelled) {
        CHECK(cancelled.cancelled() && std::string(name(cancelled.status())) == "cancelled");
    }
    opening.progress = [](const voxseg::Progress &) -> bool { throw Surprise{3}; };
    try {
        voxseg::Model::open(given.model, opening);
        CHECK(!"it throws");
    } catch (const Surprise &surprise) {
        CHECK(surprise.number == 3);
    }
    voxseg::PlanOptions compiling;
    compiling.progress = [](const voxseg::Progress &now) { return now.stage != voxseg::Stage::Compile; };
    throws(voxseg::Status::Cancelled, [&] { voxseg::Plan(model, compiling); });
    CHECK(voxseg::Model::inspect(given.model).find(model.name()) != std::string::npos);
    throws(2, [] { voxseg::Model::inspect("/nowhere/at/all"); });
    voxseg::TaskOptions liver;
    liver.subset = {"liver"};
    const auto weights = throws(voxseg::Status::NotAModel, [&] { voxseg::Model::open_task("total", "/nowhere", liver); });
    CHECK(std::string(weights.what()).find("Apache-2.0") != std::string::npos);
    liver.subset = {"liver", "tail"};
    throws(voxseg::Status::InvalidArgument, [&] { voxseg::Model::open_task("total", "/nowhere", liver); });
    throws(voxseg::Status::InvalidArgument, [] { voxseg::Model::open_task("no such task", "/nowhere"); });

    // Plans: options with their defaults, moves, the model may go first.
    voxseg::PlanOptions options;
    check_defaults();
    options.threads = 1;
    auto first = std::make_unique<voxseg::Plan>(model, options);
    options.device = static_cast<voxseg::Device>(999);
    throws(voxseg::Status::InvalidArgument, [&] { voxseg::Plan(model, options); });
    auto moved = std::move(model);
    voxseg::Plan plan(moved);
    {
        const voxseg::Model gone = std::move(moved);
    }
    CHECK(!plan.describe().empty());

    const auto volume = voxseg::VolumeView(voxels, shape).with_spacing(spacing);
    CHECK(plan.estimate(voxseg::VolumeView(shape).with_spacing(spacing)).tiles == plan.estimate(volume).tiles);
    std::vector<std::uint8_t> labels(voxels.size(), 0xA5), again(voxels.size(), 0xA5);
    const voxseg::RunReport report = plan.segment(volume, labels);
    CHECK(report.voxels == labels.size() && report.tiles == 1 && report.total_seconds > 0);
    first->segment(volume, again);
    CHECK(labels == again);
    auto second = std::move(*first);
    first.reset();
    std::vector<std::int32_t> broad(voxels.size(), -1);
    second.segment(voxseg::VolumeView(voxels.data(), voxels.size(), shape).with_spacing(spacing).in_ras(),
                   broad);
    CHECK(std::equal(labels.begin(), labels.end(), broad.begin()));

    // The host's threads, which the plan keeps, also where it is moved to.
    std::atomic<int> rounds{0};
    voxseg::PlanOptions hosted;
    hosted.executor.max_concurrency = 2;
    hosted.executor.parallel_for = [&rounds](std::uint64_t count, const voxseg::ParallelTask &task) {
        rounds++;
        for (std::uint64_t index = 0; index < count; index++) {
            task(index);
        }
    };
    auto ours = std::make_unique<voxseg::Plan>(voxseg::Model::open(given.model), hosted);
    hosted.executor.parallel_for = nullptr;
    second = std::move(*ours);
    ours.reset();
    std::fill(again.begin(), again.end(), std::uint8_t{0xA5});
    second.segment(volume, again);
    CHECK(labels == again && rounds > 0);

    // The type follows from the vector; scaling, origin, direction, strides and channels reach the library.
    const std::vector<float> halves(voxels.begin(), voxels.end());
    second.segment(
        voxseg::VolumeView(halves, shape).with_spacing(spacing).with_scaling(1, 0).with_origin({1, 2, 3}),
        again);
    CHECK(labels == again);
    CHECK(throws(voxseg::Status::VolumeMismatch, [&] {
              std::vector<std::int16_t> twice(voxels);
              twice.insert(twice.end(), voxels.begin(), voxels.end());
              plan.segment(voxseg::VolumeView(twice, shape).with_channels(2), again);
          }).detail("found") != "");
    throws(voxseg::Status::Geometry,
           [&] { plan.estimate(voxseg::VolumeView(shape).with_direction({1, 1, 0, 0, 1, 0, 0, 0, 1})); });
    throws(voxseg::Status::Geometry, [&] {
        plan.estimate(voxseg::VolumeView(shape).with_origin({0, 0, std::numeric_limits<double>::infinity()}));
    });
    throws(1, [&] { plan.segment(voxseg::VolumeView(voxels, shape).with_strides({2, 32, 1000000}), again); });
    throws(voxseg::Status::InvalidArgument,
           [&] { plan.segment(voxseg::VolumeView(voxels, shape).on_device(), again); });
    throws(voxseg::Status::InvalidArgument, [&] { plan.segment(volume, voxseg::LabelView(again).on_device()); });
    throws(1, [&] { plan.segment(volume, voxseg::LabelView(again).with_strides({1, 16, 1000000})); });
    std::vector<std::uint8_t> too_short(voxels.size() - 1);
    const auto error = throws(voxseg::Status::BufferTooSmall, [&] { plan.segment(volume, too_short); });
    CHECK(error.detail("expected") == std::to_string(voxels.size()));
    CHECK(labels == again);

    // Voxels that are no numbers: an error, or what the options say.
    std::vector<float> holes(halves);
    holes[5] = std::numeric_limits<float>::quiet_NaN();
    const auto with_holes = voxseg::VolumeView(holes, shape).with_spacing(spacing);
    const auto refused = throws(voxseg::Status::VoxelsNotFinite, [&] { plan.segment(with_holes, again); });
    CHECK(refused.detail("found") == "1" && refused.detail("voxel") == "5 0 0");
    CHECK(labels == again);
    voxseg::RunOptions as_air;
    as_air.non_finite = voxseg::NonFinite::Lowest;
    const voxseg::RunReport mended = plan.segment(with_holes, again, as_air);
    CHECK(mended.non_finite_voxels == 1 && mended.first_non_finite[1] == 5);
    CHECK(contains(mended.warnings, voxseg::RunWarnings::NonFiniteReplaced));
    CHECK(!contains(report.warnings, voxseg::RunWarnings::NonFiniteReplaced));
    plan.segment(volume, again);

    // Maps beside the labels, and a model twice, which says what it says alone.
    std::vector<float> probability(again.size()), entropy(again.size());
    std::vector<std::uint8_t> margin(again.size());
    voxseg::RunOptions with_maps;
    with_maps.maps = {voxseg::MapView::probability(0, probability), voxseg::MapView::margin(margin),
                      voxseg::MapView::entropy(entropy)};
    const auto opened = voxseg::Model::open(given.model);
    voxseg::Plan twice_plan(voxseg::Model::ensemble({&opened, &opened}));
    std::string record;
    with_maps.record = &record;
    twice_plan.segment(volume, again, with_maps);
    CHECK(again == labels);
    CHECK(record.find(opened.identity()) != std::string::npos && record.find("labels_sha256") != std::string::npos);
    for (std::size_t i = 0; i < again.size(); i++) {
        CHECK(probability[i] >= 0.f && probability[i] <= 1.f && entropy[i] >= 0.f);
        CHECK(probability[i] <= 0.5f || again[i] == 0);
        CHECK(again[i] != 0 || 1000 * probability[i] + 1 >= margin[i]);
    }
    throws(voxseg::Status::InvalidArgument, [] { voxseg::Model::ensemble({}); });

    // Numbers about labels: a rod of 2×3×4 voxels in a dose that grows along x, on a grid of its own.
    const voxseg::Shape box{8, 8, 8};
    std::vector<std::uint8_t> rod(512, 0);
    std::vector<std::int16_t> ramp(512);
    for (std::size_t i = 0; i < 512; i++) {
        const std::size_t x = i % 8, y = i / 8 % 8, z = i / 64;
        rod[i] = x >= 2 && x < 4 && y >= 2 && y < 5 && z >= 1 && z < 5 ? 9 : 0;
        ramp[i] = static_cast<std::int16_t>(10 * x);
    }
    const auto rods = voxseg::VolumeView(rod, box).with_spacing({1, 1, 2});
    const auto image_of_ramp = voxseg::VolumeView(ramp, box).with_spacing({1, 1, 2});
    voxseg::MeasureOptions measure;
    double share = 0;
    measure.progress = [&share](const voxseg::Progress &now) {
        CHECK(now.stage == voxseg::Stage::Measure && now.fraction >= share);
        share = now.fraction;
        return true;
    };
    std::atomic<int> shared_out{0};
    measure.executor.parallel_for = [&shared_out](std::uint64_t count, const voxseg::ParallelTask &task) {
        shared_out++;
        for (std::uint64_t index = 0; index < count; index++) {
            task(index);
        }
    };
    const auto measured = voxseg::statistics(rods, &image_of_ramp, 0, measure);
    voxseg::CompareOptions comparing;
    comparing.executor = measure.executor;
    comparing.tolerance = 1; // surfaces are found plane by plane, by all threads
    const int before_comparing = shared_out;
    CHECK(voxseg::compare(rods, rods, comparing)[0].dice == 1);
    CHECK(shared_out > before_comparing);
    CHECK(share == 1 && measured.size() == 1 && measured[0].label == 9 && measured[0].voxels == 24);
    CHECK(measured[0].milliliters == 0.048 && measured[0].mean == 25 && measured[0].max == 30);
    CHECK(measured[0].first[2] == 1 && measured[0].last[1] == 4 && measured[0].margin == 1);
    CHECK(measured[0].centroid[0] == 2.5 && measured[0].centroid[2] == 5);
    CHECK(std::isnan(voxseg::statistics(rods)[0].median));
    const auto coarse = voxseg::VolumeView(ramp, box).with_spacing({2, 2, 2});
    const auto doses = voxseg::Doses::measure(rods, coarse);
    CHECK(doses.size() == 1 && doses.at(0).voxels == 24 && doses.at(0).outside == 0 && doses.at(0).mean == 12.5);
    CHECK(doses.dose_at_volume(0, 100) == 10 && doses.dose_at_volume(0, 0) == 15);
    CHECK((doses.volume_at_dose(0, {0, 12, 16}) == std::vector<double>{1, 0.5, 0}));
    throws(voxseg::Status::InvalidArgument, [&] { doses.dose_at_volume(0, 101); });
    throws(voxseg::Status::InvalidArgument, [&] { doses.at(1); });
    throws(voxseg::Status::InvalidArgument, [&] { voxseg::statistics(coarse, &image_of_ramp); });
    std::vector<std::uint8_t> there(512, 0xA5);
    voxseg::labels_on_grid(rods, coarse, there);
    const auto seen = voxseg::statistics(voxseg::VolumeView(there, box).with_spacing({2, 2, 2}));
    CHECK(seen.size() == 1 && seen[0].label == 9 && seen[0].voxels == 8);
    CHECK(seen[0].first[0] == 1 && seen[0].last[0] == 1 && seen[0].first[1] == 1 && seen[0].last[1] == 2);
    std::vector<std::uint16_t> wider(512);
    throws(voxseg::Status::InvalidArgument, [&] { voxseg::labels_on_grid(rods, coarse, wider); });
    measure.progress = [](const voxseg::Progress &) -> bool { throw Surprise{5}; };
    try {
        voxseg::statistics(rods, nullptr, 0, measure);
        CHECK(!"it throws");
    } catch (const Surprise &surprise) {
        CHECK(surprise.number == 5);
    }
    voxseg::Cancel stop;
    stop.request();
    voxseg::MeasureOptions stopped;
    stopped.cancel = &stop;
    throws(voxseg::Status::Cancelled, [&] { voxseg::Doses::measure(rods, coarse, stopped); });

    // Progress: called on this thread; an exception of any type cancels, and comes out with the buffer untouched.
    const auto wide_volume = voxseg::VolumeView(wide_voxels, {patch_x + 8, 16, 12}).with_spacing(spacing);
    std::vector<std::uint8_t> wide_labels(wide_voxels.size(), 0xA5);
    const std::vector<std::uint8_t> untouched = wide_labels;

    // A region of the second tile, in buffers of the grid and of the box; labels as they come, until one throws.
    std::vector<std::uint8_t> all(wide_labels.size()), few(wide_labels.size(), 0xA5), box_labels(2 * 5 * 4);
    std::uint64_t final_voxels = 0;
    voxseg::RunOptions comes;
    comes.on_labels = [&](const voxseg::LabelsSoFar &now) {
        CHECK(now.is_final && now.complete.empty());
        final_voxels += (now.part.end[0] - now.part.start[0]) * (now.part.end[1] - now.part.start[1]) *
                        (now.part.end[2] - now.part.start[2]);
        return true;
    };
    const voxseg::RunReport of_all = plan.segment(wide_volume, all, comes);
    CHECK(final_voxels == all.size() && of_all.final_voxels == all.size() && of_all.tiles == of_all.tiles_in_all);
    const std::uint64_t width = patch_x + 8;
    voxseg::RunOptions around;
    around.regions = {voxseg::Box{{width - 2, 3, 4}, {width, 8, 8}}};
    CHECK(plan.estimate(wide_volume, around).tiles < plan.estimate(wide_volume).tiles);
    const voxseg::RunReport of_few = plan.segment(wide_volume, few, around);
    CHECK(of_few.tiles < of_few.tiles_in_all && of_few.tiles_in_all == of_all.tiles && of_few.voxels == 40);
    around.buffers_of_region = true;
    plan.segment(wide_volume, box_labels, around);
    for (std::size_t i = 0, n = 0; i < few.size(); i++) {
        const std::size_t x = i % width, y = i / width % 16, z = i / width / 16;
        const bool inside = x + 2 >= width && y >= 3 && y < 8 && z >= 4 && z < 8;
        CHECK(few[i] == (inside ? all[i] : 0xA5) && (!inside || box_labels[n++] == all[i]));
    }
    around.regions.push_back(around.regions[0]);
    throws(voxseg::Status::InvalidArgument, [&] { plan.segment(wide_volume, box_labels, around); });
    const auto at_the_edge = voxseg::box_around({0, 3, 4}, {4, 4, 4}, {width, 16, 12});
    CHECK(at_the_edge.start[0] == 0 && at_the_edge.end[0] == 4 && at_the_edge.start[1] == 1);
    voxseg::RunReport failed;
    comes.failed = &failed;
    comes.on_labels = [](const voxseg::LabelsSoFar &) -> bool { throw Surprise{11}; };
    try {
        plan.segment(wide_volume, few, comes);
        CHECK(!"it throws");
    } catch (const Surprise &surprise) {
        CHECK(surprise.number == 11 && failed.final_voxels > 0);
    }

    int calls = 0;
    voxseg::RunOptions watch;
    watch.progress = [&calls](const voxseg::Progress &) -> bool {
        if (++calls == 2) {
            throw Surprise{42};
        }
        return true;
    };
    bool caught = false;
    try {
        plan.segment(wide_volume, wide_labels, watch);
    } catch (const Surprise &surprise) {
        caught = surprise.number == 42;
    }
    CHECK(caught && calls == 2 && wide_labels == untouched);
    watch.progress = [](const voxseg::Progress &) -> bool { throw std::runtime_error("from the callback"); };
    try {
        plan.segment(wide_volume, wide_labels, watch);
        CHECK(!"it throws");
    } catch (const std::runtime_error &thrown) {
        CHECK(std::string(thrown.what()) == "from the callback");
    }
    // An exception at the very last call, too.
    watch.progress = [](const voxseg::Progress &now) -> bool {
        return now.fraction < 1 ? true : throw Surprise{7};
    };
    try {
        plan.segment(volume, again, watch);
        CHECK(!"it throws");
    } catch (const Surprise &surprise) {
        CHECK(surprise.number == 7);
    }
    // False cancels; so does a flag, from a callback or from another thread.
    watch.progress = [](const voxseg::Progress &) { return false; };
    throws(voxseg::Status::Cancelled, [&] { plan.segment(wide_volume, wide_labels, watch); });
    voxseg::Cancel cancel;
    watch.cancel = &cancel;
    std::atomic<bool> running{false};
    watch.progress = [&](const voxseg::Progress &) {
        running = true;
        while (!cancel.requested()) {
        }
        return true;
    };
    std::thread other([&] {
        while (!running) {
        }
        cancel.request();
    });
    throws(voxseg::Status::Cancelled, [&] { plan.segment(wide_volume, wide_labels, watch); });
    other.join();
    CHECK(wide_labels == untouched);
    cancel.reset();
    double last = 0;
    watch.progress = [&last](const voxseg::Progress &now) {
        CHECK(now.fraction >= last);
        last = now.fraction;
        return true;
    };
    std::fill(again.begin(), again.end(), std::uint8_t{0});
    plan.segment(volume, again, watch);
    CHECK(last == 1 && labels == again);
    CHECK(!voxseg::runtime_version().empty() && messages == heard);
}

} // namespace

int main(int argc, char **argv) {
    run(read_arguments(argc, argv));
    std::printf("wrapper: %d errors thrown and caught\n", check_failures);
    return 0;
}
