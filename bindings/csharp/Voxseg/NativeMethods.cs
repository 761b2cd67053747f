// Generated from include/voxseg.h by `cargo xtask bless`; a test proves that it is fresh.

using System;
using System.Runtime.InteropServices;

namespace Voxseg
{
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_progress
    {
        public uint struct_size;
        public int stage;
        public double fraction;
        public ulong tiles_done;
        public ulong tiles;
        public ulong bytes_read;
        public ulong bytes;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_device_info
    {
        public uint struct_size;
        public int device;
        public uint index;
        public int usable;
        public int hardware;
        public uint reserved;
        public byte* name;
        public byte* reason;
        public byte* driver;
        public ulong memory_bytes;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_volume
    {
        public uint struct_size;
        public int dtype;
        public void* data;
        public ulong data_size;
        public fixed ulong shape[3];
        public fixed long strides[3];
        public ulong offset;
        public ulong channels;
        public long channel_stride;
        public void** channel_data;
        public fixed double spacing[3];
        public fixed double origin[3];
        public fixed double direction[9];
        public double slope;
        public double intercept;
        public ulong flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_labels
    {
        public uint struct_size;
        public int dtype;
        public void* data;
        public ulong data_size;
        public fixed long strides[3];
        public ulong offset;
        public ulong flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_map
    {
        public uint struct_size;
        public int kind;
        public uint label;
        public int dtype;
        public void* data;
        public ulong data_size;
        public fixed long strides[3];
        public ulong offset;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_model_options
    {
        public uint struct_size;
        public int foreground_crop;
        public int auto3dseg_script;
        public uint reserved;
        public uint* folds;
        public ulong fold_count;
        public byte* checkpoint;
        public byte* configuration;
        public ulong memory_budget;
        public IntPtr progress;
        public void* user_data;
        public IntPtr cancel;
        public byte** classes;
        public ulong class_count;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_model_file
    {
        public byte* name;
        public void* data;
        public ulong size;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_label_info
    {
        public uint struct_size;
        public uint value;
        public uint color;
        public uint reserved;
        public byte* name;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_term
    {
        public uint struct_size;
        public int role;
        public byte* scheme;
        public byte* code;
        public byte* meaning;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_task_options
    {
        public uint struct_size;
        public int resampling;
        public int robust_crop;
        public int split;
        public int crop_to_body;
        public int on_network_grid;
        public int smooth;
        public int legacy_v1_labels;
        public byte** subset;
        public ulong subset_count;
        public double remove_small;
        public IntPtr progress;
        public void* user_data;
        public IntPtr cancel;
        public ulong memory_budget;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_executor
    {
        public uint struct_size;
        public uint max_concurrency;
        public void* user_data;
        public IntPtr parallel_for;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_plan_options
    {
        public uint struct_size;
        public int device;
        public int precision;
        public uint threads;
        public double step;
        public int mirroring;
        public int blending;
        public ulong memory_budget;
        public int postprocess;
        public uint device_index;
        public int fallback;
        public int overflow;
        public ulong device_memory_budget;
        public byte* device_cache;
        public void* device_stream;
        public int convolution;
        public int instructions;
        public uint tile_batch;
        public uint concurrent_runs;
        public int when_busy;
        public uint reserved;
        public vxs_executor* executor;
        public IntPtr progress;
        public void* user_data;
        public IntPtr cancel;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_plan_report
    {
        public uint struct_size;
        public int device;
        public int precision;
        public uint threads;
        public fixed ulong network_shape[3];
        public ulong tiles;
        public ulong network_runs;
        public ulong host_peak_bytes;
        public ulong device_peak_bytes;
        public ulong weight_bytes;
        public uint device_index;
        public uint tile_batch;
        public ulong shared_bytes;
        public ulong run_bytes;
        public ulong tiles_in_all;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_box
    {
        public fixed ulong start[3];
        public fixed ulong end[3];
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_labels_so_far
    {
        public uint struct_size;
        public int is_final;
        public vxs_box part;
        public ushort* complete;
        public ulong complete_count;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_run_options
    {
        public uint struct_size;
        public int non_finite;
        public IntPtr progress;
        public void* user_data;
        public IntPtr cancel;
        public vxs_map** maps;
        public ulong map_count;
        public IntPtr* record;
        public vxs_box* regions;
        public ulong region_count;
        public int when_global;
        public int buffers_of_region;
        public IntPtr on_labels;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_run_report
    {
        public uint struct_size;
        public int memory_step;
        public ulong tiles;
        public ulong voxels;
        public ulong near_ties;
        public double preprocess_seconds;
        public double network_seconds;
        public double blend_seconds;
        public double restore_seconds;
        public double total_seconds;
        public ulong process_peak_bytes;
        public ulong tiles_in_single;
        public ulong tiles_on_device;
        public ulong tile_batch;
        public ulong non_finite_voxels;
        public fixed ulong first_non_finite[4];
        public ulong warnings;
        public ulong tiles_in_all;
        public ulong final_voxels;
        public vxs_box final_part;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_session_options
    {
        public uint struct_size;
        public int autozoom;
        public int non_finite;
        public uint reserved;
        public IntPtr progress;
        public void* user_data;
        public IntPtr cancel;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_session_report
    {
        public uint struct_size;
        public uint reserved;
        public fixed ulong changed_start[3];
        public fixed ulong changed_end[3];
        public ulong network_runs;
        public ulong near_ties;
        public double zoom;
        public double total_seconds;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_measure_options
    {
        public uint struct_size;
        public uint threads;
        public IntPtr progress;
        public void* user_data;
        public IntPtr cancel;
        public vxs_executor* executor;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_label_statistics
    {
        public uint struct_size;
        public uint label;
        public ulong voxels;
        public double milliliters;
        public double surface_area;
        public fixed ulong first[3];
        public fixed ulong last[3];
        public fixed double centroid_index[3];
        public fixed double centroid[3];
        public ulong margin;
        public double mean;
        public double std;
        public double median;
        public double min;
        public double max;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_label_dose
    {
        public uint struct_size;
        public uint label;
        public ulong voxels;
        public ulong outside;
        public double mean;
        public double min;
        public double max;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_label_pair
    {
        public uint first;
        public uint second;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_compare_options
    {
        public uint struct_size;
        public uint threads;
        public int surfaces;
        public uint reserved;
        public vxs_label_pair* pairs;
        public ulong pair_count;
        public double tolerance;
        public IntPtr progress;
        public void* user_data;
        public IntPtr cancel;
        public vxs_executor* executor;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct vxs_comparison
    {
        public uint struct_size;
        public int surfaces;
        public vxs_label_pair pair;
        public fixed ulong voxels[2];
        public ulong both;
        public fixed double milliliters[2];
        public double dice;
        public double hausdorff;
        public double hausdorff_95;
        public double mean_distance;
        public double surface_dice;
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal unsafe delegate void vxs_log_callback(void* user_data, int level, byte* message);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal unsafe delegate int vxs_progress_callback(void* user_data, vxs_progress* progress);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal unsafe delegate void vxs_task_function(void* task_data, ulong index);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal unsafe delegate void vxs_parallel_for(void* user_data, ulong count, vxs_task_function task, void* task_data);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    internal unsafe delegate int vxs_labels_callback(void* user_data, vxs_labels_so_far* labels);

    internal sealed partial class ErrorHandle : SafeHandle
    {
        public ErrorHandle() : base(IntPtr.Zero, true) { }

        public ErrorHandle(IntPtr owned) : base(IntPtr.Zero, true)
        {
            SetHandle(owned);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.vxs_error_free(handle);
            Released();
            return true;
        }

        partial void Released();
    }

    internal sealed partial class LogHandle : SafeHandle
    {
        public LogHandle() : base(IntPtr.Zero, true) { }

        public LogHandle(IntPtr owned) : base(IntPtr.Zero, true)
        {
            SetHandle(owned);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.vxs_log_remove(handle);
            Released();
            return true;
        }

        partial void Released();
    }

    internal sealed partial class CancelHandle : SafeHandle
    {
        public CancelHandle() : base(IntPtr.Zero, true) { }

        public CancelHandle(IntPtr owned) : base(IntPtr.Zero, true)
        {
            SetHandle(owned);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.vxs_cancel_free(handle);
            Released();
            return true;
        }

        partial void Released();
    }

    internal sealed partial class DeviceListHandle : SafeHandle
    {
        public DeviceListHandle() : base(IntPtr.Zero, true) { }

        public DeviceListHandle(IntPtr owned) : base(IntPtr.Zero, true)
        {
            SetHandle(owned);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.vxs_device_list_free(handle);
            Released();
            return true;
        }

        partial void Released();
    }

    internal sealed partial class NiftiHandle : SafeHandle
    {
        public NiftiHandle() : base(IntPtr.Zero, true) { }

        public NiftiHandle(IntPtr owned) : base(IntPtr.Zero, true)
        {
            SetHandle(owned);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.vxs_nifti_free(handle);
            Released();
            return true;
        }

        partial void Released();
    }

    internal sealed partial class ModelHandle : SafeHandle
    {
        public ModelHandle() : base(IntPtr.Zero, true) { }

        public ModelHandle(IntPtr owned) : base(IntPtr.Zero, true)
        {
            SetHandle(owned);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.vxs_model_free(handle);
            Released();
            return true;
        }

        partial void Released();
    }

    internal sealed partial class InspectionHandle : SafeHandle
    {
        public InspectionHandle() : base(IntPtr.Zero, true) { }

        public InspectionHandle(IntPtr owned) : base(IntPtr.Zero, true)
        {
            SetHandle(owned);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.vxs_inspection_free(handle);
            Released();
            return true;
        }

        partial void Released();
    }

    internal sealed partial class PlanHandle : SafeHandle
    {
        public PlanHandle() : base(IntPtr.Zero, true) { }

        public PlanHandle(IntPtr owned) : base(IntPtr.Zero, true)
        {
            SetHandle(owned);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.vxs_plan_free(handle);
            Released();
            return true;
        }

        partial void Released();
    }

    internal sealed partial class RecordHandle : SafeHandle
    {
        public RecordHandle() : base(IntPtr.Zero, true) { }

        public RecordHandle(IntPtr owned) : base(IntPtr.Zero, true)
        {
            SetHandle(owned);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.vxs_record_free(handle);
            Released();
            return true;
        }

        partial void Released();
    }

    internal sealed partial class SessionHandle : SafeHandle
    {
        public SessionHandle() : base(IntPtr.Zero, true) { }

        public SessionHandle(IntPtr owned) : base(IntPtr.Zero, true)
        {
            SetHandle(owned);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.vxs_session_free(handle);
            Released();
            return true;
        }

        partial void Released();
    }

    internal sealed partial class StatisticsListHandle : SafeHandle
    {
        public StatisticsListHandle() : base(IntPtr.Zero, true) { }

        public StatisticsListHandle(IntPtr owned) : base(IntPtr.Zero, true)
        {
            SetHandle(owned);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.vxs_statistics_list_free(handle);
            Released();
            return true;
        }

        partial void Released();
    }

    internal sealed partial class DoseListHandle : SafeHandle
    {
        public DoseListHandle() : base(IntPtr.Zero, true) { }

        public DoseListHandle(IntPtr owned) : base(IntPtr.Zero, true)
        {
            SetHandle(owned);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.vxs_dose_list_free(handle);
            Released();
            return true;
        }

        partial void Released();
    }

    internal sealed partial class ComparisonListHandle : SafeHandle
    {
        public ComparisonListHandle() : base(IntPtr.Zero, true) { }

        public ComparisonListHandle(IntPtr owned) : base(IntPtr.Zero, true)
        {
            SetHandle(owned);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.vxs_comparison_list_free(handle);
            Released();
            return true;
        }

        partial void Released();
    }

    internal static unsafe class NativeMethods
    {
        /// <summary>voxseg.dll, libvoxseg.so or libvoxseg.dylib.</summary>
        public const string Library = "voxseg";

        public const int VXS_ABI_MAJOR = 0;
        public const int VXS_ABI_MINOR = 1;
        public const int VXS_OK = 0;
        public const int VXS_INVALID_ARGUMENT = 101;
        public const int VXS_NULL_POINTER = 102;
        public const int VXS_STRUCT_SIZE = 103;
        public const int VXS_GEOMETRY = 104;
        public const int VXS_BUFFER_TOO_SMALL = 105;
        public const int VXS_VOLUME_MISMATCH = 106;
        public const int VXS_VOXELS_NOT_FINITE = 107;
        public const int VXS_CANNOT_READ = 201;
        public const int VXS_NOT_A_MODEL = 202;
        public const int VXS_MALFORMED_MODEL = 203;
        public const int VXS_REFUSED_MODEL = 204;
        public const int VXS_UNSUPPORTED_MODEL = 205;
        public const int VXS_MISSING_TENSOR = 206;
        public const int VXS_UNUSED_TENSOR = 207;
        public const int VXS_TENSOR_MISMATCH = 208;
        public const int VXS_RUNTIME_MISSING = 301;
        public const int VXS_RUNTIME_VERSION = 302;
        public const int VXS_RUNTIME_FAILED = 303;
        public const int VXS_DEVICE_UNUSABLE = 304;
        public const int VXS_CANCELLED = 401;
        public const int VXS_BUSY = 402;
        public const int VXS_MEMORY_BUDGET = 403;
        public const int VXS_INFERENCE_FAILED = 404;
        public const int VXS_NOT_FINITE = 405;
        public const int VXS_OUT_OF_MEMORY = 406;
        public const int VXS_DEVICE_LOST = 407;
        public const int VXS_INTERNAL_ERROR = 901;
        public const int VXS_POISONED = 902;
        public const int VXS_LOG_DEBUG = 0;
        public const int VXS_LOG_INFO = 1;
        public const int VXS_LOG_WARNING = 2;
        public const int VXS_LOG_ERROR = 3;
        public const int VXS_STAGE_PREPROCESS = 1;
        public const int VXS_STAGE_NETWORK = 2;
        public const int VXS_STAGE_RESTORE = 3;
        public const int VXS_STAGE_MEASURE = 4;
        public const int VXS_STAGE_OPEN = 5;
        public const int VXS_STAGE_COMPILE = 6;
        public const int VXS_DEVICE_CPU = 1;
        public const int VXS_DEVICE_ORT_CPU = 2;
        public const int VXS_DEVICE_CUDA = 3;
        public const int VXS_DEVICE_TENSORRT = 4;
        public const int VXS_DEVICE_GPU = 5;
        public const int VXS_DEVICE_DIRECTML = 6;
        public const int VXS_DEVICE_OPENVINO = 7;
        public const int VXS_DEVICE_COREML = 8;
        public const int VXS_DEVICE_MIGRAPHX = 9;
        public const int VXS_DEVICE_BEST = 100;
        public const int VXS_DTYPE_I8 = 1;
        public const int VXS_DTYPE_U8 = 2;
        public const int VXS_DTYPE_I16 = 3;
        public const int VXS_DTYPE_U16 = 4;
        public const int VXS_DTYPE_I32 = 5;
        public const int VXS_DTYPE_U32 = 6;
        public const int VXS_DTYPE_F16 = 7;
        public const int VXS_DTYPE_F32 = 8;
        public const int VXS_DTYPE_F64 = 9;
        public const int VXS_VOLUME_RAS = 1;
        public const int VXS_VOLUME_SWAPPED = 2;
        public const int VXS_VOLUME_ON_DEVICE = 4;
        public const int VXS_LABELS_ON_DEVICE = 1;
        public const int VXS_MAP_PROBABILITY = 1;
        public const int VXS_MAP_MARGIN = 2;
        public const int VXS_MAP_ENTROPY = 3;
        public const int VXS_READER_ITK = 1;
        public const int VXS_READER_NIBABEL = 2;
        public const int VXS_READER_NIBABEL_IO = 3;
        public const int VXS_READER_NIBABEL_IO_REORIENT = 4;
        public const int VXS_READER_MONAI = 5;
        public const uint VXS_FOLD_ALL = uint.MaxValue;
        public const int VXS_FOREGROUND_CROP_AS_PUBLISHED = 0;
        public const int VXS_FOREGROUND_CROP_CORRECTED = 1;
        public const int VXS_AUTO3DSEG_FROM_MODEL = 0;
        public const int VXS_AUTO3DSEG_GENERAL = 1;
        public const int VXS_AUTO3DSEG_BRATS = 2;
        public const int VXS_AUTO3DSEG_WHOLE_HEAD = 3;
        public const int VXS_TERM_CATEGORY = 0;
        public const int VXS_TERM_TYPE = 1;
        public const int VXS_TERM_MODIFIER = 2;
        public const int VXS_TERM_REGION = 3;
        public const int VXS_TERM_REGION_MODIFIER = 4;
        public const int VXS_RESAMPLING_LINEAR = 0;
        public const int VXS_RESAMPLING_CUBIC = 1;
        public const int VXS_RESAMPLING_NETWORK = 2;
        public const int VXS_PRECISION_AUTO = 0;
        public const int VXS_PRECISION_F32 = 1;
        public const int VXS_PRECISION_F16 = 2;
        public const int VXS_MIRRORING_MODEL = 0;
        public const int VXS_MIRRORING_OFF = 1;
        public const int VXS_WHEN_BUSY_FAIL = 0;
        public const int VXS_WHEN_BUSY_WAIT = 1;
        public const int VXS_BLENDING_MODEL = 0;
        public const int VXS_BLENDING_GAUSSIAN = 1;
        public const int VXS_BLENDING_CONSTANT = 2;
        public const int VXS_POSTPROCESS_OFF = 0;
        public const int VXS_POSTPROCESS_MODEL = 1;
        public const int VXS_FALLBACK_OFF = 0;
        public const int VXS_FALLBACK_CPU = 1;
        public const int VXS_OVERFLOW_SINGLE = 0;
        public const int VXS_OVERFLOW_ERROR = 1;
        public const int VXS_CONVOLUTION_WINOGRAD = 0;
        public const int VXS_CONVOLUTION_DIRECT = 1;
        public const int VXS_INSTRUCTIONS_AUTO = 0;
        public const int VXS_INSTRUCTIONS_AVX512 = 1;
        public const int VXS_INSTRUCTIONS_AVX2 = 2;
        public const int VXS_INSTRUCTIONS_NEON = 3;
        public const int VXS_INSTRUCTIONS_PORTABLE = 4;
        public const int VXS_WHEN_GLOBAL_COMPUTE = 0;
        public const int VXS_WHEN_GLOBAL_REFUSE = 1;
        public const int VXS_MEMORY_STEP_NONE = 0;
        public const int VXS_MEMORY_STEP_ONE_TILE = 1;
        public const int VXS_MEMORY_STEP_HOST_BLENDS = 2;
        public const int VXS_NON_FINITE_ERROR = 0;
        public const int VXS_NON_FINITE_ZERO = 1;
        public const int VXS_NON_FINITE_LOWEST = 2;
        public const int VXS_WARNING_NON_FINITE_REPLACED = 1;
        public const int VXS_WARNING_UNUSUAL_INTENSITIES = 2;
        public const int VXS_PROMPT_POINT = 1;
        public const int VXS_PROMPT_BOX_2D = 2;
        public const int VXS_PROMPT_BOX_3D = 4;
        public const int VXS_PROMPT_SCRIBBLE = 8;
        public const int VXS_PROMPT_LASSO = 16;
        public const int VXS_PROMPT_MASK = 32;
        public const int VXS_PROMPT_POINT_PER_LABEL = 64;
        public const int VXS_MATCH_NAME = 0;
        public const int VXS_MATCH_TERMS = 1;

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern uint vxs_abi_version();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_version();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_build_info();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_error_status(ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_error_message(ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_error_detail(ErrorHandle error, byte[] key);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_error_free(IntPtr error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_status_name(int status);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_log_add(int level, vxs_log_callback callback, void* user_data, out LogHandle log, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_log_remove(IntPtr log);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_cancel_create(out CancelHandle cancel, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_cancel_request(CancelHandle cancel);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_cancel_requested(CancelHandle cancel);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_cancel_reset(CancelHandle cancel);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_cancel_free(IntPtr cancel);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_runtime_open(byte[] path, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_runtime_add_plugin(byte[] path, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_runtime_version();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_runtime_path();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_device_info_init(vxs_device_info* info, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_device_list_open(out DeviceListHandle list, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern ulong vxs_device_list_count(DeviceListHandle list);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_device_list_get(DeviceListHandle list, ulong index, vxs_device_info* info, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_device_list_free(IntPtr list);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_volume_init(vxs_volume* volume, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_labels_init(vxs_labels* labels, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_map_init(vxs_map* map, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_nifti_parse(void* header, ulong size, int reader, out NiftiHandle nifti, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_nifti_volume(NiftiHandle nifti, vxs_volume* volume, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern ulong vxs_nifti_data_offset(NiftiHandle nifti);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_nifti_datatype(NiftiHandle nifti);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_nifti_note(NiftiHandle nifti);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_nifti_free(IntPtr nifti);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_model_options_init(vxs_model_options* options, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_model_open(byte[] path, vxs_model_options* options, out ModelHandle model, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_model_open_memory(vxs_model_file* files, ulong file_count, vxs_model_options* options, out ModelHandle model, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_model_ensemble(IntPtr* members, ulong member_count, out ModelHandle model, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_model_free(IntPtr model);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_model_name(ModelHandle model);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_model_identity(ModelHandle model);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_model_describe(ModelHandle model);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern ulong vxs_model_channel_count(ModelHandle model);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_model_channel_name(ModelHandle model, ulong index);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_model_reader(ModelHandle model);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_model_spacing(ModelHandle model, double* spacing, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_model_patch(ModelHandle model, ulong* patch, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_label_info_init(vxs_label_info* info, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern ulong vxs_model_label_count(ModelHandle model);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_model_label(ModelHandle model, ulong index, vxs_label_info* info, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_term_init(vxs_term* term, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_model_label_term(ModelHandle model, ulong index, int role, vxs_term* term, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_model_inspect(byte[] path, byte[] configuration, out InspectionHandle inspection, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_inspection_json(InspectionHandle inspection);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_inspection_free(IntPtr inspection);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_task_options_init(vxs_task_options* options, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern ulong vxs_task_count();

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_task_name(ulong index);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_model_open_task(byte[] task, byte[] weights, vxs_task_options* options, out ModelHandle model, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_executor_init(vxs_executor* executor, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_plan_options_init(vxs_plan_options* options, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_plan_report_init(vxs_plan_report* report, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_plan_create(ModelHandle model, vxs_plan_options* options, out PlanHandle plan, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_plan_label_grid(PlanHandle plan, vxs_volume* volume, vxs_volume* grid, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_plan_estimate(PlanHandle plan, vxs_volume* volume, vxs_plan_report* report, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_plan_trim(PlanHandle plan, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_plan_describe(PlanHandle plan);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_plan_free(IntPtr plan);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* vxs_record_json(RecordHandle record);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_record_free(IntPtr record);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_run_options_init(vxs_run_options* options, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_run_report_init(vxs_run_report* report, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_plan_estimate_run(PlanHandle plan, vxs_volume* volume, vxs_run_options* options, vxs_plan_report* report, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_segment(PlanHandle plan, vxs_volume* volume, vxs_run_options* options, vxs_labels* labels, vxs_run_report* report, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_session_options_init(vxs_session_options* options, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_session_report_init(vxs_session_report* report, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_session_estimate(PlanHandle plan, vxs_volume* volume, vxs_plan_report* report, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_session_create(PlanHandle plan, vxs_volume* volume, vxs_session_options* options, out SessionHandle session, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_session_run(SessionHandle session, vxs_run_options* options, vxs_session_report* report, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_session_undo(SessionHandle session, vxs_session_report* report, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_session_reset(SessionHandle session, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_session_labels(SessionHandle session, ulong* start, ulong* end, vxs_labels* labels, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_session_record(SessionHandle session, out RecordHandle record, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_session_replay(SessionHandle session, byte[] record, vxs_run_options* options, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_session_free(IntPtr session);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern ulong vxs_model_prompts(ModelHandle model);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_session_point(SessionHandle session, double* at, uint label, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_session_box(SessionHandle session, long* start, long* end, uint label, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_session_mask(SessionHandle session, ulong kind, vxs_volume* mask, long* start, uint label, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_measure_options_init(vxs_measure_options* options, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_labels_on_grid(vxs_volume* labels, vxs_volume* grid, vxs_measure_options* options, vxs_labels* @out, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_label_statistics_init(vxs_label_statistics* statistics, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_statistics(vxs_volume* labels, vxs_volume* image, ulong channel, vxs_measure_options* options, out StatisticsListHandle list, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern ulong vxs_statistics_list_count(StatisticsListHandle list);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_statistics_list_get(StatisticsListHandle list, ulong index, vxs_label_statistics* statistics, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_statistics_list_free(IntPtr list);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_label_dose_init(vxs_label_dose* dose, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_dose(vxs_volume* labels, vxs_volume* dose, vxs_measure_options* options, out DoseListHandle list, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern ulong vxs_dose_list_count(DoseListHandle list);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_dose_list_get(DoseListHandle list, ulong index, vxs_label_dose* dose, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_dose_list_dose_at_volume(DoseListHandle list, ulong index, double* percents, ulong count, double* doses, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_dose_list_volume_at_dose(DoseListHandle list, ulong index, double* doses, ulong count, double* shares, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_dose_list_free(IntPtr list);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_compare_options_init(vxs_compare_options* options, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_comparison_init(vxs_comparison* comparison, ulong size);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_match_labels(ModelHandle first, ModelHandle second, int by, ulong capacity, vxs_label_pair* pairs, ulong* count, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_compare(vxs_volume* first, vxs_volume* second, vxs_compare_options* options, out ComparisonListHandle list, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern ulong vxs_comparison_list_count(ComparisonListHandle list);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int vxs_comparison_list_get(ComparisonListHandle list, ulong index, vxs_comparison* comparison, out ErrorHandle error);

        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void vxs_comparison_list_free(IntPtr list);
    }
}
