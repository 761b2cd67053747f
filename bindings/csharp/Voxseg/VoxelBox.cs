using System;
using System.Collections.Generic;

namespace Voxseg
{
    /// <summary>A half-open box of voxels, in the order of the volume's axes.</summary>
    public sealed unsafe class VoxelBox
    {
        /// <summary>From the first voxel inside to before <paramref name="end"/>.</summary>
        public VoxelBox(IReadOnlyList<long> start, IReadOnlyList<long> end)
        {
            if (start == null || start.Count != 3 || end == null || end.Count != 3)
            {
                throw new ArgumentException("a box has three indices for its start and three for its end");
            }
            for (var axis = 0; axis < 3; axis++)
            {
                if (start[axis] < 0 || end[axis] < 0)
                {
                    throw new ArgumentOutOfRangeException(start[axis] < 0 ? "start" : "end");
                }
            }
            Start = start;
            End = end;
        }

        internal VoxelBox(vxs_box* raw)
            : this(
                new[] { (long)raw->start[0], (long)raw->start[1], (long)raw->start[2] },
                new[] { (long)raw->end[0], (long)raw->end[1], (long)raw->end[2] })
        {
        }

        /// <summary>The first voxel inside.</summary>
        public IReadOnlyList<long> Start { get; }

        /// <summary>One beyond the last voxel inside.</summary>
        public IReadOnlyList<long> End { get; }

        /// <summary>Tells the options of a run, for one call.</summary>
        internal static void Fill(IList<VoxelBox> boxes, WhenGlobal whenGlobal, vxs_run_options* run, NativeCall call)
        {
            var raw = (vxs_box*)call.Pin(new vxs_box[boxes.Count]);
            for (var i = 0; i < boxes.Count; i++)
            {
                for (var axis = 0; axis < 3; axis++)
                {
                    raw[i].start[axis] = (ulong)boxes[i].Start[axis];
                    raw[i].end[axis] = (ulong)boxes[i].End[axis];
                }
            }
            run->regions = raw;
            run->region_count = (ulong)boxes.Count;
            run->when_global = (int)whenGlobal;
        }
    }

    /// <summary>Labels that are in the buffer while a run goes on.</summary>
    public sealed unsafe class LabelsSoFar
    {
        internal LabelsSoFar(vxs_labels_so_far* raw)
        {
            Part = new VoxelBox(&raw->part);
            IsFinal = raw->is_final != 0;
            var complete = new ushort[(int)raw->complete_count];
            for (var i = 0; i < complete.Length; i++)
            {
                complete[i] = raw->complete[i];
            }
            Complete = complete;
        }

        /// <summary>The voxels.</summary>
        public VoxelBox Part { get; }

        /// <summary>Whether they are final. Else they are those that the models of a task found so far.</summary>
        public bool IsFinal { get; }

        /// <summary> The labels that are complete, where not all are: later models of the task may still take voxels of
        /// them, but add none. </summary>
        public IReadOnlyList<ushort> Complete { get; }
    }
}
