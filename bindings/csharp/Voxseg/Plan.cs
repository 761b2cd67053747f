using System;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;

namespace Voxseg
{
    /// <summary>
    /// A model on a device. It runs one volume at a time and throws <see cref="PlanBusyException"/> for a second; many
    /// plans run at once.
    /// </summary>
    public sealed unsafe class Plan : IDisposable
#if NETCOREAPP3_0_OR_GREATER
        , IAsyncDisposable
#endif
    {
        private readonly PlanHandle handle;
        private readonly uint highestLabel;

        /// <summary> Makes a model ready to run: compiles its network for the device. That takes a moment: not on a
        /// user interface's thread. The model may be disposed of afterwards. </summary> <param name="model">Which
        /// one.</param> <param name="options">Device, threads and so on.</param> <param name="progress">Is told of each
        /// network that was compiled, on this thread. What it throws comes out.</param> <param
        /// name="cancellation">Stops compiling; any thread may request it.</param> <exception
        /// cref="DeviceException">The device, or ONNX Runtime, can't be used.</exception> <exception
        /// cref="OperationCanceledException">It was cancelled.</exception>
        public Plan(
            Model model,
            [AllowNull] PlanOptions options = null,
            [AllowNull] IProgress<SegmentProgress> progress = null,
            CancellationToken cancellation = default(CancellationToken))
        {
            if (model == null)
            {
                throw new ArgumentNullException("model");
            }
            using (var watch = new Watch(progress, cancellation))
            using (var call = new NativeCall())
            {
                vxs_plan_options raw;
                (options ?? new PlanOptions()).Fill(&raw, call);
                raw.progress = watch.Receiver;
                raw.user_data = watch.UserData;
                raw.cancel = watch.Cancel(call);
                vxs_executor threads;
                var executor = default(GCHandle);
                if (options != null && options.Executor != null)
                {
                    executor = options.Executor.Fill(&threads);
                    raw.executor = &threads;
                }
                ErrorHandle error;
                var status = NativeMethods.vxs_plan_create(model.Handle, &raw, out handle, out error);
                if (status != NativeMethods.VXS_OK && executor.IsAllocated)
                {
                    executor.Free();
                }
                watch.Check(status, error);
                handle.Keep(executor);
            }
            var labels = model.Labels;
            highestLabel = labels.Count == 0 ? 0 : labels[labels.Count - 1].Value;
        }

        /// <summary>Makes a plan on a thread of its own. Options stay as they are until the task has ended.</summary>
        /// <returns>A task that gives the plan; it is cancelled where the constructor throws
        /// <see cref="OperationCanceledException"/>.</returns>
        public static Task<Plan> CreateAsync(
            Model model,
            [AllowNull] PlanOptions options = null,
            [AllowNull] IProgress<SegmentProgress> progress = null,
            CancellationToken cancellation = default(CancellationToken))
        {
            return Task.Factory.StartNew(
                () => new Plan(model, options, progress, cancellation), cancellation,
                TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
        }

        /// <summary> Gives memory back, of the host and of the device, that the plan only keeps to make its next run
        /// faster; for plans that wait for long. </summary> <exception cref="PlanBusyException">The plan is
        /// running.</exception>
        public void Trim()
        {
            ErrorHandle error;
            VoxsegException.Check(NativeMethods.vxs_plan_trim(Handle, out error), error);
        }

        /// <summary>What runs where, as JSON.</summary>
        public string Describe()
        {
            var text = Text.From(NativeMethods.vxs_plan_describe(Handle));
            GC.KeepAlive(this);
            return text;
        }

        /// <summary>What a segmentation of the volume will need, before it is run. Only its grid is looked
        /// at.</summary> <exception cref="PlanBusyException">The plan is running.</exception>
        public PlanReport Estimate(Volume volume)
        {
            if (volume == null)
            {
                throw new ArgumentNullException("volume");
            }
            using (var call = new NativeCall())
            {
                vxs_volume grid;
                volume.Fill(&grid, call);
                vxs_plan_report raw;
                VoxsegException.Check(NativeMethods.vxs_plan_report_init(&raw, (ulong)sizeof(vxs_plan_report)));
                ErrorHandle error;
                VoxsegException.Check(NativeMethods.vxs_plan_estimate(Handle, &grid, &raw, out error), error);
                return new PlanReport(&raw);
            }
        }

        /// <summary>What a segmentation of the volume's regions will need, as options ask for them: fewer tiles, less
        /// memory.</summary>
        public PlanReport Estimate(Volume volume, SegmentOptions options)
        {
            if (volume == null || options == null)
            {
                throw new ArgumentNullException(volume == null ? "volume" : "options");
            }
            using (var call = new NativeCall())
            {
                vxs_volume grid;
                volume.Fill(&grid, call);
                vxs_run_options run;
                VoxsegException.Check(NativeMethods.vxs_run_options_init(&run, (ulong)sizeof(vxs_run_options)));
                VoxelBox.Fill(options.Regions, options.WhenGlobal, &run, call);
                vxs_plan_report raw;
                VoxsegException.Check(NativeMethods.vxs_plan_report_init(&raw, (ulong)sizeof(vxs_plan_report)));
                ErrorHandle error;
                VoxsegException.Check(
                    NativeMethods.vxs_plan_estimate_run(Handle, &grid, &run, &raw, out error), error);
                return new PlanReport(&raw);
            }
        }

        /// <summary> The grid of the labels of a volume: its own, unless a task keeps labels on the networks' grid.
        /// Without voxels. Only the volume's grid is looked at. </summary> <exception cref="PlanBusyException">The plan
        /// is running.</exception>
        public Volume LabelGrid(Volume volume)
        {
            if (volume == null)
            {
                throw new ArgumentNullException("volume");
            }
            using (var call = new NativeCall())
            {
                vxs_volume raw, grid;
                volume.Fill(&raw, call);
                VoxsegException.Check(NativeMethods.vxs_volume_init(&grid, (ulong)sizeof(vxs_volume)));
                ErrorHandle error;
                VoxsegException.Check(NativeMethods.vxs_plan_label_grid(Handle, &raw, &grid, out error), error);
                return Volume.Grid(&grid);
            }
        }

        /// <summary>Segments a volume. Blocks until it is done, cancelled or failed; the plan can then be used
        /// again.</summary> <param name="volume">The image, in your memory.</param> <param name="progress"> Is told the
        /// progress on this thread. What it throws cancels the run and comes out of this method. </param> <param
        /// name="cancellation">Stops the run within one tile; any thread may request it.</param> <param
        /// name="options">Your own buffer for the labels, and maps; null for neither.</param> <returns>The labels, on
        /// the volume's own grid, or that of <see cref="LabelGrid"/>.</returns> <exception
        /// cref="OperationCanceledException">It was cancelled. Nothing was written.</exception> <exception
        /// cref="InputException"> The volume can't be segmented by this model, or has voxels that are NaN or infinite
        /// and <see cref="SegmentOptions.NonFinite"/> doesn't say what they are. </exception> <exception
        /// cref="MemoryBudgetException">It would need more memory than it may.</exception> <exception
        /// cref="PlanBusyException">The plan is running.</exception>
        public LabelMap Segment(
            Volume volume,
            [AllowNull] IProgress<SegmentProgress> progress = null,
            CancellationToken cancellation = default(CancellationToken),
            [AllowNull] SegmentOptions options = null)
        {
            if (volume == null)
            {
                throw new ArgumentNullException("volume");
            }
            var handle = Handle;
            cancellation.ThrowIfCancellationRequested();
            options = options ?? new SegmentOptions();
            var grid = LabelGrid(volume);
            var labels = options.Labels ?? (highestLabel > byte.MaxValue
                ? (Array)new ushort[grid.VoxelCount]
                : new byte[grid.VoxelCount]);
            var outputs = new Outputs(volume, labels, options.Maps);
            using (var watch = new Watch(progress, cancellation))
            using (var call = new NativeCall())
            {
                vxs_volume rawVolume;
                volume.Fill(&rawVolume, call);
                vxs_run_options run;
                VoxsegException.Check(NativeMethods.vxs_run_options_init(&run, (ulong)sizeof(vxs_run_options)));
                run.progress = watch.Receiver;
                run.user_data = watch.UserData;
                run.cancel = watch.Cancel(call);
                var record = IntPtr.Zero;
                run.record = options.Record ? &record : null;
                run.non_finite = (int)options.NonFinite;
                VoxelBox.Fill(options.Regions, options.WhenGlobal, &run, call);
                watch.Labels = options.OnLabels;
                run.on_labels = watch.LabelsReceiver;
                vxs_labels rawLabels;
                outputs.Fill(&rawLabels, &run, call);
                vxs_run_report report;
                VoxsegException.Check(NativeMethods.vxs_run_report_init(&report, (ulong)sizeof(vxs_run_report)));
                ErrorHandle error;
                var status = NativeMethods.vxs_segment(handle, &rawVolume, &run, &rawLabels, &report, out error);
                using (var owned = new RecordHandle(record))
                {
                    watch.Check(status, error);
                    var about = options.Record ? Text.From(NativeMethods.vxs_record_json(owned)) : null;
                    return new LabelMap(grid, labels, new RunReport(&report), about);
                }
            }
        }

        /// <summary> As <see cref="Segment"/>, on a thread of its own. Volume, buffers and options stay as they are
        /// until the task has ended. </summary> <returns> A task that gives the labels; it is cancelled where <see
        /// cref="Segment"/> throws <see cref="OperationCanceledException"/>. </returns>
        public Task<LabelMap> SegmentAsync(
            Volume volume,
            [AllowNull] IProgress<SegmentProgress> progress = null,
            CancellationToken cancellation = default(CancellationToken),
            [AllowNull] SegmentOptions options = null)
        {
            // A run takes seconds to minutes: too long for a thread of the pool.
            return Task.Factory.StartNew(
                () => Segment(volume, progress, cancellation, options), cancellation,
                TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
        }

        /// <summary>Frees the plan, at the end of a run that is under way.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }

#if NETCOREAPP3_0_OR_GREATER
        /// <summary>Frees the plan on a thread of the pool, at the end of a run that is under way.</summary>
        public ValueTask DisposeAsync()
        {
            return new ValueTask(Task.Run(new Action(Dispose)));
        }
#endif

        internal PlanHandle Handle
        {
            get
            {
                if (handle.IsClosed)
                {
                    throw new ObjectDisposedException("Plan");
                }
                return handle;
            }
        }
    }
}
