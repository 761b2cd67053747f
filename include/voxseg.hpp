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
 *
 * Compiled without exceptions, or with VOXSEG_NO_EXCEPTIONS defined, what can fail returns a voxseg::Result
 * instead, and the constructors that can fail are left out: Plan::create(), Cancel::create() and Devices::open()
 * serve both ways. The two can be linked into one program.
 *
 * voxseg_itk.hpp and voxseg_vtk.hpp make views of itk::Image and vtkImageData.
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
#include <variant>
#include <vector>

#if !defined(VOXSEG_NO_EXCEPTIONS) && !defined(__cpp_exceptions) && !defined(_CPPUNWIND)
#define VOXSEG_NO_EXCEPTIONS
#endif

/** @cond internal */
#ifdef VOXSEG_NO_EXCEPTIONS
#define VOXSEG_NAMESPACE v0_results
#else
#define VOXSEG_NAMESPACE v0
#endif
/** @endcond */

namespace voxseg {

/**
 * Names carry the interface's major version: two plug-ins with different ones can share a process. Likewise how
 * failures are told.
 */
inline namespace VOXSEG_NAMESPACE {
static_assert(VXS_ABI_MAJOR == 0, "rename the inline namespace together with the interface's major version");

/** Sizes along axes 0, 1 and 2. */
using Shape = std::array<std::uint64_t, 3>;
/** Millimetres along axes 0, 1 and 2. */
using Vector = std::array<double, 3>;
/** Row-major 3x3 matrix: column a is the direction of axis a. */
using Matrix = std::array<double, 9>;

/** What every failing call throws, or returns in a Result. Cheap to copy: copies share the underlying vxs_error. */
class Error : public std::runtime_error {
public:
    /** Takes ownership of `error`, which may be NULL: then the status' name is the message. */
    Error(vxs_status status, vxs_error *error)
        : Error(status, std::shared_ptr<const vxs_error>(error, [](const vxs_error *owned) {
                    vxs_error_free(const_cast<vxs_error *>(owned));
                })) {}

    /** What this header finds by itself, in words. */
    Error(vxs_status status, const std::string &message) : std::runtime_error(message), status_(status) {}

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

#ifdef VOXSEG_NO_EXCEPTIONS

/** What a function that can fail returns where exceptions are off: its value, or an Error. */
template <class T> class [[nodiscard]] Result {
public:
    /** A success. */
    Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    /** A failure. */
    Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

    /** Whether there is a value. */
    explicit operator bool() const noexcept { return content_.index() == 0; }
    /** The value; ends the program where there is none. */
    T &operator*() & { return std::get<0>(content_); }
    /** The value of a temporary, to be moved out. */
    T operator*() && { return std::get<0>(std::move(content_)); }
    /** The value's members. */
    T *operator->() { return &std::get<0>(content_); }
    /** The failure; ends the program where there is none. */
    const Error &error() const { return std::get<1>(content_); }

private:
    std::variant<T, Error> content_;
};

/** Nothing, or an Error. */
template <> class [[nodiscard]] Result<void> {
public:
    /** A success. */
    Result() = default;
    /** A failure. */
    Result(Error error) : error_(std::move(error)) {}

    /** Whether it succeeded. */
    explicit operator bool() const noexcept { return !error_; }
    /** The failure, where there is one. */
    const Error &error() const { return *error_; }

private:
    std::optional<Error> error_;
};

#else

/** What a function that can fail returns: its value, since failures are thrown. */
template <class T> using Result = T;

#endif

/** @cond internal */
namespace detail {

struct Free {
    void operator()(vxs_model *handle) const noexcept { vxs_model_free(handle); }
    void operator()(vxs_plan *handle) const noexcept { vxs_plan_free(handle); }
    void operator()(vxs_cancel *handle) const noexcept { vxs_cancel_free(handle); }
    void operator()(vxs_device_list *handle) const noexcept { vxs_device_list_free(handle); }
    void operator()(vxs_comparison_list *handle) const noexcept { vxs_comparison_list_free(handle); }
    void operator()(vxs_statistics_list *handle) const noexcept { vxs_statistics_list_free(handle); }
    void operator()(vxs_dose_list *handle) const noexcept { vxs_dose_list_free(handle); }
    void operator()(vxs_record *handle) const noexcept { vxs_record_free(handle); }
};

template <class Handle> using Owner = std::unique_ptr<Handle, Free>;

/** Throws a failure, or makes the Result that says so. */
template <class T> Result<T> failed(Error error) {
#ifdef VOXSEG_NO_EXCEPTIONS
    return error;
#else
    throw error;
#endif
}

/** What is wrong when the loaded library doesn't offer the interface that the program was compiled with. */
inline std::optional<Error> mismatch() {
    const std::uint32_t found = vxs_abi_version();
    const std::uint32_t major = found >> 16, minor = found & 0xffff;
    const std::uint32_t need_major = VXS_ABI_MAJOR, need_minor = VXS_ABI_MINOR;
    if (major == need_major && minor >= need_minor) {
        return std::nullopt;
    }
    const auto version = [](std::uint32_t one, std::uint32_t other) {
        return std::to_string(one) + "." + std::to_string(other);
    };
    return Error(VXS_STRUCT_SIZE, "voxseg: the program needs interface " + version(need_major, need_minor) +
                                      ", the loaded library " + vxs_version() + " offers " +
                                      version(major, minor));
}

/** Calls `function` with a place for its error object, and tells what went wrong. */
template <class Function> std::optional<Error> failure(Function function) {
    if (auto wrong = mismatch()) {
        return wrong;
    }
    vxs_error *error = nullptr;
    const vxs_status status = function(&error);
    return status == VXS_OK ? std::nullopt : std::optional<Error>(Error(status, error));
}

/** Calls `function`, and `make` for the value once it has succeeded. */
template <class Function, class Make> auto call(Function function, Make make) -> Result<decltype(make())> {
    if (auto wrong = failure(function)) {
        return failed<decltype(make())>(std::move(*wrong));
    }
    return make();
}

/** Calls a function that makes nothing. */
template <class Function> Result<void> call(Function function) {
    if (auto wrong = failure(function)) {
        return failed<void>(std::move(*wrong));
    }
    return Result<void>();
}

/** A structure with its defaults. Of a size that the library doesn't know it stays zero, and is refused when used. */
template <class T> T filled(vxs_status (*init)(T *, std::uint64_t)) noexcept {
    T structure{};
    init(&structure, sizeof structure);
    return structure;
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
 * Fails with VXS_STRUCT_SIZE when the loaded library doesn't offer the interface of the header that this program
 * was compiled with. Every other function here looks by itself.
 */
inline Result<void> abi_check() {
    return detail::call([](vxs_error **) { return VXS_OK; });
}

/** Loads ONNX Runtime now, from a file or folder (UTF-8), or, for "", from where the library looks. */
inline Result<void> open_runtime(const std::string &path = {}) {
    return detail::call(
        [&](vxs_error **error) { return vxs_runtime_open(path.empty() ? nullptr : path.c_str(), error); });
}

/** Registers a library of ONNX Runtime's plug-in execution providers (UTF-8), such as WebGPU's. */
inline Result<void> add_runtime_plugin(const std::string &path) {
    return detail::call([&](vxs_error **error) { return vxs_runtime_add_plugin(path.c_str(), error); });
}

/** The version of the ONNX Runtime that is loaded; empty when none is. */
inline std::string runtime_version() { return detail::text(vxs_runtime_version()); }

/** The file that it came from; empty when none is loaded. */
inline std::string runtime_path() { return detail::text(vxs_runtime_path()); }

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
    /** Whether only the part of a CT volume is looked at in which a rough segmentation finds the body. */
    bool crop_to_body = false;
    /** Whether labels stay on the networks' grid: Plan::label_grid(). */
    bool on_network_grid = false;
    /** Whether labels come back to the volume's grid with smooth borders. */
    bool smooth = false;
    /** Whether labels have the values that TotalSegmentator 1 gave them. */
    bool first_order = false;
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
    static Result<Model> open(const std::string &path, const ModelOptions &options = {}) {
        const vxs_model_options raw = c_options(options);
        return make([&](vxs_model **handle, vxs_error **error) {
            return vxs_model_open(path.c_str(), &raw, handle, error);
        });
    }

    /** Opens a model folder's files in memory. */
    static Result<Model> open_memory(const std::vector<ModelFile> &files, const ModelOptions &options = {}) {
        const vxs_model_options raw = c_options(options);
        std::vector<vxs_model_file> list;
        for (const ModelFile &file : files) {
            list.push_back({file.name.c_str(), file.data, file.size});
        }
        return make([&](vxs_model **handle, vxs_error **error) {
            return vxs_model_open_memory(list.data(), list.size(), &raw, handle, error);
        });
    }

    /**
     * Opens a task, which is then used as any model: one of TotalSegmentator's (`tasks()`), or a task file, whose path
     * ends in ".json". `weights` is the folder that holds its models as TotalSegmentator stores them. Both are UTF-8.
     */
    static Result<Model> open_task(const std::string &task, const std::string &weights,
                                   const TaskOptions &options = {}) {
        std::vector<const char *> subset;
        for (const std::string &name : options.subset) {
            subset.push_back(name.c_str());
        }
        auto raw = detail::filled(&vxs_task_options_init);
        raw.subset = subset.empty() ? nullptr : subset.data();
        raw.subset_count = subset.size();
        raw.robust_crop = options.robust_crop ? 1 : 0;
        raw.remove_small = options.remove_small;
        raw.resampling = options.resampling;
        raw.split = options.split ? 1 : 0;
        raw.crop_to_body = options.crop_to_body ? 1 : 0;
        raw.on_network_grid = options.on_network_grid ? 1 : 0;
        raw.smooth = options.smooth ? 1 : 0;
        raw.first_order = options.first_order ? 1 : 0;
        return make([&](vxs_model **handle, vxs_error **error) {
            return vxs_model_open_task(task.c_str(), weights.c_str(), &raw, handle, error);
        });
    }

    /** One model of several, whose probabilities are averaged. They may end before it. */
    static Result<Model> ensemble(const std::vector<const Model *> &members) {
        std::vector<const vxs_model *> list;
        for (const Model *member : members) {
            list.push_back(member ? member->get() : nullptr);
        }
        return make([&](vxs_model **handle, vxs_error **error) {
            return vxs_model_ensemble(list.data(), list.size(), handle, error);
        });
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
    Result<std::vector<Label>> labels() const {
        std::vector<Label> labels;
        return detail::call(
            [&](vxs_error **error) {
                vxs_status status = VXS_OK;
                for (std::uint64_t i = 0; i < vxs_model_label_count(get()) && status == VXS_OK; i++) {
                    auto info = detail::filled(&vxs_label_info_init);
                    status = vxs_model_label(get(), i, &info, error);
                    labels.push_back({info.value, detail::text(info.name), info.color});
                }
                return status;
            },
            [&] { return std::move(labels); });
    }

    /** A coded term of the label at `index` of labels(), `role` one of VXS_TERM_*; nothing where it has none. */
    Result<std::optional<Term>> term(std::uint64_t index, vxs_term_role role) const {
        auto raw = detail::filled(&vxs_term_init);
        return detail::call(
            [&](vxs_error **error) { return vxs_model_label_term(get(), index, role, &raw, error); },
            [&] {
                return raw.code ? std::optional<Term>({detail::text(raw.scheme), detail::text(raw.code),
                                                       detail::text(raw.meaning)})
                                : std::nullopt;
            });
    }

    /** The spacing that the network works at; 0 where the volume's own is kept. */
    Result<Vector> spacing() const {
        Vector spacing{};
        return detail::call(
            [&](vxs_error **error) { return vxs_model_spacing(get(), spacing.data(), error); },
            [&] { return spacing; });
    }

    /** The size of a tile in voxels. */
    Result<Shape> patch() const {
        Shape patch{};
        return detail::call([&](vxs_error **error) { return vxs_model_patch(get(), patch.data(), error); },
                            [&] { return patch; });
    }

    /** The handle, for functions of voxseg.h. */
    const vxs_model *get() const noexcept { return handle_.get(); }

private:
    explicit Model(vxs_model *handle) : handle_(handle) {}

    template <class Open> static Result<Model> make(Open open) {
        vxs_model *handle = nullptr;
        return detail::call([&](vxs_error **error) { return open(&handle, error); },
                            [&] { return Model(handle); });
    }

    static vxs_model_options c_options(const ModelOptions &options) {
        auto raw = detail::filled(&vxs_model_options_init);
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
    explicit VolumeView(Shape size) : VolumeView(VXS_DTYPE_F32, nullptr, 0, size) {}

    /** `bytes` bytes of voxels of type `type` (one of VXS_DTYPE_*). */
    VolumeView(vxs_dtype type, const void *voxels, std::size_t bytes, Shape size)
        : vxs_volume(detail::filled(&vxs_volume_init)) {
        dtype = type;
        data = voxels;
        data_size = bytes;
        copy(size, shape);
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
    /** The voxels lie in the memory of the GPU of a plan on CUDA or TensorRT: for Plan::segment(). */
    VolumeView &on_device() {
        flags |= VXS_VOLUME_ON_DEVICE;
        return *this;
    }

private:
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
    LabelView(vxs_dtype type, void *labels, std::size_t bytes)
        : vxs_labels(detail::filled(&vxs_labels_init)) {
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

    /** The buffer lies in the memory of the GPU of a plan on CUDA or TensorRT. */
    LabelView &on_device() {
        flags |= VXS_LABELS_ON_DEVICE;
        return *this;
    }
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
    MapView(vxs_map_kind what, std::uint32_t which, vxs_dtype type, void *values, std::size_t bytes)
        : vxs_map(detail::filled(&vxs_map_init)) {
        kind = what;
        label = which;
        dtype = type;
        data = values;
        data_size = bytes;
    }

    /** The probability of a label. */
    static MapView probability(std::uint32_t label, std::vector<float> &values) {
        return MapView(VXS_MAP_PROBABILITY, label, VXS_DTYPE_F32, values.data(),
                       values.size() * sizeof(float));
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
inline Result<std::vector<vxs_label_pair>> match_labels(const Model &first, const Model &second,
                                                        vxs_match by = VXS_MATCH_NAME) {
    std::uint64_t count = 0;
    std::vector<vxs_label_pair> pairs(vxs_model_label_count(first.get()));
    return detail::call(
        [&](vxs_error **error) {
            return vxs_match_labels(first.get(), second.get(), by, pairs.data(), pairs.size(), &count, error);
        },
        [&] {
            pairs.resize(count);
            return std::move(pairs);
        });
}

/**
 * How two label maps agree: volumes of labels, also on different grids. Without pairs each value that occurs is compared
 * with itself; with a tolerance in millimetres, from 0, surfaces are compared too.
 */
inline Result<std::vector<vxs_comparison>> compare(const VolumeView &first, const VolumeView &second,
                                                   const std::vector<vxs_label_pair> *pairs = nullptr,
                                                   double tolerance = -1) {
    auto options = detail::filled(&vxs_compare_options_init);
    static const vxs_label_pair none{};
    if (pairs) {
        options.pairs = pairs->empty() ? &none : pairs->data();
        options.pair_count = pairs->size();
    }
    options.tolerance = tolerance;
    std::vector<vxs_comparison> found;
    return detail::call(
        [&](vxs_error **error) {
            vxs_comparison_list *raw = nullptr;
            vxs_status status = vxs_compare(&first, &second, &options, &raw, error);
            const detail::Owner<vxs_comparison_list> list(raw);
            for (std::uint64_t i = 0; i < vxs_comparison_list_count(raw) && status == VXS_OK; i++) {
                found.push_back(detail::filled(&vxs_comparison_init));
                status = vxs_comparison_list_get(raw, i, &found.back(), error);
            }
            return status;
        },
        [&] { return std::move(found); });
}

/** A flag that stops a run within one tile. */
class Cancel {
public:
    /** A flag that isn't set. */
    static Result<Cancel> create() {
        vxs_cancel *handle = nullptr;
        return detail::call([&](vxs_error **error) { return vxs_cancel_create(&handle, error); },
                            [&] { return Cancel(handle); });
    }
#ifndef VOXSEG_NO_EXCEPTIONS
    /** As create(). */
    Cancel() : Cancel(create()) {}
#endif

    /** Asks the run to stop. Any thread, also a signal handler. */
    void request() const noexcept { vxs_cancel_request(get()); }
    /** Whether it was asked. */
    bool requested() const noexcept { return vxs_cancel_requested(get()) != 0; }
    /** Makes it ready for another run. */
    void reset() const noexcept { vxs_cancel_reset(get()); }
    /** The handle, for functions of voxseg.h. */
    const vxs_cancel *get() const noexcept { return handle_.get(); }

private:
    explicit Cancel(vxs_cancel *handle) : handle_(handle) {}

    detail::Owner<vxs_cancel> handle_;
};

/** @cond internal */
namespace detail {

/** Keeps exceptions of a progress function on this side of the C frames. */
struct Callback {
    const std::function<bool(const vxs_progress &)> *progress;
    std::exception_ptr thrown;

    static std::int32_t call(void *user_data, const vxs_progress *progress) noexcept {
        auto *self = static_cast<Callback *>(user_data);
#ifdef VOXSEG_NO_EXCEPTIONS
        return (*self->progress)(*progress) ? 0 : 1;
#else
        try {
            return (*self->progress)(*progress) ? 0 : 1;
        } catch (...) {
            self->thrown = std::current_exception();
            return 1;
        }
#endif
    }

    /** Lets the options of a call tell it of progress, and of a wish to stop. */
    template <class Options, class Flag> void watch(Options &options, const Flag *cancel) {
        if (*progress) {
            options.progress = &Callback::call;
            options.user_data = this;
        }
        options.cancel = cancel ? cancel->get() : nullptr;
    }

    /** Throws what the progress function threw, in the place of the call's own error. */
    void rethrow(vxs_error *error) const {
        if (thrown) {
            vxs_error_free(error);
            std::rethrow_exception(thrown);
        }
    }
};

} // namespace detail
/** @endcond */

/** How to run a plan. */
struct RunOptions {
    /**
     * Called on the thread that runs; returns true to go on, false to cancel. It may throw: the run is
     * cancelled, and the exception comes out of Plan::segment(). With VOXSEG_NO_EXCEPTIONS it must not.
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
    PlanOptions() : vxs_plan_options(detail::filled(&vxs_plan_options_init)) {}
};

/** A model on a device. One call at a time; many plans run at once. */
class Plan {
public:
    /** Compiles the model's network for the device. */
    static Result<Plan> create(const Model &model, const PlanOptions &options = {}) {
        vxs_plan *handle = nullptr;
        return detail::call(
            [&](vxs_error **error) { return vxs_plan_create(model.get(), &options, &handle, error); },
            [&] { return Plan(handle); });
    }
#ifndef VOXSEG_NO_EXCEPTIONS
    /** As create(). */
    explicit Plan(const Model &model, const PlanOptions &options = {}) : Plan(create(model, options)) {}
#endif

    /** What a segmentation of `volume` will need. Only the grid is looked at. */
    Result<vxs_plan_report> report(const VolumeView &volume) const {
        auto report = detail::filled(&vxs_plan_report_init);
        return detail::call(
            [&](vxs_error **error) { return vxs_plan_report_for(get(), &volume, &report, error); },
            [&] { return report; });
    }

    /**
     * The grid of the labels of `volume`: its own, unless a task keeps labels on the networks' grid. Without voxels, in
     * the coordinates of `volume`.
     */
    Result<VolumeView> label_grid(const VolumeView &volume) const {
        VolumeView grid(Shape{});
        return detail::call(
            [&](vxs_error **error) { return vxs_plan_label_grid(get(), &volume, &grid, error); },
            [&] { return grid; });
    }

    /** What runs where, as JSON. */
    std::string describe() const { return detail::text(vxs_plan_describe(get())); }

    /** Gives memory back that the plan only keeps to make its next run faster; for plans that wait for long. */
    Result<void> trim() {
        return detail::call([&](vxs_error **error) { return vxs_plan_trim(get(), error); });
    }

    /** Segments `volume` into `labels`, which stay untouched when this fails. */
    Result<vxs_run_report> segment(const VolumeView &volume, const LabelView &labels,
                                   const RunOptions &options = {}) {
        detail::Callback callback{&options.progress, nullptr};
        auto raw = detail::filled(&vxs_run_options_init);
        callback.watch(raw, options.cancel);
        std::vector<const vxs_map *> maps;
        for (const MapView &map : options.maps) {
            maps.push_back(&map);
        }
        raw.maps = maps.data();
        raw.map_count = maps.size();
        vxs_record *record = nullptr;
        raw.record = options.record ? &record : nullptr;
        auto report = detail::filled(&vxs_run_report_init);
        return detail::call(
            [&](vxs_error **error) {
                const vxs_status status = vxs_segment(get(), &volume, &labels, &raw, &report, error);
                const detail::Owner<vxs_record> owner(record);
                callback.rethrow(*error);
                if (record) {
                    *options.record = detail::text(vxs_record_json(record));
                }
                return status;
            },
            [&] { return report; });
    }

    /** The handle, for functions of voxseg.h. */
    vxs_plan *get() const noexcept { return handle_.get(); }

private:
    explicit Plan(vxs_plan *handle) : handle_(handle) {}

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

/** @cond internal */
namespace detail {

inline vxs_measure_options c_options(const MeasureOptions &options, Callback &callback) {
    auto raw = filled(&vxs_measure_options_init);
    raw.threads = options.threads;
    raw.channel = options.channel;
    callback.watch(raw, options.cancel);
    return raw;
}

} // namespace detail
/** @endcond */

/**
 * Measures each label but 0 that occurs in a label map, in ascending order, and the intensities of an image on the same
 * grid; nullptr for no image, whose numbers are then NaN.
 */
inline Result<std::vector<vxs_label_statistics>> statistics(const VolumeView &labels,
                                                            const VolumeView *image = nullptr,
                                                            const MeasureOptions &options = {}) {
    detail::Callback callback{&options.progress, nullptr};
    const auto raw = detail::c_options(options, callback);
    std::vector<vxs_label_statistics> found;
    return detail::call(
        [&](vxs_error **error) {
            vxs_statistics_list *made = nullptr;
            vxs_status status = vxs_statistics(&labels, image, &raw, &made, error);
            const detail::Owner<vxs_statistics_list> list(made);
            callback.rethrow(*error);
            for (std::uint64_t i = 0; i < vxs_statistics_list_count(made) && status == VXS_OK; i++) {
                found.push_back(detail::filled(&vxs_label_statistics_init));
                status = vxs_statistics_list_get(made, i, &found.back(), error);
            }
            return status;
        },
        [&] { return std::move(found); });
}

/**
 * Brings a label map to another grid in patient space, such as that of a dose: each voxel gets the label of the voxel
 * that its centre lies in, 0 outside. Only the grid of `grid` is looked at. `out` has the type of `labels`.
 */
inline Result<void> labels_on_grid(const VolumeView &labels, const VolumeView &grid, const LabelView &out,
                                   const MeasureOptions &options = {}) {
    detail::Callback callback{&options.progress, nullptr};
    const auto raw = detail::c_options(options, callback);
    return detail::call(
        [&](vxs_error **error) { return vxs_labels_on_grid(&labels, &grid, &out, &raw, error); });
}

/** The dose that each label but 0 receives, in ascending order of the labels. */
class Doses {
public:
    /** Samples `dose`, a volume on any grid, at the centres of the labels' voxels. */
    static Result<Doses> measure(const VolumeView &labels, const VolumeView &dose,
                                 const MeasureOptions &options = {}) {
        detail::Callback callback{&options.progress, nullptr};
        const auto raw = detail::c_options(options, callback);
        vxs_dose_list *list = nullptr;
        return detail::call(
            [&](vxs_error **error) {
                const vxs_status status = vxs_dose(&labels, &dose, &raw, &list, error);
                detail::Owner<vxs_dose_list> owner(list);
                callback.rethrow(*error);
                list = owner.release();
                return status;
            },
            [&] { return Doses(list); });
    }

    /** How many labels occur. */
    std::size_t size() const noexcept { return static_cast<std::size_t>(vxs_dose_list_count(list_.get())); }

    /** Voxels, mean, smallest and largest dose of one. */
    Result<vxs_label_dose> at(std::size_t index) const {
        auto found = detail::filled(&vxs_label_dose_init);
        return detail::call(
            [&](vxs_error **error) { return vxs_dose_list_get(list_.get(), index, &found, error); },
            [&] { return found; });
    }

    /** D95, D2 and so on: the dose that so many per cent of it receive at least. */
    Result<double> dose_to(std::size_t index, double percent) const {
        double dose = 0;
        return detail::call(
            [&](vxs_error **error) {
                return vxs_dose_list_doses(list_.get(), index, &percent, 1, &dose, error);
            },
            [&] { return dose; });
    }

    /** V20 and so on, or the cumulative histogram: the shares, 0 to 1, of it that receive at least these doses. */
    Result<std::vector<double>> shares(std::size_t index, const std::vector<double> &doses) const {
        std::vector<double> shares(doses.size());
        return detail::call(
            [&](vxs_error **error) {
                return vxs_dose_list_shares(list_.get(), index, doses.data(), doses.size(), shares.data(),
                                            error);
            },
            [&] { return std::move(shares); });
    }

private:
    explicit Doses(vxs_dose_list *list) : list_(list) {}

    detail::Owner<vxs_dose_list> list_;
};

/** One thing that a plan can run on. */
struct Device {
    vxs_device device;          /**< For PlanOptions::device. */
    std::uint32_t index;        /**< For PlanOptions::device_index. */
    std::string name;           /**< UTF-8. */
    bool usable;                /**< Whether a plan can be made on it. */
    std::string reason;         /**< Why it can't be used; empty when it can. */
    std::string driver;         /**< Driver and its version; empty when unknown. */
    std::uint64_t memory_bytes; /**< Its own memory; 0 when unknown or it has none. */
    bool hardware;              /**< Hardware of its own: no CPU, and no software that plays a GPU. */
};

/** What there is to run on, as found when this was made. */
class Devices {
public:
    /** Looks what there is. */
    static Result<Devices> open() {
        std::vector<Device> devices;
        return detail::call(
            [&](vxs_error **error) {
                vxs_device_list *raw = nullptr;
                vxs_status status = vxs_device_list_open(&raw, error);
                const detail::Owner<vxs_device_list> list(raw);
                for (std::uint64_t i = 0; i < vxs_device_list_count(raw) && status == VXS_OK; i++) {
                    auto info = detail::filled(&vxs_device_info_init);
                    status = vxs_device_list_get(raw, i, &info, error);
                    devices.push_back({info.device, info.index, detail::text(info.name), info.usable != 0,
                                       detail::text(info.reason), detail::text(info.driver),
                                       info.memory_bytes, info.hardware != 0});
                }
                return status;
            },
            [&] { return Devices(std::move(devices)); });
    }
#ifndef VOXSEG_NO_EXCEPTIONS
    /** As open(). */
    Devices() : Devices(open()) {}
#endif

    /** How many there are. */
    std::size_t size() const noexcept { return devices_.size(); }
    /** One of them; `index` is less than size(). */
    const Device &operator[](std::size_t index) const { return devices_[index]; }
    /** The first. */
    std::vector<Device>::const_iterator begin() const noexcept { return devices_.begin(); }
    /** Past the last. */
    std::vector<Device>::const_iterator end() const noexcept { return devices_.end(); }

private:
    explicit Devices(std::vector<Device> devices) : devices_(std::move(devices)) {}

    std::vector<Device> devices_;
};

/**
 * Receives the messages of the library and of ONNX Runtime while it lives; one at a time in a process. `level` is one
 * of VXS_LOG_*, the message UTF-8. It is called from any thread and from several at once, and must not call the
 * library; what it throws is dropped.
 */
class Log {
public:
    /** What receives a message. */
    using Receiver = std::function<void(vxs_log_level level, const char *message)>;

    /** Receives messages of at least `level` from now on. */
    static Result<Log> open(vxs_log_level level, Receiver receiver) {
        auto kept = std::make_unique<Receiver>(std::move(receiver));
        return detail::call(
            [&](vxs_error **error) { return vxs_log_set_callback(&Log::call, kept.get(), level, error); },
            [&] { return Log(std::move(kept)); });
    }

    /** Moves the receiver, whose place stays. */
    Log(Log &&) noexcept = default;
    Log &operator=(Log &&) = delete;
    ~Log() {
        if (receiver_) {
            vxs_log_set_callback(nullptr, nullptr, VXS_LOG_ERROR, nullptr);
        }
    }

private:
    explicit Log(std::unique_ptr<Receiver> receiver) : receiver_(std::move(receiver)) {}

    static void call(void *user_data, vxs_log_level level, const char *message) noexcept {
#ifdef VOXSEG_NO_EXCEPTIONS
        (*static_cast<Receiver *>(user_data))(level, message);
#else
        try {
            (*static_cast<Receiver *>(user_data))(level, message);
        } catch (...) {
            // Nothing is above this frame but the library.
        }
#endif
    }

    std::unique_ptr<Receiver> receiver_;
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_HPP
