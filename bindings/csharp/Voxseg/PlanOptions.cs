using System;

namespace Voxseg
{
    /// <summary>How to run a model.</summary>
    public sealed class PlanOptions
    {
        /// <summary>What runs the network.</summary>
        public Device Device { get; set; } = Device.Cpu;

        /// <summary>The type that it computes in.</summary>
        public Precision Precision { get; set; } = Precision.Auto;

        /// <summary>
        /// Threads that a run may use, the calling one included. 0 (default): all processors of this process. Results are
        /// the same for any number.
        /// </summary>
        public int Threads { get; set; }

        /// <summary>
        /// Distance between tiles as a share of the tile's size, over 0 and up to 1. 0 (default): the model's own.
        /// </summary>
        public double Step { get; set; }

        /// <summary>Whether tiles are also computed mirrored.</summary>
        public Mirroring Mirroring { get; set; } = Mirroring.Model;

        /// <summary>How overlapping tiles weigh.</summary>
        public Blending Blending { get; set; } = Blending.Model;

        /// <summary>
        /// Bytes of memory that a run may need, beside your buffers. A larger need is refused before anything is computed.
        /// 0 (default): what the machine has.
        /// </summary>
        public long MemoryBudget { get; set; }

        /// <summary>What is done to the labels that the network gives.</summary>
        public Postprocess Postprocess { get; set; } = Postprocess.Off;

        internal unsafe void Fill(vxs_plan_options* raw)
        {
            if (Threads < 0)
            {
                throw new ArgumentOutOfRangeException("Threads", Threads, "expected a number of threads, or 0 for all");
            }
            if (MemoryBudget < 0)
            {
                throw new ArgumentOutOfRangeException("MemoryBudget", MemoryBudget, "expected bytes, or 0 for all");
            }
            VoxsegException.Check(NativeMethods.vxs_plan_options_init(raw, (ulong)sizeof(vxs_plan_options)));
            raw->device = (int)Device;
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
