/**
 * @file
 * @brief The constants of voxseg.h as enumerations. Generated from it by `cargo xtask bless`.
 */
#ifndef VOXSEG_ENUMERATIONS_HPP
#define VOXSEG_ENUMERATIONS_HPP

#include "version.hpp"

#include <cstdint>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** The type of a voxel, in the machine's byte order. */
enum class VoxelType : std::int32_t {
    /** 8-bit signed integer. */
    Int8 = VXS_DTYPE_I8,
    /** 8-bit unsigned integer. */
    UInt8 = VXS_DTYPE_U8,
    /** 16-bit signed integer. */
    Int16 = VXS_DTYPE_I16,
    /** 16-bit unsigned integer. */
    UInt16 = VXS_DTYPE_U16,
    /** 32-bit signed integer. */
    Int32 = VXS_DTYPE_I32,
    /** 32-bit unsigned integer. */
    UInt32 = VXS_DTYPE_U32,
    /** IEEE half precision. */
    Float16 = VXS_DTYPE_F16,
    /** IEEE single precision. */
    Float32 = VXS_DTYPE_F32,
    /** IEEE double precision. */
    Float64 = VXS_DTYPE_F64,
};

/** What runs the network. */
enum class Device : std::int32_t {
    /** Our own CPU engine, which needs no other library. ONNX files and half precision are left to ONNX Runtime. */
    Cpu = VXS_DEVICE_CPU,
    /** ONNX Runtime on the CPU. */
    OrtCpu = VXS_DEVICE_ORT_CPU,
    /** NVIDIA GPUs through CUDA and cuDNN. */
    Cuda = VXS_DEVICE_CUDA,
    /** NVIDIA GPUs through TensorRT, which compiles a network for minutes. */
    TensorRT = VXS_DEVICE_TENSORRT,
    /**
     * Our own engine on any vendor's GPU, which needs nothing but its Vulkan driver. It runs every network but ONNX
     * files.
     */
    Gpu = VXS_DEVICE_GPU,
    /** Any GPU on Windows, through Direct3D 12. */
    DirectML = VXS_DEVICE_DIRECTML,
    /** Intel processors (index 0) and GPUs (from index 1 on). */
    OpenVino = VXS_DEVICE_OPENVINO,
    /** Apple's GPUs and neural engines. */
    CoreML = VXS_DEVICE_COREML,
    /** AMD GPUs through ROCm. */
    MIGraphX = VXS_DEVICE_MIGRAPHX,
    /**
     * The first GPU that can be used, in the order of the list of devices, without TensorRT and without software that
     * emulates a GPU; `Device::Gpu` only if it has all that the networks need. Else `Device::Cpu`.
     */
    Best = VXS_DEVICE_BEST,
};

/** The software whose reading of a NIfTI header counts. */
enum class Reader : std::int32_t {
    /**
     * ITK 5.4, as SimpleITK, 3D Slicer and nnU-Net's SimpleITKIO use it: spacing from pixdim and its unit, the qform
     * or the sform by their codes.
     */
    Itk = VXS_READER_ITK,
    /** nibabel 5.4, spacing from the columns of the affine: TotalSegmentator. */
    Nibabel = VXS_READER_NIBABEL,
    /** nibabel 5.4, spacing from pixdim: nnU-Net's NibabelIO. */
    NibabelIo = VXS_READER_NIBABEL_IO,
    /**
     * As `Reader::NibabelIo` for images along the patient's axes, else as `Reader::Nibabel`: nnU-Net's
     * NibabelIOWithReorient.
     */
    NibabelIoReorient = VXS_READER_NIBABEL_IO_REORIENT,
    /** MONAI 1.6's NibabelReader: the affine that pixdim agrees with. */
    Monai = VXS_READER_MONAI,
};

/** The type that the network computes in. */
enum class Precision : std::int32_t {
    /** What suits the device: single precision on a CPU and for ONNX files, else half. */
    Auto = VXS_PRECISION_AUTO,
    /** IEEE single precision, as the reference implementations compute on a CPU. */
    Float32 = VXS_PRECISION_F32,
    /** IEEE half precision. */
    Float16 = VXS_PRECISION_F16,
};

/** What happens where the device can't compute something. */
enum class Fallback : std::int32_t {
    /** The device computes everything, or there is an error. */
    Off = VXS_FALLBACK_OFF,
    /**
     * The CPU may compute operators that the device lacks, or everything when the device can't be used;
     * `Plan::describe()` tells.
     */
    Cpu = VXS_FALLBACK_CPU,
};

/** What happens to scores that overflow half precision. */
enum class Overflow : std::int32_t {
    /** A tile whose scores overflow half precision runs again in single; the run's report counts them. */
    Single = VXS_OVERFLOW_SINGLE,
    /** Scores that overflow half precision are an error. */
    Error = VXS_OVERFLOW_ERROR,
};

/** How the own CPU engine computes convolutions. */
enum class ConvolutionAlgorithm : std::int32_t {
    /** Our own CPU engine computes convolutions by Winograd's algorithm where that is faster. */
    Winograd = VXS_CONVOLUTION_WINOGRAD,
    /**
     * Our own CPU engine computes convolutions as plain sums: rounding errors are a few times smaller, runs several
     * times as long.
     */
    Direct = VXS_CONVOLUTION_DIRECT,
};

/** Which instructions the own CPU engine uses. */
enum class Instructions : std::int32_t {
    /** The widest instructions that the machine has. */
    Auto = VXS_INSTRUCTIONS_AUTO,
    /** AVX-512 Foundation (x86-64). */
    Avx512 = VXS_INSTRUCTIONS_AVX512,
    /** AVX2 and FMA (x86-64). */
    Avx2 = VXS_INSTRUCTIONS_AVX2,
    /** Advanced SIMD (AArch64). */
    Neon = VXS_INSTRUCTIONS_NEON,
    /** Plain code for any processor. */
    Portable = VXS_INSTRUCTIONS_PORTABLE,
};

/** Whether tiles are also computed mirrored. */
enum class Mirroring : std::int32_t {
    /** Mirror tiles along the axes that the model was trained with, and average: the reference's default. */
    Model = VXS_MIRRORING_MODEL,
    /** Don't mirror: faster by 2 to the number of axes. */
    Off = VXS_MIRRORING_OFF,
};

/** How overlapping tiles weigh. */
enum class Blending : std::int32_t {
    /** Overlapping tiles weigh as the model has it. */
    Model = VXS_BLENDING_MODEL,
    /** Overlapping tiles weigh most at their centre: nnU-Net's default. */
    Gaussian = VXS_BLENDING_GAUSSIAN,
    /** Overlapping tiles weigh the same everywhere: MONAI's default. */
    Constant = VXS_BLENDING_CONSTANT,
};

/** What is done to the labels that the network gives. */
enum class Postprocess : std::int32_t {
    /** Labels as the network gives them: the reference's default. */
    Off = VXS_POSTPROCESS_OFF,
    /** Apply the postprocessing that comes with the model; where none does, nothing happens. */
    Model = VXS_POSTPROCESS_MODEL,
};

/** What becomes of a segmentation that a plan has no place for. */
enum class WhenBusy : std::int32_t {
    /** A segmentation that a plan has no place for fails with `Status::Busy`. */
    Fail = VXS_WHEN_BUSY_FAIL,
    /** It waits until another one ends, or until its own flag cancels it. */
    Wait = VXS_WHEN_BUSY_WAIT,
};

/** What the memory of a device wasn't enough for. */
enum class MemoryStep : std::int32_t {
    /** The device's memory was enough for what was asked for. */
    None = VXS_MEMORY_STEP_NONE,
    /** The device computed one tile at a time where several were asked for. */
    OneTile = VXS_MEMORY_STEP_ONE_TILE,
    /** The host cut and blended tiles, since the device had no room for that beside the network. */
    HostBlends = VXS_MEMORY_STEP_HOST_BLENDS,
};

/** What happens to voxels that are NaN or infinite. */
enum class NonFinite : std::int32_t {
    /** Voxels that are NaN or infinite are an error, `Status::VoxelsNotFinite`, before anything is computed. */
    Error = VXS_NON_FINITE_ERROR,
    /** They are read as 0, as ITK reads such files, and so nnU-Net's readers that use SimpleITK. */
    Zero = VXS_NON_FINITE_ZERO,
    /**
     * They are read as the lowest 32-bit integer, -2147483648, which every clipping of intensities brings to its
     * lower bound: air, for a CT model. A task that resamples the whole volume lets them take part and gives the
     * lowest integer to all that they touch, as TotalSegmentator 2.18 does with NumPy on x86-64.
     */
    Lowest = VXS_NON_FINITE_LOWEST,
};

/** What becomes of regions where labels depend on the whole image. */
enum class WhenGlobal : std::int32_t {
    /** All that the region's labels depend on is computed: they are those of the whole run in any case. */
    Compute = VXS_WHEN_GLOBAL_COMPUTE,
    /** The run fails with `Status::UnsupportedModel`, whose message names what depends on the whole image. */
    Refuse = VXS_WHEN_GLOBAL_REFUSE,
};

/** What may make the labels of a run wrong. */
enum class RunWarnings : std::uint64_t {
    None = 0, /**< None. */
    /** Voxels that are NaN or infinite were read as the run's options want it. */
    NonFiniteReplaced = VXS_WARNING_NON_FINITE_REPLACED,
    /**
     * A channel's intensities can't be in the units that the model was trained with: a CT scaled to 0 to 1 or to 0 to
     * 255, Hounsfield units without their intercept, a volume that is the same everywhere.
     */
    UnusualIntensities = VXS_WARNING_UNUSUAL_INTENSITIES,
};

/** Both together. */
constexpr RunWarnings operator|(RunWarnings one, RunWarnings other) noexcept {
    return static_cast<RunWarnings>(static_cast<std::uint64_t>(one) | static_cast<std::uint64_t>(other));
}

/** Whether all bits of `wanted` are set. */
constexpr bool contains(RunWarnings bits, RunWarnings wanted) noexcept {
    const auto mask = static_cast<std::uint64_t>(wanted);
    return (static_cast<std::uint64_t>(bits) & mask) == mask;
}

/** How a task brings the volume to its networks' grid. */
enum class Resampling : std::int32_t {
    /**
     * Bring the volume to the networks' grid by linear interpolation, rounded towards zero, and the labels back to
     * the nearest: TotalSegmentator from 2.16.
     */
    Linear = VXS_RESAMPLING_LINEAR,
    /** By cubic splines, otherwise the same: TotalSegmentator before 2.16. */
    Cubic = VXS_RESAMPLING_CUBIC,
    /** By each network's own resampling, so that scores and not labels are brought back. */
    Network = VXS_RESAMPLING_NETWORK,
};

/** How Auto3DSeg models find the foreground. */
enum class ForegroundCrop : std::int32_t {
    /**
     * Crop to the foreground as the script of 3D Slicer's extension MONAIAuto3DSeg does it: the box is found before
     * the image's axes are turned, and used after. Images along the patient's axes get the right box; others may lose
     * foreground.
     */
    AsPublished = VXS_FOREGROUND_CROP_AS_PUBLISHED,
    /** Turn the foreground's box with the image. */
    Corrected = VXS_FOREGROUND_CROP_CORRECTED,
};

/** Which way of the published script Auto3DSeg models go. */
enum class Auto3DSegScript : std::int32_t {
    /** BraTS' way for a network of four images and three regions that overlap, else the general one. */
    FromModel = VXS_AUTO3DSEG_FROM_MODEL,
    /** The general way of SlicerMONAIAuto3DSeg's script: each image is normalised as it comes. */
    General = VXS_AUTO3DSEG_GENERAL,
    /**
     * The script's way for paths with "brats": images are normalised when they have the network's spacing, and
     * regions become BraTS' labels.
     */
    Brats = VXS_AUTO3DSEG_BRATS,
    /** The script's way for paths with "whole-head": the two largest components of each label are kept. */
    WholeHead = VXS_AUTO3DSEG_WHOLE_HEAD,
};

/** What a call is at. */
enum class Stage : std::int32_t {
    /** Reading, cropping, normalising and resampling the volume. */
    Preprocess = VXS_STAGE_PREPROCESS,
    /** Running the network on the tiles. */
    Network = VXS_STAGE_NETWORK,
    /** Bringing the labels onto the volume's grid. */
    Restore = VXS_STAGE_RESTORE,
    /** Measuring labels, comparing them, or bringing them to another grid. */
    Measure = VXS_STAGE_MEASURE,
    /** Reading the files of a model. */
    Open = VXS_STAGE_OPEN,
    /** Compiling the networks of a plan. */
    Compile = VXS_STAGE_COMPILE,
};

/** What a map tells of each voxel. */
enum class MapKind : std::int32_t {
    /**
     * The probability of one of the model's labels, in `VoxelType::Float32` or `VoxelType::Float16`. Outside of the
     * part of the volume that the network saw it is 1 for the background and 0 for all others.
     */
    Probability = VXS_MAP_PROBABILITY,
    /**
     * By how many thousandths the highest probability is over the second highest, at most 255, in `VoxelType::UInt8`.
     * For models whose classes overlap: twice the distance of the nearest region's probability from one half. 255
     * outside.
     */
    Margin = VXS_MAP_MARGIN,
    /**
     * The entropy of the probabilities in nats, in `VoxelType::Float32` or `VoxelType::Float16`; for models whose
     * classes overlap the sum of each region's. 0 outside.
     */
    Entropy = VXS_MAP_ENTROPY,
};

/** What a user can give a model to go by. */
enum class Prompts : std::uint64_t {
    None = 0, /**< None. */
    /** A voxel of the object, or of what isn't the object. */
    Point = VXS_PROMPT_POINT,
    /** Boxes that are one voxel thick along an axis. */
    Box2d = VXS_PROMPT_BOX_2D,
    /** Any boxes. */
    Box3d = VXS_PROMPT_BOX_3D,
    /** A stroke within the object, or outside. */
    Scribble = VXS_PROMPT_SCRIBBLE,
    /** What a closed line in a slice encloses. */
    Lasso = VXS_PROMPT_LASSO,
    /** The object as it is known so far. All prompts before are forgotten. */
    Mask = VXS_PROMPT_MASK,
    /** A voxel of one of the model's labels, the background included. */
    PointPerLabel = VXS_PROMPT_POINT_PER_LABEL,
};

/** Both together. */
constexpr Prompts operator|(Prompts one, Prompts other) noexcept {
    return static_cast<Prompts>(static_cast<std::uint64_t>(one) | static_cast<std::uint64_t>(other));
}

/** Whether all bits of `wanted` are set. */
constexpr bool contains(Prompts bits, Prompts wanted) noexcept {
    const auto mask = static_cast<std::uint64_t>(wanted);
    return (static_cast<std::uint64_t>(bits) & mask) == mask;
}

/** How labels of two models are matched. */
enum class LabelMatch : std::int32_t {
    /** By name; case doesn't matter, and spaces, hyphens and underscores are the same. */
    Name = VXS_MATCH_NAME,
    /** By the codes of property type and modifier. */
    Terms = VXS_MATCH_TERMS,
};

/** What a coded term of a label says: DICOM's attributes. */
enum class TermRole : std::int32_t {
    /** Segmented Property Category. */
    Category = VXS_TERM_CATEGORY,
    /** Segmented Property Type. */
    Type = VXS_TERM_TYPE,
    /** Segmented Property Type Modifier: the side, for example. */
    Modifier = VXS_TERM_MODIFIER,
    /** Anatomic Region. */
    Region = VXS_TERM_REGION,
    /** Anatomic Region Modifier. */
    RegionModifier = VXS_TERM_REGION_MODIFIER,
};

/** How much a message matters. */
enum class LogLevel : std::int32_t {
    /** For the developers of this library. */
    Debug = VXS_LOG_DEBUG,
    /** What happens. */
    Info = VXS_LOG_INFO,
    /** Something that the user may want to know. */
    Warning = VXS_LOG_WARNING,
    /** Something failed; the call that failed returns it too. */
    Error = VXS_LOG_ERROR,
};

/** What went wrong: 1xx arguments, 2xx model, 3xx device, 4xx run, 9xx a defect of the library. */
enum class Status : std::int32_t {
    /** Success. */
    Ok = VXS_OK,
    /** An argument has a value that can't be used. */
    InvalidArgument = VXS_INVALID_ARGUMENT,
    /** A pointer that must not be NULL was. */
    NullPointer = VXS_NULL_POINTER,
    /** A structure's `struct_size` is not one that this version reads. */
    StructSize = VXS_STRUCT_SIZE,
    /** Spacing, origin or direction don't describe a grid that can be segmented. */
    Geometry = VXS_GEOMETRY,
    /** A buffer is smaller than its shape and strides need. */
    BufferTooSmall = VXS_BUFFER_TOO_SMALL,
    /** The volume isn't one that this model segments. */
    VolumeMismatch = VXS_VOLUME_MISMATCH,
    /** Voxels are NaN or infinite. Nothing was computed. */
    VoxelsNotFinite = VXS_VOXELS_NOT_FINITE,
    /** A file of the model couldn't be read. */
    CannotRead = VXS_CANNOT_READ,
    /** The path or file set is not a model. */
    NotAModel = VXS_NOT_A_MODEL,
    /** A file of the model is damaged, truncated or malformed. */
    MalformedModel = VXS_MALFORMED_MODEL,
    /** A file of the model exceeds a limit that protects the host. */
    RefusedModel = VXS_REFUSED_MODEL,
    /** The model needs something that this version doesn't implement. */
    UnsupportedModel = VXS_UNSUPPORTED_MODEL,
    /** A tensor that the network needs is not in the checkpoint. */
    MissingTensor = VXS_MISSING_TENSOR,
    /** The checkpoint holds tensors that the network doesn't use. */
    UnusedTensor = VXS_UNUSED_TENSOR,
    /** A tensor has another shape or type than the network needs, or values that are NaN or infinite. */
    TensorMismatch = VXS_TENSOR_MISMATCH,
    /** ONNX Runtime's shared library was not found or couldn't be loaded. */
    RuntimeMissing = VXS_RUNTIME_MISSING,
    /** ONNX Runtime is older than this library needs. */
    RuntimeVersion = VXS_RUNTIME_VERSION,
    /** ONNX Runtime answered with an error. */
    RuntimeFailed = VXS_RUNTIME_FAILED,
    /** The device asked for isn't there or can't be used. */
    DeviceUnusable = VXS_DEVICE_UNUSABLE,
    /** The caller asked to stop. Nothing was written. */
    Cancelled = VXS_CANCELLED,
    /** The plan is running a segmentation on another thread. */
    Busy = VXS_BUSY,
    /** The run would need more memory than the budget allows. */
    MemoryBudget = VXS_MEMORY_BUDGET,
    /** The network's output couldn't be computed. */
    InferenceFailed = VXS_INFERENCE_FAILED,
    /** The class scores are not finite in half precision. */
    NotFinite = VXS_NOT_FINITE,
    /** Memory that was asked for isn't there. */
    OutOfMemory = VXS_OUT_OF_MEMORY,
    /** The device doesn't answer any more: it was reset, taken away, or hung. Another plan may work. */
    DeviceLost = VXS_DEVICE_LOST,
    /** A defect in this library; the message says where. */
    InternalError = VXS_INTERNAL_ERROR,
    /** The handle met an internal error earlier and can only be freed. */
    Poisoned = VXS_POISONED,
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_ENUMERATIONS_HPP
