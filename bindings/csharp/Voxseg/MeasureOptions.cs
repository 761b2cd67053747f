using System;
using System.Diagnostics.CodeAnalysis;
using System.Threading;

namespace Voxseg
{
    /// <summary>How to measure labels.</summary>
    public sealed class MeasureOptions
    {
        /// <summary>Threads that work. 0 (default): all processors of this process. Numbers don't depend on
        /// it.</summary>
        public int Threads { get; set; }

        /// <summary>Is told the progress on the calling thread. What it throws ends the work and comes out.</summary>
        [AllowNull, MaybeNull]
        public IProgress<SegmentProgress> Progress { get; set; }

        /// <summary>Stops the work.</summary>
        public CancellationToken Cancellation { get; set; }

        /// <summary>The host's threads to work on. Null (default): the library starts threads, which end with the
        /// call.</summary>
        [AllowNull, MaybeNull]
        public Executor Executor { get; set; }

        internal unsafe void Fill(vxs_measure_options* raw, Watch watch, NativeCall call)
        {
            if (Threads < 0)
            {
                throw new ArgumentOutOfRangeException("Threads", Threads, "expected a number from 0");
            }
            VoxsegException.Check(NativeMethods.vxs_measure_options_init(raw, (ulong)sizeof(vxs_measure_options)));
            raw->threads = (uint)Threads;
            raw->progress = watch.Receiver;
            raw->user_data = watch.UserData;
            raw->cancel = watch.Cancel(call);
            raw->executor = Executor.Lend(Executor, call);
        }
    }
}
