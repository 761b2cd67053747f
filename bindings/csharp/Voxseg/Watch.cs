using System;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Threading;

namespace Voxseg
{
    /// <summary>Progress and cancelling of one native call.</summary>
    internal sealed unsafe class Watch : IDisposable
    {
        // Static, so that the collector never takes what native code calls.
        private static readonly vxs_progress_callback Callback = OnProgress;
        private static readonly vxs_labels_callback LabelsCallback = OnLabels;

        private readonly IProgress<SegmentProgress> progress;
        private readonly CancellationToken cancellation;
        private readonly CancelHandle cancel;
        private readonly CancellationTokenRegistration registration;
        private GCHandle self;
        private ExceptionDispatchInfo thrown;

        public Watch(IProgress<SegmentProgress> progress, CancellationToken cancellation)
        {
            this.progress = progress;
            this.cancellation = cancellation;
            ErrorHandle error;
            VoxsegException.Check(NativeMethods.vxs_cancel_create(out cancel, out error), error);
            registration = cancellation.Register(() => NativeMethods.vxs_cancel_request(cancel));
            self = GCHandle.Alloc(this);
        }

        /// <summary>What the library calls; null where nobody wants to be told.</summary>
        public IntPtr Receiver
        {
            get { return progress == null ? IntPtr.Zero : Marshal.GetFunctionPointerForDelegate(Callback); }
        }

        /// <summary>What it calls with labels that are final; null where nobody wants to be told.</summary>
        public IntPtr LabelsReceiver
        {
            get { return Labels == null ? IntPtr.Zero : Marshal.GetFunctionPointerForDelegate(LabelsCallback); }
        }

        /// <summary>Who wants to be told of labels.</summary>
        public Action<LabelsSoFar> Labels { get; set; }

        /// <summary>What it passes to <see cref="Receiver"/>.</summary>
        public void* UserData
        {
            get { return (void*)GCHandle.ToIntPtr(self); }
        }

        /// <summary>The cancel flag, during a call.</summary>
        public IntPtr Cancel(NativeCall call)
        {
            return call.Hold(cancel);
        }

        /// <summary>Throws what progress threw, or what the call says. Frees the error.</summary>
        public void Check(int status, ErrorHandle error)
        {
            using (error)
            {
                if (thrown != null)
                {
                    thrown.Throw();
                }
                if (status == NativeMethods.VXS_CANCELLED)
                {
                    throw new OperationCanceledException(VoxsegException.From(status, error).Message, cancellation);
                }
                if (status != NativeMethods.VXS_OK)
                {
                    throw VoxsegException.From(status, error);
                }
            }
        }

        public void Dispose()
        {
            // Waits for a request that is under way on another thread.
            registration.Dispose();
            cancel.Dispose();
            self.Free();
        }

        private static int OnLabels(void* watch, vxs_labels_so_far* labels)
        {
            var self = (Watch)GCHandle.FromIntPtr((IntPtr)watch).Target;
            try
            {
                self.Labels(new LabelsSoFar(labels));
                return 0;
            }
            catch (Exception exception)
            {
                self.thrown = ExceptionDispatchInfo.Capture(exception);
                return 1;
            }
        }

        private static int OnProgress(void* watch, vxs_progress* now)
        {
            // No exception may pass the library's frames: it waits on this side until the call has returned.
            var self = (Watch)GCHandle.FromIntPtr((IntPtr)watch).Target;
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
