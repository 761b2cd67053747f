using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;

namespace Voxseg
{
    /// <summary>How to run a task of TotalSegmentator's kind.</summary>
    public sealed class TaskOptions
    {
        /// <summary> Names of the labels that are wanted. A rough segmentation finds where they are first, and only the
        /// models that know them run there. Only for whole-body tasks ("total" and its kin). Null (default): all
        /// labels. </summary>
        [AllowNull, MaybeNull]
        public IReadOnlyCollection<string> Subset { get; set; }

        /// <summary>Whether the rough segmentation for a subset is a finer one that misses less.</summary>
        public bool RobustCrop { get; set; }

        /// <summary>
        /// Whether every volume is cut into three overlapping parts along the body, as otherwise only large ones are.
        /// </summary>
        public bool Split { get; set; }

        /// <summary> Pieces of a label of at most so many cubic millimetres are removed; TotalSegmentator removes those
        /// up to 200. 0 (default): none. </summary>
        public double RemoveSmall { get; set; }

        /// <summary>How the volume is brought to the networks' grid.</summary>
        public Resampling Resampling { get; set; } = Resampling.Linear;

        /// <summary> Whether only the part of a CT volume is looked at in which a rough segmentation finds the body.
        /// For tasks that look at the whole volume otherwise. </summary>
        public bool CropToBody { get; set; }

        /// <summary> Whether labels stay on the networks' grid, which <see cref="Plan.LabelGrid"/> tells. For tasks
        /// that look at the whole volume. </summary>
        public bool OnNetworkGrid { get; set; }

        /// <summary> Whether labels come back to the volume's grid with smooth borders, each interpolated by itself,
        /// and not as those of the nearest voxels. </summary>
        public bool Smooth { get; set; }

        /// <summary> Whether labels have the values that TotalSegmentator 1 gave them; those that it didn't have are
        /// dropped. For "total", "total_fast" and "total_fastest". </summary>
        public bool LegacyV1Labels { get; set; }

        /// <summary> Bytes of memory that opening each of the task's models may take, as <see
        /// cref="ModelOptions.MemoryBudget"/>; also when a run loads it again. 0 (default): 64 MiB, and 16 bytes for
        /// each byte of the model's files. </summary>
        public ulong MemoryBudget { get; set; }

        internal unsafe void Fill(vxs_task_options* raw, NativeCall call)
        {
            VoxsegException.Check(NativeMethods.vxs_task_options_init(raw, (ulong)sizeof(vxs_task_options)));
            raw->resampling = (int)Resampling;
            raw->robust_crop = RobustCrop ? 1 : 0;
            raw->split = Split ? 1 : 0;
            raw->remove_small = RemoveSmall;
            raw->crop_to_body = CropToBody ? 1 : 0;
            raw->on_network_grid = OnNetworkGrid ? 1 : 0;
            raw->smooth = Smooth ? 1 : 0;
            raw->legacy_v1_labels = LegacyV1Labels ? 1 : 0;
            raw->memory_budget = MemoryBudget;
            if (Subset != null && Subset.Count > 0)
            {
                var names = new List<IntPtr>();
                foreach (var name in Subset)
                {
                    names.Add((IntPtr)call.Pin(name, "Subset"));
                }
                raw->subset = (byte**)call.Pin(names.ToArray());
                raw->subset_count = (ulong)names.Count;
            }
        }
    }
}
