using System;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Threading;

namespace Voxseg
{
    /// <summary> The host's threads for plans and measurements, which then start none of their own; those of ONNX
    /// Runtime stay its own.
    /// <c>new Executor((count, task) => Parallel.For(0, count, task))</c> takes those of the pool. Any number of plans
    /// may share one. </summary>
    public sealed unsafe class Executor
    {
        // Static, so that the collector never takes what native code calls.
        private static readonly vxs_parallel_for Callback = OnParallelFor;

        private readonly Action<long, Action<long>> parallelFor;
        private readonly int maxConcurrency;

        /// <summary>An executor.</summary> <param name="parallelFor"> Gets a count and a task: calls the task once for
        /// each number below the count, on any threads, in any order, one after another or at the same time, and
        /// returns when the last call has returned. It may be called from several threads at once. Where it throws,
        /// what it threw is dropped, and the calling thread does what is left. </param> <param name="maxConcurrency">The
        /// most tasks that it runs at the same time, up to 1024. 0 (default): as many as the process has
        /// processors.</param>
        public Executor(Action<long, Action<long>> parallelFor, int maxConcurrency = 0)
        {
            if (parallelFor == null)
            {
                throw new ArgumentNullException("parallelFor");
            }
            if (maxConcurrency < 0)
            {
                throw new ArgumentOutOfRangeException("maxConcurrency", maxConcurrency, "expected a number from 0");
            }
            this.parallelFor = parallelFor;
            this.maxConcurrency = maxConcurrency;
        }

        /// <summary>Tells the library. What comes back keeps the executor alive, and is freed after the plan.</summary>
        internal GCHandle Fill(vxs_executor* raw)
        {
            VoxsegException.Check(NativeMethods.vxs_executor_init(raw, (ulong)sizeof(vxs_executor)));
            var self = GCHandle.Alloc(this);
            raw->max_concurrency = (uint)maxConcurrency;
            raw->user_data = (void*)GCHandle.ToIntPtr(self);
            raw->parallel_for = Marshal.GetFunctionPointerForDelegate(Callback);
            return self;
        }

        /// <summary>Tells the library for one call; null for null.</summary>
        internal static vxs_executor* Lend([AllowNull] Executor executor, NativeCall call)
        {
            if (executor == null)
            {
                return null;
            }
            var raw = new vxs_executor[1];
            var pinned = (vxs_executor*)call.Pin(raw);
            call.Free(executor.Fill(pinned));
            return pinned;
        }

        private static void OnParallelFor(void* executor, ulong count, vxs_task_function task, void* data)
        {
            // The library's work needs each task once, whatever the host's code does.
            var begun = new int[count];
            Action<long> once = index =>
            {
                if (Interlocked.Exchange(ref begun[index], 1) == 0)
                {
                    task(data, (ulong)index);
                }
            };
            try
            {
                ((Executor)GCHandle.FromIntPtr((IntPtr)executor).Target).parallelFor((long)count, once);
            }
            catch (Exception)
            {
                // Nothing may be thrown through the library's frames.
            }
            for (var index = 0L; index < begun.LongLength; index++)
            {
                once(index);
            }
        }
    }

    /// <summary>The owner of a plan, and of what the plan calls.</summary>
    internal sealed partial class PlanHandle
    {
        private GCHandle executor;

        /// <summary>Keeps an executor until the plan is freed.</summary>
        public void Keep(GCHandle kept)
        {
            executor = kept;
        }

        partial void Released()
        {
            if (executor.IsAllocated)
            {
                executor.Free();
            }
        }
    }
}
