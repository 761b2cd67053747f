using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;

namespace Voxseg
{
    /// <summary>How to open a model.</summary>
    public sealed class ModelOptions
    {
        /// <summary>In <see cref="Folds"/>: the folder fold_all.</summary>
        public const uint FoldAll = NativeMethods.VXS_FOLD_ALL;

        /// <summary>The trained folds to average. Null (default): every numbered fold that is there.</summary>
        [AllowNull, MaybeNull]
        public IReadOnlyCollection<uint> Folds { get; set; }

        /// <summary>File name of the weights in each fold's folder. Null (default): "checkpoint_final.pth".</summary>
        [AllowNull, MaybeNull]
        public string Checkpoint { get; set; }

        /// <summary> Which of several models in a folder or an archive: the whole name of its folder, or the
        /// configuration at the name's end ("3d_fullres"). Of a bundle: its config file. Null (default): the only one,
        /// and a bundle's inference. </summary>
        [AllowNull, MaybeNull]
        public string Configuration { get; set; }

        /// <summary> For VISTA3D: the classes to segment, numbers or names. Null (default): all that the model's config
        /// lists. Must be null for other models. </summary>
        [AllowNull, MaybeNull]
        public IReadOnlyCollection<string> Classes { get; set; }

        /// <summary>For Auto3DSeg models.</summary>
        public ForegroundCrop ForegroundCrop { get; set; } = ForegroundCrop.AsPublished;

        /// <summary>For Auto3DSeg models.</summary>
        public Auto3DSegScript Auto3DSegScript { get; set; } = Auto3DSegScript.FromModel;

        /// <summary> Bytes of memory that opening may take at one time. 0 (default): 128 MiB, and 16 bytes for each
        /// byte of the files that are opened. </summary>
        public ulong MemoryBudget { get; set; }

        internal unsafe void Fill(vxs_model_options* raw, NativeCall call)
        {
            VoxsegException.Check(NativeMethods.vxs_model_options_init(raw, (ulong)sizeof(vxs_model_options)));
            raw->foreground_crop = (int)ForegroundCrop;
            raw->auto3dseg_script = (int)Auto3DSegScript;
            raw->memory_budget = MemoryBudget;
            if (Folds != null && Folds.Count > 0)
            {
                var folds = new List<uint>(Folds).ToArray();
                raw->folds = (uint*)call.Pin(folds);
                raw->fold_count = (ulong)folds.Length;
            }
            raw->checkpoint = call.Pin(Checkpoint, "Checkpoint");
            raw->configuration = call.Pin(Configuration, "Configuration");
            if (Classes != null)
            {
                var classes = new List<IntPtr>();
                foreach (string name in Classes)
                {
                    classes.Add((IntPtr)call.Pin(name, "Classes"));
                }
                // An empty list is refused, and must not be taken for none.
                classes.Add(IntPtr.Zero);
                raw->classes = (byte**)call.Pin(classes.ToArray());
                raw->class_count = (ulong)Classes.Count;
            }
        }
    }
}
