// Generated from include/voxseg.h by `cargo xtask bless`; a test proves that it is fresh.

namespace Voxseg
{
    /// <summary>The type of a voxel, in the machine's byte order.</summary>
    public enum VoxelType
    {
        /// <summary>8-bit signed integer.</summary>
        Int8 = 1,
        /// <summary>8-bit unsigned integer.</summary>
        UInt8 = 2,
        /// <summary>16-bit signed integer.</summary>
        Int16 = 3,
        /// <summary>16-bit unsigned integer.</summary>
        UInt16 = 4,
        /// <summary>32-bit signed integer.</summary>
        Int32 = 5,
        /// <summary>32-bit unsigned integer.</summary>
        UInt32 = 6,
        /// <summary>IEEE half precision.</summary>
        Float16 = 7,
        /// <summary>IEEE single precision.</summary>
        Float32 = 8,
        /// <summary>IEEE double precision.</summary>
        Float64 = 9,
    }

    /// <summary>What runs the network.</summary>
    public enum Device
    {
        /// <summary>Our own CPU engine, which needs no other library. ONNX files and half precision are left to ONNX Runtime.</summary>
        Cpu = 1,
        /// <summary>ONNX Runtime on the CPU.</summary>
        OrtCpu = 2,
        /// <summary>NVIDIA GPUs through CUDA and cuDNN.</summary>
        Cuda = 3,
        /// <summary>NVIDIA GPUs through TensorRT, which compiles a network for minutes.</summary>
        TensorRT = 4,
        /// <summary>Our own engine on any vendor's GPU, which needs nothing but its Vulkan driver. It runs every network but ONNX files.</summary>
        Gpu = 5,
        /// <summary>Any GPU on Windows, through Direct3D 12.</summary>
        DirectML = 6,
        /// <summary>Intel processors (index 0) and GPUs (from index 1 on).</summary>
        OpenVino = 7,
        /// <summary>Apple's GPUs and neural engines.</summary>
        CoreML = 8,
        /// <summary>AMD GPUs through ROCm.</summary>
        MIGraphX = 9,
        /// <summary>The first GPU that can be used, in the order of the list of devices, without TensorRT and without software that emulates a GPU; <c>Device.Gpu</c> only if it has all that the networks need. Else <c>Device.Cpu</c>.</summary>
        Best = 100,
    }

    /// <summary>The software whose reading of a NIfTI header counts.</summary>
    public enum Reader
    {
        /// <summary>ITK 5.4, as SimpleITK, 3D Slicer and nnU-Net's SimpleITKIO use it: spacing from pixdim and its unit, the qform or the sform by their codes.</summary>
        Itk = 1,
        /// <summary>nibabel 5.4, spacing from the columns of the affine: TotalSegmentator.</summary>
        Nibabel = 2,
        /// <summary>nibabel 5.4, spacing from pixdim: nnU-Net's NibabelIO.</summary>
        NibabelIo = 3,
        /// <summary>As <c>Reader.NibabelIo</c> for images along the patient's axes, else as <c>Reader.Nibabel</c>: nnU-Net's NibabelIOWithReorient.</summary>
        NibabelIoReorient = 4,
        /// <summary>MONAI 1.6's NibabelReader: the affine that pixdim agrees with.</summary>
        Monai = 5,
    }

    /// <summary>The type that the network computes in.</summary>
    public enum Precision
    {
        /// <summary>What suits the device: single precision on a CPU and for ONNX files, else half.</summary>
        Auto = 0,
        /// <summary>IEEE single precision, as the reference implementations compute on a CPU.</summary>
        Float32 = 1,
        /// <summary>IEEE half precision.</summary>
        Float16 = 2,
    }

    /// <summary>What happens where the device can't compute something.</summary>
    public enum Fallback
    {
        /// <summary>The device computes everything, or there is an error.</summary>
        Off = 0,
        /// <summary>The CPU may compute operators that the device lacks, or everything when the device can't be used; <c>Plan.Describe</c> tells.</summary>
        Cpu = 1,
    }

    /// <summary>What happens to scores that overflow half precision.</summary>
    public enum Overflow
    {
        /// <summary>A tile whose scores overflow half precision runs again in single; the run's report counts them.</summary>
        Single = 0,
        /// <summary>Scores that overflow half precision are an error.</summary>
        Error = 1,
    }

    /// <summary>How the own CPU engine computes convolutions.</summary>
    public enum ConvolutionAlgorithm
    {
        /// <summary>Our own CPU engine computes convolutions by Winograd's algorithm where that is faster.</summary>
        Winograd = 0,
        /// <summary>Our own CPU engine computes convolutions as plain sums: rounding errors are a few times smaller, runs several times as long.</summary>
        Direct = 1,
    }

    /// <summary>Which instructions the own CPU engine uses.</summary>
    public enum Instructions
    {
        /// <summary>The widest instructions that the machine has.</summary>
        Auto = 0,
        /// <summary>AVX-512 Foundation (x86-64).</summary>
        Avx512 = 1,
        /// <summary>AVX2 and FMA (x86-64).</summary>
        Avx2 = 2,
        /// <summary>Advanced SIMD (AArch64).</summary>
        Neon = 3,
        /// <summary>Plain code for any processor.</summary>
        Portable = 4,
    }

    /// <summary>Whether tiles are also computed mirrored.</summary>
    public enum Mirroring
    {
        /// <summary>Mirror tiles along the axes that the model was trained with, and average: the reference's default.</summary>
        Model = 0,
        /// <summary>Don't mirror: faster by 2 to the number of axes.</summary>
        Off = 1,
    }

    /// <summary>How overlapping tiles weigh.</summary>
    public enum Blending
    {
        /// <summary>Overlapping tiles weigh as the model has it.</summary>
        Model = 0,
        /// <summary>Overlapping tiles weigh most at their centre: nnU-Net's default.</summary>
        Gaussian = 1,
        /// <summary>Overlapping tiles weigh the same everywhere: MONAI's default.</summary>
        Constant = 2,
    }

    /// <summary>What is done to the labels that the network gives.</summary>
    public enum Postprocess
    {
        /// <summary>Labels as the network gives them: the reference's default.</summary>
        Off = 0,
        /// <summary>Apply the postprocessing that comes with the model; where none does, nothing happens.</summary>
        Model = 1,
    }

    /// <summary>What becomes of a segmentation that a plan has no place for.</summary>
    public enum WhenBusy
    {
        /// <summary>A segmentation that a plan has no place for fails with <c>Status.Busy</c>.</summary>
        Fail = 0,
        /// <summary>It waits until another one ends, or until its own flag cancels it.</summary>
        Wait = 1,
    }

    /// <summary>What the memory of a device wasn't enough for.</summary>
    public enum MemoryStep
    {
        /// <summary>The device's memory was enough for what was asked for.</summary>
        None = 0,
        /// <summary>The device computed one tile at a time where several were asked for.</summary>
        OneTile = 1,
        /// <summary>The host cut and blended tiles, since the device had no room for that beside the network.</summary>
        HostBlends = 2,
    }

    /// <summary>What happens to voxels that are NaN or infinite.</summary>
    public enum NonFinite
    {
        /// <summary>Voxels that are NaN or infinite are an error, <c>Status.VoxelsNotFinite</c>, before anything is computed.</summary>
        Error = 0,
        /// <summary>They are read as 0, as ITK reads such files, and so nnU-Net's readers that use SimpleITK.</summary>
        Zero = 1,
        /// <summary>They are read as the lowest 32-bit integer, -2147483648, which every clipping of intensities brings to its lower bound: air, for a CT model. A task that resamples the whole volume lets them take part and gives the lowest integer to all that they touch, as TotalSegmentator 2.18 does with NumPy on x86-64.</summary>
        Lowest = 2,
    }

    /// <summary>What becomes of regions where labels depend on the whole image.</summary>
    public enum WhenGlobal
    {
        /// <summary>All that the region's labels depend on is computed: they are those of the whole run in any case.</summary>
        Compute = 0,
        /// <summary>The run fails with <c>Status.UnsupportedModel</c>, whose message names what depends on the whole image.</summary>
        Refuse = 1,
    }

    /// <summary>What may make the labels of a run wrong.</summary>
    [System.Flags]
    public enum RunWarnings
    {
        /// <summary>None.</summary>
        None = 0,
        /// <summary>Voxels that are NaN or infinite were read as the run's options want it.</summary>
        NonFiniteReplaced = 1,
        /// <summary>A channel's intensities can't be in the units that the model was trained with: a CT scaled to 0 to 1 or to 0 to 255, Hounsfield units without their intercept, a volume that is the same everywhere.</summary>
        UnusualIntensities = 2,
    }

    /// <summary>How a task brings the volume to its networks' grid.</summary>
    public enum Resampling
    {
        /// <summary>Bring the volume to the networks' grid by linear interpolation, rounded towards zero, and the labels back to the nearest: TotalSegmentator from 2.16.</summary>
        Linear = 0,
        /// <summary>By cubic splines, otherwise the same: TotalSegmentator before 2.16.</summary>
        Cubic = 1,
        /// <summary>By each network's own resampling, so that scores and not labels are brought back.</summary>
        Network = 2,
    }

    /// <summary>How Auto3DSeg models find the foreground.</summary>
    public enum ForegroundCrop
    {
        /// <summary>Crop to the foreground as the script of 3D Slicer's extension MONAIAuto3DSeg does it: the box is found before the image's axes are turned, and used after. Images along the patient's axes get the right box; others may lose foreground.</summary>
        AsPublished = 0,
        /// <summary>Turn the foreground's box with the image.</summary>
        Corrected = 1,
    }

    /// <summary>Which way of the published script Auto3DSeg models go.</summary>
    public enum Auto3DSegScript
    {
        /// <summary>BraTS' way for a network of four images and three regions that overlap, else the general one.</summary>
        FromModel = 0,
        /// <summary>The general way of SlicerMONAIAuto3DSeg's script: each image is normalised as it comes.</summary>
        General = 1,
        /// <summary>The script's way for paths with "brats": images are normalised when they have the network's spacing, and regions become BraTS' labels.</summary>
        Brats = 2,
        /// <summary>The script's way for paths with "whole-head": the two largest components of each label are kept.</summary>
        WholeHead = 3,
    }

    /// <summary>What a call is at.</summary>
    public enum Stage
    {
        /// <summary>Reading, cropping, normalising and resampling the volume.</summary>
        Preprocess = 1,
        /// <summary>Running the network on the tiles.</summary>
        Network = 2,
        /// <summary>Bringing the labels onto the volume's grid.</summary>
        Restore = 3,
        /// <summary>Measuring labels, comparing them, or bringing them to another grid.</summary>
        Measure = 4,
        /// <summary>Reading the files of a model.</summary>
        Open = 5,
        /// <summary>Compiling the networks of a plan.</summary>
        Compile = 6,
    }

    /// <summary>What a map tells of each voxel.</summary>
    public enum MapKind
    {
        /// <summary>The probability of one of the model's labels, in <c>VoxelType.Float32</c> or <c>VoxelType.Float16</c>. Outside of the part of the volume that the network saw it is 1 for the background and 0 for all others.</summary>
        Probability = 1,
        /// <summary>By how many thousandths the highest probability is over the second highest, at most 255, in <c>VoxelType.UInt8</c>. For models whose classes overlap: twice the distance of the nearest region's probability from one half. 255 outside.</summary>
        Margin = 2,
        /// <summary>The entropy of the probabilities in nats, in <c>VoxelType.Float32</c> or <c>VoxelType.Float16</c>; for models whose classes overlap the sum of each region's. 0 outside.</summary>
        Entropy = 3,
    }

    /// <summary>What a user can give a model to go by.</summary>
    [System.Flags]
    public enum Prompts
    {
        /// <summary>None.</summary>
        None = 0,
        /// <summary>A voxel of the object, or of what isn't the object.</summary>
        Point = 1,
        /// <summary>Boxes that are one voxel thick along an axis.</summary>
        Box2d = 2,
        /// <summary>Any boxes.</summary>
        Box3d = 4,
        /// <summary>A stroke within the object, or outside.</summary>
        Scribble = 8,
        /// <summary>What a closed line in a slice encloses.</summary>
        Lasso = 16,
        /// <summary>The object as it is known so far. All prompts before are forgotten.</summary>
        Mask = 32,
        /// <summary>A voxel of one of the model's labels, the background included.</summary>
        PointPerLabel = 64,
    }

    /// <summary>How labels of two models are matched.</summary>
    public enum LabelMatch
    {
        /// <summary>By name; case doesn't matter, and spaces, hyphens and underscores are the same.</summary>
        Name = 0,
        /// <summary>By the codes of property type and modifier.</summary>
        Terms = 1,
    }

    /// <summary>What a coded term of a label says: DICOM's attributes.</summary>
    public enum TermRole
    {
        /// <summary>Segmented Property Category.</summary>
        Category = 0,
        /// <summary>Segmented Property Type.</summary>
        Type = 1,
        /// <summary>Segmented Property Type Modifier: the side, for example.</summary>
        Modifier = 2,
        /// <summary>Anatomic Region.</summary>
        Region = 3,
        /// <summary>Anatomic Region Modifier.</summary>
        RegionModifier = 4,
    }

    /// <summary>How much a message matters.</summary>
    public enum LogLevel
    {
        /// <summary>For the developers of this library.</summary>
        Debug = 0,
        /// <summary>What happens.</summary>
        Info = 1,
        /// <summary>Something that the user may want to know.</summary>
        Warning = 2,
        /// <summary>Something failed; the call that failed returns it too.</summary>
        Error = 3,
    }

    /// <summary>What went wrong: 1xx arguments, 2xx model, 3xx device, 4xx run, 9xx a defect of the library.</summary>
    public enum Status
    {
        /// <summary>Success.</summary>
        Ok = 0,
        /// <summary>An argument has a value that can't be used.</summary>
        InvalidArgument = 101,
        /// <summary>A pointer that must not be NULL was.</summary>
        NullPointer = 102,
        /// <summary>A structure's <c>struct_size</c> is not one that this version reads.</summary>
        StructSize = 103,
        /// <summary>Spacing, origin or direction don't describe a grid that can be segmented.</summary>
        Geometry = 104,
        /// <summary>A buffer is smaller than its shape and strides need.</summary>
        BufferTooSmall = 105,
        /// <summary>The volume isn't one that this model segments.</summary>
        VolumeMismatch = 106,
        /// <summary>Voxels are NaN or infinite. Nothing was computed.</summary>
        VoxelsNotFinite = 107,
        /// <summary>A file of the model couldn't be read.</summary>
        CannotRead = 201,
        /// <summary>The path or file set is not a model.</summary>
        NotAModel = 202,
        /// <summary>A file of the model is damaged, truncated or malformed.</summary>
        MalformedModel = 203,
        /// <summary>A file of the model exceeds a limit that protects the host.</summary>
        RefusedModel = 204,
        /// <summary>The model needs something that this version doesn't implement.</summary>
        UnsupportedModel = 205,
        /// <summary>A tensor that the network needs is not in the checkpoint.</summary>
        MissingTensor = 206,
        /// <summary>The checkpoint holds tensors that the network doesn't use.</summary>
        UnusedTensor = 207,
        /// <summary>A tensor has another shape or type than the network needs, or values that are NaN or infinite.</summary>
        TensorMismatch = 208,
        /// <summary>ONNX Runtime's shared library was not found or couldn't be loaded.</summary>
        RuntimeMissing = 301,
        /// <summary>ONNX Runtime is older than this library needs.</summary>
        RuntimeVersion = 302,
        /// <summary>ONNX Runtime answered with an error.</summary>
        RuntimeFailed = 303,
        /// <summary>The device asked for isn't there or can't be used.</summary>
        DeviceUnusable = 304,
        /// <summary>The caller asked to stop. Nothing was written.</summary>
        Cancelled = 401,
        /// <summary>The plan is running a segmentation on another thread.</summary>
        Busy = 402,
        /// <summary>The run would need more memory than the budget allows.</summary>
        MemoryBudget = 403,
        /// <summary>The network's output couldn't be computed.</summary>
        InferenceFailed = 404,
        /// <summary>The class scores are not finite in half precision.</summary>
        NotFinite = 405,
        /// <summary>Memory that was asked for isn't there.</summary>
        OutOfMemory = 406,
        /// <summary>The device doesn't answer any more: it was reset, taken away, or hung. Another plan may work.</summary>
        DeviceLost = 407,
        /// <summary>A defect in this library; the message says where.</summary>
        InternalError = 901,
        /// <summary>The handle met an internal error earlier and can only be freed.</summary>
        Poisoned = 902,
    }
}
