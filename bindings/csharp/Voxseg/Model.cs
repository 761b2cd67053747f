using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Threading;
using System.Threading.Tasks;

namespace Voxseg
{
    /// <summary>
    /// A published model. Immutable: any thread may use it, many plans share it, and it may be disposed of before them.
    /// </summary>
    public sealed unsafe class Model : IDisposable
#if NETCOREAPP3_0_OR_GREATER
        , IAsyncDisposable
#endif
    {
        private readonly ModelHandle handle;

        private Model(ModelHandle handle)
        {
            this.handle = handle;
        }

        /// <summary> Opens a model: nnU-Net's folder, a MONAI bundle, Auto3DSeg, a zip archive of one of them, or a
        /// file of weights with its description (docs/models.md). Reads all weights: seconds for large models, so not
        /// on a user interface's thread. Nothing in the files is ever executed. </summary> <param name="path">Its
        /// folder or file.</param> <param name="options">Which folds, and so on.</param> <param name="progress">Is told
        /// of the bytes that were read, on this thread. What it throws comes out.</param> <param
        /// name="cancellation">Stops opening; any thread may request it.</param> <exception cref="ModelException">It
        /// isn't a model, is damaged, or isn't supported.</exception> <exception cref="OperationCanceledException">It
        /// was cancelled.</exception>
        public static Model Open(
            string path,
            [AllowNull] ModelOptions options = null,
            [AllowNull] IProgress<SegmentProgress> progress = null,
            CancellationToken cancellation = default(CancellationToken))
        {
            if (path == null)
            {
                throw new ArgumentNullException("path");
            }
            Library.Check();
            using (var watch = new Watch(progress, cancellation))
            using (var call = new NativeCall())
            {
                vxs_model_options raw;
                (options ?? new ModelOptions()).Fill(&raw, call);
                raw.progress = watch.Receiver;
                raw.user_data = watch.UserData;
                raw.cancel = watch.Cancel(call);
                ModelHandle model;
                ErrorHandle error;
                watch.Check(NativeMethods.vxs_model_open(Text.Utf8(path, "path"), &raw, out model, out error), error);
                return new Model(model);
            }
        }

        /// <summary>Opens a model on a thread of its own. Options stay as they are until the task has ended.</summary>
        /// <returns>A task that gives the model; it is cancelled where <see cref="Open"/> throws
        /// <see cref="OperationCanceledException"/>.</returns>
        public static Task<Model> OpenAsync(
            string path,
            [AllowNull] ModelOptions options = null,
            [AllowNull] IProgress<SegmentProgress> progress = null,
            CancellationToken cancellation = default(CancellationToken))
        {
            // Opening takes seconds: too long for a thread of the pool.
            return Task.Factory.StartNew(
                () => Open(path, options, progress, cancellation), cancellation,
                TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
        }

        /// <summary> What a model says of itself without its weights, in milliseconds, as JSON: name, format,
        /// configuration, channels, labels with their codes, spacing, patch, licence, folds, weight_bytes, and reasons
        /// for which it wouldn't open (unsupported). </summary> <param name="path">Its folder or file.</param> <param
        /// name="configuration">As in <see cref="ModelOptions"/>.</param> <exception cref="ModelException">It isn't a
        /// model, or the files around the weights are damaged.</exception>
        public static string Inspect(string path, [AllowNull] string configuration = null)
        {
            if (path == null)
            {
                throw new ArgumentNullException("path");
            }
            Library.Check();
            InspectionHandle inspection;
            ErrorHandle error;
            VoxsegException.Check(
                NativeMethods.vxs_model_inspect(
                    Text.Utf8(path, "path"), Text.Utf8(configuration, "configuration"), out inspection, out error), error);
            using (inspection)
            {
                return Text.From(NativeMethods.vxs_inspection_json(inspection));
            }
        }

        /// <summary>Opens a folder's files in memory. They are only read during the call.</summary>
        /// <param name="files">
        /// Content by path within the folder, with '/' between folders: "fold_0/checkpoint_final.pth".
        /// </param>
        /// <param name="options">As for a folder.</param>
        /// <param name="progress">As for a folder.</param>
        /// <param name="cancellation">Stops opening; any thread may request it.</param>
        /// <exception cref="ModelException">They are no model, or one that isn't supported.</exception>
        /// <exception cref="OperationCanceledException">It was cancelled.</exception>
        public static Model OpenMemory(
            IEnumerable<KeyValuePair<string, byte[]>> files,
            [AllowNull] ModelOptions options = null,
            [AllowNull] IProgress<SegmentProgress> progress = null,
            CancellationToken cancellation = default(CancellationToken))
        {
            if (files == null)
            {
                throw new ArgumentNullException("files");
            }
            using (var call = new NativeCall())
            {
                var list = new List<vxs_model_file>();
                foreach (var file in files)
                {
                    if (file.Key == null || file.Value == null)
                    {
                        throw new ArgumentException("a file without a name or content", "files");
                    }
                    list.Add(new vxs_model_file
                    {
                        name = call.Pin(file.Key, "files"),
                        data = call.Pin(file.Value),
                        size = (ulong)file.Value.LongLength,
                    });
                }
                return OpenFiles(list.ToArray(), call, options, progress, cancellation);
            }
        }

#if NETCOREAPP3_0_OR_GREATER
        /// <summary>Opens a folder's files in memory, wherever that is. They are only read during the call.</summary>
        /// <param name="files">Content by path within the folder, with '/' between folders.</param>
        /// <param name="options">As for a folder.</param>
        /// <param name="progress">As for a folder.</param>
        /// <param name="cancellation">Stops opening; any thread may request it.</param>
        /// <exception cref="ModelException">They are no model, or one that isn't supported.</exception>
        /// <exception cref="OperationCanceledException">It was cancelled.</exception>
        public static Model OpenMemory(
            IEnumerable<KeyValuePair<string, ReadOnlyMemory<byte>>> files,
            [AllowNull] ModelOptions options = null,
            [AllowNull] IProgress<SegmentProgress> progress = null,
            CancellationToken cancellation = default(CancellationToken))
        {
            if (files == null)
            {
                throw new ArgumentNullException("files");
            }
            using (var call = new NativeCall())
            {
                var list = new List<vxs_model_file>();
                foreach (var file in files)
                {
                    if (file.Key == null)
                    {
                        throw new ArgumentException("a file without a name", "files");
                    }
                    list.Add(new vxs_model_file
                    {
                        name = call.Pin(file.Key, "files"),
                        data = call.Pin(file.Value.Pin),
                        size = (ulong)file.Value.Length,
                    });
                }
                return OpenFiles(list.ToArray(), call, options, progress, cancellation);
            }
        }
#endif

        private static Model OpenFiles(
            vxs_model_file[] files, NativeCall call, ModelOptions options, IProgress<SegmentProgress> progress,
            CancellationToken cancellation)
        {
            Library.Check();
            using (var watch = new Watch(progress, cancellation))
            {
                vxs_model_options raw;
                (options ?? new ModelOptions()).Fill(&raw, call);
                raw.progress = watch.Receiver;
                raw.user_data = watch.UserData;
                raw.cancel = watch.Cancel(call);
                ModelHandle model;
                ErrorHandle error;
                fixed (vxs_model_file* first = files)
                {
                    watch.Check(
                        NativeMethods.vxs_model_open_memory(first, (ulong)files.Length, &raw, out model, out error), error);
                }
                return new Model(model);
            }
        }

        /// <summary>The names of TotalSegmentator's tasks, for <see cref="OpenTask"/>.</summary>
        public static IReadOnlyList<string> Tasks
        {
            get
            {
                Library.Check();
                var names = new List<string>();
                for (ulong i = 0; i < NativeMethods.vxs_task_count(); i++)
                {
                    names.Add(Text.From(NativeMethods.vxs_task_name(i)));
                }
                return names;
            }
        }

        /// <summary> Opens a task, which is then used as any model. Each of its models is opened once; nothing is ever
        /// fetched. Maps aren't for tasks. </summary> <param name="task">One of <see cref="Tasks"/>, or the path of a
        /// task file, which ends in ".json".</param> <param name="weights">The folder that holds its models as
        /// TotalSegmentator stores them.</param> <param name="options">Which labels are wanted, and how.</param> <param
        /// name="progress">Is told of the bytes that were read, on this thread. What it throws comes out.</param>
        /// <param name="cancellation">Stops opening; any thread may request it.</param> <exception
        /// cref="ModelException">Weights are missing: the message names them and their licence.</exception> <exception
        /// cref="OperationCanceledException">It was cancelled.</exception>
        public static Model OpenTask(
            string task,
            string weights,
            [AllowNull] TaskOptions options = null,
            [AllowNull] IProgress<SegmentProgress> progress = null,
            CancellationToken cancellation = default(CancellationToken))
        {
            if (task == null || weights == null)
            {
                throw new ArgumentNullException(task == null ? "task" : "weights");
            }
            Library.Check();
            using (var watch = new Watch(progress, cancellation))
            using (var call = new NativeCall())
            {
                vxs_task_options raw;
                (options ?? new TaskOptions()).Fill(&raw, call);
                raw.progress = watch.Receiver;
                raw.user_data = watch.UserData;
                raw.cancel = watch.Cancel(call);
                ModelHandle model;
                ErrorHandle error;
                watch.Check(
                    NativeMethods.vxs_model_open_task(
                        Text.Utf8(task, "task"), Text.Utf8(weights, "weights"), &raw, out model, out error),
                    error);
                return new Model(model);
            }
        }

        /// <summary> One model of several: their probabilities are averaged on the volume's grid. Members have the same
        /// channels and labels; they may be disposed of at once. </summary> <exception cref="InputException">They
        /// differ, or there are none.</exception>
        public static Model Ensemble(params Model[] members)
        {
            if (members == null || Array.IndexOf(members, null) >= 0)
            {
                throw new ArgumentNullException("members");
            }
            Library.Check();
            using (var call = new NativeCall())
            {
                var pointers = new List<IntPtr>();
                foreach (var member in members)
                {
                    pointers.Add(call.Hold(member.Handle));
                }
                ModelHandle model;
                ErrorHandle error;
                fixed (IntPtr* first = pointers.ToArray())
                {
                    VoxsegException.Check(
                        NativeMethods.vxs_model_ensemble(first, (ulong)pointers.Count, out model, out error), error);
                }
                return new Model(model);
            }
        }

        /// <summary>Its own name, for example "Dataset901_TorsoCT".</summary>
        public string Name
        {
            get { return Read(NativeMethods.vxs_model_name(Handle)); }
        }

        /// <summary><c>voxseg1:sha256:</c> and a digest over weights and recipe: equal exactly for models that compute
        /// the same.</summary>
        public string Identity
        {
            get { return Read(NativeMethods.vxs_model_identity(Handle)); }
        }

        /// <summary>All that is known about it, as JSON: architecture, parameters, recipe, labels.</summary>
        public string Describe()
        {
            return Read(NativeMethods.vxs_model_describe(Handle));
        }

        /// <summary>What it calls the channels that a volume must have.</summary>
        public IReadOnlyList<string> Channels
        {
            get
            {
                var names = new List<string>();
                for (ulong i = 0; i < NativeMethods.vxs_model_channel_count(Handle); i++)
                {
                    names.Add(Read(NativeMethods.vxs_model_channel_name(Handle, i)));
                }
                return names;
            }
        }

        /// <summary>Its labels in ascending order of their values, the background included. Read anew each
        /// time.</summary>
        public IReadOnlyList<Label> Labels
        {
            get
            {
                var labels = new List<Label>();
                for (ulong i = 0; i < NativeMethods.vxs_model_label_count(Handle); i++)
                {
                    vxs_label_info raw;
                    VoxsegException.Check(NativeMethods.vxs_label_info_init(&raw, (ulong)sizeof(vxs_label_info)));
                    ErrorHandle error;
                    VoxsegException.Check(NativeMethods.vxs_model_label(Handle, i, &raw, out error), error);
                    labels.Add(new Label(raw.value, Read(raw.name), (int)raw.color, Terms(i)));
                }
                return labels;
            }
        }

        /// <summary>What reads the headers of NIfTI files for this model, for <see cref="NiftiHeader"/>.</summary>
        public Reader Reader
        {
            get { return (Reader)NativeMethods.vxs_model_reader(Handle); }
        }

        /// <summary> The spacing that the network works at, in millimetres, in the order of a volume's axes; 0 where
        /// the volume's own is kept. </summary>
        public double[] Spacing
        {
            get
            {
                var spacing = stackalloc double[3];
                ErrorHandle error;
                VoxsegException.Check(NativeMethods.vxs_model_spacing(Handle, spacing, out error), error);
                return Checked.Copy(spacing, 3);
            }
        }

        /// <summary>The size of a tile in voxels, in the order of a volume's axes.</summary>
        public long[] Patch
        {
            get
            {
                var patch = stackalloc ulong[3];
                ErrorHandle error;
                VoxsegException.Check(NativeMethods.vxs_model_patch(Handle, patch, out error), error);
                return Checked.Copy(patch, 3);
            }
        }

        /// <summary>Frees the weights, unless a plan uses them, at the end of any call that is under way.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }

#if NETCOREAPP3_0_OR_GREATER
        /// <summary>Frees the model on a thread of the pool.</summary>
        public ValueTask DisposeAsync()
        {
            return new ValueTask(Task.Run(new Action(Dispose)));
        }
#endif

        internal ModelHandle Handle
        {
            get
            {
                if (handle.IsClosed)
                {
                    throw new ObjectDisposedException("Model");
                }
                return handle;
            }
        }

        private IReadOnlyDictionary<TermRole, Term> Terms(ulong index)
        {
            var terms = new Dictionary<TermRole, Term>();
            foreach (TermRole role in Enum.GetValues(typeof(TermRole)))
            {
                vxs_term raw;
                VoxsegException.Check(NativeMethods.vxs_term_init(&raw, (ulong)sizeof(vxs_term)));
                ErrorHandle error;
                VoxsegException.Check(NativeMethods.vxs_model_label_term(Handle, index, (int)role, &raw, out error), error);
                if (raw.code != null)
                {
                    terms[role] = new Term(Read(raw.scheme), Read(raw.code), Read(raw.meaning));
                }
            }
            return terms;
        }

        /// <summary>A string that lives as long as the model: which it must until here.</summary>
        private string Read(byte* borrowed)
        {
            var text = Text.From(borrowed);
            GC.KeepAlive(this);
            return text;
        }
    }
}
