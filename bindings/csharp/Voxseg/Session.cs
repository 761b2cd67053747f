using System;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Threading;

namespace Voxseg
{
    /// <summary> An image that a user segments by points, boxes and strokes, with a model whose <see
    /// cref="PromptsOf"/> aren't empty. A run that is cancelled or fails leaves mask and prompts as they were. One call at a
    /// time, on any thread; sessions of one plan share its weights. </summary>
    public sealed unsafe class Session : IDisposable
    {
        private readonly SessionHandle handle;
        private readonly long[] shape;

        /// <summary>Begins with an image, of which a copy is kept. The plan may be disposed of afterwards.</summary>
        /// <param name="plan">A plan of a model that takes prompts.</param> <param name="volume">The image.</param>
        /// <param name="autozoom">Whether an object that goes on beyond the network's patch is looked at from further
        /// away.</param> <param name="nonFinite">What voxels are that are NaN or infinite.</param> <param
        /// name="progress">Is told the progress, on this thread.</param> <param name="cancellation">Stops it.</param>
        public Session(
            Plan plan,
            Volume volume,
            bool autozoom = true,
            NonFinite nonFinite = default(NonFinite),
            [AllowNull] IProgress<SegmentProgress> progress = null,
            CancellationToken cancellation = default(CancellationToken))
        {
            if (plan == null)
            {
                throw new ArgumentNullException("plan");
            }
            if (volume == null)
            {
                throw new ArgumentNullException("volume");
            }
            shape = volume.Shape;
            using (var watch = new Watch(progress, cancellation))
            using (var call = new NativeCall())
            {
                vxs_volume rawVolume;
                volume.Fill(&rawVolume, call);
                vxs_session_options raw;
                VoxsegException.Check(
                    NativeMethods.vxs_session_options_init(&raw, (ulong)sizeof(vxs_session_options)));
                raw.autozoom = autozoom ? 1 : 0;
                raw.non_finite = (int)nonFinite;
                raw.progress = watch.Receiver;
                raw.user_data = watch.UserData;
                raw.cancel = watch.Cancel(call);
                ErrorHandle error;
                watch.Check(
                    NativeMethods.vxs_session_create(plan.Handle, &rawVolume, &raw, out handle, out error), error);
            }
        }

        /// <summary>The prompts that a model takes; none for one that segments volumes by itself.</summary>
        public static Prompts PromptsOf(Model model)
        {
            if (model == null)
            {
                throw new ArgumentNullException("model");
            }
            return (Prompts)NativeMethods.vxs_model_prompts(model.Handle);
        }

        /// <summary>What a session with the volume will need. Only its grid is looked at.</summary>
        public static PlanReport Estimate(Plan plan, Volume volume)
        {
            if (plan == null)
            {
                throw new ArgumentNullException("plan");
            }
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
                VoxsegException.Check(
                    NativeMethods.vxs_session_estimate(plan.Handle, &grid, &raw, out error), error);
                return new PlanReport(&raw);
            }
        }

        /// <summary>Takes a point: the nearest voxel, whose centre has whole numbers.</summary>
        /// <param name="x">Along axis 0.</param> <param name="y">Along axis 1.</param> <param name="z">Along axis
        /// 2.</param> <param name="label">1 for the object, 0 for what isn't the object.</param>
        public void Point(double x, double y, double z, uint label = 1)
        {
            double* at = stackalloc double[3];
            at[0] = x;
            at[1] = y;
            at[2] = z;
            ErrorHandle error;
            VoxsegException.Check(NativeMethods.vxs_session_point(Handle, at, label, out error), error);
        }

        /// <summary>Takes a box, from voxel start to before voxel end.</summary>
        public void Box(long[] start, long[] end, uint label = 1)
        {
            fixed (long* first = Checked.Copy(start, 3, "start"), last = Checked.Copy(end, 3, "end"))
            {
                ErrorHandle error;
                VoxsegException.Check(NativeMethods.vxs_session_box(Handle, first, last, label, out error), error);
            }
        }

        /// <summary>Takes voxels that were drawn.</summary> <param name="kind"><see cref="Prompts.Scribble"/>, <see
        /// cref="Prompts.Lasso"/> or <see cref="Prompts.Mask"/>.</param> <param name="mask">Integers, those other than 0
        /// count.</param> <param name="start">Where the first of them lies in the volume.</param> <param
        /// name="label">1 for the object, 0 for what isn't the object.</param>
        public void Mask(Prompts kind, Volume mask, long[] start, uint label = 1)
        {
            if (mask == null)
            {
                throw new ArgumentNullException("mask");
            }
            using (var call = new NativeCall())
            fixed (long* first = Checked.Copy(start, 3, "start"))
            {
                vxs_volume raw;
                mask.Fill(&raw, call);
                ErrorHandle error;
                VoxsegException.Check(
                    NativeMethods.vxs_session_mask(Handle, (ulong)kind, &raw, first, label, out error), error);
            }
        }

        /// <summary>Answers the prompts since the last run. Blocks.</summary> <exception
        /// cref="OperationCanceledException">It was cancelled; mask and prompts are as before.</exception>
        public SessionReport Run(
            [AllowNull] IProgress<SegmentProgress> progress = null,
            CancellationToken cancellation = default(CancellationToken))
        {
            cancellation.ThrowIfCancellationRequested();
            using (var watch = new Watch(progress, cancellation))
            using (var call = new NativeCall())
            {
                vxs_run_options run;
                Fill(&run, watch, call);
                vxs_session_report report;
                VoxsegException.Check(
                    NativeMethods.vxs_session_report_init(&report, (ulong)sizeof(vxs_session_report)));
                ErrorHandle error;
                watch.Check(NativeMethods.vxs_session_run(Handle, &run, &report, out error), error);
                return new SessionReport(&report);
            }
        }

        /// <summary>Takes the last prompt back, and what runs have written since: up to 16 in a row.</summary>
        public SessionReport Undo()
        {
            vxs_session_report report;
            VoxsegException.Check(
                NativeMethods.vxs_session_report_init(&report, (ulong)sizeof(vxs_session_report)));
            ErrorHandle error;
            VoxsegException.Check(NativeMethods.vxs_session_undo(Handle, &report, out error), error);
            return new SessionReport(&report);
        }

        /// <summary>Begins again with the same image, for the next object.</summary>
        public void Reset()
        {
            ErrorHandle error;
            VoxsegException.Check(NativeMethods.vxs_session_reset(Handle, out error), error);
        }

        /// <summary>The mask of the whole volume, axis 0 the fastest: 1 for the object.</summary>
        public byte[] Labels()
        {
            return Labels(new long[3], shape);
        }

        /// <summary>A box of the mask, from voxel start to before voxel end, axis 0 the fastest.</summary>
        public byte[] Labels(long[] start, long[] end)
        {
            ulong[] first = Indices(start, "start"), last = Indices(end, "end");
            var size = 1L;
            for (var axis = 0; axis < 3; axis++)
            {
                // The library says what is wrong with a box that is too large, or none.
                size *= last[axis] > first[axis] && end[axis] <= shape[axis] ? end[axis] - start[axis] : 1;
            }
            var labels = new byte[size];
            fixed (ulong* from = first, to = last)
            fixed (byte* data = labels)
            {
                vxs_labels raw;
                VoxsegException.Check(NativeMethods.vxs_labels_init(&raw, (ulong)sizeof(vxs_labels)));
                raw.data = data;
                raw.data_size = (ulong)labels.LongLength;
                ErrorHandle error;
                VoxsegException.Check(NativeMethods.vxs_session_labels(Handle, from, to, &raw, out error), error);
            }
            return labels;
        }

        /// <summary>All that led to the mask, as JSON.</summary>
        public string Record()
        {
            RecordHandle record;
            ErrorHandle error;
            VoxsegException.Check(NativeMethods.vxs_session_record(Handle, out record, out error), error);
            using (record)
            {
                return Text.From(NativeMethods.vxs_record_json(record));
            }
        }

        /// <summary>Does what a record says; the mask is then the same to the last voxel.</summary>
        public void Replay(
            string record,
            [AllowNull] IProgress<SegmentProgress> progress = null,
            CancellationToken cancellation = default(CancellationToken))
        {
            if (record == null)
            {
                throw new ArgumentNullException("record");
            }
            using (var watch = new Watch(progress, cancellation))
            using (var call = new NativeCall())
            {
                vxs_run_options run;
                Fill(&run, watch, call);
                ErrorHandle error;
                var text = Encoding.UTF8.GetBytes(record + "\0");
                watch.Check(NativeMethods.vxs_session_replay(Handle, text, &run, out error), error);
            }
        }

        /// <summary>Frees the session, at the end of a call that is under way.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }

        private static void Fill(vxs_run_options* run, Watch watch, NativeCall call)
        {
            VoxsegException.Check(NativeMethods.vxs_run_options_init(run, (ulong)sizeof(vxs_run_options)));
            run->progress = watch.Receiver;
            run->user_data = watch.UserData;
            run->cancel = watch.Cancel(call);
        }

        private static ulong[] Indices(long[] voxel, string name)
        {
            return Array.ConvertAll(Checked.Copy(voxel, 3, name), index => index < 0 ? ulong.MaxValue : (ulong)index);
        }

        private SessionHandle Handle
        {
            get
            {
                if (handle.IsClosed)
                {
                    throw new ObjectDisposedException("Session");
                }
                return handle;
            }
        }
    }
}
