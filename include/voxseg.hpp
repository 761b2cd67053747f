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
 * vxs_run_report report = plan.segment(volume, labels);
 * @endcode
 *
 * Owners can be moved and not copied. What fails throws voxseg::Error. Nothing here is thread-aware beyond
 * what voxseg.h says: a Model serves any thread, a Plan one call at a time, Cancel::request() any thread.
 */
#ifndef VOXSEG_HPP
#define VOXSEG_HPP

#include "voxseg.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace voxseg {

/** Names carry the interface's major version: two plug-ins with different ones can share a process. */
inline namespace v0 {
static_assert(VXS_ABI_MAJOR == 0, "rename the inline namespace together with the interface's major version");

/** Sizes along axes 0, 1 and 2. */
using Shape = std::array<std::uint64_t, 3>;
/** Millimetres along axes 0, 1 and 2. */
using Vector = std::array<double, 3>;
/** Row-major 3x3 matrix: column a is the direction of axis a. */
using Matrix = std::array<double, 9>;

/** What every failing call throws. Cheap to copy: copies share the underlying vxs_error. */
class Error : public std::runtime_error {
public:
    /** Takes ownership of `error`, which may be NULL: then the status' name is the message. */
    Error(vxs_status status, vxs_error *error)
        : Error(status, std::shared_ptr<const vxs_error>(error, [](const vxs_error *owned) {
                    vxs_error_free(const_cast<vxs_error *>(owned));
                })) {}

    /** One of VXS_*: the status that the C function returned. */
    vxs_status status() const noexcept { return status_; }

    /** A part of the message, by the keys of vxs_error_detail(); empty where it doesn't apply. */
    std::string detail(const std::string &key) const {
        const char *value = vxs_error_detail(error_.get(), key.c_str());
        return value ? value : "";
    }

private:
    Error(vxs_status status, std::shared_ptr<const vxs_error> error)
        : std::runtime_error(error ? vxs_error_message(error.get()) : vxs_status_name(status)),
          status_(status), error_(std::move(error)) {}

    vxs_status status_;
    std::shared_ptr<const vxs_error> error_;
};

/** @cond internal */
namespace detail {

struct Free {
    void operator()(vxs_model *handle) const noexcept { vxs_model_free(handle); }
    void operator()(vxs_plan *handle) const noexcept { vxs_plan_free(handle); }
    void operator()(vxs_cancel *handle) const noexcept { vxs_cancel_free(handle); }
    void operator()(vxs_device_list *handle) const noexcept { vxs_device_list_free(handle); }
    void operator()(vxs_comparison_list *handle) const noexcept { vxs_comparison_list_free(handle); }
    void operator()(vxs_statistics_list *handle) const noexcept { vxs_statistics_list_free(handle); }
    void operator()(vxs_record *handle) const noexcept { vxs_record_free(handle); }
    void operator()(vxs_dose_list *handle) const noexcept { vxs_dose_list_free(handle); }
};

template <class Handle> using Owner = std::unique_ptr<Handle, Free>;

/** For functions without an error object. */
inline void check(vxs_status status) {
    if (status != VXS_OK) {
        throw Error(status, nullptr);
    }
}

/** Calls `function` with a place for its error object; a failure is thrown. */
template <class Function> void call(Function function) {
    vxs_error *error = nullptr;
    const vxs_status status = function(&error);
    if (status != VXS_OK) {
        throw Error(status, error);
    }
}

inline std::string text(const char *value) { return value ? value : ""; }

template <class Voxel> constexpr vxs_dtype dtype() {
    using T = std::remove_cv_t<Voxel>;
    static_assert(
        std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && sizeof(T) <= 8,
        "voxels are integers of 8 to 32 bits, float or double; pass half precision by its VXS_DTYPE_F16");
    if constexpr (std::is_floating_point_v<T>) {
        return sizeof(T) == 4 ? VXS_DTYPE_F32 : VXS_DTYPE_F64;
    } else {
        static_assert(sizeof(T) <= 4, "64-bit integers are not voxel types");
        switch (sizeof(T)) {
        case 1:
            return std::is_signed_v<T> ? VXS_DTYPE_I8 : VXS_DTYPE_U8;
        case 2:
            return std::is_signed_v<T> ? VXS_DTYPE_I16 : VXS_DTYPE_U16;
        default:
            return std::is_signed_v<T> ? VXS_DTYPE_I32 : VXS_DTYPE_U32;
        }
    }
}

} // namespace detail
/** @endcond */

/**
 * Throws std::runtime_error when the loaded library doesn't offer the interface of the header that this
 * program was compiled with. Model and Devices call it by themselves.
 */
inline void abi_check() {
    const std::uint32_t found = vxs_abi_version();
    const std::uint32_t major = found >> 16, minor = found & 0xffff;
    const std::uint32_t need_major = VXS_ABI_MAJOR, need_minor = VXS_ABI_MINOR;
    if (major != need_major || minor < need_minor) {
        throw std::runtime_error("voxseg: the program needs interface " + std::to_string(need_major) + "." +
                                 std::to_string(need_minor) + ", the loaded library " + vxs_version() +
                                 " offers " + std::to_string(major) + "." + std::to_string(minor));
    }
}

/** Loads ONNX Runtime now, from a file or folder (UTF-8), or, for "", from where the library looks. */
inline void open_runtime(const std::string &path = {}) {
    detail::call(
        [&](vxs_error **error) { return vxs_runtime_open(path.empty() ? nullptr : path.c_str(), error); });
}

/** The version of the ONNX Runtime that is loaded; empty when none is. */
inline std::string runtime_version() { return detail::text(vxs_runtime_version()); }

/** A coded term of a label: DICOM's coding scheme designator, code value and code meaning. */
struct Term {
    std::string scheme;  /**< "SCT" for SNOMED CT. */
    std::string code;    /**< The code. */
    std::string meaning; /**< What it means. */
};

/** One label of a model. */
struct Label {
    std::uint32_t value; /**< What voxels of this structure get. */
    std::string name;    /**< UTF-8. */
    std::uint32_t color; /**< 0x00RRGGBB. */
};

/** How to open a model. */
struct ModelOptions {
    /** Folds to average, or VXS_FOLD_ALL. Empty: every numbered fold that is there. */
    std::vector<std::uint32_t> folds;
    /** File name of the weights in each fold's folder. Empty: "checkpoint_final.pth". */
    std::string checkpoint;
    /** Which of several models in a folder or an archive. Empty: the only one. */
    std::string configuration{};
    /** VXS_FOREGROUND_CROP_*, for Auto3DSeg models. */
    std::int32_t foreground_crop = VXS_FOREGROUND_CROP_AS_PUBLISHED;
};

/** How to run a task. */
struct TaskOptions {
    /** Names of the labels that are wanted, for whole-body tasks. Empty: all. */
    std::vector<std::string> subset;
    /** Whether the rough segmentation for a subset is a finer one that misses less. */
    bool robust_crop = false;
    /** Pieces of a label of at most so many cubic millimetres are removed; 0: none. */
    double remove_small = 0;
    /** VXS_RESAMPLING_*. */
    std::int32_t resampling = VXS_RESAMPLING_LINEAR;
    /** Whether every volume is cut into three overlapping parts along the body. */
    bool split = false;
};

/** One file of a model that is in memory; it is only read during Model::open_memory(). */
struct ModelFile {
    std::string name; /**< Path in the model folder with '/': "fold_0/checkpoint_final.pth". */
    const void *data; /**< Content. */
    std::size_t size; /**< Bytes. */
};

/** A published model. Immutable; any thread may use it, many plans share it, and it may end before them. */
class Model {
public:
    /** Opens a model folder. `path` is UTF-8. */
    static Model open(const std::string &path, const ModelOptions &options = {}) {
        abi_check();
        const vxs_model_options raw = c_options(options);
        vxs_model *handle = nullptr;
        detail::call([&](vxs_error **error) { return vxs_model_open(path.c_str(), &raw, &handle, error); });
        return Model(handle);
    }

    /** Opens a model folder's files in memory. */
    static Model open_memory(const std::vector<ModelFile> &files, const ModelOptions &options = {}) {
        abi_check();
        const vxs_model_options raw = c_options(options);
        std::vector<vxs_model_file> list;
        for (const ModelFile &file : files) {
            list.push_back({file.name.c_str(), file.data, file.size});
        }
        vxs_model *handle = nullptr;
        detail::call([&](vxs_error **error) {
            return vxs_model_open_memory(list.data(), list.size(), &raw, &handle, error);
        });
        return Model(handle);
    }

    /**
     * Opens a task, which is then used as any model: one of TotalSegmentator's (`tasks()`), or a task file, whose path
     * ends in ".json". `weights` is the folder that holds its models as TotalSegmentator stores them. Both are UTF-8.
     */
    static Model open_task(const std::string &task, const std::string &weights, const TaskOptions &options = {}) {
        abi_check();
        vxs_task_options raw;
        detail::check(vxs_task_options_init(&raw, sizeof raw));
        std::vector<const char *> subset;
        for (const std::string &name : options.subset) {
            subset.push_back(name.c_str());
        }
        raw.subset = subset.empty() ? nullptr : subset.data();
        raw.subset_count = subset.size();
        raw.robust_crop = options.robust_crop ? 1 : 0;
        raw.remove_small = options.remove_small;
        raw.resampling = options.resampling;
        raw.split = options.split ? 1 : 0;
        vxs_model *handle = nullptr;
        detail::call([&](vxs_error **error) {
            return vxs_model_open_task(task.c_str(), weights.c_str(), &raw, &handle, error);
        });
        return Model(handle);
    }

    /** One model of several, whose probabilities are averaged. They may end before it. */
    static Model ensemble(const std::vector<const Model *> &members) {
        std::vector<const vxs_model *> list;
        for (const Model *member : members) {
            list.push_back(member ? member->get() : nullptr);
        }
        vxs_model *handle = nullptr;
        detail::call(
            [&](vxs_error **error) { return vxs_model_ensemble(list.data(), list.size(), &handle, error); });
        return Model(handle);
    }

    /** Its own name. */
    std::string name() const { return detail::text(vxs_model_name(get())); }
    /** SHA-256 over weights and recipe. */
    std::string identity() const { return detail::text(vxs_model_identity(get())); }
    /** All that is known about it, as JSON. */
    std::string describe() const { return detail::text(vxs_model_describe(get())); }

    /** What it calls the channels that a volume must have. */
    std::vector<std::string> channels() const {
        std::vector<std::string> names;
        for (std::uint64_t i = 0; i < vxs_model_channel_count(get()); i++) {
            names.push_back(detail::text(vxs_model_channel_name(get(), i)));
        }
        return names;
    }

    /** Its labels in ascending order of values, the background included. */
    std::vector<Label> labels() const {
        std::vector<Label> labels;
        for (std::uint64_t i = 0; i < vxs_model_label_count(get()); i++) {
            vxs_label_info info;
            detail::check(vxs_label_info_init(&info, sizeof info));
            detail::call([&](vxs_error **error) { return vxs_model_label(get(), i, &info, error); });
            labels.push_back({info.value, detail::text(info.name), info.color});
        }
        return labels;
    }

    /** A coded term of the label at `index` of labels(), `role` one of VXS_TERM_*; nothing where it has none. */
    std::optional<Term> term(std::uint64_t index, vxs_term_role role) const {
        vxs_term raw;
        detail::check(vxs_term_init(&raw, sizeof raw));
        detail::call([&](vxs_error **error) { return vxs_model_label_term(get(), index, role, &raw, error); });
        if (!raw.code) {
            return std::nullopt;
        }
        return Term{detail::text(raw.scheme), detail::text(raw.code), detail::text(raw.meaning)};
    }

    /** The spacing that the network works at; 0 where the volume's own is kept. */
    Vector spacing() const {
        Vector spacing{};
        detail::call([&](vxs_error **error) { return vxs_model_spacing(get(), spacing.data(), error); });
        return spacing;
    }

    /** The size of a tile in voxels. */
    Shape patch() const {
        Shape patch{};
        detail::call([&](vxs_error **error) { return vxs_model_patch(get(), patch.data(), error); });
        return patch;
    }

    /** The handle, for functions of voxseg.h. */
    const vxs_model *get() const noexcept { return handle_.get(); }

private:
    explicit Model(vxs_model *handle) : handle_(handle) {}

    static vxs_model_options c_options(const ModelOptions &options) {
        vxs_model_options raw;
        detail::check(vxs_model_options_init(&raw, sizeof raw));
        raw.foreground_crop = options.foreground_crop;
        if (!options.folds.empty()) {
            raw.folds = options.folds.data();
            raw.fold_count = options.folds.size();
        }
        if (!options.checkpoint.empty()) {
            raw.checkpoint = options.checkpoint.c_str();
        }
        if (!options.configuration.empty()) {
            raw.configuration = options.configuration.c_str();
        }
        return raw;
    }

    detail::Owner<vxs_model> handle_;
};

/** The names of TotalSegmentator's tasks. */
inline std::vector<std::string> tasks() {
    std::vector<std::string> names;
    for (std::uint64_t i = 0; i < vxs_task_count(); i++) {
        names.push_back(detail::text(vxs_task_name(i)));
    }
    return names;
}

/** The caller's voxels and their grid: a vxs_volume that fills itself. Borrows the voxels. */
class VolumeView : public vxs_volume {
public:
    /** A grid without voxels, enough for Plan::report(). */
    explicit VolumeView(Shape size) { fill(VXS_DTYPE_F32, nullptr, 0, size); }

    /** `bytes` bytes of voxels of type `type` (one of VXS_DTYPE_*). */
    VolumeView(vxs_dtype type, const void *voxels, std::size_t bytes, Shape size) {
        fill(type, voxels, bytes, size);
    }

    /** `count` voxels; their type follows from the pointer's. */
    template <class Voxel>
    VolumeView(const Voxel *voxels, std::size_t count, Shape size)
        : VolumeView(detail::dtype<Voxel>(), voxels, count * sizeof(Voxel), size) {}

    /** A vector of voxels, axis 0 fastest. */
    template <class Voxel>
    VolumeView(const std::vector<Voxel> &voxels, Shape size)
        : VolumeView(voxels.data(), voxels.size(), size) {}
    /** A temporary would end before it is used. */
    template <class Voxel> VolumeView(const std::vector<Voxel> &&, Shape) = delete;

    /** Millimetres between neighbours. */
    VolumeView &with_spacing(Vector values) { return copy(values, spacing); }
    /** Position of voxel (0, 0, 0). */
    VolumeView &with_origin(Vector values) { return copy(values, origin); }
    /** Row-major directions: column a is axis a. */
    VolumeView &with_direction(Matrix values) { return copy(values, direction); }
    /** Bytes between neighbours along each axis, and to voxel (0, 0, 0). */
    VolumeView &with_strides(std::array<std::int64_t, 3> values, std::uint64_t start = 0) {
        offset = start;
        return copy(values, strides);
    }
    /** Intensity = stored value * factor + addend. */
    VolumeView &with_scaling(double factor, double addend) {
        slope = factor;
        intercept = addend;
        return *this;
    }
    /** Number of channels in the one buffer, and the bytes between them (0: each follows the one before). */
    VolumeView &with_channels(std::uint64_t count, std::int64_t stride = 0) {
        channels = count;
        channel_stride = stride;
        return *this;
    }
    /** Origin and direction are RAS (NIfTI, Slicer) and not LPS (DICOM, ITK). */
    VolumeView &in_ras() {
        flags |= VXS_VOLUME_RAS;
        return *this;
    }
    /** Voxels are in the other byte order than the machine's. */
    VolumeView &byte_swapped() {
        flags |= VXS_VOLUME_SWAPPED;
        return *this;
    }

private:
    void fill(vxs_dtype type, const void *voxels, std::size_t bytes, Shape size) {
        detail::check(vxs_volume_init(this, sizeof(vxs_volume)));
        dtype = type;
        data = voxels;
        data_size = bytes;
        copy(size, shape);
    }

    template <class T, std::size_t N> VolumeView &copy(const std::array<T, N> &from, T (&to)[N]) {
        for (std::size_t i = 0; i < N; i++) {
            to[i] = from[i];
        }
        return *this;
    }
};

/** The caller's buffer for the labels: a vxs_labels that fills itself. Borrows the buffer. */
class LabelView : public vxs_labels {
public:
    /** `bytes` bytes for labels of type `type` (an integer VXS_DTYPE_*). */
    LabelView(vxs_dtype type, void *labels, std::size_t bytes) {
        detail::check(vxs_labels_init(this, sizeof(vxs_labels)));
        dtype = type;
        data = labels;
        data_size = bytes;
    }

    /** `count` labels; their type follows from the pointer's. */
    template <class T>
    LabelView(T *labels, std::size_t count) : LabelView(detail::dtype<T>(), labels, count * sizeof(T)) {
        static_assert(std::is_integral_v<T> && !std::is_const_v<T>,
                      "labels are integers that can be written");
    }

    /** A vector of labels, axis 0 fastest. Implicit, so that a vector can be passed to Plan::segment(). */
    template <class T> LabelView(std::vector<T> &labels) : LabelView(labels.data(), labels.size()) {}

    /** Bytes between neighbours along each axis, and to voxel (0, 0, 0). */
    LabelView &with_strides(std::array<std::int64_t, 3> values, std::uint64_t start = 0) {
        offset = start;
        for (std::size_t i = 0; i < 3; i++) {
            strides[i] = values[i];
        }
        return *this;
    }
};

/** A map that a run fills beside the labels: a vxs_map that fills itself. Borrows the buffer. */
class MapView : public vxs_map {
public:
    /** `bytes` bytes for a map of kind VXS_MAP_*; `which` is the label of VXS_MAP_PROBABILITY. */
    MapView(vxs_map_kind what, std::uint32_t which, vxs_dtype type, void *values, std::size_t bytes) {
        detail::check(vxs_map_init(this, sizeof(vxs_map)));
        kind = what;
        label = which;
        dtype = type;
        data = values;
        data_size = bytes;
    }

    /** The probability of a label. */
    static MapView probability(std::uint32_t label, std::vector<float> &values) {
        return MapView(VXS_MAP_PROBABILITY, label, VXS_DTYPE_F32, values.data(), values.size() * sizeof(float));
    }
    /** Thousandths between the two highest probabilities, at most 255. */
    static MapView margin(std::vector<std::uint8_t> &values) {
        return MapView(VXS_MAP_MARGIN, 0, VXS_DTYPE_U8, values.data(), values.size());
    }
    /** Entropy in nats. */
    static MapView entropy(std::vector<float> &values) {
        return MapView(VXS_MAP_ENTROPY, 0, VXS_DTYPE_F32, values.data(), values.size() * sizeof(float));
    }

    /** Bytes between neighbours along each axis, and to voxel (0, 0, 0). */
    MapView &with_strides(std::array<std::int64_t, 3> values, std::uint64_t start = 0) {
        offset = start;
        for (std::size_t i = 0; i < 3; i++) {
            strides[i] = values[i];
        }
        return *this;
    }
};

/** The labels of two models that mean the same; `by` is one of VXS_MATCH_*. */
inline std::vector<vxs_label_pair> match_labels(const Model &first, const Model &second,
                                                vxs_match by = VXS_MATCH_NAME) {
    std::uint64_t count = 0;
    std::vector<vxs_label_pair> pairs(vxs_model_label_count(first.get()));
    detail::call([&](vxs_error **error) {
        return vxs_match_labels(first.get(), second.get(), by, pairs.data(), pairs.size(), &count, error);
    });
    pairs.resize(count);
    return pairs;
}

/**
 * How two label maps agree: volumes of labels, also on different grids. Without pairs each value that occurs is compared
 * with itself; with a tolerance in millimetres, from 0, surfaces are compared too.
 */
inline std::vector<vxs_comparison> compare(const VolumeView &first, const VolumeView &second,
                                           const std::vector<vxs_label_pair> *pairs = nullptr,
                                           double tolerance = -1) {
    vxs_compare_options options;
    detail::check(vxs_compare_options_init(&options, sizeof options));
    static const vxs_label_pair none{};
    if (pairs) {
        options.pairs = pairs->empty() ? &none : pairs->data();
        options.pair_count = pairs->size();
    }
    options.tolerance = tolerance;
    vxs_comparison_list *raw = nullptr;
    detail::call([&](vxs_error **error) { return vxs_compare(&first, &second, &options, &raw, error); });
    const detail::Owner<vxs_comparison_list> list(raw);
    std::vector<vxs_comparison> found(vxs_comparison_list_count(raw));
    for (std::size_t i = 0; i < found.size(); i++) {
        detail::check(vxs_comparison_init(&found[i], sizeof(vxs_comparison)));
        detail::call(
            [&](vxs_error **error) { return vxs_comparison_list_get(raw, i, &found[i], error); });
    }
    return found;
}

/** A flag that stops a run within one tile. */
class Cancel {
public:
    Cancel() {
        vxs_cancel *handle = nullptr;
        detail::call([&](vxs_error **error) { return vxs_cancel_create(&handle, error); });
        handle_.reset(handle);
    }

    /** Asks the run to stop. Any thread, also a signal handler. */
    void request() const noexcept { vxs_cancel_request(get()); }
    /** Whether it was asked. */
    bool requested() const noexcept { return vxs_cancel_requested(get()) != 0; }
    /** Makes it ready for another run. */
    void reset() const noexcept { vxs_cancel_reset(get()); }
    /** The handle, for functions of voxseg.h. */
    const vxs_cancel *get() const noexcept { return handle_.get(); }

private:
    detail::Owner<vxs_cancel> handle_;
};

namespace detail {

/** Keeps exceptions of a progress function on this side of the C frames. */
struct Callback {
    const std::function<bool(const vxs_progress &)> *progress;
    std::exception_ptr thrown;

    static std::int32_t call(void *user_data, const vxs_progress *progress) noexcept {
        auto *self = static_cast<Callback *>(user_data);
        try {
            return (*self->progress)(*progress) ? 0 : 1;
        } catch (...) {
            self->thrown = std::current_exception();
            return 1;
        }
    }

    /** Calls the library, and throws what the progress function threw, or the library's error. */
    template <class Body> void watch(Body body) {
        vxs_error *error = nullptr;
        const vxs_status status = body(&error);
        if (thrown) {
            vxs_error_free(error);
            std::rethrow_exception(thrown);
        }
        if (status != VXS_OK) {
            throw Error(status, error);
        }
    }
};

} // namespace detail

/** How to run a plan. */
struct RunOptions {
    /**
     * Called on the thread that runs; returns true to go on, false to cancel. It may throw: the run is
     * cancelled, and the exception comes out of Plan::segment().
     */
    std::function<bool(const vxs_progress &)> progress;
    /** Stops the run; nullptr for none. */
    const Cancel *cancel = nullptr;
    /** What to tell of each voxel beside its label. After a failure maps are as they were, or all zero. */
    std::vector<MapView> maps{};
    /** Receives the record of a run that succeeds, as JSON; nullptr for none. */
    std::string *record = nullptr;
};

/** How to make a plan: a vxs_plan_options with its defaults. Set its fields. */
struct PlanOptions : vxs_plan_options {
    PlanOptions() { detail::check(vxs_plan_options_init(this, sizeof(vxs_plan_options))); }
};

/** A model on a device. One call at a time; many plans run at once. */
class Plan {
public:
    /** Compiles the model's network for the device. */
    explicit Plan(const Model &model, const PlanOptions &options = {}) {
        vxs_plan *handle = nullptr;
        detail::call(
            [&](vxs_error **error) { return vxs_plan_create(model.get(), &options, &handle, error); });
        handle_.reset(handle);
    }

    /** What a segmentation of `volume` will need. Only the grid is looked at. */
    vxs_plan_report report(const VolumeView &volume) const {
        vxs_plan_report report;
        detail::check(vxs_plan_report_init(&report, sizeof report));
        detail::call([&](vxs_error **error) { return vxs_plan_report_for(get(), &volume, &report, error); });
        return report;
    }

    /** What runs where, as JSON. */
    std::string describe() const { return detail::text(vxs_plan_describe(get())); }

    /** Segments `volume` into `labels`, which stay untouched when this throws. */
    vxs_run_report segment(const VolumeView &volume, const LabelView &labels,
                           const RunOptions &options = {}) {
        detail::Callback callback{&options.progress, nullptr};
        vxs_run_options raw;
        detail::check(vxs_run_options_init(&raw, sizeof raw));
        if (options.progress) {
            raw.progress = &detail::Callback::call;
            raw.user_data = &callback;
        }
        if (options.cancel) {
            raw.cancel = options.cancel->get();
        }
        std::vector<const vxs_map *> maps;
        for (const MapView &map : options.maps) {
            maps.push_back(&map);
        }
        raw.maps = maps.data();
        raw.map_count = maps.size();
        vxs_run_report report;
        detail::check(vxs_run_report_init(&report, sizeof report));
        vxs_record *record = nullptr;
        raw.record = options.record ? &record : nullptr;
        callback.watch([&](vxs_error **error) {
            return vxs_segment(handle_.get(), &volume, &labels, &raw, &report, error);
        });
        const detail::Owner<vxs_record> owner(record);
        if (options.record) {
            *options.record = detail::text(vxs_record_json(record));
        }
        return report;
    }

    /** The handle, for functions of voxseg.h. */
    vxs_plan *get() const noexcept { return handle_.get(); }

private:
    detail::Owner<vxs_plan> handle_;
};

/** How to measure labels. */
struct MeasureOptions {
    /** Threads that work, the calling one included; 0: all processors of this process. */
    std::uint32_t threads = 0;
    /** For statistics: which of the image's channels. */
    std::uint64_t channel = 0;
    /** As for RunOptions. */
    std::function<bool(const vxs_progress &)> progress{};
    /** Stops the work; nullptr for none. */
    const Cancel *cancel = nullptr;
};

namespace detail {

/** Measures labels by `body`, which gets the C options and the error's place. */
template <class Body> void measure(const MeasureOptions &options, Body body) {
    abi_check();
    Callback callback{&options.progress, nullptr};
    vxs_measure_options raw;
    check(vxs_measure_options_init(&raw, sizeof raw));
    raw.threads = options.threads;
    raw.channel = options.channel;
    if (options.progress) {
        raw.progress = &Callback::call;
        raw.user_data = &callback;
    }
    if (options.cancel) {
        raw.cancel = options.cancel->get();
    }
    callback.watch([&](vxs_error **error) { return body(&raw, error); });
}

} // namespace detail

/**
 * Measures each label but 0 that occurs in a label map, in ascending order, and the intensities of an image on the same
 * grid; nullptr for no image, whose numbers are then NaN.
 */
inline std::vector<vxs_label_statistics> statistics(const VolumeView &labels, const VolumeView *image = nullptr,
                                                    const MeasureOptions &options = {}) {
    vxs_statistics_list *list = nullptr;
    detail::measure(options, [&](const vxs_measure_options *raw, vxs_error **error) {
        return vxs_statistics(&labels, image, raw, &list, error);
    });
    const detail::Owner<vxs_statistics_list> owner(list);
    std::vector<vxs_label_statistics> found(static_cast<std::size_t>(vxs_statistics_list_count(list)));
    for (std::size_t i = 0; i < found.size(); i++) {
        detail::check(vxs_label_statistics_init(&found[i], sizeof found[i]));
        detail::call([&](vxs_error **error) { return vxs_statistics_list_get(list, i, &found[i], error); });
    }
    return found;
}

/** The dose that each label but 0 receives, in ascending order of the labels. */
class Doses {
public:
    /** Samples `dose`, a volume on any grid, at the centres of the labels' voxels. */
    Doses(const VolumeView &labels, const VolumeView &dose, const MeasureOptions &options = {}) {
        vxs_dose_list *list = nullptr;
        detail::measure(options, [&](const vxs_measure_options *raw, vxs_error **error) {
            return vxs_dose(&labels, &dose, raw, &list, error);
        });
        list_.reset(list);
    }

    /** How many labels occur. */
    std::size_t size() const noexcept { return static_cast<std::size_t>(vxs_dose_list_count(list_.get())); }

    /** Voxels, mean, smallest and largest dose of one. */
    vxs_label_dose operator[](std::size_t index) const {
        vxs_label_dose found;
        detail::check(vxs_label_dose_init(&found, sizeof found));
        detail::call([&](vxs_error **error) { return vxs_dose_list_get(list_.get(), index, &found, error); });
        return found;
    }

    /** D95, D2 and so on: the dose that so many per cent of it receive at least. */
    double dose_to(std::size_t index, double percent) const {
        double dose = 0;
        detail::call([&](vxs_error **error) {
            return vxs_dose_list_doses(list_.get(), index, &percent, 1, &dose, error);
        });
        return dose;
    }

    /** V20 and so on, or the cumulative histogram: the shares, 0 to 1, of it that receive at least these doses. */
    std::vector<double> shares(std::size_t index, const std::vector<double> &doses) const {
        std::vector<double> shares(doses.size());
        detail::call([&](vxs_error **error) {
            return vxs_dose_list_shares(list_.get(), index, doses.data(), doses.size(), shares.data(), error);
        });
        return shares;
    }

private:
    detail::Owner<vxs_dose_list> list_;
};

/** One thing that a plan can run on. */
struct Device {
    vxs_device device;  /**< For PlanOptions::device. */
    std::string name;   /**< UTF-8. */
    bool usable;        /**< Whether a plan can be made on it. */
    std::string reason; /**< Why it can't be used; empty when it can. */
};

/** What there is to run on, as found when this was made. */
class Devices {
public:
    Devices() {
        abi_check();
        vxs_device_list *list = nullptr;
        detail::call([&](vxs_error **error) { return vxs_device_list_open(&list, error); });
        const detail::Owner<vxs_device_list> owner(list);
        for (std::uint64_t i = 0; i < vxs_device_list_count(list); i++) {
            vxs_device_info info;
            detail::check(vxs_device_info_init(&info, sizeof info));
            detail::call([&](vxs_error **error) { return vxs_device_list_get(list, i, &info, error); });
            devices_.push_back(
                {info.device, detail::text(info.name), info.usable != 0, detail::text(info.reason)});
        }
    }

    std::size_t size() const noexcept { return devices_.size(); }
    const Device &operator[](std::size_t index) const { return devices_[index]; }
    std::vector<Device>::const_iterator begin() const noexcept { return devices_.begin(); }
    std::vector<Device>::const_iterator end() const noexcept { return devices_.end(); }

private:
    std::vector<Device> devices_;
};

} // namespace v0
} // namespace voxseg

#endif // VOXSEG_HPP
