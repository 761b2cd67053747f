/*!
 * @file
 * @brief voxseg: embeddable inference for 3-D medical image segmentation.
 *
 * Generated from src/ffi; docs/abi.md has the rules behind it.
 *
 * In one breath: `vxs_model_open` a folder, `vxs_plan_create` for a device, fill a `vxs_volume` and a `vxs_labels` with
 * your own buffers, `vxs_segment`.
 *
 * - Structures: fill each by its `vxs_<x>_init` first, then set what differs. 0 and NULL in a field are its default.
 * - Arguments: the handle, what is read, what is written, and a `vxs_error **`, which may be NULL. What is written is
 *   written only on success.
 * - Results: a function that can fail returns a `vxs_status`; `VXS_OK` is 0. Its comment names the statuses that it may
 *   return beside these: `VXS_NULL_POINTER` for an argument that must not be NULL, `VXS_STRUCT_SIZE` for a structure
 *   that wasn't filled, `VXS_OUT_OF_MEMORY`, and `VXS_INTERNAL_ERROR`.
 * - Ownership: what comes through a `vxs_<x> **` is yours; end it with `vxs_<x>_free`, which accepts NULL. Strings that
 *   are returned are borrowed. Arguments are used during the call only, where the comment doesn't say otherwise.
 * - Threads: "Any thread" means any number of threads at once, also with the same handle. A plan runs as many
 *   segmentations at once as its options say, one by default. Nothing may use a handle while it is freed.
 * - Coordinates: patient coordinates are LPS in millimetres (DICOM, ITK) unless `VXS_VOLUME_RAS` is set.
 */


#ifndef VOXSEG_H
#define VOXSEG_H

#include <stdint.h>
#include <stddef.h>

#if defined(_WIN32) && !defined(VXS_STATIC)
#define VXS_API __declspec(dllimport)
#elif defined(__GNUC__)
#define VXS_API __attribute__((visibility("default")))
#else
#define VXS_API
#endif

/**
 * @def VXS_NODISCARD
 * Marks a function whose status must be looked at.
 */
#if defined(__cplusplus) && __cplusplus >= 201703L
#define VXS_NODISCARD [[nodiscard]]
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L
#define VXS_NODISCARD [[nodiscard]]
#elif defined(__GNUC__)
#define VXS_NODISCARD __attribute__((warn_unused_result))
#else
#define VXS_NODISCARD
#endif

/**
 * @def VXS_DEPRECATED
 * Marks what a later version takes away; `instead` says what to use.
 */
#if defined(_MSC_VER) && !defined(__clang__)
#define VXS_DEPRECATED(instead) __declspec(deprecated(instead))
#elif defined(__GNUC__)
#define VXS_DEPRECATED(instead) __attribute__((deprecated(instead)))
#else
#define VXS_DEPRECATED(instead)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ----------------------------------------------------------------------------------------- The library */

/**
 * @defgroup version The library
 * The version of the library and of its interface, and what this build of it has. Check the version after loading
 * the library at run time; a program that was linked with it gets a library of its own major version from the
 * loader.
 * @{
 */

/** 0 is no, 1 is yes. A field with another value is `VXS_INVALID_ARGUMENT`. */
typedef int32_t vxs_bool;

/** Major version of the C interface: grows when something that worked stops working. Part of the soname. */
#define VXS_ABI_MAJOR 0
/** Minor version of the C interface: grows with every addition. */
#define VXS_ABI_MINOR 1

/**
 * The version of the interface that the loaded library implements: `major << 16 | minor`. A client works with this
 * library when the major versions are equal and the library's minor version is at least the client's
 * `VXS_ABI_MINOR`. Check it after loading. Any thread.
 */
VXS_API
uint32_t vxs_abi_version(void);

/** The library's release, for example "0.1.0". A static string. Any thread. */
VXS_API const char *vxs_version(void);

/**
 * What this build of the library has, as JSON: "version", "interface" (major, minor), "target" (operating system
 * and architecture), "engines" (with the instructions of this machine that the CPU engine can use, the oldest ONNX
 * Runtime that will do, and the providers of it that are known), "models" (formats that open) and "licences". New
 * keys may come. A static string. Loads nothing. Any thread.
 */
VXS_API
const char *vxs_build_info(void);

/** @} */ /* The library */

/* ---------------------------------------------------------------------------------------------- Errors */

/**
 * @defgroup error Errors
 * Every function that can fail returns a status: 0, or a number in a band: 1xx the caller's arguments, 2xx the
 * model, 3xx runtime and device, 4xx the run, 9xx a defect of this library. Where the caller passes a pointer for
 * it, a `vxs_error` says in words what is wrong, what was found and what was expected. There is no state of a
 * thread.
 * @{
 */

/**
 * 0 for success, else what went wrong. Bands: 1xx the caller's arguments, 2xx the model, 3xx runtime and
 * device, 4xx the run, 9xx a defect of this library. A number never changes its meaning.
 */
typedef int32_t vxs_status;

/** Success. */
#define VXS_OK 0
/** An argument has a value that can't be used. */
#define VXS_INVALID_ARGUMENT 101
/** A pointer that must not be NULL was. */
#define VXS_NULL_POINTER 102
/** A structure's `struct_size` is not one that this version reads. */
#define VXS_STRUCT_SIZE 103
/** Spacing, origin or direction don't describe a grid that can be segmented. */
#define VXS_GEOMETRY 104
/** A buffer is smaller than its shape and strides need. */
#define VXS_BUFFER_TOO_SMALL 105
/** The volume isn't one that this model segments. */
#define VXS_VOLUME_MISMATCH 106
/** Voxels are NaN or infinite. Nothing was computed. */
#define VXS_VOXELS_NOT_FINITE 107
/** A file of the model couldn't be read. */
#define VXS_CANNOT_READ 201
/** The path or file set is not a model. */
#define VXS_NOT_A_MODEL 202
/** A file of the model is damaged, truncated or malformed. */
#define VXS_MALFORMED_MODEL 203
/** A file of the model exceeds a limit that protects the host. */
#define VXS_REFUSED_MODEL 204
/** The model needs something that this version doesn't implement. */
#define VXS_UNSUPPORTED_MODEL 205
/** A tensor that the network needs is not in the checkpoint. */
#define VXS_MISSING_TENSOR 206
/** The checkpoint holds tensors that the network doesn't use. */
#define VXS_UNUSED_TENSOR 207
/** A tensor has another shape or type than the network needs, or values that are NaN or infinite. */
#define VXS_TENSOR_MISMATCH 208
/** ONNX Runtime's shared library was not found or couldn't be loaded. */
#define VXS_RUNTIME_MISSING 301
/** ONNX Runtime is older than this library needs. */
#define VXS_RUNTIME_VERSION 302
/** ONNX Runtime answered with an error. */
#define VXS_RUNTIME_FAILED 303
/** The device asked for isn't there or can't be used. */
#define VXS_DEVICE_UNUSABLE 304
/** The caller asked to stop. Nothing was written. */
#define VXS_CANCELLED 401
/** The plan is running a segmentation on another thread. */
#define VXS_BUSY 402
/** The run would need more memory than the budget allows. */
#define VXS_MEMORY_BUDGET 403
/** The network's output couldn't be computed. */
#define VXS_INFERENCE_FAILED 404
/** The class scores are not finite in half precision. */
#define VXS_NOT_FINITE 405
/** Memory that was asked for isn't there. */
#define VXS_OUT_OF_MEMORY 406
/** The device doesn't answer any more: it was reset, taken away, or hung. Another plan may work. */
#define VXS_DEVICE_LOST 407
/** A defect in this library; the message says where. */
#define VXS_INTERNAL_ERROR 901
/** The handle met an internal error earlier and can only be freed. */
#define VXS_POISONED 902

/**
 * What went wrong, in words. Owned by the caller of the function that failed; free it with
 * `vxs_error_free`. Immutable: any thread may read it.
 */
typedef struct vxs_error vxs_error;

/**
 * The status that came with this error; 0 for NULL. Any thread.
 *
 * The caller guarantees:
 * `error` is NULL or was returned by this library and not freed.
 */
VXS_API vxs_status vxs_error_status(const struct vxs_error *error);

/**
 * One sentence that names what is wrong, what was found and what was expected. UTF-8, lives as long as the error;
 * an empty string for NULL. Any thread.
 *
 * The caller guarantees:
 * `error` is NULL or was returned by this library and not freed.
 */
VXS_API
const char *vxs_error_message(const struct vxs_error *error);

/**
 * One detail of the error: keys are "argument", "found", "expected", "file", "tensor", "path", "reason", "needed",
 * "budget", "channel" and "voxel", each present where it applies. UTF-8, lives as long as the error; NULL when
 * absent. Any thread.
 *
 * The caller guarantees:
 * `error` is NULL or was returned by this library and not freed; `key` is NULL or a NUL-terminated string.
 */
VXS_API
const char *vxs_error_detail(const struct vxs_error *error,
                             const char *key);

/**
 * Frees an error and the strings that it lent. NULL is fine. Any thread.
 *
 * The caller guarantees:
 * `error` is NULL or was returned by this library and not freed.
 */
VXS_API void vxs_error_free(struct vxs_error *error);

/**
 * The name of a status, for example "missing tensor"; "unknown" for a number that isn't in use. A static string.
 * Any thread.
 */
VXS_API
const char *vxs_status_name(vxs_status status);

/** @} */ /* Errors */

/* -------------------------------------------------------------------------------------------- Messages */

/**
 * @defgroup log Messages
 * What the library has to say beside its errors: fallbacks, warnings about volumes and models, and ONNX Runtime's
 * messages. Without a receiver the library is silent. A process may have several receivers, each of which gets every
 * message: a program and its plug-ins that share the library don't know of each other.
 * @{
 */

/** How much a message matters: one of `VXS_LOG_*`. */
typedef int32_t vxs_log_level;

/** For the developers of this library. */
#define VXS_LOG_DEBUG 0
/** What happens. */
#define VXS_LOG_INFO 1
/** Something that the user may want to know. */
#define VXS_LOG_WARNING 2
/** Something failed; the call that failed returns it too. */
#define VXS_LOG_ERROR 3

/** A receiver of messages that listens. */
typedef struct vxs_log vxs_log;

/**
 * Receives a message: UTF-8, valid during the call. It may come from any thread and from several at once, and must not
 * call this library. It must not throw: an exception can't pass the library's frames and ends the process.
 */
typedef void (*vxs_log_callback)(void *user_data, vxs_log_level level, const char *message);

/**
 * Adds a receiver of messages of at least `level`, beside those that are there. It listens until `vxs_log_remove`
 * ends it.
 *
 * Returns `VXS_INVALID_ARGUMENT` for an unknown level, `VXS_NULL_POINTER` for no callback. Any thread, but not out
 * of a receiver.
 *
 * The caller guarantees:
 * `callback` and `user_data` follow the contract of `vxs_log_callback` until the receiver is removed; `log` is NULL or
 * writable; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_log_add(vxs_log_level level,
                       vxs_log_callback callback,
                       void *user_data,
                       struct vxs_log **log,
                       struct vxs_error **error);

/**
 * Ends a receiver and frees it. Returns when no call of it is under way, so that `user_data` may go. NULL is fine.
 * Any thread, but not out of a receiver.
 *
 * The caller guarantees:
 * `log` is NULL or a live receiver that no other call uses, and this isn't called out of a receiver.
 */
VXS_API
void vxs_log_remove(struct vxs_log *log);

/** @} */ /* Messages */

/* ------------------------------------------------------------------------------------------ Cancelling */

/**
 * @defgroup cancel Cancelling
 * A flag that stops a call within one tile, or one piece of a file: the call returns `VXS_CANCELLED` and has
 * written nothing. One flag may serve several calls. Options that have a field `cancel` take it.
 * @{
 */

/** A flag that stops calls. */
typedef struct vxs_cancel vxs_cancel;

/**
 * Makes a flag that isn't set. Free it with `vxs_cancel_free`.
 *
 * Returns `VXS_OK`. Any thread.
 *
 * The caller guarantees:
 * `cancel` is NULL or writable; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API vxs_status vxs_cancel_create(struct vxs_cancel **cancel, struct vxs_error **error);

/**
 * Sets the flag. NULL is fine. Any thread, also a signal handler: it is one atomic store.
 *
 * The caller guarantees:
 * `cancel` is NULL or a live flag.
 */
VXS_API void vxs_cancel_request(const struct vxs_cancel *cancel);

/**
 * Whether the flag is set; 0 for NULL. Any thread.
 *
 * The caller guarantees:
 * `cancel` is NULL or a live flag.
 */
VXS_API vxs_bool vxs_cancel_requested(const struct vxs_cancel *cancel);

/**
 * Clears the flag, so that it can serve the next call. NULL is fine. Any thread.
 *
 * The caller guarantees:
 * `cancel` is NULL or a live flag.
 */
VXS_API void vxs_cancel_reset(const struct vxs_cancel *cancel);

/**
 * Frees a flag that no call uses any more. NULL is fine. Any thread.
 *
 * The caller guarantees:
 * `cancel` is NULL or a live flag that no other call uses.
 */
VXS_API void vxs_cancel_free(struct vxs_cancel *cancel);

/** @} */ /* Cancelling */

/* -------------------------------------------------------------------------------------------- Progress */

/**
 * @defgroup progress Progress
 * How far a call is. Calls that can take seconds tell it to a function of the caller's, on the calling thread, and
 * stop when that function or a `vxs_cancel` wants it: they return `VXS_CANCELLED` and have written nothing. Both come
 * as three fields of the call's options: `progress`, `user_data` and `cancel`.
 * @{
 */

/** What a call is at: one of `VXS_STAGE_*`. */
typedef int32_t vxs_stage;

/** Reading, cropping, normalising and resampling the volume. */
#define VXS_STAGE_PREPROCESS 1
/** Running the network on the tiles. */
#define VXS_STAGE_NETWORK 2
/** Bringing the labels onto the volume's grid. */
#define VXS_STAGE_RESTORE 3
/** Measuring labels, comparing them, or bringing them to another grid. */
#define VXS_STAGE_MEASURE 4
/** Reading the files of a model. */
#define VXS_STAGE_OPEN 5
/** Compiling the networks of a plan. */
#define VXS_STAGE_COMPILE 6

/** How far a call is. The library fills it; it may grow at its end. */
typedef struct vxs_progress {
    /** Size of this structure in the library. */
    uint32_t struct_size;
    /** What it is at. */
    vxs_stage stage;
    /** Share of the whole call that is done, 0 to 1: never decreases, 1 at the end of a call that succeeds. */
    double fraction;
    /** For `VXS_STAGE_NETWORK`: tiles that are done; else 0. */
    uint64_t tiles_done;
    /** Tiles in all. */
    uint64_t tiles;
    /** For `VXS_STAGE_OPEN`: bytes of the model's files that were read, or that aren't needed; else 0. */
    uint64_t bytes_read;
    /** Bytes of these files in all, as far as they are known. */
    uint64_t bytes;
} vxs_progress;

/**
 * Receives the progress of a call, on the thread that called, in the caller's floating-point environment. Returns 0 to
 * go on, anything else to cancel. It must not use the plan that runs, and must not throw: an exception can't pass the
 * library's frames and ends the process.
 */
typedef int32_t (*vxs_progress_callback)(void *user_data, const struct vxs_progress *progress);

/** @} */ /* Progress */

/* ---------------------------------------------------------------------------------------- ONNX Runtime */

/**
 * @defgroup runtime ONNX Runtime
 * ONNX Runtime runs networks on GPUs, and those that the library's own CPU engine lacks operators for. It is a
 * shared library that is loaded when the first plan needs it: one for the process, opened once, kept until the
 * process ends.
 * @{
 */

/**
 * Loads ONNX Runtime now, so that a missing library shows before the first plan is made. A plan loads it by itself
 * otherwise.
 *
 * `path` is the library's file or the folder that holds it (UTF-8). NULL looks at the environment variable
 * `VOXSEG_ORT_LIBRARY` (file or folder), then in the folder of this library and its `onnxruntime` subfolder, never
 * in the system's search path. The process keeps the first one that was opened.
 *
 * Returns `VXS_RUNTIME_MISSING`, `VXS_RUNTIME_VERSION` for one that is too old, `VXS_INVALID_ARGUMENT` when
 * another one is open. Any thread.
 *
 * The caller guarantees:
 * `path` is NULL or a NUL-terminated string; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_runtime_open(const char *path,
                            struct vxs_error **error);

/**
 * Registers a library of ONNX Runtime's plug-in execution providers, so that its devices can be
 * listed and used. Opens ONNX Runtime as `vxs_runtime_open(NULL)` does, if it isn't open. `path` is the library's
 * file (UTF-8); a library that is registered already is left alone. It stays until the process ends. The
 * environment variable `VOXSEG_ORT_PLUGIN`, with files separated as in PATH, does the same whenever ONNX Runtime
 * is opened; what fails there shows in the list of devices.
 *
 * Returns as `vxs_runtime_open`, and `VXS_RUNTIME_FAILED` for a library that can't be used. Any thread.
 *
 * The caller guarantees:
 * `path` is NULL or a NUL-terminated string; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_runtime_add_plugin(const char *path,
                                  struct vxs_error **error);

/**
 * The version of the ONNX Runtime that is loaded, for example "1.28.0"; NULL when none is. Lives as long as the
 * process. Any thread.
 */
VXS_API
const char *vxs_runtime_version(void);

/**
 * The file that the loaded ONNX Runtime came from; NULL when none is loaded. Lives as long as the process. Any
 * thread.
 */
VXS_API
const char *vxs_runtime_path(void);

/** @} */ /* ONNX Runtime */

/* --------------------------------------------------------------------------------------------- Devices */

/**
 * @defgroup device Devices
 * Processors that a plan can run on. `VXS_DEVICE_CPU` is there always and needs no other library; the list tells
 * which of the others can be used here, and why the rest can't.
 * @{
 */

/** What runs the network: one of `VXS_DEVICE_*`. */
typedef int32_t vxs_device;

/** Our own CPU engine, which needs no other library. ONNX files and half precision are left to ONNX Runtime. */
#define VXS_DEVICE_CPU 1
/** ONNX Runtime on the CPU. */
#define VXS_DEVICE_ORT_CPU 2
/** NVIDIA GPUs through CUDA and cuDNN. */
#define VXS_DEVICE_CUDA 3
/** NVIDIA GPUs through TensorRT, which compiles a network for minutes. */
#define VXS_DEVICE_TENSORRT 4
/**
 * Our own engine on any vendor's GPU, which needs nothing but its Vulkan driver. It runs every
 * network but ONNX files.
 */
#define VXS_DEVICE_GPU 5
/** Any GPU on Windows, through Direct3D 12. */
#define VXS_DEVICE_DIRECTML 6
/** Intel processors (index 0) and GPUs (from index 1 on). */
#define VXS_DEVICE_OPENVINO 7
/** Apple's GPUs and neural engines. */
#define VXS_DEVICE_COREML 8
/** AMD GPUs through ROCm. */
#define VXS_DEVICE_MIGRAPHX 9
/**
 * The first GPU that can be used, in the order of the list of devices, without TensorRT and without software that
 * emulates a GPU; `VXS_DEVICE_GPU` only if it has all that the networks need. Else `VXS_DEVICE_CPU`.
 */
#define VXS_DEVICE_BEST 100

/** The devices that were found. Immutable: any thread may read it. */
typedef struct vxs_device_list vxs_device_list;

/** One device. Fill it by `vxs_device_info_init` first. */
typedef struct vxs_device_info {
    /** Set by `vxs_device_info_init`. */
    uint32_t struct_size;
    /** What to put into `vxs_plan_options.device`. */
    vxs_device device;
    /** Its number among the devices of its kind: what to put into `vxs_plan_options.device_index`. */
    uint32_t index;
    /** Whether a plan can be made on it; `reason` says why not. */
    vxs_bool usable;
    /** Whether it is hardware of its own, as far as is known: no CPU, and no software that emulates a GPU. */
    vxs_bool hardware;
    /** Must be 0. */
    uint32_t reserved;
    /** Its name. Lives as long as the list. */
    const char *name;
    /** Why it can't be used; an empty string when it can. Lives as long as the list. */
    const char *reason;
    /** Its driver and the driver's version; an empty string when unknown. Lives as long as the list. */
    const char *driver;
    /** Bytes of its own memory; 0 when unknown or it has none. */
    uint64_t memory_bytes;
} vxs_device_info;

/**
 * Writes the defaults. `size` is `sizeof(vxs_device_info)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `info` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_device_info_init(struct vxs_device_info *info, uint64_t size);

/**
 * Looks which devices there are: the CPU's, our own engine's GPUs, then each provider's, and for a kind without one an
 * entry that says why. Opens the system's Vulkan loader, and loads ONNX Runtime when it can be found; when it can't,
 * the devices that need it are listed as unusable. To know whether a provider that ONNX Runtime was built with can be
 * used, its libraries are loaded. Free the list with `vxs_device_list_free`.
 *
 * Returns `VXS_OK`: what can't be used is no error. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or writable; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_device_list_open(struct vxs_device_list **list,
                                struct vxs_error **error);

/**
 * Number of devices; 0 for NULL. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or a live list.
 */
VXS_API uint64_t vxs_device_list_count(const struct vxs_device_list *list);

/**
 * Tells about one device.
 *
 * Returns `VXS_INVALID_ARGUMENT` for an index past the end. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or a live list; `info` is NULL or was filled by `vxs_device_info_init`; `error` is NULL or
 * writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_device_list_get(const struct vxs_device_list *list,
                               uint64_t index,
                               struct vxs_device_info *info,
                               struct vxs_error **error);

/**
 * Frees a list and the strings that it lent. NULL is fine. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or a live list that no other call uses.
 */
VXS_API void vxs_device_list_free(struct vxs_device_list *list);

/** @} */ /* Devices */

/* --------------------------------------------------------------------------------------------- Volumes */

/**
 * @defgroup volume Volumes
 * An image in the caller's own memory: type, shape and strides of its voxels, and where they lie in the patient.
 * Axis 0 is the fastest by default, as in ITK, VTK, NIfTI and DICOM; strides describe any other order without a
 * copy.
 * @{
 */

/** The type of a voxel: one of `VXS_DTYPE_*`, in the machine's byte order unless `VXS_VOLUME_SWAPPED` is set. */
typedef int32_t vxs_dtype;

/** 8-bit signed integer. */
#define VXS_DTYPE_I8 1
/** 8-bit unsigned integer. */
#define VXS_DTYPE_U8 2
/** 16-bit signed integer. */
#define VXS_DTYPE_I16 3
/** 16-bit unsigned integer. */
#define VXS_DTYPE_U16 4
/** 32-bit signed integer. */
#define VXS_DTYPE_I32 5
/** 32-bit unsigned integer. */
#define VXS_DTYPE_U32 6
/** IEEE half precision. */
#define VXS_DTYPE_F16 7
/** IEEE single precision. */
#define VXS_DTYPE_F32 8
/** IEEE double precision. */
#define VXS_DTYPE_F64 9

/** `VXS_VOLUME_*` together. */
typedef uint64_t vxs_volume_flags;

/** Origin and direction are in RAS coordinates (NIfTI, Slicer) and not in LPS (DICOM, ITK). */
#define VXS_VOLUME_RAS 1
/** Voxels are in the other byte order than the machine's. */
#define VXS_VOLUME_SWAPPED 2
/**
 * For `vxs_segment` with a plan on CUDA or TensorRT: the voxels (`data`, or what `channel_data` points to) lie in the
 * memory of the plan's GPU. What was queued there before the call is waited for. Preprocessing runs on the host, so
 * that they are copied there once.
 */
#define VXS_VOLUME_ON_DEVICE 4

/**
 * An image to segment: one or several channels on one grid. The library only reads it, during the call that
 * it is passed to. Fill it by `vxs_volume_init` first.
 *
 * The grid: voxel (i, j, k) lies at `origin + direction · (i·spacing[0], j·spacing[1], k·spacing[2])`, and
 * in memory at `data + offset + i·strides[0] + j·strides[1] + k·strides[2]`.
 */
typedef struct vxs_volume {
    /** Set by `vxs_volume_init`. */
    uint32_t struct_size;
    /** Type of a voxel. */
    vxs_dtype dtype;
    /** The voxels. Not needed when `channel_data` is set. */
    const void *data;
    /** Size of the buffer at `data`, or of each buffer in `channel_data`, in bytes. Nothing outside is read. */
    uint64_t data_size;
    /** Number of voxels along each axis. */
    uint64_t shape[3];
    /**
     * Distance in bytes between neighbours along each axis, negative when an axis runs backwards. All zero
     * (default): axis 0 is the fastest and nothing lies between the voxels. Each voxel has bytes of its own:
     * `VXS_INVALID_ARGUMENT` for strides by which voxels share bytes, such as 0 along an axis that has several.
     */
    int64_t strides[3];
    /** Where voxel (0, 0, 0) lies in the buffer, in bytes. 0 by default. */
    uint64_t offset;
    /** Number of channels, in the order that the model names them. 1 by default. */
    uint64_t channels;
    /**
     * Distance in bytes between the channels in `data`, negative when they run backwards; 0 (default): each channel
     * follows the one before.
     */
    int64_t channel_stride;
    /** NULL (default), or `channels` pointers to one buffer a channel, all with the same type and layout. */
    const void *const *channel_data;
    /** Distance between neighbours along each axis in millimetres. 1 by default. */
    double spacing[3];
    /** Position of voxel (0, 0, 0) in millimetres. 0 by default. */
    double origin[3];
    /**
     * Row-major 3×3 matrix: column a is the unit vector in patient coordinates along which axis a runs.
     * Columns are orthogonal; either handedness. Identity by default.
     */
    double direction[9];
    /** Intensity = stored value · slope + intercept. 1 and 0 by default. */
    double slope;
    /** See `slope`. */
    double intercept;
    /** 0 by default. */
    vxs_volume_flags flags;
} vxs_volume;

/**
 * Writes the defaults. `size` is `sizeof(vxs_volume)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `volume` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_volume_init(struct vxs_volume *volume, uint64_t size);

/** @} */ /* Volumes */

/* --------------------------------------------------------------------------------------- Label buffers */

/**
 * @defgroup labels Label buffers
 * Where `vxs_segment` writes labels: a buffer of the caller's, one label a voxel. It is written whole, or, on any
 * error or cancel, not at all; unless the run's options ask for labels as they come.
 * @{
 */

/** `VXS_LABELS_*` together. */
typedef uint64_t vxs_labels_flags;

/**
 * For a plan on CUDA or TensorRT: `data` lies in the memory of the plan's GPU. What was queued there before
 * the call is waited for, and the labels are there when it returns.
 */
#define VXS_LABELS_ON_DEVICE 1

/** Where the labels go. It has no shape of its own: the call knows the grid. Fill it by `vxs_labels_init` first. */
typedef struct vxs_labels {
    /** Set by `vxs_labels_init`. */
    uint32_t struct_size;
    /** An integer `VXS_DTYPE_*` that holds every label value of the model. `VXS_DTYPE_U8` by default. */
    vxs_dtype dtype;
    /** The buffer. */
    void *data;
    /** Its size in bytes. Nothing outside is written. */
    uint64_t data_size;
    /** As in `vxs_volume`. All zero (default): axis 0 is the fastest, dense. */
    int64_t strides[3];
    /** Where the label of voxel (0, 0, 0) lies, in bytes. 0 by default. */
    uint64_t offset;
    /** 0 by default. */
    vxs_labels_flags flags;
} vxs_labels;

/**
 * Writes the defaults. `size` is `sizeof(vxs_labels)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `labels` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_labels_init(struct vxs_labels *labels, uint64_t size);

/** @} */ /* Label buffers */

/* ------------------------------------------------------------------------------------------------ Maps */

/**
 * @defgroup map Maps
 * What a run can tell of each voxel beside its label: probabilities, and how certain they are. The buffers are the
 * caller's. Options of a run take maps; tasks have none.
 * @{
 */

/** What a map tells of each voxel: one of `VXS_MAP_*`. */
typedef int32_t vxs_map_kind;

/**
 * The probability of one of the model's labels, in `VXS_DTYPE_F32` or `VXS_DTYPE_F16`. Outside of the part of the
 * volume that the network saw it is 1 for the background and 0 for all others.
 */
#define VXS_MAP_PROBABILITY 1
/**
 * By how many thousandths the highest probability is over the second highest, at most 255, in `VXS_DTYPE_U8`. For
 * models whose classes overlap: twice the distance of the nearest region's probability from one half. 255
 * outside.
 */
#define VXS_MAP_MARGIN 2
/**
 * The entropy of the probabilities in nats, in `VXS_DTYPE_F32` or `VXS_DTYPE_F16`; for models whose classes overlap
 * the sum of each region's. 0 outside.
 */
#define VXS_MAP_ENTROPY 3

/**
 * A map that a run fills: the caller's own buffer, on the volume's grid. Maps are about what the network says,
 * before any postprocessing. After a run that fails they are as they were, or all zero. Fill it by
 * `vxs_map_init` first.
 */
typedef struct vxs_map {
    /** Set by `vxs_map_init`. */
    uint32_t struct_size;
    /** `VXS_MAP_PROBABILITY` by default. */
    vxs_map_kind kind;
    /** For `VXS_MAP_PROBABILITY`: which label. */
    uint32_t label;
    /** `VXS_DTYPE_F32` by default. */
    vxs_dtype dtype;
    /** The buffer. It overlaps no other buffer of the run. */
    void *data;
    /** Its size in bytes. Nothing outside is written. */
    uint64_t data_size;
    /** As in `vxs_volume`. All zero (default): axis 0 is the fastest, dense. */
    int64_t strides[3];
    /** Where the value of voxel (0, 0, 0) lies, in bytes. 0 by default. */
    uint64_t offset;
} vxs_map;

/**
 * Writes the defaults. `size` is `sizeof(vxs_map)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `map` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_map_init(struct vxs_map *map, uint64_t size);

/** @} */ /* Maps */

/* --------------------------------------------------------------------------------------- NIfTI headers */

/**
 * @defgroup nifti NIfTI headers
 * Headers of NIfTI files as the software reads them that a model was trained with: the same header means different
 * spacings and orders of axes to ITK, nibabel and MONAI. Voxels stay with the caller.
 * @{
 */

/** The software whose reading of a NIfTI header counts: one of `VXS_READER_*`. */
typedef int32_t vxs_reader;

/**
 * ITK 5.4, as SimpleITK, 3D Slicer and nnU-Net's SimpleITKIO use it: spacing from pixdim and its unit, the qform or
 * the sform by their codes.
 */
#define VXS_READER_ITK 1
/** nibabel 5.4, spacing from the columns of the affine: TotalSegmentator. */
#define VXS_READER_NIBABEL 2
/** nibabel 5.4, spacing from pixdim: nnU-Net's NibabelIO. */
#define VXS_READER_NIBABEL_IO 3
/**
 * As `VXS_READER_NIBABEL_IO` for images along the patient's axes, else as `VXS_READER_NIBABEL`: nnU-Net's
 * NibabelIOWithReorient.
 */
#define VXS_READER_NIBABEL_IO_REORIENT 4
/** MONAI 1.6's NibabelReader: the affine that pixdim agrees with. */
#define VXS_READER_MONAI 5

/** A NIfTI header as a reader reads it. */
typedef struct vxs_nifti vxs_nifti;

/**
 * Reads a header, of NIfTI-1 (348 bytes) or NIfTI-2 (540 bytes), in either byte order; bytes behind it are
 * ignored, so that a whole file will do. `reader` is that of the model which will see the image:
 * `vxs_model_reader`. Nothing else is read: voxels stay the caller's. Free it with `vxs_nifti_free`.
 *
 * Returns `VXS_INVALID_ARGUMENT` for bytes that are no such header, `VXS_GEOMETRY` for headers that the reader
 * refuses as well, and for axes over a degree away from right angles. Any thread.
 *
 * The caller guarantees:
 * `header` is NULL or readable for `size` bytes; `nifti` is NULL or writable; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_nifti_parse(const void *header,
                           uint64_t size,
                           vxs_reader reader,
                           struct vxs_nifti **nifti,
                           struct vxs_error **error);

/**
 * Fills a volume, which `vxs_volume_init` made: type, shape, channels (the volumes of a series), spacing, origin,
 * direction, slope, intercept, and whether bytes are swapped. The caller adds the voxels. The type is 0 where the
 * library has none: 64-bit integers (`vxs_nifti_datatype` 1024 and 1280), which the caller narrows.
 *
 * Returns `VXS_STRUCT_SIZE`. Any thread.
 *
 * The caller guarantees:
 * `nifti` is NULL or live; `volume` is NULL or writable for its `struct_size`; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_nifti_volume(const struct vxs_nifti *nifti,
                            struct vxs_volume *volume,
                            struct vxs_error **error);

/**
 * Where the voxels start in their file, in bytes: behind the header of a `.nii` file, or in the `.img` file of a
 * pair. 0 for NULL. Any thread.
 *
 * The caller guarantees:
 * `nifti` is NULL or live.
 */
VXS_API
uint64_t vxs_nifti_data_offset(const struct vxs_nifti *nifti);

/**
 * The code of the voxels' type in the header. 0 for NULL. Any thread.
 *
 * The caller guarantees:
 * `nifti` is NULL or live.
 */
VXS_API int32_t vxs_nifti_datatype(const struct vxs_nifti *nifti);

/**
 * Where the header contradicts itself, and which of its statements counts, in one line for the user; NULL for a
 * header at one with itself. UTF-8, lives as long as `nifti`. Any thread.
 *
 * The caller guarantees:
 * `nifti` is NULL or live.
 */
VXS_API
const char *vxs_nifti_note(const struct vxs_nifti *nifti);

/**
 * Frees a header and the string that it lent. NULL is fine. Any thread.
 *
 * The caller guarantees:
 * `nifti` is NULL or live, and no other call uses it.
 */
VXS_API void vxs_nifti_free(struct vxs_nifti *nifti);

/** @} */ /* NIfTI headers */

/* ---------------------------------------------------------------------------------------------- Models */

/**
 * @defgroup model Models
 * A published model: weights, labels, and the way from an image to what the network sees. A model is immutable:
 * any thread may use it, many plans share it, and it may be freed before them.
 * @{
 */

/** In `vxs_model_options.folds`: the folder `fold_all`. */
#define VXS_FOLD_ALL UINT32_MAX

/** How Auto3DSeg models crop to the foreground: one of `VXS_FOREGROUND_CROP_*`. */
typedef int32_t vxs_foreground_crop;

/**
 * Crop to the foreground as the script of 3D Slicer's extension MONAIAuto3DSeg does it: the box is found before the
 * image's axes are turned, and used after. Images along the patient's axes get the right box; others may lose
 * foreground.
 */
#define VXS_FOREGROUND_CROP_AS_PUBLISHED 0
/** Turn the foreground's box with the image. */
#define VXS_FOREGROUND_CROP_CORRECTED 1

/** The ways that SlicerMONAIAuto3DSeg's script knows: one of `VXS_AUTO3DSEG_*`. */
typedef int32_t vxs_auto3dseg_script;

/** BraTS' way for a network of four images and three regions that overlap, else the general one. */
#define VXS_AUTO3DSEG_FROM_MODEL 0
/** The general way of SlicerMONAIAuto3DSeg's script: each image is normalised as it comes. */
#define VXS_AUTO3DSEG_GENERAL 1
/**
 * The script's way for paths with "brats": images are normalised when they have the network's spacing, and regions
 * become BraTS' labels.
 */
#define VXS_AUTO3DSEG_BRATS 2
/** The script's way for paths with "whole-head": the two largest components of each label are kept. */
#define VXS_AUTO3DSEG_WHOLE_HEAD 3

/**
 * An opened model. Immutable: any thread may use it, many plans share it. Plans keep what they need of it,
 * so that it may be freed before them.
 */
typedef struct vxs_model vxs_model;

/** How to open a model. Fill it by `vxs_model_options_init` first. */
typedef struct vxs_model_options {
    /** Set by `vxs_model_options_init`. */
    uint32_t struct_size;
    /** For Auto3DSeg models: `VXS_FOREGROUND_CROP_AS_PUBLISHED` by default. */
    vxs_foreground_crop foreground_crop;
    /**
     * For Auto3DSeg models: `VXS_AUTO3DSEG_FROM_MODEL` by default. The published script tells models apart by words in
     * their path, which isn't looked at here.
     */
    vxs_auto3dseg_script auto3dseg_script;
    /** Must be 0. */
    uint32_t reserved;
    /**
     * The trained folds to average, by number, or `VXS_FOLD_ALL`. NULL (default): every numbered fold that
     * is there.
     */
    const uint32_t *folds;
    /** Number of entries in `folds`. */
    uint64_t fold_count;
    /** File name of the weights in each fold's folder. NULL (default): "checkpoint_final.pth". */
    const char *checkpoint;
    /**
     * Which of several models in a folder or an archive: the whole name of its folder, or the configuration at
     * the name's end ("3d_fullres"). Of a bundle: its config file ("inference_segresnet.yaml"). NULL (default):
     * the only one, and a bundle's `inference`.
     */
    const char *configuration;
    /**
     * Bytes of memory that opening may take at one time: files that take more are `VXS_REFUSED_MODEL`. 0 (default):
     * 128 MiB, and 16 bytes for each byte of the files that are opened.
     */
    uint64_t memory_budget;
    /** NULL by default. */
    vxs_progress_callback progress;
    /** Passed to `progress`. */
    void *user_data;
    /** A flag that stops the call; NULL (default) for none. */
    const struct vxs_cancel *cancel;
    /**
     * For VISTA3D: the classes to segment, numbers or names, as many as `class_count` says. NULL (default): all that
     * the model's config lists. Must be NULL for other models.
     */
    const char *const *classes;
    /** Number of entries in `classes`. */
    uint64_t class_count;
} vxs_model_options;

/**
 * One file of a model that is in memory. Arrays of it are passed, so that it never grows and has no `struct_size`.
 */
typedef struct vxs_model_file {
    /** Its path within the model folder, with `/` between folders: "fold_0/checkpoint_final.pth". */
    const char *name;
    /** Its content. */
    const void *data;
    /** Size of the content in bytes. */
    uint64_t size;
} vxs_model_file;

/**
 * Writes the defaults. `size` is `sizeof(vxs_model_options)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `options` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_model_options_init(struct vxs_model_options *options, uint64_t size);

/**
 * Opens a model; its files tell what it is. A folder, or a zip archive with it:
 * - nnU-Net v2's `<trainer>__<plans>__<configuration>`, or a folder of such folders;
 * - a MONAI bundle: `configs/inference.json` (or `.yaml`) and a checkpoint;
 * - Auto3DSeg as 3D Slicer's extension distributes it: `model.pt` and `labels.csv`.
 *
 * Or a file of weights (`.pt`, `.safetensors`, `.onnx`) with a JSON of the same name beside it that says what
 * happens around it (docs/models.md). Reads the weights, which takes seconds for large models; nothing in the
 * files is ever executed. Free it with `vxs_model_free`.
 *
 * Returns a status from 201 to 208 for what is wrong with the files, `VXS_CANCELLED`, `VXS_INVALID_ARGUMENT` for
 * the options. Any thread.
 *
 * The caller guarantees:
 * `path` is NULL or a NUL-terminated UTF-8 string; `options` is NULL (defaults) or a filled structure;
 * `model` is NULL or writable; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_model_open(const char *path,
                          const struct vxs_model_options *options,
                          struct vxs_model **model,
                          struct vxs_error **error);

/**
 * As `vxs_model_open`, for a folder's files in memory. They are only read during the call.
 *
 * Returns as `vxs_model_open`. Any thread.
 *
 * The caller guarantees:
 * `files` holds `file_count` entries whose names are NUL-terminated and whose data are valid for `size`
 * bytes; the rest as for `vxs_model_open`.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_model_open_memory(const struct vxs_model_file *files,
                                 uint64_t file_count,
                                 const struct vxs_model_options *options,
                                 struct vxs_model **model,
                                 struct vxs_error **error);

/**
 * Makes one model of several: their probabilities are averaged on the volume's grid, as `nnUNetv2_ensemble`
 * averages those of configurations. Members have the same channels and labels; they may be freed at once. Free it
 * with `vxs_model_free`.
 *
 * Returns `VXS_INVALID_ARGUMENT` for members that differ, or aren't single models. Any thread.
 *
 * The caller guarantees:
 * `members` holds `member_count` pointers, each NULL or to a live model; `model` is NULL or writable; `error`
 * is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_model_ensemble(const struct vxs_model *const *members,
                              uint64_t member_count,
                              struct vxs_model **model,
                              struct vxs_error **error);

/**
 * Frees a model and the strings that it lent. NULL is fine; plans made from it live on. Any thread.
 *
 * The caller guarantees:
 * `model` is NULL or a live model that no other call uses.
 */
VXS_API void vxs_model_free(struct vxs_model *model);

/**
 * The model's own name, for example "Dataset901_TorsoCT". UTF-8, lives as long as the model; NULL for NULL. Any
 * thread.
 *
 * The caller guarantees:
 * `model` is NULL or a live model.
 */
VXS_API
const char *vxs_model_name(const struct vxs_model *model);

/**
 * "voxseg1:sha256:" and 64 hexadecimal digits, over weights and recipe in the format of docs/identity.md: equal
 * exactly for models that compute the same, whatever the version of the library. Lives as long as the model; NULL for
 * NULL. Any thread.
 *
 * The caller guarantees:
 * `model` is NULL or a live model.
 */
VXS_API
const char *vxs_model_identity(const struct vxs_model *model);

/**
 * All that is known about the model as JSON: architecture, parameters, recipe, labels (docs/schemas/model.schema.json,
 * of a task docs/schemas/task.schema.json). UTF-8, lives as long as the model; NULL for NULL. Any thread.
 *
 * The caller guarantees:
 * `model` is NULL or a live model.
 */
VXS_API
const char *vxs_model_describe(const struct vxs_model *model);

/**
 * Number of channels that a volume must have; 0 for NULL. Any thread.
 *
 * The caller guarantees:
 * `model` is NULL or a live model.
 */
VXS_API uint64_t vxs_model_channel_count(const struct vxs_model *model);

/**
 * The model's name for a channel, for example "CT". UTF-8, lives as long as the model; NULL when there is no such
 * channel. Any thread.
 *
 * The caller guarantees:
 * `model` is NULL or a live model.
 */
VXS_API
const char *vxs_model_channel_name(const struct vxs_model *model,
                                   uint64_t index);

/**
 * What reads the headers of NIfTI files for this model, so that it sees images as it was trained with them: one of
 * `VXS_READER_*`; 0 for NULL. Any thread.
 *
 * The caller guarantees:
 * `model` is NULL or a live model.
 */
VXS_API
vxs_reader vxs_model_reader(const struct vxs_model *model);

/**
 * The spacing that the network works at, in millimetres, in the order of a volume's axes (x, y, z for a volume
 * whose axis 0 is x); 0 where the volume's own spacing is kept. A task's is along the patient's axes. Writes three
 * values.
 *
 * Returns `VXS_OK`. Any thread.
 *
 * The caller guarantees:
 * `model` is NULL or a live model; `spacing` is NULL or holds three values; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_model_spacing(const struct vxs_model *model,
                             double *spacing,
                             struct vxs_error **error);

/**
 * The size of a tile in voxels, in the order of a volume's axes; 0 for a task, whose models have their own. Writes
 * three values.
 *
 * Returns `VXS_OK`. Any thread.
 *
 * The caller guarantees:
 * `model` is NULL or a live model; `patch` is NULL or holds three values; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_model_patch(const struct vxs_model *model,
                           uint64_t *patch,
                           struct vxs_error **error);

/** @} */ /* Models */

/* ------------------------------------------------------------------------------------ Labels of models */

/**
 * @defgroup label Labels of models
 * What the values in a label map stand for: each label's name and colour, and what it is in coded terms (SNOMED CT, as
 * DICOM has them).
 * @{
 */

/** What a coded term of a label says: one of `VXS_TERM_*`, DICOM's attributes. */
typedef int32_t vxs_term_role;

/** Segmented Property Category. */
#define VXS_TERM_CATEGORY 0
/** Segmented Property Type. */
#define VXS_TERM_TYPE 1
/** Segmented Property Type Modifier: the side, for example. */
#define VXS_TERM_MODIFIER 2
/** Anatomic Region. */
#define VXS_TERM_REGION 3
/** Anatomic Region Modifier. */
#define VXS_TERM_REGION_MODIFIER 4

/** One label of a model. Fill it by `vxs_label_info_init` first. */
typedef struct vxs_label_info {
    /** Set by `vxs_label_info_init`. */
    uint32_t struct_size;
    /** The value that voxels of this structure get. */
    uint32_t value;
    /** A colour to show it in: 0x00RRGGBB. */
    uint32_t color;
    /** Must be 0. */
    uint32_t reserved;
    /** Its name. UTF-8, lives as long as the model. */
    const char *name;
} vxs_label_info;

/** A coded term. Fill it by `vxs_term_init` first. */
typedef struct vxs_term {
    /** Set by `vxs_term_init`. */
    uint32_t struct_size;
    /** What it says of the label. */
    vxs_term_role role;
    /**
     * The coding scheme, "SCT" for SNOMED CT; NULL when the label has no such term. UTF-8, lives as long as the
     * model, as the other texts.
     */
    const char *scheme;
    /** The code. */
    const char *code;
    /** What it means. */
    const char *meaning;
} vxs_term;

/**
 * Writes the defaults. `size` is `sizeof(vxs_label_info)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `info` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_label_info_init(struct vxs_label_info *info, uint64_t size);

/**
 * Number of labels, the background included; 0 for NULL. Any thread.
 *
 * The caller guarantees:
 * `model` is NULL or a live model.
 */
VXS_API uint64_t vxs_model_label_count(const struct vxs_model *model);

/**
 * Tells about one label, in ascending order of their values.
 *
 * Returns `VXS_INVALID_ARGUMENT` for an index past the end. Any thread.
 *
 * The caller guarantees:
 * `model` is NULL or a live model; `info` is NULL or was filled by `vxs_label_info_init`; `error` is NULL or
 * writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_model_label(const struct vxs_model *model,
                           uint64_t index,
                           struct vxs_label_info *info,
                           struct vxs_error **error);

/**
 * Writes the defaults. `size` is `sizeof(vxs_term)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `term` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_term_init(struct vxs_term *term, uint64_t size);

/**
 * Tells one of a label's coded terms; its texts are NULL where the label has none of that role. `index` is as for
 * `vxs_model_label`.
 *
 * Returns `VXS_INVALID_ARGUMENT` for an index past the end and for an unknown role. Any thread.
 *
 * The caller guarantees:
 * `model` is NULL or a live model; `term` is NULL or was filled by `vxs_term_init`; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_model_label_term(const struct vxs_model *model,
                                uint64_t index,
                                vxs_term_role role,
                                struct vxs_term *term,
                                struct vxs_error **error);

/** @} */ /* Labels of models */

/* ----------------------------------------------------------------------------------- Looking at models */

/**
 * @defgroup inspect Looking at models
 * What a model says of itself without its weights, in milliseconds: for settings dialogs and lists of models. Opening
 * is the only way to know that the weights are whole.
 * @{
 */

/** What a model says of itself. Immutable: any thread may read it. */
typedef struct vxs_inspection vxs_inspection;

/**
 * Looks at a model's files as `vxs_model_open` does, but for the weights, of which only the sizes are asked for.
 * `configuration` is as in `vxs_model_options`, or NULL. Free it with `vxs_inspection_free`.
 *
 * Returns a status from 201 to 205 for what is wrong with the files around the weights. A model that can't be run is
 * no error: "unsupported" says why. Any thread.
 *
 * The caller guarantees:
 * `path` is NULL or a NUL-terminated UTF-8 string, likewise `configuration`; `inspection` is NULL or writable; `error`
 * is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_model_inspect(const char *path,
                             const char *configuration,
                             struct vxs_inspection **inspection,
                             struct vxs_error **error);

/**
 * The inspection as JSON: "name", "format", "configuration", "channels", "labels" with their coded terms, "spacing"
 * and "patch" as `vxs_model_spacing` and `vxs_model_patch` give them, "licence", "folds", "weight_bytes" (of all files
 * of weights), and "unsupported", a list of reasons for which the model wouldn't open. null is what only the weights
 * tell. New keys may come. UTF-8, lives as long as the inspection; NULL for NULL. Any thread.
 *
 * The caller guarantees:
 * `inspection` is NULL or live.
 */
VXS_API
const char *vxs_inspection_json(const struct vxs_inspection *inspection);

/**
 * Frees an inspection and the string that it lent. NULL is fine. Any thread.
 *
 * The caller guarantees:
 * `inspection` is NULL or live, and no other call uses it.
 */
VXS_API void vxs_inspection_free(struct vxs_inspection *inspection);

/** @} */ /* Looking at models */

/* ----------------------------------------------------------------------------------------------- Tasks */

/**
 * @defgroup task Tasks
 * Several published models that answer one question together, as TotalSegmentator combines them. An opened task is
 * a `vxs_model` and used as any other.
 * @{
 */

/** How a task brings the volume to its networks' grid: one of `VXS_RESAMPLING_*`. */
typedef int32_t vxs_resampling;

/**
 * Bring the volume to the networks' grid by linear interpolation, rounded towards zero, and the labels back to the
 * nearest: TotalSegmentator from 2.16.
 */
#define VXS_RESAMPLING_LINEAR 0
/** By cubic splines, otherwise the same: TotalSegmentator before 2.16. */
#define VXS_RESAMPLING_CUBIC 1
/** By each network's own resampling, so that scores and not labels are brought back. */
#define VXS_RESAMPLING_NETWORK 2

/** How to run a task. Fill it by `vxs_task_options_init` first. */
typedef struct vxs_task_options {
    /** Set by `vxs_task_options_init`. */
    uint32_t struct_size;
    /** `VXS_RESAMPLING_LINEAR` by default. */
    vxs_resampling resampling;
    /** Whether the rough segmentation for a subset is a finer one that misses less. */
    vxs_bool robust_crop;
    /** Whether every volume is cut into three overlapping parts along the body, as otherwise only large ones are. */
    vxs_bool split;
    /**
     * Whether only that part of the volume is looked at in which a rough segmentation finds the body, and 3 mm around
     * it. For CT tasks that look at the whole volume otherwise.
     */
    vxs_bool crop_to_body;
    /**
     * Whether labels stay on the networks' grid, which `vxs_plan_label_grid` tells. For tasks that look at the whole
     * volume.
     */
    vxs_bool on_network_grid;
    /**
     * Whether labels come back to the volume's grid with smooth borders, each interpolated by itself, and not as those
     * of the nearest voxels.
     */
    vxs_bool smooth;
    /**
     * Whether labels have the values that TotalSegmentator 1 gave them; those that it didn't have are dropped. For
     * "total", "total_fast" and "total_fastest".
     */
    vxs_bool legacy_v1_labels;
    /**
     * Names of the labels that are wanted. A rough segmentation finds where they are first, and only the models that
     * know them run there. Only for whole-body tasks ("total" and its kin). NULL (default): all labels.
     */
    const char *const *subset;
    /** Number of entries in `subset`. */
    uint64_t subset_count;
    /**
     * Pieces of a label of at most so many cubic millimetres are removed; TotalSegmentator removes those up to 200.
     * 0 (default): none.
     */
    double remove_small;
    /** NULL by default. */
    vxs_progress_callback progress;
    /** Passed to `progress`. */
    void *user_data;
    /** A flag that stops the call; NULL (default) for none. */
    const struct vxs_cancel *cancel;
    /**
     * Bytes of memory that opening each of the task's models may take, as `vxs_model_options.memory_budget`; also when
     * a run loads it again. 0 (default): 64 MiB, and 16 bytes for each byte of the model's files.
     */
    uint64_t memory_budget;
} vxs_task_options;

/**
 * Writes the defaults. `size` is `sizeof(vxs_task_options)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `options` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_task_options_init(struct vxs_task_options *options, uint64_t size);

/** Number of TotalSegmentator's tasks, which the library knows. Any thread. */
VXS_API uint64_t vxs_task_count(void);

/**
 * The name of one of them, such as "total", "total_fast" (3 mm), "total_mr", "lung_vessels"; NULL when there is no
 * such task. A static string. Any thread.
 */
VXS_API
const char *vxs_task_name(uint64_t index);

/**
 * Opens a task, which is then used as any model: plans, labels, `vxs_segment` with one progress and one
 * cancelling. `task` is one of TotalSegmentator's names (`vxs_task_name`), or the path of a task file, which ends
 * in ".json" (docs/models.md). `weights` is the folder that holds its models as TotalSegmentator stores them,
 * `Dataset291_…/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres/fold_0/…`. Nothing is ever fetched. Each model
 * is opened once, one after the other; plans hold the weights of two at most. Maps aren't for tasks. Free it with
 * `vxs_model_free`.
 *
 * Returns `VXS_NOT_A_MODEL` for weights that are missing, with their licence, else as `vxs_model_open`. Any
 * thread.
 *
 * The caller guarantees:
 * `task` and `weights` are NULL or NUL-terminated UTF-8 strings; `options` is NULL (defaults) or a filled structure;
 * `model` is NULL or writable; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_model_open_task(const char *task,
                               const char *weights,
                               const struct vxs_task_options *options,
                               struct vxs_model **model,
                               struct vxs_error **error);

/** @} */ /* Tasks */

/* ------------------------------------------------------------------------------------------- Executors */

/**
 * @defgroup executor Executors
 * The host's threads for the library's work, for plans and measurements that shall start none of their own. With an
 * executor the threads of a call are those that the host lends; ONNX Runtime's stay its own.
 * @{
 */

/**
 * The library's part of a `vxs_parallel_for`: does the task of that number. It throws nothing. It computes in the
 * library's floating-point environment and leaves the thread in the host's. Any thread.
 */
typedef void (*vxs_task_function)(void *task_data, uint64_t index);

/**
 * Calls `task(task_data, index)` once for each index below `count`, on any threads, in any order, one after another or
 * at the same time, and returns when the last call has returned: `task_data` dies then. It must not throw, and may be
 * called from several threads at once. Whichever tasks it runs first do all the work; tasks wait for others that run,
 * and never for one that hasn't begun.
 */
typedef void (*vxs_parallel_for)(void *user_data, uint64_t count, vxs_task_function task, void *task_data);

/**
 * Threads of the host, for the `executor` of a plan's options, a comparison's and a measurement's. With one the
 * library starts no thread; those of ONNX Runtime stay its own. Fill it by `vxs_executor_init` first.
 */
typedef struct vxs_executor {
    /** Set by `vxs_executor_init`. */
    uint32_t struct_size;
    /**
     * The most tasks that `parallel_for` runs at the same time, up to 1024: as many as the work is split into, or
     * `threads` of the options if that is less. 0 (default): as many as the process has processors.
     */
    uint32_t max_concurrency;
    /** Passed to `parallel_for`. */
    void *user_data;
    /** NULL after `vxs_executor_init`, which is refused. */
    vxs_parallel_for parallel_for;
} vxs_executor;

/**
 * Writes the defaults. `size` is `sizeof(vxs_executor)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `executor` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_executor_init(struct vxs_executor *executor, uint64_t size);

/** @} */ /* Executors */

/* ----------------------------------------------------------------------------------------------- Plans */

/**
 * @defgroup plan Plans
 * A model made ready for a device: compiled, and its memory measured. A plan runs one segmentation at a time; a
 * second call gets `VXS_BUSY`, unless options say otherwise. Many plans run at once.
 * @{
 */

/** The type that the network computes in: one of `VXS_PRECISION_*`. */
typedef int32_t vxs_precision;

/** What suits the device: single precision on a CPU and for ONNX files, else half. */
#define VXS_PRECISION_AUTO 0
/** IEEE single precision, as the reference implementations compute on a CPU. */
#define VXS_PRECISION_F32 1
/** IEEE half precision. */
#define VXS_PRECISION_F16 2

/** Whether tiles are computed mirrored, too: one of `VXS_MIRRORING_*`. */
typedef int32_t vxs_mirroring;

/** Mirror tiles along the axes that the model was trained with, and average: the reference's default. */
#define VXS_MIRRORING_MODEL 0
/** Don't mirror: faster by 2 to the number of axes. */
#define VXS_MIRRORING_OFF 1

/** What becomes of a segmentation that a plan has no place for: one of `VXS_WHEN_BUSY_*`. */
typedef int32_t vxs_when_busy;

/** A segmentation that a plan has no place for fails with `VXS_BUSY`. */
#define VXS_WHEN_BUSY_FAIL 0
/** It waits until another one ends, or until its own flag cancels it. */
#define VXS_WHEN_BUSY_WAIT 1

/** How overlapping tiles weigh: one of `VXS_BLENDING_*`. */
typedef int32_t vxs_blending;

/** Overlapping tiles weigh as the model has it. */
#define VXS_BLENDING_MODEL 0
/** Overlapping tiles weigh most at their centre: nnU-Net's default. */
#define VXS_BLENDING_GAUSSIAN 1
/** Overlapping tiles weigh the same everywhere: MONAI's default. */
#define VXS_BLENDING_CONSTANT 2

/** What is done to the labels that the network gives: one of `VXS_POSTPROCESS_*`. */
typedef int32_t vxs_postprocess;

/** Labels as the network gives them: the reference's default. */
#define VXS_POSTPROCESS_OFF 0
/** Apply the postprocessing that comes with the model; where none does, nothing happens. */
#define VXS_POSTPROCESS_MODEL 1

/** What happens where the device can't compute something: one of `VXS_FALLBACK_*`. */
typedef int32_t vxs_fallback;

/** The device computes everything, or there is an error. */
#define VXS_FALLBACK_OFF 0
/**
 * The CPU may compute operators that the device lacks, or everything when the device can't be used;
 * `vxs_plan_describe` tells.
 */
#define VXS_FALLBACK_CPU 1

/** What happens to scores that overflow half precision: one of `VXS_OVERFLOW_*`. */
typedef int32_t vxs_overflow;

/** A tile whose scores overflow half precision runs again in single; the run's report counts them. */
#define VXS_OVERFLOW_SINGLE 0
/** Scores that overflow half precision are an error. */
#define VXS_OVERFLOW_ERROR 1

/** How our own CPU engine computes convolutions: one of `VXS_CONVOLUTION_*`. */
typedef int32_t vxs_convolution;

/** Our own CPU engine computes convolutions by Winograd's algorithm where that is faster. */
#define VXS_CONVOLUTION_WINOGRAD 0
/**
 * Our own CPU engine computes convolutions as plain sums: rounding errors are a few times smaller, runs several times
 * as long.
 */
#define VXS_CONVOLUTION_DIRECT 1

/** Which instructions our own CPU engine uses: one of `VXS_INSTRUCTIONS_*`. */
typedef int32_t vxs_instructions;

/** The widest instructions that the machine has. */
#define VXS_INSTRUCTIONS_AUTO 0
/** AVX-512 Foundation (x86-64). */
#define VXS_INSTRUCTIONS_AVX512 1
/** AVX2 and FMA (x86-64). */
#define VXS_INSTRUCTIONS_AVX2 2
/** Advanced SIMD (AArch64). */
#define VXS_INSTRUCTIONS_NEON 3
/** Plain code for any processor. */
#define VXS_INSTRUCTIONS_PORTABLE 4

/**
 * A model on a device, which never changes. Any number of threads may use one; as many segmentations run at once as
 * `vxs_plan_options.concurrent_runs` says.
 */
typedef struct vxs_plan vxs_plan;

/** How to run a model. Fill it by `vxs_plan_options_init` first. */
typedef struct vxs_plan_options {
    /** Set by `vxs_plan_options_init`. */
    uint32_t struct_size;
    /** What runs the network. `VXS_DEVICE_CPU` by default. */
    vxs_device device;
    /** `VXS_PRECISION_AUTO` by default. */
    vxs_precision precision;
    /** Threads that a run may use, the calling one included. 0 (default): all processors of this process. */
    uint32_t threads;
    /**
     * Distance between tiles as a share of the tile's size, over 0 and up to 1. 0 (default): the model's own
     * (0.5 for nnU-Net; 1 less the overlap for MONAI).
     */
    double step;
    /** `VXS_MIRRORING_MODEL` by default. */
    vxs_mirroring mirroring;
    /** `VXS_BLENDING_MODEL` by default. */
    vxs_blending blending;
    /**
     * Bytes of memory that a run may need, beside the caller's buffers. A larger need is refused before
     * anything is computed. 0 (default): what the process may still take
     * (docs/memory.md), which counts in any case.
     */
    uint64_t memory_budget;
    /** `VXS_POSTPROCESS_OFF` by default. */
    vxs_postprocess postprocess;
    /** Which of the provider's devices, from 0 (default). */
    uint32_t device_index;
    /** `VXS_FALLBACK_OFF` by default. */
    vxs_fallback fallback;
    /** `VXS_OVERFLOW_SINGLE` by default. */
    vxs_overflow overflow;
    /** Bytes of the device's own memory that the plan may need. 0 (default): what is free. */
    uint64_t device_memory_budget;
    /**
     * An existing folder (UTF-8) for what our own engine for GPUs, TensorRT, OpenVINO and Core ML compile; read
     * during the call. NULL (default): nothing is kept.
     */
    const char *device_cache;
    /**
     * A `cudaStream_t` of the device's primary context that CUDA and TensorRT shall compute on, alive as long as the
     * plan. NULL (default): one of their own.
     */
    void *device_stream;
    /** `VXS_CONVOLUTION_WINOGRAD` by default. For `VXS_DEVICE_CPU`. */
    vxs_convolution convolution;
    /** `VXS_INSTRUCTIONS_AUTO` by default. For `VXS_DEVICE_CPU`; what the machine lacks is an error. */
    vxs_instructions instructions;
    /**
     * Tiles that a GPU computes at once, up to 64, as far as its memory is enough; `vxs_plan_report` tells. 0
     * (default): one. `VXS_DEVICE_CPU`, ONNX files and networks with attention compute one whatever is asked for.
     */
    uint32_t tile_batch;
    /**
     * Segmentations that may run at once on the plan, up to 1024, each with up to `threads` threads and memory of its
     * own beside the weights, which exist once (`vxs_plan_report`). 0 (default): one.
     */
    uint32_t concurrent_runs;
    /** What becomes of a further one. `VXS_WHEN_BUSY_FAIL` by default. */
    vxs_when_busy when_busy;
    /** Must be 0. */
    uint32_t reserved;
    /**
     * The host's threads, for all that would run on the library's; copied, so that only its `user_data` must live as
     * long as the plan. NULL (default): each segmentation starts threads of its own, which end with it.
     */
    const struct vxs_executor *executor;
    /** Told of each network that was compiled. NULL by default. A task compiles its models when it runs. */
    vxs_progress_callback progress;
    /** Passed to `progress`. */
    void *user_data;
    /**
     * A flag that stops `vxs_plan_create` between the networks of a model, and within one where ONNX Runtime lets it.
     * NULL (default): none. The plan of a task looks at it when it runs, too.
     */
    const struct vxs_cancel *cancel;
} vxs_plan_options;

/** What a plan will do to a volume, known before it does it. Fill it by `vxs_plan_report_init` first. */
typedef struct vxs_plan_report {
    /** Set by `vxs_plan_report_init`. */
    uint32_t struct_size;
    /** The device that runs the network. */
    vxs_device device;
    /** The precision, never `VXS_PRECISION_AUTO`. */
    vxs_precision precision;
    /** Threads. */
    uint32_t threads;
    /**
     * Size of the image that the network sees, in the order of the volume's axes. Less where the volume has
     * a margin of zeros, which is only cut off when the voxels are there.
     */
    uint64_t network_shape[3];
    /** Tiles that networks compute, those of all folds, stages and members included. */
    uint64_t tiles;
    /** Times that the network runs: tiles times mirrorings. */
    uint64_t network_runs;
    /**
     * Bytes that one run needs at its peak, weights included, the caller's buffers not: `shared_bytes` and
     * `run_bytes`.
     */
    uint64_t host_peak_bytes;
    /** As above in the device's own memory; 0 for a CPU. */
    uint64_t device_peak_bytes;
    /** Bytes of weights, all networks together; part of `host_peak_bytes`. */
    uint64_t weight_bytes;
    /** Which of the provider's devices. */
    uint32_t device_index;
    /** Tiles that the network computes at once. */
    uint32_t tile_batch;
    /**
     * The part of `host_peak_bytes` that all runs of the plan share: weights, and the forms that the engine has them
     * in.
     */
    uint64_t shared_bytes;
    /** The part that each run under way needs for itself. */
    uint64_t run_bytes;
    /** Tiles of a run over the whole volume; more than `tiles` where regions are asked for. */
    uint64_t tiles_in_all;
} vxs_plan_report;

/**
 * Writes the defaults. `size` is `sizeof(vxs_plan_options)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `options` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_plan_options_init(struct vxs_plan_options *options, uint64_t size);

/**
 * Writes the defaults. `size` is `sizeof(vxs_plan_report)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `report` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_plan_report_init(struct vxs_plan_report *report, uint64_t size);

/**
 * Makes a model ready to run: compiles its network for the device, for which TensorRT takes minutes. Free it with
 * `vxs_plan_free`. The plan keeps what it needs of the model.
 *
 * Returns a status from 301 to 304 where the device can't be used, `VXS_UNSUPPORTED_MODEL`, `VXS_MEMORY_BUDGET`,
 * `VXS_CANCELLED`, `VXS_INVALID_ARGUMENT` for the options. Any thread.
 *
 * The caller guarantees:
 * `model` is NULL or a live model; `options` is NULL (defaults) or a filled structure; `plan` is NULL or
 * writable; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_plan_create(const struct vxs_model *model,
                           const struct vxs_plan_options *options,
                           struct vxs_plan **plan,
                           struct vxs_error **error);

/**
 * Tells the grid of the labels for a volume: its own, unless a task was opened with `on_network_grid`. Only the
 * volume's grid is looked at, its buffers may be NULL. Writes `shape`, `spacing`, `origin` and `direction` of
 * `grid` in the coordinates and the order of axes of `volume`, with its `dtype`; the rest of `grid` becomes as
 * after `vxs_volume_init`.
 *
 * Returns `VXS_GEOMETRY`, `VXS_POISONED`. Any thread.
 *
 * The caller guarantees:
 * `plan` is NULL or a live plan; `volume` is NULL or a filled structure; `grid` is NULL or was filled by
 * `vxs_volume_init`; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_plan_label_grid(const struct vxs_plan *plan,
                               const struct vxs_volume *volume,
                               struct vxs_volume *grid,
                               struct vxs_error **error);

/**
 * Tells what a segmentation of `volume` will need, before it is run. Only the volume's grid is looked at, its
 * buffers may be NULL.
 *
 * Returns `VXS_GEOMETRY`, `VXS_VOLUME_MISMATCH`, `VXS_POISONED`. Any thread.
 *
 * The caller guarantees:
 * `plan` is NULL or a live plan; `volume` is NULL or a filled structure; `report` is NULL or was filled by
 * `vxs_plan_report_init`; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_plan_estimate(const struct vxs_plan *plan,
                             const struct vxs_volume *volume,
                             struct vxs_plan_report *report,
                             struct vxs_error **error);

/**
 * Gives memory back, of the host and of the device, that a plan only keeps to make its next run faster; for plans that
 * wait for long. It takes the time of one tile for each network, and so does the next run's growing. Runs that are
 * under way keep what they have.
 *
 * Returns `VXS_POISONED`, or an error of the device. Any thread.
 *
 * The caller guarantees:
 * `plan` is NULL or a live plan; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_plan_trim(struct vxs_plan *plan,
                         struct vxs_error **error);

/**
 * What runs where, as JSON: device, engine and its version, precision, operators that the device left to the CPU
 * ("operators_on_cpu"), why another device runs than was asked for ("fallback"), and what our own engine for GPUs runs
 * for a tile, with groups, bytes and operations ("dispatches"): docs/schemas/plan.schema.json. UTF-8, lives as long as
 * the plan; NULL for NULL. Any thread.
 *
 * The caller guarantees:
 * `plan` is NULL or a live plan.
 */
VXS_API
const char *vxs_plan_describe(const struct vxs_plan *plan);

/**
 * Frees a plan that isn't running. NULL is fine. Any thread.
 *
 * The caller guarantees:
 * `plan` is NULL or a live plan that no other call uses.
 */
VXS_API void vxs_plan_free(struct vxs_plan *plan);

/** @} */ /* Plans */

/* --------------------------------------------------------------------------------------------- Records */

/**
 * @defgroup record Records
 * The record of a run, for those who have to prove later which software and weights made its labels. Options of a
 * run ask for it.
 * @{
 */

/** The record of a run: `vxs_run_options.record`. */
typedef struct vxs_record vxs_record;

/**
 * The record as JSON: versions of the library, its interface and ONNX Runtime, the model with hashes of its weights,
 * the image's grid, what was planned and what happened, and SHA-256 of the labels, each as two bytes, the less
 * significant first, axis 0 the fastest (docs/schemas/record.schema.json). UTF-8, lives as long as the record; NULL
 * for NULL. Any thread.
 *
 * The caller guarantees:
 * `record` is NULL or a live record.
 */
VXS_API
const char *vxs_record_json(const struct vxs_record *record);

/**
 * Frees a record and the string that it lent. NULL is fine. Any thread.
 *
 * The caller guarantees:
 * `record` is NULL or a live record that no other call uses.
 */
VXS_API void vxs_record_free(struct vxs_record *record);

/** @} */ /* Records */

/* --------------------------------------------------------------------------------------------- Regions */

/**
 * @defgroup region Regions
 * Which labels a run writes, and when: those of a region of the volume, and those that are final while it goes on.
 * Both come as fields of the run's options.
 * @{
 */

/**
 * A box of voxels of the labels' grid, which is the volume's but for tasks that keep labels on the networks' grid; in
 * the order of its axes.
 */
typedef struct vxs_box {
    /** The first voxel inside. */
    uint64_t start[3];
    /** One beyond the last voxel inside. */
    uint64_t end[3];
} vxs_box;

/**
 * What becomes of a region where labels depend on more than the tiles around it, as they do where the largest
 * component of a label is kept: one of `VXS_WHEN_GLOBAL_*`.
 */
typedef int32_t vxs_when_global;

/** All that the region's labels depend on is computed: they are those of the whole run in any case. */
#define VXS_WHEN_GLOBAL_COMPUTE 0
/** The run fails with `VXS_UNSUPPORTED_MODEL`, whose message names what depends on the whole image. */
#define VXS_WHEN_GLOBAL_REFUSE 1

/** Labels that are in the caller's buffer while a run goes on. The library fills it; it may grow at its end. */
typedef struct vxs_labels_so_far {
    /** Size of this structure in the library. */
    uint32_t struct_size;
    /** Whether they are final. Else they are those that the models of a task found so far. */
    vxs_bool is_final;
    /** The voxels. */
    struct vxs_box part;
    /**
     * The values of the labels that are complete, where not all are: later models of the task may still take voxels of
     * them, but add none. NULL where labels are final.
     */
    const uint16_t *complete;
    /** Number of entries in `complete`. */
    uint64_t complete_count;
} vxs_labels_so_far;

/**
 * Receives labels as they come, on the thread that called, in the caller's floating-point environment; they are in the
 * caller's buffer. Returns 0 to go on, anything else to cancel. It must not use the plan that runs, and must not
 * throw.
 */
typedef int32_t (*vxs_labels_callback)(void *user_data, const struct vxs_labels_so_far *labels);

/** @} */ /* Regions */

/* ------------------------------------------------------------------------------------------------ Runs */

/**
 * @defgroup segment Runs
 * Running a plan on a volume. The caller has all buffers; the call blocks, tells its progress on the calling
 * thread, and can be cancelled within one tile.
 * @{
 */

/** What the memory of a device wasn't enough for: one of `VXS_MEMORY_STEP_*`. */
typedef int32_t vxs_memory_step;

/** The device's memory was enough for what was asked for. */
#define VXS_MEMORY_STEP_NONE 0
/** The device computed one tile at a time where several were asked for. */
#define VXS_MEMORY_STEP_ONE_TILE 1
/** The host cut and blended tiles, since the device had no room for that beside the network. */
#define VXS_MEMORY_STEP_HOST_BLENDS 2

/** What happens to voxels that are NaN or infinite: one of `VXS_NON_FINITE_*`. */
typedef int32_t vxs_non_finite;

/** Voxels that are NaN or infinite are an error, `VXS_VOXELS_NOT_FINITE`, before anything is computed. */
#define VXS_NON_FINITE_ERROR 0
/** They are read as 0, as ITK reads such files, and so nnU-Net's readers that use SimpleITK. */
#define VXS_NON_FINITE_ZERO 1
/**
 * They are read as the lowest 32-bit integer, -2147483648, which every clipping of intensities brings to its lower
 * bound: air, for a CT model. A task that resamples the whole volume lets them take part and gives the lowest integer
 * to all that they touch, as TotalSegmentator 2.18 does with NumPy on x86-64.
 */
#define VXS_NON_FINITE_LOWEST 2

/** What may make the labels of a run wrong: `VXS_WARNING_*` together. */
typedef uint64_t vxs_warnings;

/** Voxels that are NaN or infinite were read as the run's options want it. */
#define VXS_WARNING_NON_FINITE_REPLACED 1
/**
 * A channel's intensities can't be in the units that the model was trained with: a CT scaled to 0 to 1 or to 0 to 255,
 * Hounsfield units without their intercept, a volume that is the same everywhere.
 */
#define VXS_WARNING_UNUSUAL_INTENSITIES 2

/** How to run. Fill it by `vxs_run_options_init` first. */
typedef struct vxs_run_options {
    /** Set by `vxs_run_options_init`. */
    uint32_t struct_size;
    /** `VXS_NON_FINITE_ERROR` by default. */
    vxs_non_finite non_finite;
    /** NULL by default. */
    vxs_progress_callback progress;
    /** Passed to `progress`. */
    void *user_data;
    /** A flag that stops the run; NULL (default) for none. */
    const struct vxs_cancel *cancel;
    /** What to tell of each voxel beside its label: pointers to maps; NULL (default) for none. */
    const struct vxs_map *const *maps;
    /** Number of entries in `maps`. */
    uint64_t map_count;
    /**
     * Receives the record of a run that succeeds, to be freed with `vxs_record_free`; NULL (default): none is made.
     */
    struct vxs_record **record;
    /**
     * The voxels that get labels: boxes of the labels' grid. Their labels are byte for byte those of the run over the
     * whole volume, others and values of maps there aren't written, and only tiles that touch the boxes are computed.
     * What looks at the whole image (the crop to nonzero voxels, statistics of intensities, places of tiles) still
     * does. NULL (default): the whole volume.
     */
    const struct vxs_box *regions;
    /** Number of entries in `regions`. */
    uint64_t region_count;
    /** `VXS_WHEN_GLOBAL_COMPUTE` by default. */
    vxs_when_global when_global;
    /**
     * Whether labels and maps have the voxels of the region only, which is one box then: sizes, strides and offsets
     * are those of the box. 0 by default.
     */
    vxs_bool buffers_of_region;
    /**
     * Called when labels are final, with `user_data`; they are in the buffer by then, and stay there when the run
     * fails. Models that look at all labels before any is final (largest components, labels that are brought back from
     * the network's grid) give them all at the end. Not for buffers on a device. NULL (default): labels are written at
     * the end, all or none.
     */
    vxs_labels_callback on_labels;
} vxs_run_options;

/** What a run did. Fill it by `vxs_run_report_init` first. */
typedef struct vxs_run_report {
    /** Set by `vxs_run_report_init`. */
    uint32_t struct_size;
    /** What the device's memory wasn't enough for. */
    vxs_memory_step memory_step;
    /** Tiles that the network computed, folds included. */
    uint64_t tiles;
    /** Voxels of the label map, or of the regions. */
    uint64_t voxels;
    /**
     * Voxels whose two best classes differ in probability by at most 0.01: only there may another
     * implementation of the same model decide otherwise. With regions: among all that were computed with them.
     */
    uint64_t near_ties;
    /** Seconds spent on reading, cropping, normalising and resampling the volume. */
    double preprocess_seconds;
    /** Seconds spent in the network. */
    double network_seconds;
    /** Seconds spent on cutting and blending tiles. */
    double blend_seconds;
    /** Seconds spent on bringing the labels onto the volume's grid. */
    double restore_seconds;
    /** Seconds from the call to its return. */
    double total_seconds;
    /** Most memory that the whole process ever had resident, in bytes; 0 where the system doesn't tell. */
    uint64_t process_peak_bytes;
    /** Runs of the network that overflowed half precision and were repeated in single. */
    uint64_t tiles_in_single;
    /**
     * Tiles that were cut and blended in the device's memory; with others the host did it while the device computed.
     */
    uint64_t tiles_on_device;
    /** Tiles that the network computed at once. */
    uint64_t tile_batch;
    /** Voxels of all channels that are NaN or infinite and were read as `vxs_run_options.non_finite` says. */
    uint64_t non_finite_voxels;
    /** The first of them: channel, and index along each axis of the volume. Zeros where there are none. */
    uint64_t first_non_finite[4];
    /**
     * What may make the labels wrong: `VXS_WARNING_*` together, or 0. The log has a sentence for each, and so has the
     * record.
     */
    vxs_warnings warnings;
    /** Tiles that a run over the whole volume computes; more than `tiles` where regions were asked for. */
    uint64_t tiles_in_all;
    /**
     * Voxels whose labels are final and in the buffer: `voxels` after a run that succeeded. With `on_labels` a run
     * that fails or is cancelled writes its report, too: then this and `final_part` tell what was written.
     */
    uint64_t final_voxels;
    /** The voxels whose labels are final: the box that was completed last. */
    struct vxs_box final_part;
} vxs_run_report;

/**
 * Writes the defaults. `size` is `sizeof(vxs_run_options)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `options` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_run_options_init(struct vxs_run_options *options, uint64_t size);

/**
 * Writes the defaults. `size` is `sizeof(vxs_run_report)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `report` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_run_report_init(struct vxs_run_report *report, uint64_t size);

/**
 * Tells what a run with these options will need: with regions fewer tiles and less memory than `vxs_plan_estimate`
 * tells. Of the options only `regions`, `region_count` and `when_global` are looked at.
 *
 * Returns as `vxs_plan_estimate`; `VXS_INVALID_ARGUMENT` for regions that aren't on the labels' grid,
 * `VXS_UNSUPPORTED_MODEL` where `when_global` refuses them. Any thread.
 *
 * The caller guarantees:
 * As `vxs_plan_estimate`; `options` is NULL (defaults) or a filled structure whose regions are readable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_plan_estimate_run(const struct vxs_plan *plan,
                                 const struct vxs_volume *volume,
                                 const struct vxs_run_options *options,
                                 struct vxs_plan_report *report,
                                 struct vxs_error **error);

/**
 * Segments a volume: writes one label a voxel into `labels`, on the volume's own grid (or, for a task that keeps
 * labels on the networks' grid, that of `vxs_plan_label_grid`). Blocks until it is done, cancelled or failed; on
 * anything but `VXS_OK` the label buffer is untouched (with `on_labels`: final labels stay) and the plan can be used
 * again, except after `VXS_INTERNAL_ERROR`. `report` may be NULL.
 *
 * Returns a status from 101 to 107 for the arguments, `VXS_CANCELLED`, `VXS_BUSY` where the plan has no place for it
 * and its options don't let it wait, `VXS_MEMORY_BUDGET`, `VXS_INFERENCE_FAILED`, `VXS_NOT_FINITE`,
 * `VXS_RUNTIME_FAILED`, `VXS_POISONED`. Any thread, as many calls at once on one plan as its `concurrent_runs` says.
 *
 * The caller guarantees:
 * `plan` is NULL or a live plan; `volume` and `labels` are NULL or filled structures whose buffers are valid for their
 * stated sizes and don't overlap, those of `labels` not with another call's either; `options` is NULL (defaults) or a
 * filled structure, likewise its maps, and the place for its record is writable; `report` is NULL (not wanted) or was
 * filled by `vxs_run_report_init`; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_segment(struct vxs_plan *plan,
                       const struct vxs_volume *volume,
                       const struct vxs_run_options *options,
                       const struct vxs_labels *labels,
                       struct vxs_run_report *report,
                       struct vxs_error **error);

/** @} */ /* Runs */

/* -------------------------------------------------------------------------------------------- Sessions */

/**
 * @defgroup session Sessions
 * Segmenting by prompts: a session is given its image once, then a user's points, boxes and strokes, and answers each
 * `vxs_session_run` with a mask of which it tells the box that changed. Models that take prompts say so in
 * `vxs_model_prompts`; sessions of one plan share its weights. One call at a time on a session, from any thread.
 * @{
 */

/** An image that a user segments. */
typedef struct vxs_session vxs_session;

/** How a session answers. Fill it by `vxs_session_options_init` first. */
typedef struct vxs_session_options {
    /** Set by `vxs_session_options_init`. */
    uint32_t struct_size;
    /**
     * Whether an object that goes on beyond the network's patch is looked at from further away, and then in parts. 1
     * by default.
     */
    vxs_bool autozoom;
    /** What happens to voxels of the volume that are NaN or infinite. `VXS_NON_FINITE_ERROR` by default. */
    vxs_non_finite non_finite;
    /** Must be 0. */
    uint32_t reserved;
    /** NULL by default. */
    vxs_progress_callback progress;
    /** Passed to `progress`. */
    void *user_data;
    /** A flag that stops the call; NULL (default) for none. */
    const struct vxs_cancel *cancel;
} vxs_session_options;

/** What a run of a session did, or taking a prompt back. Fill it by `vxs_session_report_init` first. */
typedef struct vxs_session_report {
    /** Set by `vxs_session_report_init`. */
    uint32_t struct_size;
    /** Must be 0. */
    uint32_t reserved;
    /** The first voxel along each axis of the box of the mask that may have changed. */
    uint64_t changed_start[3];
    /** The voxel behind the last one; equal to the first where nothing has changed. */
    uint64_t changed_end[3];
    /** Times that the network ran. */
    uint64_t network_runs;
    /**
     * Voxels whose two classes differ in probability by at most 0.01, counted in each box that was looked at from
     * near.
     */
    uint64_t near_ties;
    /**
     * How many times the network's patch was seen at last from far away: 1 where one patch was enough, 0 where nothing
     * was asked for.
     */
    double zoom;
    /** Seconds from the call to its return. */
    double total_seconds;
} vxs_session_report;

/**
 * Writes the defaults. `size` is `sizeof(vxs_session_options)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `options` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_session_options_init(struct vxs_session_options *options, uint64_t size);

/**
 * Writes the defaults. `size` is `sizeof(vxs_session_report)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `report` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_session_report_init(struct vxs_session_report *report, uint64_t size);

/**
 * Tells what a session with `volume` will need, before it is begun. Only the volume's grid is looked at, its buffers
 * may be NULL.
 *
 * Returns `VXS_UNSUPPORTED_MODEL` for a model that takes no prompts, `VXS_GEOMETRY`, `VXS_POISONED`. Any thread.
 *
 * The caller guarantees:
 * `plan` is NULL or a live plan; `volume` is NULL or a filled structure; `report` is NULL or was filled by
 * `vxs_plan_report_init`; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_session_estimate(const struct vxs_plan *plan,
                                const struct vxs_volume *volume,
                                struct vxs_plan_report *report,
                                struct vxs_error **error);

/**
 * Begins with an image: reads and normalises it, keeps a copy. The mask is empty. Free the session with
 * `vxs_session_free`; it keeps what it needs of the plan.
 *
 * Returns `VXS_UNSUPPORTED_MODEL` for a model that takes no prompts, a status from 101 to 107 for the arguments,
 * `VXS_CANCELLED`, `VXS_MEMORY_BUDGET`, `VXS_OUT_OF_MEMORY`, `VXS_POISONED`. Any thread.
 *
 * The caller guarantees:
 * `plan` is NULL or a live plan; `volume` is NULL or a filled structure whose buffers are valid for their stated
 * sizes; `options` is NULL (defaults) or a filled structure; `session` is NULL or writable; `error` is NULL or
 * writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_session_create(const struct vxs_plan *plan,
                              const struct vxs_volume *volume,
                              const struct vxs_session_options *options,
                              struct vxs_session **session,
                              struct vxs_error **error);

/**
 * Answers the prompts since the last run; of several the last decides where the network looks. Without any nothing
 * happens. A model that takes `VXS_PROMPT_POINT_PER_LABEL` answers to all points so far, and once without any. On
 * anything but `VXS_OK` mask and prompts are as before and it can run again, except after `VXS_INTERNAL_ERROR`. Of
 * `options`, `progress`, `user_data` and `cancel` are used; maps, regions, a function for labels and a record must not
 * be asked for. `report` may be NULL.
 *
 * Returns `VXS_CANCELLED`, `VXS_BUSY` where the session is in use, or its plan has no place for a run and its options
 * don't let it wait, `VXS_INFERENCE_FAILED`, `VXS_OUT_OF_MEMORY`, `VXS_POISONED`. Any thread.
 *
 * The caller guarantees:
 * `session` is NULL or a live session; `options` is NULL (defaults) or a filled structure; `report` is NULL (not
 * wanted) or was filled by `vxs_session_report_init`; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_session_run(struct vxs_session *session,
                           const struct vxs_run_options *options,
                           struct vxs_session_report *report,
                           struct vxs_error **error);

/**
 * Takes the last prompt back, and all that runs have written since: up to 16 prompts in a row. `report` tells the box
 * of the mask that may have changed, and may be NULL.
 *
 * Returns `VXS_INVALID_ARGUMENT` where there is no prompt left, `VXS_BUSY`, `VXS_POISONED`. Any thread.
 *
 * The caller guarantees:
 * `session` is NULL or a live session; `report` is NULL (not wanted) or was filled by `vxs_session_report_init`;
 * `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_session_undo(struct vxs_session *session,
                            struct vxs_session_report *report,
                            struct vxs_error **error);

/**
 * Begins again with the same image, for the next object: no prompts, an empty mask, nothing to take back.
 *
 * Returns `VXS_BUSY`, `VXS_POISONED`. Any thread.
 *
 * The caller guarantees:
 * `session` is NULL or a live session; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API vxs_status vxs_session_reset(struct vxs_session *session, struct vxs_error **error);

/**
 * Writes a box of the mask, from voxel `start` to before voxel `end`, into `labels`: 1 for the object, else 0;
 * the model's labels where it takes `VXS_PROMPT_POINT_PER_LABEL`. The
 * buffer has the box's shape; with the strides and the offset of a larger one only the box is written there. Without
 * `start` and `end` (both NULL) the box is the whole volume.
 *
 * Returns `VXS_INVALID_ARGUMENT` for a box that isn't in the volume, `VXS_BUFFER_TOO_SMALL`, `VXS_BUSY`,
 * `VXS_OUT_OF_MEMORY`, `VXS_POISONED`. Any thread.
 *
 * The caller guarantees:
 * `session` is NULL or a live session; `start` and `end` are NULL or hold three values; `labels` is NULL or a filled
 * structure whose buffer is valid for its stated size and used by nothing else; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_session_labels(struct vxs_session *session,
                              const uint64_t *start,
                              const uint64_t *end,
                              const struct vxs_labels *labels,
                              struct vxs_error **error);

/**
 * Makes the record of a session: the model with hashes of its weights, a hash of the image, the prompts and runs since
 * it began or was reset, a hash of the mask (docs/schemas/session.schema.json). `vxs_session_replay` does them again.
 * Free it with `vxs_record_free`.
 *
 * Returns `VXS_BUSY`, `VXS_POISONED`. Any thread.
 *
 * The caller guarantees:
 * `session` is NULL or a live session; `record` is NULL or writable; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_session_record(struct vxs_session *session,
                              struct vxs_record **record,
                              struct vxs_error **error);

/**
 * Resets the session and does what a record says; the mask is then the same to the last voxel. `options` as for
 * `vxs_session_run`. After a failure a part of it was done.
 *
 * Returns `VXS_INVALID_ARGUMENT` for a record of another model, image or setting, and for one that can't be read;
 * and as `vxs_session_run`. Any thread.
 *
 * The caller guarantees:
 * `session` is NULL or a live session; `record` is NULL or a NUL-terminated string; `options` is NULL (defaults) or a
 * filled structure; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_session_replay(struct vxs_session *session,
                              const char *record,
                              const struct vxs_run_options *options,
                              struct vxs_error **error);

/**
 * Frees a session that no call uses. NULL is fine. Any thread.
 *
 * The caller guarantees:
 * `session` is NULL or a live session that no other call uses.
 */
VXS_API void vxs_session_free(struct vxs_session *session);

/** @} */ /* Sessions */

/* --------------------------------------------------------------------------------------------- Prompts */

/**
 * @defgroup prompt Prompts
 * What a user asks of a session: points, boxes, strokes and masks. A prompt is checked and kept when it is given; the
 * next `vxs_session_run` answers it.
 * @{
 */

/** Prompts that a model takes: `VXS_PROMPT_*` together. */
typedef uint64_t vxs_prompts;

/** A voxel of the object, or of what isn't the object. */
#define VXS_PROMPT_POINT 1
/** Boxes that are one voxel thick along an axis. */
#define VXS_PROMPT_BOX_2D 2
/** Any boxes. */
#define VXS_PROMPT_BOX_3D 4
/** A stroke within the object, or outside. */
#define VXS_PROMPT_SCRIBBLE 8
/** What a closed line in a slice encloses. */
#define VXS_PROMPT_LASSO 16
/** The object as it is known so far. All prompts before are forgotten. */
#define VXS_PROMPT_MASK 32
/** A voxel of one of the model's labels, the background included. */
#define VXS_PROMPT_POINT_PER_LABEL 64

/**
 * The prompts that a model takes, `VXS_PROMPT_*` together; 0 for one that segments volumes by itself, and for NULL.
 * Any thread.
 *
 * The caller guarantees:
 * `model` is NULL or a live model.
 */
VXS_API
vxs_prompts vxs_model_prompts(const struct vxs_model *model);

/**
 * Takes a point: the voxel of the volume that is nearest to `at`, three numbers along the volume's axes where a
 * voxel's centre has whole numbers. `label` is 1 for a voxel of the object, 0 for one of what isn't the object; for a
 * model that takes `VXS_PROMPT_POINT_PER_LABEL`, one of its labels. The next `vxs_session_run` answers it.
 *
 * Returns `VXS_INVALID_ARGUMENT` for a place outside of the volume or a prompt that the model doesn't take, and
 * nothing has changed then; `VXS_BUSY`, `VXS_OUT_OF_MEMORY`, `VXS_POISONED`. Any thread.
 *
 * The caller guarantees:
 * `session` is NULL or a live session; `at` is NULL or holds three values; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_session_point(struct vxs_session *session,
                             const double *at,
                             uint32_t label,
                             struct vxs_error **error);

/**
 * Takes a box, from voxel `start` to before voxel `end`, three numbers each; what lies outside of the volume is cut
 * off. `label` is 1 for a box around the object, 0 for one around what isn't the object.
 *
 * Returns as `vxs_session_point`. Any thread.
 *
 * The caller guarantees:
 * `session` is NULL or a live session; `start` and `end` are NULL or hold three values; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_session_box(struct vxs_session *session,
                           const int64_t *start,
                           const int64_t *end,
                           uint32_t label,
                           struct vxs_error **error);

/**
 * Takes the voxels of a box that were drawn: `mask` is a map of any integers with the box's shape, whose voxels other
 * than 0 count and whose first lies at voxel `start` of the volume, three numbers. Its spacing, origin and direction
 * aren't looked at. `kind` is one of `VXS_PROMPT_SCRIBBLE`, `VXS_PROMPT_LASSO` and `VXS_PROMPT_MASK`; `label` as in
 * `vxs_session_point`, 1 for `VXS_PROMPT_MASK`.
 *
 * Returns as `vxs_session_point`, or a status from 101 to 107 for the mask. Any thread.
 *
 * The caller guarantees:
 * `session` is NULL or a live session; `mask` is NULL or a filled structure whose buffers are valid for their stated
 * sizes; `start` is NULL or holds three values; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_session_mask(struct vxs_session *session,
                            vxs_prompts kind,
                            const struct vxs_volume *mask,
                            const int64_t *start,
                            uint32_t label,
                            struct vxs_error **error);

/** @} */ /* Prompts */

/* -------------------------------------------------------------------------------- Measuring label maps */

/**
 * @defgroup measure Measuring label maps
 * Options that statistics and doses of label maps share, and label maps on other grids. A label map is a `vxs_volume`
 * with one channel of an integer type: labels from `vxs_segment` or from any other source. The numbers don't depend on
 * the number of threads.
 * @{
 */

/** How to measure labels. Fill it by `vxs_measure_options_init` first. */
typedef struct vxs_measure_options {
    /** Set by `vxs_measure_options_init`. */
    uint32_t struct_size;
    /** Threads that work, the calling one included. 0 (default): all processors of this process. */
    uint32_t threads;
    /** NULL by default. It is called on the thread that called, and returns 0 to go on. */
    vxs_progress_callback progress;
    /** Passed to `progress`. */
    void *user_data;
    /** A flag that stops the work; NULL (default) for none. */
    const struct vxs_cancel *cancel;
    /** The host's threads to work on. NULL (default): the library starts threads, which end with the call. */
    const struct vxs_executor *executor;
} vxs_measure_options;

/**
 * Writes the defaults. `size` is `sizeof(vxs_measure_options)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `options` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_measure_options_init(struct vxs_measure_options *options, uint64_t size);

/**
 * Brings a label map to another grid, in patient space, such as that of a dose: each voxel of `grid` gets the
 * label of the voxel that its centre lies in, 0 outside. Of `grid` only the grid is looked at, its buffers may be
 * NULL, so that the dose volume itself will do. `out` is a buffer on that grid whose type is that of `labels`; it
 * is untouched unless the call succeeds.
 *
 * Returns a status from 101 to 105 for the arguments, `VXS_CANCELLED`. Any thread.
 *
 * The caller guarantees:
 * `labels` and `grid` are NULL or filled structures, the buffers of `labels` valid for their stated sizes; `out` is
 * NULL or a filled structure whose buffer is valid for writes and overlaps no other; `options` is NULL (defaults) or a
 * filled structure; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_labels_on_grid(const struct vxs_volume *labels,
                              const struct vxs_volume *grid,
                              const struct vxs_measure_options *options,
                              const struct vxs_labels *out,
                              struct vxs_error **error);

/** @} */ /* Measuring label maps */

/* ------------------------------------------------------------------------------------------ Statistics */

/**
 * @defgroup statistics Statistics
 * Size, place and surface of each label, and the intensities of an image under it.
 * @{
 */

/** Size, place and intensities of a label. Fill it by `vxs_label_statistics_init` first. */
typedef struct vxs_label_statistics {
    /** Set by `vxs_label_statistics_init`. */
    uint32_t struct_size;
    /** The label. */
    uint32_t label;
    /** Voxels that have it. */
    uint64_t voxels;
    /** Their volume in millilitres. */
    double milliliters;
    /** The area of its surface in square millimetres. */
    double surface_area;
    /** The first voxel along each axis. */
    uint64_t first[3];
    /** The last voxel along each axis. */
    uint64_t last[3];
    /** The mean of its voxels' indices. */
    double centroid_index[3];
    /** The mean of its voxels' positions in millimetres, in LPS coordinates. */
    double centroid[3];
    /** Voxels between it and the nearest face of the grid: 0 where the field of view may cut it. */
    uint64_t margin;
    /** The mean of the image's intensities in it; NaN without an image, as the following. */
    double mean;
    /** Their standard deviation, over n. */
    double std;
    /** The one in the middle, or the mean of the two there. */
    double median;
    /** The smallest one. */
    double min;
    /** The largest one. */
    double max;
} vxs_label_statistics;

/** The statistics of a map's labels. */
typedef struct vxs_statistics_list vxs_statistics_list;

/**
 * Writes the defaults. `size` is `sizeof(vxs_label_statistics)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `statistics` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_label_statistics_init(struct vxs_label_statistics *statistics, uint64_t size);

/**
 * Measures each label but 0 that occurs in a label map, and the intensities of channel `channel` of an image on
 * the same grid; `image` may be NULL. The numbers are TotalSegmentator's where it has them. Free the list with
 * `vxs_statistics_list_free`.
 *
 * Returns a status from 101 to 107 for the arguments, `VXS_CANCELLED`. Any thread.
 *
 * The caller guarantees:
 * `labels` is NULL or a filled structure whose buffers are valid for their stated sizes, `image` likewise, where NULL
 * stands for no image; `options` is NULL (defaults) or a filled structure; `list` is NULL or writable; `error` is NULL
 * or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_statistics(const struct vxs_volume *labels,
                          const struct vxs_volume *image,
                          uint64_t channel,
                          const struct vxs_measure_options *options,
                          struct vxs_statistics_list **list,
                          struct vxs_error **error);

/**
 * Number of labels that occur; 0 for NULL. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or a live list.
 */
VXS_API uint64_t vxs_statistics_list_count(const struct vxs_statistics_list *list);

/**
 * Tells the statistics of one label, in ascending order of their values.
 *
 * Returns `VXS_INVALID_ARGUMENT` for an index past the end. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or a live list; `statistics` is NULL or was filled by `vxs_label_statistics_init`; `error` is NULL or
 * writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_statistics_list_get(const struct vxs_statistics_list *list,
                                   uint64_t index,
                                   struct vxs_label_statistics *statistics,
                                   struct vxs_error **error);

/**
 * Frees a list. NULL is fine. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or a live list that no other call uses.
 */
VXS_API void vxs_statistics_list_free(struct vxs_statistics_list *list);

/** @} */ /* Statistics */

/* ------------------------------------------------------------------------------------------------ Dose */

/**
 * @defgroup dose Dose
 * The dose that each label receives: mean and extremes, dose at volume (D95) and volume at dose (V20).
 * @{
 */

/** The dose in a label, in the unit of the dose volume. Fill it by `vxs_label_dose_init` first. */
typedef struct vxs_label_dose {
    /** Set by `vxs_label_dose_init`. */
    uint32_t struct_size;
    /** The label. */
    uint32_t label;
    /** Voxels that have it. */
    uint64_t voxels;
    /** Those of them that lie outside of the dose volume and count as a dose of 0. */
    uint64_t outside;
    /** The mean dose. */
    double mean;
    /** The smallest dose. */
    double min;
    /** The largest dose. */
    double max;
} vxs_label_dose;

/** The doses of a map's labels. */
typedef struct vxs_dose_list vxs_dose_list;

/**
 * Writes the defaults. `size` is `sizeof(vxs_label_dose)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `dose` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_label_dose_init(struct vxs_label_dose *dose, uint64_t size);

/**
 * Measures the dose that each label but 0 receives: `dose`, a volume with one channel on any grid, sampled
 * trilinearly in the patient's space at the centres of the label's voxels. Its outermost voxels reach half a voxel
 * further than their centres. Free the list with `vxs_dose_list_free`.
 *
 * Returns a status from 101 to 107 for the arguments, `VXS_CANCELLED`. Any thread.
 *
 * The caller guarantees:
 * `labels` and `dose` are NULL or filled structures whose buffers are valid for their stated sizes; `options` is NULL
 * (defaults) or a filled structure; `list` is NULL or writable; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_dose(const struct vxs_volume *labels,
                    const struct vxs_volume *dose,
                    const struct vxs_measure_options *options,
                    struct vxs_dose_list **list,
                    struct vxs_error **error);

/**
 * Number of labels that occur; 0 for NULL. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or a live list.
 */
VXS_API uint64_t vxs_dose_list_count(const struct vxs_dose_list *list);

/**
 * Tells the dose of one label, in ascending order of their values.
 *
 * Returns `VXS_INVALID_ARGUMENT` for an index past the end. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or a live list; `dose` is NULL or was filled by `vxs_label_dose_init`; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_dose_list_get(const struct vxs_dose_list *list,
                             uint64_t index,
                             struct vxs_label_dose *dose,
                             struct vxs_error **error);

/**
 * D95, D2 and so on of one label: for each of `percents`, 0 to 100, writes the dose that this part of it receives
 * at least, which is a percentile of its voxels' doses, between two of them by linear interpolation. `doses` has
 * room for `count` values, and may be the same array.
 *
 * Returns `VXS_INVALID_ARGUMENT` for an index past the end and for other per cents. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or a live list; `percents` and `doses` hold `count` values; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_dose_list_dose_at_volume(const struct vxs_dose_list *list,
                                        uint64_t index,
                                        const double *percents,
                                        uint64_t count,
                                        double *doses,
                                        struct vxs_error **error);

/**
 * V20 and so on of one label, or its cumulative dose-volume histogram: for each of `doses` writes the share of the
 * label, 0 to 1, that receives at least that dose. `shares` has room for `count` values, and may be the same array.
 *
 * Returns `VXS_INVALID_ARGUMENT` for an index past the end. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or a live list; `doses` and `shares` hold `count` values; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_dose_list_volume_at_dose(const struct vxs_dose_list *list,
                                        uint64_t index,
                                        const double *doses,
                                        uint64_t count,
                                        double *shares,
                                        struct vxs_error **error);

/**
 * Frees a list. NULL is fine. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or a live list that no other call uses.
 */
VXS_API void vxs_dose_list_free(struct vxs_dose_list *list);

/** @} */ /* Dose */

/* ------------------------------------------------------------------------------------------ Comparison */

/**
 * @defgroup compare Comparison
 * How two label maps agree, label by label: Dice, and on request distances between surfaces. The maps may have
 * different grids and, by pairs, different labels.
 * @{
 */

/** How labels of two models are matched: one of `VXS_MATCH_*`. */
typedef int32_t vxs_match;

/** By name; case doesn't matter, and spaces, hyphens and underscores are the same. */
#define VXS_MATCH_NAME 0
/** By the codes of property type and modifier. */
#define VXS_MATCH_TERMS 1

/**
 * A label of one map and the one of another that means the same. Arrays of it are passed, so that it never grows and
 * has no `struct_size`.
 */
typedef struct vxs_label_pair {
    /** Its value in the first map. */
    uint32_t first;
    /** Its value in the second map. */
    uint32_t second;
} vxs_label_pair;

/** What to compare. Fill it by `vxs_compare_options_init` first. */
typedef struct vxs_compare_options {
    /** Set by `vxs_compare_options_init`. */
    uint32_t struct_size;
    /** Threads that work, the calling one included. 0 (default): all processors of this process. */
    uint32_t threads;
    /** Whether surfaces and the distances between them are compared too, which takes longer. */
    vxs_bool surfaces;
    /** Must be 0. */
    uint32_t reserved;
    /** The labels to compare. NULL (default): each value but 0 that occurs, with the same value. */
    const struct vxs_label_pair *pairs;
    /** Number of entries in `pairs`. */
    uint64_t pair_count;
    /** With `surfaces`: the tolerance of surface Dice in millimetres, from 0 (default). */
    double tolerance;
    /** NULL by default. It is called on the thread that called, and returns 0 to go on. */
    vxs_progress_callback progress;
    /** Passed to `progress`. */
    void *user_data;
    /** A flag that stops the work; NULL (default) for none. */
    const struct vxs_cancel *cancel;
    /** The host's threads to work on. NULL (default): the library starts threads, which end with the call. */
    const struct vxs_executor *executor;
} vxs_compare_options;

/**
 * How a label of the first map and one of the second agree. Numbers that aren't defined are NaN: overlaps of labels
 * that don't occur, and distances where they weren't asked for; distances to a label that doesn't occur are infinite.
 * Fill it by `vxs_comparison_init` first.
 */
typedef struct vxs_comparison {
    /** Set by `vxs_comparison_init`. */
    uint32_t struct_size;
    /** Whether surfaces were compared. */
    vxs_bool surfaces;
    /** The labels. */
    struct vxs_label_pair pair;
    /** Voxels of each, on the first map's grid. */
    uint64_t voxels[2];
    /** Voxels that have both. */
    uint64_t both;
    /** Volume of each in millilitres. */
    double milliliters[2];
    /** The Dice coefficient. */
    double dice;
    /** The largest distance from an element of either surface to the other, in millimetres. */
    double hausdorff;
    /** The distance that 95 % of a surface's area keep within, of that surface for which it is larger. */
    double hausdorff_95;
    /** The mean distance over the elements of both surfaces. */
    double mean_distance;
    /** The share of both surfaces' area that is within the tolerance of the other surface. */
    double surface_dice;
} vxs_comparison;

/** The comparisons of two label maps. */
typedef struct vxs_comparison_list vxs_comparison_list;

/**
 * Writes the defaults. `size` is `sizeof(vxs_compare_options)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `options` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_compare_options_init(struct vxs_compare_options *options, uint64_t size);

/**
 * Writes the defaults. `size` is `sizeof(vxs_comparison)` as the caller's header has it.
 *
 * Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
 *
 * The caller guarantees:
 * `comparison` is NULL or valid for writes of `size` bytes.
 */
VXS_API vxs_status vxs_comparison_init(struct vxs_comparison *comparison, uint64_t size);

/**
 * Finds the labels of two models that mean the same. Writes up to `capacity` pairs, in the order of the first
 * model's labels, and how many there are; with a capacity of 0 only their number.
 *
 * Returns `VXS_INVALID_ARGUMENT` for an unknown way to match. Any thread.
 *
 * The caller guarantees:
 * `first` and `second` are NULL or live models; `pairs` is valid for writes of `capacity` entries, or NULL with a
 * capacity of 0; `count` is NULL or writable; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_match_labels(const struct vxs_model *first,
                            const struct vxs_model *second,
                            vxs_match by,
                            uint64_t capacity,
                            struct vxs_label_pair *pairs,
                            uint64_t *count,
                            struct vxs_error **error);

/**
 * Compares two label maps. A second map on another grid is brought to the first one's, each voxel to the nearest
 * in the patient's space. Free the list with `vxs_comparison_list_free`.
 *
 * Returns a status from 101 to 106 for the arguments, `VXS_CANCELLED`. Any thread.
 *
 * The caller guarantees:
 * `first` and `second` are NULL or filled structures whose buffers are valid for their stated sizes; `options` is NULL
 * (defaults) or a filled structure; `list` is NULL or writable; `error` is NULL or writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_compare(const struct vxs_volume *first,
                       const struct vxs_volume *second,
                       const struct vxs_compare_options *options,
                       struct vxs_comparison_list **list,
                       struct vxs_error **error);

/**
 * Number of comparisons; 0 for NULL. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or a live list.
 */
VXS_API uint64_t vxs_comparison_list_count(const struct vxs_comparison_list *list);

/**
 * Tells one comparison, in the order of the pairs that were asked for, or of the first map's values.
 *
 * Returns `VXS_INVALID_ARGUMENT` for an index past the end. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or a live list; `comparison` is NULL or was filled by `vxs_comparison_init`; `error` is NULL or
 * writable.
 */
VXS_NODISCARD VXS_API
vxs_status vxs_comparison_list_get(const struct vxs_comparison_list *list,
                                   uint64_t index,
                                   struct vxs_comparison *comparison,
                                   struct vxs_error **error);

/**
 * Frees a list. NULL is fine. Any thread.
 *
 * The caller guarantees:
 * `list` is NULL or a live list that no other call uses.
 */
VXS_API void vxs_comparison_list_free(struct vxs_comparison_list *list);

/** @} */ /* Comparison */

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VOXSEG_H */
