using System;
using System.Diagnostics.CodeAnalysis;

namespace Voxseg
{
    /// <summary>How to run a model.</summary>
    public sealed class PlanOptions
    {
        /// <summary>What runs the network.</summary>
        public Device Device { get; set; } = Device.Cpu;

        /// <summary>Which of the provider's devices, from 0 (default).</summary>
        public int DeviceIndex { get; set; }

        /// <summary>What happens where the device can't compute something.</summary>
        public Fallback Fallback { get; set; } = Fallback.Off;

        /// <summary>Bytes of the device's own memory that the plan may need. 0 (default): what is free.</summary>
        public long DeviceMemoryBudget { get; set; }

        /// <summary>
        /// Tiles that a GPU computes at once, up to 64, as far as its memory is enough. 0 (default): one.
        /// </summary>
        public int TileBatch { get; set; }

        /// <summary>
        /// An existing folder for what Gpu, TensorRT, OpenVINO and Core ML compile. Null (default): nothing is kept.
        /// </summary>
        [AllowNull, MaybeNull]
        public string DeviceCache { get; set; }

        /// <summary>
        /// A cudaStream_t of the device's primary context that CUDA and TensorRT shall compute on, alive as long as the
        /// plan. Zero (default): one of their own.
        /// </summary>
        public IntPtr DeviceStream { get; set; }

        /// <summary>The type that it computes in.</summary>
        public Precision Precision { get; set; } = Precision.Auto;

        /// <summary>What happens to scores that overflow half precision.</summary>
        public Overflow Overflow { get; set; } = Overflow.Single;

        /// <summary>How convolutions are computed; for <see cref="Voxseg.Device.Cpu"/>.</summary>
        public Accuracy Accuracy { get; set; } = Accuracy.Fast;

        /// <summary>
        /// Which instructions are used; for <see cref="Voxseg.Device.Cpu"/>. What the machine lacks is an error.
        /// </summary>
        public Instructions Instructions { get; set; } = Instructions.Auto;

        /// <summary> Threads that a run may use, the calling one included. 0 (default): all processors of this process.
        /// Results are the same for any number. </summary>
        public int Threads { get; set; }

        /// <summary>
        /// Distance between tiles as a share of the tile's size, over 0 and up to 1. 0 (default): the model's own.
        /// </summary>
        public double Step { get; set; }

        /// <summary>Whether tiles are also computed mirrored.</summary>
        public Mirroring Mirroring { get; set; } = Mirroring.Model;

        /// <summary>How overlapping tiles weigh.</summary>
        public Blending Blending { get; set; } = Blending.Model;

        /// <summary> Bytes of memory that a run may need, beside your buffers. A larger need is refused before anything
        /// is computed. 0 (default): what the process may still take, which counts in any case. </summary>
        public long MemoryBudget { get; set; }

        /// <summary> Segmentations that may run at once on the plan, each with memory of its own beside the weights. 0
        /// (default): one. </summary>
        public int ConcurrentRuns { get; set; }

        /// <summary>The host's threads. Null (default): each segmentation starts threads of its own, which end with
        /// it.</summary>
        [AllowNull, MaybeNull]
        public Executor Executor { get; set; }

        /// <summary>What becomes of a further one.</summary>
        public WhenBusy WhenBusy { get; set; } = WhenBusy.Fail;

        /// <summary>What is done to the labels that the network gives.</summary>
        public Postprocess Postprocess { get; set; } = Postprocess.Off;

        internal unsafe void Fill(vxs_plan_options* raw, NativeCall call)
        {
            if (Threads < 0)
            {
                throw new ArgumentOutOfRangeException("Threads", Threads, "expected a number of threads, or 0 for all");
            }
            if (MemoryBudget < 0)
            {
                throw new ArgumentOutOfRangeException("MemoryBudget", MemoryBudget, "expected bytes, or 0 for all");
            }
            if (DeviceIndex < 0)
            {
                throw new ArgumentOutOfRangeException("DeviceIndex", DeviceIndex, "expected a number from 0");
            }
            if (DeviceMemoryBudget < 0)
            {
                throw new ArgumentOutOfRangeException(
                    "DeviceMemoryBudget", DeviceMemoryBudget, "expected bytes, or 0 for what is free");
            }
            if (ConcurrentRuns < 0)
            {
                throw new ArgumentOutOfRangeException("ConcurrentRuns", ConcurrentRuns, "expected a number, or 0 for one");
            }
            if (TileBatch < 0)
            {
                throw new ArgumentOutOfRangeException("TileBatch", TileBatch, "expected a number of tiles, or 0 for one");
            }
            VoxsegException.Check(NativeMethods.vxs_plan_options_init(raw, (ulong)sizeof(vxs_plan_options)));
            raw->device = (int)Device;
            raw->device_index = (uint)DeviceIndex;
            raw->fallback = (int)Fallback;
            raw->overflow = (int)Overflow;
            raw->accuracy = (int)Accuracy;
            raw->instructions = (int)Instructions;
            raw->tile_batch = (uint)TileBatch;
            raw->concurrent_runs = (uint)ConcurrentRuns;
            raw->when_busy = (int)WhenBusy;
            raw->device_memory_budget = (ulong)DeviceMemoryBudget;
            raw->device_cache = call.Pin(DeviceCache, "DeviceCache");
            raw->device_stream = (void*)DeviceStream;
            raw->precision = (int)Precision;
            raw->threads = (uint)Threads;
            raw->step = Step;
            raw->mirroring = (int)Mirroring;
            raw->blending = (int)Blending;
            raw->memory_budget = (ulong)MemoryBudget;
            raw->postprocess = (int)Postprocess;
        }
    }
}
