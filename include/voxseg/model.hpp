/**
 * @file
 * @brief A published model: opened, described, joined with others.
 */
#ifndef VOXSEG_MODEL_HPP
#define VOXSEG_MODEL_HPP

#include "cancel.hpp"
#include "enumerations.hpp"
#include "error.hpp"
#include "geometry.hpp"
#include "handle.hpp"
#include "progress.hpp"
#include "span.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

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

/** In ModelOptions::folds: the folder fold_all. */
inline constexpr std::uint32_t ALL_FOLDS = VXS_FOLD_ALL;

/** How to open a model. */
struct ModelOptions {
    /** Folds to average, or ALL_FOLDS. Empty: every numbered fold that is there. */
    std::vector<std::uint32_t> folds{};
    /** File name of the weights in each fold's folder. Empty: "checkpoint_final.pth". */
    std::string checkpoint{};
    /** Which of several models in a folder or an archive. Empty: the only one. */
    std::string configuration{};
    /** For Auto3DSeg models. */
    ForegroundCrop foreground_crop = ForegroundCrop::AsPublished;
    /** For Auto3DSeg models. */
    Auto3DSegScript auto3dseg_script = Auto3DSegScript::FromModel;
    /** Bytes of memory that opening may take at one time; 0: 128 MiB, and 16 for each byte of the files. */
    std::uint64_t memory_budget = 0;
    /** Told of the bytes of the files that were read. */
    ProgressFunction progress{};
    /** Stops opening. */
    const Cancel *cancel = nullptr;
    /** For VISTA3D: the classes to segment, numbers or names. Empty: all that the model's config lists. */
    std::vector<std::string> classes{};
};

/** How to run a task. */
struct TaskOptions {
    /** Names of the labels that are wanted, for whole-body tasks. Empty: all. */
    std::vector<std::string> subset{};
    /** Whether the rough segmentation for a subset is a finer one that misses less. */
    bool robust_crop = false;
    /** Pieces of a label of at most so many cubic millimetres are removed; 0: none. */
    double remove_small = 0;
    /** How the volume is brought to the networks' grid. */
    Resampling resampling = Resampling::Linear;
    /** Whether every volume is cut into three overlapping parts along the body. */
    bool split = false;
    /** Whether only the part of a CT volume is looked at in which a rough segmentation finds the body. */
    bool crop_to_body = false;
    /** Whether labels stay on the networks' grid: Plan::label_grid(). */
    bool on_network_grid = false;
    /** Whether labels come back to the volume's grid with smooth borders. */
    bool smooth = false;
    /** Whether labels have the values that TotalSegmentator 1 gave them. */
    bool legacy_v1_labels = false;
    /** Told of the bytes of the files that were read. */
    ProgressFunction progress{};
    /** Stops opening. */
    const Cancel *cancel = nullptr;
    /** Bytes of memory that opening each of its models may take; 0: what ModelOptions says. */
    std::uint64_t memory_budget = 0;
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
    /** Opens a model folder. */
    static Result<Model> open(const std::filesystem::path &path, const ModelOptions &options = {}) {
        detail::Callback callback{&options.progress, nullptr};
        std::vector<const char *> classes;
        const vxs_model_options raw = c_options(options, callback, classes);
        const std::string name = detail::utf8(path);
        return make(callback, [&](vxs_model **handle, vxs_error **error) {
            return vxs_model_open(name.c_str(), &raw, handle, error);
        });
    }

    /** What a model says of itself as JSON, without its weights, in milliseconds; see vxs_inspection_json(). */
    static Result<std::string> inspect(const std::filesystem::path &path,
                                       const std::string &configuration = {}) {
        const std::string name = detail::utf8(path);
        vxs_inspection *raw = nullptr;
        return detail::call(
            [&](vxs_error **error) {
                const char *which = configuration.empty() ? nullptr : configuration.c_str();
                return vxs_model_inspect(name.c_str(), which, &raw, error);
            },
            [&] {
                const detail::Owner<vxs_inspection> inspection(raw);
                return detail::text(vxs_inspection_json(raw));
            });
    }

    /** Opens a model folder's files in memory. */
    static Result<Model> open_memory(Span<const ModelFile> files, const ModelOptions &options = {}) {
        detail::Callback callback{&options.progress, nullptr};
        std::vector<const char *> classes;
        const vxs_model_options raw = c_options(options, callback, classes);
        std::vector<vxs_model_file> list;
        for (const ModelFile &file : files) {
            list.push_back({file.name.c_str(), file.data, file.size});
        }
        return make(callback, [&](vxs_model **handle, vxs_error **error) {
            return vxs_model_open_memory(list.data(), list.size(), &raw, handle, error);
        });
    }

    /**
     * Opens a task, which is then used as any model: one of TotalSegmentator's (`tasks()`), or the path of a task
     * file, which ends in ".json". `weights` is the folder that holds its models as TotalSegmentator stores them.
     */
    static Result<Model> open_task(const std::filesystem::path &task, const std::filesystem::path &weights,
                                   const TaskOptions &options = {}) {
        const std::string name = detail::utf8(task), folder = detail::utf8(weights);
        std::vector<const char *> subset;
        for (const std::string &label : options.subset) {
            subset.push_back(label.c_str());
        }
        auto raw = detail::filled(&vxs_task_options_init);
        raw.subset = subset.empty() ? nullptr : subset.data();
        raw.subset_count = subset.size();
        raw.robust_crop = options.robust_crop ? 1 : 0;
        raw.remove_small = options.remove_small;
        raw.resampling = static_cast<vxs_resampling>(options.resampling);
        raw.split = options.split ? 1 : 0;
        raw.crop_to_body = options.crop_to_body ? 1 : 0;
        raw.on_network_grid = options.on_network_grid ? 1 : 0;
        raw.smooth = options.smooth ? 1 : 0;
        raw.legacy_v1_labels = options.legacy_v1_labels ? 1 : 0;
        raw.memory_budget = options.memory_budget;
        detail::Callback callback{&options.progress, nullptr};
        callback.watch(raw, options.cancel);
        return make(callback, [&](vxs_model **handle, vxs_error **error) {
            return vxs_model_open_task(name.c_str(), folder.c_str(), &raw, handle, error);
        });
    }

    /** One model of several, whose probabilities are averaged. They may end before it. */
    static Result<Model> ensemble(Span<const Model *const> members) {
        std::vector<const vxs_model *> list;
        for (const Model *member : members) {
            list.push_back(member ? member->get() : nullptr);
        }
        const ProgressFunction nobody;
        return make(detail::Callback{&nobody, nullptr}, [&](vxs_model **handle, vxs_error **error) {
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

    /** A coded term of the label at `index` of labels(), nothing where it has none in that role. */
    Result<std::optional<Term>> term(std::uint64_t index, TermRole role) const {
        auto raw = detail::filled(&vxs_term_init);
        return detail::call(
            [&](vxs_error **error) {
                return vxs_model_label_term(get(), index, static_cast<vxs_term_role>(role), &raw, error);
            },
            [&] {
                return raw.code ? std::optional<Term>({detail::text(raw.scheme), detail::text(raw.code),
                                                       detail::text(raw.meaning)})
                                : std::nullopt;
            });
    }

    /** What reads the headers of NIfTI files for this model. */
    Reader reader() const noexcept { return static_cast<Reader>(vxs_model_reader(get())); }

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

    template <class Open> static Result<Model> make(const detail::Callback &callback, Open open) {
        vxs_model *handle = nullptr;
        return detail::call(
            [&](vxs_error **error) {
                const vxs_status status = open(&handle, error);
                callback.rethrow(*error);
                return status;
            },
            [&] { return Model(handle); });
    }

    static vxs_model_options c_options(const ModelOptions &options, detail::Callback &callback,
                                       std::vector<const char *> &classes) {
        auto raw = detail::filled(&vxs_model_options_init);
        for (const std::string &name : options.classes) {
            classes.push_back(name.c_str());
        }
        raw.classes = classes.empty() ? nullptr : classes.data();
        raw.class_count = classes.size();
        raw.foreground_crop = static_cast<vxs_foreground_crop>(options.foreground_crop);
        raw.auto3dseg_script = static_cast<vxs_auto3dseg_script>(options.auto3dseg_script);
        raw.memory_budget = options.memory_budget;
        callback.watch(raw, options.cancel);
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

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_MODEL_HPP
