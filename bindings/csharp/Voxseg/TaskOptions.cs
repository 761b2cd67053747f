using System;
using System.Collections.Generic;

namespace Voxseg
{
    /// <summary>How to run a task of TotalSegmentator's kind.</summary>
    public sealed class TaskOptions
    {
        /// <summary>
        /// Names of the labels that are wanted. A rough segmentation finds where they are first, and only the models that
        /// know them run there. Only for whole-body tasks ("total" and its kin). Null (default): all labels.
        /// </summary>
        public IReadOnlyCollection<string> Subset { get; set; }

        /// <summary>Whether the rough segmentation for a subset is a finer one that misses less.</summary>
        public bool RobustCrop { get; set; }

        /// <summary>
        /// Whether every volume is cut into three overlapping parts along the body, as otherwise only large ones are.
        /// </summary>
        public bool Split { get; set; }

        /// <summary>
        /// Pieces of a label of at most so many cubic millimetres are removed; TotalSegmentator removes those up to 200.
        /// 0 (default): none.
        /// </summary>
        public double RemoveSmall { get; set; }

        /// <summary>How the volume is brought to the networks' grid.</summary>
        public Resampling Resampling { get; set; } = Resampling.Linear;

        internal unsafe void Fill(vxs_task_options* raw, NativeCall call)
        {
            VoxsegException.Check(NativeMethods.vxs_task_options_init(raw, (ulong)sizeof(vxs_task_options)));
            raw->resampling = (int)Resampling;
            raw->robust_crop = RobustCrop ? 1 : 0;
            raw->split = Split ? 1 : 0;
            raw->remove_small = RemoveSmall;
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
