using System;
using System.Collections.Generic;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Threading;

namespace Voxseg
{
    /// <summary>One run of a plan: its progress and its cancel flag.</summary>
    internal sealed unsafe class Run : IDisposable
    {
        // Static, so that the collector never takes what native code calls.
        private static readonly vxs_progress_callback Callback = OnProgress;

        private readonly IProgress<SegmentProgress> progress;
        private readonly CancellationToken cancellation;
        private readonly CancelHandle cancel;
        private readonly CancellationTokenRegistration registration;
        private ExceptionDispatchInfo thrown;

        public Run(IProgress<SegmentProgress> progress, CancellationToken cancellation)
        {
            this.progress = progress;
            this.cancellation = cancellation;
            ErrorHandle error;
            VoxsegException.Check(NativeMethods.vxs_cancel_create(out cancel, out error), error);
            registration = cancellation.Register(() => NativeMethods.vxs_cancel_request(cancel));
        }

        public RunReport Segment(PlanHandle plan, Volume volume, VoxelBuffer labels, IList<VoxelMap> maps)
        {
            CheckOverlaps(volume, labels, maps);
            var self = GCHandle.Alloc(this);
            var mapMemory = new vxs_map[maps.Count];
            var mapPointers = new IntPtr[maps.Count];
            try
            {
                using (var call = new NativeCall())
                {
                    vxs_volume rawVolume;
                    volume.Fill(&rawVolume, call);
                    vxs_labels rawLabels;
                    Fill(&rawLabels, labels, call);
                    vxs_run_options options;
                    VoxsegException.Check(NativeMethods.vxs_run_options_init(&options, (ulong)sizeof(vxs_run_options)));
                    options.cancel = call.Hold(cancel);
                    if (progress != null)
                    {
                        options.progress = Marshal.GetFunctionPointerForDelegate(Callback);
                        options.user_data = (void*)GCHandle.ToIntPtr(self);
                    }
                    vxs_run_report report;
                    VoxsegException.Check(NativeMethods.vxs_run_report_init(&report, (ulong)sizeof(vxs_run_report)));
                    fixed (vxs_map* first = mapMemory)
                    {
                        for (var i = 0; i < maps.Count; i++)
                        {
                            maps[i].Fill(first + i, call);
                            mapPointers[i] = (IntPtr)(first + i);
                        }
                        options.maps = (vxs_map**)call.Pin(mapPointers);
                        options.map_count = (ulong)maps.Count;
                        ErrorHandle error;
                        var status =
                            NativeMethods.vxs_segment(plan, &rawVolume, &rawLabels, &options, &report, out error);
                        Check(status, error);
                    }
                    return new RunReport(&report);
                }
            }
            finally
            {
                self.Free();
            }
        }

        public void Dispose()
        {
            // Waits for a request that is under way on another thread.
            registration.Dispose();
            cancel.Dispose();
        }

        private void Check(int status, ErrorHandle error)
        {
            using (error)
            {
                if (thrown != null)
                {
                    thrown.Throw();
                }
                if (status == NativeMethods.VXS_CANCELLED)
                {
                    throw new OperationCanceledException(
                        VoxsegException.From(status, error).Message, cancellation);
                }
                if (status != NativeMethods.VXS_OK)
                {
                    throw VoxsegException.From(status, error);
                }
            }
        }

        private static void CheckOverlaps(Volume volume, VoxelBuffer labels, IList<VoxelMap> maps)
        {
            var outputs = new List<VoxelBuffer> { labels };
            foreach (var map in maps)
            {
                outputs.Add(map.Values);
            }
            for (var i = 0; i < outputs.Count; i++)
            {
                if (volume.Overlaps(outputs[i]) || outputs.FindIndex(i + 1, outputs[i].Overlaps) >= 0)
                {
                    throw new ArgumentException(
                        (i == 0 ? "the labels' memory" : "the memory of map " + (i - 1))
                        + " is also that of the volume or of another output, expected memory of its own", "options");
                }
            }
        }

        private static void Fill(vxs_labels* raw, VoxelBuffer labels, NativeCall call)
        {
            VoxsegException.Check(NativeMethods.vxs_labels_init(raw, (ulong)sizeof(vxs_labels)));
            raw->dtype = (int)labels.Type;
            raw->data = labels.At(call);
            raw->data_size = (ulong)labels.Bytes;
            raw->offset = labels.Start;
            var strides = labels.Strides;
            for (var axis = 0; axis < 3; axis++)
            {
                raw->strides[axis] = strides[axis];
            }
        }

        private static int OnProgress(void* run, vxs_progress* now)
        {
            // No exception may pass the library's frames: it waits on this side until the call has returned.
            var self = (Run)GCHandle.FromIntPtr((IntPtr)run).Target;
            try
            {
                self.progress.Report(new SegmentProgress(now));
                return 0;
            }
            catch (Exception exception)
            {
                self.thrown = ExceptionDispatchInfo.Capture(exception);
                return 1;
            }
        }
    }
}
